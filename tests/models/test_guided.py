"""One answer to whether, where and how a network was guided."""

from typing import Any

import pytest

from aucue.models import Card, GuidanceRecord
from aucue.models.card import guided_layers, how_guided

LAYERS = ("layer1", "layer2", "layer3")


@pytest.mark.parametrize(
    ("guidance", "guided", "layers", "words"),
    [
        (None, False, (), "guidance not stated"),
        ({}, False, (), "not guided"),
        ({"weight": 0.0, "layers": ["layer3"]}, False, (), "not guided"),
        (
            {"weight": 4.0, "layers": ["layer3", "layer2"]},
            True,
            ("layer3", "layer2"),
            "guided: attention of layer3, layer2 (weight 4)",
        ),
        (
            {"weight": 0.0, "class_map": 1.5, "layers": ["layer3"]},
            True,
            (),
            "guided: class map (weight 1.5)",
        ),
        (
            {"weight": 1, "class_map": 2, "contrast": 3, "layers": ["layer3"]},
            True,
            ("layer3",),
            "guided: attention of layer3 (weight 1), class map (weight 2), "
            "contrast of the class maps (weight 3)",
        ),
    ],
)
def test_how_a_network_was_guided(
    guidance: dict[str, Any] | None, guided: bool, layers: tuple[str, ...], words: str
) -> None:
    info = Card.from_dict({"classes": ("a", "b"), "guidance": guidance})
    assert (info.guided, info.guided_layers, info.how_guided) == (guided, layers, words)
    assert info.guidance is None or isinstance(info.guidance, GuidanceRecord)
    stored = Card.from_dict(info.to_dict())  # as an evaluation and a model file have it
    assert (stored, how_guided(info.to_dict()["guidance"])) == (info, words)
    assert guided_layers(info.to_dict()["guidance"]) == layers


@pytest.mark.parametrize(
    ("guidance", "layer"),
    [
        (None, "layer3"),
        ({"weight": 4.0, "layers": ["layer2", "layer1"]}, "layer2"),  # the deepest, not the last named
        ({"weight": 0.0, "layers": ["layer1"]}, "layer1"),  # the unguided twin, shown where its twin is
        ({"weight": 4.0, "layers": ["gone"]}, "layer3"),
    ],
)
def test_the_layer_shown_is_the_deepest_named(guidance: dict[str, Any] | None, layer: str) -> None:
    info = Card.from_dict({"classes": ("a", "b"), "guidance": guidance})
    assert info.layer_shown(LAYERS) == layer


def test_entries_that_a_later_file_may_have_are_passed_over() -> None:
    record = GuidanceRecord.from_dict({"weight": 1.0, "moon": "full", "tide": 0.5})
    assert record == GuidanceRecord(weight=1.0)
