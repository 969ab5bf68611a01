"""Memory of large pictures goes back to the system as soon as they are gone."""

import numpy as np
import psutil

from aucue.app.temporary import Allocator

MB = 2**20


def resident() -> float:
    return psutil.Process().memory_info().rss / MB


def test_what_is_free_between_small_things_that_stay_goes_back() -> None:
    Allocator()
    np.ones(8 * MB, np.uint8)  # from a first large block that is gone, glibc learns to keep such
    before = resident()
    blocks = [np.ones(size, np.uint8) for _ in range(40) for size in (2 * MB, 1000)]
    assert resident() > before + 70
    del blocks[::2]
    assert resident() < before + 10
