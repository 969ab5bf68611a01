"""A model and its look, against the network alone and hand-made sums."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.classifiers.unit_head import ActionUnitHead
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS, Codebook
from aucue.guidance import attention
from aucue.models import Card, Look, Model, files, name_of

from ..builders import SIDE, drawn_face, information, untrained


@pytest.fixture
def model() -> Model:
    return Model(untrained(0), information(), "mine")


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (3, 3, SIDE, SIDE), dtype=torch.uint8)


@pytest.fixture
def landmarks() -> torch.Tensor:
    return torch.from_numpy(drawn_face(SIDE)[1]).expand(3, 68, 2)


def test_a_look_is_what_the_network_gives(model: Model, images: torch.Tensor):
    look = model.look(images)
    with torch.no_grad():
        out = model.network(images)
    torch.testing.assert_close(look.logits, out.logits)
    torch.testing.assert_close(look.probabilities.sum(1), torch.ones(3))
    assert torch.equal(look.predicted, out.logits.argmax(1))
    assert list(look.attention) == list(model.network.layers)
    torch.testing.assert_close(look.attention["layer2"], out.features["layer2"].mean(1, keepdim=True))
    torch.testing.assert_close(look.attention_shown, attention(out.features["layer3"]))
    assert look.class_maps.shape == (3, 7, 8, 8)
    expected = normalize_cam(model.network.class_maps(out.features["layer4"]))
    torch.testing.assert_close(look.class_maps, expected)
    ids = torch.tensor([2, 0, 6])
    torch.testing.assert_close(look.class_map(ids)[:, 0], expected[torch.arange(3), ids])


def test_agreement_by_hand(model: Model, images: torch.Tensor, landmarks: torch.Tensor):
    happy = torch.full((3,), EXPRESSIONS.index("happiness"))
    look, cue = model.look(images), model.cue(landmarks, happy)
    att_cos, cam_cos = look.agreement(cue, happy)
    map_ = torch.nn.functional.interpolate(
        look.class_map(happy), (SIDE, SIDE), mode="bilinear", align_corners=False
    )
    by_hand = torch.cosine_similarity(map_.flatten(1), cue.map.flatten(1))
    torch.testing.assert_close(cam_cos, by_hand, atol=1e-5, rtol=0)
    assert att_cos.shape == (3,)
    own = Look(model.network, model.network(images), layer="layer4").agreement(cue, happy)[0]
    assert not torch.equal(own, att_cos)  # the layer that is shown is that of the card


@pytest.mark.parametrize("readout", ["gradcam", "layercam", "gradcam++"])
def test_another_read_out_of_the_same_network(model: Model, images: torch.Tensor, readout: str):
    other = model.read_as(readout)
    assert other.network is model.network
    assert (other.readout, model.readout) == (readout, "cam")
    expected = normalize_cam(model.network.class_map(model.network(images), readout=readout))
    torch.testing.assert_close(other.look(images).class_maps, expected.detach())
    with pytest.raises(InputError, match="cannot be read out as 'prm'"):
        model.read_as("prm")


def test_a_class_that_the_codebook_lacks_has_no_cue(landmarks: torch.Tensor):
    classes = ("boredom", "happiness", "neutral")
    model = Model(untrained(0, classes), information(classes))
    cue = model.cue(landmarks, torch.tensor([0, 1, 2]))
    assert cue.valid.tolist() == [False, True, False]
    assert not cue.map[0].any()
    assert model.action_units("boredom") == ()
    assert [unit.number for unit in model.action_units("happiness")] == [6, 12, 25]
    assert "boredom" not in model.codebook.entries


def test_judges(model: Model, landmarks: torch.Tensor):
    fear = torch.full((3,), EXPRESSIONS.index("fear"))
    own = model.cue(landmarks, fear).map
    same = model.judge("facs", "anatomical")(landmarks, fear, (SIDE, SIDE)).map
    assert torch.equal(own, same)
    book = Codebook.load("fg2024")
    for other in (model.judge("fg2024", "fg2024"), model.judge(book, "fg2024")):
        assert (other.codebook.name, other.regions.name) == ("fg2024", "fg2024")
        assert not torch.equal(other(landmarks, fear, (SIDE, SIDE)).map, own)


def test_saved_and_loaded(
    model: Model, images: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = model.save(tmp_path / "fer.safetensors")
    loaded = Model.load(path, "gradcam")
    assert (loaded.name, loaded.readout, loaded.layer) == ("fer", "gradcam", "layer3")
    assert (loaded.reading_size, loaded.template, loaded.classes) == (224, "aucue", EXPRESSIONS)
    assert torch.equal(loaded.look(images).logits, model.look(images).logits)
    monkeypatch.setattr(files, "BOXED", path)
    assert torch.equal(Model.load().look(images).logits, model.look(images).logits)
    again = Model.load(loaded)
    assert again.network is loaded.network
    assert (again.readout, again.name) == ("gradcam", "fer")
    assert Model.load(loaded, "cam").readout == "cam"


def test_a_card_s_codebook_is_complete_in_itself():
    card = replace(information(), codebook={"name": "x", "extends": "facs", "expressions": {"fear": [1]}})
    with pytest.raises(InputError, match="the model: its codebook extends another one"):
        Model(untrained(0), card)


@pytest.mark.parametrize(
    ("path", "name"),
    [("runs/a/model.safetensors", "a"), ("runs/fer.safetensors", "fer"), ("hf:jane/fer@v1", "fer")],
)
def test_names(path: str, name: str):
    assert name_of(Path(path)) == name


def test_a_logit_is_the_sum_of_what_its_units_add() -> None:
    network = Classifier("test_resnet", input_size=32, final_stride=8, method="units").eval()
    model = Model(network, Card(network.classes, method="units"))
    look = model.look(torch.rand(5, 3, 32, 32))
    classes = torch.tensor([0, 1, 2, 3, 6])
    added = look.unit_contributions(classes)
    assert added is not None
    head = network.head
    assert isinstance(head, ActionUnitHead)
    own = head.own[classes]
    assert (added[own] > 0).all()
    assert not added[~own].any()
    logits = look.logits.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(added.sum(1) + head.bias[classes], logits)
    assert look.unit_maps is not None
    assert look.unit_maps.shape == (5, len(head.units), 4, 4)


def test_other_heads_have_no_maps_of_units() -> None:
    network = Classifier("test_resnet", input_size=32).eval()
    look = Model(network, Card(network.classes)).look(torch.rand(2, 3, 32, 32))
    assert look.unit_maps is None
    assert look.unit_contributions(torch.tensor([0, 1])) is None
