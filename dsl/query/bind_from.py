"""The `from` of a select: tables, sub-queries and joins as sources.

For: `bind_from`.
Leaves to others: which source is joined when, and how (`joins`, `rewrite`).

Tables listed with commas and inner joins without a bound are all one: sources and conditions.  A left or full join, or
a join with a bound, is a source of its own; a right join is the left join of its sides swapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias, cast

from dsl import syntax
from dsl.node import Node
from dsl.query.names import Common, Listed, Names, listed_as, study_table
from dsl.query.plan import (
    Attach,
    Column,
    Derived,
    From,
    Joined,
    Ref,
    Scan,
    columns_of,
    conjuncts,
    outputs,
    refs,
)
from dsl.query.rewrite import joinable
from dsl.query.subqueries import only_true
from dsl.source import Span
from dsl.walker import Walker
from mpc.types import Dim, Size

__all__ = ["bind_from"]

Tables: TypeAlias = "Sequence[syntax.TableExpression]"


def bind_from(w: Walker, tables: Tables, names: Names, span: Span) -> From:
    """The sources of a select, whose columns `names` is given."""
    out = From([], span=span)
    for table in tables:
        part = _table(w, table, names)
        out.sources += part.sources
        out.conditions += part.conditions
        out.attaches += part.attaches
    return out


def _table(w: Walker, t: syntax.TableExpression, names: Names, *, whole: bool = False) -> From:
    """whole: rows of a sub-query are made before the join that it stands in, which may leave its columns missing."""
    match t:
        case syntax.TableName():
            return _named(w, t, names, whole)
        case syntax.DerivedTable(query, alias, columns):
            source, shown = _rows_of(w, query, names.common, t.span, whole)
            names.add(None if alias is None else alias.text, _renamed(w, shown, columns), t.span)
            return source
    return _join(w, t, names, whole)


def _named(w: Walker, t: syntax.TableName, names: Names, whole: bool) -> From:
    called = listed_as(w, t.name.text, t.name.span, names.common)
    common = names.common.get(called)
    if common is not None:
        alias = t.alias.text if t.alias else called
        source, shown = _rows_of(w, common.table.query, common.seen, t.span, whole)
        names.add(alias, _renamed(w, shown, common.table.columns), t.span)
        return source
    called, table = study_table(w, t.name)
    alias = t.alias.text if t.alias else called
    columns = {Column(name): name for name in table.columns}
    names.add(alias, [(name, Ref(column, span=t.span)) for column, name in columns.items()], t.span)
    return From([Scan(table, columns, t.span)], span=t.span)


def _rows_of(
    w: Walker, query: syntax.Query, common: Mapping[str, Common], span: Span, whole: bool
) -> tuple[From, list[tuple[str, Node]]]:
    """A sub-query in `from`, and what its columns are."""
    from dsl.query.bind import bind_query

    plan = bind_query(w, query, None, common)
    block = joinable(plan, whole)
    if block is not None:
        return block.source, [(i.name, i.value) for i in block.items if not i.hidden]
    return From([Derived(plan, span)], span=span), [(name, Ref(c, span=span)) for name, c in outputs(plan)]


def _renamed(w: Walker, listed: list[tuple[str, Node]], names: Sequence[syntax.Identifier]) -> list[tuple[str, Node]]:
    if not names:
        return listed
    if len(names) != len(listed):
        w.fail("E0601", f"{len(names)} names for {len(listed)} columns", names[0].span.to(names[-1].span))
    return [(name.text, column) for name, (_, column) in zip(names, listed, strict=True)]


def _join(w: Walker, t: syntax.Join, names: Names, whole: bool) -> From:
    first = len(names.tables)
    left = _table(w, t.left, names, whole=whole or t.kind in {"right", "full"})
    middle = len(names.tables)
    right = _table(w, t.right, names, whole=whole or t.kind in {"left", "full"})
    attaches: list[Attach] = []
    conditions = _on(w, t, names, attaches) if t.condition else _using(w, t, names, first, middle)
    if t.kind in {"inner", "cross"} and t.bound is None:
        return From(
            [*left.sources, *right.sources],
            [*left.conditions, *right.conditions, *conditions],
            [*left.attaches, *right.attaches, *attaches],
            t.span,
        )
    for attach in attaches:
        # Its columns stand beside the rows that it refers to, before these are joined.
        side = next((s for s in (left, right) if attach.outer <= columns_of(s)), None)
        if side is None:
            w.fail("E0901", "a sub-query in `on` that refers to both sides is not supported yet", attach.span)
        side.attaches.append(attach)
    _only(w, conditions, columns_of(left) | columns_of(right), t.span if t.condition is None else t.condition.span)
    limit = None if t.bound is None else _bound(w, t.bound)
    if t.kind == "right":
        left, right = right, left
    kind: Literal["inner", "left", "full"] = "full" if t.kind == "full" else "inner" if t.kind == "inner" else "left"
    return From([Joined(kind, left, right, conditions, limit, t.span)], span=t.span)


def _on(w: Walker, t: syntax.Join, names: Names, attaches: list[Attach]) -> list[Node]:
    """What `on` says."""
    from dsl.query.bind import Binder

    condition = cast(syntax.Expression, t.condition)
    return conjuncts(Binder(w, names, None, attaches, "on", only_true(condition)).expression(condition))


def _using(w: Walker, t: syntax.Join, names: Names, first: int, middle: int) -> list[Node]:
    """The equalities that `using`, or `natural`, stands for; of each of the columns a name alone then means one.

    first, middle: the numbers of the first tables of the left and of the right side among those that are listed.
    """
    sides = names.tables[first:middle], names.tables[middle:]
    wanted = t.using
    if t.natural:
        there = {name for listed in sides[1] for name, _ in listed.shown}
        common = dict.fromkeys(name for listed in sides[0] for name, _ in listed.shown if name in there)
        wanted = tuple(syntax.Identifier(name, span=t.span) for name in common)
        if not wanted:
            w.fail("E0603", "the sides of this join have no column in common", t.span, helps=["say `on a.x = b.y`"])
    conditions: list[Node] = []
    columns: list[tuple[str, Node]] = []
    hidden: set[str] = set()
    for name in wanted:
        (shown, a), (other, b) = (_one(w, side, name) for side in sides)
        hidden |= {shown, other}
        conditions.append(syntax.Compare("==", a, b, span=name.span))
        both = syntax.Call(syntax.Name("coalesce", span=name.span), (a, b), span=name.span)
        columns.append((shown, {"right": b, "full": both}.get(t.kind, a)))
    names.merge(columns, frozenset(hidden), first, t.span)
    return conditions


def _one(w: Walker, side: Sequence[Listed], name: syntax.Identifier) -> tuple[str, syntax.Expression]:
    """The one column of this name that a side of a join has, and what it is listed as."""
    shown = [pair for listed in side for pair in listed.shown]
    wanted = listed_as(w, name.text, name.span, (n for n, _ in shown))
    found = [column for n, column in shown if n == wanted]
    if len(found) != 1:
        many = f"several tables on one side of this join have a column `{name.text}`"
        message = many if found else f"one side of this join has no column `{name.text}`"
        helps = ["say which columns are equal: `on a.x = b.y`"]
        w.fail("E0606" if found else "E0603", message, name.span, helps=helps)
    return wanted, cast(syntax.Expression, replace(found[0], span=name.span))


def _only(w: Walker, conditions: Sequence[Node], columns: set[Column], span: Span) -> None:
    for condition in conditions:
        for column in refs(condition):
            if column not in columns:
                message = f"`{column.name}` belongs to neither side of this join"
                w.fail("E0603", message, span, helps=["put the condition into `where`"])


def _bound(w: Walker, e: syntax.Expression) -> Dim:
    limit = w.whole(w.evaluate_known(e), e.span, "the bound of a join")
    if not isinstance(limit, Size) and limit < 1:
        w.fail("E0601", "the bound of a join is at least 1", e.span)
    return limit
