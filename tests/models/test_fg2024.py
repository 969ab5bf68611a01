"""Importer of published checkpoints: what is read, and that each thing that does not fit is named."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.cli.main import main
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS
from aucue.models import GuidanceRecord
from aucue.models.fg2024 import import_checkpoint, read_config

SETTINGS: dict[str, Any] = {
    "task": "STD_CL",
    "method": "CAM",
    "num_classes": 7,
    "crop_size": 64,
    "dense_dims": None,
    "prm_ks": 3,
    "prm_st": 1,
    "dataset": "RAF-DB",
    "model": {
        "encoder_name": "resnet18",
        "large_maps": True,
        "support_background": False,
        "do_segmentation": False,
        "scale_in": 1.0,
        "apvit_attn_method": "SUM_ABS_1",
        "apvit_normalize_att": False,
        "apvit_apply_self_att": False,
    },
    "align_atten_to_heatmap": True,
    "align_atten_to_heatmap_align_type": "avg",
    "align_atten_to_heatmap_lambda": 4.0,
    "align_atten_to_heatmap_layers": "5",
    "align_atten_to_heatmap_loss": "cosine",
    "align_atten_to_heatmap_p": 0.5,
    "align_atten_to_heatmap_q": 0.25,
    "align_atten_to_heatmap_type_heatmap": "heatmap_action_units_from_landmarks",
}


def checkpoint() -> dict[str, dict[str, Tensor]]:
    """A ResNet-18 as the published code stores it; tests may put other tensors in."""
    network = _network()
    return {
        part: dict(module.state_dict())
        for part, module in (("encoder", network.backbone), ("classification_head", network.head))
    }


def empty() -> dict[str, dict[str, Tensor]]:
    """The same in a small file: every tensor repeats one zero."""
    parts = checkpoint().items()
    return {
        part: {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in its.items()}
        for part, its in parts
    }


@cache
def _network() -> Classifier:
    return Classifier("resnet18", input_size=64)


def write(folder: Path, content: Any, **changes: Any) -> tuple[Path, Path]:
    """Both files; a setting that is changed to ... is left out."""
    settings = {key: value for key, value in (SETTINGS | changes).items() if value is not ...}
    torch.save(content, folder / "model.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump(settings).replace("model:", "model: !munch.Munch"))
    return folder / "model.pt", folder / "config.yaml"


def test_read_config(goldens: Path) -> None:
    config = read_config(goldens / "config_model_example_vanilla.yaml")
    assert config["model"]["encoder_name"] == "resnet50"
    assert config["std_cams_folder"] == {"test": "", "train": "", "val": ""}
    assert config["align_atten_to_heatmap"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !munch.Munch 3", "a tag of a mapping stands before something else"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("- 3", "must hold a mapping"),
        ("a: [", r"config\.yaml, line 1"),
        ("[" * 5000, r"config\.yaml"),
        ("a: 2001-13-45", r"config\.yaml"),
        ("a: !!int x", r"config\.yaml"),
        (
            "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 9)),
            r"config\.yaml",
        ),
    ],
)
def test_only_plain_values_are_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "config.yaml")


def test_weights_and_settings(tmp_path: Path) -> None:
    content = checkpoint()
    classifier, info = import_checkpoint(*write(tmp_path, content))
    assert classifier.shapes["layer4"] == (512, 8, 8)  # large maps
    for name, tensor in content["encoder"].items():
        torch.testing.assert_close(classifier.backbone.state_dict()[name], tensor)
    torch.testing.assert_close(
        classifier.head.state_dict()["fc.bias"], content["classification_head"]["fc.bias"]
    )
    torch.testing.assert_close(classifier.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    assert info.guidance == GuidanceRecord(weight=4.0, layers=["layer4"])
    kept = info.provenance["published_settings"]
    assert kept["align_atten_to_heatmap_type_heatmap"] == "heatmap_action_units_from_landmarks"
    assert (info.codebook or {})["name"] == "fg2024"
    assert info.regions == "fg2024-224"  # as drawn on the published crops


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"": False}, {"weight": 0.0, "layers": ["layer4"]}),
        ({"_layers": "5-4"}, {"layers": ["layer4", "layer3"]}),
        ({"_layers": 1}, {"layers": ["act1"]}),
        ({"_loss": "std_cosine"}, {"loss": "standardized-cosine"}),
        ({"_align_type": "random_avg"}, {"attention": "random-share"}),
        ({"_align_type": "random_avg", "_p": 1.0}, {"attention": "mean"}),
        ({"_align_type": "avg_fixed_q"}, {"attention": "first-share"}),
        ({"_align_type": "avg_half_right"}, {"attention": "second-half"}),
    ],
)
def test_guidance(tmp_path: Path, changes: dict[str, Any], expected: dict[str, Any]) -> None:
    changed = {f"align_atten_to_heatmap{name}": value for name, value in changes.items()}
    _, info = import_checkpoint(*write(tmp_path, empty(), **changed))
    assert info.guidance is not None
    assert {name: getattr(info.guidance, name) for name in expected} == expected


@pytest.mark.parametrize(("published", "ours"), [("GradCAMpp", "gradcam++"), ("CutMIX", "cutmix")])
def test_methods_of_the_plain_network(tmp_path: Path, published: str, ours: str) -> None:
    classifier, info = import_checkpoint(*write(tmp_path, empty(), method=published))
    assert info.method == classifier.method.name == ours


def test_every_mismatch_is_named(tmp_path: Path) -> None:
    content = checkpoint()
    content["encoder"]["layer4.2.conv1.weight"] = content["encoder"].pop("layer4.1.conv1.weight")
    content["classification_head"]["fc.weight"] = torch.zeros(8, 512)
    with pytest.raises(InputError) as error:
        import_checkpoint(*write(tmp_path, content))
    for part in (
        "does not fit",
        "missing (our names): backbone.layer4.1.conv1.weight",
        "not part of the network: encoder.layer4.2.conv1.weight",
        "of another shape: classification_head.fc.weight (8, 512) instead of (7, 512)",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "ScoreCAM"}, "method 'ScoreCAM' is none of CAM, GradCam"),
        ({"method": ...}, "'method' is missing"),
        ({"method": 3}, "'method' cannot be 3"),
        ({"task": "F_CL"}, "task is 'F_CL'; only 'STD_CL' can be imported"),
        ({"num_classes": 8}, "num_classes is 8, but 7 classes are named"),
        ({"model": SETTINGS["model"] | {"encoder_name": "vgg16"}}, "encoder 'vgg16' cannot be imported"),
        ({"method": "TSCAM"}, "encoder 'resnet18' cannot be imported for method 'ts-cam'"),
        ({"model": SETTINGS["model"] | {"scale_in": 2.0}}, r"model.scale_in is 2.0; only 1.0"),
        ({"model": ...}, r"'model.support_background' is missing"),
        ({"dense_dims": "512-64"}, "dense_dims is '512-64'"),
        ({"crop_size": "big"}, "'crop_size' cannot be 'big'"),
        ({"align_atten_to_heatmap_layers": "6"}, "must name layers 1 to 5, not '6'"),
        ({"align_atten_to_heatmap_loss": "dice"}, "'dice' is none of cosine"),
        ({"align_atten_to_heatmap_align_type": "max"}, "'max' is none of avg"),
    ],
)
def test_settings_that_cannot_be_taken_over(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_checkpoint(*write(tmp_path, empty(), **changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Path("code"), "PyTorch file of plain tensors"),
        ([1], "holds a list instead of tensors by name"),
        ({"encoder": {"a": 1}}, "'encoder' is neither a tensor nor a state dict"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_checkpoint(*write(tmp_path, content))


def test_no_checkpoint(tmp_path: Path) -> None:
    _, config = write(tmp_path, {})
    with pytest.raises(InputError, match=r"none.pt: no such checkpoint"):
        import_checkpoint(tmp_path / "none.pt", config)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, config = write(tmp_path, checkpoint())
    (tmp_path / "ids.yaml").write_text(yaml.safe_dump({n: i for i, n in enumerate(reversed(EXPRESSIONS))}))
    out = tmp_path / "model.safetensors"
    arguments = ["import-fg2024", str(model), str(config), "--out", str(out)]
    assert main([*arguments, "--classes", str(tmp_path / "ids.yaml")]) == 0
    printed = capsys.readouterr().out
    assert "cam on resnet18, 64 x 64 images, guided: attention of layer4 (weight 4)" in printed
    assert main(arguments) == 2
    assert "pass --overwrite" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_size": 10**6},
        {"crop_size": -1},
        {"method": "WILDCAT", "wc_modalities": 10**9, "wc_kmax": 0.5, "wc_kmin": 0.1, "wc_alpha": 0.6},
        {"method": "WILDCAT", "wc_modalities": 5, "wc_kmax": -1, "wc_kmin": 0.1, "wc_alpha": 0.6},
        {"method": "PRM", "prm_ks": -3},
    ],
)
def test_networks_out_of_proportion_name_the_configuration(tmp_path: Path, changes: dict[str, Any]) -> None:
    model, config = write(tmp_path, empty(), **changes)
    with pytest.raises(InputError, match=f"{config}"):
        import_checkpoint(model, config)


def test_damaged_checkpoints_are_one_sentence(tmp_path: Path) -> None:
    model, config = write(tmp_path, checkpoint())
    whole = model.read_bytes()
    for content in (b"", whole[:1000], whole[: len(whole) // 2], whole[500:], b"\x80\x04" + whole):
        model.write_bytes(content)
        with pytest.raises(InputError, match=rf"{model}: neither safetensors nor a PyTorch file"):
            import_checkpoint(model, config)
    config.write_bytes(b"method: \xff\xfe")
    with pytest.raises(InputError, match=f"{config}.*UTF-8"):
        read_config(config)


def test_a_checkpoint_with_weights_that_are_no_numbers_is_not_imported(tmp_path: Path) -> None:
    content = checkpoint()
    content["classification_head"]["fc.bias"].fill_(float("nan"))
    model, config = write(tmp_path, content)
    out = tmp_path / "m.safetensors"
    assert main(["import-fg2024", str(model), str(config), "--out", str(out)]) == 2
    assert not out.exists()
