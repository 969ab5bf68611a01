"""A few hundred photographs of your own: from a folder per label to a model that starts from the boxed one.

    python examples/06_your_own_photographs.py FACES --out runs/mine

FACES holds a folder of photographs for each label (FACES/happy, FACES/sad, ...). Without it, faces are
rendered, whose landmarks are known, so that no detector is needed.
"""

import argparse
from pathlib import Path

from aucue.data import FolderSource, SyntheticSource, prepare
from aucue.evaluation import EvaluationSettings, evaluate
from aucue.inspection import inspect_set, write_inspection
from aucue.training import DataSettings, TrainConfig, fit, with_model


def main(faces: Path | None, out: Path, epochs: int) -> None:
    source = FolderSource(faces) if faces else SyntheticSource(train=35, val=7, test=14, size=112)
    report = prepare(source, out / "set", size=112, workers=1, progress=False)
    print("faces:", dict(report.samples))

    inspection = inspect_set(report.path)  # look at it before anything is trained
    for warning in inspection.warnings:
        print("warning:", warning)
    print("page:", write_inspection(inspection, out / "inspection", overwrite=True))

    data = DataSettings(str(report.path), batch_size=32, workers=0)
    config = with_model(TrainConfig(str(out / "model"), data, epochs=epochs), "box")
    mine = fit(config, progress=False)
    for name in ("box", mine):
        figures = evaluate(name, report.path, EvaluationSettings(workers=0), progress=False)
        accuracy, cam_cos = figures.estimate("accuracy"), figures.estimate("cam_cos")
        print(
            f"{figures.name}: accuracy {accuracy.value:.3f} {accuracy.interval}, CAM-COS {cam_cos.value:.2f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faces", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, default=Path("runs/mine"))
    parser.add_argument("--epochs", type=int, default=10)
    main(**vars(parser.parse_args()))
