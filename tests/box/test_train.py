"""How a network of the box is finished: biases, mix and temperature of held-out faces."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.builders import information, untrained
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.classifiers.heads import WeightedGAP
from aucue.facs import EXPRESSIONS
from aucue.models import load_card, load_model
from box import train
from box.train import Outputs

FACES, CLASSES = 400, len(EXPRESSIONS)
SHARES = torch.tensor([0.3, 0.3, 0.1, 0.05, 0.1, 0.05, 0.1])


def held_out(shown: int, scale: float, seed: int) -> Outputs:
    """Logits (N, K), and labels (N,) of some classes drawn from `scale` times them."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(FACES, CLASSES, generator=generator)
    logits[:, shown:] -= 30
    return logits, torch.multinomial((scale * logits).softmax(1), 1, generator=generator)[:, 0]


def bias_of(network: Any) -> Tensor:
    assert isinstance(network.head, WeightedGAP)
    return network.head.fc.bias.detach().clone()


def test_biases_mix_and_temperature_are_those_of_held_out_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"photographs": held_out(CLASSES, 2.0, seed=0), "studio": held_out(2, 2.0, seed=1)}
    monkeypatch.setattr(train, "open_prepared", lambda path: path)
    monkeypatch.setattr(train, "outputs", lambda _, faces: said[faces.name])
    monkeypatch.setattr(train, "log_frequency", lambda _: SHARES.log())
    network, made = untrained(), tmp_path / "made.safetensors"
    before = bias_of(network)
    train.finish((network, information()), tmp_path / "photographs", tmp_path / "studio", made, balance=0.4)
    finished, card = load_model(made)[0], load_card(made)
    found = card.metrics["held_out"]
    bias = (
        -found["shift"] * SHARES.log() + found["smile"] * torch.eye(CLASSES)[EXPRESSIONS.index("happiness")]
    )
    torch.testing.assert_close(bias_of(finished) - before, bias)
    logits, labels = said["photographs"]
    assert found["accuracy"] == pytest.approx(((logits + bias).argmax(1) == labels).double().mean().item())
    assert card.prior is not None
    assert list(card.prior.natural.values()) == pytest.approx(SHARES.tolist())
    left = SHARES ** (1 - 0.4 - found["shift"])
    assert list(card.prior.assumed.values()) == pytest.approx((left / left.sum()).tolist(), rel=1e-4)
    assert card.calibration is not None
    assert card.calibration.temperature == pytest.approx(0.5, abs=0.08)


def test_a_fingerprint_tells_networks_apart() -> None:
    network = untrained(seed=0)
    other = Classifier(**{**network.config, "exposure": 0.5})
    other.load_state_dict(network.state_dict())
    assert train.fingerprint(other) != train.fingerprint(network)
    assert train.fingerprint(network) == train.fingerprint(untrained(seed=0))
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 1e-6
    assert train.fingerprint(network) != train.fingerprint(untrained(seed=0))
