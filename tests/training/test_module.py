import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from aucue.classifiers import Classifier, cutmix
from aucue.cues import AUCue
from aucue.data import make_loader, open_prepared
from aucue.errors import InputError
from aucue.guidance import alignment, attention
from aucue.training import GuidanceSettings, GuidedModule, TrainConfig
from aucue.training.objective import guided_layers

MakeSettings = Callable[..., TrainConfig]


@pytest.fixture
def classifier() -> Classifier:
    return Classifier("test_resnet", input_size=48, final_stride=8)


def batch_of(config: TrainConfig) -> dict[str, torch.Tensor]:
    dataset = open_prepared(config.data.path).dataset("train")
    return next(iter(make_loader(dataset, batch_size=16)))


def module_of(classifier: Classifier, config: TrainConfig) -> GuidedModule:
    module = GuidedModule(classifier, config)
    module.log = lambda *args, **kwargs: None  # no trainer is attached
    return module.eval()


def test_loss_is_cross_entropy_plus_weighted_misalignment(
    settings: MakeSettings, classifier: Classifier
) -> None:
    config = settings(guidance=GuidanceSettings(weight=3.0, cue_size="input"))
    batch = batch_of(config)
    loss = module_of(classifier, config).training_step(batch, 0)

    # The same from the definitions alone: final map at 6 x 6, cue resized to it, faces without cue left out.
    out = classifier(batch["image"])
    cue, valid = AUCue("facs", classifier.classes)(batch["landmarks"], batch["label"], (48, 48))
    small = torch.nn.functional.interpolate(cue, (6, 6), mode="bilinear", align_corners=True, antialias=True)
    cosines = cosine_similarity(out.features["layer4"].mean(1).flatten(1), small.flatten(1))
    assert valid.tolist() == [label != 0 for label in batch["label"].tolist()]  # 0 is neutral
    expected = cross_entropy(out.logits, batch["label"]) + 3.0 * (1 - cosines[valid]).mean()
    torch.testing.assert_close(loss, expected)


def test_weight_zero_is_cross_entropy_alone(settings: MakeSettings, classifier: Classifier) -> None:
    config = settings(guidance=GuidanceSettings(weight=0.0))
    batch = batch_of(config)
    loss = module_of(classifier, config).training_step(batch, 0)
    assert loss.item() == pytest.approx(
        cross_entropy(classifier(batch["image"]).logits, batch["label"]).item()
    )


def test_class_map_and_contrast_are_weighted_terms(settings: MakeSettings, classifier: Classifier) -> None:
    batch = batch_of(settings())

    def term(class_map: float = 0.0, contrast: float = 0.0) -> torch.Tensor:
        guidance = GuidanceSettings(weight=0.0, class_map=class_map, contrast=contrast)
        config = settings(guidance=guidance)
        plain = cross_entropy(classifier.eval()(batch["image"]).logits, batch["label"])
        return module_of(classifier, config).training_step(batch, 0) - plain

    # The same from the definitions alone.
    out, weight = classifier.eval()(batch["image"]), classifier.state_dict()["head.fc.weight"]
    map_ = torch.einsum("bchw,bc->bhw", out.features["layer4"], weight[batch["label"]])
    map_ = (map_ - map_.amin((1, 2), keepdim=True)).flatten(1)  # a factor changes no cosine
    cue = AUCue("facs", classifier.classes)
    drawn = [cue(batch["landmarks"], torch.full((16,), k), (48, 48), (6, 6)).map.flatten(1) for k in range(7)]
    cosines = torch.stack([cosine_similarity(map_, each) for each in drawn[1:]], dim=1)  # 0 is neutral
    label = batch["label"]
    valid = label > 0
    own = cosines[valid].gather(1, label[valid, None] - 1)
    torch.testing.assert_close(term(class_map=2.0), 2 * (1 - own).mean())
    torch.testing.assert_close(term(contrast=3.0), 3 * cross_entropy(10 * cosines[valid], label[valid] - 1))
    torch.testing.assert_close(
        term(class_map=2.0, contrast=3.0), term(class_map=2.0) + term(contrast=3.0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("method", ["cutmix", "apvit"])
def test_methods_without_a_class_map_of_one_face(settings: MakeSettings, method: str) -> None:
    config = settings(guidance=GuidanceSettings(class_map=1.0))
    tiny = {"widths": [8, 8, 8, 16], "depths": [1, 1, 1]} if method == "apvit" else {}
    backbone = None if method == "apvit" else "test_resnet"
    network = Classifier(backbone, method=method, input_size=48, backbone_options=tiny)
    with pytest.raises(InputError, match="class_map"):
        GuidedModule(network, config)


def test_frequent_classes_get_a_head_start(settings: MakeSettings, classifier: Classifier) -> None:
    config = settings(guidance=GuidanceSettings(weight=0.0), balance=0.5)
    batch = batch_of(config)
    dataset = open_prepared(config.data.path).dataset("train").subset([0, 1, 2, 3, 7, 8])
    module = module_of(classifier, config)
    module._trainer = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset))  # pyright: ignore
    module.on_fit_start()
    counts = torch.bincount(torch.from_numpy(dataset.labels), minlength=7).float()
    adjusted = classifier(batch["image"]).logits + 0.5 * (counts.clamp(min=1) / 6).log()
    assert len(counts.unique()) > 1
    torch.testing.assert_close(module.training_step(batch, 0), cross_entropy(adjusted, batch["label"]))


def test_acol_is_not_balanced(settings: MakeSettings) -> None:
    with pytest.raises(InputError, match="balance"):
        GuidedModule(Classifier("test_resnet", method="acol", input_size=48), settings(balance=1.0))


def test_several_layers_are_averaged(settings: MakeSettings, classifier: Classifier) -> None:
    batch = batch_of(settings())

    def misalignment(layers: list[str]) -> float:
        config = settings(guidance=GuidanceSettings(weight=1.0, layers=layers))
        plain = cross_entropy(classifier.eval()(batch["image"]).logits, batch["label"])
        return (module_of(classifier, config).training_step(batch, 0) - plain).item()

    both = misalignment(["layer3", "layer4"])
    assert both == pytest.approx((misalignment(["layer3"]) + misalignment(["layer4"])) / 2, rel=1e-4)


def test_batch_of_neutral_faces_trains_the_classifier_only(
    settings: MakeSettings, classifier: Classifier
) -> None:
    config = settings()
    batch = batch_of(config)
    batch["label"] = torch.zeros_like(batch["label"])
    loss = module_of(classifier, config).training_step(batch, 0)
    plain = cross_entropy(classifier(batch["image"]).logits, batch["label"])
    assert loss.item() == pytest.approx(plain.item())
    loss.backward()
    gradients = [p.grad for p in classifier.parameters() if p.grad is not None]
    assert gradients
    assert all(math.isfinite(gradient.abs().sum().item()) for gradient in gradients)


def test_layer_names_are_checked(classifier: Classifier) -> None:
    assert guided_layers(classifier, GuidanceSettings()) == ("layer4",)
    with pytest.raises(InputError, match="layer7"):
        guided_layers(classifier, GuidanceSettings(layers=["layer7"]))


def test_cue_is_drawn_on_the_grid_of_the_attention(settings: MakeSettings, classifier: Classifier) -> None:
    """Attention equal to the AU map drawn at 6 x 6 is aligned perfectly: nothing is resized or shifted."""
    config = settings()
    batch = batch_of(config)
    module = module_of(classifier, config)
    drawn = module.objective.draw(batch, "layer4")
    assert drawn.map.shape == (16, 1, 6, 6)
    features = drawn.map.expand(-1, 8, -1, -1)
    assert module.objective.misalignment(features, drawn).item() == pytest.approx(0, abs=1e-6)
    published = module_of(classifier, settings(guidance=GuidanceSettings(cue_size="input"))).objective
    drawn = published.draw(batch, "layer4")
    assert drawn.map.shape == (16, 1, 48, 48)
    assert published.misalignment(features, drawn).item() > 0.01


def test_cutmix_pastes_faces_labels_and_cues_and_aligns_the_layer_before_the_last(
    settings: MakeSettings,
) -> None:
    classifier = Classifier("test_resnet", input_size=48, final_stride=8, method="cutmix")
    config = settings(guidance=GuidanceSettings(weight=3.0))
    batch = batch_of(config)
    module = module_of(classifier, config)
    assert module.objective.layers == ("layer3",)
    torch.manual_seed(7)
    loss = module.training_step(batch, 0)

    torch.manual_seed(7)
    targets = torch.nn.functional.one_hot(batch["label"], 7).float()
    mixed = cutmix(batch["image"], targets, module.objective.draw(batch, "layer3"))
    assert mixed.cue is not None
    out = classifier(mixed.images)
    aligned = alignment(attention(out.features["layer3"]), *mixed.cue)
    torch.testing.assert_close(loss, cross_entropy(out.logits, mixed.targets) + 3.0 * aligned)


def test_unguided_twin_of_cutmix_sees_the_same_pictures(settings: MakeSettings) -> None:
    classifier = Classifier("test_resnet", input_size=48, final_stride=8, method="cutmix")
    batch = batch_of(settings())
    seen = []
    classifier.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    for weight in (0.0, 4.0):
        torch.manual_seed(7)
        module_of(classifier, settings(guidance=GuidanceSettings(weight=weight))).training_step(batch, 0)
    torch.testing.assert_close(seen[0], seen[1], atol=0, rtol=0)
    assert not torch.equal(seen[0], batch["image"])


def test_both_branches_of_acol_are_trained(settings: MakeSettings) -> None:
    classifier = Classifier("test_resnet", input_size=48, final_stride=8, method="acol")
    config = settings(guidance=GuidanceSettings(weight=0.0))
    batch = batch_of(config)
    loss = module_of(classifier, config).training_step(batch, 0)
    out = classifier(batch["image"])
    torch.testing.assert_close(loss, classifier.loss(out, batch["label"]))
    assert loss > cross_entropy(out.logits, batch["label"])
    loss.backward()
    assert all(parameter.grad is not None for parameter in classifier.head.parameters())


def test_soft_labels_are_what_the_cross_entropy_aims_at(settings: MakeSettings) -> None:
    """By hand: with logits 0, ln 3, 0, ... the second of 7 classes has probability 3/9, the others 1/9."""
    classifier = Classifier("test_resnet", input_size=48, final_stride=8)
    with torch.no_grad():
        for parameter in classifier.head.parameters():
            parameter.zero_()
        next(p for p in classifier.head.parameters() if p.ndim == 1)[1] = math.log(3)
    config = settings(guidance=GuidanceSettings(weight=0.0))
    batch = {name: value[:2] for name, value in batch_of(config).items()}
    soft = torch.tensor([[0.25, 0.75, 0, 0, 0, 0, 0], [0.5, 0, 0, 0.5, 0, 0, 0]])
    loss = module_of(classifier, config).training_step({**batch, "probabilities": soft}, 0)
    by_hand = (0.25 * math.log(9) + 0.75 * math.log(3) + math.log(9)) / 2
    assert loss.item() == pytest.approx(by_hand, rel=1e-6)


def test_the_cue_of_a_soft_label_is_that_of_the_label(settings: MakeSettings, classifier: Classifier) -> None:
    guided, unguided = (settings(guidance=GuidanceSettings(weight=weight)) for weight in (3.0, 0.0))
    batch = batch_of(guided)
    soft = {**batch, "probabilities": torch.full((16, 7), 1 / 7)}
    alignments = [
        module_of(classifier, guided).training_step(kind, 0)
        - module_of(classifier, unguided).training_step(kind, 0)
        for kind in (batch, soft)
    ]
    torch.testing.assert_close(*alignments)


@pytest.mark.parametrize("method", ["cam", "cutmix", "acol"])
def test_certain_soft_labels_train_as_labels_do(settings: MakeSettings, method: str) -> None:
    config = settings(guidance=GuidanceSettings(weight=2.0))
    batch = batch_of(config)
    certain = {**batch, "probabilities": torch.nn.functional.one_hot(batch["label"], 7).float()}
    gradients = []
    for kind in (batch, certain):
        torch.manual_seed(3)
        classifier = Classifier("test_resnet", input_size=48, final_stride=8, method=method)
        module_of(classifier, config).training_step(kind, 0).backward()
        gradients.append([parameter.grad for parameter in classifier.parameters()])
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-4)


def test_cutmix_mixes_soft_labels(settings: MakeSettings) -> None:
    classifier = Classifier("test_resnet", input_size=48, final_stride=8, method="cutmix")
    config = settings(guidance=GuidanceSettings(weight=0.0))
    soft = torch.rand(16, 7).softmax(dim=1)
    batch = {**batch_of(config), "probabilities": soft}
    torch.manual_seed(7)
    loss = module_of(classifier, config).training_step(batch, 0)
    torch.manual_seed(7)
    mixed = cutmix(batch["image"], soft)
    torch.testing.assert_close(loss, cross_entropy(classifier(mixed.images).logits, mixed.targets))
