"""Rows to the front, and values down to the rows below: in constant rounds, what group-by and joins are made of.

For: `front_rows`, `copy_down`, and for other relational operations `destinations`, `fronted`, `to_back`, `spread`,
`totals`.
Leaves to others: the order of rows (`relational_sort`), groups (`relational_group`).

**To the front** [stable compaction].  The running sum of the flags says how many flagged rows come before each; one
product makes of it every row's destination, an order of all rows, and they are moved there (`moving`: what is opened is
a uniform order, and nothing tells how many rows were flagged).

**Down** [after Laud, PoPETs 2015(2), parallel oblivious reads; prefix sums in place of a network].  Flagged rows are
moved to the end of the table, the others, which are zero, before them; every row less the one before it is moved back
to where it came from.  Running sums over the table then give each row the values of the last flagged row at or above
it: what lies between two flagged rows adds nothing.  Both ways go by one permutation, of which one order is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.moving import opened_order, row_bits, rows_at
from mpc.circuits.relational_columns import (
    Packed,
    cut,
    differences,
    flag_column,
    minus,
    rows_of,
    shifted,
    signature,
    stacked,
)
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import INT, Type, TypeRuleError

__all__ = ["copy_down", "destinations", "front_rows", "fronted", "running", "spread", "to_back", "totals", "weighed"]


def _steps(flags: Value, back: bool) -> tuple[Value, Value]:
    """(base, step): an unflagged row goes to `base`, a flagged one to `base + step`; flags are ring elements."""
    b = low(flags)
    n = flags.type.sizes[0]
    before = b.emit("cumsum", flags, axis=0)
    place = b.const(np.arange(n))
    if back:
        base = -before + place
        return base, before + before + b.const(-np.arange(n) - 1) + (-flags.sum() + n)
    total = flags.sum()
    base = -before + place + total
    return base, before + before + b.const(-np.arange(n) - 1) - total


def destinations(flags: Value, *, back: bool = False) -> Value:
    """Where each row goes, (n,), for flags (n,), truth values or 0 and 1: flagged rows first, or last if `back`.

    Both kinds keep their order.  One product, in the ring of n rows.
    """
    b = low(flags)
    small = b.know(b.narrow(flags, row_bits(flags.type.sizes[0])), Interval(0, 1))
    base, step = _steps(small, back)
    return base + b.product("mul", small, step, 0, INT)


def fronted(to: Value, columns: Packed, rows: int) -> Packed:
    """The columns with row i at to[i], the first `rows` of them; to (n,) is a shared order."""
    b = low(to)
    handle = b.permutation(to.type.sizes[0])
    order = opened_order(b.permute(handle, to))[:rows]
    return columns.each(lambda x: rows_at(b.permute(handle, x), order))


def to_back(flags: Value, arrays: Sequence[Value], *, masked: bool = False) -> tuple[list[Value], Value, Value]:
    """The rows of arrays (n, w), n > 0, each of any ring: those flagged last, in their order, and zeros before them.

    flags (n,) are truth values, or 0 and 1; masked: arrays are known to be zero where not flagged.  Returns the rows,
    and how they go back: the handle, and the order that was opened.
    """
    b = low(flags)
    n = flags.type.sizes[0]
    marks = flags
    if not masked:
        if any(x.dtype == INT for x in arrays):
            # Of the numbers that rows are multiplied by, narrow ones for the destinations are had for nothing.
            marks = flags.to_int()
        arrays = [weighed(x, flags if x.dtype.bits == 1 else marks) for x in arrays]
    to = destinations(marks, back=True)
    handle = b.permutation(n)
    seen = b.open_to_nodes(b.permute(handle, to))
    order = b.emit("inverse_order", seen)
    return [rows_at(b.permute(handle, x), order) for x in arrays], handle, seen


def weighed(x: Value, flags: Value) -> Value:
    """The rows of x (n, w), zero where flags (n,), truth values or 0 and 1, do not hold."""
    b = low(x)
    weights = b.narrow(flags, x.dtype.bits)
    return b.product("mul", weights.reshape((*flags.shape, 1)), x, 0, INT)


def spread(
    flags: Value, arrays: Sequence[Value], change: Callable[[Value], Value] | None = None, *, masked: bool = False
) -> list[Value]:
    """Every row of arrays (n, w) gets the values of the last flagged row at or above it, zeros before the first.

    As for `to_back`, n > 0.  With `change`, what is spread is change(y) for y the rows with all flagged ones last and
    zeros before them; it must leave those zeros zero.
    """
    b = low(flags)
    rows, handle, seen = to_back(flags, arrays, masked=masked)
    steps = [differences(last if change is None else change(last)) for last in rows]
    return [running(b.permute(handle, rows_at(x, seen), inverse=True)) for x in steps]


def totals(starts: Value, arrays: Sequence[Value]) -> list[Value]:
    """Every row of arrays (n, w), each of another ring, gets the sums of its group; `starts` (n,) as for `to_back`.

    n > 0; the first row starts a group, and groups stand together.
    """
    ends = {x.dtype: x.sum(axis=0, keepdims=True) for x in arrays}

    def sums(at_starts: Value) -> Value:
        return minus(stacked([at_starts[1:], ends[at_starts.dtype]], axis=0), at_starts)

    return spread(starts, [shifted(running(x)) for x in arrays], sums)


def running(x: Value) -> Value:
    """Running sums of rows, in the ring."""
    return low(x).on_shares("cumsum", (x,), {"axis": 0}, x.dtype, x.shape)


# -- the operations ----------------------------------------------------------------------------


def _flagged(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    flag_column("the flag", types[0])
    n = cut(rows_of(types), attrs.get("rows"))
    return [signature(t, n) for t in types]


def _front_ref(flag: Array, *columns: Array, rows: int | None = None) -> tuple[Array, ...]:
    order = np.argsort(~flag, kind="stable")[:rows]
    return (flag[order], *(c[order] for c in columns))


@op("front_rows", infer=_flagged, ref=_front_ref)
def front_rows(flag: Value, *columns: Value, rows: int | None = None) -> Any:
    """Rows with `flag` (n,) first, the others behind them, both in their order; at most `rows` of them are kept.

    Returns the flag and every column, moved.  How many rows are flagged is not learned by anyone.
    """
    b = low(flag)
    n = flag.type.sizes[0]
    packed = Packed.of(b, [flag, *columns])
    keep = n if rows is None else min(n, rows)
    if n < 2 or keep == 0:
        return packed.each(lambda a: a[:keep]).columns()
    to = destinations(b.shared(flag))
    return fronted(to, packed, keep).columns()


def _copied(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    flag_column("the flag", types[0])
    if len(types) < 2:
        raise TypeRuleError("there is no column to copy")
    n = rows_of(types)
    del attrs
    return [signature(t, n) for t in types[1:]]


def _last_flagged(flag: Array) -> Array:
    """The row of the last flag at or above each row, -1 before the first."""
    return np.maximum.accumulate(np.where(flag, np.arange(len(flag)), -1)) if len(flag) else np.zeros(0, np.int64)


def _copied_ref(flag: Array, *columns: Array) -> tuple[Array, ...]:
    last = _last_flagged(flag)
    out = []
    for c in columns:
        copied = c[last]
        copied[last < 0] = 0
        out.append(copied)
    return tuple(out)


@op("copy_down", infer=_copied, ref=_copied_ref)
def copy_down(flag: Value, *columns: Value) -> Any:
    """Every row gets the columns of the last row at or above it that is flagged; zeros, or false, before the first."""
    b = low(flag)
    n = flag.type.sizes[0]
    packed = Packed.of(b, columns)
    if n == 0:
        return packed.columns()
    return packed.of_rings(spread(b.shared(flag), packed.rings())).columns(or_zero=True)
