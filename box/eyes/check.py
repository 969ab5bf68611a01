"""The converted networks against TensorFlow Lite's own interpreter, on the same pictures.

    pip install ai-edge-litert        # in an environment of its own: nothing else here needs it
    python -m box.eyes.check mediapipe-0.10.21-*.whl

Prints the largest difference of every output, boxes and points in pixels of the network's input, and the time
of a pass on one thread.
"""

import argparse
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from box.eyes.convert import NETWORKS, OUT, Published

_MOST = 1e-3
"""Pixels of the input, and logits."""


def main() -> None:
    """Compare all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    parser.add_argument("--converted", type=Path, default=OUT)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for name, published in NETWORKS.items():
            theirs = reference(wheel.read(published.path), published)
            compare(name, published, theirs, arguments.converted / f"{name}.onnx")


def compare(name: str, published: Published, theirs: Callable, path: Path) -> None:
    """Print differences and times of one network."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    side = session.get_inputs()[0].shape[1]
    pictures = _pictures(side)
    worst = dict.fromkeys(published.outputs, 0.0)
    for picture in pictures:
        ours: Any = session.run(published.outputs, {"pictures": picture[None]})
        for called, mine, other in zip(published.outputs, ours, theirs(picture), strict=True):
            worst[called] = max(worst[called], float(np.abs(np.ravel(mine) - np.ravel(other)).max()))
    times = {"onnxruntime": lambda p: session.run(None, {"pictures": p[None]}), "TensorFlow Lite": theirs}
    took = ", ".join(f"{runtime} {_milliseconds(run, pictures):.1f} ms" for runtime, run in times.items())
    print(f"{name}: largest difference {worst}; a pass: {took}")
    if max(worst.values()) > _MOST:
        raise SystemExit(f"{name} is not what was published")


def reference(data: bytes, published: Published) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The published network, run by TensorFlow Lite."""
    from ai_edge_litert.interpreter import Interpreter  # pyright: ignore[reportMissingImports]

    interpreter: Any = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()

    def run(picture: np.ndarray) -> list[np.ndarray]:
        scaled = picture[None].astype(np.float32) * np.float32(published.scale) + np.float32(published.shift)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], scaled)
        interpreter.invoke()
        return [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]

    return run


def _pictures(side: int) -> list[np.ndarray]:
    """Noise, and smooth patterns."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    rows, columns = np.mgrid[0:side, 0:side] / side
    waves = [
        128 + 100 * np.sin(f * rows[..., None] + g * columns[..., None] + np.arange(3))
        for f, g in ((5, 9), (20, 3))
    ]
    return [*noise, *(wave.astype(np.uint8) for wave in waves)]


def _milliseconds(run: Callable, pictures: list[np.ndarray]) -> float:
    times = []
    for picture in pictures * 4:
        start = time.perf_counter()
        run(picture)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


if __name__ == "__main__":
    main()
