"""Every setting is checked before anything is read or written."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from aucue.errors import InputError
from aucue.training import DataSettings, GuidanceSettings, TrainConfig, fit, with_recipe
from aucue.training.checks import RANGES, check_settings

MakeSettings = Callable[..., TrainConfig]
NAN, INF = float("nan"), float("inf")


def changed(name: str, value: Any, config: TrainConfig | None = None) -> TrainConfig:
    """Settings, default ones if no others are given, with one changed, by dotted name."""
    config = config or TrainConfig("run", DataSettings("set"))
    group, _, last = name.rpartition(".")
    if not group:
        return replace(config, **{last: value})
    return replace(config, **{group: replace(getattr(config, group), **{last: value})})


def numbers(group: type, before: str = "") -> set[str]:
    """Dotted names of the settings that are numbers."""
    found = set()
    for entry in fields(group):
        hint = get_type_hints(group)[entry.name]
        if is_dataclass(hint):
            found |= numbers(hint, f"{entry.name}.")  # pyright: ignore[reportArgumentType]
        elif hint in (int, float, int | None, float | None):
            found.add(before + entry.name)
    return found


def test_every_number_has_a_range() -> None:
    assert numbers(TrainConfig) == set(RANGES)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("epochs", 0, "epochs: a whole number from 1 to 1,000,000 is needed, not 0."),
        ("epochs", 1.5, "epochs: a whole number is needed, not 1.5."),
        ("epochs", True, "epochs: a whole number is needed, not True."),
        pytest.param(
            "epochs",
            10**5000,
            "epochs: a whole number from 1 to 1,000,000 is needed, not this int.",
            id="epochs-endless",
        ),
        ("seed", -1, "seed: a whole number from 0 to 4,294,967,295 is needed, not -1."),
        ("balance", -0.5, "balance: a number from 0 to 1,000,000 is needed, not -0.5."),
        ("data.batch_size", 0, "data.batch_size: a whole number from 1 to 1,000,000 is needed, not 0."),
        ("data.workers", -1, "data.workers: a whole number from 0 to 1,024 is needed, not -1."),
        ("data.holdout", 1, "data.holdout: a number above 0 and below 1 is needed, not 1."),
        ("data.holdout", NAN, "data.holdout: a number above 0 and below 1 is needed, not nan."),
        ("data.path", "", "data.path: the name of a folder is needed, not ''."),
        ("out", "a\0b", r"out: the name of a folder is needed, not 'a\x00b'."),
        ("out", None, "out: text is needed, not None."),
        ("optimizer.lr", -1.0, "optimizer.lr: a number above 0 and at most 1,000,000 is needed, not -1.0."),
        ("optimizer.lr", INF, "optimizer.lr: a number above 0 and at most 1,000,000 is needed, not inf."),
        ("optimizer.momentum", 1.0, "optimizer.momentum: a number from 0 and below 1 is needed, not 1.0."),
        ("optimizer.step_epochs", 0, "optimizer.step_epochs: a whole number from 1 to 1,000,000 is needed"),
        ("optimizer", None, "optimizer: settings are needed, not None."),
        ("guidance.weight", -4.0, "guidance.weight: a number from 0 to 1,000,000 is needed, not -4.0."),
        ("guidance.contrast", NAN, "guidance.contrast: a number from 0 to 1,000,000 is needed, not nan."),
        ("guidance.layers", [4], "guidance.layers: a list of names is needed, not [4]."),
        ("guidance.loss", "cosin", "guidance.loss: 'cosin' is none of cosine, l1, l2, kl, standardized-cos"),
        ("classifier.method", "gradcamm", "Did you mean 'gradcam'?"),
        ("classifier.input_size", 20_000, "classifier.input_size: a whole number from 1 to 1,024 is needed"),
        ("classifier.options", [], "classifier.options: a mapping is needed, not []."),
        ("classifier.grey", 1, "classifier.grey: true or false is needed, not 1."),
    ],
)
def test_a_setting_that_no_training_can_have(name: str, value: Any, told: str) -> None:
    with pytest.raises(InputError) as error:
        check_settings(changed(name, value))
    assert told in str(error.value)
    assert str(error.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("guidance", "told"),
    [
        ({"first_epoch": 30}, "of 10 epochs none is guided, from epoch 30 to 10"),
        ({"first_epoch": 5, "last_epoch": 3}, "of 10 epochs none is guided, from epoch 5 to 3"),
        ({"loss": "l1", "barrier": 5.0}, "log-barrier needs"),
        ({"loss": "kl", "softmax": True}, "leave softmax off"),
    ],
)
def test_guidance_that_no_training_can_have(guidance: dict[str, Any], told: str) -> None:
    config = TrainConfig("run", DataSettings("set"), epochs=10)
    check_settings(replace(config, guidance=GuidanceSettings(first_epoch=10, loss="kl")))
    with pytest.raises(InputError, match=told):
        check_settings(replace(config, guidance=GuidanceSettings(**guidance)))
    check_settings(replace(config, guidance=GuidanceSettings(**guidance, weight=0.0)))  # the unguided twin


@pytest.mark.parametrize("value", [None, 4, 0.5])
def test_what_is_allowed_passes(value: float | None) -> None:
    check_settings(changed("data.workers", None if value is None else 2))
    check_settings(with_recipe(changed("guidance.weight", value or 0), "aucue"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("seed", -1, "seed: "),
        ("trainer.device", "quantum", "trainer: .*quantum"),
        ("classifier.backbone", "resnet19", "resnet19"),
        ("classifier.head", "gapp", "'gapp' is no head"),
        ("guidance.layers", ["layer9"], "'layer9' is no layer"),
        ("guidance.codebook", "fax", "fax"),
        ("data.path", "nowhere", "nowhere: no such folder"),
    ],
)
def test_a_refused_start_leaves_nothing_behind(
    settings: MakeSettings, name: str, value: Any, told: str
) -> None:
    config = changed(name, value, settings())
    with pytest.raises(InputError, match=told):
        fit(config, progress=False)
    assert not Path(config.out).exists()
