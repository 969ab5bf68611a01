"""The alignment losses agree with the published code: every case of align_loss.json, value and gradient."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from aucue.guidance import alignment, attention, mean_of_channels

LOSS = {"cosine": "cosine", "l1": "l1", "l2": "l2", "kl": "kl", "std_cosine": "standardized-cosine"}
KIND = {
    "avg": "mean",
    "avg_half_left": "first-half",
    "avg_half_right": "second-half",
    "avg_fixed_q": "first-share",
    "random_avg": "random-share",
}
GRID = {"scale_to_attention": "attention", "scale_to_heatmap": "cue"}

TAGS = [
    "cos_7", "cos_14", "cos_28", "cos_56", "cos_7_signed", "cos_28_lam1", "cos_14_toheat",
    "cos_14_toheat_signed", "cos_multi_5-4-3", "stdcos_14", "l1_14", "l2_14", "kl_14", "cos_softmax_14",
    "cos_elb_t1", "cos_elb_t5",
    "cos_avg_half_left", "cos_avg_half_right", "cos_fixed_q0.3", "cos_random_p1", "cos_random_p0.5",
    "cos_all_invalid", "cos_one_inf_pixel", "cos_constant_zero_feat",
]  # fmt: skip


@pytest.fixture(scope="module")
def cases(goldens: Path) -> dict[str, dict]:
    return {case["tag"]: case for case in json.loads((goldens / "align_loss.json").read_text())}


@pytest.fixture(scope="module")
def arrays(goldens: Path) -> dict[str, np.ndarray]:
    return dict(np.load(goldens / "align_loss.npz"))


def cue_of(tag: str, heatmap: torch.Tensor) -> torch.Tensor:
    """The maps a case was computed with; an invalid one is infinite."""
    if tag == "cos_all_invalid":
        return torch.full_like(heatmap[:2], torch.inf)
    if tag == "cos_one_inf_pixel":
        cue = heatmap[:2].clone()
        cue[0, 0, 100, 100] = torch.inf
        return cue
    return heatmap[:1] if tag == "cos_constant_zero_feat" else heatmap


def attention_of(case: dict, features: torch.Tensor, arrays: dict[str, np.ndarray]) -> torch.Tensor:
    kind = KIND[case["align"]]
    if kind != "random-share":
        return attention(features, kind, case["q"])  # type: ignore[arg-type]
    drawn = arrays.get(f"{case['tag']}/select")
    if drawn is None:
        return attention(features, kind, case["p"])
    taken = torch.ones(features.shape[:2])
    taken[[0, 1, 2, 3, 5]] = torch.from_numpy(drawn[:, :, 0, 0])  # drawn for the valid samples alone
    return mean_of_channels(features, taken)


def test_every_case_is_tested(cases):
    assert sorted(cases) == sorted(TAGS)


@pytest.mark.parametrize("tag", TAGS)
def test_value_and_gradient(tag, cases, arrays):
    case = cases[tag]
    layers = len(case["sizes"])
    features = [torch.from_numpy(arrays[f"{tag}/feat{k}"]).requires_grad_() for k in range(layers)]
    # "5-4-3" names features[5], [4], [3], and feat{k} is features[k + 1]
    aligned = [features[int(layer) - 1] for layer in case["layers"].split("-")]
    cue = cue_of(tag, torch.from_numpy(arrays["heatmap"]))
    losses = [
        alignment(
            attention_of(case, maps, arrays),
            cue,
            loss=LOSS[case["loss"]],  # type: ignore[arg-type]
            grid=GRID[case["scale_to"]],  # type: ignore[arg-type]
            softmax=case["norm_att"] == "norm_softmax",
            barrier=case["elb_t"] if case["elb"] else None,
        )
        for maps in aligned
    ]
    loss = case["lam"] * torch.stack(losses).mean()
    assert loss.item() == pytest.approx(case["value"], rel=1e-5)
    if case["backward"] != "ok":
        return
    loss.backward()
    for k, maps in enumerate(features):
        gradient = torch.zeros_like(maps) if maps.grad is None else maps.grad
        torch.testing.assert_close(gradient, torch.from_numpy(arrays[f"{tag}/grad{k}"]), atol=1e-6, rtol=0)
