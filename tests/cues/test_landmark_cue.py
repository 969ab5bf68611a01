import math

import pytest
import torch

from aucue.cues import LandmarkCue
from aucue.errors import InputError


def test_by_hand():
    # All points on pixel (2, 1) of a 3 x 5 frame: exp(-d^2 / 2v), stretched from its value in the corner.
    points = torch.tensor([2.0, 1.0]).expand(1, 68, 2)
    cue = LandmarkCue(variance=2.0)(points, (3, 5))
    low = math.exp(-5 / 4)
    density = [[math.exp(-((x - 2) ** 2 + (y - 1) ** 2) / 4) for x in range(5)] for y in range(3)]
    expected = [[(value - low) / (1 - low) for value in row] for row in density]
    torch.testing.assert_close(cue.map[0, 0], torch.tensor(expected))
    assert cue.valid.all()


def test_jaw_is_optional(face):
    chin = face[8].round().int().tolist()
    without, with_jaw = (LandmarkCue(jaw=jaw)(face[None], (224, 224)).map[0, 0] for jaw in (False, True))
    assert with_jaw[chin[1], chin[0]] > 0.9
    assert without[chin[1], chin[0]] < 0.1


def test_invalid(face):
    points = face.repeat(3, 1, 1)
    points[1, 0, 0] = torch.nan  # in the jaw, which is not even drawn: the face is not known
    points[2] = torch.inf
    cue = LandmarkCue()(points, (224, 224), (7, 7))
    assert cue.valid.tolist() == [True, False, False]
    assert (cue.map[1:] == 0).all()


def test_grid_samples_the_frame(face):
    coarse = LandmarkCue()(face[None], (224, 224), (28, 28)).map
    scaled = LandmarkCue(variance=1.0)((face[None] + 0.5) / 8 - 0.5, (28, 28)).map
    torch.testing.assert_close(coarse, scaled, atol=1e-5, rtol=0)


def test_wrong_shapes(face):
    with pytest.raises(InputError, match=r"Landmarks must have the shape \(B, 68, 2\), not \(68, 2\)"):
        LandmarkCue()(face, (224, 224))
    with pytest.raises(InputError, match="'size' must be"):
        LandmarkCue()(face[None], (0, 224))
