"""`aucue demo`: what guidance does, on faces drawn for the purpose, in a few minutes on two cores."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aucue.evaluation import Evaluation
    from aucue.training import TrainConfig

SETS = {
    "plain": "rendered faces",
    "shortcut": "faces with a sticker whose colour tells the expression in training and lies in the test set",
}
ARMS = {"unguided": 0.0, "guided": 4.0}  # name -> lambda
FACES = (1400, 210, 420)  # train, val, test
EPOCHS = 12
SIDE = 64
NETWORK: Mapping[str, Any] = {  # with maps of 16 x 16 cells
    "backbone": "resnet10t",
    "final_stride": 4,
    "options": {"channels": [16, 24, 32, 48], "stem_width": 16},
}


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

    from aucue.evaluation import compare, write_comparison
    from aucue.evaluation.report.tables import for_terminal
    from aucue.work.terminal import Terminal

    started, terminal = time.perf_counter(), Terminal()
    cells = []
    for name, description in SETS.items():
        terminal.say("", f"{name}: {description}")
        data = _draw(out / name / "faces", name == "shortcut", seed, overwrite)
        cells += [_settings(out / name / arm, data, weight, seed) for arm, weight in ARMS.items()]
    evaluations = _run(cells, overwrite)
    report = write_comparison(
        evaluations, out / "report.html", "What guidance does", [_result(evaluations)], overwrite=True
    )
    for comparison in compare(evaluations):
        terminal.print(for_terminal(comparison.without(["macro F1"])))
    terminal.say("", f"Done in {time.perf_counter() - started:.0f} s. Look at {report}")
    return 0


def _run(cells: "list[TrainConfig]", overwrite: bool) -> "dict[str, Evaluation]":
    """Train and evaluate, a core for each: two cores for one such small training would wait for each other
    most of the time, and sum in another order than one does.
    """
    from aucue.work.engines import LocalEngine

    work = partial(_train_and_evaluate, overwrite=overwrite)
    with _shown_epochs(cells):
        return dict(LocalEngine().run(work, cells, most=len(cells)))


def _train_and_evaluate(config: "TrainConfig", overwrite: bool) -> "tuple[str, Evaluation]":
    """A network's name, and what it does on the test faces."""
    from aucue.evaluation import evaluate
    from aucue.training import fit

    folder, data = Path(config.out), Path(config.data.path)
    data_name = folder.parent.name
    name = f"{data_name}, {folder.name}"
    model = fit(config, overwrite=overwrite, progress=False)
    written = folder / "evaluation"
    found = evaluate(model, data, name=name, data_name=data_name, out=written, overwrite=True, progress=False)
    return name, found


@contextmanager
def _shown_epochs(cells: "list[TrainConfig]") -> Iterator[None]:
    """A progress bar over the epochs of trainings in other processes, which their logs tell."""
    from aucue.work.progress import progress_bar

    ended = Event()

    def watch() -> None:
        while not ended.wait(1):
            bar.update(task, completed=sum(_epochs_done(Path(cell.out)) for cell in cells))

    with progress_bar(True, transient=True) as bar:
        task = bar.add_task("training, epochs", total=sum(cell.epochs for cell in cells))
        watcher = Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _epochs_done(folder: Path) -> int:
    logs = folder.glob("logs/start_*/metrics.csv")
    rows = [row for log in logs for row in log.read_text(encoding="utf-8").splitlines()[1:]]
    return max((int(row.partition(",")[0]) + 1 for row in rows), default=0)


def _result(evaluations: "Mapping[str, Evaluation]") -> str:
    """What came out, in a sentence for each set."""
    from aucue.pages import percent

    said = []
    for name, description in SETS.items():
        right, looks = (
            {arm: evaluations[f"{name}, {arm}"].estimate(measure).value or 0.0 for arm in ARMS}
            for measure in ("accuracy", "cam_cos")
        )
        said.append(
            f"On {description}, the guided network is right in {percent(right['guided'])} of the test faces "
            f"and the unguided one in {percent(right['unguided'])}; their class maps agree with the action "
            f"units by {looks['guided']:.2f} and {looks['unguided']:.2f}."
        )
    return " ".join(said)


def _draw(folder: Path, shortcut: bool, seed: int, overwrite: bool) -> Path:
    """Draw and prepare one of the sets."""
    from aucue.data import SyntheticSource, prepare

    train, val, test = FACES
    source = SyntheticSource(train, val, test, seed=seed, size=96, shortcut=shortcut)
    prepare(source, folder, size=72, overwrite=overwrite)
    return folder


def _settings(folder: Path, data: Path, weight: float, seed: int) -> "TrainConfig":
    """A network that learns the rendered expressions within a minute or two."""
    from aucue.training import (
        ClassifierSettings,
        DataSettings,
        GuidanceSettings,
        OptimizerSettings,
        TrainConfig,
    )

    return TrainConfig(
        out=str(folder),
        data=DataSettings(path=str(data), batch_size=16, augment="geometric", workers=0),
        classifier=ClassifierSettings(input_size=SIDE, **NETWORK),
        guidance=GuidanceSettings(weight=weight),
        optimizer=OptimizerSettings(lr=3e-3),
        epochs=EPOCHS,
        seed=seed,
    )
