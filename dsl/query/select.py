"""A plan as a circuit.

For: `build` (a relation of a plan's columns).
Leaves to others: joins, groups, expressions; what becomes of the result (`define`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

from dsl import syntax
from dsl.node import Node
from dsl.query import outer
from dsl.query.attach import attached, conditions, constant
from dsl.query.early import Early
from dsl.query.expressions import column_of, rows_of
from dsl.query.groups import grouped
from dsl.query.joins import Equality, join_all, looked_up
from dsl.query.late import Late, put_off
from dsl.query.ordering import limited, ordered
from dsl.query.plan import (
    Block,
    Column,
    Derived,
    From,
    Item,
    Joined,
    Ordered,
    Plan,
    Ref,
    Scan,
    Source,
    Union,
    outputs,
    refs,
)
from dsl.query.relation import Context, Dependency, InOrder, Part, Relation, closure, unique_on
from dsl.query.rewrite import rewritten
from dsl.query.scan import kept, picked, scanned
from dsl.query.unions import united
from dsl.query.windows import windowed

__all__ = ["build"]


def build(ctx: Context, plan: Plan, wanted: set[Column]) -> Relation:
    """The rows of a plan, with the columns that are wanted, and perhaps more."""
    match plan:
        case Block():
            return _block(ctx, plan, wanted)
        case Union():
            return united(ctx, plan, build)
        case Ordered():
            return _ordered(ctx, plan, wanted)


def _block(ctx: Context, block: Block, wanted: set[Column]) -> Relation:
    block = rewritten(block, ctx.constants)
    early = Early(ctx, block, wanted, grouped)
    alone = len(block.source.sources) == 1 and not block.source.conditions and not block.source.attaches
    relation = join_all(ctx, block.source, early, partial(_source, early=early) if alone else _source, build)
    if block.grouped:
        relation = grouped(ctx, relation, block.keys, block.measures, block.span, _asked(block))
        relation = _after(ctx, block, relation)
    shown = [i for i in block.items if i.hidden or block.distinct or i.column in wanted]
    used = {c for i in shown for c in refs(i.value)}
    windows = [one for one in block.windows if one.column in used]
    if windows:
        relation = windowed(ctx, relation, windows, used)
    if block.distinct:
        items = [i for i in block.items if not i.hidden]
        return grouped(ctx, relation, [(i.column, i.value) for i in items], [], block.span, block.sorted)
    return _projected(ctx, relation, shown)


def _asked(block: Block) -> list[tuple[Column | None, bool]]:
    """By which of the groups' own columns `order by` asks for rows; None for what is computed."""
    values = {i.column: i.value for i in block.items}
    nodes = [(None if column is None else values[column], down) for column, down in block.sorted]
    return [(node.column if isinstance(node, Ref) else None, down) for node, down in nodes]


def _after(ctx: Context, block: Block, relation: Relation) -> Relation:
    """Sub-queries and conditions over groups."""
    for attach in block.attaches:
        if attach.alone:
            constant(ctx, attach, build)
        else:
            relation = attached(ctx, relation, attach, build)
    return conditions(ctx, relation, block.having)


def _projected(ctx: Context, relation: Relation, items: Sequence[Item]) -> Relation:
    pairs = [(i.column, i.value) for i in items]
    old = {i.column: i.value.column for i in items if isinstance(i.value, Ref)}
    ranks = {c: Column(f"rank of {c.name}") for c, before in old.items() if before in relation.ranks}
    pairs += [(rank, Ref(relation.ranks[old[c]], span=items[0].value.span)) for c, rank in ranks.items()]
    uniques, dependencies = _uniques(relation, pairs), _dependencies(relation, pairs)
    span = items[0].value.span if items else None  # none where rows are only counted
    with ctx.operator("project", ctx.listed(i.value for i in items), relation, span=span) as doing:
        in_order = _in_order(relation.in_order, pairs)
        done = _shown(ctx, relation, pairs)
        done = replace(done, uniques=uniques, dependencies=dependencies, ranks=ranks, in_order=in_order)
        if all(isinstance(i.value, Ref) for i in items):  # only picked: nothing is done
            return replace(done, operator=relation.operator)
        return doing.done(done)


def _shown(ctx: Context, relation: Relation, pairs: Sequence[tuple[Column, Node]]) -> Relation:
    """The rows with other columns."""
    parts = []
    for part in relation.parts:
        rows = rows_of(ctx, part)
        parts.append(Part(part.rows, {column: column_of(rows, value) for column, value in pairs}, part.visible))
    done, groups = Relation(tuple(parts), ordered=relation.ordered), relation.groups()
    if groups is None:
        return done
    keys = {c: v.column for c, v in pairs if isinstance(v, Ref)}
    places = {c: groups.places[before] for c, before in keys.items() if before in groups.places}
    return done.still(groups, lambda r: _shown(ctx, r, pairs), places)


def _uniques(relation: Relation, items: Sequence[tuple[Column, Node]]) -> tuple[frozenset[Column], ...]:
    """Which sets of the new columns are unique, because the columns that they show are."""
    places: dict[Column, Column] = {}
    for column, value in items:
        if isinstance(value, Ref):
            places.setdefault(value.column, column)
    out = []
    fixed = closure([], relation.dependencies)
    for unique in relation.uniques:
        if unique - fixed <= places.keys():
            out.append(frozenset(places[c] for c in unique - fixed))
    for old, new in places.items():
        if unique_on(relation, [old]):
            out.append(frozenset([new]))
    return tuple(dict.fromkeys(out))


def _in_order(before: InOrder | None, items: Sequence[tuple[Column, Node]]) -> InOrder | None:
    """The order of the rows in terms of the new columns, as far as these show it."""
    if before is None:
        return None
    places: dict[Column, Column] = {}
    for column, value in items:
        if isinstance(value, Ref):
            places.setdefault(value.column, column)
    shown = takewhile(lambda by: by[0] in places, before.by)
    return before._replace(by=tuple((places[c], down) for c, down in shown))


def _dependencies(relation: Relation, items: Sequence[tuple[Column, Node]]) -> tuple[Dependency, ...]:
    """What each of the new columns determines alone."""
    out: list[Dependency] = []
    for column, value in items:
        if isinstance(value, Ref):
            known = closure([value.column], relation.dependencies)
            out.append((frozenset([column]), frozenset(c for c, v in items if set(refs(v)) <= known)))
    return tuple(out)


# ------------------------------------------------------------------------------------------- sources


def _source(ctx: Context, source: Source, wanted: set[Column], early: Early | None = None) -> Relation:
    """A source, with what is computed in it and without the rows that it drops.

    early: may group one side of a left join, where that is all that the select reads.
    """
    needed = wanted | {c for _, node in source.computed for c in refs(node)}
    needed |= {c for node in source.filters for c in refs(node)} | {c for a in source.attaches for c in a.outer}
    number = 0
    match source:
        case Scan():
            with ctx.operator("scan", source.table.name, span=source.span) as doing:
                number = doing.operator.number
                relation = doing.done(scanned(ctx, source, number))
        case Derived(plan=plan):
            relation = build(ctx, plan, needed & {c for _, c in outputs(plan)})
        case Joined():
            relation = outer.joined(ctx, source, needed, _from, None if early is None else early.found_by)
    for attach in source.attaches:
        relation = attached(ctx, relation, attach, build)
    relation = _computed(ctx, relation, source.computed)
    if isinstance(source, Scan):
        relation = kept(ctx, source, number, relation)
        return picked(relation, wanted | {*source.ranked} | {c for a in source.attaches for c in a.made})
    return conditions(ctx, relation, source.filters)


def _computed(ctx: Context, relation: Relation, computed: Sequence[tuple[Column, Node]]) -> Relation:
    if not computed:
        return relation
    nodes = [node for _, node in computed]
    with ctx.operator("project", ctx.listed(nodes), relation, span=nodes[0].span) as doing:
        more = tuple((frozenset(refs(node)), frozenset([column])) for column, node in computed)
        return doing.done(replace(_with(ctx, relation, computed), dependencies=(*relation.dependencies, *more)))


def _with(ctx: Context, relation: Relation, computed: Sequence[tuple[Column, Node]]) -> Relation:
    """The rows with more columns."""
    parts = []
    for part in relation.parts:
        columns = dict(part.columns)
        for column, node in computed:
            with ctx.w.at(node.span):
                columns[column] = column_of(rows_of(ctx, replace(part, columns=columns)), node)
        parts.append(replace(part, columns=columns))
    done = replace(relation, parts=tuple(parts))
    return done.still(relation.groups(), lambda r: _with(ctx, r, computed))


def _from(ctx: Context, source: From, wanted: set[Column]) -> Relation:
    """One side of a left join or of a join with a bound."""
    side = rewritten(Block(source, []), ctx.constants).source
    return join_all(ctx, side, _Plain(wanted), _source, build)


class _Plain:
    """Groups nothing."""

    def __init__(self, wanted: set[Column]) -> None:
        self._wanted = wanted

    def fits(self, relation: Relation, rows: int) -> bool:
        """Yes: nothing is added up."""
        del relation, rows
        return True

    def wanted(self) -> set[Column]:
        """The columns that are needed above."""
        return self._wanted

    def sorted_by(self, relation: Relation, asked: Sequence[Column]) -> Collection[Column]:
        """All: what comes above is not known."""
        del relation
        return asked

    def arrange(self, relation: Relation) -> Relation:
        """As it is."""
        return relation

    def reduce(self, relation: Relation, joins: Sequence[Node], rest: Sequence[Node]) -> Relation | None:
        """None: rows are wanted."""
        del relation, joins, rest
        return None


# -------------------------------------------------------------------------------------------- order


def _listed(ctx: Context, order: Sequence[tuple[Node, bool]]) -> str:
    """The keys as they stand in the study; one that says whether the next is there is that key's `nulls first`."""
    nodes = [node for node, _ in order]
    there = [syntax.IsNull(node, negated=True, span=node.span) for node in nodes]  # type: ignore[arg-type]
    first = {at for at in range(1, len(nodes)) if nodes[at - 1] == there[at]}
    shown = [(at, node, down) for at, (node, down) in enumerate(order) if at + 1 not in first]
    return ", ".join(ctx.w.text(n.span) + " desc" * down + " nulls first" * (at in first) for at, n, down in shown)


def _ordered(ctx: Context, plan: Ordered, wanted: set[Column]) -> Relation:
    plan, lates = put_off(plan, wanted)
    relation = _first_rows(ctx, plan, wanted | {there for late in lates for _, there in late.keys})
    for late in lates:
        relation = _looked_up(ctx, relation, late)
    return relation


def _looked_up(ctx: Context, relation: Relation, late: Late) -> Relation:
    """The rows with what they look up at last, in their order."""
    table = _source(ctx, late.scan, set(late.scan.columns))
    span = late.scan.span
    pairs = [Equality(Ref(b, span=span), Ref(a, span=span), Ref(b, span=span)) for a, b in late.keys]
    by = ", ".join(a.name for a, _ in late.keys)
    with ctx.operator("join", by, relation, table, span=span) as doing:
        done = looked_up(ctx, table, replace(relation, own=None), pairs, set(late.scan.columns))
        return doing.done(replace(done, ordered=relation.ordered), "the first rows look up what they show")


def _first_rows(ctx: Context, plan: Ordered, wanted: set[Column]) -> Relation:
    if isinstance(plan.plan, Block):
        columns = {i.column for i in plan.plan.items}
    else:
        columns = {c for _, c in outputs(plan.plan)}
    used = {c for node, _ in plan.order for c in refs(node)}
    relation = build(ctx, plan.plan, (wanted | used) & columns)
    kept = wanted & {c for _, c in outputs(plan.plan)}
    if plan.order:
        text = _listed(ctx, plan.order)
        with ctx.operator("sort", text, relation, span=plan.span) as doing:
            relation = doing.done(ordered(ctx, relation, plan.order, kept))
    if plan.whole:
        return relation
    limit = "" if plan.limit is None else f"{plan.limit}"
    with ctx.operator("limit", limit + f" offset {plan.offset}" * bool(plan.offset), relation, span=plan.span) as doing:
        return doing.done(limited(ctx, relation, plan.limit, plan.offset))
