from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from aucue.classifiers import Classifier
from aucue.classifiers.locality import PointwiseConv2d, receptive_field
from aucue.errors import InputError
from aucue.models import Card, load_model, save_model


def small(**options: object) -> Classifier:
    return Classifier("test_resnet", input_size=64, final_stride=8, **options).eval()  # pyright: ignore[reportArgumentType]


def test_a_pointwise_convolution_does_the_same_to_flat_pictures() -> None:
    conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)
    one = PointwiseConv2d.instead_of(conv)
    flat = torch.rand(2, 3, 1, 1).expand(2, 3, 9, 9)
    torch.testing.assert_close(one(flat)[..., 1:-1, 1:-1], conv(flat)[..., 1:-1, 1:-1])
    assert (one.stride, one.was) == ((2, 2), (3, 3))


def test_no_cell_sees_further_than_the_layers_before() -> None:
    whole, local = small(), small(local_from="layer1")
    assert local.shapes == whole.shapes
    assert local.receptive_field < whole.receptive_field
    height, _ = local.receptive_field
    assert height < 32
    with torch.no_grad():
        picture = torch.rand(1, 3, 64, 64)
        changed = picture.clone()
        changed[..., : 32 - height, :] = 0  # further from the middle than it sees
        before, after = (local(p).features[local.final_layer] for p in (picture, changed))
    assert not torch.equal(before[..., 0, :], after[..., 0, :])
    assert torch.equal(before[..., 4, :], after[..., 4, :])


def test_a_receptive_field_by_hand() -> None:
    class Two(nn.Module):
        """Kernels of 3 and 5 at stride 2: 3 + 2 * 4 = 11 pixels; a second one of 3 wide and 1 high."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, (1, 5), 1, (0, 2))

        def forward(self, pictures: torch.Tensor):
            return SimpleNamespace(features={"only": self.second(self.first(pictures))})

    assert receptive_field(Two(), 48) == (3, 11)


def test_blocks_between_named_layers_are_narrowed_too() -> None:
    model = Classifier("mobilenetv3_small_050", input_size=64, local_from="blocks.3")
    kernels = {
        name: part.kernel_size for name, part in model.backbone.named_modules() if isinstance(part, nn.Conv2d)
    }
    assert "blocks.4" not in model.shapes
    last = list(kernels)[list(kernels).index("blocks.3.0.conv_dw") :]
    assert "blocks.4.1.conv_dw" in last
    assert {kernels[name] for name in last} == {(1, 1)}
    assert kernels["blocks.2.2.conv_dw"] == (5, 5)


def test_a_local_model_is_saved_and_is_a_start_for_others(tmp_path: Path) -> None:
    model = small(local_from="layer3")
    path = save_model(tmp_path / "local.safetensors", model, Card(model.classes))
    again, _ = load_model(path)
    assert again.config["local_from"] == "layer3"
    for other in (again, small(local_from="layer3").with_weights(path)):
        for name, value in model.backbone.state_dict().items():
            assert torch.equal(other.backbone.state_dict()[name], value)


def test_a_whole_model_is_a_start_for_a_local_one(tmp_path: Path) -> None:
    whole = small()
    path = save_model(tmp_path / "whole.safetensors", whole, Card(whole.classes))
    local = small(local_from="layer4").with_weights(path)
    for name, value in whole.backbone.state_dict().items():
        ours = local.backbone.state_dict()[name]
        expected = value if ours.shape == value.shape else value.sum((2, 3), keepdim=True)
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("layer", "said"), [("layer9", "is no layer of this network"), ("final", "is no layer")]
)
def test_what_is_no_layer(layer: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        small(local_from=layer)


def test_a_transformer_has_nothing_to_narrow() -> None:
    with pytest.raises(InputError, match="no kernel larger than 1 x 1"):
        Classifier("test_vit", input_size=64, local_from="blocks.0")


@pytest.mark.parametrize(
    ("backbone", "layer", "kind"),
    [
        ("tf_mobilenetv3_small_minimal_100", "blocks.1", "Conv2dSame"),
        ("test_nfnet", "stages.2", "ScaledStdConv2d"),
    ],
)
def test_convolutions_that_do_more_than_torch_s_are_refused(backbone: str, layer: str, kind: str) -> None:
    said = rf"^local_from: '{layer}[\w.]+' is a {kind}, not torch's own layer.*; choose a deeper layer"
    with pytest.raises(InputError, match=said):
        Classifier(backbone, input_size=64, local_from=layer)


def test_kernels_that_change_the_size_of_maps_are_refused() -> None:
    even = Classifier("test_convnext", input_size=64, local_from="stages.1").eval()
    features = even(torch.rand(1, 3, 64, 64)).features
    assert {name: tuple(maps.shape[1:]) for name, maps in features.items()} == even.shapes
    with pytest.raises(
        InputError, match=r"maps of test_convnext would have other sizes at input_size=72; choose"
    ):
        Classifier("test_convnext", input_size=72, local_from="stages.1")
