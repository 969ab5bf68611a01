from typing import Any, get_args

import pytest

from aucue.cams import READOUTS
from aucue.classifiers import HEADS, METHODS, REGULARISERS, Classifier
from aucue.classifiers.backbones import pretrained_cfg
from aucue.classifiers.methods import method_named, name_of_readout, readout_for
from aucue.cli.main import main
from aucue.errors import InputError
from aucue.training.config import MethodName


def test_the_paper_has_eleven_and_one_is_ours() -> None:
    assert [name for name, row in METHODS.items() if not row.in_paper] == ["units"]
    assert [name for name, row in METHODS.items() if row.in_paper] == [
        "cam",
        "wildcat",
        "gradcam",
        "gradcam++",
        "acol",
        "prm",
        "adl",
        "cutmix",
        "layercam",
        "ts-cam",
        "apvit",
    ]


@pytest.mark.parametrize("name", METHODS)
def test_rows_name_parts_that_exist(name: str) -> None:
    row = METHODS[name]
    assert row.name == name
    assert row.head in HEADS
    assert bool(pretrained_cfg(row.backbone).has_weights) is row.has_weights
    assert row.readout in READOUTS
    assert row.regulariser is None or row.regulariser in REGULARISERS
    assert row.fg2024.get("readout", "cam") in READOUTS
    assert row.url.startswith("https://")
    assert 2016 <= row.year <= 2022


def test_settings_offer_the_rows() -> None:
    assert get_args(MethodName) == tuple(METHODS)


def test_four_rows_share_one_network() -> None:
    shared = {name for name, row in METHODS.items() if row.shares_network_with(METHODS["cam"])}
    assert shared == {"cam", "gradcam", "gradcam++", "layercam"}


def test_aligned_layers_of_the_paper() -> None:
    assert {name: row.layer for name, row in METHODS.items() if row.layer != -1} == {"cutmix": -2}


@pytest.mark.parametrize(
    ("trained", "asked", "readout", "called"),
    [
        ("cam", None, "cam", "cam"),
        ("cam", "layercam", "layercam", "layercam"),
        ("layercam", None, "layercam", "layercam"),
        ("layercam", "cam", "cam", "cam"),
        ("gradcam++", "gradcam++-fg2024", "gradcam++-fg2024", "gradcam++ read as gradcam++-fg2024"),
        ("adl", "adl", "cam", "adl"),
        ("adl", "cam", "cam", "adl"),
        ("adl", "adl-fg2024", "adl-fg2024", "adl read as adl-fg2024"),
        ("wildcat", "gradcam", "gradcam", "wildcat read as gradcam"),
    ],
)
def test_read_outs_of_a_trained_network(trained: str, asked: str | None, readout: str, called: str) -> None:
    assert readout_for(METHODS[trained], asked) == readout
    assert name_of_readout(METHODS[trained], asked) == called


def test_another_network_is_no_read_out() -> None:
    with pytest.raises(InputError, match=r"trained as 'cam' cannot be read out as 'acol'; .*layercam"):
        readout_for(METHODS["cam"], "acol")
    with pytest.raises(InputError, match="'grad-cam' is no method; choose from cam, wildcat"):
        method_named("grad-cam")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "scorecam"}, "'scorecam' is no method"),
        ({"method": "wildcat", "head": "gap"}, "Method 'wildcat' is its head 'wildcat'"),
        ({"method": "acol", "head_options": {"width": 3}}, "head_options: acol does not take .*width"),
        ({"head_options": {"scale": {1, 2}}}, "head_options: only plain values"),
        ({"method": "ts-cam"}, "ts-cam: needs a backbone"),
    ],
)
def test_what_does_not_go_together(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Classifier(**{"backbone": "test_resnet", "input_size": 64, **arguments})


def test_config_rebuilds_the_method() -> None:
    options = {"variant": "fg2024", "modalities": 2}
    classifier = Classifier("test_resnet", input_size=64, method="wildcat", head_options=options)
    twin = Classifier(**classifier.config)
    assert twin.config == classifier.config
    assert twin.config["head_options"] == options
    twin.load_state_dict(classifier.state_dict())


def test_configs_of_before_methods_are_read_as_cam() -> None:
    config = Classifier("test_resnet", input_size=64).config
    old = {name: value for name, value in config.items() if name not in ("method", "head_options")}
    assert Classifier(**old).config == config


def test_help_lists_every_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for row in METHODS.values():
        assert f"{row.name} ({row.title}, {row.authors}" in text
