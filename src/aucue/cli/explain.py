"""`aucue explain`: photographs and videos -> expression, probabilities and where the evidence was seen."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aucue.errors import InputError
from aucue.explanation.settings import ExplainSettings, FacesShown

if TYPE_CHECKING:
    from aucue.explanation import ExplainedPhoto, ExplainedVideo, ExplainReport, Explanation
    from aucue.explanation.inputs import Inputs
    from aucue.work.terminal import Terminal

_TOLD = 8
"""Inputs up to which every face is told; of more only the sums, beside a progress bar."""


def command(
    inputs: list[Path],
    *,
    model: Path | None = None,
    out: Path = Path("explanations"),
    settings: ExplainSettings = ExplainSettings(),  # noqa: B008 (frozen)
    report: Path | None = None,
    faces: FacesShown = "shown",
    overwrite: bool = False,
) -> int:
    """Say which expression faces show, how sure the model is, and where it looked.

    Inputs are photographs, videos, folders (with all folders in them) and patterns such as 'shots/*.jpg'.
    The folder --out gets a picture per face (attention, class map, the map that an expert would expect,
    evidence per action unit, probabilities), every photograph with several faces with all of them marked, an
    annotated video per video, explanations.jsonl and explanations.csv with the numbers, and index.html to
    browse it all. The same command continues an interrupted run. Files that cannot be read are skipped and
    listed at the end; the exit status is then 1.

    Args:
        inputs: Photographs, videos, folders and patterns.
        model: Model file (.safetensors) that `aucue train` wrote; by default the model in the box.
        out: Folder for pictures and numbers; other files in it are left alone.
        settings: How.
        report: Also write a page to be printed or sent (.html): the faces of the photographs, answers,
            evidence, and what it does not mean.
        faces: In that page alone: shown, blurred, or as outlines, where people are not to be recognised.
        overwrite: Explain anew what --out holds already, and replace the report.
    """
    from aucue.explanation.inputs import find_inputs, why_nothing_can_be_read
    from aucue.models import require_file
    from aucue.work.terminal import Terminal

    if report is None and faces != "shown":
        raise InputError(
            f"--faces {faces} has no effect without --report: what --out gets shows faces as they are. "
            "Add --report FILE.html, or leave it out."
        )
    terminal = Terminal()
    found = find_inputs(inputs, out)
    if model is not None:
        require_file(model)
    if reasons := why_nothing_can_be_read(found):  # told before torch is imported, which takes seconds
        _tell_unread(terminal, reasons)
        return 1

    from aucue.explanation.graphs import is_graph

    if model is not None and is_graph(model):
        if report is not None:
            raise InputError(f"{model} gives numbers alone; for --report name the model file it was made of.")
        return _explain_with_graph(terminal, found, model, out, settings, overwrite)

    from aucue.explanation import explain_files, write_printed
    from aucue.explanation.printed import check_report

    if report is not None:
        check_report(report, overwrite)
    few = len(found.photos) + len(found.videos) <= _TOLD
    waiting: list[ExplainedPhoto | ExplainedVideo] = []  # until the progress bar has left the screen
    done = explain_files(
        inputs,
        model,
        out,
        settings,
        overwrite=overwrite,
        progress=bool(found.videos) or not few,
        tell=_teller(terminal, out, waiting if found.videos else None) if few else None,
    )
    for each in waiting:
        _tell(terminal, each, out)
    _sum_up(terminal, done, out)
    if report is not None:
        page = write_printed(
            report,
            out,
            done.records,
            done.unread,
            videos=done.videos_in_all,
            faces=faces,
            overwrite=overwrite,
        )
        terminal.say(f"Report to print or send: {page}")
    return 0 if done.ok else 1


def _explain_with_graph(
    terminal: "Terminal", found: "Inputs", model: Path, out: Path, settings: ExplainSettings, overwrite: bool
) -> int:
    """Name the expressions of photographs with an exported model, without torch; writes answers.jsonl."""
    import json

    from aucue.errors import OutputExistsError
    from aucue.explanation import load
    from aucue.faces import open_detector
    from aucue.pictures import in_percent
    from aucue.work.files import appearing

    if found.videos or settings.maps != "none":
        raise InputError(f"{model} gives numbers for photographs; for videos and maps name the model file.")
    path = out / "answers.jsonl"
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists; choose another folder, or overwrite it.")
    explainer = load(model, device=settings.device, readout=settings.readout, prior=settings.prior)
    explainer.reader.detector = open_detector(settings.detector)
    out.mkdir(parents=True, exist_ok=True)
    unread = []
    with appearing(path) as unfinished, unfinished.open("w", encoding="utf-8") as lines:
        for photo in found.photos:
            try:
                answers = explainer(photo)
            except InputError as error:
                unread.append(str(error))
                continue
            head = {"photo": str(photo), "faces": len(answers)}
            records = [{**head, "number": i, **answer.to_dict()} for i, answer in enumerate(answers, start=1)]
            for record in records or [{**head, "number": 0}]:
                lines.write(json.dumps(record, allow_nan=False) + "\n")
            said = [
                f"{answer.expression} {in_percent(max(answer.probabilities.values()))}" for answer in answers
            ]
            terminal.say(f"{photo}: {', '.join(said) or 'no face found'}")
    _tell_unread(terminal, (*found.empty, *unread))
    terminal.say(f"The numbers are in {path}; pictures and measures need the model file and torch")
    return 1 if unread or found.empty else 0


def _sum_up(terminal: "Terminal", report: "ExplainReport", out: Path) -> None:
    """Print what became of the inputs, those that could not be read last."""
    from aucue.explanation.explanation import CAVEAT
    from aucue.explanation.index import INDEX_FILE

    if report.faces or report.videos:
        terminal.print(CAVEAT, style="dim")
    terminal.say(*(f"{photo}: no face found" for photo in report.faceless[:_TOLD]))
    if len(report.faceless) > _TOLD:
        terminal.say(f"and {len(report.faceless) - _TOLD} more photographs without a face")
    if report.earlier:
        terminal.say(
            f"{report.earlier} explained earlier and left as they are; --overwrite explains them anew"
        )
    done = [f"{report.faces} face{'' if report.faces == 1 else 's'}"] if report.faces else []
    if report.videos:
        done.append(f"{len(report.videos)} video{'' if len(report.videos) == 1 else 's'}")
    if done or report.earlier:
        said = f"{' and '.join(done) or 'Nothing new'} explained"
        terminal.say(f"{said}; browse them in {out / INDEX_FILE}")
    terminal.say(*(f"cut short: {sentence}" for sentence in report.cut_short))
    _tell_unread(terminal, report.unread)


def _tell_unread(terminal: "Terminal", sentences: "Sequence[str]") -> None:
    if sentences:
        terminal.say(f"{len(sentences)} could not be read:")
    terminal.say(*(f"skipped: {sentence}" for sentence in sentences))


def _teller(
    terminal: "Terminal", out: Path, waiting: "list[ExplainedPhoto | ExplainedVideo] | None"
) -> "Callable[[ExplainedPhoto | ExplainedVideo], object]":
    """Prints what is done, or lets it wait."""
    return waiting.append if waiting is not None else lambda done: _tell(terminal, done, out)


def _tell(terminal: "Terminal", done: "ExplainedPhoto | ExplainedVideo", out: Path) -> None:
    """Print the faces of a photograph, or the people of a video."""
    from aucue.explanation import ExplainedVideo

    if isinstance(done, ExplainedVideo):
        _tell_video(terminal, done, out)
        return
    count = len(done.explanations)
    for number, (explanation, picture) in enumerate(
        zip(done.explanations, done.pictures, strict=True), start=1
    ):
        which = f", face {number} of {count}" if count > 1 else ""
        _tell_face(terminal, f"{done.photo}{which}", explanation, picture)


def _tell_video(terminal: "Terminal", done: "ExplainedVideo", out: Path) -> None:
    """Print who was followed in a video, and what they showed most."""
    terminal.say(f"{done.video}: {done.frames} frames, {done.faces} faces", style="bold")
    for track in done.to_dict()["tracks"]:
        terminal.say(
            f"  track {track['track']:<3} {track['first']:6.1f} s to {track['last']:6.1f} s  "
            f"{track['faces']:5} faces, mostly {track['expression']} ({100 * track['share']:.0f} % of them)"
        )
    terminal.say(f"  Video: {out / done.files.annotated}", "")


def _hidden_lines(explanation: "Explanation") -> list[str]:
    """A table of what is lost when regions are hidden, and elsewhere, in points of probability."""
    found = explanation.if_hidden
    if found is None:
        return []
    names = [f"{region.name} ({region.numbers})" for region in found.regions]
    width = max(map(len, names))
    lines = [f"  {'hidden':<{width}}   left  lost  as much elsewhere"]
    for name, region in zip(names, found.regions, strict=True):
        control = f"{100 * region.control.points:+.0f}" if region.control else "-"
        left, lost = 100 * region.without[explanation.expression], 100 * region.loss.points
        mark = "  decides" if region.matters else "" if region.seen else "  blank"
        lines.append(f"  {name:<{width}}  {left:3.0f} % {lost:+5.0f}  {control:>5}{mark}")
    return lines


def _tell_face(terminal: "Terminal", which: str, explanation: "Explanation", picture: Path) -> None:
    """Print one face: what, how sure, how it was found, where the picture is."""
    from rich.padding import Padding
    from rich.text import Text

    from aucue.errors import printable
    from aucue.explanation.explanation import FOUND
    from aucue.facs import listed
    from aucue.pictures import in_percent

    title = Text.assemble((explanation.expression, "bold"), "  ", (printable(which), "dim"))
    terminal.print(title, soft_wrap=True)
    width = max(map(len, explanation.probabilities))
    for name, probability in explanation.probabilities.items():
        style = "bold magenta" if name == explanation.expression else "dim"
        bar = "━" * round(30 * probability)
        terminal.print(f"  {name:<{width}} {bar:<30} {in_percent(probability):>7}", style=style)
    for line in _hidden_lines(explanation):
        terminal.print(line, style="dim")
    lines = [explanation.finding]
    if explanation.cue is not None:
        lines.append(f"Expected: {listed(explanation.action_units)}.")
    lines.append(f"Face {FOUND.get(explanation.face.how, explanation.face.how)}.")
    terminal.print(Padding("\n".join(lines), (0, 0, 0, 2)))
    terminal.say(f"  Picture: {picture}", "")
