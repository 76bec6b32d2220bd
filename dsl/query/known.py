"""What is known of a value's size while a study is elaborated, from the ranges that its inputs declare.

For: `interval`.
Leaves to others: the same for shares, where it narrows comparisons (`mpc.lowerer`).
"""

from __future__ import annotations

from mpc.circuit import Value
from mpc.op import Interval, find
from mpc.types import BOOL

__all__ = ["interval"]

DEEP = 200
"""Operations that are looked through."""


def interval(value: Value, left: int = DEEP) -> Interval | None:
    """All that a value may be; None when nothing is known."""
    node, b = value.node, value.builder
    if value.dtype == BOOL:
        return Interval(0, 1)
    if value.is_const:
        c = value.constant
        return Interval(float(c.min()), float(c.max())) if c.size else None
    if left == 0:
        return None
    src = [Value(b, i) for i in node.src]
    match node.op:
        case "input":
            return None if node["range"] is None else Interval(*node["range"])
        case "item":
            return _item(src[0], int(node["index"]), left)
        case "param" | "size" | "loop" | "open":
            return None
    bound = find(node.op).bound
    if bound is None:
        return None
    return bound([interval(v, left - 1) for v in src], [v.type for v in src], dict(node.attrs))


def _item(whole: Value, index: int, left: int) -> Interval | None:
    """A result of an operation that moves columns."""
    node = whole.node
    match node.op:
        case "sort_rows" | "front_rows" | "shuffle_rows":
            at = index
        case "lookup_rows" if index > 0:
            at = node["keys"] + index
        case "join_rows" if 0 < index <= node["left"]:
            at = node["keys"] + index
        case "join_rows" if index > node["left"]:
            at = 2 * node["keys"] + 1 + index
        case _:
            return None
    if at >= len(node.src):
        return None
    known = interval(Value(whole.builder, node.src[at]), left - 1)
    return None if known is None else Interval(min(known.lo, 0), max(known.hi, 0))
