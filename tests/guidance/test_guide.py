import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aucue.errors import InputError
from aucue.guidance import Guidance, alignment, attention


def small_network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    """Images (4, 3, 12, 16) and cues (4, 1, 12, 16)."""
    return torch.rand(4, 3, 12, 16), torch.rand(4, 1, 12, 16)


def all_gradients(network: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in network.parameters()]


def test_by_hand():
    network = nn.Conv2d(1, 2, 1, bias=False)
    guided = nn.Sequential(network, nn.Flatten())
    with torch.no_grad():
        network.weight.copy_(torch.tensor([4.0, -2.0]).view(2, 1, 1, 1))  # attention = 1 * image
    guidance = Guidance(guided, "0", weight=5.0)
    guided(torch.tensor([[3.0, 4.0]]).view(1, 1, 1, 2))
    cue = torch.tensor([[[1.0, 0.0]]])
    assert guidance(cue).item() == pytest.approx(5 * (1 - 3 / 5))
    assert guidance.attention()["0"].flatten().tolist() == [3.0, 4.0]


def test_is_the_weighted_mean_of_the_layers_alignments(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, ["0", "2"], weight=9.0, loss="l1", attention="first-half")
    network(images)
    valid = torch.tensor([True, True, False, True])
    maps = guidance.tap.features.values()
    expected = 9 * sum(alignment(attention(m, "first-half"), cue, valid, "l1") for m in maps) / 2
    torch.testing.assert_close(guidance(cue, valid), expected)


def test_options_reach_the_loss(batch):
    images, cue = batch
    network = small_network()
    options: dict[str, Any] = {"grid": "cue", "softmax": True, "barrier": 2.0}
    guidance = Guidance(network, "2", weight=1.0, share=0.5, attention="first-share", **options)
    network(images)
    maps = attention(guidance.tap.features["2"], "first-share", 0.5)
    torch.testing.assert_close(guidance(cue), alignment(maps, cue, **options))


def test_a_cue_may_be_a_pair_or_have_no_channel(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2")
    network(images)
    valid = torch.tensor([True, False, True, True])
    also = torch.tensor([True, True, False, True])
    torch.testing.assert_close(guidance((cue, valid)), guidance(cue, valid))
    torch.testing.assert_close(guidance(cue[:, 0], valid), guidance(cue, valid))
    torch.testing.assert_close(guidance((cue, valid), also), guidance(cue, valid & also))
    mask = cue > 0.5
    torch.testing.assert_close(guidance(mask), guidance(mask.float()))


def test_no_valid_sample_leaves_finite_zero_gradients(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2")
    network(images)
    term = guidance(torch.full_like(cue, math.nan), torch.zeros(4, dtype=torch.bool))
    term.backward()
    assert term.item() == 0
    assert all(gradient.eq(0).all() for gradient in all_gradients(network))


def test_training_moves_the_attention_to_the_cue(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2", weight=1.0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        network(images)
        loss = guidance(cue)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_weight_zero_is_free(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2", weight=0.0)
    network(images)
    term = guidance(cue)
    assert term.item() == 0
    assert not term.requires_grad
    guidance.weight = 1.0
    assert guidance(cue).requires_grad


def test_used_wrongly(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2")
    with pytest.raises(InputError, match="'2' has not run"):
        guidance(cue)
    network(images)
    with pytest.raises(InputError, match="4 samples, but there are 3 cues"):
        guidance(cue[:3])
    with pytest.raises(InputError, match="weight"):
        Guidance(network, "2", weight=-1.0)
    guidance.close()
    with pytest.raises(InputError, match="has not run"):
        guidance(cue)
    with Guidance(network, "2") as other:
        network(images)
        assert other(cue) > 0
    assert not network[2]._forward_hooks


def test_a_layer_without_a_graph_is_an_error_in_training_alone(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, "2")
    with torch.no_grad():
        network(images)
        assert guidance(cue) > 0
    with pytest.raises(InputError, match="'2' carries no gradient"):
        guidance(cue)
    network.eval()
    assert guidance(cue) > 0


class Checkpointed(nn.Module):
    def __init__(self, network: nn.Module, reentrant: bool):
        super().__init__()
        self.network = network
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.network, x, use_reentrant=self.reentrant)  # type: ignore[return-value]


def test_checkpointing(batch):
    images, cue = batch
    network = small_network()

    def step(run: nn.Module, guidance: Guidance) -> list[Tensor]:
        network.zero_grad()
        (run(images).square().mean() + guidance(cue)).backward()
        return all_gradients(network)

    with Guidance(network, ["0", "2"]) as guidance:
        expected = step(network, guidance)
    saving = Checkpointed(network, reentrant=False)
    guidance = Guidance(saving, ["network.0", "network.2"])
    for _ in range(2):  # the second step starts from what the first one left behind
        torch.testing.assert_close(step(saving, guidance), expected)

    losing = Checkpointed(network, reentrant=True)
    images.requires_grad_()
    with pytest.raises(InputError, match="reentrant checkpointing"):
        step(losing, Guidance(losing, ["network.2"]))


def test_autocast(batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, ["0", "2"])
    network(images)
    exact = guidance(cue)
    with torch.autocast("cpu", torch.bfloat16):
        loss = network(images).square().mean() + (term := guidance(cue))
    loss.backward()
    assert term.dtype == torch.float32
    torch.testing.assert_close(term, exact, rtol=0.02, atol=0)
    assert all(gradient.isfinite().all() for gradient in all_gradients(network))
    maps = guidance.tap.features.values()  # the term is exact for the features that the network made
    torch.testing.assert_close(term, 4 * sum(alignment(attention(m.float()), cue) for m in maps) / 2)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compile(backend, batch):
    images, cue = batch
    network = small_network()
    guidance = Guidance(network, ["0", "2"])

    def step(run) -> tuple[Tensor, list[Tensor]]:
        network.zero_grad()
        (run(images).square().mean() + (term := guidance(cue))).backward()
        return term.detach(), all_gradients(network)

    expected = step(network)
    torch.testing.assert_close(step(torch.compile(network, backend=backend, fullgraph=True)), expected)

    def whole(images: Tensor) -> Tensor:  # a step that is compiled with the guidance in it
        return network(images).square().mean() + guidance(cue)

    network.zero_grad()
    torch.compile(whole, backend=backend)(images).backward()
    torch.testing.assert_close(all_gradients(network), expected[1])


def test_a_copy_guides_the_copied_network(batch):
    images, cue = batch
    trainer: Any = nn.ModuleDict({"network": small_network()})
    trainer.guidance = Guidance(trainer["network"], "2", weight=7.0)
    term = (trainer["network"](images), trainer.guidance(cue))[1]
    twin = copy.deepcopy(trainer)
    twin["network"](images)
    assert twin.guidance.tap.model is twin["network"]
    torch.testing.assert_close(twin.guidance(cue), term)
