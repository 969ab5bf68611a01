"""`aucue explain`: photographs -> expression, probabilities and where the evidence was seen."""

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from aucue.errors import InputError, OutputExistsError

if TYPE_CHECKING:
    from rich.console import Console

    from aucue.explanation import Explanation
    from aucue.faces import FaceReader


def command(
    photos: list[Path],
    *,
    model: Path,
    out: Path = Path("explanations"),
    detector: str = "dlib",
    method: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
) -> int:
    """Say which expression the faces of photographs show, how sure the model is, and where it looked.

    For each face a picture (face, attention, class map, map that an expert would expect, probabilities) and
    a JSON file with the numbers are written to the folder --out. Photographs that cannot be read are skipped
    and listed at the end; the exit status is then 1.

    Args:
        photos: Photographs with any number of faces.
        model: Model file (.safetensors) that `aucue train` wrote.
        out: Folder for pictures and numbers; other files in it are left alone.
        detector: `dlib`, or a table of known landmarks (.csv or .parquet with file, x0, y0, ..., x67, y67).
        method: Read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024 or layercam; by default
            that of the method the model was trained as.
        device: Where the network runs: cpu, cuda, cuda:1, mps.
        overwrite: Replace earlier explanations of these photographs in --out.
    """
    from rich.console import Console
    from rich.text import Text

    from aucue.classifiers import load_model
    from aucue.explanation import Explainer
    from aucue.explanation.explainer import reading_size
    from aucue.explanation.explanation import CAVEAT

    names = _output_names(photos)
    if not overwrite:
        _refuse_earlier(out, names)
    classifier, info = load_model(model)
    reader = _reader(detector, reading_size(classifier), info.template or "aucue")
    explainer = Explainer((classifier, info), reader, device, method)
    console = Console(highlight=False)
    unread: list[str] = []
    faceless: list[Path] = []
    shown = 0
    for photo, name in zip(photos, names, strict=True):
        try:
            explanations = explainer(photo)
        except InputError as error:
            unread.append(str(error))
            continue
        if not explanations:
            faceless.append(photo)
        shown += len(explanations)
        for path in _earlier(out, name):  # may be of more faces than were found now
            path.unlink()
        for number, explanation in enumerate(explanations, start=1):
            picture, _ = explanation.save(out, f"{name}_face{number}")
            _report(console, photo, number, len(explanations), explanation, picture)
    if shown:
        console.print(Text(CAVEAT, "dim"))
    for photo in faceless:
        console.print(Text(f"{photo}: no face found"), soft_wrap=True)
    for sentence in unread:
        console.print(Text(f"skipped: {sentence}"), soft_wrap=True)
    return 1 if unread else 0


def _reader(detector: str, size: int, template: str) -> "FaceReader":
    from aucue.faces import FaceReader, PrecomputedDetector

    table = Path(detector).suffix in (".csv", ".parquet")
    return FaceReader(PrecomputedDetector(detector) if table else detector, size, template)


def _output_names(photos: list[Path]) -> list[str]:
    """A file name without ending for each photograph; those that share theirs are numbered."""
    total, seen = Counter(photo.stem for photo in photos), Counter()
    names = []
    for photo in photos:
        seen[photo.stem] += 1
        names.append(photo.stem if total[photo.stem] == 1 else f"{photo.stem}_{seen[photo.stem]}")
    return names


def _earlier(out: Path, name: str) -> list[Path]:
    """Files that an earlier run wrote for the photograph of that name."""
    pattern = re.compile(rf"{re.escape(name)}_face\d+\.(png|json)")
    return sorted(path for path in out.iterdir() if pattern.fullmatch(path.name)) if out.is_dir() else []


def _refuse_earlier(out: Path, names: list[str]) -> None:
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; --out must be a folder")
    for name in names:
        if earlier := _earlier(out, name):
            raise OutputExistsError(f"{earlier[0]} exists; choose another --out or add --overwrite")


def _report(
    console: "Console", photo: Path, number: int, count: int, explanation: "Explanation", picture: Path
) -> None:
    """Print one face: what, how sure, how it was found, where the picture is."""
    from rich.padding import Padding
    from rich.text import Text

    from aucue.explanation.explanation import FOUND

    which = f", face {number} of {count}" if count > 1 else ""
    title = Text.assemble((explanation.expression, "bold"), "  ", (f"{photo}{which}", "dim"))
    console.print(title, soft_wrap=True)
    width = max(map(len, explanation.probabilities))
    for name, probability in explanation.probabilities.items():
        style = "bold magenta" if name == explanation.expression else "dim"
        bar = "━" * round(30 * probability)
        console.print(Text(f"  {name:<{width}} {bar:<30} {100 * probability:3.0f} %", style))
    lines = [explanation.finding]
    if explanation.cue is not None:
        lines.append(f"Expected: {', '.join(map(str, explanation.action_units))}.")
    lines.append(f"Face {FOUND.get(explanation.face.how, explanation.face.how)}.")
    console.print(Padding(Text("\n".join(lines)), (0, 0, 0, 2)))
    console.print(Text(f"  Picture: {picture}\n"), soft_wrap=True)
