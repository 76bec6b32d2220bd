"""The rows of two selects together: `union`, `intersect`, `except`.

For: `united`.
Leaves to others: the grouping (`groups`).

Rows are put together as they are.  Each is shown once as a group of all its columns, in which missing values are equal;
how many of a group's rows came from either side tells `intersect` and `except` which groups are theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from dsl.convert import unify
from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.groups import grouped
from dsl.query.plan import Column, Measure, Plan, Ref, Union, outputs
from dsl.query.relation import Context, Part, Relation, filtered, full
from dsl.query.texts import side_by_side
from dsl.stypes import INTEGER
from dsl.values import Array

__all__ = ["united"]

Build: TypeAlias = "Callable[[Context, Plan, set[Column]], Relation]"


def united(ctx: Context, union: Union, build: Build) -> Relation:
    """The rows of both sides."""
    sides = [build(ctx, side, {c for _, c in outputs(side)}) for side in (union.left, union.right)]
    listed = [[c for _, c in outputs(side)] for side in (union.left, union.right)]
    parts: list[Part] = []
    arrays: list[list[Array]] = []
    for relation, columns in zip(sides, listed, strict=True):
        for part in relation.parts:
            parts.append(part)
            arrays.append([column_of(rows_of(ctx, part), Ref(c, span=union.span)) for c in columns])
    names = [c for _, c in union.columns]
    with ctx.operator("union", "union all", *sides, span=union.span) as doing:
        together = [side_by_side(ctx, column) for column in zip(*arrays, strict=True)]
        unified = [unify(ctx.w, column, union.span)[0] for column in together]
        out = [
            Part(part.rows, {c: column[at] for c, column in zip(names, unified, strict=True)}, part.visible)
            for at, part in enumerate(parts)
        ]
        whole = doing.done(Relation(tuple(out)))
    if union.all:
        return whole
    keys: list[tuple[Column, Node]] = [(c, Ref(c, span=union.span)) for c in names]
    if union.kind == "union":
        return grouped(ctx, whole, keys, [], union.span)
    return _of_sides(ctx, union, whole, len(sides[0].parts), keys)


def _of_sides(ctx: Context, union: Union, whole: Relation, left: int, keys: Sequence[tuple[Column, Node]]) -> Relation:
    """Each row once that both sides have, or the left one alone; the first `left` of the parts are that side's."""
    here, there = Column("left"), Column("right")
    parts = []
    for at, part in enumerate(whole.parts):
        flags = {
            c: full(ctx.w.const(int(side), INTEGER), part.rows) for c, side in ((here, at < left), (there, at >= left))
        }
        parts.append(replace(part, columns={**part.columns, **flags}))
    counts = [Measure(c, "total", Ref(c, span=union.span), union.span) for c in (here, there)]
    found = grouped(ctx, replace(whole, parts=tuple(parts)), keys, counts, union.span)
    with ctx.operator("filter", union.kind, found, span=union.span) as doing:
        kept = []
        for part in found.parts:
            none = part.columns[there].value.equals(0)
            part = filtered(part, ~part.columns[here].value.equals(0))
            kept.append(filtered(part, ~none if union.kind == "intersect" else none))
        return doing.done(replace(found, parts=tuple(kept)))
