"""What recipes set, that they set nothing else, and that a model file says which one it is of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aucue.cli.main import main
from aucue.errors import InputError
from aucue.models import load_model
from aucue.training import (
    RECIPES,
    DataSettings,
    GuidanceSettings,
    TrainConfig,
    fit,
    fitting,
    recipe_of,
    with_recipe,
)
from aucue.training.recipe import changes_of_recipe, recipe_description, recipe_settings

from ..builders import described_set

MakeSettings = Callable[..., TrainConfig]


def plain(**changes: object) -> TrainConfig:
    return replace(TrainConfig("run", DataSettings("set")), **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_sets_guidance_and_balance_alone(name: str) -> None:
    config = plain(epochs=7, seed=3)
    made = with_recipe(config, name)
    assert replace(made, guidance=config.guidance, balance=config.balance) == config
    assert {key.split(".")[0] for key in recipe_settings(name)} == {"guidance", "balance"}
    assert recipe_description(name)


def test_unguided_has_no_term() -> None:
    made = with_recipe(plain(guidance=GuidanceSettings(2.0, 3.0, 4.0), balance=0.5), "unguided")
    assert (made.guidance.weight, made.guidance.class_map, made.guidance.contrast, made.balance) == (0,) * 4


def test_fg2024_is_the_paper() -> None:
    """Lambda and layer of section 8 of the design, maps as the grids of the paper's protocol have them."""
    made = with_recipe(plain(), "fg2024").guidance
    assert (made.weight, made.class_map, made.contrast, made.layers) == (4, 0, 0, None)
    assert (made.loss, made.attention, made.codebook, made.cue_size) == ("cosine", "mean", "fg2024", "input")
    assert made.regions == "fg2024-224"


def test_aucue_aligns_the_class_map_too() -> None:
    made = with_recipe(plain(), "aucue").guidance
    assert min(made.weight, made.class_map, made.contrast) > 0
    assert (made.codebook, made.regions) == ("facs", "anatomical")


@pytest.mark.parametrize("name", RECIPES)
def test_settings_know_their_recipe(name: str) -> None:
    made = with_recipe(plain(), name)
    assert recipe_of(made) == name
    assert changes_of_recipe(made, name) == {}
    other = replace(made, guidance=replace(made.guidance, weight=0.5))
    assert recipe_of(other) is None
    assert changes_of_recipe(other, name) == {"guidance.weight": (0.5, made.guidance.weight)}


def test_unknown_recipe_gets_a_hint() -> None:
    with pytest.raises(InputError, match="Did you mean 'fg2024'"):
        with_recipe(plain(), "fg2023")


def test_a_model_file_names_its_recipe(settings: MakeSettings) -> None:
    _, info = load_model(fit(with_recipe(settings(epochs=1), "aucue"), progress=False))
    assert info.provenance["recipe"] == "aucue"
    assert info.guidance is not None
    assert info.guidance.class_map == with_recipe(settings(), "aucue").guidance.class_map


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """The settings that the command trains with; nothing is trained."""
    described_set(tmp_path / "set", "train", "test")
    monkeypatch.chdir(tmp_path)
    found: list[TrainConfig] = []

    def record(config: TrainConfig, **_: object) -> Path:
        found.append(config)
        return Path("model.safetensors")

    monkeypatch.setattr(fitting, "fit", record)
    return found


def test_file_and_options_win_over_the_recipe(
    trained: list[TrainConfig], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("out: run\ndata: {path: set}\nepochs: 3\nguidance: {class_map: 2, contrast: 2}\n")
    assert main(["train", "--recipe", "fg2024", "--config", str(file), "--guidance.contrast", "5"]) == 0
    guidance = GuidanceSettings(
        class_map=2.0, contrast=5.0, codebook="fg2024", regions="fg2024-224", cue_size="input"
    )
    assert trained == [plain(epochs=3, guidance=guidance)]
    printed = capsys.readouterr().out
    assert "guidance.class_map is 2.0, not 0.0 as in the recipe fg2024" in printed
    assert "guidance.contrast is 5.0" in printed
    assert "guidance.weight" not in printed


@pytest.mark.parametrize("name", RECIPES)
def test_the_command_equals_the_function(name: str, trained: list[TrainConfig]) -> None:
    assert main(["train", "--recipe", name, "--out", "run", "--data.path", "set"]) == 0
    assert trained == [with_recipe(plain(), name)]


def test_the_recipe_may_stand_in_the_file(trained: list[TrainConfig], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("out: run\ndata: {path: set}\nrecipe: aucue\n")
    assert main(["train", "--config", str(file)]) == 0
    assert recipe_of(trained[0]) == "aucue"


def test_help_lists_the_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert all(f"- {name}: {recipe_description(name)}" in text for name in RECIPES)
    assert main(["train", "--recipe", "other", "--out", "run", "--data.path", "set"]) == 2
    assert "one of unguided, fg2024, aucue" in capsys.readouterr().err
