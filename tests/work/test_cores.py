import os
from pathlib import Path

import pytest

from aucue.work import available_cores, cores, default_workers


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("max 100000\n", 8),
        ("150000 100000\n", 2),
        ("20000 100000\n", 1),
        ("1600000 100000\n", 8),
        ("strange", 8),
        (None, 8),
    ],
)
def test_container_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(cores, "_CPU_MAX", tmp_path / "cpu.max")
    if content is not None:
        (tmp_path / "cpu.max").write_text(content)
    assert available_cores() == expected


@pytest.mark.parametrize(
    ("available", "samples", "expected"), [(8, 100, 0), (8, 9000, 7), (1, 9000, 1), (64, 9000, 16)]
)
def test_default_workers(
    monkeypatch: pytest.MonkeyPatch, available: int, samples: int, expected: int
) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: available)
    assert default_workers(samples) == expected
