"""`aucue evaluate`: how often a model is right, where it looks, and how much of that is free."""

from pathlib import Path
from typing import Literal


def command(
    model: Path,
    *,
    data: Path,
    split: Literal["train", "val", "test"] = "test",
    out: Path,
    against: list[Path] | None = None,
    method: str | None = None,
    codebook: str | None = None,
    regions: str | None = None,
    groups: list[str] | None = None,
    evidence: bool = False,
    evidence_faces: int = 25,
    batch_size: int = 64,
    device: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    workers: int | None = None,
    overwrite: bool = False,
) -> int:
    """Measure a model on a prepared set: accuracy, ATT-COS, CAM-COS and their controls.

    Writes evaluation.json, CSV tables and report.html. With --against, every model gets a folder of its own
    in OUT, and comparison.html shows them side by side on the same faces.

    Args:
        model: Model file that aucue train wrote (.safetensors).
        data: Folder that aucue prepare wrote.
        split: Which faces.
        out: Folder for the results.
        against: Further model files to compare with.
        method: Read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024 or layercam; by default
            that of the method the model was trained as.
        codebook: Judges all models: facs, fg2024 or a file (YAML); by default each model is judged by the
            codebook it was trained with, beside the controls of its own judge.
        regions: Region model of the judge: anatomical, fg2024, fg2024-224 or a file (YAML); by default each
            model's own.
        groups: Attributes of the set, such as gender, by whose values the figures are given too; by default
            gender, age and race where the set has them.
        evidence: Measure too whether the decision depends on what the map shows: deletion and insertion,
            action units hidden, pointing game, stability, a randomised network.
        evidence_faces: Faces per expression that are measured so, evenly spread over the split; each takes
            about 400 passes through the network.
        batch_size: Faces per step.
        device: "auto", "cpu", "cuda", ...
        devices: Number of such devices per machine; the figures do not depend on it.
        num_nodes: Machines; torchrun or srun starts the processes, see docs/scale.md.
        workers: Processes that read pictures; by default what suits this machine.
        overwrite: Replace the results of an earlier evaluation.

    Returns:
        Exit status.
    """
    from aucue.data.description import describe, require_split
    from aucue.models import require_file

    for path in (model, *(against or [])):  # before torch is imported, which takes seconds
        require_file(path)
    require_split(data, describe(data), split)

    from aucue.evaluation import compare, evaluate, write_comparison
    from aucue.evaluation.files import check_free
    from aucue.evaluation.groups import ATTRIBUTES, gap_sentence, largest_gaps
    from aucue.evaluation.report.comparison import further_table
    from aucue.evaluation.report.tables import for_terminal
    from aucue.work import is_first_rank
    from aucue.work.terminal import Terminal

    models = _named([model, *(against or [])])
    folders = {name: out / name for name in models} if against else dict.fromkeys(models, out)
    if against:
        check_free(out, ["comparison.html"], overwrite)
    evaluations = {
        name: evaluate(
            path,
            data,
            split,
            batch_size=batch_size,
            device=device,
            devices=devices,
            num_nodes=num_nodes,
            workers=workers,
            method=method,
            codebook=codebook,
            regions=regions,
            groups=groups or ATTRIBUTES,
            evidence=evidence,
            evidence_faces=evidence_faces,
            name=name,
            out=folders[name],
            overwrite=overwrite,
        )
        for name, path in models.items()
    }
    if not is_first_rank():
        return 0
    terminal = Terminal()
    for comparison in compare(evaluations):
        terminal.print(for_terminal(comparison.without(["macro F1"])))
    if evidence:
        further = further_table(evaluations, "Does the decision depend on what the map shows?")
        terminal.print(for_terminal(further))
    for name, evaluation in evaluations.items():
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


def _named(paths: list[Path]) -> dict[str, Path]:
    """A short name for every model file: its own, or its folder's where all are called model.safetensors."""
    from aucue.models import name_of
    from aucue.work.files import printable

    names = [printable(name_of(path)) for path in paths]
    if len(set(names)) < len(names):
        names = [f"{k + 1}-{name}" for k, name in enumerate(names)]
    return dict(zip(names, paths, strict=True))
