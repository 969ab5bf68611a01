"""A guidance that can guide no face is refused; how many it guides is told and stored."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aucue.classifiers import Classifier
from aucue.data import Sample, SyntheticSource, open_prepared, prepare
from aucue.errors import InputError
from aucue.models import load_model
from aucue.training import GuidanceSettings, Objective, TrainConfig, fit
from aucue.training.share import GuidedShare, guided_share

MakeSettings = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def objective() -> Objective:
    return Objective(Classifier("test_resnet", input_size=48, final_stride=8), GuidanceSettings())


def faces_of(rendered: Path, labels: Sequence[int], known: Sequence[bool]) -> Any:
    """Faces of the rendered set under other labels, some without landmarks."""
    stored = open_prepared(rendered).dataset("train").landmarks[: len(labels)]
    valid = np.array(known)
    landmarks = np.where(valid[:, None, None], stored, np.nan).astype(np.float32)
    return SimpleNamespace(labels=np.array(labels), landmarks=landmarks, landmarks_valid=valid)


def test_faces_are_counted(objective: Objective, rendered: Path) -> None:
    faces = faces_of(rendered, [0, 1, 1, 3, 0], [True, True, False, True, False])  # 0 is neutral
    assert guided_share(objective, faces, 48) == GuidedShare(faces=5, with_action_units=3, guided=2)
    at_the_input = Objective(objective.classifier, GuidanceSettings(cue_size="input", regions="fg2024-224"))
    assert guided_share(at_the_input, faces, 48).guided == 2


@pytest.mark.parametrize(
    ("labels", "known", "why"),
    [
        ([0, 0], [True, True], "the codebook gives none of their expressions action units"),
        ([1, 2], [False, False], "their landmarks are not known"),
        ([0, 2], [True, False], "their landmarks are not known"),
    ],
)
def test_no_face_can_be_guided(
    objective: Objective, rendered: Path, labels: list[int], known: list[bool], why: str
) -> None:
    with pytest.raises(InputError, match=f"none of 2 training faces can be guided: {why}.*guidance.weight"):
        guided_share(objective, faces_of(rendered, labels, known), 48)


def test_faces_outside_of_their_pictures(objective: Objective, rendered: Path) -> None:
    faces = faces_of(rendered, [1, 2], [True, True])
    faces.landmarks += 1000
    with pytest.raises(InputError, match="all regions lie outside"):
        guided_share(objective, faces, 48)


def test_few_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "aucue"):
        GuidedShare(50, 20, 2).warn()
        assert not caplog.messages  # a tenth
        GuidedShare(50, 20, 1).warn()
    assert (
        "of 20 training faces whose expression has action units only 1 (5.0 %) can be" in caplog.messages[0]
    )


class WithoutLandmarks(SyntheticSource):
    """Rendered faces whose landmarks nobody knows."""

    def __getitem__(self, index: int) -> Sample:
        return replace(super().__getitem__(index), landmarks=None)


def test_such_a_training_does_not_begin(settings: MakeSettings, tmp_path: Path) -> None:
    faces = WithoutLandmarks(train=14, val=7, test=0, seed=3, size=64)
    prepare(faces, tmp_path / "set", size=48, detector="none", workers=1)
    for guidance in (GuidanceSettings(weight=4.0), GuidanceSettings(weight=0.0, class_map=1.0)):
        config = settings(guidance=guidance)
        config.data.path = str(tmp_path / "set")
        with pytest.raises(InputError, match="none of 14 training faces can be guided"):
            fit(config, progress=False)
        assert not Path(config.out).exists()


def test_the_model_says_how_it_was_guided(settings: MakeSettings) -> None:
    by_class_map = GuidanceSettings(weight=0.0, class_map=1.0)
    _, info = load_model(fit(settings(epochs=1, guidance=by_class_map), progress=False))
    assert info.provenance["guided_faces"] == {"faces": 42, "with_action_units": 36, "guided": 36}
    assert info.guided
    assert info.guided_layers == ()
    assert info.how_guided == "guided: class map (weight 1)"
