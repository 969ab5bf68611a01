"""Explanations as people use them in Python: lists, notebooks, tables."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aucue.errors import MissingExtraError
from aucue.explanation import Explainer, ExplainSettings, Explanations, explain_files, to_dataframe
from aucue.faces import FaceReader
from aucue.models import Model
from aucue.pictures import in_percent


@pytest.fixture
def explain(model, detector) -> Explainer:
    return Explainer(model(predicts="happiness"), FaceReader(detector, size=64), if_hidden=False)


@pytest.fixture
def photos(drawn, tmp_path: Path) -> list[Path]:
    """Three photographs, of which the second is darker."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for path, share in zip(paths, (1.0, 0.5, 1.0), strict=True):
        Image.fromarray((drawn[0] * share).astype(np.uint8)).save(path)
    return paths


def test_a_list_of_photographs_is_what_each_of_them_is(
    explain: Explainer, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [explain(photo) for photo in photos]
    passes = []
    look = explain.model.look
    monkeypatch.setattr(explain.model, "look", lambda images: passes.append(len(images)) or look(images))
    together = explain(photos)
    assert passes == [3]  # one pass through the network
    assert [each.photo for each in together] == [str(photo) for photo in photos]
    for one, other in zip(alone, together, strict=True):
        assert isinstance(other, Explanations)
        assert [each.expression for each in one] == [each.expression for each in other]
        assert one[0].probabilities == pytest.approx(other[0].probabilities, abs=1e-5)
    assert explain([]) == []


def test_they_are_short_in_print_and_show_themselves_in_notebooks(
    explain: Explainer, photos: list[Path]
) -> None:
    explanations = explain(photos[0])
    first = explanations[0]
    assert repr(first).startswith(f"<Explanation: happiness {in_percent(first.probability)}, class map ")
    assert len(repr(first)) < 100
    assert repr(explanations) == f"<Explanations of {photos[0]}: happiness {in_percent(first.probability)}>"
    assert explanations._repr_html_().count("data:image/jpeg;base64,") == 1
    assert first.sentence.split(";")[0] in explanations._repr_html_()
    assert repr(Explanations()) == "<Explanations of a photograph: no face found>"
    assert repr(explain).startswith("<Explainer of <Model model: test_resnet, 7 classes, 64 x 64, cam, ")
    assert len(repr(explain)) < 160
    bad = Model(explain.model.network, explain.model.card, "<b>x")
    assert "<b>x" not in bad._repr_html_()
    assert "test_resnet" in bad._repr_html_()


def test_a_table_has_the_columns_of_the_written_one(
    explain: Explainer, photos: list[Path], tmp_path: Path, detector
) -> None:
    pandas = pytest.importorskip("pandas")
    table = to_dataframe(explain(photos))
    assert list(table["photo"]) == [str(photo) for photo in photos]
    assert all(0.5 < share <= 1 for share in list(table["happiness"]))
    alone = explain(photos[0]).to_dataframe()
    assert list(alone["probability"]) == pytest.approx(list(table["probability"])[:1], abs=1e-5)
    model = explain.model.save(tmp_path / "model.safetensors")
    settings = ExplainSettings(workers=1)
    report = explain_files(photos, model, tmp_path / "out", settings, detector=detector)
    with (tmp_path / "out" / "explanations.csv").open() as file:
        written = list(csv.DictReader(file))
    assert list(report.to_dataframe().columns) == list(table.columns) == list(written[0])
    assert isinstance(table, pandas.DataFrame)


def test_records_of_files_are_returned_whether_explained_now_or_earlier(
    explain: Explainer, photos: list[Path], tmp_path: Path, detector
) -> None:
    model = explain.model.save(tmp_path / "model.safetensors")
    settings = ExplainSettings(workers=1)
    first = explain_files(photos[:2], model, tmp_path / "out", settings, detector=detector)
    again = explain_files(photos[1:], model, tmp_path / "out", settings, detector=detector)
    assert [record["photo"] for record in first.records] == [str(photo) for photo in photos[:2]]
    assert [record["photo"] for record in again.records] == [str(photo) for photo in photos[1:]]
    assert again.earlier == 1
    assert again.records[0] == first.records[1]
    assert "records" not in repr(first)


def test_without_pandas_there_is_a_sentence(explain: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="A DataFrame needs pandas; install it with: pip"):
        to_dataframe([])
