import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.pages import Page

from aucue.cli.main import main
from aucue.errors import InputError, OutputExistsError
from aucue.explanation import ExplainReport, ExplainSettings, explain_files, write_printed
from aucue.explanation.explanation import CAVEAT


@pytest.fixture
def explained(drawn, detector, model, tmp_path: Path) -> ExplainReport:
    """Two photographs, one of which has no name for HTML, a file that is none, and one without a face."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "<b>.png"):
        Image.fromarray(drawn[0]).save(photos / name)
    (photos / "c.png").write_text("nothing")

    def finds(image: np.ndarray, key: str | None = None):
        return detector(image, key)

    network = model(predicts="happiness").save(tmp_path / "model.safetensors")
    settings = ExplainSettings(workers=1)
    return explain_files([photos], network, tmp_path / "out", settings, detector=finds)


def pictures(page: Path) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page.read_text())
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))).astype(float) for text in found]


def test_everything_is_counted_and_said(explained: ExplainReport, tmp_path: Path) -> None:
    records = [*explained.records, {"photo": "empty.png", "faces": 0}]
    page = write_printed(tmp_path / "report.html", tmp_path / "out", records, explained.unread, videos=1)
    html = Page(page)
    assert html.open == []
    assert "2 faces in 3 photographs: 2 happiness." in html.text
    assert "No face was found in 1: empty.png." in html.text
    assert "1 could not be read:" in html.text
    assert "1 video is not shown here, but in index.html." in html.text
    assert "An expression is not an emotion." in html.text
    assert "<b>.png" in html.text
    assert "<b>.png" not in html.source
    assert explained.records[0]["sentence"].removesuffix(CAVEAT).strip() in html.text
    assert CAVEAT not in html.text  # it is said once, in a list of what all this does not mean
    links = {link for link in html.references if not link.startswith("data:")}
    assert links == {"out/explanations.csv", "out/explanations.jsonl"}
    assert all((tmp_path / link).is_file() for link in links)


def test_faces_can_be_blurred_or_outlines(explained: ExplainReport, tmp_path: Path) -> None:
    def detail(faces) -> float:
        page = write_printed(tmp_path / f"{faces}.html", tmp_path / "out", explained.records, faces=faces)
        face = pictures(page)[0][:, :256].mean(2)
        return float(abs(np.diff(face, axis=1)).mean())

    assert detail("blurred") < 0.5 * detail("shown")
    page = write_printed(tmp_path / "o.html", tmp_path / "out", explained.records, faces="outlines")
    drawn = pictures(page)[0][:, :256].mean(2)
    plain = np.median(drawn)
    assert 0.005 < (drawn < plain - 60).mean() < 0.2  # thin lines on plain ground, nothing else
    assert (abs(drawn - plain) < 12).mean() > 0.8


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r"report\.pdf: a report ends in \.html; print it to PDF"):
        write_printed(tmp_path / "report.pdf", tmp_path, [])
    (tmp_path / "a.html").touch()
    with pytest.raises(OutputExistsError, match="pass --overwrite"):
        write_printed(tmp_path / "a.html", tmp_path, [])
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    assert main(["explain", str(tmp_path / "x.png"), "--report", "x.pdf", "--out", str(tmp_path / "o")]) == 2
    assert "x.pdf: a report ends in .html" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
