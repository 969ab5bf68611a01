"""An inspection as files: a page for people, a table for spreadsheets, figures for machines."""

import csv
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from PIL import Image

from aucue.errors import InputError
from aucue.inspection.faces import InspectedFace, Inspection
from aucue.pages import environment, write_page
from aucue.pictures import draw_landmarks, to_data_uri
from aucue.work.files import appearing, cell, check_free, printable, write_json

PAGE, TABLE, RECORD = "inspection.html", "faces.csv", "inspection.json"
SHOWN = 300
"""Faces on the page, odd ones first; the table has all."""

_TILE = 144  # pixels


def write_inspection(
    inspection: Inspection, folder: str | os.PathLike[str], overwrite: bool = False, shown: int = SHOWN
) -> Path:
    """Write the page, `faces.csv` and `inspection.json`.

    Args:
        inspection: What to write.
        folder: Created if need be.
        overwrite: Replace an earlier inspection.
        shown: Faces on the page.

    Returns:
        Path of the page.

    Raises:
        InputError, OutputExistsError: As in `check_writable`.
    """
    folder = Path(folder)
    check_writable(folder, overwrite, shown)
    folder.mkdir(parents=True, exist_ok=True)
    _write_table(folder / TABLE, inspection)
    write_json(folder / RECORD, _record(inspection))
    return write_page(folder / PAGE, _page(inspection, shown))


def check_writable(folder: Path, overwrite: bool, shown: int) -> None:
    """Refuse what `write_inspection` could not write, before all faces are measured.

    Args:
        folder: As in `write_inspection`.
        overwrite: The same.
        shown: The same.

    Raises:
        InputError: No face is to be shown, or there is a file in the folder's place.
        OutputExistsError: One of the files exists and `overwrite` is not set.
    """
    if shown < 1:
        raise InputError(f"faces must be at least 1, got {shown}.")
    check_free(folder, (PAGE, TABLE, RECORD), overwrite)


def _write_table(path: Path, inspection: Inspection) -> None:
    names = [entry.name for entry in fields(InspectedFace)]
    with appearing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for face in inspection.faces:
            values = asdict(face) | {"why": "; ".join(face.why)}
            writer.writerow([cell(printable(_plain(values[name]))) for name in names])


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.3f}"
    return "" if value is None else str(value)


def _record(inspection: Inspection) -> dict[str, Any]:
    prepared, by_how = inspection.prepared, {}
    for face in inspection.faces:
        by_how[face.how] = by_how.get(face.how, 0) + 1
    return {
        "set": prepared.name,
        "faces": len(inspection.faces),
        "counts": {
            split: {name: inspection.counts.get((name, split), 0) for name in prepared.classes}
            for split in prepared.splits
        },
        "found": by_how,
        "odd": sum(face.odd > 0 for face in inspection.faces),
        "warnings": list(inspection.warnings),
    }


def _page(inspection: Inspection, shown: int) -> str:
    prepared, record = inspection.prepared, _record(inspection)
    faces = inspection.oddest_first[:shown]
    sides = sorted(face.side for face in inspection.faces)
    return (
        environment("inspection")
        .get_template("inspection.html.j2")
        .render(
            title=f"{prepared.name}: what is in the set",
            name=prepared.name,
            splits=prepared.splits,
            classes=prepared.classes,
            size=prepared.size,
            record=record,
            sides=[sides[round(q * (len(sides) - 1))] for q in (0.05, 0.5, 0.95)],
            warnings=inspection.warnings,
            tiles=zip(faces, _tiles(inspection, faces), strict=True),
            shown=len(faces),
            table=TABLE,
            licence=prepared.description.get("licence"),
        )
    )


def _tiles(inspection: Inspection, faces: list[InspectedFace]) -> Iterator[str]:
    """The faces with their landmarks, as text."""
    datasets = {split: inspection.prepared.dataset(split) for split in inspection.prepared.splits}
    for face in faces:
        sample = datasets[face.split][face.row]
        picture = Image.fromarray(sample["image"].permute(1, 2, 0).numpy())
        points = (sample["landmarks"].numpy() + 0.5) * (_TILE / picture.width) - 0.5
        large = picture.resize((_TILE, _TILE), Image.Resampling.BICUBIC)
        yield to_data_uri(draw_landmarks(large, points, radius=1.1), "jpeg", 80)
