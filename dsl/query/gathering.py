"""Groups that are looked up by their keys: worked out by the look-up, in one order of both sides' rows.

For: `gatherable`, `found_in` (any look-up by unique keys).
Leaves to others: the operation (`mpc.circuits.relational_gather`), groups that are wanted as rows (`sorted_groups`).

    each row of L with the sums of x over R where R.k = L.k  =  one order of the rows of L and R by k

in place of one order for the groups of R, and another for these and L [groupjoin: Moerkotte and Neumann, PVLDB 4(11),
2011].  What becomes of the groups before they are looked up, conditions and expressions, is then asked of L's rows.
The groups have been built too, and are worked out where something else needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from dsl.convert import to_int
from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.lookups import Found, Keys, keys_of, lookup, split, stacked
from dsl.query.measures import added_up, addends, limit_of, number
from dsl.query.plan import Column, Measure, Ref, refs
from dsl.query.relation import Context, Gathered, Part, Relation, emit, full, merged, packed, seen, unpacked
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array
from mpc.circuit import Value

__all__ = ["found_in", "gatherable"]

KINDS: Final = frozenset({"rows", "count", "sum", "total", "min", "max"})
HOW: Final = "in the order of the look-up"

_Finish: TypeAlias = "Callable[[Sequence[Value]], Array]"
"""Makes a measure of what the look-up gives: how many rows there are, then the combined columns."""


def gatherable(
    ctx: Context,
    relation: Relation,
    keys: Sequence[tuple[Column, Node]],
    measures: Sequence[Measure],
    groups: Relation,
) -> Relation:
    """The groups of a relation by these keys, which a look-up may work out itself where no party sees all rows."""
    used = [node for _, node in keys] + [m.argument for m in measures if m.argument is not None]
    viewers = seen(relation, {c for node in used for c in refs(node)})
    if viewers is None or viewers or not all(_kind(ctx, relation, m) for m in measures):
        return groups
    places = {c: c for c, _ in keys}
    return replace(groups, gathered=Gathered(groups.parts, relation, tuple(keys), tuple(measures), places))


def _kind(ctx: Context, relation: Relation, m: Measure) -> bool:
    """Whether a measure is one of those that are gathered: the smallest and largest of numbers, no texts."""
    if m.kind not in {"min", "max"}:
        return m.kind in KINDS
    assert m.argument is not None
    return column_of(rows_of(ctx, relation.parts[0]), m.argument).stype.kind not in {"text", "bool"}


def found_in(
    ctx: Context, left: Relation, nodes: Sequence[Node], columns: Sequence[Column], right: Sequence[Keys], span: Span
) -> list[Found]:
    """What each row of the right parts finds in `left`, whose keys are unique, of its columns."""
    groups = left.groups()
    done = None if groups is None else _gathered(ctx, groups, nodes, columns, right, span)
    if done is not None:
        return done
    part = merged(ctx, left)
    return lookup(ctx, part, keys_of(ctx, part, nodes), columns, right, span)


def _gathered(
    ctx: Context, groups: Gathered, nodes: Sequence[Node], columns: Sequence[Column], right: Sequence[Keys], span: Span
) -> list[Found] | None:
    """What each row of the right parts finds; None where it does not look up all of the keys, as they are."""
    shown = [groups.places.get(node.column) if isinstance(node, Ref) else None for node in nodes]
    by = dict(groups.keys)
    if len(shown) != len(by) or set(shown) != by.keys():
        return None
    part = merged(ctx, groups.rows)
    here = keys_of(ctx, part, [by[c] for c in shown if c is not None])
    if any(
        a.stype.optional(False) != b.stype.optional(False)
        for side in right
        for a, b in zip(here.columns, side.columns, strict=True)
    ):
        return None
    there = stacked(ctx, right)
    with ctx.w.at(span):
        found = _Gathering(ctx, part, groups.measures).run(here, there)
    rows = there.there.shape[0]
    # Where a key is missing nothing is found.
    known = [replace(a, valid=None, stype=a.stype.optional(False), exact=None) for a in there.columns]
    keys = {c: a for c, a in zip(shown, known, strict=True) if c is not None}
    done = Relation((Part(rows, {**keys, **found.columns}, found.matched),))
    for change in groups.then:
        done = change(done)
    (result,) = done.parts
    assert result.visible is not None
    if not set(columns) <= set(result.columns):  # ranks of the groups' keys
        return None
    if groups.operator is not None:
        groups.operator.how = HOW
    arrays = [full(result.columns[c], rows) for c in columns]
    sizes = [side.there.shape[0] for side in right]
    pieces = zip(*(split(v, sizes) for v in (result.visible, *packed(arrays))), strict=True)
    return [Found(m, dict(zip(columns, unpacked(arrays, values), strict=True))) for m, *values in pieces]


@dataclass(slots=True)
class _Gathering:
    """The measures of groups as one operation, and what is made of its results."""

    ctx: Context
    part: Part
    measures: Sequence[Measure]
    how: list[str] = field(default_factory=list)
    operands: list[Value] = field(default_factory=list)

    def run(self, here: Keys, there: Keys) -> Found:
        """For each right row, whether there is a group with its key, and the measures of that."""
        finish = {m.column: self._measure(m) for m in self.measures}
        count, *results = self.ctx.w.builder.emit_many(
            "gather_rows",
            *(a.value for a in here.columns),
            here.there,
            *self.operands,
            *(a.value for a in there.columns),
            there.there,
            keys=len(here.columns),
            how=tuple(self.how),
        )
        return Found(count > 0, {c: make([count, *results]) for c, make in finish.items()})

    def _add(self, how: str, *operands: Value) -> int:
        """The place of a combined column among the results."""
        self.how.append(how)
        self.operands += operands
        return len(self.how)

    def _measure(self, m: Measure) -> _Finish:
        if m.argument is None:
            return lambda r: Array(r[0], INTEGER)
        ctx = self.ctx
        whole = full(column_of(rows_of(ctx, self.part), m.argument), self.part.rows)
        some = 0 if whole.valid is None else self._add("sum", whole.valid)
        if m.kind == "count":
            return lambda r: Array(r[some], INTEGER)
        a = to_int(whole)
        if m.kind in {"sum", "total"}:
            stype = number(ctx, m, whole).stype
            value, frac = addends(ctx, a.value, whole.valid)
            at = self._add("sum", value)
            missing = m.kind == "sum" and whole.valid is not None

            def total(r: Sequence[Value]) -> Array:
                return Array(added_up(ctx, r[at], frac), stype.optional(missing), r[some] > 0 if missing else None)

            return total
        limit = limit_of(ctx, a, m.kind == "min")
        value = a.value if whole.valid is None else emit(ctx, "select", whole.valid, a.value, limit)
        at = self._add(m.kind, value, limit)

        def extreme(r: Sequence[Value]) -> Array:
            valid = None if whole.valid is None else r[some] > 0
            return Array(r[at], whole.stype.optional(valid is not None), valid)

        return extreme
