"""What strangers and other sites try: everything ends in a refusal, nothing is opened, nothing is fetched."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")

from filelock import FileLock

from aucue.app.connections import ImpatientProtocol
from aucue.app.door import Forbidden, check_event
from aucue.app.limits import Limits, Rate
from aucue.app.temporary import own_folder

from .conftest import Running, encoded

opened: list[str] = []
"""Secret files that this process has opened."""


@pytest.fixture(autouse=True)
def _leave(running: Running) -> Iterator[None]:
    """The photographs of a test go with it: nobody here closes a page."""
    yield
    for name in list(running.sessions._held):
        running.sessions.drop(name)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user who runs the server, and a watch on who opens it."""
    path = tmp_path_factory.mktemp("home") / "secret.txt"
    path.write_text("secret")

    def watch(event: str, arguments: Any) -> None:
        if event == "open" and str(arguments[0]) == str(path):
            opened.append(str(path))

    sys.addaudithook(watch)  # for ever, hence once
    return path


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another server of this machine, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/inside", asked
    server.shutdown()
    thread.join()


def join(running: Running, data: list[Any], index: int = 0, session: str = "s", **more: Any) -> Any:
    event = {"data": data, "fn_index": index, "session_hash": session, **more}
    return running.client.post("/gradio_api/queue/join", json=event)


def file_of(path: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def test_the_chain_that_read_any_file(running: Running, secret: Path):
    for data in (
        [None, file_of(str(secret)), "none", ""],
        [file_of(str(secret)), "guided", "none", ""],
        [None, "guided", {"deep": [file_of(str(secret))]}, ""],
    ):
        assert join(running, data).status_code == 403
    session = {"session_hash": "s"}
    assert running.client.get("/gradio_api/deep_link", params=session).status_code == 404
    assert running.client.get("/config", params={"deep_link": "x"}).status_code == 404
    for address in ("/gradio_api/file", "/file"):
        for separator in ("/", "="):
            assert running.client.get(f"{address}{separator}{secret}").status_code == 404
    assert opened == []
    assert secret.read_text() == "secret"
    assert opened == [str(secret)]  # the watch works
    opened.clear()


def test_no_address_of_a_visitor_is_fetched(running: Running, elsewhere: tuple[str, list[str]]):
    address, asked = elsewhere
    for file in (file_of(address), {"url": address, "meta": {"_type": "gradio.FileData"}}):
        assert join(running, [file, "guided", "none", ""]).status_code == 403
    for prefix in ("/gradio_api/file/", "/gradio_api/file=", "/gradio_api/proxy=", "/file="):
        assert running.client.get(f"{prefix}{address}").status_code == 404
    assert asked == []


def test_an_upload_is_taken_and_its_address_is_no_other(running: Running, photo):
    (path,) = running.client.post("/gradio_api/upload", files={"files": ("x.png", encoded(photo()))}).json()
    own = f"{running.address}/gradio_api/file={path}"
    rest = ["guided", "none", ""]
    assert join(running, [file_of(path, url="http://127.0.0.1:9/x"), *rest]).status_code == 403
    assert join(running, [file_of(path, url=own), *rest]).status_code == 200
    assert join(running, [file_of(path, url=own), *rest], session="other").status_code == 403
    said = running.client.get("/gradio_api/queue/data", params={"session_hash": "s"}).text
    assert '"process_completed"' in said
    assert running.client.get(f"/gradio_api/file={path}").content == encoded(photo())


@pytest.mark.parametrize("address", ["/", "/api/models", "/config", "/gradio_api/queue/data?session_hash=s"])
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:PORT", "127.0.0.1.evil.example:PORT", "10.0.0.9"]
)
def test_another_name_is_refused(running: Running, address: str, host: str):
    """DNS rebinding: the browser takes the answer for one of the site whose name it asked for."""
    port = running.address.rpartition(":")[2]
    answer = running.client.get(address, headers={"Host": host.replace("PORT", port)})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_this_machine_are_answered(running: Running, name: str):
    port = running.address.rpartition(":")[2]
    for host in (name, f"{name}:{port}", f"{name}:8080"):  # the last: a forwarded port
        assert running.client.get("/api/models", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
    ],
)
def test_other_sites_cannot_make_the_browser_ask(running: Running, headers: dict[str, str], photo):
    assert running.client.post("/api/explain", content=encoded(photo()), headers=headers).status_code == 403
    assert running.client.get("/api/models", headers=headers).status_code == 403
    visit = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    if "Origin" not in headers:  # a link to the page may be followed
        assert running.client.get("/", headers=headers | visit).status_code == 200


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/x"),
        ("POST", "/gradio_api/api/x"),
        ("GET", "/monitoring"),
        ("GET", "/gradio_api/stream/s/1/1/playlist.m3u8"),
        ("POST", "/gradio_api/process_recording"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/assets/../../../etc/hostname"),
        ("GET", "/static/..%2f..%2fx"),
        ("GET", "/gradio_api/custom_component/a/b/c/d"),
        ("GET", "/docs"),
    ],
)
def test_what_the_page_does_not_need_is_not_there(running: Running, method: str, address: str):
    answer = running.client.request(method, address)
    assert (answer.status_code, answer.json()) == (404, {"error": "There is nothing at this address."})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        b'{"data": []}',
        b'{"data": [1], "fn_index": 0, "session_hash": "s"}',
        b'{"data": [null, 1, 1, 1], "fn_index": 99, "session_hash": "s"}',
        b'{"data": [null, 1, 1, 1], "fn_index": [], "session_hash": "s"}',
        b'{"data": [null, 1, 1, 1], "fn_index": 0, "session_hash": "../s"}',
        b'{"data": [null, 1, 1, 1], "fn_index": 0, "session_hash": 5}',
    ],
)
def test_an_event_of_no_page_is_one_sentence(
    running: Running, body: bytes, capfd: pytest.CaptureFixture[str]
):
    answer = running.client.post("/gradio_api/queue/join", content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "This is no event of the page; reload it.")
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("index", "data", "event"),
    [
        (0, [None, {"a": 1}, [], 5], None),
        (1, ["guided", "none", ""], {"index": ["x", None]}),
        (1, [["guided"], {}, 5], {"index": [1, 2]}),
        (2, ["guided", "none", ""], {"face": "-1"}),
        (2, ["guided", "none", ""], {"expression": ["x"]}),
        (2, ["guided", "none", ""], {"brush": "0.5,7"}),
        (2, ["guided", "none", ""], {"brush": [0.5]}),
        (2, ["guided", "none", ""], {"way": "up"}),
        (2, ["guided", "none", ""], {"way": ["left"]}),
        (2, ["guided", "none", ""], {"box": "0.100,0.200"}),
        (2, ["guided", "none", ""], {"box": "0.500,0.100 0.500,0.900"}),
        (2, ["guided", "none", ""], {"box": [0.1, 0.2, 0.3, 0.4]}),
        (2, ["no such model", "none", ""], {"face": 0}),
        (7, ["guided", "none", "", "much"], None),
    ],
)
def test_wrong_choices_leave_no_traceback(
    running: Running, photo, capfd: pytest.CaptureFixture[str], index: int, data: list[Any], event: Any
):
    session = f"w{abs(hash(repr((index, data, event))))}"
    upload = running.client.post("/gradio_api/upload", files={"files": ("x.png", encoded(photo()))})
    for number, values, chosen in (
        (0, [file_of(upload.json()[0]), "guided", "none", ""], None),
        (index, data, event),
    ):
        assert join(running, values, number, session, event_data=chosen).status_code == 200
        said = running.client.get("/gradio_api/queue/data", params={"session_hash": session}).text
        assert '"process_completed"' in said
    assert "Traceback" not in "".join(capfd.readouterr())


def test_events_are_checked_wherever_a_file_may_hide():
    def check(data: list[Any], event_data: Any = None) -> None:
        event = {"data": data, "event_data": event_data, "fn_index": 3, "session_hash": "s"}
        read = check_event(json.dumps(event).encode(), "h", {3: 1}, lambda path, _: path == "/up/1")
        assert json.loads(read) == event

    check([None])
    check([file_of("/up/1")])
    check([file_of("/up/1", url="http://h/gradio_api/file=/up/1")])
    for wrong in (
        file_of("/up/2"),
        {"url": "http://h/x"},
        {"path": ["/up/1"]},
        {"a": [{"path": "/etc/x"}]},
        {"meta": {"_type": "gradio.FileData"}},
    ):
        with pytest.raises(Forbidden):
            check([wrong])
        with pytest.raises(Forbidden):
            check([None], wrong)


def test_a_client_does_not_name_itself(running: Running, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(Rate, "wait", lambda self, client: seen.append(client) or 0)
    running.client.get("/api/models", headers={"X-Forwarded-For": "10.1.2.3"})
    assert seen == ["127.0.0.1"]


def test_half_a_request_is_let_go(running: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ImpatientProtocol, "patience", 0.2)
    host, port = running.address.removeprefix("http://").split(":")
    for sent in (
        b"",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n",
        b"GET /api/models HTTP/1.1\r\nHost: localhost\r\n\r\nGET",
    ):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(sent)
            while connection.recv(65536):  # ends only when the server ends it
                pass


async def _ask(limits: Limits, messages: list[dict[str, Any]], length: int) -> int:
    """Status of a POST whose body comes in these messages, and then no more."""
    sent: list[Any] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(b"content-length", str(length).encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        await asyncio.sleep(60)
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await limits(scope, receive, send)  # pyright: ignore[reportArgumentType]
    return sent[0]["status"]


def test_a_body_that_does_not_come_is_not_waited_for():
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse

    async def read(scope: Any, receive: Any, send: Any) -> None:
        data = await Request(scope, receive).body()
        await PlainTextResponse(str(len(data)))(scope, receive, send)

    limits = Limits(read, max_bytes=1000, per_minute=100, patience=0.05)
    part = {"type": "http.request", "body": b"x" * 10, "more_body": True}
    assert asyncio.run(_ask(limits, [part, {**part, "more_body": False}], 20)) == 200
    assert asyncio.run(_ask(limits, [part], 20)) == 408
    assert asyncio.run(_ask(limits, [{**part, "body": b"x" * 70_000}], 20)) == 413


def test_what_killed_servers_left_behind_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("killed", "runs", "new"):
        (tmp_path / f"aucue-page-{name}").mkdir()
        (tmp_path / f"aucue-page-{name}" / "photograph").touch()
        lock = tmp_path / f"aucue-page-{name}" / ".lock"
        lock.touch()
        if name != "new":
            os.utime(lock, (0, 0))
    (tmp_path / "aucue-page-others").mkdir()
    with FileLock(tmp_path / "aucue-page-runs" / ".lock"):
        os.utime(tmp_path / "aucue-page-runs" / ".lock", (0, 0))
        with own_folder() as folder:
            left = {path.name for path in tmp_path.iterdir()}
            assert left == {"aucue-page-runs", "aucue-page-new", "aucue-page-others", folder.name}
    assert not folder.exists()
