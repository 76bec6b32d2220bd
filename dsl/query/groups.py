"""Groups and their measures.

For: `grouped`, `determining`, `stand_together`.
Leaves to others: few public groups (`buckets`), any groups (`sorted_groups`), all rows as one group (`totals`).

Rows that are each a group of their own need no grouping.  Keys of few public values (enums, truth values, declared
ranges) need no sort: every owner adds up its own rows for each of them, in the clear, and only these sums are shared.
Otherwise rows are sorted by the keys that determine all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from dsl.convert import to_int
from dsl.node import Node
from dsl.planned import Kind
from dsl.query import buckets, parted, sorted_groups, totals
from dsl.query.expressions import column_of, rows_of
from dsl.query.gathering import gatherable
from dsl.query.measures import number
from dsl.query.plan import Column, Measure, Ref, refs
from dsl.query.relation import Context, InOrder, Part, Relation, closure, emit, merged, seen, unique_on
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array

__all__ = ["determining", "grouped", "stand_together"]


def grouped(
    ctx: Context,
    relation: Relation,
    keys: Sequence[tuple[Column, Node]],
    measures: Sequence[Measure],
    span: Span,
    order: Sequence[tuple[Column | None, bool]] = (),
    *,
    final: bool = True,
) -> Relation:
    """A row for each group, with the columns of the keys and of the measures.

    order: the keys' columns by which the groups will be put in order, descending or not; None for other columns.
    final: these are the groups that the text at `span` asks for, whatever the sizes, of which an owner may tell how
    many there are.
    """
    kind: Kind = "group" if measures or not keys else "distinct"
    named = [c.name if ctx.w.text(node.span) == ctx.w.text(span) else ctx.w.text(node.span) for c, node in keys]
    with ctx.operator(kind, ", ".join(named), relation, span=span) as doing:
        sort = partial(_sorted, place=span.start if final else None)
        done, how = _grouped(ctx, relation, keys, measures, order, sort)
        if final:
            ctx.w.plans.scans[doing.operator.number] = span.start
        done = doing.done(done, how)
        groups = done.groups()
        return done if groups is None else replace(done, gathered=groups._replace(operator=doing.operator))


def _grouped(
    ctx: Context,
    relation: Relation,
    keys: Sequence[tuple[Column, Node]],
    measures: Sequence[Measure],
    order: Sequence[tuple[Column | None, bool]],
    sort: Callable[..., Relation],
) -> tuple[Relation, str]:
    """The groups, and how they are found.  sort: `_sorted`."""
    if not keys:
        return totals.totals(ctx, relation, measures), "all rows are one group"
    plain = [node.column for _, node in keys if isinstance(node, Ref)]
    if unique_on(relation, plain):
        parts = tuple(_each(ctx, part, keys, measures) for part in relation.parts)
        return Relation(parts, _uniques(ctx, relation, keys), _renamed(relation, keys)), "each row is a group"
    space = buckets.space(ctx, relation, keys)
    if space is not None:
        part = buckets.by_bucket(ctx, relation, space, measures)
        return Relation((part,), (frozenset(c for c, _ in keys),)), "few public groups: owners add up first"
    first = parted.owners_first(ctx, relation, keys, measures, sort)
    if first is not None:
        whole = replace(first.relation, dependencies=_renamed(relation, first.inner))
        return _sorted(ctx, whole, first.keys, first.measures, order), parted.HOW
    together = stand_together(relation, determining(relation, keys)[0])
    done = sort(ctx, relation, keys, measures, order)
    return (done, "in order already") if together else (gatherable(ctx, relation, keys, measures, done), "by sorting")


def _sorted(
    ctx: Context,
    relation: Relation,
    keys: Sequence[tuple[Column, Node]],
    measures: Sequence[Measure],
    order: Sequence[tuple[Column | None, bool]] = (),
    *,
    place: int | None = None,
) -> Relation:
    kept, carried = determining(relation, keys)
    kept, down = _as_ordered(kept, order)
    by = tuple((column, descends) for (column, _), descends in zip(kept, down, strict=True))
    ranks = {c: Column(c.name) for c, node in kept if isinstance(node, Ref) and node.column in relation.ranks}
    carried += [key for key in kept if key[0] in ranks]
    kept = [(ranks.get(c, c), _by_rank(relation, node)) for c, node in kept]
    more = [Measure(column, "any", node, node.span) for column, node in carried]
    needed = {c for _, node in kept for c in refs(node)}
    needed |= {c for m in (*measures, *more) if m.argument is not None for c in refs(m.argument)}
    part = merged(ctx, relation, needed)
    arrays = [column_of(rows_of(ctx, part), node) for _, node in kept]
    told = None if place is None else _told(ctx, part, place)
    limit, together = sorted_groups.most(arrays) if told is None else told, stand_together(relation, kept)
    groups = sorted_groups.by_sorting(ctx, part, arrays, [*measures, *more], limit, descending=down, together=together)
    columns = {column: array for (column, _), array in zip(kept, groups.keys, strict=True)} | groups.measures
    key = frozenset(c for c, _ in kept)
    same = [(frozenset([a]), frozenset([b])) for c, r in ranks.items() for a, b in ((c, r), (r, c))]
    part = Part(groups.rows, columns, groups.there)
    in_order = None if together else InOrder(by, groups.there)
    return Relation((part,), (key,), ((key, frozenset(columns)), *same), ranks=ranks, in_order=in_order)


def _told(ctx: Context, part: Part, place: int) -> int | None:
    """How many groups there are of rows that one owner sees, where that owner tells it; place: in the text."""
    viewers = seen(Relation((part,)))
    told = ctx.w.bindings.kept.items()
    mine = [t.rows for (party, _, at), t in told if at == place and not t.at and viewers == frozenset([party])]
    return mine[0] if mine else None


def _as_ordered(
    kept: list[tuple[Column, Node]], order: Sequence[tuple[Column | None, bool]]
) -> tuple[list[tuple[Column, Node]], list[bool]]:
    """The keys in the order in which the most of what is asked for last is done by sorting by them, and directions.

    What is asked for before that then needs a stable sort by itself alone.
    """
    nodes = dict(kept)
    for at in range(len(order)):
        asked = [(column, down) for column, down in order[at:] if column in nodes]
        if len(asked) == len(order) - at:
            first = {column: down for column, down in reversed(asked) if column is not None}
            chosen = list(dict.fromkeys(column for column, _ in asked if column is not None))
            rest = [column for column, _ in kept if column not in first]
            return [(c, nodes[c]) for c in (*chosen, *rest)], [first.get(c, False) for c in (*chosen, *rest)]
    return kept, [False] * len(kept)


def _by_rank(relation: Relation, node: Node) -> Node:
    """A key's rank where it has one."""
    if isinstance(node, Ref) and node.column in relation.ranks:
        return Ref(relation.ranks[node.column], span=node.span)
    return node


def determining(
    relation: Relation, keys: Sequence[tuple[Column, Node]]
) -> tuple[list[tuple[Column, Node]], list[tuple[Column, Node]]]:
    """The keys that determine all others, and those others: long ones are left out first."""
    types = relation.parts[0].columns

    def cost(key: tuple[Column, Node]) -> int:
        _, node = key
        array = types.get(node.column) if isinstance(node, Ref) else None
        return 100 if array is None else {"text": 200, "enum": 1, "bool": 0}.get(array.stype.kind, 10)

    kept = sorted(keys, key=cost)
    carried: list[tuple[Column, Node]] = []
    for key in reversed(list(kept)):
        rest = [k for k in kept if k is not key]
        known = closure([n.column for _, n in rest if isinstance(n, Ref)], relation.dependencies)
        if rest and set(refs(key[1])) <= known:
            kept = rest
            carried.append(key)
    return kept, carried


def stand_together(relation: Relation, keys: Sequence[tuple[Column, Node]]) -> bool:
    """Whether the rows of each group stand together already."""
    known = {c for _, node in keys for c in refs(node)}
    here = set(relation.together)
    if not here or any(not isinstance(node, Ref) for _, node in keys):
        return False
    return here <= closure(known, relation.dependencies) and known <= closure(here, relation.dependencies)


# ---------------------------------------------------------------------------------- rows as groups


def _each(ctx: Context, part: Part, keys: Sequence[tuple[Column, Node]], measures: Sequence[Measure]) -> Part:
    rows = rows_of(ctx, part)
    columns = {column: column_of(rows, node) for column, node in keys}
    for measure in measures:
        columns[measure.column] = _alone(ctx, part, measure)
    return Part(part.rows, columns, part.visible)


def _alone(ctx: Context, part: Part, m: Measure) -> Array:
    """A measure of a single row."""
    one = ctx.w.builder.const(np.int64(1)).broadcast_to((part.rows,))
    if m.argument is None:
        return Array(one, INTEGER)
    a = column_of(rows_of(ctx, part), m.argument)
    match m.kind:
        case "count" | "distinct":
            return Array(one if a.valid is None else a.valid.to_int(), INTEGER)
        case "min" | "max" | "any":
            return a
        case "quantile":
            return sorted_groups.quantile_of_one(ctx, m, a)
    a = number(ctx, m, a)
    if m.kind == "total" and a.valid is not None:
        zero = ctx.w.builder.const(np.zeros(()), a.value.dtype)
        return Array(emit(ctx, "select", a.valid, a.value, zero), a.stype.optional(False))
    return to_int(a)


def _uniques(ctx: Context, relation: Relation, keys: Sequence[tuple[Column, Node]]) -> tuple[frozenset[Column], ...]:
    """Which of the new columns are unique: all of the keys, and fewer where fewer determine the rows."""
    del ctx
    out = []
    for column, node in keys:
        if isinstance(node, Ref) and unique_on(relation, [node.column]):
            out.append(frozenset([column]))
    return (*out, frozenset(c for c, _ in keys)) if out else (frozenset(c for c, _ in keys),)


def _renamed(
    relation: Relation, keys: Sequence[tuple[Column, Node]]
) -> tuple[tuple[frozenset[Column], frozenset[Column]], ...]:
    """What is known to determine what, of the keys' new columns."""
    out = []
    for column, node in keys:
        if isinstance(node, Ref):
            known = closure([node.column], relation.dependencies)
            others = frozenset(c for c, n in keys if set(refs(n)) <= known)
            out.append((frozenset([column]), others))
    return tuple(out)
