"""Right answers of the model in the box on photographs that are turned, behind each detector.

    python -m box.turned [--degrees 0 20 40 60 90 180] [--detectors mesh dlib]

Looks at the test part of `london` and at `sfhq`, the photographs turned counter-clockwise on grey; of several
faces the largest is taken, and none found is a wrong answer. Nothing is chosen by it.
"""

import argparse
import csv
import logging

from PIL import Image

from aucue.explanation import Explainer
from aucue.faces import open_detector, read_image
from experiments.doc_tables import table
from experiments.ferplus_set import DATA

SETS = {"london": "test", "sfhq": "test"}


def main() -> None:
    """Print a row for each detector and angle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--degrees", type=int, nargs="+", default=[0, 20, 40, 60, 90, 180])
    parser.add_argument("--detectors", nargs="+", default=["mesh", "dlib"])
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    for detector in arguments.detectors:
        explain = Explainer(device="cpu", if_hidden=False)
        explain.reader.detector = open_detector(detector)
        answers = {degrees: answered(explain, degrees) for degrees in arguments.degrees}
        upright = answers[arguments.degrees[0]]
        for degrees, its in answers.items():
            found = [right is not None for right in its]
            kept = [bool(right) for right, before in zip(its, upright, strict=True) if before]
            shares = (found, [bool(right) for right in its], kept)
            rows.append([detector, str(degrees), *(f"{sum(share) / len(share):.3f}" for share in shares)])
    print(f"{sum(map(len, photographs().values()))} photographs\n")
    print(table(["detector", "turned by", "found", "right", "right of those right upright"], rows))


def photographs() -> dict[str, list[dict[str, str]]]:
    """Rows of the labels, by set."""
    return {
        name: [
            row
            for row in csv.DictReader((DATA / name / "labels.csv").open(newline=""))
            if row["split"] == part
        ]
        for name, part in SETS.items()
    }


def answered(explain: Explainer, degrees: int) -> list[bool | None]:
    """Whether each photograph is answered right; None where no face is found."""
    answers = []
    for name, rows in photographs().items():
        for row in rows:
            photo = read_image(DATA / name / "images" / row["file"])
            turned = photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(128, 128, 128))
            faces = explain(turned)
            answers.append(faces[0].answer == row["label"] if faces else None)
    return answers


if __name__ == "__main__":
    main()
