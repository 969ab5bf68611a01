"""Cues against the published code's own, at every image size for which its arrays are there.

Tolerances of goldens/README.md in their strict form, that for OpenCV's ellipses: grids 1e-9, single maps 1e-4
of 255, normalised maps 1e-5. The largest difference of each array is printed (`pytest -rP`).
"""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from aucue.cues import AUCue, LandmarkCue, PublishedRegions
from aucue.faces import MIRROR
from aucue.facs import Codebook


def sizes(goldens: Path, kind: str) -> list[tuple[str, tuple[int, int], torch.Tensor, dict[str, np.ndarray]]]:
    """Tag, frame (h, w), landmarks and arrays of each file `<kind>_<size>.npz`."""
    landmarks = np.load(goldens / "landmarks.npz")
    found = []
    for path in sorted(goldens.glob(f"{kind}_*.npz")):
        tag = path.stem.removeprefix(f"{kind}_")
        height, _, width = tag.partition("x")
        frame = int(height), int(width or height)
        found.append((tag, frame, torch.from_numpy(landmarks[f"lm{tag}"]), dict(np.load(path))))
    if not found:
        pytest.skip(f"no {kind}_*.npz in {goldens}")
    return found


def published_units(goldens: Path, draw: AUCue) -> list[int]:
    """Columns of `draw.single` in the published order of action units."""
    with (goldens / "codebook.csv").open() as file:
        return [draw.action_units.index(int(row["facs_au"])) for row in csv.DictReader(file)]


def largest(name: str, ours: torch.Tensor, published: np.ndarray, tolerance: float) -> None:
    """Compare, and print the largest difference."""
    difference = float((ours.double() - torch.from_numpy(published).double()).abs().max())
    print(f"{name}: largest difference {difference:.1e}, tolerance {tolerance:.0e}")
    assert difference <= tolerance, name


def test_codebook(goldens):
    with (goldens / "codebook.csv").open() as file:
        rows = list(csv.DictReader(file))
    codebook = Codebook.load("fg2024")
    for name in codebook.expressions:
        units = {int(row["facs_au"]) for row in rows if row[name.capitalize()] == "1"}
        assert set(codebook[name]) == units, name


def test_mirror(goldens):
    np.testing.assert_array_equal(MIRROR, np.load(goldens / "landmarks.npz")["flip_perm"])


def test_grids(goldens):
    draw = AUCue("fg2024", regions="fg2024")
    order = published_units(goldens, draw)
    for tag, frame, landmarks, arrays in sizes(goldens, "au_grid28"):
        drawn = torch.from_numpy(arrays["roi"])
        known = landmarks.nan_to_num(posinf=0)  # of faces without landmarks nothing was drawn
        cells = PublishedRegions().cells(known, frame)[:, order]
        largest(f"grid {tag}", (cells * (255 - 1e-4) + 1e-4)[drawn], arrays["grid"][drawn], 1e-9)


def test_single_action_units(goldens):
    draw = AUCue("fg2024", regions="fg2024")
    order = published_units(goldens, draw)
    for tag, frame, landmarks, arrays in sizes(goldens, "au_single"):
        maps, valid = draw.single(landmarks, frame)
        maps, valid = maps[:, order], valid[:, order]
        np.testing.assert_array_equal(valid, arrays["roi"], tag)
        largest(f"single {tag}", maps[valid] * 255, arrays["au"][arrays["roi"]], 255e-4)


def test_expressions(goldens):
    for tag, frame, landmarks, arrays in sizes(goldens, "au_expr"):
        names = [name.lower() for name in arrays["expressions"]]
        draw = AUCue("fg2024", names, "fg2024")
        for label, name in enumerate(names):
            cue = draw(landmarks, torch.full((len(landmarks),), label), frame)
            valid = arrays["valid"][:, label]
            np.testing.assert_array_equal(cue.valid, valid, f"{tag} {name}")
            largest(f"{name} {tag}", cue.map[cue.valid, 0], arrays["norm"][valid, label], 1e-5)


def test_generic(goldens):
    for tag, frame, landmarks, arrays in sizes(goldens, "au_expr"):
        cue = AUCue("fg2024", regions="fg2024").generic(landmarks, frame)
        valid = np.isfinite(arrays["generic"]).all((1, 2))
        np.testing.assert_array_equal(cue.valid, valid, tag)
        largest(f"generic {tag}", cue.map[cue.valid, 0], arrays["generic"][valid], 1e-5)


def test_landmark_heatmap(goldens):
    for tag, frame, landmarks, arrays in sizes(goldens, "landmark_heatmap"):
        cue = LandmarkCue()(landmarks[arrays["ids"]], frame)
        assert cue.valid.all()
        largest(f"landmarks {tag}", cue.map[:, 0], arrays["norm"], 1e-5)
