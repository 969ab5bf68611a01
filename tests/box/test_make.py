"""The mean of networks that went on from one."""

from pathlib import Path

import pytest
import torch
from tests.builders import information, untrained

from aucue.models import Model, load_model
from box.make import averaged, balance_of
from box.train import BALANCE


def test_weights_are_the_mean_and_mirror_images_count(tmp_path: Path) -> None:
    trained = [
        Model(untrained(seed), information()).save(tmp_path / f"{seed}.safetensors") for seed in (1, 2)
    ]
    network, _ = averaged(trained)
    assert network.config["mirror"]
    first, second = (load_model(path)[0].state_dict() for path in trained)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value.double(), (first[name].double() + second[name].double()) / 2)


def test_networks_that_learnt_votes_compensate_less(tmp_path: Path) -> None:
    before = information(metrics={"held_out": {"shift": 0.2}})
    start = Model(untrained(), before).save(tmp_path / "start.safetensors")
    assert balance_of(["truer"], start) == pytest.approx(BALANCE + 0.2)
    assert balance_of(["mild"], start) == BALANCE
    assert balance_of(["truer", "mild", "mild", "mild"], start) == pytest.approx(BALANCE + 0.05)
