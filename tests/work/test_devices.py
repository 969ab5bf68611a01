import pytest
import torch

from aucue.errors import InputError
from aucue.work.devices import open_device, read_devices


@pytest.mark.parametrize(
    ("name", "one", "count", "accelerator", "for_lightning"),
    [
        ("cpu", "cpu", 1, "cpu", 1),
        ("cuda:1", "cuda:1", 1, "gpu", [1]),
        ("4xcuda", "cuda", 4, "gpu", 4),
        ("2xcpu", "cpu", 2, "cpu", 2),
        ("mps", "mps", 1, "mps", 1),
        ("quantum", "quantum", 1, "quantum", 1),  # whoever opens it says so
    ],
)
def test_one_word_says_where_and_how_many(
    name: str, one: str, count: int, accelerator: str, for_lightning: int | list[int]
) -> None:
    devices = read_devices(name)
    assert (devices.one, devices.count) == (one, count)
    assert (devices.accelerator, devices.for_lightning) == (accelerator, for_lightning)


@pytest.mark.parametrize("name", ["0xcpu", "2xcuda:1"])
def test_devices_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match=rf"device: '{name}' is none; write auto, .* 4xcuda for four"):
        read_devices(name)


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, kind, accelerator in ((False, "cpu", "cpu"), (True, "cuda", "gpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert open_device("auto").type == kind
        assert read_devices("2xauto").accelerator == accelerator
