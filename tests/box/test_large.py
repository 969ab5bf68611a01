"""A MobileNet in the format of tensorflow.js becomes timm's, and keeps what it is told to keep."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from aucue.classifiers import Classifier
from aucue.training import DataSettings, TrainConfig
from box.large import BACKBONE, MEAN, OPTIONS, Kept, converted, read_weights

WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as the package has it: all in one file, halved numbers, an integer among them."""
    path, draw = tmp_path_factory.mktemp("faceres"), np.random.default_rng(0)
    tensors = {"conv1/convolution/merged_input": draw.normal(0, 0.2, (3, 3, 3, 32))}
    tensors["conv1_bn/batchnorm_1/sub"] = draw.normal(size=32)
    for number, (before, width) in enumerate(itertools.pairwise(WIDTHS), 1):
        tensors[f"conv_dw_{number}/depthwise_kernel"] = draw.normal(0, 0.3, (3, 3, before, 1))
        tensors[f"conv_dw_{number}_bn/batchnorm_1/mul"] = draw.uniform(0.5, 1, before)
        tensors[f"conv_dw_{number}_bn/batchnorm_1/sub"] = draw.normal(size=before)
        tensors[f"conv_pw_{number}/convolution/merged_input"] = draw.normal(0, 0.1, (1, 1, before, width))
        tensors[f"conv_pw_{number}_bn/batchnorm_1/sub"] = draw.normal(size=width)
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": "float32", "quantization": {"dtype": "float16"}}
        for name, value in tensors.items()
    ]
    axes = {"name": "axes", "shape": [2], "dtype": "int32"}
    content = np.array([1, 2], np.int32).tobytes() + b"".join(
        value.astype(np.float16).tobytes() for value in tensors.values()
    )
    (path / "faceres.bin").write_bytes(content)
    manifest = {"weightsManifest": [{"paths": ["faceres.bin"], "weights": [axes, *entries]}]}
    (path / "faceres.json").write_text(json.dumps(manifest))
    return path


def test_every_layer_gives_what_the_package_says(folder: Path, tmp_path: Path) -> None:
    weights = read_weights(folder)
    network = Classifier(BACKBONE, input_size=64, backbone_options=OPTIONS)
    network.with_weights(converted(folder, tmp_path / "faceres.safetensors")).eval()
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    given = 255 * pixels - torch.tensor(MEAN)[:, None, None]
    backbone: Any = network.backbone

    def same(found: torch.Tensor, expected: torch.Tensor) -> None:
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)

    with torch.no_grad():
        seen = backbone.bn1(backbone.conv_stem((pixels - network.mean) / network.std))
        kernel = weights["conv1/convolution/merged_input"].permute(3, 2, 0, 1)
        expected = functional.conv2d(given, kernel, weights["conv1_bn/batchnorm_1/sub"], stride=2)
        same(seen[..., :31, :31], expected.clamp(0, 6))  # beyond it the border is seen
        blocks = [block for stage in backbone.blocks for block in stage]
        assert len(blocks) == len(WIDTHS) - 1
        for number, block in enumerate(blocks, 1):
            stride = block.conv_dw.stride[0]
            narrow = functional.conv2d(
                functional.pad(seen, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)),
                weights[f"conv_dw_{number}/depthwise_kernel"].permute(2, 3, 0, 1),
                stride=stride,
                groups=seen.shape[1],
            )
            scale, offset = (
                weights[f"conv_dw_{number}_bn/batchnorm_1/{part}"][:, None, None] for part in ("mul", "sub")
            )
            narrow = (narrow * scale + offset).clamp(0, 6)
            wide = functional.conv2d(
                narrow,
                weights[f"conv_pw_{number}/convolution/merged_input"].permute(3, 2, 0, 1),
                weights[f"conv_pw_{number}_bn/batchnorm_1/sub"],
            ).clamp(0, 6)
            seen = block(seen)
            same(seen, wide)


def test_a_file_of_weights_is_made_once(folder: Path, tmp_path: Path) -> None:
    path = converted(folder, tmp_path / "faceres.safetensors")
    before = path.stat().st_mtime_ns
    assert converted(tmp_path / "nothing is here", path).stat().st_mtime_ns == before
    assert all(value.isfinite().all() for value in load_file(path).values())


def test_first_blocks_and_statistics_stay(tmp_path: Path) -> None:
    network = Classifier(BACKBONE, input_size=32, backbone_options=OPTIONS)
    module = Kept(network, TrainConfig("run", DataSettings("set")), tmp_path)
    module.train()
    module.on_train_epoch_start()
    module.classifier(torch.rand(2, 3, 32, 32)).logits.sum().backward()
    trained = {name for name, value in network.named_parameters() if value.grad is not None}
    assert not any(name.startswith(("backbone.conv_stem", "backbone.blocks.1")) for name in trained)
    assert {"backbone.blocks.2.0.conv_dw.weight", "backbone.blocks.4.1.conv_pw.weight"} <= trained
    backbone: Any = network.backbone
    assert (backbone.bn1.running_var == 1).all()
    assert not backbone.blocks[4][1].bn2.running_mean.any()
