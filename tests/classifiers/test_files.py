import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from safetensors import safe_open

from aucue.classifiers import Classifier, ModelInfo, load_model, save_model
from aucue.errors import InputError, OutputExistsError
from aucue.facs import Codebook

CLASSES = ("neutral", "happiness", "fear")


@pytest.fixture
def info() -> ModelInfo:
    return ModelInfo(
        classes=CLASSES,
        template="aucue",
        codebook=Codebook.load("facs").to_dict(),
        regions="anatomical",
        guidance={"weight": 4.0, "layers": ["layer4"], "loss": "cosine", "attention": "mean"},
        metrics={"held_out": {"accuracy": 0.5, "att_cos": float("nan")}, "epoch": 3},
        provenance={"trained_on": {"name": "synthetic", "seed": 0}},
    )


@pytest.fixture
def file(tmp_path: Path, resnet: Classifier, info: ModelInfo) -> Path:
    return save_model(tmp_path / "model.safetensors", resnet, info)


def rewrite(file: Path, change: Any) -> None:
    """Apply a change to the description of a model file and to its tensors."""
    with safe_open(file, "pt") as opened:
        record = json.loads(opened.metadata()["aucue"])
    state = safetensors.torch.load_file(file)
    change(record, state)
    safetensors.torch.save_file(state, file, {"aucue": json.dumps(record)})


def test_round_trip_gives_identical_logits(tmp_path: Path, classifier: Classifier) -> None:
    classifier.train()
    for _ in range(2):  # running statistics must come back too
        classifier(torch.rand(4, 3, 64, 64))
    path = save_model(tmp_path / "m.safetensors", classifier.eval(), ModelInfo(CLASSES))

    loaded, _ = load_model(path)

    images = torch.rand(2, 3, 64, 64)
    assert not any(module.training for module in loaded.modules())
    torch.testing.assert_close(loaded(images), classifier(images), atol=0, rtol=0)
    assert loaded.config == classifier.config
    trainable = [{n for n, p in c.named_parameters() if p.requires_grad} for c in (loaded, classifier)]
    assert trainable[0] == trainable[1]


def test_every_setting_of_the_network_comes_back(tmp_path: Path) -> None:
    classifier = Classifier(
        "test_vit",
        ("a", "b"),
        input_size=48,
        final_stride=8,
        backbone_options={"patch_size": 8, "depth": 2},
        mean=(0.1, 0.2, 0.3),
        std=(0.4, 0.5, 0.6),
    )
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", classifier, ModelInfo(("a", "b"))))
    assert loaded.config == classifier.config
    assert (
        loaded.shapes
        == classifier.shapes
        == {"blocks.0": (64, 6, 6), "blocks.1": (64, 6, 6), "final": (64, 6, 6)}
    )
    torch.testing.assert_close(loaded.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(loaded.std.flatten(), torch.tensor([0.4, 0.5, 0.6]))


def test_information_comes_back(file: Path, info: ModelInfo) -> None:
    _, loaded = load_model(file)
    assert loaded.classes == CLASSES
    assert loaded.template == "aucue"
    assert Codebook.from_dict(loaded.codebook or {})["happiness"] == (6, 12, 25)
    assert loaded.guidance == info.guidance
    assert loaded.metrics == {"held_out": {"accuracy": 0.5, "att_cos": None}, "epoch": 3}  # NaN is no JSON
    assert loaded.provenance["trained_on"] == {"name": "synthetic", "seed": 0}
    assert loaded.provenance["written_by"]["timm"] == timm.__version__


def test_description_is_plain_json(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        record = json.loads(opened.metadata()["aucue"], parse_constant=pytest.fail)
    assert record["format"] == 1
    assert record["config"]["backbone"] == "test_resnet"


def test_number_types_are_kept(tmp_path: Path, resnet: Classifier) -> None:
    resnet.to(torch.bfloat16)
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", resnet, ModelInfo(CLASSES)))
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.bfloat16)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images).logits, resnet(images).logits, atol=0, rtol=0)


def test_shared_and_channels_last_tensors_can_be_saved(tmp_path: Path, resnet: Classifier) -> None:
    resnet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    names = ("layer1.0.bn1", "layer1.0.bn2")
    first, second = (resnet.backbone.get_submodule(name) for name in names)
    second.weight = first.weight
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", resnet, ModelInfo(CLASSES)))
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images).logits, resnet(images).logits, atol=1e-5, rtol=1e-5)


def test_an_existing_file_is_kept(file: Path, resnet: Classifier, info: ModelInfo) -> None:
    before = file.read_bytes()
    with pytest.raises(OutputExistsError, match="exists"):
        save_model(file, resnet, info)
    assert file.read_bytes() == before
    with torch.no_grad():
        resnet.head.get_parameter("fc.bias").add_(1)
    save_model(file, resnet, info, overwrite=True)
    assert file.read_bytes() != before


def test_a_failed_write_leaves_the_old_file(
    file: Path, resnet: Classifier, info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_bytes()

    def full_disk(path: Path, content: bytes) -> None:
        with path.open("wb") as opened:
            opened.write(content[:100])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(file, resnet, info, overwrite=True)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_save_refuses_what_does_not_belong_together(tmp_path: Path, resnet: Classifier) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        save_model(tmp_path / "m.pth", resnet, ModelInfo(CLASSES))
    with pytest.raises(InputError, match="model information is about"):
        save_model(path, resnet, ModelInfo(("a", "b")))
    with pytest.raises(TypeError, match="OptimizedModule around it"):
        save_model(path, torch.compile(resnet), ModelInfo(CLASSES))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'metrics\.figures\.f1' is a ndarray"):
        save_model(path, resnet, ModelInfo(CLASSES, metrics={"figures": {"f1": np.zeros(2)}}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"template": 3}, {"codebook": "facs"}, {"method": None}, {"metrics": None}, {"guidance": [1]}]
)
def test_information_of_a_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"'{next(iter(wrong))}' cannot be"):
        ModelInfo(CLASSES, **wrong)


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["pickle", "zip"])
def test_pickles_and_archives_are_refused(tmp_path: Path, kind: str) -> None:
    path, mark = tmp_path / "model.safetensors", tmp_path / "mark"
    path.write_bytes(pickle.dumps(Bomb(mark))) if kind == "pickle" else torch.save(Bomb(mark), path)
    with pytest.raises(
        InputError, match=r"not a model file of aucue .* pickles and archives are never opened"
    ):
        load_model(path)
    assert not mark.exists()


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.safetensors", tmp_path):
        with pytest.raises(InputError, match="no such model file"):
            load_model(path)


@pytest.mark.parametrize("kept", [0, 8, 9, 500, 50_000, -1])
def test_truncated_files_are_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match=f"{file.name}: (damaged or cut short|not a model file)"):
        load_model(file)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "timm.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(
        InputError, match=r"no model file of aucue; train with it as weights=timm\.safetensors"
    ):
        load_model(path)


def test_newer_formats_are_refused(file: Path) -> None:
    rewrite(file, lambda record, _: record.update(format=2))
    with pytest.raises(InputError, match="written in format 2 by a newer aucue; this one reads up to 1"):
        load_model(file)


def _drop(entry: str) -> Any:
    return lambda record, _: record.pop(entry)


def _configure(**values: Any) -> Any:
    return lambda record, _: record["config"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("format"), "description cannot be read"),
        (_drop("config"), "description lacks 'config'"),
        (_drop("info"), "description lacks 'info'"),
        (_configure(backbone="resnet19"), "cannot be rebuilt: 'resnet19' is not a model"),
        (_configure(backbone="hf-hub:someone/network"), "cannot be rebuilt: .* is not a model"),
        (_configure(backbone_options={"checkpoint_path": "/etc/passwd"}), "'checkpoint_path' cannot be set"),
        (_configure(colour="blue"), "cannot be rebuilt: .*colour"),
        (_configure(classes=["a", "b", "c"]), "contradicts itself about the classes"),
        (_configure(classes=["a", "b"]), "weights do not fit the network it describes: .*head.fc.weight"),
        (lambda record, _: record["info"].update(colour="blue"), "unknown entry 'colour'"),
        (lambda record, _: record["info"].pop("classes"), "'classes' is missing"),
        (lambda _, state: state.pop("head.fc.bias"), 'weights do not fit .* Missing key.* "head.fc.bias"'),
    ],
)
def test_contradictory_files_are_refused(file: Path, change: Any, message: str) -> None:
    rewrite(file, change)
    with pytest.raises(InputError, match=f"^{file}: .*{message}"):
        load_model(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "new"}'])
def test_unreadable_descriptions_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"aucue": text})
    with pytest.raises(InputError, match="description cannot be read"):
        load_model(path)


def test_files_obey_the_umask(file: Path) -> None:
    ordinary = file.with_name("ordinary")
    ordinary.touch()
    assert file.stat().st_mode == ordinary.stat().st_mode
