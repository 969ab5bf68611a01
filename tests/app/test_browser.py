"""A real browser uses the page: Debian's chromium, driven by Playwright."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gradio", reason="the extra aucue[app] is not installed")
pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from aucue.explanation import ExplainSettings, explain_files
from aucue.models import Model
from aucue.pages import PLOT

from .conftest import Running, TiledFaces, encoded

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
PATIENCE = 60_000  # milliseconds; a machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: what it has loaded once it need not load again."""
    context = browser.new_context(accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, running: Running) -> Iterator[Page]:
    """The page, opened; every request it makes has to stay on this machine."""
    expect.set_options(timeout=PATIENCE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    asked, complaints = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(running.address)
    expect(page.get_by_text("Start with a photograph of a face")).to_be_visible()
    yield page
    page.close()
    deadline = time.monotonic() + PATIENCE / 1000
    while len(running.sessions) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(running.sessions) == 0  # the photograph was forgotten with the page
    assert asked
    elsewhere = [url for url in asked if not url.startswith((running.address, "data:", "blob:"))]
    assert elsewhere == []
    assert complaints == []


def choose(page: Page, data: bytes, name: str = "photo.png") -> None:
    file = {"name": name, "mimeType": "image/png", "buffer": data}
    page.locator("#photograph input[type=file]").set_input_files(file)  # pyright: ignore


def class_map(page: Page) -> str:
    return page.locator("[data-map=class] img.heat").first.get_attribute("src") or ""


def test_from_a_photograph_to_a_file(page: Page, running: Running, photo, tmp_path: Path):
    choose(page, encoded(photo(2)))
    explanations = running.service.read(running.service.open(photo(2)), "guided").explanations
    percent = f"{100 * explanations[0].probability:.0f} %"
    expect(page.get_by_role("heading", name=f"happiness {percent}")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^happiness"))).to_have_attribute(
        "aria-pressed", "true"
    )

    before = class_map(page)
    page.get_by_role("button", name=re.compile("^fear")).click()
    expect(page.get_by_text("where the map for fear lies")).to_be_visible()
    assert class_map(page) != before

    page.get_by_role("button", name="Face 2", exact=True).click()
    expect(page.get_by_role("button", name="Face 2", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("where the map for happiness lies")).to_be_visible()

    page.get_by_label("Class map computed by").click()
    page.get_by_role("option", name="LayerCAM").click()
    expect(page.locator("[data-map=class] img.heat")).not_to_have_attribute("src", before)
    page.get_by_label("Compare with").click()
    page.get_by_role("option", name="unguided").click()
    expect(page.locator(".aq .card")).to_have_count(2)

    with page.expect_download() as numbers:
        page.get_by_role("button", name="Save JSON").click()
    assert re.fullmatch(r"photo(_face\d)?\.json", numbers.value.suggested_filename)
    numbers.value.save_as(tmp_path / "numbers.json")
    said = json.loads((tmp_path / "numbers.json").read_text())
    assert [(each["model"], each["readout"]) for each in said] == [
        ("guided", "layercam"),
        ("unguided", "layercam"),
    ]
    assert said[0]["probabilities"] == pytest.approx(explanations[1].probabilities)
    with page.expect_download() as picture:
        page.get_by_role("button", name="Save picture").click()
    assert re.fullmatch(r"photo(_face\d)?\.png", picture.value.suggested_filename)
    picture.value.save_as(tmp_path / "picture.png")
    assert np.asarray(Image.open(tmp_path / "picture.png")).std() > 20
    assert running.files() == []


def test_a_brush_hides_what_it_covers(page: Page, photo):
    choose(page, encoded(photo()))
    pad = page.locator("[data-pad]")
    expect(pad).to_be_visible()
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    before = page.locator("[data-pad] img").get_attribute("src")
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4, steps=8)
    page.mouse.up()
    again = page.get_by_role("button", name="Show all again")
    expect(again).to_be_visible()
    assert page.locator("[data-pad] img").get_attribute("src") != before
    again.click()
    expect(again).to_have_count(0)
    assert page.locator("[data-pad] img").get_attribute("src") == before


def test_ways_out_where_no_face_is_found(page: Page):
    choose(page, encoded(Image.new("RGB", (320, 200), (90, 90, 90))))
    alert, sheet = page.get_by_role("alert"), page.locator("[data-sheet]")
    expect(alert).to_contain_text("No face was found in this photograph")
    expect(page.locator("#photograph img")).to_be_visible()  # it stays in view
    page.get_by_role("button", name="Turn left").click()
    expect(sheet).to_have_attribute("style", re.compile("aspect-ratio: 200 / 320"))
    box = sheet.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.2 * box["height"], steps=4)
    page.mouse.up()
    expect(page.get_by_text("Face in a box that was given")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("Doubtful. May be no face")
    page.get_by_text("Not the face you mean?").click()
    page.get_by_role("button", name="Take the whole picture").click()
    expect(page.get_by_text("Face not found: the whole picture was taken as the face")).to_be_visible()
    expect(page.locator("#aq-saved")).to_be_hidden()


def test_opacity_is_changed_at_once(page: Page, photo):
    choose(page, encoded(photo()))
    heat = page.locator("[data-map=class] img.heat")
    expect(heat).to_have_css("opacity", "0.5")
    page.get_by_role("spinbutton", name=re.compile("Opacity")).fill("80")
    expect(heat).to_have_css("opacity", "0.8")


def test_garbage_is_one_sentence_and_the_page_goes_on(page: Page, photo):
    choose(page, b"Dear reader", "photo.jpg")
    expect(page.get_by_role("alert")).to_contain_text("This file is not a picture that can be read")
    choose(page, encoded(photo()))
    expect(page.get_by_role("heading", name=re.compile("^happiness"))).to_be_visible()
    page.locator("#photograph").get_by_role("button", name=re.compile("clear|remove", re.I)).click()
    expect(page.get_by_text("Start with a photograph of a face")).to_be_visible()


def test_several_photographs_and_a_video(page: Page, running: Running, photo, clip: bytes, tmp_path: Path):
    page.get_by_role("tab", name="Several").click()
    given = [
        ("one.png", "image/png", encoded(photo(2))),
        ("letter.png", "image/png", b"Dear reader"),
        ("wall.png", "image/png", encoded(Image.new("RGB", (64, 64)))),
        ("last.png", "image/png", encoded(photo())),
        ("clip.mp4", "video/mp4", clip),
    ]
    files = [{"name": name, "mimeType": kind, "buffer": data} for name, kind, data in given]
    page.locator("#aq-several input[type=file]").set_input_files(files)  # pyright: ignore
    part = page.locator("#aq-several")
    expect(part.get_by_text("5 of 5 finished, 2 without an answer.")).to_be_visible()
    listed = part.locator(".gallery li")
    expect(listed).to_contain_text(["one.png", "not a picture that can be read", "No face", "last.png"])
    listed.first.get_by_role("button").click()
    expect(part.get_by_role("heading", name=re.compile("^happiness"))).to_have_count(2)
    expect(part.get_by_role("img", name=re.compile("The face with its maps"))).to_be_visible()
    with page.expect_download() as table:
        part.get_by_role("button", name="Save CSV").first.click()
    table.value.save_as(tmp_path / "table.csv")
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 4
    with page.expect_download() as lines:
        part.get_by_role("button", name="Save JSON").click()
    lines.value.save_as(tmp_path / "lines.jsonl")
    faces = [json.loads(line)["faces"] for line in (tmp_path / "lines.jsonl").read_text().splitlines()]
    assert faces == [2, 2, 0, 1]

    expect(part.get_by_text("12 frames looked at, 12 faces")).to_be_visible()
    part.locator("[data-time]").last.click()
    expect(part.locator(".chart .now").first).to_be_attached()
    part.get_by_role("button", name="Clear").click()
    expect(part.locator(".film, .gallery li")).to_have_count(0)
    assert running.files() == []


def test_files_wait_for_a_server_that_does_not_answer(page: Page, photo, clip: bytes, tmp_path: Path):
    page.get_by_role("tab", name="Several").click()
    part = page.locator("#aq-several")
    (tmp_path / "clip.mp4").write_bytes(clip)
    for name in ("gone.png", "here.png"):
        (tmp_path / name).write_bytes(encoded(photo()))
    page.route("**/page/*", lambda route: route.abort())
    part.locator("input[type=file]").set_input_files(sorted(tmp_path.iterdir()))
    on = part.get_by_role("button", name="Go on")
    expect(on).to_be_visible()
    expect(part.get_by_text("0 of 3 finished, stopped. The server does not answer")).to_be_visible()
    expect(part.locator(".failed")).to_have_count(0)
    page.unroute("**/page/*")
    (tmp_path / "gone.png").unlink()
    on.click()
    expect(part.get_by_text(re.compile(r"3 of 3 finished, 1 without an answer\.\s*$"))).to_be_visible()
    expect(part.locator(".gallery li")).to_contain_text(
        ["This file cannot be read: it was moved", "here.png"]
    )
    expect(part.get_by_text("12 frames looked at, 12 faces")).to_be_visible()


def test_programs_are_told_the_address_that_was_opened(context: BrowserContext, running: Running):
    address = running.address.replace("127.0.0.1", "localhost")
    page = context.new_page()
    page.goto(address)
    page.get_by_role("tab", name="For programs").click()
    expect(page.get_by_text(f"curl --data-binary @photo.jpg {address}/api/explain")).to_be_visible()
    page.close()


def test_the_smallest_and_largest_percentage_stay_in_one_line(page: Page, photo):
    choose(page, encoded(photo()))
    for place in (".bars .predicted .value", ".losses .value"):
        value = page.locator(place).first
        assert value.evaluate(
            """(value) => {
              value.textContent = value.textContent.replace(/^.*%/, '>99.9 %');
              return value.scrollWidth <= value.clientWidth && value.clientHeight < 30;
            }"""
        )


def test_curves_of_a_written_page_follow_its_video(
    context: BrowserContext, models: dict[str, Model], detector: TiledFaces, clip: bytes, tmp_path: Path
):
    """The page of `aucue explain` holds the script that this page asks for."""
    (tmp_path / "clip.mp4").write_bytes(clip)
    model = models["guided"].save(tmp_path / "model.safetensors")
    settings = ExplainSettings(workers=1, fps=10)
    assert explain_files([tmp_path / "clip.mp4"], model, tmp_path / "out", settings, detector=detector).ok
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto((tmp_path / "out" / "index.html").as_uri())
    chart = page.locator(".chart")
    box = chart.bounding_box()
    assert box is not None
    middle = (PLOT["left"] + PLOT["across"] / 2) / PLOT["width"] * box["width"]
    chart.click(position={"x": middle, "y": box["height"] / 2})
    halfway = (float(chart.get_attribute("data-from") or 0) + float(chart.get_attribute("data-to") or 0)) / 2
    assert page.locator("video").evaluate("video => video.currentTime") == pytest.approx(halfway, abs=0.01)
    expect(page.locator(".chart .now")).to_be_attached()
    page.locator("[data-time]").click()
    assert page.locator("video").evaluate("video => video.currentTime") == 0
    assert complaints == []
    page.close()


def test_live_camera(page: Page):
    page.get_by_role("tab", name="Camera").click()
    page.get_by_role("button", name="Start the camera").click()
    part = page.locator("#aq-camera")
    expect(part.get_by_role("status")).to_contain_text(re.compile(r"[1-9][\d.]* frames per second"))
    expect(part.locator(".predicted .name")).to_have_text("happiness")
    page.get_by_role("button", name="Explain this frame").click()
    expect(part.get_by_role("heading", name="This frame")).to_be_visible()
    expect(part.get_by_role("img", name=re.compile("The face with its maps")).first).to_be_visible()
    page.get_by_role("button", name="Stop the camera").click()
    expect(part.locator("[data-part=picture]")).to_be_hidden()


def test_camera(page: Page):
    page.locator("#photograph").get_by_role("button", name="Capture from camera").click()
    page.get_by_text(re.compile("click to access webcam", re.I)).click()
    page.wait_for_function("document.querySelector('#photograph video')?.videoWidth > 0")
    page.wait_for_function("document.querySelector('#photograph video').currentTime > 0")
    page.locator("#photograph").get_by_role("button", name="capture photo").click()
    # chromium's own test picture has contrast: the detector here takes it for a row of faces
    expect(page.get_by_role("heading", name=re.compile("^happiness"))).to_be_visible()
