"""Masks of what matters in photographs: from a table to batches, aligned with the crops."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucue.classifiers import Classifier
from aucue.data import CsvSource, PreparedSet, make_loader, open_prepared, prepare, train_transform
from aucue.errors import InputError
from aucue.facs import EXPRESSIONS
from aucue.training import DataSettings, GuidanceSettings, Objective, TrainConfig, fit

from .conftest import write_collection, write_csv

NOSE = 30


def with_masks(folder: Path, samples: int = 16) -> CsvSource:
    """Painted faces; the mask of each but the last is a disc about the tip of the nose."""
    write_collection(folder, samples, ("train",))
    with (folder / "landmarks.csv").open(newline="") as file:
        noses = [(float(row[f"x{NOSE}"]), float(row[f"y{NOSE}"])) for row in csv.DictReader(file)]
    with (folder / "labels.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    y, x = np.mgrid[:96, :96]
    for row, (nose_x, nose_y) in zip(rows[:-1], noses, strict=False):
        disc = ((x - nose_x) ** 2 + (y - nose_y) ** 2 < 4**2) * np.uint8(255)
        Image.fromarray(disc).save(folder / "images" / f"mask-{row[0]}")
        row.append(f"mask-{row[0]}")
    rows[-1].append("")
    write_csv(folder / "labels.csv", [[*head, "mask"], *rows])
    return CsvSource(folder, landmarks="landmarks.csv", name="masked")


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> PreparedSet:
    folder = tmp_path_factory.mktemp("masks")
    prepare(with_masks(folder / "collection"), folder / "set", size=64)
    return open_prepared(folder / "set")


def centre(map_: torch.Tensor) -> torch.Tensor:
    """Centre of gravity (x, y) of a map (H, W)."""
    rows, columns = torch.meshgrid(*(torch.arange(float(n)) for n in map_.shape), indexing="ij")
    return torch.stack([(map_ * columns).sum(), (map_ * rows).sum()]) / map_.sum()


def test_a_mask_is_aligned_as_its_face(masked: PreparedSet) -> None:
    dataset = masked.dataset("train")
    assert dataset.has_masks
    *seen, last = (dataset[i] for i in range(16))
    for sample in seen:
        mask = sample.get("mask")
        assert mask is not None
        assert mask.shape == (1, 64, 64)
        assert (mask.min().item(), mask.max().item()) == (0, 1)
        torch.testing.assert_close(centre(mask[0]), sample["landmarks"][NOSE], atol=0.3, rtol=0)
    assert not last.get("mask", torch.ones(1)).any()


def test_the_cue_is_the_mask_moved_with_the_picture(masked: PreparedSet) -> None:
    dataset = masked.dataset("train", train_transform(48), seed=1)
    batch = next(iter(make_loader(dataset, 16, shuffle=False, seed=0, workers=0)))
    classifier = Classifier("test_resnet", EXPRESSIONS, input_size=48)
    cue = Objective(classifier, GuidanceSettings(cue="mask")).draw(batch, classifier.final_layer)
    assert cue.valid.tolist() == [True] * 15 + [False]  # of every label, neutral too, where there is a mask
    inside = 0
    for map_, nose in zip(cue.map[:15, 0], batch["landmarks"][:15, NOSE], strict=True):
        if nose.min() > 6 and nose.max() < 41:  # the whole disc is in the picture
            torch.testing.assert_close(centre(map_), nose, atol=0.5, rtol=0)
            inside += 1
    assert inside >= 10


def test_a_training_is_guided_by_masks(masked: PreparedSet, tmp_path: Path) -> None:
    config = TrainConfig(
        out=str(tmp_path / "run"),
        data=DataSettings(str(masked.path), batch_size=4, holdout=0.5, augment="geometric", workers=0),
        guidance=GuidanceSettings(cue="mask"),
        epochs=1,
    )
    config.classifier.backbone, config.classifier.input_size = "test_resnet", 48
    fit(config, progress=False)
    log = next((tmp_path / "run").glob("logs/*/metrics.csv")).read_text()
    head, *rows = (line.split(",") for line in log.splitlines())
    place = head.index("train/alignment")
    assert any(row[place] and 0 < float(row[place]) < 1 for row in rows)


def test_a_set_without_masks_is_refused(rendered: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        str(tmp_path / "run"), DataSettings(str(rendered)), guidance=GuidanceSettings(cue="mask")
    )
    with pytest.raises(InputError, match="holds no masks"):
        fit(config, progress=False)
    assert not open_prepared(rendered).dataset("train").has_masks
    assert "mask" not in open_prepared(rendered).dataset("train")[0]


def test_a_mask_that_does_not_fit_is_a_problem_of_its_face(tmp_path: Path) -> None:
    source = with_masks(tmp_path / "collection", 3)
    Image.new("L", (50, 40)).save(tmp_path / "collection" / "images" / "mask-face000.png")
    prepare(source, tmp_path / "set", size=64)
    with (tmp_path / "set" / "problems.csv").open(newline="") as file:
        (problem,) = csv.DictReader(file)
    assert "face000.png" in problem.values()
    assert any("has 50 x 40 pixels and its picture 96 x 96" in value for value in problem.values())
    assert len(open_prepared(tmp_path / "set").dataset("train")) == 2


def test_a_mask_outside_the_folder_is_refused(tmp_path: Path) -> None:
    with_masks(tmp_path / "collection", 2)
    table = tmp_path / "collection" / "labels.csv"
    table.write_text(table.read_text().replace("mask-face000.png", "../../secret.png"))
    with pytest.raises(InputError, match="line 2"):
        CsvSource(tmp_path / "collection", landmarks="landmarks.csv")
