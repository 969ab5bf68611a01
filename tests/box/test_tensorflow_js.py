"""Numbers as tensorflow.js stores them."""

import numpy as np

from box.tensorflow_js import read_tensors


def test_numbers_are_read_one_after_the_other_however_they_are_stored() -> None:
    entries = [
        {"name": "plain", "shape": [2], "dtype": "float32"},
        {"name": "bytes", "shape": [1, 3], "dtype": "float32", "quantization": BYTES},
        {"name": "half", "shape": [], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "whole", "shape": [2], "dtype": "int32"},
    ]
    stored = ([1.5, -2], np.float32), ([0, 1, 255], np.uint8), ([0.25], np.float16), ([3, 7], np.int32)
    content = b"".join(np.array(values, kind).tobytes() for values, kind in stored)
    found = {name: value.tolist() for name, value in read_tensors(entries, content).items()}
    assert found == {"plain": [1.5, -2], "bytes": [[-1, -0.5, 126.5]], "half": 0.25, "whole": [3, 7]}


BYTES = {"dtype": "uint8", "scale": 0.5, "min": -1.0}
