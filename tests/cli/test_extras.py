"""What works without the extras, and what is said where one is missing."""

import gc
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from PIL import Image

from aucue import errors
from aucue._lazy import on_first_use
from aucue.errors import MissingExtraError, missing_extra

from ..builders import drawn_face

_WITHOUT = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Refused())
"""

_COMMANDS = """
from aucue.cli.main import main
print(main(["explain", "face.png", "--detector", "points.csv", "--out", "why"]))
print(main(["train", "--data.path", "faces", "--out", "run"]))
print(main(["prepare", "synthetic", "--out", "faces"]))
"""

_IN_PYTHON = """
import aucue
from aucue import cams, cues, guidance, metrics
reader = aucue.FaceReader(aucue.faces.PrecomputedDetector("points.csv"))
faces = aucue.load(reader=reader)("face.png", "face.png")
print(len(faces), faces[0].expression in aucue.Model.load().classes)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photograph")
    image, landmarks = drawn_face(224)
    Image.fromarray(image).save(folder / "face.png")
    header = ",".join(f"{axis}{i}" for i in range(68) for axis in "xy")
    points = ",".join(map(str, landmarks.ravel().tolist()))
    (folder / "points.csv").write_text(f"file,{header}\nface.png,{points}\n")
    return folder


def _without(refused: set[str], code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _WITHOUT.format(refused=refused) + code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_a_photograph_is_explained_without_extras_and_training_names_its_own(folder: Path):
    done = _without(set(errors._BROUGHT_BY) | {"pandas", "tensorboardX"}, _COMMANDS, folder)
    printed = done.stdout.splitlines()
    assert [line for line in printed if line.isdigit()] == ["0", "2", "2"], done.stderr
    assert (folder / "why" / "face_face1.png").is_file()
    needs = "This needs {}, which is not installed; install it with: pip install 'aucue[train]'."
    assert done.stderr.splitlines() == [
        f"aucue train: {needs.format('lightning')}",
        f"aucue prepare: {needs.format('datasets')}",
    ]
    assert not (folder / "run").exists()


def test_in_python_the_command_line_is_not_needed_either(folder: Path):
    refused = {*errors._BROUGHT_BY, "jsonargparse", "rich", "pandas", "gradio", "ray", "dlib", "av"}
    done = _without(refused, _IN_PYTHON, folder)
    assert done.stdout.split() == ["1", "True"], done.stderr


def test_only_modules_of_extras_are_explained_away():
    said = missing_extra(ModuleNotFoundError("gone", name="matplotlib.axes"))
    assert "matplotlib, which is not installed; install it with: pip install 'aucue[report]'." in str(said)
    assert missing_extra(ModuleNotFoundError("gone", name="json")) is None
    assert (
        missing_extra(ImportError("damaged", name="lightning")) is None
    )  # it is there: its traceback is wanted


def test_a_name_of_a_room_says_which_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "strange_room").mkdir()
    (tmp_path / "strange_room" / "__init__.py").touch()
    (tmp_path / "strange_room" / "walls.py").write_text("raise ModuleNotFoundError('gone', name='lightning')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtraError, match="This needs lightning"):
        on_first_use("strange_room", {"walls": ["paint"]})("paint")
    assert gc.isenabled()


def test_nobody_looks_for_garbage_while_a_room_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tidy_room").mkdir()
    (tmp_path / "tidy_room" / "__init__.py").touch()
    (tmp_path / "tidy_room" / "walls.py").write_text("import gc\nswept = gc.isenabled()")
    monkeypatch.syspath_prepend(tmp_path)
    import_module("tidy_room")
    assert on_first_use("tidy_room", {"walls": ["swept"]})("swept") is False
    assert gc.isenabled()
