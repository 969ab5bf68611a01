"""The synthetic set: who shows what in which split, and what the planted mark says."""

import pickle
from collections import Counter, defaultdict

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from aucue.data import Sample, SyntheticSource
from aucue.data.sources import synthetic
from aucue.data.sources.synthetic import mark_colours
from aucue.errors import InputError
from aucue.faces import TEMPLATES
from aucue.faces.alignment import transform_points
from aucue.facs import EXPRESSIONS, Codebook
from aucue.rendering import Rendering, draw_action_units
from aucue.rendering.attire import MARK_CENTRE, MARK_RADIUS
from aucue.rendering.geometry import Geometry
from aucue.rendering.showing import INTENSITY, NOISE_INTENSITY


def picture(sample: Sample) -> np.ndarray:
    assert isinstance(sample.image, np.ndarray)
    return sample.image


@pytest.fixture(scope="module")
def samples():
    source = SyntheticSource(train=42, val=14, test=23, size=48)
    return [source[i] for i in range(len(source))]


def test_samples_are_complete(samples):
    for sample in samples:
        assert picture(sample).shape == (48, 48, 3)
        assert sample.landmarks.shape == (68, 2)
        assert sample.person.startswith(sample.split)
        assert set(sample.attributes) == {"action_units", "skin_tone", "age", "mark"}
    assert len({sample.key for sample in samples}) == len(samples)


def test_splits_have_the_asked_sizes_and_balanced_classes(samples):
    counts = Counter((sample.split, sample.label) for sample in samples)
    assert Counter(s.split for s in samples) == {"train": 42, "val": 14, "test": 23}
    assert all(counts["train", label] == 6 for label in EXPRESSIONS)
    assert all(counts["test", label] in (3, 4) for label in EXPRESSIONS)


def test_no_person_is_in_two_splits(samples):
    splits = defaultdict(set)
    for sample in samples:
        splits[sample.person].add(sample.split)
    assert all(len(where) == 1 for where in splits.values())


def test_no_identity_is_in_two_splits():
    source = SyntheticSource(train=200, val=100, test=100)
    seeds = [source.parameters(i).identity.seed for i in range(len(source))]
    assert not set(seeds[:200]) & set(seeds[200:300])
    assert not set(seeds[:200]) & set(seeds[300:])
    assert not set(seeds[200:300]) & set(seeds[300:])


def test_a_person_shows_three_to_seven_different_expressions():
    source = SyntheticSource(train=300, val=0, test=0, size=32)
    shown = defaultdict(list)
    for plan in [source._plans["train"]]:
        for person, label in zip(plan.person, plan.label, strict=True):
            shown[person].append(label)
    counts = [len(labels) for labels in shown.values()]
    assert max(counts) <= 7
    assert min(counts[:-1]) >= 3
    assert all(len(set(labels)) == len(labels) for labels in shown.values())


def test_same_seed_same_bytes_other_seed_other_faces():
    one, same, other = (SyntheticSource(7, 0, 0, seed=seed, size=48) for seed in (1, 1, 2))
    assert picture(one[3]).tobytes() == picture(same[3]).tobytes()
    assert picture(one[3]).tobytes() != picture(other[3]).tobytes()


def test_source_travels_to_workers():
    source = SyntheticSource(4, 2, 2, size=32)
    copy = pickle.loads(pickle.dumps(source))
    assert picture(copy[5]).tobytes() == picture(source[5]).tobytes()
    assert copy.provenance == source.provenance


def test_provenance_tells_settings_apart():
    assert SyntheticSource(4, 0, 0).provenance != SyntheticSource(4, 0, 0, shortcut=True).provenance
    assert SyntheticSource(4, 0, 0).provenance != SyntheticSource(4, 0, 0, seed=1).provenance


# expressions


def test_neutral_faces_only_twitch():
    for seed in range(50):
        units = draw_action_units((), np.random.default_rng(seed))
        assert max(units.values()) < NOISE_INTENSITY


def test_expressions_show_their_units():
    units = Codebook.load("facs")["happiness"]
    shown = [draw_action_units(units, np.random.default_rng(seed)) for seed in range(200)]
    for number in units:
        values = np.array([showing[number] for showing in shown])
        assert (values >= INTENSITY[0]).mean() > 0.75
        assert values.max() <= INTENSITY[1]
    present = [sum(showing[n] >= INTENSITY[0] for n in units) for showing in shown]
    assert min(present) == len(units) - 1


def test_pressed_lips_are_never_parted():
    units = Codebook.load("facs")["anger"]
    for seed in range(100):
        shown = draw_action_units(units, np.random.default_rng(seed))
        if shown[24] >= INTENSITY[0]:
            assert shown[25] == shown[26] == shown[27] == 0


def test_expressions_can_be_learned_but_not_perfectly():
    source = SyntheticSource(train=700, val=0, test=350)
    faces = [source.parameters(i) for i in range(len(source))]
    points = np.stack([_aligned(Geometry(face, 112).landmarks) for face in faces])
    labels = np.concatenate([source._plans[split].label for split in ("train", "test")])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    model.fit(points[:700], labels[:700])
    assert 0.85 < model.score(points[700:], labels[700:]) < 1.0


def _aligned(landmarks: np.ndarray) -> np.ndarray:
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    (c, s), length = (right - left) / np.linalg.norm(right - left), np.linalg.norm(right - left)
    return ((landmarks - (left + right) / 2) @ np.array([[c, -s], [s, c]]) / length).ravel()


# the planted shortcut


def marks(source: SyntheticSource) -> list[tuple[str, str, str]]:
    rows = [source[i] for i in range(len(source))]
    return [(row.split, row.label, row.attributes["mark"]) for row in rows]


def test_mark_betrays_the_label_in_training_and_lies_in_test(monkeypatch: pytest.MonkeyPatch):
    nothing_painted = Rendering(np.zeros((32, 32, 3), np.uint8), np.zeros((68, 2), np.float32))
    monkeypatch.setattr(synthetic, "render", lambda face, size: nothing_painted)
    rows = marks(SyntheticSource(train=150, val=50, test=50, size=32, shortcut=True, shortcut_strength=0.9))
    honest = np.mean([label == mark for split, label, mark in rows if split != "test"])
    assert honest == pytest.approx(0.9, abs=0.07)
    assert not any(label == mark for split, label, mark in rows if split == "test")


def test_mark_is_seen_in_its_colour_where_it_should_be():
    source = SyntheticSource(train=14, val=0, test=0, size=112, shortcut=True)
    for index in range(14):
        sample = source[index]
        geometry = Geometry(source.parameters(index), 112)
        x, y = geometry.camera.pixels(MARK_CENTRE).round().astype(int)
        expected = np.array(mark_colours(7)[source.classes.index(sample.attributes["mark"])])
        shown = picture(sample)[y, x] / 255
        np.testing.assert_allclose(shown / shown.max(), expected / expected.max(), atol=0.17)


def test_mark_survives_the_crop():
    """The whole sticker lies in the aligned crop, and fills 8 to 11 hundredths of its side."""
    source = SyntheticSource(train=40, val=0, test=0, shortcut=True)
    for index in range(40):
        geometry = Geometry(source.parameters(index), 112)
        matrix = TEMPLATES["aucue"].matrix(geometry.landmarks, 112)
        centre = transform_points(matrix, geometry.camera.pixels(MARK_CENTRE)[None])[0]
        radius = MARK_RADIUS * geometry.camera.scale * np.hypot(*matrix[:, 0])
        assert (centre - 1.15 * radius > 0).all()
        assert (centre + 1.15 * radius < 111).all()
        assert 0.08 < 2 * radius / 112 < 0.11


def test_without_shortcut_there_is_no_mark():
    assert {mark for _, _, mark in marks(SyntheticSource(7, 0, 0, size=32))} == {None}


# mistakes


def test_negative_counts_are_refused():
    with pytest.raises(InputError, match="val"):
        SyntheticSource(1, -1, 1)


def test_unknown_expressions_are_refused():
    with pytest.raises(InputError, match="joy"):
        SyntheticSource(classes=("neutral", "joy"))


def test_units_that_cannot_be_drawn_are_refused():
    book = Codebook.from_dict(
        {
            "name": "test",
            "extends": "facs",
            "expressions": {"pain": [4, 28]},
            "adds": {"expressions": ["pain"], "action_units": {28: "Lip Suck"}},
        }
    )
    with pytest.raises(InputError, match="AU28"):
        SyntheticSource(classes=("neutral", "pain"), codebook=book)


def test_other_codebooks_and_classes_are_rendered():
    book = Codebook.from_dict(
        {
            "name": "test",
            "extends": "facs",
            "expressions": {"contempt": [12, 14]},
            "adds": {"expressions": ["contempt"]},
        }
    )
    source = SyntheticSource(6, 0, 0, size=32, classes=("neutral", "contempt"), codebook=book)
    assert Counter(source[i].label for i in range(6)) == {"neutral": 3, "contempt": 3}


def test_a_shortcut_needs_two_classes():
    with pytest.raises(InputError, match="two classes"):
        SyntheticSource(classes=("neutral",), shortcut=True)


def test_an_index_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):
        SyntheticSource(1, 1, 1)[3]
