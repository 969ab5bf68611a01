import os
from pathlib import Path

import pytest

from aucue.explanation.inputs import find_inputs


def _place(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_folders_behind_links_are_searched_once(tmp_path: Path):
    _place(tmp_path, "photos/b.jpg", "photos/deep/d.jpg", "elsewhere/c.mp4", "elsewhere/a.jpg")
    photos = tmp_path / "photos"
    (photos / "a").symlink_to(tmp_path / "elsewhere")
    (photos / "again").symlink_to(tmp_path / "elsewhere")
    (photos / "self").symlink_to(photos)
    found = find_inputs([photos])
    assert found.photos == (photos / "a" / "a.jpg", photos / "b.jpg", photos / "deep" / "d.jpg")
    assert (found.videos, found.empty) == ((photos / "a" / "c.mp4",), ())
    assert find_inputs([photos / "**" / "*.jpg"]).photos == found.photos


def test_films_of_camcorders_and_dvds_are_videos(tmp_path: Path):
    _place(tmp_path, "00001.MTS", "00002.m2ts", "VTS_01_1.VOB", "film.mp4", "view.ts")
    assert [path.name for path in find_inputs([tmp_path]).videos] == [
        "00001.MTS", "00002.m2ts", "VTS_01_1.VOB", "film.mp4"
    ]  # fmt: skip


def test_folders_that_are_not_searched_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _place(tmp_path, "photos/a.jpg", "photos/closed/b.jpg")
    closed, scandir = tmp_path / "photos" / "closed", os.scandir
    (tmp_path / "photos" / "up").symlink_to(tmp_path)

    def refuse(path: str | Path = "."):
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = find_inputs([tmp_path / "photos"])
    assert found.photos == (tmp_path / "photos" / "a.jpg",)
    assert found.empty == (
        f"{closed} is left out: it cannot be read: Permission denied.",
        f"{tmp_path / 'photos' / 'up'} is left out: it links to a folder that it lies in.",
    )
