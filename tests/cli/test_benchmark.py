from pathlib import Path

import pytest
import yaml

from aucue.benchmark import GRIDS, PAPER_GRIDS, Grid
from aucue.cli.main import main
from aucue.work.files import shipped

from ..builders import small_settings


@pytest.fixture
def grid(rendered: Path, tmp_path: Path) -> Path:
    table = {
        "title": "Two cells",
        "settings": small_settings(rendered),
        "axes": {"guidance": {"unguided": {"guidance.weight": 0}, "guided": {"guidance.weight": 4}}},
        "baseline": {"guidance": "unguided"},
    }
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(table))
    return path


def test_a_dry_run_lists_the_cells_and_runs_nothing(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", str(grid), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("to do") == 2
    assert "2 rows of the table from 2 trainings" in " ".join(printed.split())
    assert not (tmp_path / "out").exists()


def test_cells_of_a_scheduler_then_the_tables(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["benchmark", str(grid), "--out", str(out)]
    assert main([*arguments, "--cell", "1"]) == 0
    assert len(list((out / "cells").iterdir())) == 1
    capsys.readouterr()
    assert main([*arguments, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished") == 1
    assert printed.count("to do") == 1
    assert main([*arguments, "--cell", "0"]) == 0
    assert main(arguments) == 0
    table = out / "two" / "table.md"
    assert f"Tables: {table}" in capsys.readouterr().out
    assert "Two cells" in table.read_text()
    for name in ("table.tex", "results.csv", "results.json"):
        assert (out / "two" / name).stat().st_size > 100


def test_a_grid_that_comes_with_aucue_on_another_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    written = tmp_path / "mine.yaml"
    assert (
        main(["benchmark", "ferplus", "--out", "run", "--data", "my/set", "--write-grid", str(written)]) == 0
    )
    grid = Grid.load(written)
    assert grid.name == "ferplus"
    assert {cell.config("run").data.path for cell in grid.cells} == {"my/set"}
    assert main(["benchmark", "ferplus", "--out", "run", "--data", "a=b"]) == 2


def test_settings_that_are_a_list_are_named_with_another_set_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("settings: [data.path]\naxes: {guidance: {guided: {}}}\n")
    assert main(["benchmark", str(file), "--data", "set", "--out", str(tmp_path / "out"), "--dry-run"]) == 2
    assert f"{file}, settings must be a mapping ('key: value' lines), not a list." in capsys.readouterr().err


def test_a_cell_that_is_not_there(grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", str(grid), "--out", str(tmp_path), "--cell", "2"]) == 2
    assert "--cell must be between 0 and 1, got 2" in capsys.readouterr().err


def test_seeds_of_the_command_line(grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["benchmark", str(grid), "--out", str(tmp_path), "--seeds", "4", "5", "6", "--dry-run"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert all(f"seed{seed}" in "".join(printed.split()) for seed in (4, 5, 6))
    assert "seed0" not in printed


def test_an_experiment_of_the_paper_as_a_file_to_edit(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "table3.yaml"
    arguments = ["benchmark", "table3", "--data", f"raf-db={rendered}", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--write-grid", str(file)]) == 0
    assert f"aucue benchmark {file}" in capsys.readouterr().out
    assert yaml.safe_load(file.read_text())["name"].startswith("table3")
    assert main([*arguments, "--write-grid", str(file)]) == 2
    assert "exists; choose another file" in capsys.readouterr().err


def test_backbones_and_codebooks_are_further_axes(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nextends: facs\nexpressions: {anger: [4, 7]}\n")
    file = tmp_path / "grid.yaml"
    arguments = ["benchmark", "table3", "--data", f"mine={rendered}", "--out", str(tmp_path / "out")]
    arguments += ["--protocol", "fg2024", "--backbones", "test_resnet", "resnet18.tv_in1k"]
    assert main([*arguments, "--codebooks", "fg2024", str(own), "--write-grid", str(file)]) == 0
    grid = Grid.load(file)
    assert grid.protocol == "fg2024"
    assert list(grid.axes) == ["set", "backbone", "codebook", "layers"]
    assert {row.settings["classifier.backbone"] for row in grid.rows} == {"test_resnet", "resnet18.tv_in1k"}
    assert {row.settings["guidance.codebook"] for row in grid.rows} == {"fg2024", str(own)}
    assert len(grid.rows) == 2 * 2 * 10
    # Without such an axis, the published ones.
    assert main([*arguments[:5], str(tmp_path / "out"), "--write-grid", str(tmp_path / "plain.yaml")]) == 0
    plain = Grid.load(tmp_path / "plain.yaml")
    assert plain.protocol == "holdout"
    assert {row.settings["guidance.codebook"] for row in plain.rows} == {"facs"}
    assert {row.settings["classifier.backbone"] for row in plain.rows} == {"resnet50.tv_in1k"}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--data", "raf-db=runs/raf-db"], "--data: only"),
        (["--protocol", "holdout"], "--protocol: only"),
        (["--codebooks", "facs", "--backbones", "resnet18"], "--backbones, --codebooks: only"),
    ],
)
def test_a_grid_file_says_for_itself_what_it_varies(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert main(["benchmark", str(grid), "--out", str(tmp_path / "out"), "--dry-run", *options]) == 2
    assert f"{named} for the paper's experiments (table1, table2, table3, figure5); {grid} says" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tabel1"], "tabel1 is neither a grid file (.yaml) nor one of cues, evidence, ferplus, "),
        (["nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["table1", "--data", "raf-db"], "--data raf-db: expected NAME=DIR"),
        (["table1", "--data", "faces=a", "faces=b"], "--data faces=b: faces is a already"),
        (["table1"], "--data"),
        (["table1", "--data", "mine=set", "--backbones", "resnet5"], "'resnet5' is not a model of timm"),
        (["table1", "--data", "mine=set", "--codebooks", "fasc"], "fasc"),
        (["table1", "--data", "mine=set", "--codebooks", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        (["table1", "--data", "mine=set", "--protocol", "fg"], "expected one of holdout, fg2024, got fg"),
    ],
)
def test_mistakes_are_named(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_the_help_names_every_grid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "--help"]) == 0
    words = capsys.readouterr().out.replace("-\n", "-").split()
    assert {*shipped(GRIDS), *PAPER_GRIDS} <= {word.strip("(),:.") for word in words}
