"""Error of the dlib landmarks on 142 frontal photographs with an independent 189-point template.

    python benchmarks/landmarks.py

The photographs and templates (Face Research Lab London Set, CC BY 4.0) are looked for in
`landmarks-frl` in the folder AUCUE_DATA, by default ../shared/data. Of several faces the largest is taken.
"""

import csv
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from aucue.faces import FaceReader

# iBUG-68 index -> index in the template, for the points that both schemes define.
SHARED_POINTS = {
    **{36: 18, 39: 22, 42: 23, 45: 27, 48: 87, 54: 93},  # eye and mouth corners
    **{51: 90, 57: 106, 62: 96, 66: 101},  # upper and lower lip, midline
    **{8: 129, 33: 55},  # chin, base of the nose
}
CORNERS = (36, 39, 42, 45, 48, 54)


@dataclass(frozen=True)
class Measurement:
    """One photograph: how its face was found ("none" if it was not), and the error of each shared point
    as a share of the outer-eye distance.
    """

    file: str
    how: str
    relative_error: dict[int, float]

    @property
    def corners(self) -> float:
        """Mean relative error over the eye and mouth corners."""
        return float(np.mean([self.relative_error[index] for index in CORNERS]))


def read_templates(folder: Path) -> dict[str, np.ndarray]:
    """File name -> template (189, 2) in pixels of the photograph."""
    with (folder / "frl189.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array(row[1:], dtype=float).reshape(-1, 2) for row in rows}


def measure(folder: Path, file: str, template: np.ndarray, reader: FaceReader) -> Measurement:
    """Compare the largest face of one photograph with its template."""
    faces = reader(folder / "images" / file)
    if not faces:
        return Measurement(file, "none", {})
    landmarks = faces[0].photo_landmarks
    outer_eyes = np.linalg.norm(template[SHARED_POINTS[36]] - template[SHARED_POINTS[45]])
    errors = {
        index: float(np.linalg.norm(landmarks[index] - template[other]) / outer_eyes)
        for index, other in SHARED_POINTS.items()
    }
    return Measurement(file, faces[0].how, errors)


def measure_all(folder: Path, workers: int = 2) -> list[Measurement]:
    """All photographs of the folder, in worker processes, or in this one with no workers."""
    items = read_templates(folder).items()
    reader = FaceReader()
    if not workers:
        return [measure(folder, file, template, reader) for file, template in items]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(measure, folder, file, template, reader) for file, template in items]
        return [job.result() for job in jobs]


def main() -> None:
    """Print the figures."""
    data = Path(os.environ.get("AUCUE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    measurements = measure_all(data / "landmarks-frl")
    found = [m for m in measurements if m.relative_error]
    print(f"photographs: {len(measurements)}; found: {dict(Counter(m.how for m in measurements))}")
    corners = [m.corners for m in found]
    print("error as a share of the outer-eye distance")
    print(f"  eye and mouth corners: mean {np.mean(corners):.2%}, worst face {np.max(corners):.2%}")
    everywhere = [list(m.relative_error.values()) for m in found]
    print(f"  all {len(SHARED_POINTS)} points: mean {np.mean(everywhere):.2%}")
    for index in SHARED_POINTS:
        print(f"  landmark {index:2d}: {np.mean([m.relative_error[index] for m in found]):.2%}")


if __name__ == "__main__":
    main()
