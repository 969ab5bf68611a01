from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from tests.builders import information, untrained

from aucue.classifiers import Classifier, WeightedGAP
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.data import open_prepared
from aucue.errors import InputError
from aucue.models import Card, Model, load_model
from aucue.training import ClassifierSettings, TrainConfig, fit, with_model
from aucue.training.fitting import _chosen_faces, build_classifier
from aucue.training.start import (
    check_template,
    comparison_sentence,
    model_settings,
    start_sentence,
    starting_model,
)

MakeSettings = Callable[..., TrainConfig]


def saved(path: Path, **changes: object) -> Path:
    return Model(untrained(seed=1), information(**changes)).save(path)  # pyright: ignore[reportArgumentType]


def linear(classifier: Classifier) -> torch.nn.Linear:
    assert isinstance(classifier.head, WeightedGAP)
    return classifier.head.fc


def built(model: str | Path, classes: tuple[str, ...], **changes: object):
    settings = {name.partition(".")[2]: value for name, value in model_settings(model).items()}
    config = ClassifierSettings(**{**settings, **changes})
    return build_classifier(config, classes, start=starting_model(config.weights))


def test_the_same_classes_keep_the_whole_network() -> None:
    box, _ = load_model("box")
    mine = built("box", box.classes)
    assert mine.config == box.config  # mirroring and colour, too
    assert all(torch.equal(value, box.state_dict()[name]) for name, value in mine.state_dict().items())


def test_classes_of_ones_own_keep_the_backbone_and_the_shared_rows_of_the_head(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    before = load_model(model)[0]
    mine = built(model, ("pain", "fear", "neutral"))
    for name, value in mine.backbone.state_dict().items():
        assert torch.equal(value, before.backbone.state_dict()[name])
    old, new = linear(before), linear(mine)
    rows = [before.classes.index(name) for name in ("fear", "neutral")]
    assert torch.equal(new.weight[1:], old.weight[rows])
    assert torch.equal(new.bias[1:], old.bias[rows])
    assert not any(torch.equal(new.weight[0], row) for row in old.weight)


def test_another_head_starts_anew_and_another_size_is_taken(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    before = load_model(model)[0]
    mine = built(model, before.classes, head="max", input_size=48)
    assert (mine.config["head"], mine.input_size) == ("max", 48)
    name = "layer4.0.conv1.weight"
    assert torch.equal(mine.backbone.state_dict()[name], before.backbone.state_dict()[name])


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=r"a\.safetensors: these weights do not fit resnet10t"):
        built(model, ("neutral", "fear"), backbone="resnet10t")


def test_what_is_taken_is_a_sentence(tmp_path: Path) -> None:
    config = with_model(TrainConfig("run", None), saved(tmp_path / "a.safetensors"))  # pyright: ignore
    where = f"Start: {tmp_path / 'a.safetensors'}, backbone "
    known = load_model(tmp_path / "a.safetensors")[1].classes
    assert start_sentence(config, known) == f"{where}and head."
    assert start_sentence(config, [*known, "pain"]) == f"{where}and head, but for pain."
    assert start_sentence(config, ["pain", "none"]) == f"{where}alone; the head is new."
    assert start_sentence(TrainConfig("run", None), known) is None  # pyright: ignore[reportArgumentType]


def test_a_training_goes_on_from_a_model_and_its_card_says_so(settings: MakeSettings, tmp_path: Path) -> None:
    first = {"model": "first", "trained_on": {"licence": "research only"}}
    provenance = {"trained_on": {"name": "earlier"}, "started_from": first}
    model = saved(tmp_path / "a.safetensors", provenance=provenance)
    config = with_model(settings(epochs=1), model)
    config.optimizer.lr = 1e-9
    network, card = load_model(fit(config, progress=False))
    start = load_model(model)[0].state_dict()
    weights = {name: value for name, value in network.state_dict().items() if name.endswith(".weight")}
    assert all(torch.allclose(value, start[name], atol=1e-6) for name, value in weights.items())
    before = card.provenance["started_from"]
    assert (before["model"], before["trained_on"]) == ("a", {"name": "earlier"})
    assert before["started_from"] == first
    held_out = _chosen_faces(open_prepared(config.data.path), config)[1]
    images = torch.stack([held_out[index]["image"] for index in range(len(held_out))])
    with torch.inference_mode():
        predicted = load_model(model)[0].eval()(images).logits.argmax(1)
        now = network.eval()(images).logits.argmax(1)
    assert before["held_out"] == {
        "faces": len(held_out),
        "kept": pytest.approx((now == predicted).double().mean().item()),
        "accuracy": pytest.approx(accuracy_score(held_out.labels, predicted)),
        "balanced_accuracy": pytest.approx(balanced_accuracy_score(held_out.labels, predicted)),
    }
    assert card.provenance["settings"]["classifier"]["weights"] == str(model)


def test_whether_it_got_better_is_a_sentence() -> None:
    def card(before: float, after: float, select: str) -> Card:
        start = {"held_out": {"faces": 36, "accuracy": before, "balanced_accuracy": 0.5}}
        provenance = {"started_from": start, "settings": {"select": select}}
        metrics = {"held_out": {"accuracy": after, "balanced_accuracy": 0.75}}
        return information(provenance=provenance, metrics=metrics)

    better = "36 held-out faces: accuracy 80.0 -> 90.0 %."
    assert comparison_sentence(card(0.8, 0.9, "accuracy")) == better
    assert comparison_sentence(card(0.8, 0.9, "last")) == better
    worse = "36 held-out faces: accuracy 80.0 -> 80.0 %; no better than what it started from."
    assert comparison_sentence(card(0.8, 0.8, "accuracy")) == worse
    balanced = "36 held-out faces: balanced accuracy 50.0 -> 75.0 %."
    assert comparison_sentence(card(0.8, 0.8, "balanced_accuracy")) == balanced
    assert comparison_sentence(information()) is None
    own = card(0.8, 0.8, "last")
    own.provenance["settings"]["teacher"] = "start"
    own.provenance["started_from"]["held_out"]["kept"] = 0.945
    assert comparison_sentence(own) == (
        "36 held-out faces: accuracy 80.0 -> 80.0 %; 94.5 % of the answers stayed."
    )


def test_faces_of_another_template_are_refused(rendered: Path, tmp_path: Path) -> None:
    model = Model.load(saved(tmp_path / "a.safetensors", template="fg2024"))
    with pytest.raises(InputError, match=r"'aucue', those of a to 'fg2024'; prepare .* --template fg2024"):
        check_template(model, open_prepared(rendered))


def test_weights_of_a_backbone_are_no_model(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(untrained().backbone.state_dict(), tmp_path / "plain.safetensors")
    assert starting_model(str(tmp_path / "plain.safetensors")) is None
    assert starting_model(None) is None


def test_action_units_start_from_what_weighted_gap_saw(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.safetensors")
    before, _ = load_model(model)
    mine = built(model, before.classes, method="units")
    head = mine.head
    assert isinstance(head, ActionUnitHead)
    beside = linear(before).weight - linear(before).weight.mean(0)
    happiness = before.classes.index("happiness")
    twelve = head.units.index(12)  # of happiness alone
    torch.testing.assert_close(head.conv.weight[twelve, :, 0, 0], beside[happiness])
    others = built(model, ("pain", "happiness"), method="units")
    assert isinstance(others.head, ActionUnitHead)
    assert not torch.equal(others.head.conv.weight[others.head.units.index(12), :, 0, 0], beside[happiness])
