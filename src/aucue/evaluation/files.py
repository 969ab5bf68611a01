"""An evaluation as files: figures for machines, tables for spreadsheets, a page for people."""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aucue.evaluation.averages import FACE, average_rows
from aucue.evaluation.report.page import write_report
from aucue.evaluation.results import Evaluation
from aucue.evaluation.settings import FILES, GROUP_FILE
from aucue.work.files import appearing, cell, check_free, write_json


def write_evaluation(evaluation: Evaluation, folder: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """Write `FILES`, and `per_group.csv` where the set has attributes.

    Args:
        evaluation: What to write.
        folder: Created if need be; other files in it are left alone.
        overwrite: Replace the files of an earlier evaluation.

    Returns:
        Path of the report.

    Raises:
        OutputExistsError: One of the files exists and `overwrite` is not set.
    """
    folder = Path(folder)
    check_free(folder, (*FILES, GROUP_FILE), overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "estimates.csv", evaluation.estimate_rows())
    write_csv(folder / "per_expression.csv", evaluation.per_expression_rows())
    write_csv(folder / "per_image.csv", evaluation.faces.to_pylist())
    confusion = [
        {"true": label, **dict(zip(evaluation.classes, row, strict=True))}
        for label, row in zip(evaluation.classes, evaluation.classification.confusion, strict=True)
    ]
    write_csv(folder / "confusion.csv", confusion)
    write_csv(folder / "average_maps.csv", average_rows(evaluation.averages))
    arrays = {
        f"{label}.{name}": its.map
        for label, maps in evaluation.averages.items()
        for name, its in maps.items()
        if name != FACE  # an average of few faces is still somebody's face
    }
    with appearing(folder / "average_maps.npz") as unfinished, unfinished.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    (folder / GROUP_FILE).unlink(missing_ok=True)  # of an earlier evaluation, of a set with attributes
    if evaluation.groups:
        write_csv(folder / GROUP_FILE, evaluation.per_group_rows())
    page = write_report(evaluation, folder / "report.html")
    write_json(folder / "evaluation.json", evaluation.to_dict())  # last: where it lies, all the others do
    return page


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], digits: int | None = 6) -> None:
    """Rows with equal keys as CSV, whole or not at all; None becomes an empty field.

    Args:
        path: The file.
        rows: Text that a spreadsheet would run as a formula is quoted.
        digits: How many a float keeps; None for all.
    """

    def field_of(value: Any) -> Any:
        return f"{value:.{digits}g}" if digits and isinstance(value, float) else cell(value)

    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([cell(name) for name in rows[0]] if rows else [])
        writer.writerows([field_of(value) for value in row.values()] for row in rows)
