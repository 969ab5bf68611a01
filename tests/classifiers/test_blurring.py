from pathlib import Path

import pytest
import torch
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn

from aucue.classifiers import Classifier
from aucue.classifiers.blurring import Blur, BlurredConv2d, BlurredMaxPool2d, blur_strides
from aucue.errors import InputError
from aucue.models import Card, load_model, save_model


def small(**options: object) -> Classifier:
    return Classifier("resnet10t", input_size=64, final_stride=8, **options).eval()  # pyright: ignore[reportArgumentType]


def test_a_blur_by_hand() -> None:
    maps = torch.zeros(1, 2, 5, 5)
    maps[0, 0, 2, 2] = 16  # one cell of the first channel
    blurred = Blur((2, 2))(maps)
    assert blurred.shape == (1, 2, 3, 3)
    assert blurred[0, 0].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]
    maps[0, 0] = torch.arange(5.0)  # a slope, whose border goes on outside
    assert Blur((1, 2))(maps)[0, 0, 1].tolist() == [0.25, 2, 3.75]


@pytest.mark.parametrize("size", [8, 9])
def test_without_detail_nothing_changes(size: int) -> None:
    flat = torch.rand(1, 4, 1, 1).expand(2, 4, size, size)
    conv, pool = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.MaxPool2d(3, 2, 1)
    blurred = BlurredConv2d.instead_of(conv)
    assert torch.equal(blurred.weight, conv.weight)
    torch.testing.assert_close(blurred(flat)[..., 1:-1, 1:-1], conv(flat)[..., 1:-1, 1:-1])
    torch.testing.assert_close(BlurredMaxPool2d(pool)(flat), pool(flat))


def test_a_shift_changes_less() -> None:
    torch.manual_seed(0)
    plain = small()
    blurred = small(blur=True)
    blurred.load_state_dict(plain.state_dict())
    faces = torch.rand(8, 3, 64, 64)
    assert blurred.shapes == plain.shapes

    def changed(network: Classifier) -> float:
        with torch.inference_mode():
            before, after = network(faces).logits, network(faces.roll((2, 2), (2, 3))).logits
        return float((after - before).norm() / (before - before.mean(0)).norm())

    assert changed(blurred) < 0.8 * changed(plain)


def test_it_is_saved_and_starts_from_a_network_without(tmp_path: Path) -> None:
    plain, blurred = small(), small(blur=True)
    path = save_model(tmp_path / "plain.safetensors", plain, Card(plain.classes))
    blurred.with_weights(path)
    kept = save_model(tmp_path / "blurred.safetensors", blurred, Card(blurred.classes))
    again, _ = load_model(kept)
    assert again.config["blur"]
    assert sum(isinstance(part, Blur) for part in again.modules()) == 2
    faces = torch.rand(2, 3, 64, 64)
    assert torch.equal(again(faces).logits, blurred(faces).logits)
    assert torch.equal(
        again.backbone.state_dict()["conv1.0.weight"], plain.backbone.state_dict()["conv1.0.weight"]
    )


def test_what_reads_the_picture_and_what_does_not_overlap_stay() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 1, 2), nn.MaxPool2d(2)
    )
    with pytest.raises(InputError, match="no kernel of this network has a stride"):
        blur_strides(network)
    with pytest.raises(InputError, match="blur: "):
        Classifier("test_vit", input_size=64, blur=True)


@pytest.mark.parametrize(
    ("backbone", "kind"),
    [("tf_mobilenetv3_small_minimal_100", "Conv2dSame"), ("test_nfnet", "ScaledStdConv2d")],
)
def test_convolutions_that_do_more_than_torch_s_are_refused(backbone: str, kind: str) -> None:
    with pytest.raises(
        InputError, match=rf"^blur: '[\w.]+' is a {kind}, not torch's own layer.*; leave blur out"
    ):
        Classifier(backbone, input_size=64, blur=True)


def test_maxima_that_do_more_than_torch_s_are_refused() -> None:
    for pool, said in (
        (nn.MaxPool2d(3, 2, ceil_mode=True), r"^blur: 'stem\.1' is a MaxPool2d that rounds sizes up"),
        (MaxPool2dSame(3, 2), r"^blur: 'stem\.1' is a MaxPool2dSame, not torch's own layer"),
    ):
        network = nn.Sequential()
        network.add_module("stem", nn.Sequential(nn.Conv2d(3, 4, 3, 2), pool))
        with pytest.raises(InputError, match=said):
            blur_strides(network)


def test_what_does_more_and_is_not_blurred_stays() -> None:
    same = MaxPool2dSame(2, 2)
    network = nn.Sequential(nn.Conv2d(4, 4, 3, 2), same)
    blur_strides(network)
    assert isinstance(network[0], BlurredConv2d)
    assert network[1] is same


@pytest.mark.parametrize("backbone", ["test_byobnet", "test_efficientnet", "test_resnet"])
def test_what_it_says_of_its_maps_is_true(backbone: str) -> None:
    blurred = Classifier(backbone, input_size=72, blur=True).eval()
    features = blurred(torch.rand(1, 3, 72, 72)).features
    assert {name: tuple(maps.shape[1:]) for name, maps in features.items()} == blurred.shapes
