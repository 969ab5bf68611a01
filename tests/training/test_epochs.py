"""What a training shows while it runs."""

import re
from collections.abc import Callable

import pytest
from torch import Tensor

from aucue.training import TrainConfig, fit
from aucue.training.module import GuidedModule

MakeSettings = Callable[..., TrainConfig]


def test_each_epoch_leaves_a_line_on_stderr(
    settings: MakeSettings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    fit(settings(epochs=2))
    out, err = capfd.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if line.startswith("epoch")]
    assert [line[: line.index(",")] for line in lines] == ["epoch 1 of 2", "epoch 2 of 2"]
    for line in lines:
        assert re.search(r", accuracy \d+\.\d % ", line)
        done, total = re.search(r"(\d+)/(\d+)", line).groups()  # pyright: ignore[reportOptionalMemberAccess]
        assert done == total != "0"


def test_who_asks_for_none_sees_none(settings: MakeSettings, capfd: pytest.CaptureFixture[str]) -> None:
    fit(settings(epochs=1), progress=False)
    assert "epoch" not in "".join(capfd.readouterr())


def test_an_error_gives_the_terminal_back(
    settings: MakeSettings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Tensor:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(GuidedModule, "training_step", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        fit(settings(epochs=1))
    assert capfd.readouterr().err.count("epoch 1 of 1") == 1
