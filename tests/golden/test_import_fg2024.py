"""Checkpoints in the published layout -> `import-fg2024` -> model file -> logits of the published code."""

from ast import literal_eval
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from aucue.cams import normalize_cam
from aucue.classifiers import HEADS, Classifier
from aucue.classifiers.backbones import sketched
from aucue.classifiers.transformers import CLASS_ATTENTION, APViTHead
from aucue.cli.main import main
from aucue.facs import EXPRESSIONS, Codebook
from aucue.guidance import attention
from aucue.models import Card, GuidanceRecord, load_model
from aucue.models.fg2024 import _build, _fitting, _Settings

from .test_resnet50 import PUBLISHED, theirs

CNN_HEADS = {
    "WILDCAT": "WildCatCLHead",
    "PRM": "PRM",
    "ACoL": "ACOL",
    "GAP": "GAP",
    "MaxPOL": "MaxPool",
    "LogSumExp": "LogSumExpPool",
}
CONVOLUTION = {"conv.weight": (7, 2048, 1, 1), "conv.bias": (7,)}  # of the heads without a list of keys


def listed(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes by name from a list of keys; of CNNs, `encoder conv1.weight` becomes `encoder.conv1.weight`."""
    entries = (line.rsplit(" (", 1) for line in path.read_text().splitlines())
    return {name.replace(" ", "."): literal_eval("(" + shape) for name, shape in entries}


class Published:
    """Writes checkpoints and configurations as the published code does, with the recipe's weights."""

    def __init__(
        self,
        goldens: Path,
        folder: Path,
        weight: Callable[..., np.ndarray],
        encoder: Mapping[str, Tensor],
    ):
        self.goldens, self.folder = goldens, folder
        self.weight, self.plain = weight, encoder

    def tensor(self, name: str, shape: tuple[int, ...], statistics: Any) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(0)
        return torch.from_numpy(statistics[name] if name in statistics else self.weight(name, shape))

    def cnn(self, encoder: str, pooling: str) -> dict[str, dict[str, Tensor]]:
        return {"encoder": self.encoder(encoder), "classification_head": self.head(pooling)}

    def encoder(self, keys: str) -> dict[str, Tensor]:
        """The ResNet-50; that of ADL has the weights of the plain one, under shifted names."""
        plain = listed(self.goldens / "keys_resnet50_cam.txt")
        names, theirs = (
            [name.removeprefix("encoder.") for name in keys_of if name.startswith("encoder.")]
            for keys_of in (plain, listed(self.goldens / f"keys_resnet50_{keys}.txt"))
        )
        return dict(zip(theirs, (self.plain[name] for name in names), strict=True))

    def head(self, pooling: str) -> dict[str, Tensor]:
        shapes = self.shapes_of_head(pooling).items()
        return {name: self.tensor(f"{pooling}.{name}", shape, {}) for name, shape in shapes}

    def shapes_of_head(self, pooling: str) -> dict[str, tuple[int, ...]]:
        if pooling == "WGAP":
            return {"fc.weight": (7, 2048), "fc.bias": (7,)}
        if not (path := self.goldens / f"keys_head_{pooling}.txt").exists():
            return CONVOLUTION
        return {name.removeprefix("classification_head."): shape for name, shape in listed(path).items()}

    def flat(self, keys: str, statistics: Any) -> dict[str, Tensor]:
        shapes = listed(self.goldens / keys)
        return {name: self.tensor(name, shape, statistics) for name, shape in shapes.items()}

    def write(self, content: Any, **changes: str) -> tuple[Path, Path]:
        """`model.pt` and `config_model.yaml`: the example, with some settings changed."""
        example = (self.goldens / "config_model_example_align.yaml").read_text()
        for key, value in changes.items():
            lines = [line for line in example.splitlines() if line.strip().startswith(f"{key}:")]
            assert len(lines) == 1, key
            indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
            example = example.replace(lines[0] + "\n", f"{indent}{key}: {value}\n")
        paths = self.folder / "model.pt", self.folder / "config_model.yaml"
        torch.save(content, paths[0])
        paths[1].write_text(example)
        return paths

    def imported(self, content: Any, **changes: str) -> tuple[Classifier, Card]:
        """The same, through the command and a model file."""
        model, config = self.write(content, **changes)
        out = self.folder / "model.safetensors"
        assert main(["import-fg2024", str(model), str(config), "--out", str(out)]) == 0
        return load_model(out)

    def arrays(self, name: str) -> dict[str, Tensor]:
        return {key: torch.from_numpy(array) for key, array in np.load(self.goldens / f"{name}.npz").items()}

    def images(self, classifier: Classifier, name: str = "inputs") -> Tensor:
        """The stored network inputs, before the normalisation that is now part of the network."""
        return self.arrays(name)["x"].float() * classifier.std + classifier.mean


@pytest.fixture
def published(
    goldens: Path, tmp_path: Path, weight: Callable[..., np.ndarray], encoder: Mapping[str, Tensor]
) -> Published:
    return Published(goldens, tmp_path, weight, encoder)


def test_cam_with_large_maps(published: Published) -> None:
    content = published.cnn("cam", "WGAP")
    classifier, info = published.imported(content)
    expected = published.arrays("resnet50_wgap_large")

    with torch.inference_mode():
        output = classifier(published.images(classifier))
        maps = normalize_cam(classifier.class_map(output))[:, expected["classes"]]
    torch.testing.assert_close(output.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps, expected["CAM"], atol=1e-4, rtol=0)

    assert classifier.classes == info.classes == EXPRESSIONS
    assert classifier.config["final_stride"] == 8
    assert (info.method, info.regions, info.template) == ("cam", "fg2024-224", "fg2024")
    assert info.codebook == Codebook.load("fg2024").to_dict()
    assert info.guidance == GuidanceRecord(weight=9.0, layers=["layer4"], loss="cosine", attention="mean")
    assert info.provenance["published_settings"]["dataset"] == "AffectNet"
    assert info.provenance["imported_from"]["checkpoint"] == "model.pt"


def test_another_head(published: Published) -> None:
    pooling = CNN_HEADS["WILDCAT"]
    content = published.cnn("cam", pooling)
    classifier, _ = published.imported(content, method="WILDCAT", spatial_pooling=pooling, large_maps="false")
    expected = published.arrays("resnet50_WILDCAT_small")

    with torch.inference_mode():
        output = classifier(published.images(classifier))
        maps = normalize_cam(classifier.class_map(output, expected["labels"]))[:, 0]
    torch.testing.assert_close(output.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps, expected["cam_norm"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CNN_HEADS)
def test_every_head_is_that_of_the_other_goldens(published: Published, name: str) -> None:
    """Settings, names and shapes, without weights; with them `test_resnet50.py` has the published logits."""
    pooling = CNN_HEADS[name]
    _, config = published.write({}, method=name, spatial_pooling=pooling, large_maps="false")
    tensors = {f"encoder.{key}": tensor for key, tensor in published.plain.items()}
    for key, shape in published.shapes_of_head(pooling).items():
        tensors[f"classification_head.{key}"] = torch.empty(shape, device="meta")
    settings = _Settings(config)
    with sketched():
        classifier = _build(settings, EXPRESSIONS, tensors)
    names = _fitting(classifier, tensors, settings, "")
    head, options, prefix = PUBLISHED[name]
    assert classifier.config["head"] == head
    assert same_head(head, options, classifier.config["head_options"])
    ours = classifier.head.state_dict()
    named = [names[f"head.{own}"].replace("classification_head", pooling) for own in ours]
    assert named == [prefix + theirs(own) for own in ours]


def same_head(name: str, options: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two sets of options make heads that compute the same: what is not given has a default."""
    with torch.device("meta"):
        first, second = (HEADS[name](2048, 7, **dict(given)) for given in (options, others))
    plain = [
        {key: value for key, value in vars(head).items() if not key.startswith("_")}
        for head in (first, second)
    ]
    return plain[0] == plain[1]


def test_adl_has_its_blocks_numbered_again(published: Published) -> None:
    content = published.cnn("adl", "WGAP")
    classifier, info = published.imported(content, method="ADL", large_maps="false")
    expected = published.arrays("resnet50_ADL_small")

    with torch.inference_mode():
        output = classifier(published.images(classifier))
        maps = normalize_cam(classifier.class_map(output, expected["labels"]))[:, 0]
    assert info.method == "adl"
    torch.testing.assert_close(output.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps, expected["cam_last_block_layer4_3_relu3"], atol=1e-4, rtol=0)


def test_ts_cam(published: Published) -> None:
    content = published.flat("keys_tscam.txt", {})
    encoder = "deit_tscam_small_patch16_224"
    classifier, info = published.imported(
        content, method="TSCAM", encoder_name=encoder, spatial_pooling="GAP"
    )
    expected = published.arrays("tscam_deit_small")

    with torch.inference_mode():
        output = classifier(published.images(classifier))
        tokens = output.features["final"]
        maps = classifier.class_map(output)
        one = classifier.class_map(output, expected["labels"])
        semantic = classifier.class_maps(tokens)
    torch.testing.assert_close(output.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens, expected["patch_tokens"], atol=1e-4, rtol=0)
    torch.testing.assert_close(attention(tokens)[:, 0], expected["att_patch_mean"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(output.features[CLASS_ATTENTION], expected["att_cls"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(semantic, expected["sem_maps"], atol=1e-4, rtol=0)
    torch.testing.assert_close(one[:, 0], expected["cam_raw"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps[range(4), expected["labels"]], one[:, 0])
    full = interpolate(normalize_cam(one), (224, 224), mode="bilinear", align_corners=False)
    torch.testing.assert_close(full[:, 0], expected["cam_norm_224"], atol=1e-4, rtol=0)
    assert classifier.final_layer == "final"
    assert info.method == "ts-cam"
    assert info.guidance is not None
    assert info.guidance.layers == ["final"]


def test_apvit(published: Published) -> None:
    content = published.flat("keys_apvit.txt", np.load(published.goldens / "apvit_bn.npz"))
    changes = {"method": "APVIT", "encoder_name": "apvit", "spatial_pooling": "NONE", "crop_size": "112"}
    classifier, info = published.imported(content, **changes)
    expected = published.arrays("apvit")

    with torch.inference_mode():
        output = classifier(published.images(classifier, "inputs112"))
        features = output.features["stages.2"]
        head = classifier.head
        assert isinstance(head, APViTHead)
        dense = head.embed(features)
        maps = classifier.class_map(output)
    torch.testing.assert_close(output.logits, expected["logits"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features, expected["feat2d"], atol=1e-4, rtol=0)
    torch.testing.assert_close(attention(features)[:, 0], expected["att_feat2d"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense, expected["dense"], atol=1e-4, rtol=0)
    torch.testing.assert_close(maps, expected["attn_map"].expand(-1, 7, -1, -1), rtol=1e-6, atol=0)
    torch.testing.assert_close(normalize_cam(maps)[:, 3], expected["attn_map_norm"], atol=1e-4, rtol=0)
    assert classifier.final_layer == "stages.2"
    assert (info.method, info.regions) == ("apvit", "fg2024-224")
    assert info.guidance is not None
    assert info.guidance.layers == ["stages.2"]
