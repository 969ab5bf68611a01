"""Faces with units hidden: what is hidden, and that nothing else changes."""

import torch

from aucue.cues import AUCue
from aucue.metrics import FILLS
from aucue.rendering import FaceParameters, Identity, render
from aucue.training.hiding import hide_units


def faces(count: int, side: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = [render(FaceParameters(Identity.draw(k), {12: 1.0}), side) for k in range(4)]
    images = torch.stack([torch.from_numpy(face.image.copy()).permute(2, 0, 1) for face in drawn])
    points = torch.stack([torch.from_numpy(face.landmarks.copy()).float() for face in drawn])
    return images.repeat(count // 4, 1, 1, 1), points.repeat(count // 4, 1, 1)


def test_half_of_the_faces_are_seen_again_with_something_hidden():
    torch.manual_seed(0)
    images, landmarks = faces(40)
    landmarks[:4] = torch.nan
    hidden = hide_units(images, landmarks, AUCue())
    assert len(hidden.rows) == 20
    assert hidden.rows.unique().numel() == 20
    assert hidden.rows.min() >= 4  # the others' landmarks are unknown
    assert hidden.images.dtype == torch.uint8
    shown = ~hidden.region.expand_as(hidden.images)
    assert torch.equal(hidden.images[shown], images[hidden.rows][shown])
    shares = hidden.region.float().mean((1, 2, 3))
    assert (shares > 0.005).all()
    assert (shares < 0.6).all()


def test_what_is_hidden_are_whole_units():
    torch.manual_seed(1)
    images, landmarks = faces(8)
    hidden = hide_units(images, landmarks, AUCue())
    maps, _ = AUCue().single(landmarks[hidden.rows], (48, 48), (24, 24))
    units = maps > maps.amax((2, 3), keepdim=True) / 2
    region = hidden.region[:, :, ::2, ::2]  # as it was drawn
    inside = (units <= region).flatten(2).all(2)  # (b, n)
    assert (inside.sum(1) >= 1).all()
    union = (units & inside[:, :, None, None]).any(1, keepdim=True)
    assert torch.equal(union, region)


def test_pictures_of_numbers_between_0_and_1_stay_there():
    torch.manual_seed(2)
    images, landmarks = faces(16)
    hidden = hide_units(images / 255, landmarks, AUCue())
    assert hidden.images.dtype == torch.float32
    assert 0 <= hidden.images.min() <= hidden.images.max() <= 1


def test_every_fill_is_used():
    torch.manual_seed(3)
    images, landmarks = faces(80)
    hidden = hide_units(images, landmarks, AUCue())
    source = images[hidden.rows].float()
    made = torch.stack([fill(source) for fill in FILLS.values()])
    off = ((made - hidden.images).abs() * hidden.region).flatten(2).amax(2) <= 0.5  # (F, b)
    assert off.any(1).all()
    assert not off.any(0).all()  # noise is none of them


def test_no_face_whose_landmarks_are_known():
    images, landmarks = faces(4)
    hidden = hide_units(images, torch.full_like(landmarks, torch.nan), AUCue())
    assert hidden.images.shape == (0, 3, 48, 48)
