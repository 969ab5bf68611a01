import sys

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


def test_missing_extra_names_what_installs_it(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "dlib, face_recognition_models not installed" in text
    assert "pip install 'aucue[dlib]'" in text


def test_unreachable_weights_are_no_failure(monkeypatch, capsys):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    # The discard port: nobody answers.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert main(["doctor", "--network"]) == 0
    assert "127.0.0.1:9 does not answer" in capsys.readouterr().out


def test_broken_installation_is_told(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "aucue.data", None)  # importing it fails
    assert main(["doctor"]) == 0
    assert "aucue cannot be loaded: ModuleNotFoundError" in capsys.readouterr().out
