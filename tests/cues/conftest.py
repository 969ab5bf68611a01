import numpy as np
import pytest
import torch

from aucue.faces import MIRROR


@pytest.fixture(scope="session")
def face() -> torch.Tensor:
    """A symmetric frontal face (68, 2) in a frame of 224 x 224: eyes 70 pixels apart, midline at 111.5."""
    half = {8: (0, 205), 17: (-56, 82), 18: (-48, 74), 19: (-37, 72), 20: (-26, 74), 21: (-15, 78)}
    half |= {27: (0, 92), 28: (0, 106), 29: (0, 119), 30: (0, 132), 31: (-13, 140), 32: (-7, 143)}
    half |= {33: (0, 145), 36: (-46, 96), 37: (-39, 91), 38: (-30, 91), 39: (-24, 97), 40: (-31, 100)}
    half |= {41: (-40, 100), 48: (-28, 167), 49: (-18, 161), 50: (-7, 157), 51: (0, 159), 57: (0, 181)}
    half |= {58: (-9, 180), 59: (-19, 175), 60: (-23, 167), 61: (-8, 165), 62: (0, 166), 66: (0, 171)}
    half |= {67: (-8, 170)} | {
        i: (60 * (i / 8) ** 3 - 60, 95 + 110 * np.sin(i / 16 * np.pi)) for i in range(8)
    }
    points = np.full((68, 2), np.nan)
    for index, (x, y) in half.items():
        points[index] = 111.5 + x, y
        points[MIRROR[index]] = 111.5 - x, y
    assert np.isfinite(points).all()
    return torch.tensor(points, dtype=torch.float32)


@pytest.fixture(scope="session")
def faces(face) -> torch.Tensor:
    """Six different faces (6, 68, 2): the frontal one, jittered, turned, scaled and shifted."""
    generator = torch.Generator().manual_seed(3)
    angles = torch.tensor([0.0, 0.0, 0.3, -0.5, 0.1, 1.4])
    scales = torch.tensor([1.0, 1.0, 0.8, 1.1, 0.5, 0.9])
    cos, sin = angles.cos() * scales, angles.sin() * scales
    turn = torch.stack((torch.stack((cos, -sin), -1), torch.stack((sin, cos), -1)), 1)  # (6, 2, 2)
    points = (face - 111.5).expand(6, -1, -1) @ turn.mT + 111.5
    points[1:] += 1.5 * torch.randn(5, 68, 2, generator=generator)
    points[4] += torch.tensor([40.0, -25.0])
    return points


def mirrored(landmarks: torch.Tensor, width: int) -> torch.Tensor:
    """The landmarks (..., 68, 2) of the mirrored frame."""
    flipped = landmarks[..., torch.from_numpy(MIRROR.copy()), :].clone()
    flipped[..., 0] = width - 1 - flipped[..., 0]
    return flipped
