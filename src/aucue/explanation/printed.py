"""A report to print or to send: faces, answers, evidence, and what it does not mean, in one HTML file."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from aucue.errors import InputError, OutputExistsError, printable
from aucue.explanation.explanation import CAVEAT, FOUND
from aucue.explanation.records import LOG_FILE
from aucue.explanation.settings import FacesShown
from aucue.explanation.table import TABLE_FILE
from aucue.faces import read_image, transform_points
from aucue.pages import environment, write_page
from aucue.pictures import to_data_uri
from aucue.work.files import inside

_SIDE, _BLUR = 256, 14.0  # pixels of each of the two pictures
_LINES = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68))
_CLOSED = (36, 42, 48, 60)  # of these lines, those that end where they begin, by their first point


def write_printed(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    records: Iterable[Mapping[str, Any]],
    unread: Sequence[str] = (),
    *,
    videos: int = 0,
    faces: FacesShown = "shown",
    overwrite: bool = False,
) -> Path:
    """Write the report of explained photographs: one HTML file that holds its pictures, made to be printed.

    Args:
        path: The file, ending in .html.
        folder: Where the explanations lie.
        records: Of the faces, as `ExplainReport.records` has them.
        unread: Files that could not be read, a sentence each.
        videos: How many videos were explained as well; the page says that it does not show them.
        faces: "shown", "blurred", or "outlines", drawn from the landmarks, where people are not to be
            recognised. File names stay.
        overwrite: Replace an existing file.

    Raises:
        InputError: The name ends otherwise.
        OutputExistsError: The file exists.
    """
    path, folder = Path(path), Path(folder)
    check_report(path, overwrite)
    records = list(records)
    shown = [record for record in records if record["faces"]]
    tables = [os.path.relpath(folder / name, path.parent) for name in (TABLE_FILE, LOG_FILE)]
    page = environment("explanation").get_template("printed.html.j2")
    return write_page(
        path,
        page.render(
            title="Expressions in photographs",
            photos=len({record["photo"] for record in records}),
            counts=Counter(record["expression"] for record in shown).most_common(),
            people=[_face(record, folder, faces) for record in shown],
            faceless=[printable(Path(record["photo"]).name) for record in records if not record["faces"]],
            unread=unread,
            videos=videos,
            faces=faces,
            tables=tables,
            model=shown[0]["model"] if shown else None,
            calibrated=bool(shown) and all(record.get("calibrated") for record in shown),
        ),
    )


def check_report(path: Path, overwrite: bool = False) -> None:
    """Refuse a file that a report cannot be written to.

    Raises:
        InputError: The name ends otherwise.
        OutputExistsError: The file exists and `overwrite` is not set.
    """
    if path.suffix not in (".html", ".htm"):
        raise InputError(f"{path}: a report ends in .html; print it to PDF from a browser.")
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another file or pass --overwrite.")


def _face(record: Mapping[str, Any], folder: Path, faces: FacesShown) -> dict[str, Any]:
    probabilities = record["probabilities"]
    ranked = sorted(probabilities, key=lambda name: -probabilities[name])[:3]
    how = record["face"]["how"]
    return {
        "photo": printable(Path(record["photo"]).name),
        "number": record["number"] if record["faces"] > 1 else None,
        "expression": record["expression"],
        "probabilities": [(name, probabilities[name]) for name in ranked],
        "sentence": printable(record["sentence"].removesuffix(CAVEAT).strip()),
        "how": FOUND.get(how, how),
        "picture": _picture(record, folder, faces),
    }


def _picture(record: Mapping[str, Any], folder: Path, faces: FacesShown) -> str:
    """Face and class map side by side, as text."""
    thumbnail = inside(folder, record["thumbnail"], "explanations.jsonl")
    both = read_image(thumbnail).resize((2 * _SIDE, _SIDE), Image.Resampling.BICUBIC)
    return to_data_uri(_HIDDEN[faces](both, record), "jpeg", 85)


def _shown(both: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    return both


def _blurred(both: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    return both.filter(ImageFilter.GaussianBlur(_BLUR))


def _outlines(both: Image.Image, record: Mapping[str, Any]) -> Image.Image:
    """Nothing of the face but its landmarks; its class map, blurred, behind them."""
    plain = Image.new("RGB", both.size, (238, 236, 232))
    plain.paste(_blurred(both, record).crop((_SIDE, 0, 2 * _SIDE, _SIDE)), (_SIDE, 0))
    face = record["face"]
    if face["landmarks"] is None:
        return plain
    points = transform_points(np.array(face["photo_to_crop"]), np.array(face["landmarks"]))
    points = (points + 0.5) * (_SIDE / face["crop_size"])
    draw = ImageDraw.Draw(plain)
    for first, last in _LINES:
        line = [tuple(point) for point in points[first:last].tolist()]
        line += line[:1] if first in _CLOSED else []
        for left, ink in ((0, (60, 58, 70)), (_SIDE, (255, 255, 255))):
            draw.line([(x + left, y) for x, y in line], ink, 2, "curve")
    return plain


_HIDDEN: Mapping[str, Callable[[Image.Image, Mapping[str, Any]], Image.Image]] = MappingProxyType(
    {"shown": _shown, "blurred": _blurred, "outlines": _outlines}
)
assert tuple(_HIDDEN) == get_args(FacesShown)
