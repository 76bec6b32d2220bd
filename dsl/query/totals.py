"""All rows as one group: its measures are single values, in a relation of one row.

For: `totals`.
Leaves to others: what needs rows in order (`sorted_groups`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from dsl.convert import to_int
from dsl.query import sorted_groups
from dsl.query.expressions import column_of, rows_of
from dsl.query.measures import addable, added_up, combined, limit_of, nothing, number
from dsl.query.plan import Column, Measure, refs
from dsl.query.relation import Context, Part, Relation, all_true, count, emit, full, merged, single
from dsl.stypes import BOOLEAN, INTEGER
from dsl.values import Array
from mpc.circuit import Value

__all__ = ["totals"]


def totals(ctx: Context, relation: Relation, measures: Sequence[Measure]) -> Relation:
    """One row with the measures of all rows."""
    columns: dict[Column, Array] = {}
    ordered = [m for m in measures if m.kind in {"distinct", "distinct sum", "quantile"}]
    for m in measures:
        if m not in ordered:
            columns[m.column] = full(_total(ctx, relation, m), 1)
    if ordered:
        needed = {c for m in ordered if m.argument is not None for c in refs(m.argument)}
        part = merged(ctx, relation, needed)
        if part.rows == 0:
            columns |= {m.column: full(_of_nothing(ctx, part, m), 1) for m in ordered}
        else:
            groups = sorted_groups.by_sorting(ctx, part, [], ordered, 1)
            there = single(Array(groups.there, BOOLEAN)).value
            for m in ordered:
                columns[m.column] = full(_if_any(ctx, m, there, single(groups.measures[m.column])), 1)
    return Relation((Part(1, columns),), (frozenset(),))


def _if_any(ctx: Context, m: Measure, there: Value, a: Array) -> Array:
    """A measure of the one group, if there is one: a count is 0 otherwise, another measure missing."""
    if m.kind == "distinct":
        zero = ctx.w.builder.const(np.zeros(()), a.value.dtype)
        return replace(a, value=emit(ctx, "select", there, a.value, zero))
    return replace(a, valid=there if a.valid is None else a.valid & there, stype=a.stype.optional())


def _of_nothing(ctx: Context, part: Part, m: Measure) -> Array:
    assert m.argument is not None
    a = column_of(rows_of(ctx, part), m.argument)
    if m.kind == "distinct":
        return ctx.w.const(0, INTEGER)
    return nothing(ctx, sorted_groups.quantile_of_one(ctx, m, a) if m.kind == "quantile" else a)


def _total(ctx: Context, relation: Relation, m: Measure) -> Array:
    """The measure as a single value."""
    if m.argument is None:
        return Array(_added([_rows(ctx, p) for p in relation.parts]), INTEGER)
    arrays = [column_of(rows_of(ctx, p), m.argument) for p in relation.parts]
    masks = [_present(p, a) for p, a in zip(relation.parts, arrays, strict=True)]
    if m.kind == "count":
        return Array(_added([_counted(ctx, p, mask) for p, mask in zip(relation.parts, masks, strict=True)]), INTEGER)
    if m.kind in {"min", "max"}:
        each = [_extreme(ctx, m, p, a, mask) for p, a, mask in zip(relation.parts, arrays, masks, strict=True)]
        return reduce(lambda a, b: combined(ctx, m, a, b), each)
    if m.kind == "any":
        numbers = [to_int(a) for a in arrays]
    else:
        numbers = [number(ctx, m, a) for a in arrays]
    value = _added([_sum(ctx, a, mask) for a, mask in zip(numbers, masks, strict=True)])
    if m.kind == "any" and arrays[0].stype.kind == "bool":
        value = value.equals(1)
    stype = arrays[0].stype if m.kind == "any" else numbers[0].stype
    if m.kind == "total":
        return Array(value, stype.optional(False))
    counted = [_counted(ctx, p, mask) for p, mask in zip(relation.parts, masks, strict=True)]
    certain = all(mask is None for mask in masks) and isinstance(relation.rows, int) and relation.rows > 0
    valid = None if certain else _added(counted) > 0
    return Array(value, stype.optional(valid is not None), valid)


def _added(values: Sequence[Value]) -> Value:
    return reduce(lambda a, b: a + b, values)


def _present(part: Part, a: Array) -> Value | None:
    """Which rows count; None when all do."""
    if a.valid is None:
        return part.visible
    return a.valid if part.visible is None else a.valid & part.visible


def _rows(ctx: Context, part: Part) -> Value:
    return _counted(ctx, part, part.visible)


def _counted(ctx: Context, part: Part, mask: Value | None) -> Value:
    if mask is not None:
        return count(ctx, mask)
    return ctx.w.region.dim(part.rows) if isinstance(part.rows, int) else count(ctx, all_true(ctx, part.rows))


def _sum(ctx: Context, a: Array, mask: Value | None) -> Value:
    value, frac = addable(ctx, a.value)
    if mask is not None and not (value.is_const and not value.constant.any()):
        zero = ctx.w.builder.const(np.zeros(()), value.dtype)
        shape = mask.reshape((*mask.shape, 1)) if a.stype.kind == "text" else mask
        value = emit(ctx, "select", shape, value, zero)
    return added_up(ctx, emit(ctx, "sum", value, axis=0, keepdims=False), frac)


# ------------------------------------------------------------------------------------------ extremes


def _extreme(ctx: Context, m: Measure, part: Part, a: Array, mask: Value | None) -> Array:
    """The smallest or largest of one part, with a mask that says whether there is one."""
    if part.rows == 0:
        return nothing(ctx, a)
    if a.stype.kind == "text":
        groups = sorted_groups.by_sorting(ctx, part, [], [m], 1)
        found, there = single(groups.measures[m.column]), single(Array(groups.there, BOOLEAN)).value
        return replace(found, valid=there if found.valid is None else there & found.valid, stype=a.stype.optional())
    x = to_int(a)
    value = x.value
    if mask is not None:
        value = emit(ctx, "select", mask, value, limit_of(ctx, x, m.kind == "min"))
    value = emit(ctx, m.kind, value, axis=0, keepdims=False)
    if a.stype.kind == "bool":
        value = value.equals(1)
    if mask is None:
        return Array(value, a.stype.optional(False))
    return Array(value, a.stype.optional(), count(ctx, mask) > 0)
