"""Read-outs that run the network again, against loops that anyone can follow."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aucue.cams import READOUTS, ClassMap, PooledLinear, gradcam_plus_plus, normalize_cam
from aucue.cams.scores import AT_ONCE, SmoothReadOut, in_steps, with_noise
from aucue.classifiers import Classifier
from aucue.errors import InputError

SCORES = ["scorecam", "ss-cam", "is-cam"]
RERUN = [*SCORES, "smoothgradcam++"]


class Brightness(nn.Module):
    """Two channels, the picture and what it lacks of 1; the logits are the left and the right pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        features = self.layer(torch.cat([images, 1 - images], 1))
        return torch.stack([features[:, 0, 0, 0], features[:, 0, 0, 1]], 1)


def test_scorecam_by_hand():
    """Channels (2, 1) and (-1, 0), so masks (1, 0) and (0, 1), so pictures (2, 0) and (0, 1)."""
    images = torch.tensor([[[[2.0, 1.0]]]])
    maps = ClassMap(Brightness(), "layer", "scorecam")(images, None)
    # p of class 0: of (2, 0), e^2 / (e^2 + 1); of (0, 1), 1 / (1 + e)
    e = torch.tensor(1.0).exp()
    first, second = e**2 / (e**2 + 1), 1 / (1 + e)
    expected = torch.stack(
        [2 * first - second, first]
    )  # at (left, right): relu(p F_1 + q F_2), F_2 = (-1, 0)
    torch.testing.assert_close(maps[0, 0, 0], expected)
    other = torch.stack([2 * (1 - first) - (1 - second), 1 - first]).relu()
    torch.testing.assert_close(maps[0, 1, 0], other)


def test_masks_by_hand():
    masks = torch.rand(5, 1, 2, 3)
    steps = list(in_steps(masks, 4))
    assert len(steps) == 4
    for mask, factor in zip(steps, (1 / 4, 3 / 4, 6 / 4, 10 / 4), strict=True):
        torch.testing.assert_close(mask, masks * factor)
    noisy = list(with_noise(masks, 300, 2.0))
    assert noisy[0].shape == (5, 3, 2, 3)
    added = torch.stack([mask - masks for mask in noisy])
    assert torch.equal(added[:, :1].expand_as(added).isclose(added, atol=1e-5), torch.ones_like(added).bool())
    torch.testing.assert_close(added[:, 0].std(), torch.tensor(2.0), rtol=0.03, atol=0)
    assert all(torch.equal(a, b) for a, b in zip(noisy, with_noise(masks, 300, 2.0), strict=True))


def network() -> nn.Sequential:
    torch.manual_seed(3)
    layers = (nn.Conv2d(3, 5, 3, stride=2), nn.Sigmoid(), nn.Flatten(), nn.Linear(5 * 49, 3))
    return nn.Sequential(*layers).eval()


@pytest.mark.parametrize("name", SCORES)
def test_a_loop_over_faces_channels_and_masks(name):
    model, images = network(), torch.rand(2, 3, 16, 16)
    maps = ClassMap(model, "1", name)(images, None)
    with torch.no_grad():
        for image, found in zip(images, maps, strict=True):
            features = model[:2](image[None])[0]
            total = torch.zeros(3, 7, 7)
            for channel in features:
                scaled = normalize_cam(channel)[None, None]
                mask = F.interpolate(scaled, (16, 16), mode="bilinear", align_corners=False)
                changed = [image * each for each in READOUTS[name].masks(mask)]  # type: ignore[attr-defined]
                weights = torch.stack([model(each).softmax(1)[0] for each in changed]).mean(0)
                total += weights[:, None, None] * channel
            torch.testing.assert_close(found, total.relu(), rtol=1e-4, atol=1e-6)


def test_smooth_gradcam_plus_plus_without_noise_is_gradcam_plus_plus():
    model, images = nn.Sequential(*network(), nn.Tanh()), torch.rand(2, 3, 16, 16)
    readout = SmoothReadOut("", "", "", "", samples=2, deviation=0.0)
    class_map = ClassMap(model, "1", "smoothgradcam++")
    noisy = class_map(images, None)
    class_map.readout = readout
    expected = ClassMap(model, "1", "gradcam++")(images, None)
    torch.testing.assert_close(class_map(images, None), expected)
    assert not torch.allclose(noisy, expected)


@pytest.mark.parametrize("name", RERUN)
def test_a_map_depends_on_its_own_face_and_class_alone(name):
    model, images = network(), torch.rand(3, 3, 16, 16)
    class_map = ClassMap(model, "1", name)
    maps = class_map(images, None)
    assert maps.shape == (3, 3, 7, 7)
    torch.testing.assert_close(class_map(images[1:2], 2), maps[1:2, 2:], rtol=1e-4, atol=1e-6)
    assert torch.equal(class_map(images, None), maps)  # noise is no chance


def test_more_masks_than_go_through_at_once():
    """Channels that are the same have the same weights, wherever they stand."""
    head = nn.Linear(3, 2)
    images = torch.rand(2, 3, 4, 4)
    first = nn.Conv2d(3, 2 * AT_ONCE, 1)
    model = nn.Sequential(first, nn.Conv2d(2 * AT_ONCE, 3, 1), Mean(), head).eval()
    with torch.no_grad():
        first.load_state_dict(
            {
                name: each[:AT_ONCE].repeat(2, *[1] * (each.ndim - 1))
                for name, each in first.state_dict().items()
            }
        )
    whole = ClassMap(model, "0", "scorecam")(images, None)
    half = model[0](images)[:, :AT_ONCE]
    rerun = _rerun_of(model, images)
    alone = READOUTS["scorecam"](half, lambda features: features, rerun=rerun)
    torch.testing.assert_close(whole, 2 * alone, rtol=1e-4, atol=1e-6)


class Mean(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3))


def _rerun_of(model: nn.Module, images: Tensor):
    from aucue.cams import Rerun

    return Rerun(images, model, lambda changed, classes: iter(()))


@pytest.mark.parametrize("name", RERUN)
def test_in_a_graph_the_weights_are_constants(name):
    model, images = network(), torch.rand(1, 3, 16, 16)
    class_map = ClassMap(model, "1", name)
    maps = class_map(images, 1, differentiable=True)
    torch.testing.assert_close(maps.detach(), class_map(images, 1))
    maps.sum().backward()
    before, after = (next(model[index].parameters()).grad for index in (0, 3))
    assert before is not None
    assert before.abs().sum() > 0
    assert after is None


@pytest.mark.parametrize("head", ["wgap", "max"])
@pytest.mark.parametrize("name", RERUN)
def test_classifier(name, head):
    """Masks and noise lie on the normalised picture, as published; nothing is left on the network."""
    torch.manual_seed(0)
    few_channels = {"widths": (8, 16), "depths": (1,)}
    classifier = Classifier(
        "ir50", ("a", "b", "c"), input_size=16, head=head, backbone_options=few_channels
    ).eval()
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8)
    with torch.inference_mode():
        output = classifier(images)
        maps = classifier.class_map(output, None, name, images=images)
    normal = classifier._normalize(images)

    class Normal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.final, self.head = nn.Identity(), classifier.head

        def forward(self, seen: Tensor) -> Tensor:
            return self.head(self.final(classifier._see(seen)[0]))

    linear = "head.fc" if head == "wgap" and name == "smoothgradcam++" else None
    expected = ClassMap(Normal().eval(), "final", name, linear=linear)(normal, None)
    torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-6)
    one = classifier.class_map(output, torch.tensor([2, 0]), name, images=images)
    torch.testing.assert_close(one[0], maps[0, 2:], rtol=1e-4, atol=1e-6)
    assert all(parameter.grad is None for parameter in classifier.parameters())


def test_average_pooling_makes_smooth_gradcam_plus_plus_a_closed_form():
    features, head = torch.rand(2, 4, 3, 3), PooledLinear(torch.randn(3, 4))
    maps = READOUTS["smoothgradcam++"](features, head)  # without the network
    gradients = head.gap_weight[None, :, :, None, None] / 9
    torch.testing.assert_close(maps, gradcam_plus_plus(features, gradients))
    assert not READOUTS["smoothgradcam++"].reruns(head)
    assert READOUTS["scorecam"].reruns(head)


def test_without_the_network():
    with pytest.raises(InputError, match="ScoreCAM runs the network again"):
        READOUTS["scorecam"](torch.rand(1, 2, 3, 3), PooledLinear(torch.rand(2, 2)))
