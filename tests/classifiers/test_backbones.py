import pytest
import torch
from torch import nn

from aucue.classifiers import Classifier
from aucue.errors import InputError

# torch tells once that an even kernel is padded on one side more; that is meant
pytestmark = pytest.mark.filterwarnings("ignore:.*padding='same'.*")

CONVOLUTIONAL = (
    "test_resnet",
    "resnet10t",  # average pooling in its shortcuts
    "test_efficientnet",
    "mobilenetv3_small_050",
    "tf_mobilenetv3_small_minimal_100",  # pads by the stride, at run time
    "test_convnext",  # 2 x 2 convolutions without padding
    "densenet121",  # 2 x 2 poolings between its stages
)


@pytest.mark.parametrize("backbone", CONVOLUTIONAL)
@pytest.mark.parametrize("final_stride", [8, 16])
def test_final_stride_sets_the_last_grid(backbone: str, final_stride: int) -> None:
    plain = Classifier(backbone, input_size=64).eval()
    fine = Classifier(backbone, input_size=64, final_stride=final_stride).eval()
    fine.load_state_dict(plain.state_dict())  # same names and shapes, so pretrained weights fit
    x = torch.rand(1, 3, 64, 64)
    coarse, finer = plain(x).features, fine(x).features

    for layer, features in finer.items():
        side = max(coarse[layer].shape[-1], 64 // final_stride)
        assert features.shape[-2:] == (side, side)
        assert fine.shapes[layer] == tuple(features.shape[1:])
    first = fine.layers[0]
    torch.testing.assert_close(finer[first], coarse[first])  # what lies before is untouched


def test_resnet_gets_stride_one_without_dilation() -> None:
    backbone = Classifier("resnet50", input_size=64, final_stride=8).backbone
    strided = {
        name: module.stride
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Conv2d) and module.stride != (1, 1)
    }
    assert strided == {"conv1": (2, 2), "layer2.0.conv2": (2, 2), "layer2.0.downsample.0": (2, 2)}
    assert all(m.dilation == (1, 1) for m in backbone.modules() if isinstance(m, nn.Conv2d))


def test_final_stride_of_the_network_itself_changes_nothing() -> None:
    plain, same = (Classifier("test_resnet", input_size=64, final_stride=stride) for stride in (None, 32))
    assert repr(plain.backbone) == repr(same.backbone)


@pytest.mark.parametrize("size", [100, 112])
def test_sizes_that_do_not_divide(size: int) -> None:
    fine = Classifier("test_resnet", input_size=size, final_stride=8)
    assert fine.shapes["layer4"][1] == fine.shapes["layer2"][1] == -(-size // 8)


@pytest.mark.parametrize(
    ("backbone", "final_stride"),
    [("test_vit", 8), ("swin_tiny_patch4_window7_224", 8), ("test_resnet", 64), ("hrnet_w18_small", 8)],
)
def test_impossible_strides_are_told(backbone: str, final_stride: int) -> None:
    with pytest.raises(
        InputError, match=rf"{backbone} cannot have final_stride={final_stride} at input_size=64"
    ):
        Classifier(backbone, input_size=64, final_stride=final_stride)


def test_a_smaller_patch_is_the_way_out_for_a_vit() -> None:
    fine = Classifier("test_vit", input_size=64, backbone_options={"patch_size": 8})
    assert fine.shapes["final"] == (64, 8, 8)


def test_strides_inside_attention_stay() -> None:
    backbone = Classifier("pvt_v2_b0", input_size=64, final_stride=8).backbone
    assert all(m.stride == m.kernel_size for n, m in backbone.named_modules() if n.endswith("attn.sr"))
    assert backbone.get_submodule("stages.2.downsample.proj").get_parameter("weight").shape[-1] == 3
