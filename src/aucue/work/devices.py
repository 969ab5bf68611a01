"""Where a network runs: the one reading of `--device`."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aucue.errors import InputError

if TYPE_CHECKING:
    import torch


def open_device(name: "str | torch.device") -> "torch.device":
    """The device of a name, tried with one number: a name may be valid and the device absent.

    Args:
        name: "auto" takes a CUDA GPU if there is one, else the CPU; or cpu, cuda, cuda:1, mps.

    Raises:
        InputError: There is no such device here.
    """
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"Device {str(name)!r} cannot be used here ({reason}); try cpu.") from error
    return device


@dataclass(frozen=True)
class Devices:
    """The devices of a machine that share a job.

    Attributes:
        one: Each of them, as `open_device` takes it; with a number only where it is alone.
        count: How many.
    """

    one: str
    count: int = 1

    @property
    def accelerator(self) -> str:
        """Lightning's name for them; "auto" is no Apple GPU, which lacks the metrics' double precision."""
        import torch

        kind = self.one.partition(":")[0]
        if kind == "auto":
            kind = "cuda" if torch.cuda.is_available() else "cpu"
        return {"cuda": "gpu"}.get(kind, kind)

    @property
    def for_lightning(self) -> int | list[int]:
        """Their number, or that of the one that is meant."""
        number = self.one.partition(":")[2]
        return [int(number)] if number.isdecimal() else self.count


def read_devices(name: str) -> Devices:
    """The devices of a name.

    Args:
        name: As for `open_device`, or, with how many there are before it, several: 4xcuda, 2xcpu, 2xauto.

    Raises:
        InputError: There are none, or one of several has a number.
    """
    several = re.fullmatch(r"(\d{1,6})x(.+)", name)
    if several is None:
        return Devices(name)
    count, one = int(several[1]), several[2]
    if count < 1 or (":" in one and count > 1):
        raise InputError(f"device: '{name}' is none; write auto, cpu, cuda, cuda:1, mps, or 4xcuda for four.")
    return Devices(one, count)
