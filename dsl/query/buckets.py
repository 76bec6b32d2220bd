"""Groups by keys of few public values: a row for each combination of them, without a sort.

For: `space`, `by_bucket`.
Leaves to others: sums over buckets (`mpc.circuits.relational_buckets`), measures that need rows in order
(`sorted_groups`).

The keys of the result are public, and whether a group is there is not.  Sums are taken part by part: what one owner
sees it adds up in the clear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from operator import add, or_
from typing import Final, NamedTuple

import numpy as np

from dsl.node import Node
from dsl.query import sorted_groups
from dsl.query.expressions import column_of, rows_of
from dsl.query.known import interval
from dsl.query.measures import added_up, addends, combined, number
from dsl.query.plan import Column, Measure, refs
from dsl.query.relation import Context, Part, Relation, all_true, emit, merged, packed, unpacked
from dsl.stypes import INTEGER, SType
from dsl.values import Array
from mpc.circuit import Array as NDArray
from mpc.circuit import Value
from mpc.types import BOOL

__all__ = ["Space", "by_bucket", "space"]

MOST: Final = 256
"""Combinations of values up to which groups are buckets."""


class _Axis(NamedTuple):
    """A key: its values are lowest, lowest + 1, …, `size` of them; one more stands for what is missing."""

    column: Column
    node: Node
    stype: SType
    lowest: int
    size: int

    @property
    def all(self) -> int:
        """How many values, the missing one among them."""
        return self.size + self.stype.nullable


class Space(NamedTuple):
    """The combinations of all keys' values, the last key's changing fastest."""

    axes: tuple[_Axis, ...]

    @property
    def size(self) -> int:
        """How many combinations."""
        return int(np.prod([a.all for a in self.axes]))


def space(ctx: Context, relation: Relation, keys: Sequence[tuple[Column, Node]]) -> Space | None:
    """The combinations of the keys' values, if they are public and few."""
    axes = []
    for column, node in keys:
        arrays = [column_of(rows_of(ctx, p), node) for p in relation.parts]
        stype = arrays[0].stype.optional(any(a.valid is not None for a in arrays))
        known = _values(arrays, stype)
        if known is None:
            return None
        axes.append(_Axis(column, node, stype, *known))
    out = Space(tuple(axes))
    rows = relation.rows
    few = max(16, rows) if isinstance(rows, int) else MOST
    return out if out.size <= min(MOST, few) else None


def _values(arrays: Sequence[Array], stype: SType) -> tuple[int, int] | None:
    """The lowest of a key's values and how many there are."""
    if stype.kind == "bool":
        return 0, 2
    if stype.kind == "enum":
        return 0, len(stype.words)
    if stype.kind not in {"int", "decimal", "date"}:
        return None
    ranges = [interval(a.value) for a in arrays]
    known = [r for r in ranges if r is not None]
    if len(known) < len(ranges):
        return None
    low, high = min(r.lo for r in known), max(r.hi for r in known)
    return (int(low), int(high - low) + 1) if high - low < MOST else None


def by_bucket(ctx: Context, relation: Relation, s: Space, measures: Sequence[Measure]) -> Part:
    """A row for each combination, visible where there is a row of it."""
    numbers = [_numbers(ctx, part, s) for part in relation.parts]
    sums = [m for m in measures if m.kind in {"rows", "count", "sum", "total"}]
    each = [_sums(ctx, part, n, s, sums) for part, n in zip(relation.parts, numbers, strict=True)]
    rows = reduce(add, [e[0] for e in each])
    columns = {a.column: _public(ctx, s, place) for place, a in enumerate(s.axes)}
    for at, m in enumerate(sums):
        columns[m.column] = _summed(m, [(e[0], e[1][at]) for e in each])
    for m in measures:
        if m.kind in {"min", "max"}:
            parts = [_ordered(ctx, p, n, s, [m])[m.column] for p, n in zip(relation.parts, numbers, strict=True)]
            columns[m.column] = reduce(partial(combined, ctx, m), parts)
    others = [m for m in measures if m not in sums and m.kind not in {"min", "max"}]
    if others:
        axes = {c for a in s.axes for c in refs(a.node)}
        needed = axes | {c for m in others if m.argument is not None for c in refs(m.argument)}
        part = merged(ctx, relation, needed)
        columns |= _ordered(ctx, part, _numbers(ctx, part, s), s, others)
    return Part(s.size, columns, rows > 0)


def _numbers(ctx: Context, part: Part, s: Space) -> Value:
    """The number of each row's combination."""
    out: Value | None = None
    for axis in s.axes:
        a = column_of(rows_of(ctx, part), axis.node)
        digit = a.value.to_int() if a.value.dtype == BOOL else a.value
        digit = digit - axis.lowest if axis.lowest else digit
        if a.valid is not None:
            digit = emit(ctx, "select", a.valid, digit, ctx.w.builder.const(np.int64(axis.size)))
        out = digit if out is None else out * axis.all + digit
    assert out is not None
    return out


def _public(ctx: Context, s: Space, place: int) -> Array:
    """The values of a key in all combinations."""
    axis = s.axes[place]
    inner = int(np.prod([a.all for a in s.axes[place + 1 :]]))
    digits: NDArray = (np.arange(s.size) // inner) % axis.all
    there = digits < axis.size
    values = np.where(there, digits + axis.lowest, 0)
    dtype = axis.stype.dtype(ctx.w.frac)
    value = ctx.w.builder.const(values.astype(np.bool_) if dtype == BOOL else values, dtype)
    valid = ctx.w.builder.const(there) if axis.stype.nullable else None
    return Array(value, axis.stype, valid)


class _Sum(NamedTuple):
    """A measure of one part: what was counted or added, and how many numbers were."""

    value: Value
    present: Value | None
    stype: SType


def _sums(ctx: Context, part: Part, index: Value, s: Space, measures: Sequence[Measure]) -> tuple[Value, list[_Sum]]:
    """How many rows each combination has in a part, and its measures there."""
    columns: list[Value] = []
    plans: list[tuple[int | None, int, int | None, SType]] = []

    def place(v: Value) -> int:
        known = next((i for i, c in enumerate(columns) if c.index == v.index), None)
        if known is None:
            columns.append(v)
        return len(columns) - 1 if known is None else known

    for m in measures:
        if m.argument is None:
            plans.append((None, 0, None, INTEGER))
            continue
        a = column_of(rows_of(ctx, part), m.argument)
        present = None if a.valid is None else place(a.valid)
        if m.kind == "count":
            plans.append((present, 0, None, INTEGER))
            continue
        a = number(ctx, m, a)
        zero = a.value.is_const and not a.value.constant.any()
        value, frac = addends(ctx, a.value, None if zero else a.valid)
        plans.append((-1 if zero else place(value), frac, present, a.stype.optional(False)))
    visible = all_true(ctx, part.rows) if part.visible is None else part.visible
    rows, *sums = ctx.w.builder.emit_many("bucket_sums", index, visible, *columns, n=s.size)
    nothing = ctx.w.builder.const(np.zeros(s.size, np.int64))

    def out(at: int | None) -> Value:
        return rows if at is None else nothing if at < 0 else sums[at]

    return rows, [
        _Sum(added_up(ctx, out(value), frac), None if present is None else out(present), stype)
        for value, frac, present, stype in plans
    ]


def _summed(m: Measure, parts: Sequence[tuple[Value, _Sum]]) -> Array:
    """A measure over all parts, each with the numbers of its rows."""
    value = reduce(add, [p.value for _, p in parts])
    stype = parts[0][1].stype
    if m.kind != "sum" or all(p.present is None for _, p in parts):
        return Array(value, stype)
    # Where a part's values are all there, as those of a left join's rows that found something, its rows count.
    some = [(rows if p.present is None else p.present) > 0 for rows, p in parts]
    return Array(value, stype.optional(), reduce(or_, some))


def _ordered(ctx: Context, part: Part, index: Value, s: Space, measures: Sequence[Measure]) -> dict[Column, Array]:
    """Measures that need rows in order: of sorted groups, each then put where its combination stands."""
    groups = sorted_groups.by_sorting(ctx, part, [Array(index, INTEGER)], measures, s.size)
    arrays = [groups.measures[m.column] for m in measures]
    places = ctx.w.builder.const(np.arange(s.size))
    payload = packed(arrays)
    found, *values = ctx.w.builder.emit_many(
        "lookup_rows",
        groups.keys[0].value,
        groups.there,
        *payload,
        places,
        all_true(ctx, s.size),
        keys=1,
        payload=len(payload),
    )
    out = {}
    for m, a in zip(measures, unpacked(arrays, values), strict=True):
        if m.kind in {"min", "max"}:
            valid = found if a.valid is None else found & a.valid
            out[m.column] = replace(a, valid=valid, stype=a.stype.optional())
        else:
            out[m.column] = a
    return out
