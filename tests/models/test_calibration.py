"""From logits to chances of being right: by hand, in files, and in the model that comes with aucue."""

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aucue.errors import InputError
from aucue.export import write_repository
from aucue.facs import EXPRESSIONS
from aucue.models import CalibrationRecord, Card, Model, PriorRecord, boxed_model, load_model, save_model
from aucue.models.calibration import compensated_prior, mix_of, shifts_for

from ..builders import SIDE, information, untrained

NATURAL: dict[str, float] = dict(zip(EXPRESSIONS, (0.4, 0.3, 0.1, 0.05, 0.05, 0.02, 0.08), strict=True))
HALF = compensated_prior(NATURAL, 0.5)
COOL = CalibrationRecord(0.5, "drawn ones", 200, 0.14, 0.03, voters=True)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, SIDE, SIDE), dtype=torch.uint8)


def model_with(calibration: CalibrationRecord | None, prior=None) -> Model:
    return Model(untrained(0), information(calibration=calibration, prior=HALF), device="cpu", prior=prior)


def test_probabilities_are_calibrated_and_votes_are_what_the_network_says(images: torch.Tensor):
    model = model_with(COOL)
    look, logits = model.look(images), model.network(images).logits.detach()
    torch.testing.assert_close(look.probabilities, (logits / 0.5).softmax(1))
    torch.testing.assert_close(look.votes, logits.softmax(1))
    torch.testing.assert_close(look.logits.softmax(1), look.probabilities)
    assert torch.equal(look.predicted, logits.argmax(1))


def test_a_temperature_changes_no_map(images: torch.Tensor):
    plain, cool = (model_with(each).look(images) for each in (None, COOL))
    assert torch.equal(plain.class_maps, cool.class_maps)
    assert torch.equal(plain.logit_maps, cool.logit_maps)


def test_without_a_calibration_votes_are_the_probabilities(images: torch.Tensor):
    look = model_with(None).look(images)
    assert torch.equal(look.votes, look.probabilities)
    assert torch.equal(look.logits, look._output.logits)


def test_labels_of_one_person_have_no_voters(images: torch.Tensor):
    look = model_with(replace(COOL, voters=False)).look(images)
    assert torch.equal(look.votes, look.probabilities)
    torch.testing.assert_close(look.probabilities, (look._output.logits / 0.5).softmax(1))
    torch.testing.assert_close(look.uncalibrated, look._output.logits.softmax(1))


def test_half_compensated_is_the_square_root():
    roots = {name: math.sqrt(share) for name, share in NATURAL.items()}
    assert HALF.assumed == pytest.approx({n: v / sum(roots.values()) for n, v in roots.items()})
    assert sum(HALF.natural.values()) == pytest.approx(1)
    assert compensated_prior(NATURAL, 1).assumed == pytest.approx(dict.fromkeys(EXPRESSIONS, 1 / 7))


def test_a_prior_is_a_log_ratio_on_the_logits(images: torch.Tensor):
    model = model_with(COOL, "natural")
    logits = model.network(images).logits.detach()
    ratio = torch.tensor([math.log(NATURAL[n] / HALF.assumed[n]) for n in EXPRESSIONS])
    look = model.look(images)
    torch.testing.assert_close(look.votes, (logits + ratio).softmax(1))
    torch.testing.assert_close(look.probabilities, ((logits + ratio) / 0.5).softmax(1))
    assert model.mix is not None
    assert model.mix.assumed == pytest.approx(HALF.natural)
    for same in (model.read_as("gradcam"), model.to("cpu"), Model.load(model)):
        assert same.scale == model.scale
    assert Model.load(model, prior="even").scale != model.scale


def test_another_mix_of_expressions_is_not_stored(tmp_path: Path):
    mixed = model_with(None, prior="even")
    for store in (
        lambda: mixed.save(tmp_path / "m.safetensors"),
        lambda: write_repository(mixed, tmp_path, "o/n"),
    ):
        with pytest.raises(InputError, match="give the prior whenever it is loaded"):
            store()
    assert not [*tmp_path.iterdir()]


def test_a_prior_from_a_table(tmp_path: Path):
    path = tmp_path / "mix.yaml"
    path.write_text("".join(f"{name}: {number}\n" for number, name in enumerate(EXPRESSIONS, start=1)))
    mix = mix_of(HALF, EXPRESSIONS, str(path))
    assert mix["surprise"] == pytest.approx(3 / 28)
    assert mix_of(HALF, EXPRESSIONS, mix) == pytest.approx(mix)
    assert mix_of(HALF, EXPRESSIONS, "even") == dict.fromkeys(EXPRESSIONS, 1 / 7)
    assert shifts_for(HALF, EXPRESSIONS, None) == ()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("happiness: 1\n", "needs a share of each of neutral, happiness"),
        ("".join(f"{name}: 0\n" for name in EXPRESSIONS), "share of neutral must be a number above 0, not 0"),
        ("".join(f"{name}: yes\n" for name in EXPRESSIONS), "must be a number above 0, not True"),
        ("- 1\n", "must hold a mapping"),
    ],
)
def test_what_is_no_mix_is_told(tmp_path: Path, content: str, said: str):
    path = tmp_path / "mix.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        mix_of(HALF, EXPRESSIONS, path)


def test_an_unknown_prior_is_told():
    with pytest.raises(InputError, match=r"frequent: no such prior; give natural, even, or a file"):
        mix_of(HALF, EXPRESSIONS, "frequent")
    with pytest.raises(InputError, match="does not say which mix of expressions it was trained for"):
        Model(untrained(0), information(), device="cpu", prior="natural")


def test_a_file_keeps_both(tmp_path: Path):
    network = untrained(0)
    path = save_model(tmp_path / "m.safetensors", network, information(calibration=COOL, prior=HALF))
    card = load_model(path)[1]
    assert card.calibration == COOL
    assert card.prior == HALF


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"calibration": CalibrationRecord(0.0)}, "temperature' must be a number from 0.01 to 100"),
        ({"calibration": CalibrationRecord(math.nan)}, "temperature"),
        ({"calibration": CalibrationRecord(1.0, before=2.0)}, "before' must be a number from 0 to 1"),
        ({"prior": PriorRecord(NATURAL, {**NATURAL, "fear": 0.0})}, "fear' must be a number"),
    ],
)
def test_a_file_with_a_wrong_one_is_not_written(tmp_path: Path, changes: dict, said: str):
    with pytest.raises(InputError, match=said):
        save_model(tmp_path / "m.safetensors", untrained(0), information(**changes))


def test_a_prior_of_other_classes_is_told():
    with pytest.raises(InputError, match="'prior' needs a share of every class"):
        Card(classes=EXPRESSIONS, prior=PriorRecord({"joy": 1.0}, {"joy": 1.0}))


def test_the_model_in_the_box_is_the_one_of_its_card_and_calibrated_for_the_mix_it_was_trained_for():
    network, card = load_model(boxed_model())
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    assert digest.hexdigest()[:16] == "c8f5dc7b7f841c2c"
    assert card.calibration is not None
    assert card.prior is not None
    assert card.calibration.temperature == pytest.approx(0.609, abs=0.001)
    assert card.calibration.voters
    assert network.config["exposure"] == 0.3
    expected = compensated_prior(card.prior.natural, 0.65)
    assert card.prior.assumed == pytest.approx(expected.assumed, rel=1e-4)
