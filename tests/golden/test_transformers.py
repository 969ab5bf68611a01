"""TS-CAM and APViT, with regenerable weights, against arrays computed by the published code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.classifiers.transformers import CLASS_ATTENTION, APViTHead
from aucue.classifiers.transformers.ir50 import own_name
from aucue.guidance import attention

PLAIN: dict[str, Any] = {"mean": (0, 0, 0), "std": (1, 1, 1)}  # the stored inputs are normalised
APVIT_NAMES = {
    "class_token": "vit.cls_token",
    "class_position": "vit.cls_pos_embed",
    "patch_positions": "vit.patch_pos_embed",
    "tokens.weight": "vit.projs.0.weight",
    "tokens.bias": "vit.projs.0.bias",
    "fc.weight": "classification_head.fc.weight",
    "fc.bias": "classification_head.fc.bias",
}


def arrays(path: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in np.load(path).items()}


def test_ts_cam(goldens: Path, weight: Callable[..., np.ndarray]) -> None:
    classifier = Classifier(method="ts-cam", **PLAIN).eval()
    for name, tensor in classifier.backbone.state_dict().items():
        tensor.copy_(torch.from_numpy(weight(name, tensor.shape)))
    for name, tensor in classifier.head.state_dict().items():
        tensor.copy_(torch.from_numpy(weight(name.replace("conv", "head"), tensor.shape)))
    published = arrays(goldens / "tscam_deit_small.npz")

    with torch.inference_mode():
        output = classifier(arrays(goldens / "inputs.npz")["x"].float())
        tokens = output.features["final"]
        maps = classifier.class_map(output)
        one = classifier.class_map(output, published["labels"])
        semantic = classifier.class_maps(tokens)

    assert classifier.final_layer == "final"
    torch.testing.assert_close(output.logits, published["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens, published["patch_tokens"], atol=1e-4, rtol=0)
    torch.testing.assert_close(attention(tokens)[:, 0], published["att_patch_mean"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.features[CLASS_ATTENTION], published["att_cls"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(semantic, published["sem_maps"], atol=1e-4, rtol=0)
    torch.testing.assert_close(one[:, 0], published["cam_raw"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps[range(4), published["labels"]], one[:, 0])
    full = interpolate(normalize_cam(one), (224, 224), mode="bilinear", align_corners=False)
    torch.testing.assert_close(full[:, 0], published["cam_norm_224"], atol=1e-4, rtol=0)


def published_apvit(goldens: Path, weight: Callable[..., np.ndarray]) -> Classifier:
    classifier = Classifier(method="apvit", input_size=112, **PLAIN).eval()
    statistics = arrays(goldens / "apvit_bn.npz")
    lines = (line.split(" ", 1)[0] for line in (goldens / "keys_apvit.txt").read_text().splitlines())
    names = [name for name in lines if name.startswith("extractor.")]
    state = classifier.backbone.state_dict()
    for name in names:
        tensor = state[own_name(name.removeprefix("extractor."))]
        if name in statistics:
            tensor.copy_(statistics[name])
        elif not name.endswith("num_batches_tracked"):
            tensor.copy_(torch.from_numpy(weight(name, tensor.shape)))
    for name, tensor in classifier.head.state_dict().items():
        tensor.copy_(torch.from_numpy(weight(APVIT_NAMES.get(name, f"vit.{name}"), tensor.shape)))
    return classifier


def test_apvit(goldens: Path, weight: Callable[..., np.ndarray]) -> None:
    classifier = published_apvit(goldens, weight)
    published = arrays(goldens / "apvit.npz")

    with torch.inference_mode():
        output = classifier(arrays(goldens / "inputs112.npz")["x"].float())
        features = output.features["stages.2"]
        head = classifier.head
        assert isinstance(head, APViTHead)
        dense = head.embed(features)
        maps = classifier.class_map(output)

    assert classifier.final_layer == "stages.2"
    torch.testing.assert_close(output.logits, published["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features, published["feat2d"], atol=1e-4, rtol=0)
    torch.testing.assert_close(attention(features)[:, 0], published["att_feat2d"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense, published["dense"], atol=1e-4, rtol=0)
    torch.testing.assert_close(maps, published["attn_map"].expand(-1, 7, -1, -1), rtol=1e-6, atol=0)
    torch.testing.assert_close(normalize_cam(maps)[:, 3], published["attn_map_norm"], atol=1e-4, rtol=0)
