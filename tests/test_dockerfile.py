"""The Dockerfile copies what there is, and installs extras that there are."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_what_is_copied_is_there_and_not_left_out() -> None:
    copied = [path for line in re.findall(r"^COPY (.+)$", TEXT, re.MULTILINE) for path in line.split()[:-1]]
    assert {"pyproject.toml", "src"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert kept[0] == "*"  # all but what is named is left out
    assert [path for path in copied if f"!{path}" not in kept] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [project["readme"], *project["license-files"]]
    assert [path for path in needed if path not in copied and path.split("/")[0] not in copied] == []


def test_what_is_installed_and_started_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r"pip install '\.\[([\w,]+)\]'", TEXT)
    assert set(extras.split(",")) <= project["optional-dependencies"].keys()
    assert {"app", "video"} <= set(extras.split(","))
    assert 'ENTRYPOINT ["aucue", "serve"' in TEXT
    assert "aucue" in project["scripts"]
    lowest = int(re.findall(r">=3\.(\d+)", project["requires-python"])[0])
    (image,) = re.findall(r"^FROM python:3\.(\d+)-slim", TEXT, re.MULTILINE)
    assert int(image) >= lowest
    assert re.search(r"^USER (?!root)\w+$", TEXT, re.MULTILINE)
    assert "/api/health" in TEXT
