"""MediaPipe's face networks (TensorFlow Lite, Apache-2.0) -> ONNX files that `aucue.faces` runs.

    pip download --no-deps mediapipe==0.10.21
    pip install tflite
    python -m box.eyes.convert mediapipe-0.10.21-*.whl [--out src/aucue/faces/weights]

Done once: the result lies in the package. Later wheels of MediaPipe hold no such files. Each graph takes
pictures as they are, uint8 (N, side, side, 3), and its weights stay in 16 bits, as published; onnxruntime
widens them when it loads a file. `python -m box.eyes.check` compares the files with TensorFlow Lite's own
interpreter.
"""

import argparse
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(__file__).parents[2] / "src" / "aucue" / "faces" / "weights"


@dataclass(frozen=True)
class Published:
    """One network as MediaPipe ships it.

    Attributes:
        path: In the wheel.
        scale: What pixels (0 to 255) are multiplied by.
        shift: And then raised by.
        outputs: Names, in the file's order.
    """

    path: str
    scale: float
    shift: float
    outputs: tuple[str, str]


NETWORKS = {
    "near": Published(
        "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        2 / 255,
        -1,
        ("boxes", "scores"),
    ),
    "far": Published(
        "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
        2 / 255,
        -1,
        ("boxes", "scores"),
    ),
    "mesh": Published(
        "mediapipe/modules/face_landmark/face_landmark.tflite", 1 / 255, 0, ("points", "presence")
    ),
}
"""By the name of the file that is written: two detectors (BlazeFace, short and full range), and the face
mesh."""

_TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
_TO_NCHW = (0, 3, 1, 2)
_TO_NHWC = (0, 2, 3, 1)


def main() -> None:
    """Convert all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path, help="mediapipe-0.10.21-*.whl")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(arguments.wheel) as wheel:
        for name, published in NETWORKS.items():
            path = arguments.out / f"{name}.onnx"
            onnx.save(convert(wheel.read(published.path), published, name), path)
            print(f"{path}: {path.stat().st_size:,} bytes")


def convert(data: bytes, published: Published, name: str) -> onnx.ModelProto:
    """A TensorFlow Lite file -> the same network in ONNX.

    Args:
        data: The file.
        published: How its pictures are scaled, and what its outputs are called.
        name: Of the graph.
    """
    import tflite  # pyright: ignore[reportMissingImports]

    graph = _Graph(tflite.Model.GetRootAsModel(data, 0))
    source, side = graph.inputs[0], int(graph.shape(graph.inputs[0])[1])
    graph.add("Cast", ["pictures"], "wide", to=TensorProto.FLOAT)
    graph.add("Mul", ["wide", graph.number("scale", published.scale)], "scaled")
    graph.add("Add", ["scaled", graph.number("shift", published.shift)], "shifted")
    graph.add("Transpose", ["shifted"], f"t{source}", perm=_TO_NCHW)
    for kind, operator in graph.operators():
        _CONVERTERS[kind](graph, operator)
    outputs = []
    for index, called in zip(graph.outputs, published.outputs, strict=True):
        shape = [int(size) for size in graph.shape(index)[1:] if size != 1] or [1]
        graph.add(
            "Reshape",
            [f"t{index}", graph.constant(called + "_shape", np.array([-1, *shape], np.int64))],
            called,
        )
        outputs.append(helper.make_tensor_value_info(called, TensorProto.FLOAT, ["n", *shape]))
    pictures = helper.make_tensor_value_info("pictures", TensorProto.UINT8, ["n", side, side, 3])
    made = helper.make_graph(graph.nodes, name, [pictures], outputs, graph.initializers)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(made, opset_imports=[opset], producer_name="aucue box.eyes", ir_version=8)
    model.doc_string = (
        f"{published.path} of mediapipe 0.10.21, Apache-2.0, converted by aucue's box/eyes/convert.py"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


@dataclass
class _Graph:
    """A file that is read, and the ONNX nodes that are written; tensors of (N, H, W, C) become (N, C, H,
    W).
    """

    model: Any
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    values: dict[int, np.ndarray] = field(
        default_factory=dict
    )  # constants, and what DEQUANTIZE makes of them

    def __post_init__(self) -> None:
        self._graph = self.model.Subgraphs(0)
        self.inputs = [int(i) for i in self._graph.InputsAsNumpy()]
        self.outputs = [int(i) for i in self._graph.OutputsAsNumpy()]
        for index in range(self._graph.TensorsLength()):
            tensor = self._graph.Tensors(index)
            data = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(data, np.ndarray) and data.size:
                self.values[index] = _read(tensor, data)

    def shape(self, index: int) -> np.ndarray:
        """Sizes as the file has them, (N, H, W, C)."""
        return self._graph.Tensors(index).ShapeAsNumpy()

    def operators(self) -> Iterator[tuple[str, Any]]:
        """Kind and operator, in the order of work."""
        import tflite  # pyright: ignore[reportMissingImports]

        names = {
            value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)
        }
        for i in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            yield names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())], operator

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append a node."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def constant(self, name: str, value: np.ndarray) -> str:
        """A constant, by its name; weights stay in 16 bits and are widened in the graph."""
        if value.dtype == np.float16:
            self.initializers.append(numpy_helper.from_array(value, f"{name}_half"))
            self.add("Cast", [f"{name}_half"], name, to=TensorProto.FLOAT)
        else:
            self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def number(self, name: str, value: float) -> str:
        """A constant number."""
        return self.constant(name, np.array(value, np.float32))

    def finish(self, output: int, before: str, activation: int) -> None:
        """The activation that is a part of an operator (0 none, 1 ReLU)."""
        if activation not in (0, 1):
            raise ValueError(f"activation {activation} is not converted")
        self.add("Relu" if activation else "Identity", [before], f"t{output}")


def _read(tensor: Any, data: np.ndarray) -> np.ndarray:
    """The values of a constant; a sparse one is written out."""
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy())
    values = data.view(_TYPES[tensor.Type()])
    return values.reshape(shape) if tensor.Sparsity() is None else _dense(tensor.Sparsity(), values, shape)


def _dense(sparsity: Any, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A sparse tensor, whose dimensions are stored one inside the other, as an array."""
    order = [int(i) for i in sparsity.TraversalOrderAsNumpy()]
    levels = [sparsity.DimMetadata(i) for i in range(sparsity.DimMetadataLength())]
    if len(order) != len(shape) or sparsity.BlockMapLength():
        raise ValueError("tensors that are sparse by blocks are not converted")
    dense, position = np.zeros(shape, values.dtype), [0] * len(shape)

    def fill(level: int, at: int) -> None:
        if level == len(levels):
            dense[tuple(position)] = values[at]
            return
        meta = levels[level]
        if meta.Format() == 0:
            children = ((at * meta.DenseSize() + i, i) for i in range(meta.DenseSize()))
        else:
            start, stop = _vector(meta.ArraySegments, meta.ArraySegmentsType())[at : at + 2]
            indices = _vector(meta.ArrayIndices, meta.ArrayIndicesType())
            children = ((i, int(indices[i])) for i in range(int(start), int(stop)))
        for below, index in children:
            position[order[level]] = index
            fill(level + 1, below)

    fill(0, 0)
    return dense


def _vector(table: Callable[[], Any], kind: int) -> np.ndarray:
    """Numbers of one of three widths."""
    import tflite  # pyright: ignore[reportMissingImports]

    vector = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[kind]()
    vector.Init(table().Bytes, table().Pos)
    return vector.ValuesAsNumpy()


def _options(operator: Any, name: str) -> Any:
    import tflite  # pyright: ignore[reportMissingImports]

    options, table = getattr(tflite, name)(), operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def _same(graph: _Graph, operator: Any, kernel: tuple[int, int], stride: tuple[int, int]) -> list[int]:
    """What "same" padding means (top, left, bottom, right): the odd pixel comes last."""
    sides = graph.shape(operator.Inputs(0))[1:3]
    pads = [
        max((-(-int(side) // s) - 1) * s + k - int(side), 0)
        for side, k, s in zip(sides, kernel, stride, strict=True)
    ]
    return [pads[0] // 2, pads[1] // 2, pads[0] - pads[0] // 2, pads[1] - pads[1] // 2]


def _convolution(graph: _Graph, operator: Any, depthwise: bool) -> None:
    options = _options(operator, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
    source, weights, bias = (operator.Inputs(i) for i in range(3))
    output = operator.Outputs(0)
    kernel = graph.values[weights]  # (out, h, w, in), depthwise (1, h, w, out)
    kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
    stride = (options.StrideH(), options.StrideW())
    size = (int(kernel.shape[2]), int(kernel.shape[3]))
    names = [
        graph.constant(f"w{output}", np.ascontiguousarray(kernel)),
        graph.constant(f"b{output}", graph.values[bias]),
    ]
    graph.add(
        "Conv",
        [f"t{source}", *names],
        f"c{output}",
        strides=stride,
        dilations=(options.DilationHFactor(), options.DilationWFactor()),
        pads=_same(graph, operator, size, stride) if options.Padding() == 0 else [0] * 4,
        group=int(graph.shape(source)[3]) if depthwise else 1,
    )
    graph.finish(output, f"c{output}", options.FusedActivationFunction())


def _pool(graph: _Graph, operator: Any) -> None:
    options = _options(operator, "Pool2DOptions")
    size = (options.FilterHeight(), options.FilterWidth())
    stride = (options.StrideH(), options.StrideW())
    pads = _same(graph, operator, size, stride) if options.Padding() == 0 else [0] * 4
    output = operator.Outputs(0)
    graph.add(
        "MaxPool", [f"t{operator.Inputs(0)}"], f"c{output}", kernel_shape=size, strides=stride, pads=pads
    )
    graph.finish(output, f"c{output}", options.FusedActivationFunction())


def _add(graph: _Graph, operator: Any) -> None:
    output = operator.Outputs(0)
    graph.add("Add", [f"t{operator.Inputs(0)}", f"t{operator.Inputs(1)}"], f"c{output}")
    graph.finish(output, f"c{output}", _options(operator, "AddOptions").FusedActivationFunction())


def _pad(graph: _Graph, operator: Any) -> None:
    pads = graph.values[operator.Inputs(1)][list(_TO_NCHW)]  # (4, 2)
    output = operator.Outputs(0)
    graph.add(
        "Pad",
        [f"t{operator.Inputs(0)}", graph.constant(f"pads{output}", pads.T.ravel().astype(np.int64))],
        f"t{output}",
    )


def _prelu(graph: _Graph, operator: Any) -> None:
    """max(x, 0) + slope min(x, 0), in parts: onnxruntime takes twice as long for its own PRelu."""
    source, output = f"t{operator.Inputs(0)}", operator.Outputs(0)
    slope = graph.values[operator.Inputs(1)].reshape(-1, 1, 1)
    graph.add("Relu", [source], f"p{output}")
    graph.add("Sub", [source, f"p{output}"], f"m{output}")
    graph.add("Mul", [f"m{output}", graph.constant(f"s{output}", slope)], f"q{output}")
    graph.add("Add", [f"p{output}", f"q{output}"], f"t{output}")


def _relu(graph: _Graph, operator: Any) -> None:
    graph.add("Relu", [f"t{operator.Inputs(0)}"], f"t{operator.Outputs(0)}")


def _resize(graph: _Graph, operator: Any) -> None:
    options, output = _options(operator, "ResizeBilinearOptions"), operator.Outputs(0)
    source, target = graph.shape(operator.Inputs(0)), graph.shape(output)
    factors = np.array([1, 1, target[1] / source[1], target[2] / source[2]], np.float32)
    mode = "align_corners" if options.AlignCorners() else "asymmetric"
    mode = "half_pixel" if options.HalfPixelCenters() else mode
    graph.add(
        "Resize",
        [f"t{operator.Inputs(0)}", "", graph.constant(f"f{output}", factors)],
        f"t{output}",
        mode="linear",
        coordinate_transformation_mode=mode,
    )


def _depth_to_space(graph: _Graph, operator: Any) -> None:
    size = _options(operator, "DepthToSpaceOptions").BlockSize()
    graph.add(
        "DepthToSpace", [f"t{operator.Inputs(0)}"], f"t{operator.Outputs(0)}", blocksize=size, mode="DCR"
    )


def _reshape(graph: _Graph, operator: Any) -> None:
    """Rows of boxes from a grid: channels are the fastest, as in the file."""
    output = operator.Outputs(0)
    target = [int(size) for size in graph.shape(output)]
    graph.add("Transpose", [f"t{operator.Inputs(0)}"], f"n{output}", perm=_TO_NHWC)
    shape = graph.constant(f"r{output}", np.array([-1, *target[1:]], np.int64))
    graph.add("Reshape", [f"n{output}", shape], f"t{output}")


def _concatenate(graph: _Graph, operator: Any) -> None:
    inputs = [f"t{operator.Inputs(i)}" for i in range(operator.InputsLength())]
    axis = _options(operator, "ConcatenationOptions").Axis()
    graph.add("Concat", inputs, f"t{operator.Outputs(0)}", axis=axis)


def _same_values(graph: _Graph, operator: Any) -> None:
    """DENSIFY and DEQUANTIZE: constants alone, which are written out and stay in 16 bits."""
    graph.values[operator.Outputs(0)] = graph.values[operator.Inputs(0)]


_CONVERTERS: dict[str, Callable[[_Graph, Any], None]] = {
    "CONV_2D": lambda graph, operator: _convolution(graph, operator, depthwise=False),
    "DEPTHWISE_CONV_2D": lambda graph, operator: _convolution(graph, operator, depthwise=True),
    "MAX_POOL_2D": _pool,
    "ADD": _add,
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _relu,
    "RESIZE_BILINEAR": _resize,
    "DEPTH_TO_SPACE": _depth_to_space,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenate,
    "DENSIFY": _same_values,
    "DEQUANTIZE": _same_values,
}

if __name__ == "__main__":
    main()
