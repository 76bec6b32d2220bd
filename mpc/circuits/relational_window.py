"""What runs down the rows of groups, and what is at their ends, in a constant number of rounds.

For: `running_sums`, `group_last`.
Leaves to others: sums of whole groups, the number of a row (`relational_group`), running extremes
(`relational_scan`), values down from the first row of a group (`relational_move`'s `copy_down`).

Running sums over all rows are local; less what they were before the group's first row, which is copied down from
there, they are the group's.  The value of a group's last row stands just before the next group's first: the first rows
moved together, each takes the value before the next of them, which is then copied down [`relational_move`].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.relational_columns import (
    Packed,
    flag_column,
    minus,
    ring_column,
    rows_of,
    shifted,
    signature,
    stacked,
    sum_range,
)
from mpc.circuits.relational_move import spread
from mpc.lowerer import Lowerer, low
from mpc.op import Signature, op
from mpc.types import BOOL, INT, Type, TypeRuleError

__all__ = ["group_last", "running_sums"]


def _starts(b: Lowerer, new: Value) -> Value:
    """The flags (n,), n > 0, shared; the first row begins a group in any case."""
    return b.shared(b.emit("concat", b.const([True]), new[1:], axis=0))


def _columns(types: Sequence[Type]) -> list[Type]:
    flag_column("the first row of a group", types[0])
    if len(types) < 2:
        raise TypeRuleError("there is no column")
    rows_of(types)
    return list(types[1:])


def _first_rows(new: Array) -> Array:
    """The number of the first row of each row's group."""
    return np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))


# -- sums --------------------------------------------------------------------------------------


def _summed(types: Sequence[Type], attrs: Attrs) -> list[Signature]:  # noqa: ARG001
    n = rows_of(types)
    return [(INT, (n, *t.shape[1:])) if t.dtype == BOOL else signature(t, n) for t in _columns(types)]


def _sums_ref(new: Array, *columns: Array) -> tuple[Array, ...]:
    first = _first_rows(new)
    out = []
    for c in columns:
        x = c.astype(np.int64) if c.dtype == np.bool_ else c
        with_zero = np.concatenate([np.zeros_like(x[:1]), np.cumsum(x, axis=0)])
        out.append(with_zero[1:] - with_zero[first] if len(x) else x)
    return tuple(out)


def _wide_sums(new: Array, *columns: Array) -> tuple[Array, ...]:
    return _sums_ref(new, *(c.astype(np.float64) for c in columns))


@op("running_sums", infer=_summed, ref=_sums_ref, wide=_wide_sums)
def running_sums(new: Value, *columns: Value) -> Any:
    """Every row gets the sums of its group's columns down to itself, of truth values how many hold (an int).

    Operands: `new` (n,), true at the first row of each group, whose rows stand together; then the columns.  What shall
    not count has been made zero, or false, before.
    """
    b = low(new)
    n = new.type.sizes[0]
    numbers = [ring_column(b, c) for c in columns]
    if n == 0:
        return numbers
    sums = Packed.of(b, [b.emit("cumsum", c, axis=0) for c in numbers])
    assert sums.numbers is not None
    (before,) = spread(_starts(b, new), [shifted(sums.numbers)])
    out = Packed(minus(sums.numbers, before), None, tuple(p.unknown() for p in sums.places)).columns()
    return [b.know(v, sum_range(b, c, n)) for v, c in zip(out, numbers, strict=True)]


# -- the last row ------------------------------------------------------------------------------


def _like(types: Sequence[Type], attrs: Attrs) -> list[Signature]:  # noqa: ARG001
    return [signature(t, rows_of(types)) for t in _columns(types)]


def _last_ref(new: Array, *columns: Array) -> tuple[Array, ...]:
    n = len(new)
    if not n:
        return columns
    starts = np.append(np.flatnonzero(np.concatenate([[True], new[1:]])), n)
    last = np.repeat(starts[1:] - 1, np.diff(starts))
    return tuple(c[last] for c in columns)


@op("group_last", infer=_like, ref=_last_ref)
def group_last(new: Value, *columns: Value) -> Any:
    """Every row gets the columns of the last row of its group.

    Operands: `new` (n,), true at the first row of each group, whose rows stand together; then the columns, (n,) or
    (n, words).
    """
    b = low(new)
    n = new.type.sizes[0]
    packed = Packed.of(b, columns)
    if n == 0:
        return packed.columns()
    rings = packed.rings()
    starts = _starts(b, new)
    out = []
    for x in rings:
        end = x[n - 1 :]

        def next_before(y: Value, end: Value = end) -> Value:
            """Of first rows, which stand last, what stands before the next of them; what is above stays zero."""
            return stacked([y[1:], end], axis=0)

        out += spread(starts, [shifted(x)], next_before)
    return packed.of_rings(out).columns()
