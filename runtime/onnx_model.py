"""A model that a party has learned, as an ONNX graph of standard operations, which other programs run.

For: `write_onnx`, `MODELS` (which kinds of models have a graph).
Leaves to others: the models themselves (`dsl/library`), whose `predict` and `predict_proba` the graphs follow.

The graph takes `X` (rows, columns), or images (rows, channels, height, width), and gives `prediction`, and for a
classifier `probability` as well: as `predict` and `predict_proba` do, a row's number or class, and of two classes the
chance of the second. All is float64: the numbers of a model are then those of the computation, digit for digit; but for
filters and windows over images, which runtimes have for float32 alone, of 24 significant bits.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from runtime.results import ArrayOutput, RecordOutput

if TYPE_CHECKING:
    from onnx import NodeProto

__all__ = ["MODELS", "write_onnx"]

OPSET: Final = 13
IR_VERSION: Final = 8
"""Old enough for every runtime in use."""


def write_onnx(model: RecordOutput, path: Path) -> bool:
    """Write the model's graph; False, and no file, when its kind has none or the package `onnx` is not installed."""
    draw = MODELS.get(model.kind)
    if draw is None or importlib.util.find_spec("onnx") is None:
        return False
    import onnx

    graph = _Graph()
    draw(graph, _numbers(model))
    whole = onnx.helper.make_model(
        graph.finish(model.kind),
        producer_name="parley",
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(whole)
    path.write_bytes(whole.SerializeToString())
    return True


def _numbers(model: RecordOutput, path: str = "") -> dict[str, NDArray[np.float64]]:
    """The model's arrays of numbers; one within a part is known by the way to it, `hidden_weights.0`."""
    found: dict[str, NDArray[np.float64]] = {}
    for part in model.parts:
        if isinstance(part, RecordOutput):
            found |= _numbers(part, f"{path}{part.name}.")
        elif isinstance(part, ArrayOutput) and part.type.kind in {"int", "fixed", "bool"}:
            found[path + part.name] = part.values.astype(np.float64)
    return found


class _Graph:
    """A graph being drawn: values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []
        self.outputs: list[Any] = []
        self.given: list[str | int] = []

    def constant(self, array: NDArray[Any]) -> str:
        """A constant's name."""
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(self, op: str, *sources: str, name: str = "", **attributes: Any) -> str:
        """The name of what a node gives."""
        from onnx import helper

        out = name or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(sources), [out], **attributes))
        return out

    def layer(self, x: str, weights: NDArray[np.float64], intercept: NDArray[np.float64]) -> str:
        """x @ weights + intercept, a row each; a vector of weights makes one column."""
        matrix = weights.reshape(len(weights), -1)
        self.given = self.given or ["rows", len(matrix)]
        return self.add("Gemm", x, self.constant(matrix), self.constant(intercept.reshape(-1)))

    def column(self, x: str, name: str) -> None:
        """An output: the single column of x as one number a row."""
        self.tell(self.add("Squeeze", x, self.constant(np.array([1], np.int64)), name=name), 1)

    def tell(self, name: str, axes: int, columns: int = 0, *, kind: str = "DOUBLE") -> None:
        """Make a value an output."""
        from onnx import TensorProto, helper

        shape: list[str | int] = ["rows", columns]
        self.outputs.append(helper.make_tensor_value_info(name, getattr(TensorProto, kind), shape[:axes]))

    def finish(self, kind: str) -> Any:
        """The graph, whose name is the kind of model."""
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info("X", TensorProto.DOUBLE, self.given)
        name = kind.replace(" ", "_")
        return helper.make_graph(self.nodes, name, [given], self.outputs, initializer=self.constants)


Fields = Mapping[str, NDArray[np.float64]]


def _linear(g: _Graph, fields: Fields) -> None:
    g.column(g.layer("X", fields["weights"], fields["intercept"]), "prediction")


def _poisson(g: _Graph, fields: Fields) -> None:
    g.column(g.add("Exp", g.layer("X", fields["weights"], fields["intercept"])), "prediction")


def _logistic(g: _Graph, fields: Fields) -> None:
    _classes(g, g.layer("X", fields["weights"], fields["intercept"]), int(fields["classes"]))


def _network(g: _Graph, fields: Fields) -> None:
    hidden, weights, intercept = "X", "hidden_weights", "hidden_intercept"
    several = sum(name.startswith(f"{weights}.") for name in fields)
    for layer in [f".{k}" for k in range(several)] or [""]:
        hidden = g.add("Relu", g.layer(hidden, fields[weights + layer], fields[intercept + layer]))
    score = g.layer(hidden, fields["weights"], fields["intercept"])
    classes = int(fields["classes"])
    if classes == 0:
        g.column(score, "prediction")
    else:
        _classes(g, score, classes)


def _convolution(g: _Graph, fields: Fields) -> None:
    from onnx import TensorProto

    filters, pool = fields["filters"], [int(fields["pool"])] * 2
    g.given = ["rows", filters.shape[1], "height", "width"]
    single, around = np.float32, [filters.shape[2] // 2] * 4
    parts = [g.constant(fields[name].astype(single)) for name in ("filters", "filter_intercept")]
    z = g.add("Conv", g.add("Cast", "X", to=TensorProto.FLOAT), *parts, pads=around)
    pooled = g.add("AveragePool", g.add("Relu", z), kernel_shape=pool, strides=pool)
    flat = g.add("Flatten", g.add("Cast", pooled, to=TensorProto.DOUBLE))
    _classes(g, g.layer(flat, fields["weights"], fields["intercept"]), int(fields["classes"]))


def _classes(g: _Graph, score: str, classes: int) -> None:
    """The class that a score speaks for, and the chances."""
    if classes == 2:
        above = g.add("Greater", score, g.constant(np.array(0.0)))
        g.add("Squeeze", above, g.constant(np.array([1], np.int64)), name="prediction")
        g.tell("prediction", 1, kind="BOOL")
        g.column(g.add("Sigmoid", score), "probability")
    else:
        g.add("ArgMax", score, name="prediction", axis=1, keepdims=0)
        g.tell("prediction", 1, kind="INT64")
        g.tell(g.add("Softmax", score, name="probability", axis=1), 2, classes)


MODELS: Final[Mapping[str, Callable[[_Graph, Fields], None]]] = {
    "linear regression": _linear,
    "ridge regression": _linear,
    "Poisson regression": _poisson,
    "logistic regression": _logistic,
    "neural network": _network,
    "convolutional network": _convolution,
}
