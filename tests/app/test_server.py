"""The interface for programs, asked over the network of this machine."""

import io
import re
import runpy
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")

from PIL import Image

from aucue.app.service import Service
from aucue.errors import InputError, MissingExtraError

from .conftest import Running, encoded
from .test_uploads import GARBAGE

GUIDE = Path(__file__).parents[2] / "docs" / "serve.md"


def test_explain(running: Running, photo):
    answer = running.client.post("/api/explain", content=encoded(photo(2)))
    assert answer.status_code == 200
    said = answer.json()
    expected = running.service.read(running.service.open(photo(2)), "guided", if_hidden=True).explanations
    assert (said["model"], said["readout"], said["faces_left_out"]) == ("guided", "cam", 0)
    assert [face["sentence"] for face in said["faces"]] == [each.sentence for each in expected]
    for face, each in zip(said["faces"], expected, strict=True):
        assert face["probabilities"] == pytest.approx(each.probabilities)
    options = {"model": "unguided", "readout": "layercam", "maps": "true"}
    other = running.client.post("/api/explain", params=options, content=encoded(photo(), "JPEG"))
    assert (other.json()["model"], other.json()["readout"]) == ("unguided", "layercam")
    assert set(other.json()["faces"][0]["maps"]) == {"attention", "class_maps", "log_odds", "expected"}


def test_a_form_is_as_good_as_a_body(running: Running, photo):
    content = encoded(photo(2))
    plain = running.client.post("/api/explain", content=content).json()
    form = running.client.post("/api/explain", files={"photo": ("a.png", content, "image/png")})
    assert form.json() == plain
    empty = running.client.post("/api/explain", data={"a": "b"}, files={"x": ("", b"")})
    assert empty.status_code == 400


def test_several_photographs_at_once(running: Running, photo):
    good = encoded(photo(2))
    files = [("photo", ("a.png", good)), ("photo", ("bad.png", b"nothing")), ("photo", ("c.png", good))]
    said = running.client.post("/api/batch", files=files, params={"model": "unguided"}).json()["photographs"]
    assert [each["name"] for each in said] == ["a.png", "bad.png", "c.png"]
    assert said[0]["faces"] == said[2]["faces"]
    assert said[0]["model"] == "unguided"
    assert said[1]["error"].startswith("This file is not a picture that can be read")
    assert running.client.post("/api/batch", files=[("p", ("a", b""))] * 33).status_code == 400
    assert running.client.post("/api/batch", files=files, params={"model": "x"}).status_code == 400


def test_one_photograph_is_not_taken_for_another(running: Running, photo):
    files = [("photo", ("a.png", encoded(photo()))), ("photo", ("b.png", encoded(photo(2))))]
    for address in ("/api/explain", "/api/picture"):
        answer = running.client.post(address, files=files)
        assert (answer.status_code, answer.json()["error"]) == (
            400,
            "This address takes one photograph, not 2; send several to /api/batch.",
        )


def test_another_method_is_told_which_one_is_meant(running: Running):
    for method, address, meant in (
        ("GET", "/api/explain", "POST"),
        ("POST", "/api/models", "GET"),
        ("PUT", "/", "GET"),
    ):
        answer = running.client.request(method, address)
        assert answer.status_code == 405
        assert answer.headers["allow"].startswith(meant)
        assert answer.json() == {"error": f"This address takes {meant}, not {method}."}


@pytest.mark.parametrize(("options", "status"), [("", 413), ("?if_hidden=perhaps", 400)])
def test_who_sends_all_before_reading_sees_the_refusal(running: Running, options: str, status: int):
    size = (24 if status == 413 else 16) * 2**20  # more than buffers hold
    request = urllib.request.Request(f"{running.address}/api/explain{options}", data=b"x" * size)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=120)
    with refused.value as answer:
        assert (answer.code, answer.read()[:9]) == (status, b'{"error":')


def test_the_example_asks_a_running_page(
    running: Running, photo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "one.png").write_bytes(encoded(photo()))
    (tmp_path / "letter.png").write_bytes(b"Dear reader")
    example = runpy.run_path(str(GUIDE.parents[1] / "examples" / "08_ask_the_page.py"))
    example["main"](running.address, [tmp_path / "letter.png", tmp_path / "one.png"])
    (explanation,) = running.service.read(running.service.open(photo()), "guided").explanations
    refused, said = capsys.readouterr().out.splitlines()
    assert refused.startswith("letter.png: This file is not a picture that can be read")
    assert said == f"one.png: happiness, {explanation.probability:.1%}"
    with pytest.raises(
        SystemExit, match=r"^No page answers at http://127\.0\.0\.1:1 .*; start one: aucue serve"
    ):
        example["main"]("http://127.0.0.1:1", [tmp_path / "one.png"])


def test_health(running: Running):
    said = running.client.get("/api/health").json()
    assert (said["status"], said["models"]) == ("ok", ["guided", "unguided"])


def test_picture(running: Running, photo):
    options = {"face": 2, "expression": "fear", "opacity": 0.7, "theme": "dark"}
    answer = running.client.post("/api/picture", params=options, content=encoded(photo(2)))
    assert answer.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(answer.content))
    assert picture.getpixel((0, 0)) == (20, 20, 27)


def test_models(running: Running):
    said = running.client.get("/api/models").json()
    assert [model["name"] for model in said["models"]] == ["guided", "unguided"]
    assert said["models"][0]["expressions"][:2] == ["neutral", "happiness"]
    assert "gradcam" in said["readouts"]


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_answered_with_a_sentence(running: Running, name: str):
    data, said = GARBAGE[name]
    answer = running.client.post("/api/explain", content=data)
    assert answer.status_code == 400
    assert re.search(said, answer.json()["error"])


def test_wrong_questions_are_answered_with_a_sentence(running: Running, photo):
    def error(address: str, content: bytes, **options: object) -> tuple[int, str]:
        answer = running.client.post(f"/api/{address}", params=options, content=content)  # pyright: ignore
        return answer.status_code, answer.json()["error"]

    good = encoded(photo())
    assert error("explain", encoded(Image.new("RGB", (90, 90))))[1].startswith("No face was found")
    assert error("explain", good, model="x")[1].startswith("There is no model 'x'")
    assert error("explain", good, method="x")[1].startswith("There is no read-out 'x'")
    assert error("picture", good, face=2) == (400, "There is no face 2: the photograph has 1.")
    assert error("picture", good, expression="boredom")[1].startswith("The model has no class 'boredom'")
    assert error("picture", good, opacity=2)[1].startswith("opacity: ")
    assert error("explain", b"\xff" * (21 * 2**20))[0] == 413


def test_eight_people_at_once(running: Running, photo):
    content = encoded(photo(2))

    def ask(number: int) -> dict:
        readout = "gradcam" if number % 2 else "cam"
        answer = running.client.post("/api/explain", params={"readout": readout}, content=content)
        assert answer.status_code == 200
        return answer.json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert answers[::2] == [answers[0]] * 4
    assert answers[1::2] == [answers[1]] * 4
    assert answers[0]["faces"][0]["probabilities"] == answers[1]["faces"][0]["probabilities"]


def test_nothing_is_written(running: Running, photo):
    running.client.post("/api/explain", content=encoded(photo()))
    upload = running.client.post("/gradio_api/upload", files={"files": ("x.png", encoded(photo()))})
    assert upload.status_code == 200
    assert running.files() == []


def test_no_browser_keeps_an_answer_on_its_disk(running: Running, photo):
    content = encoded(photo())
    (path,) = running.client.post("/gradio_api/upload", files={"files": ("x.png", content)}).json()
    event = {"path": path, "meta": {"_type": "gradio.FileData"}}
    asked = {"data": [event, "guided", "none", ""], "fn_index": 0, "session_hash": "kept"}
    assert running.client.post("/gradio_api/queue/join", json=asked).status_code == 200
    said = running.client.get("/gradio_api/queue/data", params={"session_hash": "kept"})
    running.sessions.drop("kept")
    assert "data:image/jpeg" in said.text  # a GET: browsers would keep the photograph and its faces
    listed = running.client.post("/page/photograph", params={"name": "x"}, content=content)
    for answer in (said, listed, running.client.get("/"), running.client.get("/api/explain")):
        assert answer.headers["cache-control"] == "no-store"
    (script,) = re.findall(r'src="\./(assets/index-[^"]+\.js)"', running.client.get("/").text)
    assert "no-store" not in running.client.get(f"/{script}").headers.get("cache-control", "")


def test_the_page_itself_comes_without_links_elsewhere(running: Running):
    page = running.client.get("/").text
    loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']([^\"']+)", page)
    assert loaded
    assert not [address for address in loaded if address.startswith(("http", "//"))]
    assert "fonts.googleapis" not in running.client.get("/theme.css").text


def test_documentation_is_complete(running: Running):
    schema = running.client.get("/api/openapi.json").json()
    guide = GUIDE.read_text(encoding="utf-8")
    routes = {"health", "models", "explain", "batch", "picture"}
    assert set(schema["paths"]) == {f"/api/{route}" for route in routes}
    for address, methods in schema["paths"].items():
        for method, described in methods.items():
            assert f"{method.upper()} {address}" in guide
            for option in described.get("parameters", []):
                assert f"`{option['name']}`" in guide, (address, option["name"])
    for address in ("/docs", "/redoc"):  # FastAPI's pages would load scripts from elsewhere
        assert "swagger" not in running.client.get(address).text.lower()


def test_ports_that_cannot_be_had(running: Running):
    from aucue.app.server import serve

    port = int(running.address.rpartition(":")[2])
    with pytest.raises(InputError, match=f"Cannot listen at 127.0.0.1, port {port}"):
        serve(running.service, port=port)
    with pytest.raises(InputError, match=r"Cannot listen at a{70}"):
        serve(running.service, host="a" * 70)
    for none in (-1, 65536, 99999):  # the last listened at 34463
        with pytest.raises(InputError, match=f"There is no port {none}"):
            serve(running.service, port=none)


@pytest.mark.parametrize("limits", [{"per_minute": 0}, {"per_minute": -1}, {"max_bytes": 0}])
def test_limits_that_nothing_keeps(service: Service, limits: dict[str, int]):
    from aucue.app.server import new_server

    with pytest.raises(InputError, match=f"at least 1 .*, got {next(iter(limits.values()))}"):
        new_server(service, **limits)  # pyright: ignore[reportArgumentType]


def test_without_gradio(monkeypatch: pytest.MonkeyPatch):
    from aucue.app import server

    def found(name: str) -> None:
        return None

    monkeypatch.setattr(server.importlib.util, "find_spec", found)
    with pytest.raises(MissingExtraError, match=r"pip install 'aucue\[app\]'"):
        server.new_server(Service.__new__(Service))
