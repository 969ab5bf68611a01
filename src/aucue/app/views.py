"""Explanations as HTML, pictures and JSON: pure functions, nothing is asked or kept."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from aucue.app.service import BRUSH, Answer, FaceView, Session
from aucue.explanation.curves import TrackCurves
from aucue.explanation.explanation import CAVEAT, FOUND, LOGITS, Explanation, Map, percent
from aucue.explanation.inputs import VIDEO_SUFFIXES
from aucue.explanation.units import PREFERENCE, MapShare, UnitEvidence
from aucue.faces import Face
from aucue.facs import Codebook
from aucue.pages import PLOT, environment
from aucue.pictures import colormap, draw_boxes, normalize, overlay_signed, theme_of, to_data_uri, upsample

_MAP_SIDE = 224  # pixels of the maps in the page
_THUMBNAIL = 96
_SHEET = 640  # of the photograph to draw on
_LOOKED_AT, _OTHER = (250, 190, 60), (235, 235, 240)  # colours of boxes


def results(session: Session, views: Sequence[FaceView]) -> str:
    """What the models say about the face that is looked at, as HTML.

    Its buttons carry `data-face` (an index) or `data-expression` (a class): what to look at next; or
    `data-way`: how to look for a face that is not among those.

    Args:
        session: The photograph.
        views: One per model.
    """
    first = views[0]
    return _render(
        "results.html.j2",
        faces=_faces(session),
        sheet=_sheet(session),
        left_out=session.left_out,
        cards=[_card(view, session) for view in views],
        brush=BRUSH,
        expression=first.explanation.expression,
        predicted=all(view.explanation.expression == view.explanation.answer for view in views),
        caveat=CAVEAT,
    )


def no_face(session: Session) -> str:
    """What to do about a photograph in which no face was found, as HTML: see `results` for its buttons.

    Args:
        session: The photograph.
    """
    return _render("no_face.html.j2", sheet=_sheet(session))


def message(sentence: str) -> str:
    """One sentence instead of results: what went wrong and what to do."""
    return _render("message.html.j2", sentence=sentence)


def welcome(seconds_kept: float) -> str:
    """What stands there before there are results: what to do.

    Args:
        seconds_kept: How long a photograph stays in memory.
    """
    return _render("welcome.html.j2", minutes=round(seconds_kept / 60))


def guide(codebook: Codebook) -> str:
    """What the maps mean and what they do not, as HTML.

    Args:
        codebook: Whose expressions and action units are listed.
    """
    units = sorted({unit for entry in codebook.entries.values() for unit in entry})
    expressions = {name: entry for name, entry in codebook.entries.items() if entry}
    return _render(
        "guide.html.j2",
        units=[codebook.action_units[number] for number in units],
        expressions=expressions,
        codebook=codebook.name,
    )


def api_guide(models: Sequence[str], readouts: Sequence[str]) -> str:
    """How programs ask, as HTML. In elements of class `origin` belongs the address of the page, which the
    browser alone knows: a port may be forwarded.

    Args:
        models: Names of the models.
        readouts: Names of the read-outs.
    """
    return _render("api.html.j2", models=models, readouts=readouts)


def several(models: Sequence[str], seconds: float, video_bytes: int) -> str:
    """Where many photographs and videos are dropped, as HTML; the script `several.js` makes it work.

    Args:
        models: Names of the models.
        seconds: Length that a video may have.
        video_bytes: Size that it may have.
    """
    limits = {"minutes": round(seconds / 60), "video_bytes": video_bytes}
    videos = ",".join(sorted(VIDEO_SUFFIXES))
    return _render("several.html.j2", models=models, plot=PLOT, caveat=CAVEAT, videos=videos, **limits)


def camera(models: Sequence[str]) -> str:
    """Where the picture of the camera is shown, as HTML; the script `camera.js` makes it work.

    Args:
        models: Names of the models.
    """
    return _render("camera.html.j2", models=models, caveat=CAVEAT)


def curves(
    tracks: Sequence[TrackCurves], pictures: Mapping[str, str], *, left_out: int = 0, missing: str = ""
) -> str:
    """The curves of a video's tracks, as HTML; its buttons carry `data-time`, in seconds.

    Args:
        tracks: The curves.
        pictures: Data URIs of the faces of their moments, by name.
        left_out: Tracks that are not among them.
        missing: What the file lacks, see `FilmReader`.
    """
    return _render("tracks.html.j2", tracks=tracks, pictures=pictures, left_out=left_out, missing=missing)


def marked(session: Session) -> Image.Image:
    """The photograph with a box around each face, numbered where there are several; the one that is looked at
    in another colour.
    """
    boxes, picture = session.boxes, np.asarray(session.preview)
    if not len(boxes):
        return Image.fromarray(picture)
    order = sorted(range(len(boxes)), key=lambda i: i == session.face)  # that one last, over the others
    labels = [str(i + 1) for i in order] if len(boxes) > 1 else None
    colors = [_LOOKED_AT if i == session.face else _OTHER for i in order]
    return Image.fromarray(draw_boxes(picture, boxes[order], labels, colors=colors))


def picture(
    views: Sequence[FaceView], opacity: float = 0.5, theme: Literal["light", "dark"] = "light"
) -> Image.Image:
    """What is seen as one picture; two models side by side.

    Args:
        views: One per model.
        opacity: Share of the maps' colours over the face, in [0, 1].
        theme: Colours.
    """
    pictures = [
        view.explanation.picture(
            theme,
            opacity=opacity,
            heading=f"{view.model}: {view.explanation.expression}, {percent(view.explanation.probability)}",
        )
        for view in views
    ]
    size = sum(each.width for each in pictures), max(each.height for each in pictures)
    canvas, left = Image.new("RGB", size, theme_of(theme).background), 0
    for each in pictures:
        canvas.paste(each, (left, 0))
        left += each.width
    return canvas


def record(answer: Answer, maps: bool = False) -> dict[str, Any]:
    """What a model says about all faces, in plain values for JSON.

    Args:
        answer: What it says.
        maps: Also give the maps, as rows of numbers.
    """
    faces = []
    for explanation in answer.explanations:
        faces.append(explanation.to_dict() | ({"maps": _maps(explanation)} if maps else {}))
    return {"model": answer.model, "readout": answer.readout, "faces": faces}


def face_json(views: Sequence[FaceView]) -> str:
    """What the models say about the face that is looked at, as the text of a JSON file."""
    said = [{"model": v.model, "readout": v.readout, **v.explanation.to_dict()} for v in views]
    return json.dumps(said[0] if len(said) == 1 else said, indent=2, allow_nan=False) + "\n"


def _maps(explanation: Explanation) -> dict[str, Any]:
    def rows(map_: Map) -> list[list[float]]:
        return [[round(value, 4) for value in row] for row in map_.tolist()]

    return {
        "attention": rows(explanation.attention[explanation.layer]),
        "class_maps": {name: rows(map_) for name, map_ in explanation.class_maps.items()},
        "log_odds": rows(explanation.log_odds_map),
        "expected": None if explanation.cue is None else rows(explanation.cue),
    }


def _faces(session: Session) -> list[dict[str, Any]]:
    """Thumbnails to choose from; none where there is one face only."""
    faces = next(iter(session.faces.values()))
    if len(faces) == 1:
        return []
    thumbnails = [Image.fromarray(face.crop).resize((_THUMBNAIL, _THUMBNAIL)) for face in faces]
    return [
        {
            "number": i + 1,
            "uri": to_data_uri(thumbnail, "jpeg"),
            "chosen": i == session.face,
            "doubt": face.doubt,
        }
        for i, (face, thumbnail) in enumerate(zip(faces, thumbnails, strict=True))
    ]


def _sheet(session: Session) -> dict[str, Any]:
    """The photograph to draw a box on."""
    picture = session.preview.copy()
    picture.thumbnail((_SHEET, _SHEET))
    return {"uri": to_data_uri(picture, "jpeg"), "width": picture.width, "height": picture.height}


def _found(face: Face) -> str:
    """How a face was found, and how its head is turned, in a line."""
    said = [f"Face {FOUND.get(face.how, face.how)}"]
    if face.pose is not None:
        said.append(", ".join(f"{name} {round(angle)}°" for name, angle in face.pose._asdict().items()))
    if math.isfinite(face.presence):
        said.append(f"presence {face.presence:.2f}")
    return "; ".join(said)


def _card(view: FaceView, session: Session) -> dict[str, Any]:
    """What the template shows of one model, in plain values."""
    explanation, expression = view.explanation, view.explanation.expression
    answer, measured = explanation.answer, explanation.cue is not None
    cosines = (explanation.attention_cosines.get(explanation.layer), explanation.class_map_cosine)
    attention = normalize(explanation.attention[explanation.layer])
    return {
        "model": view.model,
        "readout": view.readout_title,
        "predicted": answer,
        "percent": percent(explanation.probabilities[answer]),
        "unsure": explanation.probabilities[answer] < 0.5,
        "doubt": explanation.face.doubt,
        "found": _found(explanation.face),
        "finding": explanation.finding,
        "bars": [
            {
                "name": name,
                "share": probability,
                "percent": percent(probability),
                "shown": name == expression,
                "before": explanation.probabilities[name],
            }
            for name, probability in (view.without or explanation.probabilities).items()
        ],
        "face": to_data_uri(explanation.face.crop, "jpeg"),
        "attention": _heat(attention),
        "class_map": _heat(explanation.drawn_class_map),
        "class_map_empty": not explanation.has_evidence,
        "signed": to_data_uri(
            overlay_signed(explanation.face.crop, explanation.log_odds_map, LOGITS, 0.8), "jpeg"
        ),
        "logits": f"{LOGITS:.0f}",
        "hidden": _hidden(explanation),
        "why_not_measured": explanation.why_not_measured,
        "brushed": to_data_uri(_brushed(explanation, session), "jpeg"),
        "has_strokes": bool(session.brush),
        "expected": None if explanation.cue is None else _heat(explanation.cue),
        "why_nothing_expected": explanation.why_no_cue,
        "shown": expression,
        "units": [_unit(unit) for unit in explanation.unit_evidence],
        "elsewhere": _elsewhere(explanation),
        "agreement": [f"{value:.2f}" for value in cosines] if measured else [],
        "even": f"{explanation.uniform_cosine:.2f}" if measured else "",
    }


def _hidden(explanation: Explanation) -> list[dict[str, Any]]:
    """Bars of what is lost when regions are hidden, in percent of a common scale."""
    regions = explanation.if_hidden.regions if explanation.if_hidden else ()
    controls = [region.control.points for region in regions if region.control]
    ends = [0.0, 0.1, *controls, *(region.loss.points for region in regions)]
    low, high = min(ends), max(ends)

    def place(points: float) -> str:
        return f"{100 * (points - low) / (high - low):.1f}"

    return [
        {
            "region": region.name,
            "units": region.numbers,
            "left": percent(region.without[explanation.expression]),
            "begin": place(min(0.0, region.loss.points)),
            "end": place(max(0.0, region.loss.points)),
            "control": place(region.control.points) if region.control else None,
            "matters": region.matters,
            "seen": region.seen,
        }
        for region in regions
    ]


def _brushed(explanation: Explanation, session: Session) -> np.ndarray:
    """The face with what the brush covers in one colour."""
    crop = explanation.face.crop.copy()
    covered = session.covered(len(crop))
    if covered.any():
        crop[covered] = crop[covered].mean(axis=0).round().astype(np.uint8)
    return crop


def _unit(evidence: UnitEvidence) -> dict[str, Any]:
    """A row of the table of action units."""
    return {
        "region": evidence.unit.region,
        "unit": str(evidence.unit),
        "class_map": _share(evidence.class_map),
        "attention": _share(evidence.attention),
    }


def _elsewhere(explanation: Explanation) -> dict[str, Any] | None:
    """The row of the region where the class map is densest outside of those expected."""
    other = explanation.evidence.elsewhere
    expected = {evidence.unit.region for evidence in explanation.unit_evidence}
    return None if other is None or other.unit.region in expected else _unit(other)


def _share(found: MapShare) -> dict[str, Any]:
    liking = "liked" if found.ratio >= PREFERENCE else "shunned" if found.ratio <= 1 / PREFERENCE else ""
    return {"percent": percent(found.share), "ratio": f"{found.ratio:.1f}", "liking": liking}


def _heat(map_: Map) -> str:
    """The colours of a map, to be laid over the face by the browser."""
    return to_data_uri(colormap(upsample(map_, (_MAP_SIDE, _MAP_SIDE)).clip(0, 1)), "jpeg", quality=92)


def _render(template: str, **values: Any) -> str:
    return environment("app").get_template(template).render(**values)
