"""The picture of the house is that of the source: no arrow up, no circle, no room that is too big."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def house() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "docs"))
    yield import_module("make_house")
    sys.path.remove(str(ROOT / "docs"))


def test_every_room_is_named_and_imports_from_below_alone(house: ModuleType):
    names = house.rooms()
    folders = {path.parent.name for path in house.PACKAGE.glob("*/__init__.py")}
    assert folders <= set(names)
    assert len(names) == len(set(names))
    wrong = {
        f"{room} -> {other}": where
        for floor, room in enumerate(names)
        for other, where in house.imports(room).items()
        if other in names[floor:]
    }
    assert wrong == {}
    assert "work" in house.imports("data")  # the reading finds what there is


def test_the_picture_is_up_to_date(house: ModuleType):
    assert house.PICTURE.read_text(encoding="utf-8") == house.picture(), "run python docs/make_house.py"


def test_no_room_is_too_big(house: ModuleType):
    def size(folder: Path) -> int:
        return sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py"))

    sizes = {room: size(house.PACKAGE / room) for room in house.rooms()}
    assert max(sizes.values()) < 0.16 * size(house.PACKAGE), sizes
