import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from aucue.app import Service, views
from aucue.errors import InputError
from aucue.explanation import Explainer
from aucue.explanation import explanation as explanation_module
from aucue.explanation.explanation import percent
from aucue.faces import Pose
from aucue.facs import Codebook

from .conftest import Running, tiny_model


class Elements(HTMLParser):
    """All start tags with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def having(self, attribute: str) -> dict[str | None, dict[str, str | None]]:
        return {attributes[attribute]: attributes for _, attributes in self.tags if attribute in attributes}


@pytest.fixture
def session(service: Service, photo):
    return service.open(photo(2))


def shown(service: Service, session, *models: str) -> Elements:
    return Elements(views.results(session, [service.view(session, name) for name in models or ("guided",)]))


def test_results_say_what_is_seen(service: Service, session):
    page = shown(service, session)
    explanation = service.view(session, "guided").explanation
    assert explanation.if_hidden is not None
    text = " ".join(page.text.replace("\u00a0", " ").split())
    assert f"happiness {100 * explanation.probability:.0f} %" in text
    assert explanation.finding in text
    bars = page.having("data-expression")
    assert set(explanation.probabilities) <= set(bars)
    widths = [float(m) for m in re.findall(r"width: ([\d.]+)%", str(page.tags))]
    assert widths == pytest.approx([100 * p for p in explanation.probabilities.values()], abs=0.06)
    assert bars["happiness"]["aria-pressed"] == "true"
    assert bars["fear"]["aria-pressed"] == "false"


def test_every_picture_has_words_and_comes_along(service: Service, session):
    pictures = [attributes for tag, attributes in shown(service, session).tags if tag == "img"]
    # thumbnails; the photograph and the face to draw on; faces under maps; maps
    assert len(pictures) == 2 + 1 + 1 + 5 + 3
    assert all(each["src"].startswith("data:image/") and each["alt"] is not None for each in pictures)  # pyright: ignore


def test_another_expression_changes_class_map_and_expectation(service: Service, session):
    def heats(page: Elements) -> list[str | None]:
        return [a["src"] for tag, a in page.tags if tag == "img" and a.get("class") == "heat"]

    before = heats(shown(service, session))
    session.look_at(expression="fear")
    page = shown(service, session)
    attention, class_map, expected = heats(page)
    assert attention == before[0]
    assert class_map != before[1]
    assert expected != before[2]
    assert page.having("data-expression")["fear"]["aria-pressed"] == "true"
    assert "where the map for fear lies" in page.text
    assert "Did it look where fear shows?" in page.text
    assert "(the answer is happiness," in page.text.replace("\u00a0", " ")
    session.look_at(expression="neutral")
    page = shown(service, session)
    assert len(heats(page)) == 2
    assert "A neutral face shows no action unit" in page.text


def test_faces_to_choose_from(service: Service, session, photo):
    session.look_at(face=1)
    faces = shown(service, session).having("data-face")
    assert [faces[i]["aria-pressed"] for i in ("0", "1")] == ["false", "true"]
    assert faces["1"]["aria-label"] == "Face 2"
    assert not shown(service, service.open(photo())).having("data-face")


def test_doubt_and_how_a_face_was_found_are_shown(service: Service, session):
    (form,) = session.faces
    first, second = session.faces[form]
    doubtful = replace(first, presence=0.4, pose=Pose(-0.2, -50.4, 8))
    odd = replace(session, faces={form: (doubtful, second)}, answers={}, seen={})
    page = shown(service, odd)
    text = " ".join(page.text.split())
    assert "Doubtful. May be no face (presence 0.40), not trusted." in text
    assert "Face found in the whole picture; roll 0°, yaw -50°, pitch 8°; presence 0.40." in text
    faces = page.having("data-face")
    assert [faces[i]["aria-label"] for i in ("0", "1")] == ["Face 1, doubtful", "Face 2"]
    assert "Doubtful." not in shown(service, session).text


def test_ways_out_where_no_face_is_found(service: Service, session, photo):
    page = Elements(views.no_face(service.find(photo().point(lambda value: 90))))
    assert "No face was found in this photograph" in page.text
    assert set(page.having("data-way")) == {"whole", "left", "right"}
    assert "data-sheet" in page.having("data-sheet")[""]
    assert set(shown(service, session).having("data-way")) == {"whole", "left", "right"}


def test_two_models_side_by_side(service: Service, session):
    cards = shown(service, session, "guided", "unguided").having("aria-label")
    assert {"guided", "unguided"} <= set(cards)
    answers = [service.view(session, name).explanation for name in service.models]
    text = shown(service, session, "guided", "unguided").text.replace("\u00a0", " ")
    assert all(answer.finding in text for answer in answers)


def test_what_is_put_in_is_escaped(detector, photo):
    name = "<script>alert(1)</script>"
    service = Service({name: tiny_model(0, "fear"), "b": tiny_model(1, "fear")}, detector)
    session = service.open(photo())
    page = shown(service, session, name, "b")
    assert name in page.text
    assert "script" not in {tag for tag, _ in page.tags}
    assert "script" not in {tag for tag, _ in Elements(views.message(name)).tags}


def test_photograph_with_boxes(session):
    marked = np.asarray(views.marked(session)).astype(int)
    x0, y0, _, y1 = session.boxes[0].astype(int)
    assert np.abs(marked[(y0 + y1) // 2, x0] - (250, 190, 60)).max() < 40  # the chosen one, in amber
    x0 = int(session.boxes[1][0])
    assert marked[(y0 + y1) // 2, x0].min() > 190  # the other one, nearly white


def test_picture(service: Service, session):
    one = views.picture([service.view(session, "guided")])
    two = views.picture([service.view(session, name) for name in service.models])
    assert two.width == 2 * one.width
    bare = np.asarray(views.picture([service.view(session, "guided")], opacity=0))
    tile, gap, left = 336, round(336 * 0.075), round(336 * 0.11)
    top = 200  # below the titles
    face, attention, class_map = (
        bare[top : top + 150, left + i * (tile + gap) : left + i * (tile + gap) + tile] for i in range(3)
    )
    assert np.array_equal(face, attention)  # without opacity there is only the face
    assert np.array_equal(face, class_map)
    assert not np.array_equal(np.asarray(one), bare)


def test_places_of_the_expression(service: Service, session):
    explanation = service.view(session, "guided").explanation
    page = shown(service, session)
    text = " ".join(page.text.replace("\u00a0", " ").split())
    assert len(explanation.unit_evidence) == 3
    for unit in explanation.unit_evidence:
        found = unit.class_map
        assert f"{unit.unit.region} {unit.unit} {100 * found.share:.0f} % {found.ratio:.1f}x" in text
    session.look_at(expression="fear")
    text = shown(service, session).text
    assert "AU20 Lip Stretcher" in text
    assert "AU12 Lip Corner Puller, no part of fear" in text or "AU12" not in text


def test_a_saved_picture_is_of_one_expression(service: Service, session):
    session.look_at(expression="fear")
    view = service.view(session, "guided")
    (expected,) = Explainer(service.model("guided")).faces([view.explanation.face], "fear")
    assert view.explanation.sentence == expected.sentence
    assert expected.sentence.startswith("Fear ")
    assert [unit.unit.number for unit in expected.unit_evidence] == [1, 2, 4, 5, 20, 25, 26, 27]
    heading = f"guided: fear, {percent(expected.probabilities['fear'])}"
    assert np.array_equal(np.asarray(views.picture([view])), np.asarray(expected.picture(heading=heading)))
    assert json.loads(views.face_json([view]))["answer"] == "happiness"


def test_numbers_as_a_file(service: Service, session):
    explanation = service.view(session, "guided").explanation
    read = json.loads(views.face_json([service.view(session, "guided")]))
    assert read == {"model": "guided", "readout": "cam", **json.loads(json.dumps(explanation.to_dict()))}
    both = json.loads(views.face_json([service.view(session, name) for name in service.models]))
    assert [each["expression"] for each in both] == ["happiness", "anger"]


def test_record_with_maps(service: Service, session):
    answer = service.read(session, "guided")
    record = json.loads(json.dumps(views.record(answer, maps=True), allow_nan=False))
    assert (record["model"], record["readout"], len(record["faces"])) == ("guided", "cam", 2)
    maps, explanation = record["faces"][0]["maps"], answer.explanations[0]
    assert np.allclose(maps["class_maps"]["fear"], explanation.class_map("fear"), atol=1e-4)
    assert np.allclose(maps["attention"], explanation.attention["layer3"], atol=1e-4)
    assert explanation.cue is not None
    assert np.allclose(maps["expected"], explanation.cue, atol=1e-4)
    assert "maps" not in views.record(answer)["faces"][0]


def test_other_pages_ask_nothing_of_other_places():
    pages = [
        views.welcome(900),
        views.guide(Codebook.load("facs")),
        views.api_guide(["a"], ["cam"]),
    ]
    for page in map(Elements, pages):
        assert not page.having("src")
        assert not page.having("href")
    assert "15 minutes" in Elements(pages[0]).text
    assert "AU12 Lip Corner Puller" in Elements(pages[1]).text


def test_the_guide_tells_of_every_picture_that_is_shown(service: Service, session):
    html = views.results(session, [service.view(session, "guided")])
    shown_pictures = re.findall(r"<figcaption><b>([^<]+)</b>", html)
    guide = views.guide(Codebook.load("facs"))
    assert re.findall(r"<dt>([^<]+)</dt>", guide) == shown_pictures
    assert len(shown_pictures) == 5
    assert "Five pictures of a face" in guide


def test_programs_are_told_of_every_address(running: Running):
    guide = views.api_guide(["a"], ["cam"])
    for address, methods in running.client.get("/api/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {address}" in guide


def test_what_decides_as_bars(service: Service, session):
    found = service.view(session, "guided").explanation.if_hidden
    assert found is not None
    page = shown(service, session)
    text = " ".join(page.text.replace("\u00a0", " ").split())
    for region in found.regions:
        assert f"{region.name} {region.numbers} {percent(region.without['happiness'])} left" in text
    rows = [attributes for _, attributes in page.tags if attributes.get("role") == "listitem"]
    assert [row.get("class") == "decides" for row in rows] == [region.matters for region in found.regions]


def test_a_brush_hides_and_the_bars_move(service: Service, session):
    before = shown(service, session)
    explanation = service.view(session, "guided").explanation
    session.paint([(0.5, 0.5), (0.55, 0.5)])
    view = service.view(session, "guided")
    assert view.without is not None
    covered = session.covered(64)
    assert covered[32, 32]
    assert covered.mean() == pytest.approx(np.pi * 0.06**2 + 0.05 * 0.12, rel=0.1)
    assert view.without == Explainer(service.model("guided")).without(explanation.face, covered)
    page = shown(service, session)
    widths = [float(m) for m in re.findall(r"width: ([\d.]+)%", str(page.tags))]
    assert widths == pytest.approx([100 * p for p in view.without.values()], abs=0.06)
    assert "" in page.having("data-brush")
    assert "" not in before.having("data-brush")
    session.paint([])
    assert service.view(session, "guided").without is None
    assert shown(service, session).text == before.text
    session.paint([(0.2, 0.2)])
    session.look_at(face=1)
    assert session.brush == ()


def test_wrong_strokes_are_one_sentence(session):
    with pytest.raises(InputError, match="leaves the face"):
        session.paint([(0.5, 1.5)])
    with pytest.raises(InputError, match="covered too much"):
        session.paint([(0.5, 0.5)] * 5000)
    assert session.brush == ()


def test_a_class_map_without_evidence_is_not_stretched(
    service: Service, session, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(explanation_module, "FAINT", np.inf)
    page = shown(service, session)
    assert "no evidence for happiness" in page.text
    heats = [a for tag, a in page.tags if tag == "img" and a.get("class") == "heat"]
    assert len(heats) == 2  # attention and what is expected
