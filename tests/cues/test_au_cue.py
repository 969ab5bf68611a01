import copy
import json
import pickle
from pathlib import Path

import pytest
import torch

from aucue.cues import REGION_MODELS, AUCue, Cue, au_cue, region_content, region_model, region_model_of
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS, Codebook

MODELS = sorted(REGION_MODELS)
FRAME = (224, 224)


@pytest.mark.parametrize("regions", MODELS)
def test_shapes_and_ranges(faces, regions):
    cue = AUCue(regions=regions)(faces, torch.arange(1, 7), FRAME, (14, 20))
    assert isinstance(cue, Cue)
    assert cue.map.shape == (6, 1, 14, 20)
    assert cue.map.dtype == torch.float32
    assert cue.valid.all()
    assert cue.map.min() >= 0
    assert cue.map.max() <= 1
    assert (cue.map.flatten(1).amax(1) > 0.9).all()
    assert AUCue(regions=regions)(faces, torch.arange(6), (180, 200)).map.shape == (6, 1, 180, 200)


@pytest.mark.parametrize("regions", MODELS)
def test_union_of_its_action_units(faces, regions):
    draw = AUCue(regions=regions)
    maps, _ = draw.single(faces, FRAME, (28, 28))
    for label, name in enumerate(draw.classes[1:], start=1):
        columns = [draw.action_units.index(unit) for unit in draw.codebook[name]]
        union = maps[:, columns].amax(1)
        if regions == "fg2024":  # the published cue is stretched to [0, 1]
            low, high = union.flatten(1).aminmax(dim=1)
            union = (union - low[:, None, None]) / (high - low)[:, None, None]
        cue = draw(faces, torch.full((6,), label), FRAME, (28, 28))
        torch.testing.assert_close(cue.map[:, 0], union, atol=1e-6, rtol=0)


@pytest.mark.parametrize("regions", MODELS)
def test_generic_is_the_union_of_everything(faces, regions):
    everything = {"name": "all", "expressions": {"fear": list(AUCue(regions=regions).action_units)}}
    draw = AUCue(Codebook.from_dict(everything), ["fear"], regions)
    expected = draw(faces, torch.zeros(6, dtype=torch.long), FRAME, (28, 28))
    generic = draw.generic(faces, FRAME, (28, 28))
    torch.testing.assert_close(generic.map, expected.map)
    assert generic.valid.all()


@pytest.mark.parametrize("regions", MODELS)
def test_invalid_faces(face, regions):
    landmarks = face.repeat(10, 1, 1)
    expression = torch.full((10,), 1)
    expression[1] = 0  # neutral
    expression[2] = -1  # unknown
    expression[3] = -100
    expression[4] = 7  # no such class
    landmarks[5] = torch.nan
    landmarks[6] = torch.inf
    landmarks[7, 60, 1] = torch.nan  # one point, that no region needs
    landmarks[8] += 1000  # outside of the frame
    landmarks[9] = -1e30
    draw = AUCue(regions=regions)
    for grid in (None, (28, 28)):
        cue = draw(landmarks, expression, FRAME, grid)
        assert cue.valid.tolist() == [True] + 9 * [False]
        assert (cue.map[1:] == 0).all()
        assert cue.map[0].max() > 0.9
    maps, valid = draw.single(landmarks, FRAME, (28, 28))
    assert valid.all(1).tolist() == 5 * [True] + 5 * [False]
    assert (maps[~valid] == 0).all()
    assert draw.generic(landmarks, FRAME, (28, 28)).valid.tolist() == 5 * [True] + 5 * [False]
    two, their_valid = draw.single(landmarks, FRAME, (28, 28), units=[12, 4])
    rows = [draw.action_units.index(unit) for unit in (12, 4)]
    assert torch.equal(two, maps[:, rows])
    assert torch.equal(their_valid, valid[:, rows])


@pytest.mark.parametrize("regions", MODELS)
def test_partly_visible_action_units(face, regions):
    draw = AUCue(regions=regions)
    low = face[None] + torch.tensor([0.0, 100.0])  # the mouth has left the frame, the brows have not
    _, valid = draw.single(low, FRAME)
    assert valid[0, draw.action_units.index(1)]
    assert not valid[0, draw.action_units.index(25)]


@pytest.mark.parametrize("regions", MODELS)
def test_faces_do_not_influence_each_other(faces, regions):
    draw = AUCue(regions=regions)
    labels = torch.tensor([4, 1, 0, 6, 2, 3])
    batch = draw(faces, labels, FRAME, (28, 28))
    alone = [draw(faces[i : i + 1], labels[i : i + 1], FRAME, (28, 28)) for i in range(6)]
    torch.testing.assert_close(batch.map, torch.cat([cue.map for cue in alone]))
    assert batch.valid.tolist() == [bool(cue.valid) for cue in alone]
    assert draw(faces[:0], labels[:0], FRAME, (28, 28)).map.shape == (0, 1, 28, 28)


@pytest.mark.parametrize("regions", MODELS)
def test_float32_under_autocast(faces, regions):
    draw = AUCue(regions=regions)
    plain = draw(faces, torch.arange(1, 7), FRAME, (28, 28)).map
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = draw(faces, torch.arange(1, 7), FRAME, (28, 28)).map
    assert mixed.dtype == torch.float32
    torch.testing.assert_close(mixed, plain, atol=0, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32])
@pytest.mark.parametrize("regions", MODELS)
def test_landmarks_of_a_batch_in_half_precision(faces, regions, dtype):
    draw, rounded = AUCue(regions=regions), faces.to(dtype)
    drawn = draw(rounded, torch.arange(1, 7), FRAME, (28, 28))
    assert drawn.map.dtype == torch.float32
    torch.testing.assert_close(drawn, draw(rounded.float(), torch.arange(1, 7), FRAME, (28, 28)))


@pytest.mark.parametrize("regions", MODELS)
def test_one_graph_without_branches_on_data(faces, regions):
    draw = AUCue(classes=["neutral", "happiness"], regions=regions)
    labels = torch.tensor([1, 1, 0, 1, -1, 1])
    compiled = torch.compile(lambda x, y: draw(x, y, FRAME, (28, 28)), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(faces, labels), draw(faces, labels, FRAME, (28, 28)))


@pytest.mark.parametrize("regions", MODELS)
def test_copies(faces, regions):
    draw = AUCue(regions=regions)
    expected = draw(faces, torch.arange(6), FRAME, (28, 28)).map
    for other in (copy.deepcopy(draw), pickle.loads(pickle.dumps(draw))):
        torch.testing.assert_close(other(faces, torch.arange(6), FRAME, (28, 28)).map, expected)


def test_class_order_is_the_models(faces):
    standard, swapped = AUCue(), AUCue(classes=["sadness", "happiness"])
    labels = [EXPRESSIONS.index("sadness"), EXPRESSIONS.index("happiness")]
    expected = standard(faces[:2], torch.tensor(labels), FRAME, (28, 28)).map
    torch.testing.assert_close(swapped(faces[:2], torch.tensor([0, 1]), FRAME, (28, 28)).map, expected)


def test_class_must_be_in_the_codebook():
    with pytest.raises(InputError, match="Codebook facs has no expression 'contempt'"):
        AUCue(classes=["happiness", "contempt"])


@pytest.mark.parametrize("regions", MODELS)
def test_action_unit_must_be_drawable(regions):
    data = {"name": "mine", "expressions": {"anger": [4, 28]}, "adds": {"action_units": {28: "Lip Suck"}}}
    with pytest.raises(InputError, match=f"Region model {regions} cannot draw AU28 Lip Suck, .* gives anger"):
        AUCue(Codebook.from_dict(data), ["anger"], regions)


def test_a_file_names_only_bundled_region_models(tmp_path: Path):
    assert region_model_of("fg2024-224", "model").name == "fg2024-224"
    table = tmp_path / "table.yaml"
    table.write_text("name: mine")
    for name in (str(table), "anatomicl", None, ["fg2024"]):
        with pytest.raises(InputError, match=r"there is no region model .* may name anatomical, fg2024"):
            region_model_of(name, "model")


def test_a_table_travels_within_a_file(tmp_path: Path, faces):
    """As JSON, which has only text as keys: the same maps to the bit, without the table's own file."""
    path = tmp_path / "table.yaml"
    bundled = Path(au_cue.__file__).with_name("anatomical.yaml").read_text()
    path.write_text(bundled.replace("name: anatomical", "name: mine").replace("edge: 0.1", "edge: 0.3"))
    labels = torch.arange(1, 7)
    before = AUCue(regions=path)(faces, labels, FRAME, (28, 28))
    carried = json.loads(json.dumps(region_content(region_model(path))))
    path.unlink()
    again = region_model_of(carried, "the model")
    after = AUCue(regions=again)(faces, labels, FRAME, (28, 28))
    assert torch.equal(before.map, after.map)
    assert not torch.equal(before.map, AUCue()(faces, labels, FRAME, (28, 28)).map)
    assert (again.name, str(tmp_path) in json.dumps(carried)) == ("mine", False)
    assert json.loads(json.dumps(region_content(again))) == carried


def test_a_bundled_model_travels_as_its_name():
    assert [region_content(region_model(name)) for name in REGION_MODELS] == list(REGION_MODELS)


def test_unknown_region_model():
    with pytest.raises(InputError, match=r"no region model 'anatomic'.*Did you mean 'anatomical'\?"):
        AUCue(regions="anatomic")


def test_wrong_arguments(faces):
    draw = AUCue()
    with pytest.raises(InputError, match="one class id per face: 6 whole numbers"):
        draw(faces, torch.zeros(5, dtype=torch.long), FRAME)
    with pytest.raises(InputError, match="one class id per face"):
        draw(faces, torch.zeros(6), FRAME)
    with pytest.raises(InputError, match=r"shape \(B, 68, 2\)"):
        draw(faces[:, :5], torch.zeros(6, dtype=torch.long), FRAME)
    with pytest.raises(InputError, match="'grid' must be"):
        draw(faces, torch.zeros(6, dtype=torch.long), FRAME, (28,))  # type: ignore[arg-type]


@pytest.mark.parametrize("regions", MODELS)
def test_everything_stays_on_the_device_of_the_landmarks(faces, regions):
    # The meta device computes no values, but refuses to mix with tensors that were left on the CPU.
    draw = AUCue(regions=regions)
    landmarks = faces.to("meta")
    cue = draw(landmarks, torch.arange(6, device="meta"), FRAME, (14, 14))
    maps, valid = draw.single(landmarks, FRAME)
    for tensor in (*cue, maps, valid, *draw.generic(landmarks, FRAME)):
        assert tensor.device.type == "meta"


@pytest.mark.parametrize("regions", MODELS)
def test_units_that_are_named_are_drawn_and_none_if_none_is(faces, regions):
    draw = AUCue(regions=regions)
    maps, _ = draw.single(faces, FRAME, (14, 14))
    some, _ = draw.single(faces, FRAME, (14, 14), units=[12, 6])
    torch.testing.assert_close(some, maps[:, [draw.action_units.index(number) for number in (12, 6)]])
    none, known = draw.single(faces, FRAME, (14, 14), units=[])
    assert (none.shape, known.shape) == ((len(faces), 0, 14, 14), (len(faces), 0))
