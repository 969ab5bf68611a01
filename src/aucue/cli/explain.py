"""`aucue explain`: photographs -> expression, probabilities and where the evidence was seen."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from aucue.explanation import ExplainedPhoto, Explanation
    from aucue.faces import LandmarkDetector


def command(
    photos: list[Path],
    *,
    model: Path,
    out: Path = Path("explanations"),
    detector: str = "dlib",
    method: str | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
) -> int:
    """Say which expression the faces of photographs show, how sure the model is, and where it looked.

    For each face a picture (face, attention, class map, map that an expert would expect, probabilities) and
    a line of explanations.jsonl with the numbers are written to the folder --out; the same command continues
    an interrupted run. Photographs that cannot be read are skipped and listed at the end; the exit status is
    then 1.

    Args:
        photos: Photographs with any number of faces.
        model: Model file (.safetensors) that `aucue train` wrote.
        out: Folder for pictures and numbers; other files in it are left alone.
        detector: `dlib`, or a table of known landmarks (.csv or .parquet with file, x0, y0, ..., x67, y67).
        method: Read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024 or layercam; by default
            that of the method the model was trained as.
        device: Where the network runs: cpu, cuda, cuda:1, mps.
        overwrite: Explain photographs anew that --out holds already.
        engine: Where faces are searched: in processes of this machine (local), or on a Ray cluster (ray), the
            one in RAY_ADDRESS or one of this machine.
        workers: Processes; by default one per core, fewer for few photographs.
    """
    from rich.console import Console
    from rich.text import Text

    from aucue.explanation import explain_files
    from aucue.explanation.explanation import CAVEAT

    console = Console(highlight=False)
    report = explain_files(
        photos,
        model,
        out,
        _detector(detector),
        method,
        device,
        overwrite,
        engine,
        workers,
        tell=lambda photo: _tell(console, photo),
    )
    if report.faces:
        console.print(Text(CAVEAT, "dim"))
    for photo in report.faceless:
        console.print(Text(f"{photo}: no face found"), soft_wrap=True)
    if report.earlier:
        console.print(
            f"{report.earlier} explained earlier and left as they are; --overwrite explains them anew"
        )
    for sentence in report.unread:
        console.print(Text(f"skipped: {sentence}"), soft_wrap=True)
    return 0 if report.ok else 1


def _detector(detector: str) -> "str | LandmarkDetector":
    from aucue.faces import PrecomputedDetector

    return PrecomputedDetector(detector) if Path(detector).suffix in (".csv", ".parquet") else detector


def _tell(console: "Console", photo: "ExplainedPhoto") -> None:
    """Print the faces of a photograph."""
    count = len(photo.explanations)
    for number, (explanation, picture) in enumerate(
        zip(photo.explanations, photo.pictures, strict=True), start=1
    ):
        which = f", face {number} of {count}" if count > 1 else ""
        _tell_face(console, f"{photo.photo}{which}", explanation, picture)


def _tell_face(console: "Console", which: str, explanation: "Explanation", picture: Path) -> None:
    """Print one face: what, how sure, how it was found, where the picture is."""
    from rich.padding import Padding
    from rich.text import Text

    from aucue.explanation.explanation import FOUND

    title = Text.assemble((explanation.expression, "bold"), "  ", (which, "dim"))
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
