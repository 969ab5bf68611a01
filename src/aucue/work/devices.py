"""Where a network runs: the one reading of `--device`."""

import torch

from aucue.errors import InputError


def open_device(name: str | torch.device) -> torch.device:
    """The device of a name, tried with one number: a name may be valid and the device absent.

    Args:
        name: "auto" takes a CUDA GPU if there is one, else the CPU; or cpu, cuda, cuda:1, mps.

    Raises:
        InputError: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"Device {str(name)!r} cannot be used here ({reason}); try cpu.") from error
    return device
