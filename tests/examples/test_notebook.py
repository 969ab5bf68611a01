"""The notebook runs from top to bottom, and shows what its text says."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

NOTEBOOK = Path(__file__).parents[2] / "examples" / "from_face_to_explanation.ipynb"


def printed(notebook) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def figures(notebook) -> dict[str, float]:
    """Cosine of attention and expected map by network."""
    rows = re.findall(r"^(unguided|guided|an even map) .*?([\d.]+)$", printed(notebook), re.MULTILINE)
    return {name: float(value) for name, value in rows}


def check(notebook) -> None:
    cosines = figures(notebook)
    assert cosines["guided"] > cosines["unguided"] + 0.1
    assert cosines["guided"] > cosines["an even map"] + 0.1
    # Stored or run, a sentence begins with what was answered, as explanations do today.
    sentences = re.findall(
        r"^(unguided|guided): (Happiness|Surprise|Sadness) \d+ %", printed(notebook), re.MULTILINE
    )
    assert [name for name, _ in sentences] == ["unguided", "guided"]
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/jpeg" in output.get("data", {})
    ]
    assert len(pictures) == 3


def test_runs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
    check(notebook)


def test_stored_outputs_are_those_of_a_run() -> None:
    check(nbformat.read(NOTEBOOK, as_version=4))
    assert NOTEBOOK.stat().st_size < 300_000
