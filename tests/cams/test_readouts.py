"""Read-outs from features and a head."""

import pytest
import torch
from torch import Tensor, nn

from aucue.cams import READOUTS, GradientReadOut, PooledLinear, class_activation_map
from aucue.errors import InputError

BATCH, CHANNELS, CLASSES, GRID = 3, 6, 4, (5, 7)
GRADIENT = [name for name, readout in READOUTS.items() if isinstance(readout, GradientReadOut)]
# see test_scores.py, and of the first tests/classifiers/test_regularisers.py
RERUN = ["adl-fg2024", "smoothgradcam++", "scorecam", "ss-cam", "is-cam"]
AT_ONCE = [name for name in READOUTS if name not in RERUN]


@pytest.fixture
def features() -> Tensor:
    return torch.rand(BATCH, CHANNELS, *GRID)


@pytest.fixture
def pooled() -> PooledLinear:
    return PooledLinear(torch.randn(CLASSES, CHANNELS), torch.randn(CLASSES))


class Curved(nn.Module):
    """A head without a closed form; it begins with an operation in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, CLASSES, 3)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(features.relu_()).tanh().mean((2, 3))


class Hides(nn.Module):
    """The same head without the promise that it has a closed form."""

    def __init__(self, head) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        return self.head(features)


def test_names():
    first = ["cam", "gradcam", "gradcam++", "gradcam++-fg2024", "layercam", "xgradcam"]
    assert list(READOUTS) == [*first, *RERUN]
    assert all(name == readout.name for name, readout in READOUTS.items())


@pytest.mark.parametrize("name", GRADIENT)
@pytest.mark.parametrize("classes", [None, [2, 0, 3]])
def test_closed_forms_equal_autograd(name, classes, features, pooled):
    ids = None if classes is None else torch.tensor(classes)
    closed = READOUTS[name](features, pooled, ids)
    assert closed.shape == (BATCH, CLASSES if ids is None else 1, *GRID)
    torch.testing.assert_close(closed, READOUTS[name](features, Hides(pooled), ids), rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", GRADIENT)
def test_all_classes_are_the_single_classes(name, features):
    head = Curved()
    maps = READOUTS[name](features, head)
    assert maps.shape == (BATCH, CLASSES, *GRID)
    for k in range(CLASSES):
        one = READOUTS[name](features, head, torch.full((BATCH,), k))
        torch.testing.assert_close(maps[:, k : k + 1], one)


@pytest.mark.parametrize("name", GRADIENT)
def test_samples_do_not_mix(name, features):
    head, ids = Curved(), torch.tensor([1, 3, 0])
    maps = READOUTS[name](features, head, ids)
    for row in range(BATCH):
        alone = READOUTS[name](features[row : row + 1], head, ids[row : row + 1])
        torch.testing.assert_close(maps[row : row + 1], alone)


def test_gradcam_and_layercam_of_average_pooling_are_cam_without_its_negative_parts(features, pooled):
    size = GRID[0] * GRID[1]
    cam = READOUTS["cam"](features, pooled)
    torch.testing.assert_close(cam, class_activation_map(features, pooled.weight))
    torch.testing.assert_close(READOUTS["gradcam"](features, pooled), cam.relu() / size)
    torch.testing.assert_close(READOUTS["xgradcam"](features, pooled), cam.relu() / size)
    positive = class_activation_map(features, pooled.weight.relu())
    torch.testing.assert_close(READOUTS["layercam"](features, pooled), positive / size)


def test_cam_reads_the_class_maps_of_a_head(features):
    class Own(Curved):
        def class_maps(self, features: Tensor) -> Tensor:
            return features[:, :CLASSES] * 2

    maps = READOUTS["cam"](features, Own())
    torch.testing.assert_close(maps, features[:, :CLASSES] * 2)
    chosen = READOUTS["cam"](features, Own(), torch.tensor([3, 0, 1]))
    torch.testing.assert_close(
        chosen[:, 0], torch.stack([features[0, 3], features[1, 0], features[2, 1]]) * 2
    )


def test_cam_needs_a_head_with_class_maps(features):
    with pytest.raises(InputError, match="gradient read-out, such as gradcam"):
        READOUTS["cam"](features, Curved())


@pytest.mark.parametrize(
    ("name", "closed"), [*((name, True) for name in AT_ONCE), *((name, False) for name in GRADIENT)]
)
@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_callers_without_gradients(name, context, closed, pooled):
    images = torch.rand(BATCH, CHANNELS, *GRID)
    head = pooled if closed else Curved()
    expected = READOUTS[name](images * 2, head)
    with context():
        features = images * 2  # an inference tensor in inference mode
        maps = READOUTS[name](features, head)
        assert torch.is_inference_mode_enabled() == (context is torch.inference_mode)
        assert not torch.is_grad_enabled()
    assert not maps.requires_grad
    torch.testing.assert_close(maps, expected)


@pytest.mark.parametrize("name", GRADIENT)
def test_parameters_and_features_are_left_alone(name, features):
    head, before = Curved(), features.clone()
    assert head.conv.bias is not None
    head.conv.bias.requires_grad_(False)
    head.conv.weight.grad = torch.ones_like(head.conv.weight)
    maps = READOUTS[name](features, head, torch.tensor([0, 1, 2]))
    assert torch.equal(features, before)
    assert not features.requires_grad
    assert not maps.requires_grad
    assert torch.equal(head.conv.weight.grad, torch.ones_like(head.conv.weight))
    assert head.conv.weight.requires_grad
    assert not head.conv.bias.requires_grad


@pytest.mark.parametrize("name", AT_ONCE)
def test_differentiable_on_request(name, pooled):
    """The gradient of a loss on the maps is the difference quotient."""
    features = torch.rand(1, CHANNELS, 2, 3, dtype=torch.float64, requires_grad=True)
    weight = pooled.weight.double().requires_grad_()
    heads = [PooledLinear(weight)] if name == "cam" else [PooledLinear(weight), Hides(PooledLinear(weight))]
    for head in heads:
        readout = READOUTS[name]
        assert not readout(features, head).requires_grad
        loss = readout(features, head, differentiable=True).square().sum()
        step = 1e-6 * torch.randn_like(features), 1e-6 * torch.randn_like(weight)
        gradients = torch.autograd.grad(loss, (features, weight))
        expected = sum((g * s).sum() for g, s in zip(gradients, step, strict=True))
        with torch.no_grad():
            moved = PooledLinear(weight + step[1])
            moved = readout(features + step[0], moved).square().sum() - readout(features, head).square().sum()
        torch.testing.assert_close(moved, expected, rtol=1e-3, atol=0)


@pytest.mark.parametrize("name", GRADIENT)
def test_differentiable_through_a_head_without_closed_form(name):
    """With features that need no gradient themselves, the head's parameters get theirs."""
    head = Curved()
    features = torch.rand(BATCH, CHANNELS, *GRID)
    READOUTS[name](features, head, torch.tensor([0, 1, 2]), differentiable=True).sum().backward()
    gradient = head.conv.weight.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert not features.requires_grad


def test_errors(features, pooled):
    readout = READOUTS["gradcam"]
    with pytest.raises(InputError, match=r"one class per sample, \(3,\), not \(1,\)"):
        readout(features, pooled, torch.tensor([1]))
    with pytest.raises(InputError, match=r"one class per sample, \(3,\), not \(1,\)"):
        readout(features, Curved(), torch.tensor([1]))
    with pytest.raises(InputError, match=r"\(3, 6, 5, 7\) and \(4, 5\)"):
        readout(features, PooledLinear(torch.rand(4, 5)))
    with pytest.raises(InputError, match=r"logits \(B, K\), not \(3, 6, 5, 7\)"):
        readout(features, nn.ReLU())
    with pytest.raises(InputError, match="do not depend on these features"):
        readout(features, lambda maps: torch.zeros(3, 4))
    with pytest.raises(InputError, match="do not depend on these features"):
        readout(features, lambda maps: torch.zeros(3, 4, requires_grad=True) * 2)
