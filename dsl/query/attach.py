"""Sub-queries' columns beside the rows that they belong to.

For: `attached`, `constant` (a sub-query of one row).
Leaves to others: what a sub-query came to (`subqueries`), building it (`select`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from dsl import syntax
from dsl.convert import to_int
from dsl.node import Node
from dsl.query.expressions import Rows, column_of, rows_of, truth_of
from dsl.query.gathering import found_in
from dsl.query.lookups import Found, keys_of, matches
from dsl.query.measures import limit_of, nothing
from dsl.query.plan import Attach, Column, Measure, Plan, Ref, columns_of
from dsl.query.present import present, without_missing
from dsl.query.relation import Context, Part, Relation, dropped, emit, filtered, full, merged, shown, single, unique_on
from dsl.stypes import BOOLEAN, INTEGER
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import BOOL, Dim

__all__ = ["attached", "conditions", "constant", "maybe", "spread_across", "spread_down"]

Build: TypeAlias = "Callable[[Context, Plan, set[Column]], Relation]"

PAIRS = 1 << 22
"""Pairs of rows above which not all are tried."""


def constant(ctx: Context, attach: Attach, build: Build) -> None:
    """Make the columns of a sub-query of one row single values."""
    wanted = set(attach.columns) | ({attach.single} if attach.single else set())
    inner = build(ctx, attach.plan, wanted)
    with ctx.operator("value", ctx.w.text(attach.span), inner, span=attach.span) as doing:
        part = merged(ctx, inner)
        for column in attach.columns:
            ctx.constants[column] = single(full(part.columns[column], part.rows))
        if attach.single is not None:
            many = ctx.constants[attach.single].value > 1
            ctx.check(many, "a sub-query used as a value has more than one row", attach.span)
        doing.done(inner)
    ctx.values.append(doing.operator)
    ctx.constants[attach.matched] = Array(ctx.w.builder.const(np.bool_(True), BOOL), BOOLEAN)


def attached(ctx: Context, relation: Relation, attach: Attach, build: Build) -> Relation:
    """The relation with the sub-query's columns, missing where there is nothing."""
    wanted = columns_of(attach.plan) if attach.pairs else {c for _, c in attach.keys} | set(attach.columns)
    inner = build(ctx, attach.plan, wanted)
    how = "all rows with all" if attach.pairs else "look-up by equal keys"
    with ctx.operator("attach", ctx.w.text(attach.span), relation, inner, span=attach.span) as doing:
        done = (_paired if attach.pairs else _found)(ctx, relation, inner, attach)
        return doing.done(done, how)


def _found(ctx: Context, relation: Relation, inner: Relation, attach: Attach) -> Relation:
    """Each row with the sub-query's row that has its key."""
    inner_keys = [Ref(c, span=attach.span) for _, c in attach.keys]
    part = merged(ctx, inner)
    here = keys_of(ctx, part, inner_keys)
    there = [keys_of(ctx, p, [outer for outer, _ in attach.keys]) for p in relation.parts]
    certain = [keys.columns[at - attach.certain] for keys in (here, *there) for at in range(attach.certain)]
    if any(a.valid is not None for a in certain):
        message = "`in` of several columns of which some may be missing is not supported yet, but as a condition alone"
        helps = ["write `not exists (select 1 as x from … where …)`, or leave out what is missing"]
        ctx.w.fail("E0901", message, attach.span, helps=helps)
    if unique_on(inner, [c for _, c in attach.keys]):
        found = found_in(ctx, inner, inner_keys, attach.columns, there, attach.span)
    elif not attach.columns:
        found = [Found(m, {}) for m in matches(ctx, here, there, attach.span)]
    else:
        ctx.w.fail("E0608", "a sub-query used as a value may have several rows here", attach.span)
    parts = []
    for p, f in zip(relation.parts, found, strict=True):
        columns = {c: maybe(f.matched, a) for c, a in f.columns.items()}
        parts.append(replace(p, columns={**p.columns, **columns, attach.matched: Array(f.matched, BOOLEAN)}))
    keys = frozenset(c for outer, _ in attach.keys if isinstance(outer, Ref) for c in [outer.column])
    determined = (keys, frozenset(attach.made))
    more = (determined,) if all(isinstance(outer, Ref) for outer, _ in attach.keys) else ()
    return replace(relation, parts=tuple(parts), dependencies=(*relation.dependencies, *more))


def maybe(matched: Value, array: Array) -> Array:
    """A column that is missing where nothing matched."""
    valid = matched if array.valid is None else matched & array.valid
    return replace(array, valid=valid, stype=array.stype.optional(), exact=None)


# ------------------------------------------------------------------------------------- all with all


def _paired(ctx: Context, relation: Relation, inner: Relation, attach: Attach) -> Relation:
    whole = merged(ctx, inner)
    parts = []
    for part in relation.parts:
        columns = _measured(ctx, part, whole, attach)
        parts.append(replace(part, columns={**part.columns, **columns}))
    return replace(relation, parts=tuple(parts))


def _measured(ctx: Context, outer: Part, inner: Part, attach: Attach) -> dict[Column, Array]:
    n, m = outer.rows, inner.rows
    if isinstance(n, int) and isinstance(m, int) and n * m > PAIRS:
        ctx.w.fail("E0901", f"such a condition on more than {PAIRS} pairs of rows is not supported yet", attach.span)
    columns = {c: spread_down(full(a, n), m) for c, a in outer.columns.items()}
    columns |= {c: spread_across(full(a, m), n) for c, a in inner.columns.items()}
    rows = Rows(ctx, columns, n * m)
    holds: Value = spread_across(Array(shown(ctx, inner), BOOLEAN), n).value
    for condition in attach.pairs:
        holds = holds & truth_of(rows, condition).value
    return {measure.column: _measure(ctx, rows, measure, holds, (n, m)) for measure in attach.measures}


def spread_down(array: Array, m: Dim) -> Array:
    """Every row m times, one after another."""

    def change(v: Value) -> Value:
        n, *rest = v.shape
        return v.reshape((n, 1, *rest)).broadcast_to((n, m, *rest)).reshape((n * m, *rest))

    return replace(array, value=change(array.value), valid=None if array.valid is None else change(array.valid))


def spread_across(array: Array, n: Dim) -> Array:
    """All rows, n times."""

    def change(v: Value) -> Value:
        m, *rest = v.shape
        return v.reshape((1, m, *rest)).broadcast_to((n, m, *rest)).reshape((n * m, *rest))

    return replace(array, value=change(array.value), valid=None if array.valid is None else change(array.valid))


def _measure(ctx: Context, rows: Rows, measure: Measure, holds: Value, shape: tuple[Dim, Dim]) -> Array:
    """A measure of the rows that hold, for each outer row."""

    def total(v: Value) -> Value:
        return emit(ctx, "sum", v.reshape(shape), axis=1, keepdims=False)

    if measure.argument is None:
        return Array(total(holds.to_int()), INTEGER)
    a = to_int(column_of(rows, measure.argument))
    there = holds if a.valid is None else holds & a.valid
    number = total(there.to_int())
    if measure.kind == "count":
        return Array(number, INTEGER)
    stype, zero = a.stype.optional(), ctx.w.builder.const(np.zeros(()), a.value.dtype)
    if shape[1] == 0:
        return full(nothing(ctx, a), shape[0])
    some = number > 0
    if measure.kind == "sum":
        return Array(total(emit(ctx, "select", there, a.value, zero)), stype, some)
    limit = limit_of(ctx, a, measure.kind == "min")
    masked = emit(ctx, "select", there, a.value, limit).reshape(shape)
    return Array(emit(ctx, measure.kind, masked, axis=1, keepdims=False), stype, some)


def conditions(ctx: Context, relation: Relation, nodes: Sequence[Node]) -> Relation:
    """The rows for which all conditions are true."""
    if not nodes:
        return relation
    fixed = {column for node in nodes if (column := _fixed(node)) is not None}
    if fixed:
        known = (frozenset[Column](), frozenset(fixed))
        relation = replace(relation, dependencies=(*relation.dependencies, known))
    with ctx.operator("filter", ctx.listed(nodes, " and "), relation, span=nodes[0].span) as doing:
        return doing.done(_holding(ctx, relation, nodes))


def _holding(ctx: Context, relation: Relation, nodes: Sequence[Node]) -> Relation:
    """The rows for which the conditions hold."""
    groups = relation.groups()
    for node in nodes:
        with ctx.w.at(node.span):
            parts = relation.parts
            masks = [truth_of(rows_of(ctx, p), node).value.broadcast_to((p.rows,)) for p in parts]
            masks, own = dropped(ctx, relation, masks)
            there = present(node)
            left = tuple(without_missing(filtered(p, m), there) for p, m in zip(parts, masks, strict=True))
            relation = replace(relation, parts=left, own=own)
    return relation.still(groups, lambda r: _holding(ctx, r, nodes))


def _fixed(condition: Node) -> Column | None:
    """The column of which a condition leaves one whole number."""
    if not isinstance(condition, syntax.Compare) or condition.op != "==":
        return None
    sides: list[Node] = [condition.left, condition.right]
    columns = [side.column for side in sides if isinstance(side, Ref)]
    return columns[0] if len(columns) == 1 and any(isinstance(side, syntax.Int) for side in sides) else None
