"""Left and full joins, and joins with a bound.

For: `joined`.
Leaves to others: joins that may be done in any order (`joins`).

A left join keeps every left row.  Where the right side has each key once, left rows look it up.  Otherwise the result
has the rows that match, and below them the left rows that nothing matches: a left row's number tells which these are.
A full join is the left join, and below it the right rows that nothing matches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from dsl.node import Node
from dsl.planned import Kind
from dsl.query.attach import conditions, maybe, spread_across, spread_down
from dsl.query.expressions import rows_of, truth_of
from dsl.query.gathering import found_in
from dsl.query.joins import columns_joined, equality, settled
from dsl.query.lookups import Keys, bounded, keys_of, lookup, matches
from dsl.query.measures import nothing
from dsl.query.plan import Column, From, Joined, Ref, refs
from dsl.query.relation import (
    Context,
    Part,
    Relation,
    count,
    filtered,
    front,
    full,
    merged,
    numbered,
    shown,
    unique_on,
)
from dsl.stypes import BOOLEAN, INTEGER
from dsl.values import Array
from mpc.types import Size

__all__ = ["joined"]

BuildFrom: TypeAlias = "Callable[[Context, From, set[Column]], Relation]"
Grouped: TypeAlias = "Callable[[Relation, Relation, Sequence[Node], Sequence[Node]], Relation | None]"


class _On(NamedTuple):
    """The conditions of a join: what both sides are equal in, and the rest."""

    left: list[Node]
    right: list[Node]
    rest: list[Node]


def joined(ctx: Context, j: Joined, wanted: set[Column], build: BuildFrom, grouped: Grouped | None = None) -> Relation:
    """The rows of a join.  grouped: may group the right side of a left join, whose left side has each key once."""
    needed = wanted | {c for node in j.on for c in refs(node)}
    left, right = build(ctx, j.left, needed), build(ctx, j.right, needed)
    here, there = left.columns, right.columns
    own = [c for c in j.on if j.kind != "full" and set(refs(c)) - set(ctx.constants) <= there]
    right = conditions(ctx, right, own)
    on = _On([], [], [])
    for condition in j.on:
        found = equality(condition, here, there)
        if found is not None:
            on.left.append(found.left)
            on.right.append(found.right)
        elif condition not in own:
            on.rest.append(condition)
    if grouped is not None and _repeats(j, left, right, on):
        rest = [*j.filters, *(node for _, node in j.computed), *(outer for a in j.attaches for outer, _ in a.keys)]
        rest += [Ref(c, span=a.span) for a in j.attaches for c in a.outer]
        right = grouped(left, right, on.right, rest) or right
    with ctx.operator(_KINDS[j.kind], ctx.listed(j.on, " and "), left, right, span=j.span) as doing:
        done, how = _joined(ctx, j, left, right, on)
        return doing.done(done, how)


def _repeats(j: Joined, left: Relation, right: Relation, on: _On) -> bool:
    """Whether it is a left join by equalities alone, whose left side has each key once and whose right one may not."""
    plain = j.kind == "left" and j.bound is None and bool(on.left) and not on.rest
    once = plain and unique_on(left, columns_joined(on.left))
    return once and not unique_on(right, columns_joined(on.right))


_KINDS: Final[dict[str, Kind]] = {"inner": "join", "left": "left join", "full": "full join"}


def _joined(ctx: Context, j: Joined, left: Relation, right: Relation, on: _On) -> tuple[Relation, str]:
    """The rows of a join, and how they are found."""
    if on.left and unique_on(right, columns_joined(on.right)):
        return _looked_up(ctx, j, left, right, on), "each row looks up the second table's"
    if on.left and unique_on(left, columns_joined(on.left)):
        if j.kind == "full":
            swapped = _On(on.right, on.left, on.rest)
            return _looked_up(ctx, j, right, left, swapped), "each row of the second table looks up the first's"
        return _both(ctx, j, left, right, on), "each row of the second table looks up the first's"
    if j.bound is None:
        word = _KINDS[j.kind]
        helps = [f"say how many rows there may be: `{word} … on … bounded 1000`", "or declare a key `unique`"]
        ctx.w.fail("E0602", "neither side of this join has each key once", j.span, helps=helps)
    how = f"all pairs, in {j.bound} rows" if on.left else f"all rows with all, then {j.bound} rows"
    return _bounded(ctx, j, left, right, on), how


def _looked_up(ctx: Context, j: Joined, left: Relation, right: Relation, on: _On) -> Relation:
    """Each left row with the right row that it finds, if any."""
    row = Column("row")
    if j.kind == "full":
        right = replace(right, parts=(_with_number(ctx, merged(ctx, right), row),))
    shown = list(right.parts[0].columns)
    found = found_in(ctx, right, on.right, shown, [keys_of(ctx, p, on.left) for p in left.parts], j.span)
    parts = []
    for p, f in zip(left.parts, found, strict=True):
        matched = f.matched
        both = replace(p, columns={**p.columns, **f.columns})
        for condition in on.rest:
            matched = matched & truth_of(rows_of(ctx, both), condition).value
        if j.kind == "inner":
            parts.append(replace(both, visible=matched))
        else:
            parts.append(replace(p, columns={**p.columns, **{c: maybe(matched, a) for c, a in f.columns.items()}}))
    if j.kind == "full":
        return _with_rest(ctx, j, Relation(tuple(parts)), [(right.parts[0], row)])
    known = (
        frozenset(c for node in on.left for c in refs(node))
        | {c for node in on.rest for c in refs(node)} - right.columns
    )
    dependencies = (*left.dependencies, (known, frozenset(right.columns)))
    ranks = {**left.ranks, **right.ranks}
    return _limited(ctx, j, settled(ctx, Relation(tuple(parts), left.uniques, dependencies, ranks=ranks)))


def _both(ctx: Context, j: Joined, left: Relation, right: Relation, on: _On) -> Relation:
    """Each right row with the left row that it finds; of a left join, the left rows without one below."""
    row = Column("row")
    part = _with_number(ctx, merged(ctx, left), row)
    keys = keys_of(ctx, part, on.left)
    found = lookup(ctx, part, keys, list(part.columns), [keys_of(ctx, p, on.right) for p in right.parts], j.span)
    parts = [
        replace(p, columns={**p.columns, **f.columns}, visible=f.matched)
        for p, f in zip(right.parts, found, strict=True)
    ]
    pairs = settled(ctx, conditions(ctx, Relation(tuple(parts), right.uniques), on.rest))
    return _with_rest(ctx, j, pairs, [(part, row)] if j.kind == "left" else [])


def _bounded(ctx: Context, j: Joined, left: Relation, right: Relation, on: _On) -> Relation:
    """All pairs that match, in so many rows as the bound says."""
    rows = Column("row"), Column("row")
    x, y = (_with_number(ctx, merged(ctx, side), row) for side, row in zip((left, right), rows, strict=True))
    limit = j.bound
    assert limit is not None
    if isinstance(limit, Size):
        ctx.w.fail("E0310", "the bound of a join must be known before the data are", j.span)
    if on.left:
        pairs = bounded(ctx, x, keys_of(ctx, x, on.left), y, keys_of(ctx, y, on.right), limit, j.span)
    else:
        columns = {c: spread_down(full(a, x.rows), y.rows) for c, a in x.columns.items()}
        columns |= {c: spread_across(full(a, y.rows), x.rows) for c, a in y.columns.items()}
        both = spread_down(Array(shown(ctx, x), BOOLEAN), y.rows).value
        both = both & spread_across(Array(shown(ctx, y), BOOLEAN), x.rows).value
        pairs = Part(x.rows * y.rows, columns, both)
    relation = conditions(ctx, Relation((pairs,)), on.rest)
    if not on.left:
        relation = _fitted(ctx, j, relation, limit)
    kept = {"inner": 0, "left": 1, "full": 2}[j.kind]
    return _with_rest(ctx, replace(j, bound=None), relation, list(zip((x, y), rows, strict=True))[:kept])


def _with_number(ctx: Context, part: Part, row: Column) -> Part:
    """A part with its rows' numbers."""
    return replace(part, columns={**part.columns, row: Array(numbered(ctx, part.rows), INTEGER)})


def _with_rest(ctx: Context, j: Joined, pairs: Relation, kept: Sequence[tuple[Part, Column]]) -> Relation:
    """The pairs of a join, and the rows that are in none of the sides that are kept, by their numbers."""
    if not kept:
        return _limited(ctx, j, pairs)
    all_pairs = merged(ctx, pairs)
    rest = [_alone(ctx, j, all_pairs, side, row) for side, row in kept]
    whole = Relation((*pairs.parts, *rest))
    return _limited(ctx, j, settled(ctx, whole))


def _alone(ctx: Context, j: Joined, pairs: Part, side: Part, row: Column) -> Part:
    """The rows of a side that are in no pair."""
    here = keys_of(ctx, pairs, [Ref(row, span=j.span)])
    rows = Keys([full(side.columns[row], side.rows)], shown(ctx, side))
    (matched,) = matches(ctx, here, [rows], j.span)
    alone = filtered(side, ~matched)
    columns = dict(alone.columns)
    for c, a in pairs.columns.items():
        if c not in columns:
            columns[c] = full(nothing(ctx, a), alone.rows)
    return replace(alone, columns=columns)


def _limited(ctx: Context, j: Joined, relation: Relation) -> Relation:
    """With no more rows than the bound, where one was given although none was needed."""
    if j.bound is None or isinstance(j.bound, Size):
        return relation
    return _fitted(ctx, j, relation, j.bound)


def _fitted(ctx: Context, j: Joined, relation: Relation, limit: int) -> Relation:
    rows = relation.rows
    if isinstance(rows, int) and rows <= limit:
        return relation
    part = merged(ctx, relation)
    ctx.check(count(ctx, shown(ctx, part)) > limit, "a join has more rows than its bound", j.span)
    return replace(relation, parts=(front(ctx, part, limit),), own=None)
