"""Explain a face in Python: what the model sees, how sure it is, and where the evidence lies.

    python examples/05_explain_in_python.py --model model.safetensors photo.jpg

Without a photograph a face is rendered, whose landmarks are known, so that no detector is needed.
"""

import argparse
from pathlib import Path

import numpy as np

import aucue
from aucue.faces import Detection
from aucue.rendering import FaceParameters, Identity, render


def rendered() -> aucue.Face:
    """A happy person: AU6, AU12 and AU25."""
    face = render(FaceParameters(Identity.draw(3), action_units={6: 0.8, 12: 0.9, 25: 0.5}), size=320)

    def known(
        image: np.ndarray, key: str | None = None
    ) -> list[Detection]:  # a detector is any such function
        return [Detection((0.0, 0.0, 320.0, 320.0), 1.0, face.landmarks, "precomputed")]

    return aucue.FaceReader(known, size=224)(face.image)[0]


def main(model: Path, photo: Path | None, out: Path | None) -> None:
    explain = aucue.load(model)
    for number, explanation in enumerate(explain(photo or rendered()), start=1):
        print(f"Face {number}: {explanation.sentence}")
        for expression, probability in explanation.probabilities.items():
            print(f"  {expression:12}{probability:6.1%}")
        if explanation.cue is not None:
            print(f"  ATT-COS per layer: {explanation.attention_cosines}")
            print(f"  CAM-COS: {explanation.class_map_cosine:.2f}")
        for expression in explanation.probabilities:  # maps of all classes are there, (h, w) in [0, 1]
            row, column = np.unravel_index(
                explanation.class_map(expression).argmax(), explanation.class_map().shape
            )
            print(f"  evidence for {expression:12} is highest in cell ({row}, {column})")
        if out:
            picture, numbers = explanation.save(out, f"face{number}", overwrite=True)
            print(f"  {picture}, {numbers}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path, nargs="?", help="photograph with any number of faces")
    parser.add_argument("--model", type=Path, required=True, help="model file that `aucue train` wrote")
    parser.add_argument("--out", type=Path, help="folder for pictures and numbers")
    arguments = parser.parse_args()
    main(arguments.model, arguments.photo, arguments.out)
