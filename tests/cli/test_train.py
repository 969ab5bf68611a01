from pathlib import Path

import pytest

from aucue.cli.main import main

CONFIGS = Path(__file__).parents[2] / "configs"


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
