"""`aucue demo`: what guidance does, on faces drawn for the purpose, in a few minutes on two cores."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aucue.training import TrainConfig

SETS = {
    "plain": "rendered faces",
    "shortcut": "faces with a sticker whose colour tells the expression in training and lies in the test set",
}
ARMS = {"unguided": 0.0, "guided": 4.0}  # name -> lambda
FACES = (1400, 210, 420)  # train, val, test
EPOCHS = 12


def command(*, out: Path = Path("runs/demo"), seed: int = 0, overwrite: bool = False) -> int:
    """Train with and without guidance on rendered faces, compare, and write a report.

    Two sets are drawn: plain faces, and faces with a planted shortcut. On each a small network is trained
    twice, guided by action units and not, from the same initial weights on the same batches. The report shows
    accuracy, ATT-COS and CAM-COS beside the controls, and the maps on test faces. An interrupted demo goes on
    where it was.

    Args:
        out: Folder for sets, models and the report.
        seed: Of faces, initial weights and order.
        overwrite: Start anew even if the folder holds a demo.
    """
    import time

    from aucue.evaluation import compare, evaluate, write_comparison
    from aucue.evaluation.report.tables import for_terminal
    from aucue.training import fit
    from aucue.work.terminal import Terminal

    started, terminal = time.perf_counter(), Terminal()
    evaluations = {}
    for name, description in SETS.items():
        terminal.say("", f"{name}: {description}")
        data = _draw(out / name / "faces", name == "shortcut", seed, overwrite)
        for arm, weight in ARMS.items():
            folder = out / name / arm
            model = fit(_settings(folder, data, weight, seed), overwrite=overwrite)
            title, written = f"{name}, {arm}", folder / "evaluation"
            evaluations[title] = evaluate(
                model, data, name=title, data_name=name, out=written, overwrite=True
            )
    report = write_comparison(evaluations, out / "report.html", title="What guidance does", overwrite=True)
    for comparison in compare(evaluations):
        terminal.print(for_terminal(comparison.without(["macro F1"])))
    terminal.say("", f"Done in {time.perf_counter() - started:.0f} s. Look at {report}")
    return 0


def _draw(folder: Path, shortcut: bool, seed: int, overwrite: bool) -> Path:
    """Draw and prepare one of the sets."""
    from aucue.data import SyntheticSource, prepare

    train, val, test = FACES
    source = SyntheticSource(train, val, test, seed=seed, size=96, shortcut=shortcut)
    prepare(source, folder, size=72, overwrite=overwrite)
    return folder


def _settings(folder: Path, data: Path, weight: float, seed: int) -> "TrainConfig":
    """A network that learns the rendered expressions within a minute; its maps are 16 x 16."""
    from aucue.training import (
        ClassifierSettings,
        DataSettings,
        GuidanceSettings,
        OptimizerSettings,
        TrainConfig,
    )

    return TrainConfig(
        out=str(folder),
        data=DataSettings(path=str(data), batch_size=16, augment="geometric"),
        classifier=ClassifierSettings(
            backbone="resnet10t", input_size=64, final_stride=4, options={"channels": [16, 24, 32, 48]}
        ),
        guidance=GuidanceSettings(weight=weight),
        optimizer=OptimizerSettings(lr=3e-3),
        epochs=EPOCHS,
        seed=seed,
    )
