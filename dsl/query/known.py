"""What is known of a value's size while a study is elaborated, from the ranges that its inputs declare.

For: `interval`.
Leaves to others: the same for shares, where it narrows comparisons (`mpc.lowerer`).
"""

from __future__ import annotations

from typing import TypeAlias

from mpc.circuit import Value
from mpc.circuits.relational_columns import moved_from, summed_from
from mpc.op import Interval, find
from mpc.types import BOOL

__all__ = ["interval"]

MOST = 2000
"""Operations that are looked through."""

Seen: TypeAlias = "dict[int, Interval | None]"


def interval(value: Value, seen: Seen | None = None) -> Interval | None:
    """All that a value may be; None when nothing is known. seen: of other values, by index."""
    seen = {} if seen is None else seen
    if value.index not in seen:
        seen[value.index] = None
        seen[value.index] = _interval(value, seen) if len(seen) < MOST else None
    return seen[value.index]


def _interval(value: Value, seen: Seen) -> Interval | None:
    node, b = value.node, value.builder
    if value.dtype == BOOL:
        return Interval(0, 1)
    if value.is_const:
        c = value.constant
        return Interval(float(c.min()), float(c.max())) if c.size else None
    src = [Value(b, i) for i in node.src]
    match node.op:
        case "input":
            return None if node["range"] is None else Interval(*node["range"])
        case "item":
            return _item(src[0], int(node["index"]), seen)
        case "param" | "size" | "loop" | "open" | "stored":
            return None
    bound = find(node.op).bound
    if bound is None:
        return None
    return bound([interval(v, seen) for v in src], [v.type for v in src], dict(node.attrs))


def _item(whole: Value, index: int, seen: Seen) -> Interval | None:
    """A result of an operation on columns."""
    node = whole.node
    moved = moved_from(node, index)
    if moved is not None:
        return _with_zero(_source(whole, moved, seen))
    at = summed_from(node, index)
    match node.op:
        case "running_extremes" if at is not None:
            return _source(whole, at, seen)
        case "group_totals" if at is not None:
            return _added(whole, at, seen)
        case "bucket_sums":
            return _rows(whole) if at is None else _added(whole, at, seen)
        case "gather_rows":
            if at is None:
                return _rows(whole)
            if node["how"][index - 1] == "sum":
                return _added(whole, at, seen)
            known, none = _source(whole, at, seen), _source(whole, at + 1, seen)
            return None if known is None or none is None else Interval(min(known.lo, none.lo), max(known.hi, none.hi))
        case "group_rows" if index > 0:
            if at is None:
                return _rows(whole)
            known = _source(whole, at, seen)
            return _added(whole, at, seen) if node["how"][index - 1] == "sum" else _with_zero(known)
    return None


def _source(whole: Value, at: int, seen: Seen) -> Interval | None:
    return interval(Value(whole.builder, whole.node.src[at]), seen)


def _rows(whole: Value) -> Interval | None:
    """A number of rows."""
    n = Value(whole.builder, whole.node.src[0]).shape[0]
    return Interval(0, n) if isinstance(n, int) else None


def _added(whole: Value, at: int, seen: Seen) -> Interval | None:
    """A sum over rows."""
    known, rows = _source(whole, at, seen), _rows(whole)
    if known is None or rows is None:
        return None
    return Interval(min(known.lo * rows.hi, 0), max(known.hi * rows.hi, 0))


def _with_zero(known: Interval | None) -> Interval | None:
    return None if known is None else Interval(min(known.lo, 0), max(known.hi, 0))
