"""Rows and columns while a query's circuit is built.

For: `Part`, `Relation` (what one owner brings stays a part of its own as long as it can), `Context`, and what moves
rows: `filtered`, `merged`, `front`, `crossed`; what is known of a relation: `unique_on`, `closure`, `seen`.
Leaves to others: expressions (`expressions`), joins, groups, order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from dsl.node import Node
from dsl.planned import Kind, Operator, Piece
from dsl.query.plan import Column, Measure
from dsl.source import Span
from dsl.stypes import text_words
from dsl.values import Array
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import BOOL, INT, Dim, Shape, Size, Viewers, meet

__all__ = [
    "Check",
    "Context",
    "Dependency",
    "Doing",
    "Gathered",
    "InOrder",
    "OwnRows",
    "Part",
    "Relation",
    "all_true",
    "closure",
    "count",
    "dropped",
    "emit",
    "filtered",
    "front",
    "full",
    "merged",
    "moved",
    "numbered",
    "packed",
    "seen",
    "shown",
    "single",
    "unique_on",
    "unpacked",
]

Dependency: TypeAlias = "tuple[frozenset[Column], frozenset[Column]]"
"""The second columns have one value for each of the first's."""


@dataclass(frozen=True, slots=True)
class Part:
    """Columns of one length. visible: which rows are there, None when all are."""

    rows: Dim
    columns: Mapping[Column, Array]
    visible: Value | None = None


class InOrder(NamedTuple):
    """Visible rows stand in the order of these columns, descending or not, what is missing last in either case.

    first: which rows were visible when these stood before all others; rows that were dropped since lie among them.
    """

    by: tuple[tuple[Column, bool], ...]
    first: Value


class Gathered(NamedTuple):
    """Groups that a look-up by all of their keys may work out itself: one order of rows serves both.

    parts: of the relation that this is said of, which may not have changed since. rows: what is grouped. keys,
    measures: as of groups. places: columns that show keys. then: what became of the groups, row by row: conditions and
    columns. operator: that of the groups.
    """

    parts: tuple[Part, ...]
    rows: Relation
    keys: tuple[tuple[Column, Node], ...]
    measures: tuple[Measure, ...]
    places: Mapping[Column, Column]
    then: tuple[Callable[[Relation], Relation], ...] = ()
    operator: Operator | None = None


class OwnRows(NamedTuple):
    """The scan of which the parts are the rows, as they were brought, and of which nothing else has been made.

    table: its name. scan: its number. owners: of each part, who brought its rows for this scan alone, None where that
    is not so. at: the number of the next condition that is no filter of the scan; these count down from -1.
    """

    table: str
    scan: int
    owners: tuple[Viewers, ...]
    at: int = -1


@dataclass(frozen=True, slots=True)
class Relation:
    """The rows of all parts, which have the same columns.

    uniques: columns whose values occur in one visible row at most; the empty set: there is one row at most.
    dependencies: what determines what. ordered: the order is a result, visible rows first. together: rows with equal
    values in all of these columns stand together, invisible ones perhaps among them. ranks: columns that have the same
    order as others, in fewer bits. in_order: the order in which the rows of the one part stand, where it is known.
    """

    parts: tuple[Part, ...]
    uniques: tuple[frozenset[Column], ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    ordered: bool = False
    together: tuple[Column, ...] = ()
    ranks: Mapping[Column, Column] = field(default_factory=dict)
    operator: Operator | None = None
    """Which one gave these rows."""
    in_order: InOrder | None = None
    own: OwnRows | None = None
    """Where owners may leave out rows that are dropped later."""
    gathered: Gathered | None = None

    def groups(self) -> Gathered | None:
        """What these rows are groups of, where a look-up may still choose."""
        return self.gathered if self.gathered is not None and self.gathered.parts is self.parts else None

    def still(
        self,
        before: Gathered | None,
        then: Callable[[Relation], Relation],
        places: Mapping[Column, Column] | None = None,
    ) -> Relation:
        """These rows, which came of groups by `then`; places: as of `Gathered`, where columns are others now."""
        if before is None:
            return replace(self, gathered=None)
        shown = before.places if places is None else places
        return replace(self, gathered=before._replace(parts=self.parts, places=shown, then=(*before.then, then)))

    def with_ranks(self, columns: Iterable[Column]) -> set[Column]:
        """The columns and their ranks."""
        found = set(columns)
        return found | {r for c, r in self.ranks.items() if c in found}

    @property
    def columns(self) -> set[Column]:
        """The columns that every part has."""
        return set(self.parts[0].columns)

    @property
    def rows(self) -> Dim:
        """How many rows, the invisible ones too."""
        total: Dim = 0
        for part in self.parts:
            total = total + part.rows
        return total


@dataclass(frozen=True, slots=True)
class Check:
    """A flag that must be false: opened, with all others of a query together, before the query has a result."""

    flag: Value
    message: str
    span: Span


@dataclass(slots=True)
class Context:
    """A query being built. constants: single values that any expression may use. later: what is
    checked once all else is built, whose orders of rows then serve. tables: those (by identity) whose
    declared keys are among the checks. values: the operators that gave the constants,
    and what is checked."""

    w: Walker
    constants: dict[Column, Array] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    later: list[Callable[[], None]] = field(default_factory=list)
    tables: set[int] = field(default_factory=set)
    values: list[Operator] = field(default_factory=list)

    def listed(self, nodes: Iterable[Node], between: str = ", ") -> str:
        """Expressions as they stand in the study."""
        return between.join(dict.fromkeys(self.w.text(n.span) for n in nodes))

    @contextmanager
    def operator(self, kind: Kind, text: str, *inputs: Relation, span: Span | None = None) -> Iterator[Doing]:
        """What is built inside belongs to an operator of the query's plan; `done` tells its result."""
        w, plans = self.w, self.w.plans
        plans.count += 1
        place = w.span if span is None else span
        below = tuple(r.operator for r in inputs if r.operator is not None)
        one = Operator(plans.count, kind, text, below, place)
        before, plans.current = plans.current, one.number
        try:
            with w.at(place):
                yield Doing(one)
        finally:
            plans.current = before

    def check(self, flag: Value, message: str, span: Span) -> None:
        """The job ends with `message` if `flag` is true."""
        if not (flag.is_const and not flag.constant.any()):
            self.checks.append(Check(flag, message, span))

    def checked(self) -> bool:
        """Whether anything must be checked: all of it has been built then."""
        others, self.checks = self.checks, []
        while self.later:
            self.later.pop(0)()
        self.checks += others  # what tables declare is named first
        return bool(self.checks)


class Doing(NamedTuple):
    """An operator being built."""

    operator: Operator

    def done(self, relation: Relation, how: str = "") -> Relation:
        """Its result."""
        one = self.operator
        one.parts = tuple(Piece(p.rows, seen(Relation((p,))), p.visible is None) for p in relation.parts)
        one.how = how or one.how
        return replace(relation, operator=one)


# ------------------------------------------------------------------------------------------- values


def emit(ctx: Context, op: str, *src: Value, **attrs: Any) -> Value:
    """An operation with one result."""
    return ctx.w.builder.emit(op, *src, **attrs)


def all_true(ctx: Context, rows: Dim) -> Value:
    """A mask of rows that are all there."""
    return ctx.w.builder.const(np.bool_(True), BOOL).broadcast_to((rows,))


def shown(ctx: Context, part: Part) -> Value:
    """Which rows are there."""
    return all_true(ctx, part.rows) if part.visible is None else part.visible


def numbered(ctx: Context, rows: Dim) -> Value:
    """The numbers of the rows, from 0."""
    if isinstance(rows, Size):  # checked without data: only the type matters
        return ctx.w.builder.const(np.int64(0), INT).broadcast_to((rows,))
    return ctx.w.builder.const(np.arange(rows), INT)


def full(array: Array, rows: Dim) -> Array:
    """A column of so many rows; a single value is repeated."""
    shape: Shape = (rows, text_words(array.stype.length)) if array.stype.kind == "text" else (rows,)
    valid = None if array.valid is None else array.valid.broadcast_to((rows,))
    stype = array.stype.optional(valid is not None)
    return replace(array, value=array.value.broadcast_to(shape), valid=valid, stype=stype, exact=None)


def single(array: Array, row: int = 0) -> Array:
    """The value in one row of a column."""

    def at(value: Value) -> Value:
        parts = ((row, row + 1, 1), *((0, d, 1) for d in value.shape[1:]))
        return value.builder.emit("slice", value, parts=parts).reshape(value.shape[1:])

    return replace(array, value=at(array.value), valid=None if array.valid is None else at(array.valid))


def count(ctx: Context, mask: Value) -> Value:
    """How many hold."""
    return emit(ctx, "sum", mask.to_int(), axis=0, keepdims=False)


def packed(arrays: Iterable[Array]) -> list[Value]:
    """The values of columns, each followed by its mask if it has one."""
    return [v for a in arrays for v in ((a.value,) if a.valid is None else (a.value, a.valid))]


def unpacked(arrays: Sequence[Array], values: Iterable[Value]) -> list[Array]:
    """Columns like `arrays` with the values that `packed` gives."""
    left = iter(values)
    return [replace(a, value=next(left), valid=None if a.valid is None else next(left), exact=None) for a in arrays]


# ------------------------------------------------------------------------------------------ relations


def filtered(part: Part, mask: Value) -> Part:
    """The rows for which `mask` is true."""
    mask = mask.broadcast_to((part.rows,))
    if mask.is_const and bool(mask.constant.all()):
        return part
    return replace(part, visible=mask if part.visible is None else part.visible & mask)


def dropped(ctx: Context, relation: Relation, masks: Sequence[Value]) -> tuple[list[Value], OwnRows | None]:
    """Of each part the rows that are left, as its owner may say itself where the owner sees them; and what the
    relation's rows still are.
    """
    own = relation.own
    if own is None:
        return list(masks), None

    def told(mask: Value, owner: Viewers) -> Value:
        if owner is None or mask.type.seen_by != owner:  # what everyone sees nobody need say
            return mask
        return emit(ctx, "keep", mask, name=own.table, scan=own.scan, at=own.at)

    return [told(m, owner) for m, owner in zip(masks, own.owners, strict=True)], own._replace(at=own.at - 1)


def merged(ctx: Context, relation: Relation, wanted: Collection[Column] | None = None) -> Part:
    """All rows as one part, of the columns that are wanted."""
    if len(relation.parts) == 1:
        part = relation.parts[0]
        if wanted is None:
            return part
        return replace(part, columns={c: a for c, a in part.columns.items() if c in wanted})
    # In the columns' own order: every party must build the same circuit, and sets of columns have none.
    columns = [c for c in relation.parts[0].columns if wanted is None or c in wanted]
    joined = {c: _joined(ctx, [full(p.columns[c], p.rows) for p in relation.parts], relation.parts) for c in columns}
    visible = None
    if any(p.visible is not None for p in relation.parts):
        visible = emit(ctx, "concat", *(shown(ctx, p) for p in relation.parts), axis=0)
    return Part(relation.rows, joined, visible)


def _joined(ctx: Context, arrays: Sequence[Array], parts: Sequence[Part]) -> Array:
    value = emit(ctx, "concat", *(a.value for a in arrays), axis=0)
    if all(a.valid is None for a in arrays):
        return replace(arrays[0], value=value)
    masks = [all_true(ctx, p.rows) if a.valid is None else a.valid for a, p in zip(arrays, parts, strict=True)]
    return replace(arrays[0], value=value, valid=emit(ctx, "concat", *masks, axis=0), stype=arrays[0].stype.optional())


def front(ctx: Context, part: Part, rows: Dim | None = None) -> Part:
    """The visible rows first, in their order; at most `rows` are kept."""
    if part.visible is None:
        if rows is None:
            return part
        least = _least(part.rows, rows)
        return replace(moved(part, lambda v: _first(v, least)), rows=least)  # told: there may be no columns
    columns = [full(a, part.rows) for a in part.columns.values()]
    attrs = {} if rows is None or isinstance(rows, Size) else {"rows": rows}
    visible, *values = ctx.w.builder.emit_many("front_rows", part.visible, *packed(columns), **attrs)
    out = unpacked(columns, values)
    return Part(visible.shape[0], dict(zip(part.columns, out, strict=True)), visible)


def _least(a: Dim, b: Dim) -> Dim:
    if isinstance(a, Size) or isinstance(b, Size):
        return a if a == b else Size.named(f"min({a}, {b})")
    return min(a, b)


def _first(value: Value, rows: Dim) -> Value:
    parts = ((0, rows, 1), *((0, d, 1) for d in value.shape[1:]))
    return value.builder.emit("slice", value, parts=parts)


def moved(part: Part, change: Any) -> Part:
    """The part after `change`, which takes and gives a value with a row for each row."""
    columns: dict[Column, Array] = {}
    for column, array in part.columns.items():
        a = full(array, part.rows)
        columns[column] = replace(a, value=change(a.value), valid=None if a.valid is None else change(a.valid))
    visible = None if part.visible is None else change(part.visible)
    some = next(iter(columns.values()), None)
    rows = visible.shape[0] if visible is not None else part.rows if some is None else some.value.shape[0]
    return Part(rows, columns, visible)


# ------------------------------------------------------------------------------------- what is known


def _values(part: Part, columns: Iterable[Column] | None) -> Iterator[Value]:
    wanted = part.columns if columns is None else columns
    yield from packed(part.columns[c] for c in wanted if c in part.columns)
    if part.visible is not None:
        yield part.visible


def seen(relation: Relation, columns: Iterable[Column] | None = None) -> Viewers:
    """Who sees all of the rows, or of some of their columns."""
    wanted = None if columns is None else list(columns)
    return meet(v.type.seen_by for part in relation.parts for v in _values(part, wanted))


def closure(columns: Iterable[Column], dependencies: Sequence[Dependency]) -> set[Column]:
    """All columns that have one value for each of the given ones'."""
    out = set(columns)
    while True:
        more = {c for first, second in dependencies if first <= out for c in second} - out
        if not more:
            return out
        out |= more


def unique_on(relation: Relation, columns: Iterable[Column]) -> bool:
    """Whether no two visible rows have equal values in all of the columns."""
    known = closure(columns, relation.dependencies)
    return any(u <= known for u in relation.uniques)
