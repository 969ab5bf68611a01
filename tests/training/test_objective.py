"""The loss in a loop of one's own: no Lightning, the same terms."""

import pytest
import torch

from aucue.classifiers import Classifier
from aucue.errors import InputError
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
        ("aucue-1", ["cross_entropy", "alignment", "class_map", "contrast"]),
        ("aucue", ["cross_entropy", "alignment", "class_map", "contrast", "hidden"]),
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


def units_first() -> Classifier:
    return Classifier("test_resnet", input_size=48, final_stride=8, method="units")


def test_maps_of_units_go_where_the_units_are(batch):
    torch.manual_seed(0)
    objective = Objective(units_first(), GuidanceSettings(weight=0.0, units=1.0, outside=1.0, hidden=1.0))
    optimizer = torch.optim.Adam(objective.classifier.parameters(), lr=3e-3)
    seen: list[dict[str, float]] = []
    for _ in range(15):
        terms = list(objective(batch))
        assert [term.name for term in terms] == ["cross_entropy", "units", "outside", "hidden"]
        optimizer.zero_grad()
        total(terms).backward()
        optimizer.step()
        seen.append({term.name: term.value.item() for term in terms})
    assert seen[-1]["units"] < 0.8 * seen[0]["units"]
    assert seen[-1]["outside"] < 0.95 * seen[0]["outside"]


def test_units_of_a_face_are_those_of_its_label(batch):
    """Of the neutral face no unit is expected: it changes nothing in the alignment of units."""
    objective = Objective(units_first().eval(), GuidanceSettings(weight=0.0, units=1.0))
    happy = {name: values[:1] for name, values in batch.items()}
    with_neutral = {name: values[[0, 3]] for name, values in batch.items()}
    (_, alone), (_, beside) = objective(happy), objective(with_neutral)
    torch.testing.assert_close(alone.value, beside.value)


def test_evidence_of_a_method_without_units_is_that_of_classes(batch, classifier: Classifier):
    objective = Objective(classifier.eval(), GuidanceSettings(weight=0.0, hidden=2.0))
    names = [(term.name, term.weight) for term in objective(batch)]
    assert names == [("cross_entropy", 1.0), ("hidden", 2.0)]
    out = classifier(batch["image"])
    maps = classifier.class_maps(out.features[classifier.final_layer])
    torch.testing.assert_close(
        objective.evidence(out.features[classifier.final_layer]), maps - maps.mean(1, keepdim=True)
    )


def test_what_changes_beside_what_is_hidden_counts_as_much_as_asked_for(batch, classifier: Classifier):
    def hidden(beside: float) -> torch.Tensor:
        torch.manual_seed(0)  # hides the same
        settings = GuidanceSettings(weight=0.0, hidden=1.0, beside=beside)
        _, term = Objective(classifier.eval(), settings)(batch)
        return term.value

    left, changed = hidden(0.0), hidden(1.0) - hidden(0.0)
    assert left > 0
    assert changed > 0
    torch.testing.assert_close(hidden(3.0), left + 3 * changed)


@pytest.mark.parametrize("method", ["apvit", "cutmix"])
def test_hiding_needs_a_class_map_of_one_face(method: str):
    options = {"input_size": 48, "backbone": "test_resnet"} if method == "cutmix" else {}
    network = Classifier(method=method, **options)
    with pytest.raises(InputError, match="set class_map, contrast and hidden to 0"):
        Objective(network, GuidanceSettings(hidden=1.0))


def test_units_need_a_head_that_has_them(classifier: Classifier):
    with pytest.raises(InputError, match="cam has no maps of action units; set units and outside to 0"):
        Objective(classifier, GuidanceSettings(outside=1.0))


def test_a_prior_counts_in_the_cross_entropy_alone(batch, classifier: Classifier):
    objective = Objective(classifier.eval(), GuidanceSettings(weight=0.0))
    objective.log_prior = torch.linspace(-1, 1, 7)
    (term,) = objective(batch)
    logits = classifier(batch["image"]).logits + objective.log_prior
    expected = torch.nn.functional.cross_entropy(logits, batch["label"])
    torch.testing.assert_close(term.value, expected)
