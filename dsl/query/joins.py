"""Joining the sources of a select, in the order that costs least.

For: `join_all`; `looked_up`, one join whose sides are known.
Leaves to others: left joins and bounds (`outer`), grouping before a join (`early`), the look-up itself (`lookups`).

Two relations are joined by the equalities between them.  One must have each key once: the other then looks it up and
keeps its own rows, so that a join's size is public.  Of several equalities those that the unique key needs are enough:
what is found then meets the others as conditions, which cost a comparison a row where a longer key costs a longer sort.
Relations that one party sees are joined first, by that party alone; then the smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, TypeAlias

from dsl import syntax
from dsl.node import Node
from dsl.query.attach import attached, conditions, constant, spread_across, spread_down
from dsl.query.gathering import found_in
from dsl.query.implied import Equal
from dsl.query.lookups import keys_of
from dsl.query.plan import Attach, Column, From, Joined, Plan, Ref, Source, refs
from dsl.query.ranks import ranked
from dsl.query.relation import Context, Dependency, Part, Relation, dropped, full, merged, seen, unique_on
from dsl.source import Span
from dsl.stypes import BOOLEAN
from dsl.values import Array
from mpc.types import Dim

__all__ = ["Equality", "Reducer", "columns_joined", "equality", "join_all", "looked_up", "settled"]

PAIRS = 1 << 22
"""Rows above which a join without a condition is refused."""

BuildSource: TypeAlias = "Callable[[Context, Source, set[Column]], Relation]"
BuildPlan: TypeAlias = "Callable[[Context, Plan, set[Column]], Relation]"


class Equality(NamedTuple):
    """A condition that an expression over one side equals one over the other."""

    condition: Node
    left: Node
    right: Node


class Reducer(Protocol):
    """What may group a relation before it is joined."""

    def reduce(self, relation: Relation, joins: Sequence[Node], rest: Sequence[Node]) -> Relation | None:
        """The relation grouped by what it is joined by, in which each key then occurs once; None where that may not be.

        joins: its sides of the equalities by which it is joined. rest: what else is still to be worked out of it.
        """

    def fits(self, relation: Relation, rows: int) -> bool:
        """Whether sums over so many rows of a relation are known to fit, or nothing is known of what is added up."""

    def wanted(self) -> set[Column]:
        """The columns that are needed after all joins."""

    def sorted_by(self, relation: Relation, asked: Sequence[Column]) -> Collection[Column]:
        """Of columns whose order is asked for, those that rows will be sorted by; `relation` has what is known."""

    def arrange(self, relation: Relation) -> Relation:
        """The rows in another order that suits what comes after the joins; one party sees all of them."""


def equality(condition: Node, left: set[Column], right: set[Column]) -> Equality | None:
    """The condition, if it equates the two sides."""
    if not isinstance(condition, syntax.Compare) or condition.op != "==":
        return None
    a, b = set(refs(condition.left)), set(refs(condition.right))
    if not a or not b:
        return None
    if a <= left and b <= right:
        return Equality(condition, condition.left, condition.right)
    if b <= left and a <= right:
        return Equality(condition, condition.right, condition.left)
    return None


@dataclass(slots=True)
class _Joins:
    """Relations that are not yet joined, and what is still to be done with them."""

    ctx: Context
    build: BuildPlan
    reducer: Reducer
    relations: list[Relation]
    conditions: list[Node]
    attaches: list[Attach]
    span: Span
    constants: set[Column] = field(default_factory=set)
    equal: Equal = field(init=False)

    def run(self) -> Relation:
        """All of them joined."""
        self.equal = Equal.of(self.relations)
        self.conditions = [*self.conditions, *self.equal.follow(self.relations, self.conditions)]
        while True:
            self._apply()
            if len(self.relations) == 1:
                break
            self._step()
        (relation,) = self.relations
        for attach in self.attaches:
            self.ctx.w.fail("E0901", "a sub-query that refers two levels out is not supported yet", attach.span)
        return conditions(self.ctx, relation, self.conditions)

    def _apply(self) -> None:
        """Attach and filter wherever all columns are there."""
        for at, relation in enumerate(self.relations):
            changed = relation
            if self.attaches and _party(seen(relation)) is not None:
                changed = self.reducer.arrange(relation)
            for attach in [a for a in self.attaches if a.outer - self.constants <= changed.columns]:
                changed = attached(self.ctx, changed, attach, self.build)
                self.attaches.remove(attach)
            have = changed.columns | self.constants
            ready = [c for c in self.conditions if set(refs(c)) <= have and set(refs(c)) & changed.columns]
            self.conditions = [c for c in self.conditions if c not in ready]
            ready = self.equal.asked(ready)
            changed = conditions(self.ctx, changed, ready)
            same = [d for c in ready if (e := equality(c, have, have)) is not None for d in _equal(e)]
            if same:
                changed = replace(changed, dependencies=(*changed.dependencies, *same))
            self.relations[at] = changed if changed is relation else settled(self.ctx, changed)

    def _step(self) -> None:
        """Join the two relations that are best joined next."""
        best = min(self._pairs(), key=lambda p: p.cost, default=None)
        if best is None or not best.alone:
            if self._reduce(lambda r: _party(seen(r)) is not None):
                return
            if best is None and self._reduce(lambda _: True):
                return
        if best is None:
            self._cross()
            return
        a, b = self.relations[best.left], self.relations[best.right]
        if not best.alone and self._reduce(lambda r: r is b and self._gathers(a, b)):
            return
        equalities = _telling(a, best.equalities)
        self.relations = [r for r in self.relations if r is not a and r is not b]
        self.equal.hold(e.condition for e in equalities)
        used = [e.condition for e in equalities]
        self.conditions = self.equal.open(c for c in self.conditions if c not in used)
        if not best.alone and _party(seen(b)) is not None:
            b = self.reducer.arrange(b)
        text = " and ".join(self._text(c) for c in used)
        with self.ctx.operator("join", text, b, a, span=used[0].span) as doing:
            done = looked_up(self.ctx, a, b, equalities, self._needed())
            self.relations.append(doing.done(done, "each row looks up the second table's"))

    def _text(self, condition: Node) -> str:
        """A condition as it stands in the study; one that nobody wrote from its sides."""
        if isinstance(condition, syntax.Compare) and any(condition is made for made in self.equal.made):
            return " = ".join(self.ctx.w.text(side.span) for side in (condition.left, condition.right))
        return self.ctx.w.text(condition.span)

    def _needed(self) -> set[Column]:
        pending = {c for node in self.conditions for c in refs(node)} | {c for a in self.attaches for c in a.outer}
        return pending | self.reducer.wanted()

    def _equalities(self, a: Relation, b: Relation) -> list[Equality]:
        left, right = a.columns, b.columns
        return [e for c in self.conditions if (e := equality(c, left, right)) is not None]

    def _pairs(self) -> Iterator[_Pair]:
        """The ways to join two relations of which the first has each key once."""
        for i, a in enumerate(self.relations):
            for j, b in enumerate(self.relations):
                equalities = [] if i == j else self._equalities(a, b)
                if equalities and unique_on(a, columns_joined([e.left for e in equalities])):
                    alone = _party(seen(a)) is not None and seen(a) == seen(b)
                    yield _Pair(i, j, equalities, alone, (not alone, _size(b.rows), _size(a.rows), i, j))

    def _reduce(self, allowed: Callable[[Relation], bool]) -> bool:
        """Group a relation by what it is joined by, where that may be."""
        for at, relation in enumerate(self.relations):
            found = [e for r in self.relations if r is not relation for e in self._equalities(relation, r)]
            joins = [e.left for e in found]
            if not joins or unique_on(relation, columns_joined(joins)) or not allowed(relation):
                continue
            used = [e.condition for e in found]
            others = [c for c in self.conditions if c not in used]
            others += [outer for a in self.attaches for outer, _ in a.keys]
            others += [Ref(c, span=a.span) for a in self.attaches for c in a.outer]
            reduced = self.reducer.reduce(relation, joins, others)
            if reduced is not None:
                self.relations[at] = reduced
                return True
        return False

    def _gathers(self, a: Relation, b: Relation) -> bool:
        """Whether rows of `a` had better look up groups of `b` than those of `b` rows of `a`: there are no more."""
        others = [r for r in self.relations if r is not a and r is not b]
        if not isinstance(a.rows, int) or not isinstance(b.rows, int) or a.rows > b.rows:
            return False
        if any(self._equalities(r, b) or self._equalities(b, r) for r in others):
            return False
        return self.reducer.fits(b, b.rows * a.rows)

    def _cross(self) -> None:
        """Join relations that no equality ties: one of a single row, or few rows all with all."""
        tied = [
            e for i, a in enumerate(self.relations) for b in self.relations[i + 1 :] for e in self._equalities(a, b)
        ]
        if tied:
            e = tied[0]
            text = self.ctx.w.text(e.condition.span)
            self.ctx.w.fail(
                "E0602",
                "neither side of this join has each key once",
                e.condition.span,
                helps=[f"say how many rows there may be: `join … on {text} bounded 1000`", "or declare a key `unique`"],
            )
        small = sorted(self.relations, key=lambda r: _size(r.rows))
        a, b = small[0], small[-1]
        self.relations = [r for r in self.relations if r is not a and r is not b]
        with self.ctx.operator("join", "", a, b, span=self.span) as doing:
            self.relations.append(doing.done(_crossed(self.ctx, a, b, self.span), "all rows with all"))


class _Pair(NamedTuple):
    left: int
    right: int
    equalities: list[Equality]
    alone: bool
    cost: tuple[bool, int, int, int, int]


def _size(rows: Dim) -> int:
    return rows if isinstance(rows, int) else 1 << 40


def _party(viewers: frozenset[str] | None) -> str | None:
    """The one party that sees all; None for none, and for what all see."""
    return next(iter(viewers)) if viewers is not None and len(viewers) == 1 else None


def columns_joined(nodes: Sequence[Node]) -> list[Column]:
    """The columns among expressions that a relation is joined by."""
    return [n.column for n in nodes if isinstance(n, Ref)]


def join_all(ctx: Context, source: From, reducer: Reducer, build_source: BuildSource, build: BuildPlan) -> Relation:
    """The rows of all sources together; conditions and sub-queries have been put in their places (`rewrite`)."""
    for attach in source.attaches:
        if attach.alone:
            constant(ctx, attach, build)
    attaches = [a for a in source.attaches if not a.alone]
    constants = set(ctx.constants)
    pending = {c for node in source.conditions for c in refs(node)} | {c for a in attaches for c in a.outer}
    wanted = pending | reducer.wanted()
    relations = [build_source(ctx, s, wanted) for s in source.sources]
    relations = _ranked(ctx, source, relations, reducer)
    joins = _Joins(ctx, build, reducer, relations, list(source.conditions), attaches, source.span, constants)
    return joins.run()


def _ranked(ctx: Context, source: From, relations: Sequence[Relation], reducer: Reducer) -> list[Relation]:
    """The sources' rows with the ranks that are asked for."""
    wishes = [() if isinstance(s, Joined) else tuple(s.ranked) for s in source.sources]
    if not any(wishes):
        return list(relations)
    columns = {c: a for r in relations for c, a in r.parts[0].columns.items()}
    everything = set(columns)
    pairs = [e for c in source.conditions if (e := equality(c, everything, everything)) is not None]
    known = [d for r in relations for d in r.dependencies] + [d for e in pairs for d in _equal(e)]
    whole = Relation((Part(0, columns),), dependencies=tuple(known))
    sorts = reducer.sorted_by(whole, [c for wish in wishes for c in wish])
    out = []
    for at, (one, relation, wish) in enumerate(zip(source.sources, relations, wishes, strict=True)):
        others = max((_size(r.rows) for i, r in enumerate(relations) if i != at), default=0)
        with ctx.operator("rank", ", ".join(c.name for c in wish), relation, span=one.span) as doing:
            done = ranked(ctx, relation, wish, sorts, others)
            out.append(relation if done.ranks == relation.ranks else doing.done(done))
    return out


def _telling(a: Relation, equalities: Sequence[Equality]) -> Sequence[Equality]:
    """Equalities that are enough for `a` to have each key once; texts are left out first."""
    columns = a.parts[0].columns

    def width(e: Equality) -> int:
        array = columns.get(e.left.column) if isinstance(e.left, Ref) else None
        return 0 if array is None or array.stype.kind != "text" else array.stype.length

    kept = list(equalities)
    for e in sorted(kept, key=width, reverse=True):
        rest = [k for k in kept if k is not e]
        if rest and unique_on(a, columns_joined([k.left for k in rest])):
            kept = rest
    return kept


def _equal(e: Equality) -> list[Dependency]:
    """That each of two columns tells the other."""
    if not isinstance(e.left, Ref) or not isinstance(e.right, Ref):
        return []
    x, y = frozenset([e.left.column]), frozenset([e.right.column])
    return [(x, y), (y, x)]


def settled(ctx: Context, relation: Relation) -> Relation:
    """As one part, once which rows there are is no longer seen by the parts' owners."""
    masks = [p.visible for p in relation.parts if p.visible is not None]
    if len(relation.parts) > 1 and any(m.type.secret for m in masks):
        return replace(relation, parts=(merged(ctx, relation),), own=None)
    return relation


def looked_up(ctx: Context, a: Relation, b: Relation, equalities: Sequence[Equality], needed: set[Column]) -> Relation:
    """b, each row beside the row of a that has its key; rows without one are invisible."""
    there = [keys_of(ctx, p, [e.right for e in equalities]) for p in b.parts]
    needed = a.with_ranks(needed)
    columns = [c for c in a.parts[0].columns if c in needed]
    span = equalities[0].condition.span.to(equalities[-1].condition.span)
    found = found_in(ctx, a, [e.left for e in equalities], columns, there, span)
    left, own = dropped(ctx, b, [f.matched for f in found])
    parts = [
        replace(p, columns={**p.columns, **f.columns}, visible=there)
        for p, f, there in zip(b.parts, found, left, strict=True)
    ]
    same = [d for e in equalities for d in _equal(e)]
    uniques = b.uniques
    if unique_on(b, columns_joined([e.right for e in equalities])):
        uniques = (*b.uniques, *a.uniques)
    ranks = {**a.ranks, **b.ranks}
    known = (*a.dependencies, *b.dependencies, *same)
    return settled(ctx, Relation(tuple(parts), uniques, known, together=b.together, ranks=ranks, own=own))


def _crossed(ctx: Context, a: Relation, b: Relation, span: Span) -> Relation:
    """All rows of both, with one another."""
    x, y = merged(ctx, a), merged(ctx, b)
    n, m = x.rows, y.rows
    if isinstance(n, int) and isinstance(m, int) and n * m > PAIRS:
        helps = ["say which rows belong together: `on a.key = b.key`"]
        ctx.w.fail("E0602", f"all {n} rows would be joined with all {m}", span, helps=helps)
    columns = {c: spread_down(full(v, n), m) for c, v in x.columns.items()}
    columns |= {c: spread_across(full(v, m), n) for c, v in y.columns.items()}
    visible = None
    for part, spread, other in ((x, spread_down, m), (y, spread_across, n)):
        if part.visible is not None:
            mask = spread(Array(part.visible, BOOLEAN), other).value
            visible = mask if visible is None else visible & mask
    uniques = tuple(u | v for u in a.uniques for v in b.uniques)
    ranks = {**a.ranks, **b.ranks}
    return Relation((Part(n * m, columns, visible),), uniques, (*a.dependencies, *b.dependencies), ranks=ranks)
