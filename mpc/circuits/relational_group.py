"""Aggregates of groups, in a constant number of rounds after the sort.

For: `group_rows` (a row for each group), `group_totals` and `row_number` (a value for each row). Leaves to others:
the order (`relational_sort`), the moving (`relational_move`), few public groups (`relational_buckets`), the largest
and smallest of a group that is not sorted by them (`relational_scan`).

Rows of a group stand together, and `new` is true at the first of each.  Running sums are local; where they stand at a
group's last row, less where they stood at the last row of the group before, is the group's sum.  So the last rows move
to the front, with the running sums, and neighbours are subtracted: no scan, one move [ePrint 2019/695's compaction].
A group's first row follows the last row of the group before, so its values travel with that one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.relational_columns import (
    Packed,
    cut,
    differences,
    flag_column,
    ring_column,
    rows_of,
    shifted,
    signature,
    stacked,
    sum_range,
)
from mpc.circuits.relational_move import destinations, fronted, spread, totals
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, Dim, Type, TypeRuleError

__all__ = ["group_rows", "group_totals", "row_number"]

HOW = ("sum", "first", "last", "size")


# -- a row for each group ----------------------------------------------------------------------


def _grouped(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    new, visible, *columns = types
    flag_column("the first row of a group", new)
    flag_column("which rows are visible", visible)
    n = cut(rows_of(types), attrs.get("rows"))
    how = attrs["how"]
    if [h for h in how if h not in HOW]:
        raise TypeRuleError(f"a group's values are combined by {', '.join(HOW)}, not by {how}")
    if len([h for h in how if h != "size"]) != len(columns):
        raise TypeRuleError(f"{how} does not say how {len(columns)} columns are combined")
    out: list[Signature] = [(BOOL, (n,))]
    left = iter(columns)
    for h in how:
        t = None if h == "size" else next(left)
        out.append((INT, (n,)) if t is None else _summed(t, n) if h == "sum" else signature(t, n))
    return out


def _summed(t: Type, n: Dim) -> Signature:
    return (INT, (n, *t.shape[1:])) if t.dtype == BOOL else signature(t, n)


def _ends_ref(new: Array, visible: Array) -> Array:
    follows = np.zeros(len(new), np.bool_)
    follows[:-1] = visible[1:] & ~new[1:]
    return visible & ~follows


def _number(x: Array) -> Array:
    return x.astype(np.int64) if x.dtype == np.bool_ else x


def _before(x: Array) -> Array:
    """Every row of x one further down, zero on top."""
    out = np.zeros_like(x)
    out[1:] = x[:-1]
    return out


def _group_ref(
    new: Array, visible: Array, *columns: Array, how: tuple[str, ...], rows: int | None = None
) -> tuple[Array, ...]:
    n = len(new)
    ends = _ends_ref(new, visible)
    order = np.argsort(~ends, kind="stable")[:rows]
    out = [ends[order]]
    left = iter(columns)
    for h in how:
        x = np.ones(n, np.int64) if h == "size" else next(left)
        if h == "last":
            out.append(x[order])
        elif h == "first":
            following = np.zeros_like(x)
            following[:-1] = x[1:]
            moved = np.concatenate([x[:1], following[order][:-1]]) if len(order) else x[:0]
            out.append(moved)
        else:
            sums = np.cumsum(_number(x), axis=0)[order]
            out.append(sums - _before(sums))
    return tuple(out)


def _wide_groups(
    new: Array, visible: Array, *columns: Array, how: tuple[str, ...], rows: int | None = None
) -> tuple[Array, ...]:
    """What stands behind the groups is what it is."""
    wide = _group_ref(new, visible, *(c.astype(np.float64) for c in columns), how=how, rows=rows)
    there, *exact = _group_ref(new, visible, *columns, how=how, rows=rows)
    masks = (there.reshape((len(there),) + (1,) * (e.ndim - 1)) for e in exact)
    return (there, *(np.where(m, w, e) for m, w, e in zip(masks, wide[1:], exact, strict=True)))


@op("group_rows", infer=_grouped, ref=_group_ref, wide=_wide_groups)
def group_rows(new: Value, visible: Value, *columns: Value, how: tuple[str, ...], rows: int | None = None) -> Any:
    """One row for each group that has visible rows, the groups' rows first, in their order; at most `rows` are kept.

    Operands: `new` (n,), true at the first row of each group; `visible` (n,); then a column for each entry of `how`
    that is not "size".  Rows of a group stand together, and invisible rows come last.  how, for each result: "sum" of
    a column (of truth values: how many hold, an int), "first" and "last": its value at the group's first and last
    visible row, "size": the number of rows, which takes no column. Returns which rows are groups (n,), then what
    `how` says.  Behind the groups rows hold whatever is left over.
    """
    b = low(new)
    n = new.type.sizes[0]
    keep = n if rows is None else min(n, rows)
    travel = _travelling(b, n, columns, how)
    if keep == 0:
        return [b.shared(visible)[:0], *(c[:0] for c in travel)]
    ends = b.shared(_ends(b, new, visible))
    to = destinations(ends)
    flags, *moved = fronted(to, Packed.of(b, [ends, *travel]), keep).columns()
    left = iter(columns)
    out = [flags]
    for h, x in zip(how, moved, strict=True):
        column = None if h == "size" else b.shared(next(left))
        out.append(_result(b, h, column, x, n))
    return out


def _travelling(b: Lowerer, n: int, columns: Sequence[Value], how: Sequence[str]) -> list[Value]:
    """For each result, the column of which the groups' last rows are wanted."""
    left = iter(columns)
    out = []
    for h in how:
        if h == "size":
            out.append(b.shared(b.const(np.arange(1, n + 1))))
            continue
        column = next(left)
        if h == "sum":
            out.append(b.emit("cumsum", ring_column(b, column), axis=0))
        else:
            share = b.shared(column)
            out.append(shifted(share, -1) if h == "first" and n else share)
    return out


def _ends(b: Lowerer, new: Value, visible: Value) -> Value:
    """Which rows are the last visible ones of their group."""
    if new.type.sizes[0] == 1:
        return visible
    follows = visible[1:] & ~new[1:]
    return visible & ~b.emit("concat", follows, b.const([False]), axis=0)


def _result(b: Lowerer, how: str, column: Value | None, x: Value, n: int) -> Value:
    """A result from what the groups' last rows have, moved to the front."""
    if column is None:
        return b.know(differences(x), Interval(0, n))
    if how == "last":
        return x
    if how == "first":
        return b.know(stacked([column[:1], x[:-1]], axis=0), b.range(column))
    return b.know(differences(x), Interval(0, n) if column.dtype == BOOL else sum_range(b, column, n))


# -- a value for each row ----------------------------------------------------------------------


def _starts(b: Lowerer, new: Value) -> Value:
    """The flags (n,), n > 0, as ring elements; the first row begins a group in any case."""
    flags = b.shared(b.emit("concat", b.const([True]), new[1:], axis=0))
    return b.emit("to_int", flags)


def _totals(types: Sequence[Type], attrs: Attrs) -> list[Signature]:  # noqa: ARG001
    flag_column("the first row of a group", types[0])
    if len(types) < 2:
        raise TypeRuleError("there is no column to add up")
    n = rows_of(types)
    return [_summed(t, n) for t in types[1:]]


def _totals_ref(new: Array, *columns: Array) -> tuple[Array, ...]:
    first = np.concatenate([[True], new[1:]])[: len(new)].astype(np.bool_)
    starts, group = np.flatnonzero(first), np.cumsum(first) - 1
    return tuple(np.add.reduceat(_number(c), starts, axis=0)[group] if len(new) else _number(c) for c in columns)


def _wide_totals(new: Array, *columns: Array) -> tuple[Array, ...]:
    return _totals_ref(new, *(c.astype(np.float64) for c in columns))


@op("group_totals", infer=_totals, ref=_totals_ref, wide=_wide_totals)
def group_totals(new: Value, *columns: Value) -> Any:
    """Every row gets the sums of its group's columns, of truth values how many hold (an int).

    Operands: `new` (n,), true at the first row of each group, whose rows stand together; then the columns.  What shall
    not count has been made zero, or false, before.
    """
    b = low(new)
    n = new.type.sizes[0]
    numbers = [ring_column(b, c) for c in columns]
    if n == 0:
        return numbers
    before = Packed.of(b, numbers)
    assert before.numbers is not None
    (done,) = totals(_starts(b, new), [before.numbers])
    out = Packed(done, None, tuple(p.unknown() for p in before.places)).columns()
    return [b.know(v, sum_range(b, c, n)) for v, c in zip(out, numbers, strict=True)]


def _numbered(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    flag_column("the first row of a group", types[0])
    return INT, types[0].shape


def _number_ref(new: Array) -> Array:
    place = np.arange(len(new))
    return place - np.maximum.accumulate(np.where(new, place, 0)) if len(new) else place


def _number_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    n = types[0].shape[0]
    return Interval(0, max(n - 1, 0)) if isinstance(n, int) else None


@op("row_number", infer=_numbered, ref=_number_ref, bound=_number_bound)
def row_number(new: Value) -> Value:
    """The number of each row in its group, from 0; `new` (n,) is true at the first row of each group."""
    b = low(new)
    n = new.type.sizes[0]
    place = b.const(np.arange(n))
    if n == 0:
        return b.shared(place)
    starts = _starts(b, new)
    (first,) = spread(starts, [(starts * place).reshape((n, 1))], masked=True)
    return -first.reshape((n,)) + place
