"""How the model in the box is finished."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import information, untrained

from aucue.facs import EXPRESSIONS
from aucue.models import Model, PriorRecord, load_model
from box import make

FACES, CLASSES = 400, len(EXPRESSIONS)


def held_out(shown: int, scale: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (N, K), and labels (N,) of some classes drawn from `scale` times them."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(FACES, CLASSES, generator=generator)
    logits[:, shown:] -= 30
    return logits, torch.multinomial((scale * logits).softmax(1), 1, generator=generator)[:, 0]


def test_temperature_is_new_and_biases_and_mix_are_those_that_were_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: dict[str, float] = dict.fromkeys(EXPRESSIONS, 1 / CLASSES)
    prior = PriorRecord(natural=shares, assumed=shares)
    before = information(metrics={"held_out": {"shift": 0.2, "smile": 1.0, "accuracy": 0.5}}, prior=prior)
    start = Model(untrained(seed=0), before).save(tmp_path / "start.safetensors")
    steady = [
        Model(untrained(seed), information()).save(tmp_path / f"steady-{seed}.safetensors") for seed in (1, 2)
    ]
    said = {"photographs": held_out(CLASSES, 2.0, seed=0), "studio": held_out(2, 2.0, seed=1)}
    monkeypatch.setattr(make, "open_prepared", lambda path: path)

    def outputs(network: Any, faces: Path) -> tuple[torch.Tensor, torch.Tensor]:
        assert network.config["mirror"]
        return said[faces.name]

    monkeypatch.setattr(make, "outputs", outputs)
    made = tmp_path / "made.safetensors"
    make.finish(steady, start, tmp_path / "photographs", tmp_path / "studio", made)
    network, card = load_model(made)
    assert network.config["mirror"]
    first, second = (load_model(path)[0].state_dict() for path in steady)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value.double(), (first[name].double() + second[name].double()) / 2)
    assert card.calibration is not None
    assert card.calibration.temperature == pytest.approx(0.5, abs=0.06)
    assert card.prior == prior
    logits, labels = said["photographs"]
    found = card.metrics["held_out"]
    assert found["accuracy"] == pytest.approx((logits.argmax(1) == labels).double().mean().item())
    assert (found["shift"], found["smile"]) == (0.2, 1.0)
