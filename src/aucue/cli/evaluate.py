"""`aucue evaluate`: how often a model is right, where it looks, and how much of that is free."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from aucue.errors import require_extras
from aucue.evaluation.settings import FILES, EvaluationSettings
from aucue.work.files import check_free

if TYPE_CHECKING:
    from aucue.evaluation import Evaluation


def command(
    model: Path,
    *,
    data: Path,
    out: Path,
    against: list[Path] | None = None,
    settings: EvaluationSettings = EvaluationSettings(),  # noqa: B008 (frozen)
    overwrite: bool = False,
) -> int:
    """Measure a model on a prepared set: accuracy, ATT-COS, CAM-COS and their controls.

    Writes evaluation.json, CSV tables and report.html. With --against, every model gets a folder of its own
    in OUT, and comparison.html shows them side by side on the same faces; --codebook and --regions then judge
    all of them by the same maps.

    Args:
        model: Model file that aucue train wrote (.safetensors).
        data: Folder that aucue prepare wrote.
        out: Folder for the results.
        against: Further model files to compare with.
        settings: How.
        overwrite: Replace the results of an earlier evaluation.

    Returns:
        Exit status.
    """
    models = _named([model, *(against or [])])
    folders = {name: out / name for name in models} if against else dict.fromkeys(models, out)
    _check(models.values(), data, settings.split)
    for folder in folders.values():
        check_free(folder, FILES, overwrite)
    if against:
        check_free(out, ["comparison.html"], overwrite)

    from aucue.evaluation import compare, evaluate, write_comparison
    from aucue.evaluation.groups import gap_sentence, largest_gaps
    from aucue.evaluation.report.comparison import further_table
    from aucue.evaluation.report.tables import for_terminal
    from aucue.work import is_first_rank
    from aucue.work.terminal import Terminal

    evaluations = {
        name: evaluate(path, data, settings, name=name, out=folders[name], overwrite=overwrite)
        for name, path in models.items()
    }
    if not is_first_rank():
        return 0
    terminal = Terminal()
    for comparison in compare(evaluations):
        terminal.print(for_terminal(comparison.without(["macro F1"])))
    if settings.evidence:
        further = further_table(evaluations, "Does the decision depend on what the map shows?")
        terminal.print(for_terminal(further))
    for name, evaluation in evaluations.items():
        terminal.print(f"{name}: {_calibration(evaluation)}")
        for gap in largest_gaps(evaluation.groups):
            terminal.print(f"{name}: {gap_sentence(gap)}")
    for note in dict.fromkeys(note for evaluation in evaluations.values() for note in evaluation.notes):
        terminal.print(f"Note: {note}")
    for folder in folders.values():
        terminal.say(f"Report: {folder / 'report.html'}")
    if against:
        page = write_comparison(
            evaluations, out / "comparison.html", " against ".join(models), overwrite=overwrite
        )
        terminal.say(f"Side by side: {page}")
    return 0


def _check(models: Iterable[Path], data: Path, split: str) -> None:
    """Refuse what can be refused before torch is imported, which takes seconds."""
    from aucue.data.description import describe, require_split
    from aucue.models import require_file

    require_extras("datasets")
    for model in models:
        require_file(model)
    require_split(data, describe(data), split)


def _calibration(evaluation: "Evaluation") -> str:
    """The calibration error in words, beside that of the votes where there are any."""
    found = evaluation.estimates["calibration"]
    error = found[""].value
    said = "calibration error " + ("unknown" if error is None else f"{error:.3f}")
    votes = found["votes"].value if "votes" in found else None
    return said if votes is None else f"{said} (of the expected votes {votes:.3f})"


def _named(paths: list[Path]) -> dict[str, Path]:
    """A short name for every model file: its own, or its folder's where all are called model.safetensors."""
    from aucue.models import name_of
    from aucue.work.files import printable

    names = [printable(name_of(path)) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{k + 1}-{name}" for k, name in enumerate(names)]
    return dict(zip(names, paths, strict=True))
