"""Whether an array is computed row by row from what parties bring.

For: `row_by_row`, `owners_of`, `size`.
Leaves to others: how far such an array may move (`arrays`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, TypeAlias

from dsl.privacy.lineage import Owned
from dsl.region import Region
from mpc.circuit import Node, Value
from mpc.types import Dim, Size

__all__ = ["owners_of", "row_by_row", "size"]

ELEMENTWISE: Final = frozenset(
    [
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "abs",
        "sign",
        "relu",
        "clip",
        "maximum",
        "minimum",
        "floor",
        "ceil",
        "round",
        "round_to",
        "floordiv",
        "mod",
        "lt",
        "eq",
        "and",
        "or",
        "xor",
        "not",
        "select",
        "to_int",
        "to_fixed",
        "exp",
        "log",
        "sqrt",
        "rsqrt",
        "sigmoid",
        "tanh",
        "square",
        "reciprocal",
        "variable",
    ]
)

Places: TypeAlias = "dict[Owned, Dim]"
"""At which row of an array the rows of an input begin."""


class _MixedError(Exception):
    """Some row depends on several rows."""


def size(value: Value, axis: int | None = None) -> int:
    """How many numbers, or how long an axis is; sizes that are not known yet count as 1."""
    dims = value.shape if axis is None else (value.shape[axis],)
    return math.prod(1 if isinstance(d, Size) else d for d in dims)


def row_by_row(region: Region, value: Value) -> frozenset[Owned] | None:
    """The inputs of which each row of `value` depends on one row at most, the same for all that one row is part of.

    None where that is not certain.
    """
    try:
        return frozenset(_places(region, value)) if value.ndim else None
    except _MixedError:
        return None


def _places(region: Region, value: Value) -> Places:
    if value.type.public:
        return {}
    node = value.node
    outside = region.outside(node) if value.builder is region.builder else None
    if outside is not None and region.outer is not None:
        return _places(region.outer, outside)
    if node.op == "input" and value.ndim and node.get("scan") is None:  # a scan may have left out rows
        return {(node["party"], node["name"]): 0}
    src = [Value(value.builder, i) for i in node.src]
    secret = [v for v in src if not v.type.public]
    if node.op == "concat" and node["axis"] == 0:
        return _stacked(region, src)
    if any(v.ndim == 0 or v.shape[0] != value.shape[0] for v in secret) and node.op != "slice":
        raise _MixedError
    out: Places = {}
    for v in secret:
        _merge(out, _places(region, v))
    if _keeps_rows(node, value, secret):
        return out
    if node.op == "slice" and node["parts"][0][2] == 1:
        first = node["parts"][0][0]
        return {owned: _less(place, first) for owned, place in out.items()}
    raise _MixedError


def _keeps_rows(node: Node, value: Value, secret: list[Value]) -> bool:
    """Whether row i of the result is made of the rows i of secret operands, which have as many rows."""
    match node.op:
        case "transpose":
            return bool(node["axes"][0] == 0)
        case "sum" | "mean" | "max" | "min":
            return node["axis"] is not None and node["axis"] > 0
        case "concat" | "reshape" | "broadcast_to":
            return all(v.ndim == value.ndim for v in secret) or node.op == "reshape"
        case "matmul":
            return len(secret) == 1 and node.src[0] == secret[0].index and secret[0].ndim == 2
    return node.op in ELEMENTWISE and all(v.ndim == value.ndim for v in secret)


def _stacked(region: Region, parts: list[Value]) -> Places:
    """Rows of several arrays below one another."""
    out: Places = {}
    first: Dim = 0
    for v in parts:
        _merge(out, {owned: place + first for owned, place in _places(region, v).items()})
        first = first + v.shape[0]
    return out


def _merge(out: Places, more: Places) -> None:
    for owned, place in more.items():
        if owned in out and out[owned] != place:
            raise _MixedError
        out[owned] = place


def _less(place: Dim, first: int) -> Dim:
    return place - first if isinstance(place, int) else place + -first


def owners_of(region: Region, value: Value) -> frozenset[Owned]:
    """All that a value derives from, but by way of what is public already."""
    return frozenset(_inputs(region, value))


def _inputs(region: Region, value: Value) -> Iterator[Owned]:
    seen: set[tuple[int, int]] = set()
    stack = [(region, value)]
    while stack:
        where, at = stack.pop()
        key = (id(where), at.index)
        if key in seen or at.type.public:
            continue
        seen.add(key)
        node = at.node
        if node.op == "input":
            yield node["party"], node["name"]
        elif node.op == "stored":
            yield from ((party, f"stored as {node['name']}") for party in node["parties"])
        elif node.op == "param":
            place = where.outside(node)
            if place is not None and where.outer is not None:
                stack.append((where.outer, place))
            else:  # carried around a loop: it may hold anything that the study has by then
                root = where
                while root.outer is not None:
                    root = root.outer
                stack += [(root, Value(root.builder, i)) for i, n in enumerate(root.builder.nodes) if n.op == "input"]
        stack += [(where, Value(where.builder, i)) for i in node.src]
