"""What the published training can be asked for."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from aucue.classifiers import Classifier
from aucue.classifiers.heads import ACoL
from aucue.cues import AUCue
from aucue.data import make_loader, open_prepared
from aucue.guidance import alignment, attention
from aucue.training import GuidanceSettings, GuidedModule, Objective, OptimizerSettings, TrainConfig
from aucue.training.module import _optimizer

MakeSettings = Callable[..., TrainConfig]
SIZE, GRID = (48, 48), (6, 6)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    return Classifier("test_resnet", input_size=48, final_stride=8).eval()


@pytest.fixture
def batch(settings: MakeSettings) -> dict[str, torch.Tensor]:
    dataset = open_prepared(settings().data.path).dataset("train")
    return next(iter(make_loader(dataset, batch_size=16)))


def terms_of(classifier: Classifier, batch: dict[str, torch.Tensor], **options: Any) -> dict[str, float]:
    objective = Objective(classifier, GuidanceSettings(**options))
    return {term.name: term.value.item() for term in objective(batch)}


@pytest.mark.parametrize(
    "options",
    [{"softmax": True}, {"barrier": 5.0}, {"grid": "cue"}, {"attention": "first-share", "share": 0.3}],
)
def test_options_of_the_alignment(options: dict[str, Any], classifier: Classifier, batch):
    found = terms_of(classifier, batch, cue_size="input", **options)["alignment"]
    attended = attention(
        classifier(batch["image"]).features["layer4"],
        options.pop("attention", "mean"),
        options.pop("share", 1.0),
    )
    cue = AUCue("facs", classifier.classes)(batch["landmarks"], batch["label"], SIZE)
    expected = alignment(attended, cue.map, cue.valid, **options).item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(terms_of(classifier, batch, cue_size="input")["alignment"], rel=1e-3)


@pytest.mark.parametrize("loss", ["cosine", "energy", "rrr", "l1-mask"])
def test_input_gradients_by_a_loop_over_faces(loss: Any, classifier: Classifier, batch):
    found = terms_of(classifier, batch, weight=0.0, gradients=1.0, loss=loss)
    assert list(found) == ["cross_entropy", "gradients"]
    maps = []
    for image, label in zip(batch["image"], batch["label"], strict=True):
        one = (image[None] / 255).requires_grad_()
        (gradient,) = torch.autograd.grad(classifier(one).logits[0, label], one)
        maps.append(gradient.abs().sum(1, keepdim=True).unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5)))
    cue = AUCue("facs", classifier.classes)(batch["landmarks"], batch["label"], SIZE, GRID)
    expected = alignment(torch.cat(maps), cue.map, cue.valid, loss)
    assert found["gradients"] == pytest.approx(expected.item(), rel=1e-4)
    assert not batch["image"].requires_grad


def test_input_gradients_train_the_network(batch):
    network = Classifier("test_resnet", input_size=48, final_stride=8)
    objective = Objective(network, GuidanceSettings(weight=0.0, gradients=1.0, loss="energy"))
    *_, term = objective(batch)
    term.value.backward()
    first = next(network.backbone.parameters()).grad
    assert first is not None
    assert first.abs().sum() > 0


def test_epochs_with_guidance(settings: MakeSettings, classifier: Classifier, batch):
    config = settings(guidance=GuidanceSettings(first_epoch=2, last_epoch=3))
    module = GuidedModule(classifier, config)
    guided = []
    for epoch in range(4):
        module.trainer = type("Trainer", (), {"current_epoch": epoch, "global_rank": 0})()  # type: ignore
        module.on_train_epoch_start()
        guided.append([term.name for term in module.objective(batch)])
    plain, both = ["cross_entropy"], ["cross_entropy", "alignment"]
    assert guided == [plain, both, both, plain]


@pytest.mark.parametrize(("weights", "smoothing"), [(False, 0.2), (True, 0.0), (True, 0.1)])
def test_class_weights_and_label_smoothing_are_torch_s(weights, smoothing, classifier: Classifier, batch):
    objective = Objective(classifier, GuidanceSettings(weight=0.0))
    of_classes = torch.rand(7) + 0.5 if weights else None
    objective.class_weights, objective.label_smoothing = of_classes, smoothing
    (term,) = objective(batch)
    logits = classifier(batch["image"]).logits
    expected = cross_entropy(logits, batch["label"], weight=of_classes, label_smoothing=smoothing)
    torch.testing.assert_close(term.value, expected)


def test_acol_erases_by_the_label_whatever_classes_weigh(batch):
    classifier = Classifier("test_resnet", input_size=48, final_stride=8, method="acol")
    objective = Objective(classifier, GuidanceSettings(weight=0.0))
    objective.class_weights, objective.label_smoothing = torch.tensor([0.01, 9, 1, 1, 1, 1, 1.0]), 0.2
    erased = []
    head = classifier.head
    assert isinstance(head, ACoL)
    plain = head.maps_b
    head.maps_b = lambda features, maps, by: (erased.append(by), plain(features, maps, by))[1]  # type: ignore
    list(objective(batch))
    assert erased[0].tolist() == batch["label"].tolist()


def test_balanced_weights_are_inverse_frequencies(settings: MakeSettings, classifier: Classifier):
    config = settings()
    config.class_weights = "balanced"
    module = GuidedModule(classifier, config)
    labels = torch.tensor([0, 0, 0, 1, 2, 3, 4, 5, 6, 6]).numpy()
    loader = type("Loader", (), {"dataset": type("Set", (), {"labels": labels, "probabilities": None})()})()
    module.trainer = type("Trainer", (), {"train_dataloader": loader})()  # type: ignore
    module.on_fit_start()
    expected = torch.tensor([10 / 3, 10, 10, 10, 10, 10, 5]) / 7
    torch.testing.assert_close(module.objective.class_weights, expected)
    assert module.objective.log_prior is None


def test_groups_of_the_optimiser(classifier: Classifier):
    optimizer = _optimizer(classifier, OptimizerSettings(lr=0.1, head_lr=10, weight_decay=0.5, decay="all"))
    assert [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups] == [
        (0.1, 0.5),
        (1.0, 0.5),
    ]
    taken = sum(len(group["params"]) for group in optimizer.param_groups)
    assert taken == sum(parameter.requires_grad for parameter in classifier.parameters())
    spared = _optimizer(classifier, OptimizerSettings(lr=0.1, weight_decay=0.5))
    decays = {
        parameter.ndim: group["weight_decay"]
        for group in spared.param_groups
        for parameter in group["params"]
    }
    assert decays == {4: 0.5, 2: 0.5, 1: 0.0}
