import pytest

pytest.importorskip("fastapi", reason="the extra aucue[app] is not installed")

from fastapi import FastAPI
from fastapi.testclient import TestClient

from aucue.app.memory import Uploads, new_router


def test_uploads_are_kept_for_a_while():
    now = [0.0]
    uploads = Uploads("/nowhere", seconds=60, most=10, clock=lambda: now[0])
    first, second = uploads.put(b"same"), uploads.put(b"same")
    assert first != second  # two people may send the same photograph
    assert uploads.get(first) == b"same"
    uploads.put(b"123")  # more than 10 bytes together
    assert uploads.get(first) is None
    assert uploads.get(second) == b"same"
    now[0] = 61
    assert len(uploads) == 0
    assert uploads.get("/etc/passwd") is None


def test_uploads_come_and_go_without_a_disk(monkeypatch: pytest.MonkeyPatch):
    def no_file(*arguments, **options):
        raise AssertionError("a file was made")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", no_file)
    monkeypatch.setattr("tempfile.TemporaryFile", no_file)
    monkeypatch.setattr("tempfile.mkstemp", no_file)
    application = FastAPI()
    application.include_router(new_router(Uploads("/nowhere"), max_bytes=3_000_000))
    client = TestClient(application)
    data = b"\xff" * 2_500_000  # beyond what forms keep in memory by default
    answer = client.post("/gradio_api/upload", files={"files": ("../../my face.jpg", data)})
    (path,) = answer.json()
    assert path.startswith("/nowhere/")
    assert "my face" not in path
    shown = client.get(f"/gradio_api/file={path}")
    assert shown.content == data
    assert shown.headers["content-security-policy"] == "sandbox"
    assert client.get("/gradio_api/file=/etc/hostname").status_code == 404
    assert client.post("/gradio_api/upload", files={"files": ("x", data + data[:600_000])}).status_code == 413
    assert client.post("/gradio_api/upload", content=b"no form").status_code == 400
