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
from torch import nn

from aucue.classifiers import Classifier
from aucue.errors import InputError, OutputExistsError
from aucue.facs import Codebook
from aucue.models import Card, GuidanceRecord, files, load_card, load_model, save_model

CLASSES = ("neutral", "happiness", "fear")


@pytest.fixture
def info() -> Card:
    return _info()


def _info() -> Card:
    return Card(
        classes=CLASSES,
        template="aucue",
        codebook=Codebook.load("facs").to_dict(),
        regions="anatomical",
        guidance=GuidanceRecord(weight=4.0, layers=["layer4"]),
        metrics={"held_out": {"accuracy": 0.5, "att_cos": float("nan")}, "epoch": 3},
        provenance={"trained_on": {"name": "synthetic", "seed": 0}},
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    resnet = Classifier("test_resnet", CLASSES, input_size=64)
    return save_model(tmp_path_factory.mktemp("model") / "m.safetensors", resnet, _info()).read_bytes()


@pytest.fixture
def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    return path


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
    path = save_model(tmp_path / "m.safetensors", classifier.eval(), Card(CLASSES))

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
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", classifier, Card(("a", "b"))))
    assert loaded.config == classifier.config
    assert (
        loaded.shapes
        == classifier.shapes
        == {"blocks.0": (64, 6, 6), "blocks.1": (64, 6, 6), "final": (64, 6, 6)}
    )
    torch.testing.assert_close(loaded.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(loaded.std.flatten(), torch.tensor([0.4, 0.5, 0.6]))


def test_information_comes_back(file: Path, info: Card) -> None:
    _, loaded = load_model(file)
    assert load_card(file) == loaded
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
    assert record["format"] == 2
    assert record["config"]["backbone"] == "test_resnet"


def test_number_types_are_kept(tmp_path: Path, resnet: Classifier) -> None:
    resnet.to(torch.bfloat16)
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", resnet, Card(CLASSES)))
    for name, tensor in loaded.state_dict().items():
        assert tensor.dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.bfloat16)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images).logits, resnet(images).logits, atol=0, rtol=0)


def test_shared_and_channels_last_tensors_can_be_saved(tmp_path: Path, resnet: Classifier) -> None:
    resnet.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    names = ("layer1.0.bn1", "layer1.0.bn2")
    first, second = (resnet.backbone.get_submodule(name) for name in names)
    second.weight = first.weight
    loaded, _ = load_model(save_model(tmp_path / "m.safetensors", resnet, Card(CLASSES)))
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(loaded(images).logits, resnet(images).logits, atol=1e-5, rtol=1e-5)


def test_an_existing_file_is_kept(file: Path, resnet: Classifier, info: Card) -> None:
    before = file.read_bytes()
    with pytest.raises(OutputExistsError, match="exists"):
        save_model(file, resnet, info)
    assert file.read_bytes() == before
    with torch.no_grad():
        resnet.head.get_parameter("fc.bias").add_(1)
    save_model(file, resnet, info, overwrite=True)
    assert file.read_bytes() != before


def test_a_failed_write_leaves_the_old_file(
    file: Path, resnet: Classifier, info: Card, monkeypatch: pytest.MonkeyPatch
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


def test_a_file_that_came_meanwhile_is_kept(
    tmp_path: Path, resnet: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, save = tmp_path / "m.safetensors", safetensors.torch.save

    def slow(*arguments: Any) -> bytes:
        path.write_bytes(b"of another process")
        return save(*arguments)

    monkeypatch.setattr(safetensors.torch, "save", slow)
    with pytest.raises(OutputExistsError, match="exists"):
        save_model(path, resnet, Card(CLASSES))
    assert path.read_bytes() == b"of another process"
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_what_does_not_belong_together(tmp_path: Path, resnet: Classifier) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        save_model(tmp_path / "m.pth", resnet, Card(CLASSES))
    with pytest.raises(InputError, match="model information is about"):
        save_model(path, resnet, Card(("a", "b")))
    with pytest.raises(TypeError, match="OptimizedModule around it"):
        save_model(path, torch.compile(resnet), Card(CLASSES))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"'metrics\.figures\.f1' is a ndarray"):
        save_model(path, resnet, Card(CLASSES, metrics={"figures": {"f1": np.zeros(2)}}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong", [{"template": 3}, {"codebook": "facs"}, {"method": None}, {"metrics": None}, {"guidance": [1]}]
)
def test_information_of_a_wrong_kind_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"'{next(iter(wrong))}' cannot be"):
        Card(CLASSES, **wrong)


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
    for path, said in (
        (tmp_path / "gone.safetensors", "no such model file"),
        (tmp_path, "is a folder; name"),
    ):
        for read in (load_model, load_card):
            with pytest.raises(InputError, match=said):
                read(path)


def test_a_card_is_read_without_the_network(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(files, "Classifier")
    assert load_card(file).classes == CLASSES


@pytest.mark.parametrize("kept", [0, 8, 9, 500, 50_000, -1])
def test_truncated_files_are_refused(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    for read in (load_model, load_card):
        with pytest.raises(InputError, match=f"{file.name}: (damaged or cut short|not a model file)"):
            read(file)


def test_foreign_safetensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "timm.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(
        InputError, match=r"no model file of aucue; train with it as weights=timm\.safetensors"
    ):
        load_card(path)


def test_newer_formats_are_refused(file: Path) -> None:
    rewrite(file, lambda record, _: record.update(format=3))
    with pytest.raises(InputError, match="written in format 3 by a newer aucue; this one reads up to 2"):
        load_card(file)


def _drop(entry: str) -> Any:
    return lambda record, _: record.pop(entry)


def _configure(**values: Any) -> Any:
    return lambda record, _: record["config"].update(values)


def _inform(**values: Any) -> Any:
    return lambda record, _: record["info"].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_drop("format"), "'format' is missing"),
        (_drop("config"), "'config' is missing"),
        (_drop("info"), "'info' is missing"),
        (_configure(backbone="resnet19"), "cannot be rebuilt: 'resnet19' is not a model"),
        (_configure(backbone="hf-hub:someone/network"), "cannot be rebuilt: .* is not a model"),
        (_configure(backbone="local-dir:/etc"), "cannot be rebuilt: .* is not a model"),
        (_configure(backbone_options={"checkpoint_path": "/etc/passwd"}), "'checkpoint_path' cannot be set"),
        (_configure(backbone_options={"a": {"pretrained_cfg": {}}}), "'pretrained_cfg' cannot be set"),
        (_configure(backbone_options={"act_layer": "/etc/passwd"}), "only plain words .* '/etc/passwd'"),
        (_configure(backbone_options={"act_layer": "os.system"}), "only plain words .* 'os.system'"),
        (_configure(backbone_options={"stem_chs": 10**7}), "a number up to 65536 is needed"),
        (_configure(colour="blue"), "'config.colour' is an unknown entry"),
        (_configure(classes=["a", "b", "c"]), "contradicts itself about the classes"),
        (lambda record, _: record["info"].update(colour="blue"), "'info.colour' is an unknown entry"),
        (lambda record, _: record["info"].pop("classes"), "'info.classes' is missing"),
        (lambda _, state: state.pop("head.fc.bias"), "weights do not fit .*: 'head.fc.bias' is missing"),
        (lambda _, state: state.update(x=torch.zeros(1)), "weights do not fit .*: 'x' is no part of it"),
        (
            lambda _, state: state.update({"head.fc.bias": torch.zeros(3, dtype=torch.int64)}),
            "'head.fc.bias' holds numbers of the type I64",
        ),
        (
            lambda _, state: state.update({"head.fc.bias": torch.zeros(2)}),
            r"'head.fc.bias' is \(2,\) instead of \(3,\)",
        ),
    ],
)
def test_contradictory_files_are_refused(file: Path, change: Any, message: str) -> None:
    rewrite(file, change)
    with pytest.raises(InputError, match=f"^{file}: .*{message}"):
        load_model(file)


def _acol(**options: Any) -> Any:
    return _configure(method="acol", head="acol", head_options=options)


LONG = "x" * 201
WRONG: list[tuple[Any, str]] = [
    *((lambda r, _, v=v: r.update(info=v), "'info' must be a mapping") for v in ([1], "x", None, 5)),
    (lambda r, _: r.update(config=[]), "'config' must be a mapping"),
    *((lambda r, _, v=v: r.update(format=v), "'format' must be") for v in ("1", 0, -1, 1.5, True, None)),
    *(
        (_configure(mean=v), "'config.mean' must be")
        for v in (["x", "y", "z"], "xyz", 5, [0.1, 0.2], [[]] * 3)
    ),
    *((_configure(std=v), "'config.std' must be") for v in ([0, 1, 1], [1, 1, -1], {"a": 1}, [True] * 3)),
    *((_configure(backbone=v), "'config.backbone' must be") for v in (5, None, [], "", LONG, "a\x1b[2J")),
    *((_configure(backbone_options=v), "'config.backbone_options' must be") for v in ([1], ["x"], "x", None)),
    (_configure(backbone_options={"block": "x"}), "cannot be rebuilt: "),
    (_configure(backbone_options={"no_such": 1}), "cannot be rebuilt: "),
    *((_configure(head=v), "'config.head' must be one of") for v in (None, 5, [], {}, "x")),
    *((_configure(input_size=v), "'config.input_size' must be") for v in (20000, 0, -1, 64.0, "64", True)),
    *((_configure(final_stride=v), "'config.final_stride' must be") for v in (0, 2048, "8", [8])),
    *((_configure(method=v), "'config.method' must be one of") for v in (None, 5, [], "x")),
    *((_configure(head_options=v), "'config.head_options' must be") for v in (None, 5, [], "x")),
    (_configure(head_options={"sharpness": 1}), "head_options: wgap does not take"),
    *((_acol(threshold=v), "head_options: 'threshold' of acol cannot be") for v in ("x", None, [1], True)),
    (_acol(hidden="x"), "head_options: 'hidden' of acol cannot be"),
    (_acol(hidden=-1), "head_options: acol does not take"),
    (_acol(variant="x"), "head_options: 'variant' of acol cannot be"),
    *((_configure(grey=v), "'config.grey' must be true or false") for v in (None, 1, "yes")),
    *((_configure(mirror=v), "'config.mirror' must be true or false") for v in (None, 0, [])),
    *((_configure(exposure=v), "'config.exposure' must be") for v in (None, "x", -0.1, 2)),
    *(
        (_configure(classes=v), "'config.classes' must be")
        for v in (
            "abc",
            ["a"],
            [1, 2],
            ["", "b"],
            ["a\n", "b"],
            [LONG, "b"],
            {"a": 1},
            [str(n) for n in range(1001)],
        )
    ),
    *((_inform(classes=v), "'info.classes' must be") for v in ("abc", None, [1, 2, 3])),
    *((_inform(template=v), "'info.template' must be") for v in (5, [], "", LONG)),
    *((_inform(codebook=v), "'info.codebook' must be") for v in (5, [], "facs")),
    (_inform(codebook={}), "'name' must be a text"),
    (_inform(codebook={"name": "x", "expressions": {"happiness": ["a"]}}), "not an action-unit number"),
    (
        _inform(codebook={"name": "x", "extends": "/tmp/book.yaml"}),
        "its codebook extends another one",
    ),
    (_inform(codebook={"name": "x", "extends": "book.yaml"}), "its codebook extends another one"),
    (_inform(codebook={"name": "x", "extends": [1]}), "its codebook extends another one"),
    *((_inform(regions=v), "'info.regions' must be one of anatomical") for v in ("/tmp/r.yaml", 5, [], "")),
    *((_inform(guidance=v), "'info.guidance' must be a mapping") for v in (5, [1], "x")),
    *((_inform(guidance={"layers": v}), "'info.guidance.layers' must be") for v in (5, {"a": 1}, "x", [1])),
    *((_inform(guidance={"weight": v}), "'info.guidance.weight' must be") for v in (-1, "4", None, 1e7, [4])),
    (_inform(guidance={"class_map": "x"}), "'info.guidance.class_map' must be"),
    (_inform(guidance={"loss": 5}), "'info.guidance.loss' must be"),
    (_inform(guidance={"loss": "cosin"}), "'info.guidance.loss' must be one of cosine, l1"),
    (_inform(guidance={"attention": "all"}), "'info.guidance.attention' must be one of mean"),
    (_inform(regions={}), "model information, regions: 'name' must be a text"),
    (_inform(regions={"name": "x", "action_units": {"12": "/tmp/r.yaml"}}), "AU12: must be a mapping"),
    (_inform(regions={"name": "x", "table": "/tmp/r.yaml"}), "unknown entry 'table'"),
    (
        _inform(regions={"name": "x", "action_units": {str(unit): {} for unit in range(1, 1002)}}),
        "more than 1000 action units",
    ),
    *((_inform(method=v), "'info.method' must be one of") for v in (None, 5, "x")),
    *((_inform(metrics=v), "'info.metrics' must be a mapping") for v in (None, 5, [1])),
    (_inform(metrics={"a": 10**400}), "it holds a number that is not finite or far too large|it is no JSON"),
    *((_inform(provenance=v), "'info.provenance' must be a mapping") for v in (None, 5, [1])),
    *((_inform(provenance={"trained_on": v}), "trained_on' must be") for v in (5, [1], "x")),
    (_inform(provenance={"trained_on": {"samples": [1]}}), "samples' must be a mapping"),
    (_inform(provenance={"trained_on": {"notes": 5}}), "notes' must be a list"),
    (_inform(provenance={"trained_on": {"licence": {}}}), "licence' must be a text"),
    (_inform(provenance={"date": [1]}), "date' must be a text"),
    (_inform(provenance={"x": "\ud800"}), "cannot be written as UTF-8"),
    (_inform(provenance={"x": "x" * 100_001}), "it holds a text of 100001 letters"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_entries_of_a_wrong_kind_or_size_are_one_sentence(file: Path, change: Any, message: str) -> None:
    rewrite(file, change)
    with pytest.raises(InputError, match=f"^{file}: .*({message})") as raised:
        load_model(file)
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": "new"}',
        '{"format": 1e999}',
        '{"format": NaN}',
        '{"format": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"a":' * 200 + "1" + "}" * 200,
    ],
    ids=range(11),
)
def test_unreadable_descriptions_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"aucue": text})
    with pytest.raises(InputError, match=f"^{path}: its description cannot be read"):
        load_model(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"backbone": "vit_giant_patch14_224", "input_size": 224}, "weights do not fit"),
        ({"backbone": "resnet18", "backbone_options": {"layers": [60_000] * 4}}, "has more than .* parts"),
        ({"backbone": "resnet50", "backbone_options": {"base_width": 60_000}}, "weights do not fit"),
        ({"head": "acol", "method": "acol", "head_options": {"hidden": 60_000}}, "weights do not fit"),
        ({"backbone": "test_vit", "input_size": 1024, "backbone_options": {"patch_size": 1}}, "GiB for one"),
    ],
)
def test_a_small_file_builds_no_large_network(
    file: Path, config: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite(file, _configure(**config))
    monkeypatch.setattr(nn.init, "xavier_uniform_", _on_meta_alone)
    with pytest.raises(InputError, match=f"^{file}: .*{message}"):
        load_model(file)


def _on_meta_alone(tensor: torch.Tensor) -> None:
    assert tensor.is_meta


def test_tables_that_no_file_holds_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"window_size": 4, "embed_dim": 24, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
    swin = Classifier("swin_tiny_patch4_window7_224", CLASSES, input_size=64, backbone_options=options)
    path = save_model(tmp_path / "m.safetensors", swin, Card(CLASSES))
    load_model(path)
    monkeypatch.setattr(files, "_MAX_TABLES", 100)
    with pytest.raises(InputError, match="its network computes tables of more than"):
        load_model(path)


def test_a_header_as_large_as_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(InputError, match=f"its header has {2**40} bytes"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_neither_saved_nor_read(
    tmp_path: Path, file: Path, resnet: Classifier, info: Card, value: float
) -> None:
    rewrite(file, lambda _, state: state["head.fc.weight"].fill_(value))
    with pytest.raises(InputError, match=f"^{file}: 'head.fc.weight' holds values that are no numbers"):
        load_model(file)
    with torch.no_grad():
        next(resnet.backbone.parameters()).view(-1)[0] = value
    new = tmp_path / "new.safetensors"
    with pytest.raises(
        InputError, match=r"new.safetensors was not written: 'backbone\..*' holds values that are no"
    ):
        save_model(new, resnet, info)
    assert not new.exists()


def test_what_could_not_be_read_again_is_not_saved(tmp_path: Path, resnet: Classifier) -> None:
    with pytest.raises(InputError, match=r"was not written: .*'info.regions' must be one of"):
        save_model(tmp_path / "m.safetensors", resnet, Card(CLASSES, regions="my.yaml"))
    path = save_model(tmp_path / "m.safetensors", resnet, Card(CLASSES, provenance={"of": "a\udcff"}))
    assert load_model(path)[1].provenance["of"] == "a\\udcff"  # a folder's name that is not UTF-8


def test_files_obey_the_umask(file: Path) -> None:
    ordinary = file.with_name("ordinary")
    ordinary.touch()
    assert file.stat().st_mode == ordinary.stat().st_mode
