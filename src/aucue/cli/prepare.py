"""`aucue prepare`: a labelled collection of photographs -> a set of aligned faces with landmarks."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aucue.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from aucue.data import PrepareReport, Source
    from aucue.faces import LandmarkDetector


def command(
    source: Literal["folder", "csv", "folds", "synthetic"],
    *,
    out: Path,
    root: Path | None = None,
    labels: Path = Path("labels.csv"),
    images: Path | None = None,
    landmarks: Path | None = None,
    classes: list[str] | None = None,
    split: str = "train",
    detector: str = "dlib",
    without_landmarks: Literal["keep", "drop"] = "keep",
    size: int = 224,
    template: str = "aucue",
    workers: int | None = None,
    overwrite: bool = False,
    train: int = 2500,
    val: int = 500,
    test: int = 1000,
    seed: int = 0,
    shortcut: bool = False,
) -> int:
    """Find, align and store every face of a collection once, ready for training and evaluation.

    Sources: `folder` reads ROOT/SPLIT/LABEL/*.jpg or ROOT/LABEL/*.jpg; `csv` reads a table with the columns
    file and label (and perhaps split, person, landmarks); `folds` reads the lists of the FG 2024 code
    (ROOT/class_id.yaml, ROOT/SPLIT/image_ids.txt, class_labels.txt, landmarks.txt) for pictures below IMAGES;
    `synthetic` draws faces, with exact landmarks.

    All cores are used; the same command continues an interrupted run. Pictures that cannot be used are left
    out and listed in problems.csv; the exit status is then 1.

    Args:
        source: Where the photographs come from.
        out: Folder of the prepared set.
        root: Folder of the collection, or of its lists (folder, csv, folds).
        labels: Table of files and labels, relative to the root (csv).
        images: Folder of the files, relative to the root; by default images/ beside the table, or the table's
            own folder (csv). For folds it is given, relative to where you are.
        landmarks: Table of landmarks (file, x0, y0, ..., x67, y67; CSV or Parquet), relative to the root; not
            needed if the labels' table has these columns (csv).
        classes: Class names in the order of their ids; by default the seven expressions (folder, csv).
        split: Split of all photographs where nothing says (folder, csv).
        detector: Finds landmarks where none are given: dlib; dlib-full-frame, which takes the whole picture
            as the face where it finds none (for collections of face crops); none; or a table of known
            landmarks (.csv or .parquet).
        without_landmarks: Keep photographs without landmarks as they are, or drop them.
        size: Side of the stored crops in pixels.
        template: Where the face lies in the crop: aucue, or the tight fg2024.
        workers: Processes; by default one per core.
        overwrite: Replace a prepared set in --out.
        train: Training faces (synthetic).
        val: Validation faces (synthetic).
        test: Test faces (synthetic).
        seed: Of everything drawn (synthetic).
        shortcut: Plant a sticker whose colour betrays the label in training and lies in the test set
            (synthetic).
    """
    from rich.console import Console

    from aucue.data import CsvSource, FolderSource, FoldsSource, SyntheticSource, prepare
    from aucue.data.description import DESCRIPTION_FILE
    from aucue.facs import EXPRESSIONS

    complete = (out / DESCRIPTION_FILE).exists() and not overwrite
    names = tuple(classes or EXPRESSIONS)
    chosen: Source
    if source == "synthetic":
        # Drawn at the crop's size or finer, so that alignment enlarges nothing.
        chosen = SyntheticSource(train, val, test, seed, max(size, 112), shortcut)
    elif root is None:
        raise InputError(f"--root is missing: the folder of the collection ({source})")
    elif source == "folds":
        if images is None:
            raise InputError("--images is missing: the folder that the paths in the folds begin in")
        chosen = FoldsSource(root, images)
    elif source == "folder":
        chosen = FolderSource(root, names, split)
    else:
        chosen = CsvSource(
            root / labels, images and root / images, landmarks and root / landmarks, names, split
        )
    report = prepare(chosen, out, _detector(detector), size, template, without_landmarks, workers, overwrite)
    console = Console(highlight=False)
    console.print(_table(report, chosen.name))
    for sentence in _sentences(report):
        console.print(sentence, markup=False, soft_wrap=True)
    if complete:
        console.print("It was complete already; --overwrite prepares it anew.")
    return 0 if report.ok else 1


def _detector(detector: str) -> "str | LandmarkDetector":
    from aucue.faces import PrecomputedDetector

    return PrecomputedDetector(detector) if Path(detector).suffix in (".csv", ".parquet") else detector


def _table(report: "PrepareReport", name: str) -> "Table":
    from rich.table import Table

    ways = sorted({way for counts in report.found.values() for way in counts}, key=lambda way: way == "none")
    kinds = sorted({kind for counts in report.problems.values() for kind in counts})
    table = Table(title=f"{name}: faces found, and problems")
    for heading in ("split", "in the set", *(_WAYS.get(way, way) for way in ways), *kinds):
        table.add_column(heading, justify="left" if heading == "split" else "right")
    for split in dict.fromkeys((*report.samples, *report.problems)):
        found, problems = report.found.get(split, {}), report.problems.get(split, {})
        counts = [report.samples.get(split, 0), *map(found.get, ways), *map(problems.get, kinds)]
        table.add_row(split, *(str(count or 0) for count in counts))
    return table


_WAYS = {"none": "kept without landmarks", "precomputed": "landmarks given"}


def _sentences(report: "PrepareReport") -> list[str]:
    from aucue.data.description import PROBLEMS_FILE

    listed = f"; see {report.path / PROBLEMS_FILE}"
    sentences = [f"Note: {note}." for note in report.notes]
    if report.dropped:
        sentences.append(f"{report.dropped} without landmarks were dropped{listed}")
    if report.skipped:
        sentences.append(f"{report.skipped} could not be used and are left out{listed}")
    return [*sentences, f"Prepared set: {report.path}"]
