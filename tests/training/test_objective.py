"""The loss in a loop of one's own: no Lightning, the same terms."""

import pytest
import torch

from aucue.classifiers import Classifier
from aucue.facs import EXPRESSIONS
from aucue.rendering import FaceParameters, Identity, render
from aucue.training import GuidanceSettings, Objective, guidance_of, total


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    """Four rendered faces: two happy, one afraid, one neutral."""
    shown = [{6: 1.0, 12: 1.0, 25: 1.0}, {6: 0.7, 12: 1.0}, {1: 1.0, 2: 1.0, 5: 1.0, 20: 1.0}, {}]
    labels = ("happiness", "happiness", "fear", "neutral")
    faces = [render(FaceParameters(Identity.draw(k), units), 48) for k, units in enumerate(shown)]
    return {
        "image": torch.stack([torch.from_numpy(face.image.copy()).permute(2, 0, 1) for face in faces]),
        "landmarks": torch.stack([torch.from_numpy(face.landmarks.copy()).float() for face in faces]),
        "label": torch.tensor([EXPRESSIONS.index(name) for name in labels]),
    }


@pytest.fixture
def classifier() -> Classifier:
    return Classifier("test_resnet", input_size=48, final_stride=8)


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        ("unguided", ["cross_entropy"]),
        ("fg2024", ["cross_entropy", "alignment"]),
        ("aucue", ["cross_entropy", "alignment", "class_map", "contrast"]),
    ],
)
def test_a_recipe_has_its_terms(recipe: str, names: list[str], batch, classifier: Classifier):
    terms = list(Objective(classifier, guidance_of(recipe))(batch))
    assert [term.name for term in terms] == names
    assert total(terms).item() == pytest.approx(
        sum(term.weight * term.value.item() for term in terms), rel=1e-6
    )


def test_a_loop_of_ones_own_learns_where_to_look(batch, classifier: Classifier):
    objective = Objective(classifier, guidance_of("aucue"))
    optimizer = torch.optim.SGD(classifier.parameters(), lr=0.02)
    before, after = [], []
    for step in range(12):
        terms = {term.name: term for term in objective(batch)}
        optimizer.zero_grad()
        total(terms.values()).backward()
        optimizer.step()
        (before if step == 0 else after).append(terms["alignment"].value.item())
    assert after[-1] < 0.8 * before[0]


def test_a_prior_counts_in_the_cross_entropy_alone(batch, classifier: Classifier):
    objective = Objective(classifier.eval(), GuidanceSettings(weight=0.0))
    objective.log_prior = torch.linspace(-1, 1, 7)
    (term,) = objective(batch)
    logits = classifier(batch["image"]).logits + objective.log_prior
    expected = torch.nn.functional.cross_entropy(logits, batch["label"])
    torch.testing.assert_close(term.value, expected)
