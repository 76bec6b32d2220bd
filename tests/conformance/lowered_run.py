"""Lowered circuits in the clear: each primitive by its definition on ring elements, a truncation off by chance.

The fast reference for accuracy over millions of points: no protocol, no rounds, one vectorised pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Circuit, Node
from mpc.circuits.structure import slices
from mpc.leading import Slots, digits
from mpc.local import decode, encode
from mpc.op import find
from mpc.types import BOOL, Layout, Type

InputKey = tuple[str, str]


class Evaluator:
    """Values of the nodes of a lowered circuit; a share is the ring element itself, without a component axis.

    rounding: of truncations, "chance" as protocols do it, or always "down" or "up", which no protocol does but each may
    happen to do.
    """

    def __init__(self, inputs: Mapping[InputKey, Array], rounding: str = "chance", seed: int = 0) -> None:
        self.inputs = inputs
        self.rounding = rounding
        self.rng = np.random.default_rng(seed)
        self.outputs: dict[str, Array] = {}

    def run(self, circuit: Circuit) -> dict[str, Array]:
        """What the reveals say, by name."""
        values: list[Any] = []
        for _, node in circuit:
            src = [values[i] for i in node.src]
            types = [circuit.nodes[i].type for i in node.src]
            with np.errstate(over="ignore"):
                values.append(self._node(node, src, types))
        return self.outputs

    def _node(self, node: Node, src: Sequence[Any], types: Sequence[Type]) -> Any:
        match node.op:
            case "const":
                return node["value"].array
            case "input":
                return np.asarray(self.inputs[node["name"], node.get("column", "")])
            case "encode":
                return encode(src[0], types[0], node["frac"], node.type.dtype.bits)
            case "decode":
                return decode(src[0], types[0])
            case "reveal":
                self.outputs[node["name"]] = src[0]
                return src[0]
            case "share" | "constant" | "open" | "view" | "tell":
                return src[0]
        if node.type.layout in (Layout.CLEAR, Layout.RING) and node.op not in ("reshape", "slice", "concat"):
            ref = find(node.op).ref
            assert ref is not None
            return np.asarray(ref(*src, **dict(node.attrs)))
        out = np.asarray(self._primitive(node, src))
        out = truth(out) if node.type.dtype == BOOL else out
        assert out.shape == node.type.sizes, (node.op, out.shape, node.type)
        assert out.dtype == (np.bool_ if node.type.dtype == BOOL else np.uint64), (node.op, out.dtype)
        return out

    def _primitive(self, node: Node, src: Sequence[Array]) -> Any:
        x = src[0]
        match node.op:
            case "add" | "add_clear":
                return x + src[1]
            case "sub" | "sub_clear":
                return x - src[1]
            case "neg":
                return np.uint64(0) - x
            case "mul" | "mul_clear":
                return x * src[1]
            case "matmul" | "matmul_clear":
                return np.matmul(x, src[1])
            case "mul_trunc":
                return self._trunc(x * src[1], node["m"])
            case "matmul_trunc":
                return self._trunc(np.matmul(x, src[1]), node["m"])
            case "trunc":
                return self._trunc(x, node["m"])
            case "shift":
                return (signed(x) >> np.int64(node["m"])).view(np.uint64)
            case "xor" | "xor_clear":
                return truth(x) ^ truth(src[1])
            case "and_" | "and_clear":
                return truth(x) & truth(src[1])
            case "ltz":
                w = node["width"]
                return (x >> np.uint64(w - 1) & np.uint64(1)).astype(np.bool_)
            case "eqz":
                return x << np.uint64(64 - node["width"]) == 0
            case "bits":
                return self._bits(x, node["width"])
            case "leading":
                return digits(x, Slots(*(node[name] for name in Slots._fields)))
            case "weigh":
                return np.stack(src, axis=-1).astype(np.uint64) @ table_of(node["weights"])
            case "parity":
                return (x & np.uint64(1)).astype(np.bool_)
            case "b2a":
                return truth(x).astype(np.uint64)
            case "sum":
                return np.sum(x, axis=node["axis"], keepdims=node["keepdims"], dtype=np.uint64)
            case "reshape":
                return x.reshape(node["shape"])
            case "broadcast_to":
                return np.broadcast_to(x, node["shape"])
            case "transpose":
                return np.transpose(x, node["axes"])
            case "slice":
                return x[slices(node["parts"])]
            case "take":
                return np.take(x, src[1], axis=node["axis"])
            case "cumsum":
                return np.cumsum(x, axis=node["axis"], dtype=np.uint64)
            case "concat":
                return np.concatenate(src, axis=node["axis"])
        raise AssertionError(f"no definition of {node.op}")

    def _trunc(self, x: Array, m: int) -> Array:
        """floor(x / 2^m), or 1 more with the probability of what is cut off."""
        x = np.asarray(x)
        cut = x & np.uint64((1 << m) - 1)
        if self.rounding == "chance":
            up = self.rng.integers(0, 1 << m, x.shape, dtype=np.uint64) < cut
        else:
            up = (cut > 0) & (self.rounding == "up")
        return (signed(x) >> np.int64(m)).view(np.uint64) + up.astype(np.uint64)

    @staticmethod
    def _bits(x: Array, width: int) -> Array:
        places = np.arange(width, dtype=np.uint64)
        return (x[..., None] >> places & np.uint64(1)).astype(np.bool_)


def table_of(weights: Sequence[Sequence[int]]) -> Array:
    """Weights as ring elements (J, M)."""
    return np.array([[w % (1 << 64) for w in row] for row in weights], np.uint64)


def truth(x: Array) -> Array:
    """0/1 of either kind as truth values."""
    return x.astype(np.bool_)


def signed(x: Array) -> Array:
    """Ring elements read in two's complement."""
    return np.asarray(x, np.uint64).view(np.int64)


def evaluate(circuit: Circuit, inputs: Mapping[InputKey, Array], rounding: str = "chance") -> dict[str, Array]:
    """The reveals of a lowered circuit, by name."""
    return Evaluator(inputs, rounding).run(circuit)
