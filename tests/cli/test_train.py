from pathlib import Path

import pytest
import yaml

from aucue.cli.main import main
from aucue.models import save_model
from aucue.models.naming import MODEL_FILE
from aucue.training import fitting
from aucue.training.config import CONFIGS, DataSettings, TrainConfig
from aucue.training.names import CONFIG_NAME

from ..builders import described_set, information, untrained


def test_settings_that_come_with_aucue_have_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)  # far from any checkout
    assert main(["train", "--config", "synthetic", "--data.path", "nowhere", "--out", "run"]) == 2
    assert "nowhere: no such folder" in capsys.readouterr().err
    assert main(["train", "--config", "sinthetic", "--data.path", "nowhere", "--out", "run"]) == 2
    assert capsys.readouterr().err == (
        "aucue train: sinthetic: no such file, and none of ferplus, synthetic. Did you mean 'synthetic'?\n"
    )
    assert main(["train", "--help"]) == 0
    assert "or one of ferplus, synthetic." in " ".join(capsys.readouterr().out.split())


def test_misspelt_key_in_the_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("out: run\ndata: {path: set}\nguidance: {wieght: 2}\n")
    assert main(["train", "--config", str(file)]) == 2
    assert "wieght" in capsys.readouterr().err


def test_misspelt_option_gets_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", "run", "--data.path", "set", "--guidance.wieght", "2"]) == 2
    assert "--guidance.weight" in capsys.readouterr().err


def test_wrong_kind_of_value_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", "run", "--data.path", "set", "--epochs", "many"]) == 2
    assert "--epochs" in capsys.readouterr().err


def test_missing_set_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--out", str(tmp_path / "run"), "--data.path", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_help_explains_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "the unguided twin is trained" in text


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_configurations_are_understood(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "nowhere")  # parsed and accepted, so that only the missing set is left to say
    assert main(["train", "--config", str(file), "--data.path", nowhere, "--out", str(tmp_path / "run")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"select: \xff\n", "is not UTF-8 text"),
        (b"optimizer:\n", "'optimizer:' needs settings below it, not nothing; give some or leave it out."),
        (b"optimizer: [1]\n", "'optimizer:' needs settings below it, not a list"),
        (b"seed: 2001-13-45\n", "line 1: '2001-13-45' cannot be read"),
        (b"seed: !!int x\n", "line 1: 'x' cannot be read"),
        (b"[" * 1000, "lists or mappings within one another"),
        (b"gidance: {weight: 1}\n", "unknown entry 'gidance'"),
        (b"guidance: {wieght: 1}\n", "guidance: unknown entry 'wieght'"),
        (b"", "must hold a mapping"),
    ],
)
def test_a_damaged_file_of_settings_is_a_sentence(
    content: bytes, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    assert main(["train", "--config", str(file), "--out", str(tmp_path / "run"), "--data.path", "set"]) == 2
    error = capsys.readouterr().err
    assert str(file) in error
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_aliases_that_double_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """410 bytes that would be 9 ** 8 words."""
    lines = ["classifier: {options: {", f"  a0: &a0 [{','.join('x' * 9)}],"]
    lines += [f"  a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]," for i in range(1, 9)]
    file = tmp_path / "config.yaml"
    file.write_text("\n".join([*lines, "}}"]))
    assert main(["train", "--config", str(file), "--out", str(tmp_path / "run"), "--data.path", "set"]) == 2
    assert f"{file}, line " in capsys.readouterr().err


def test_settings_out_of_range_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "--out", str(tmp_path / "run"), "--data.path", "set"]
    for option, told in (
        ("--epochs=0", "epochs: a whole number from 1 to 1,000,000 is needed, not 0."),
        ("--optimizer.lr=-1", "optimizer.lr: a number above 0"),
        ("--seed=-1", "seed: a whole number from 0"),
    ):
        assert main([*arguments, option]) == 2
        assert capsys.readouterr().err.startswith(f"aucue train: {told}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("splits", "split"),
    [(("train", "test"), ""), (("train", "val"), " --split val"), (("train",), None), (None, None)],
)
def test_the_next_command_is_named_where_it_works(
    splits: tuple[str, ...] | None,
    split: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    faces, out = tmp_path / "set", tmp_path / "run"
    if splits:
        described_set(faces, *splits)
    else:  # a training that has ended, whose set is gone
        out.mkdir()
        (out / MODEL_FILE).touch()
        settings = TrainConfig(str(out), DataSettings(str(faces))).to_dict()
        (out / CONFIG_NAME).write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(fitting, "fit", lambda config, overwrite: Path("model.safetensors"))
    assert main(["train", "--out", str(out), "--data.path", str(faces)]) == 0
    printed = capsys.readouterr().out.splitlines()
    next_command = f"Next:  aucue evaluate model.safetensors --data {faces}{split} --out {out}/evaluation"
    assert printed == ["Model: model.safetensors", *([next_command] if split is not None else [])]


def test_from_sets_the_network_and_what_is_given_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, made = described_set(tmp_path / "set", "train", "test"), []
    started = {"held_out": {"faces": 36, "accuracy": 0.9}}
    provenance = {"started_from": started, "settings": {"select": "accuracy"}}
    card = information(metrics={"held_out": {"accuracy": 0.8}}, provenance=provenance)
    model = save_model(tmp_path / "model.safetensors", untrained(), card)
    monkeypatch.setattr(fitting, "fit", lambda config, overwrite: made.append(config) or model)
    command = ["train", "--from", "box", "--out", "run", "--data.path", str(faces), "--recipe", "aucue"]
    assert main([*command, "--classifier.input_size", "64", "--teacher", "start"]) == 0
    start, teacher, _, compared, _ = capsys.readouterr().out.splitlines()
    assert teacher == "Teacher: start; what it says of the training faces replaces their labels."
    assert made[0].teacher == "start"
    assert start == "Start: box, backbone and head."
    assert compared == "36 held-out faces: accuracy 90.0 -> 80.0 %; no better than what it started from."
    network = made[0].classifier
    assert (network.backbone, network.grey, network.weights, network.input_size) == (
        "resnet10t",
        True,
        "box",
        64,
    )
    assert network.options == {"channels": [32, 64, 128, 256], "stem_width": 16}
    assert network.exposure == 0.3
    assert made[0].guidance.class_map == 1.0


def test_from_nowhere_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.safetensors"
    assert main(["train", "--from", str(missing), "--out", "run", "--data.path", "set"]) == 2
    assert capsys.readouterr().err == f"aucue train: {missing}: no such model file.\n"
