import re
from pathlib import Path

import pytest

from aucue.cli.main import main
from aucue.data import PreparedSet
from aucue.evaluation import Evaluation
from aucue.evaluation.files import FILES
from aucue.models import GuidanceRecord, save_model
from aucue.work.files import LOCK_FILE

from .conftest import information, network


def run(faces: PreparedSet, out: Path, model: Path, *more: str) -> int:
    return main(
        ["evaluate", str(model), "--data", str(faces.path), "--out", str(out), "--workers", "0", *more]
    )


def test_one_model(
    models: dict[str, Path], faces: PreparedSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(faces, tmp_path / "out", models["guided"]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} - {LOCK_FILE} == set(FILES)
    printed = capsys.readouterr().out
    assert "mean of the class" in printed
    assert re.search(r"guided: calibration error 0\.\d{3}\n", printed)
    assert str(tmp_path / "out" / "report.html") in printed


def test_against_another(models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    assert run(faces, tmp_path / "out", models["guided"], "--against", str(models["twin"])) == 0
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.html")}
    assert written == {"comparison.html", "guided/report.html", "twin/report.html"}


def test_a_model_against_itself_keeps_both(models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    assert run(faces, tmp_path / "out", models["guided"], "--against", str(models["guided"])) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "1-guided",
        "2-guided",
        "comparison.html",
    }


def test_results_are_not_overwritten_unasked(
    models: dict[str, Path], faces: PreparedSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(faces, tmp_path / "out", models["guided"]) == 0
    assert run(faces, tmp_path / "out", models["guided"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(faces, tmp_path / "out", models["guided"], "--overwrite") == 0


def test_evidence(
    models: dict[str, Path], faces: PreparedSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    asked = ("--evidence", "--evidence-faces", "1")
    assert run(faces, tmp_path / "out", models["guided"], *asked) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "Does the decision depend on what the map shows?" in printed
    assert "Pointing game" in printed
    evaluation = Evaluation.load(tmp_path / "out" / "evaluation.json")
    assert sum(evaluation.estimate("deletion.mean").faces.values()) == 6


def test_any_judge_and_device(models: dict[str, Path], faces: PreparedSet, tmp_path: Path):
    judge = ("--codebook", "fg2024", "--regions", "fg2024", "--device", "auto")
    assert run(faces, tmp_path / "out", models["guided"], *judge) == 0
    data = Evaluation.load(tmp_path / "out" / "evaluation.json").data
    assert (data["codebook"], data["regions"]) == ("fg2024", "fg2024")
    assert "codebook fg2024, regions fg2024" in (tmp_path / "out" / "report.html").read_text()


def test_guidance_by_class_map_alone_is_told(faces: PreparedSet, tmp_path: Path):
    info = information(weight=0.0)
    info.guidance = GuidanceRecord(weight=0.0, class_map=2.0, layers=["layer3"])
    model = save_model(tmp_path / "m.safetensors", network(0), info)
    assert run(faces, tmp_path / "out", model) == 0
    report = (tmp_path / "out" / "report.html").read_text()
    assert "guided: class map (weight 2)" in report
    assert "not guided" not in report.lower()
