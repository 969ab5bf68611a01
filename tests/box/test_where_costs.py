"""Where in its map an answer loses what hiding costs."""

import pytest
import torch
from tests.builders import information, untrained

from aucue.cues import AUCue
from aucue.models import Model
from aucue.rendering import FaceParameters, Identity, render
from box.where_costs import Lost, lost, order, parts, where


def test_cells_are_hidden_or_next_to_hidden_ones_or_farther_off() -> None:
    region = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    region[..., 0:2, 0:2] = True  # one of 4 x 4 cells, and a sixteenth of none other
    here, near, far = (part[0, 0] for part in parts(region, (4, 4)))
    assert here.nonzero().tolist() == [[0, 0]]
    assert near.nonzero().tolist() == [[0, 1], [1, 0], [1, 1]]
    assert torch.equal(here + near + far, torch.ones(4, 4))


def test_all_parts_together_are_what_the_map_loses() -> None:
    network = untrained(seed=1, predicts="happiness", bias=1.0)
    model, draw = Model(network, information(), device="cpu"), AUCue("facs")
    face = render(FaceParameters(Identity.draw(0), {6: 1.0, 12: 1.0, 25: 1.0}), model.input_size)
    image, landmarks = torch.from_numpy(face.image.copy()).permute(2, 0, 1), torch.from_numpy(face.landmarks)
    found = lost(model, draw, image, landmarks.float())
    assert found is not None
    assert model.classes[found.label] == "happiness"
    whole = found.here + found.near + found.far
    assert whole.abs().max() > 1e-4
    # to first order; the network is hardly sure of anything, so that little else is in it
    torch.testing.assert_close(whole, found.cost, atol=0.02, rtol=0.2)


def test_a_face_without_units_has_no_order() -> None:
    model = Model(untrained(predicts="neutral"), information(), device="cpu")
    image, landmarks = torch.zeros(3, 64, 64, dtype=torch.uint8), torch.rand(68, 2) * 64
    assert lost(model, AUCue("facs"), image, landmarks) is None


def found_of(label: int, cost: list[float]) -> Lost:
    values = torch.tensor(cost)
    return Lost(label, values.flip(0), values, values, 0 * values, values / 2)


def test_every_answer_counts_alike() -> None:
    found = [found_of(1, [3.0, 2.0, 1.0]), found_of(1, [3.0, 2.0, 1.0]), found_of(4, [1.0, 3.0, 1.5])]
    assert order(found, [face.cost for face in found]) == "1.000 / 1.000"
    assert (
        order(found, [face.evidence for face in found]) == "0.500 / -0.250"
    )  # (-1 + .5) / 2: of the third face two units change places
    assert where(found)[:2] == ["3", "0.67 / 0.00 / 0.33"]
    assert pytest.approx(1.0) == float(order(found, [face.here for face in found]).split(" / ")[1])
