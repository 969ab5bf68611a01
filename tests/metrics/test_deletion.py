"""Curves by hand, their properties, and those of another library on its own definition."""

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.perturbation_confidence import (
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from aucue.errors import InputError
from aucue.metrics import (
    area_under_curve,
    deletion_curve,
    insertion_curve,
    mean_fill,
    pixel_ranks,
)

# A network whose "probability" is the weighted sum of the pixels of a 2 x 2 image.
WEIGHTS = torch.tensor([[0.4, 0.3], [0.2, 0.1]])
IMAGE, BLACK = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
FIRST, SECOND = torch.tensor([0]), torch.tensor([1])


def weighted(images: Tensor) -> Tensor:
    score = (images[:, 0] * WEIGHTS).sum((1, 2))
    return torch.stack([score, 1 - score], dim=1)


def test_deletion_by_hand():
    best, worst = WEIGHTS[None, None], -WEIGHTS[None, None]
    curve = deletion_curve(weighted, IMAGE, BLACK, best, FIRST, steps=4)
    torch.testing.assert_close(curve, torch.tensor([[1.0, 0.6, 0.3, 0.1, 0.0]]))
    # (1/2 + 0.6 + 0.3 + 0.1 + 0/2) / 4
    assert area_under_curve(curve).item() == pytest.approx(0.375)
    curve = deletion_curve(weighted, IMAGE, BLACK, worst, FIRST, steps=4)
    torch.testing.assert_close(curve, torch.tensor([[1.0, 0.9, 0.7, 0.4, 0.0]]))
    assert area_under_curve(curve).item() == pytest.approx(0.625)


def test_insertion_by_hand():
    curve = insertion_curve(weighted, IMAGE, BLACK, WEIGHTS[None, None], FIRST, steps=2)
    torch.testing.assert_close(curve, torch.tensor([[0.0, 0.7, 1.0]]))
    # (0/2 + 0.7 + 1/2) / 2
    assert area_under_curve(curve).item() == pytest.approx(0.6)


def test_each_image_has_its_own_class():
    images, maps = IMAGE.expand(2, -1, -1, -1), WEIGHTS.expand(2, 1, -1, -1)
    curves = deletion_curve(weighted, images, BLACK.expand(2, -1, -1, -1), maps, torch.tensor([0, 1]), 4)
    torch.testing.assert_close(curves.sum(dim=0), torch.ones(5))


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_does_not_matter(batch_size: int):
    images, maps = torch.rand(5, 1, 2, 2), torch.rand(5, 1, 2, 2)
    classes, filled = torch.tensor([0, 1, 0, 1, 1]), torch.rand(5, 1, 2, 2)
    expected = torch.cat(
        [
            deletion_curve(weighted, images[[i]], filled[[i]], maps[[i]], classes[[i]], steps=3)
            for i in range(5)
        ]
    )
    found = deletion_curve(weighted, images, filled, maps, classes, steps=3, batch_size=batch_size)
    torch.testing.assert_close(found, expected)


def test_order_by_hand():
    map_ = torch.tensor([[[[0.2, 0.9], [0.5, 0.1]]]])
    assert pixel_ranks(map_).flatten().tolist() == [2, 0, 1, 3]


def test_equal_pixels_come_in_one_scattered_order():
    ranks = pixel_ranks(torch.zeros(2, 1, 40, 40))
    assert torch.equal(ranks[0], ranks[1])
    assert sorted(ranks[0].flatten().tolist()) == list(range(1600))
    # In no half of the image, whatever way it is cut, do they come first.
    first = (ranks[0, 0] < 800).float()
    for half in (first[:20], first[20:], first[:, :20], first[:, 20:]):
        assert half.mean().item() == pytest.approx(0.5, abs=0.06)


def test_a_map_of_what_the_network_reads_beats_every_other():
    """Of a linear network on equal pixels, its own weights delete fastest and insert fastest."""
    maps = torch.cat([WEIGHTS[None, None], torch.rand(20, 1, 2, 2)])
    images, black = IMAGE.expand(21, -1, -1, -1), BLACK.expand(21, -1, -1, -1)
    classes = torch.zeros(21, dtype=torch.long)
    deleted = area_under_curve(deletion_curve(weighted, images, black, maps, classes, 4))
    inserted = area_under_curve(insertion_curve(weighted, images, black, maps, classes, 4))
    assert (deleted[0] <= deleted + 1e-6).all()
    assert (inserted[0] >= inserted - 1e-6).all()


class Network(nn.Module):
    """Probabilities of a small random network."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 5)
        )

    def forward(self, images: Tensor) -> Tensor:
        return (5 * self.layers(images)).softmax(dim=1)


def filled_by_its_mean(image: Tensor, kept: Tensor) -> Tensor:
    """Imputer in the form of the other library."""
    return torch.where(kept > 0, image, image.mean((1, 2), keepdim=True))


@pytest.mark.parametrize("name", ["deletion", "insertion"])
def test_grad_cam_library_hides_the_same_pixels(name: str):
    """`pytorch_grad_cam` removes what lies on one side of a percentile, and averages over percentiles.

    A percentile half-way between the k-th pixel and the next one parts k pixels from the others: its scores
    are the inner points of our curve, and its average is our area without the halves of both ends.
    """
    network, side, steps = Network().eval(), 12, 8
    images, maps = torch.rand(3, 3, side, side), torch.rand(3, 1, side, side)
    classes, pixels = torch.tensor([0, 3, 4]), side * side
    targets = [ClassifierOutputTarget(int(k)) for k in classes]
    remove = RemoveMostRelevantFirst if name == "deletion" else RemoveLeastRelevantFirst
    kept = [pixels - k * pixels // steps if name == "deletion" else k * pixels // steps for k in range(1, 8)]
    percentiles = [100 * (n - 0.5) / (pixels - 1) for n in kept]

    def score(percentile: float):
        metric = PerturbationConfidenceMetric(remove(percentile, filled_by_its_mean))
        return lambda *arguments: metric(*arguments, return_diff=False)

    arguments = (images, maps[:, 0].numpy(), targets, network)
    with torch.no_grad():
        expected = np.stack([score(percentile)(*arguments) for percentile in percentiles], axis=1)
        average = AveragerAcrossThresholds(score, percentiles)(*arguments)
        curve_of = deletion_curve if name == "deletion" else insertion_curve
        curve = curve_of(network, images, mean_fill(images), maps, classes, steps)
    np.testing.assert_allclose(curve[:, 1:-1], expected, atol=1e-5)
    inner = area_under_curve(curve) * steps - (curve[:, 0] + curve[:, -1]) / 2
    np.testing.assert_allclose(inner / (steps - 1), average, atol=1e-5)


def test_wrong_shapes_are_named():
    with pytest.raises(InputError, match=r"maps \(1, 1, 2, 2\)"):
        deletion_curve(weighted, IMAGE, BLACK, torch.zeros(1, 1, 4, 4), FIRST)
    with pytest.raises(InputError, match="at least one step"):
        insertion_curve(weighted, IMAGE, BLACK, BLACK, SECOND, steps=0)
