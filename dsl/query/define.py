"""`query q:` and a select: a new table.

For: `define`; `held`, for tables that a study reads without a query.
Leaves to others: revealing (`dsl.reveals`).

What a query relies on and no owner alone can check (a key that is unique over several owners, the bound of a join) is
checked here: all its flags are put together, the one that results is opened, and if it is true the job ends with an
error that tells nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dsl import syntax
from dsl.parts import open_value
from dsl.planned import Planned
from dsl.privacy.lineage import Lineage
from dsl.privacy.queries import lineage_of_plan
from dsl.query.bind import bind_query
from dsl.query.plan import Column, Plan, Scan, outputs
from dsl.query.relation import Check, Context, Relation, closure, merged
from dsl.query.scan import declared_checks
from dsl.query.select import build
from dsl.values import Table
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import TypeRuleError

__all__ = ["define", "held"]


def define(w: Walker, s: syntax.QueryDefinition) -> Table:
    """The table that a query is."""
    try:
        return _defined(w, s)
    except TypeRuleError as error:
        w.refused(error, s.span)
        raise Reported from None


def held(w: Walker, table: Table) -> Table:
    """The table, of which all that several owners declare unique has been checked."""
    ctx = Context(w)
    declared_checks(ctx, Scan(table, {Column(name): name for name in table.columns}, table.span))
    if ctx.checked():
        _hold(w, _opened(ctx), ctx.checks)
    return replace(table, uniques=(*table.uniques, *table.declared), declared=())


def _defined(w: Walker, s: syntax.QueryDefinition) -> Table:
    ctx = Context(w)
    plan = bind_query(w, s.query, None, {})
    lineage = lineage_of_plan(w, plan)
    shown = outputs(plan)
    with w.at(s.query.span):
        relation = build(ctx, plan, {c for _, c in shown})
    assert relation.operator is not None
    table = _table(ctx, plan, relation, s, lineage)
    w.pending.append(table)
    opened = _opened(ctx) if ctx.checked() else None
    w.plans.queries.append(Planned(s.name.text, s.name.span, relation.operator, tuple(ctx.values)))
    if opened is not None:
        _hold(w, opened, ctx.checks)
        _checked(w, ctx.tables)
    return table


def _table(ctx: Context, plan: Plan, relation: Relation, s: syntax.QueryDefinition, lineage: Lineage) -> Table:
    part = merged(ctx, relation)
    places: dict[Column, str] = {}
    columns = {}
    for shown, column in outputs(plan):
        places.setdefault(column, shown)
        columns[shown] = part.columns[column]
    uniques = tuple(names for unique in relation.uniques if (names := _named(relation, unique, places)))
    name, span, ordered = s.name.text, s.name.span, relation.ordered
    return Table(name, columns, part.rows, part.visible, uniques, ordered=ordered, span=span, lineage=lineage)


def _named(relation: Relation, unique: frozenset[Column], places: Mapping[Column, str]) -> tuple[str, ...]:
    """The names of shown columns that tell rows apart as these columns do; none where some have none.

    Rows may be told apart by the rank of a shown column, which has no name itself.
    """
    names: list[str] = []
    for column in unique:
        alike = (c for c in places if column in closure([c], relation.dependencies))
        found = column if column in places else next(alike, None)
        if found is None:
            return ()
        names.append(places[found])
    return tuple(sorted(set(names)))


def _opened(ctx: Context) -> Value:
    """Whether any of the flags is true."""
    first, *others = ctx.checks
    with ctx.operator("check", "opens one flag: whether all that is checked holds", span=first.span) as doing:
        flag = first.flag
        for check in others:
            flag = flag | check.flag
        ctx.values.append(doing.operator)
        return flag if flag.type.public else open_value(ctx.w, flag)


def _hold(w: Walker, opened: Value, checks: list[Check]) -> None:
    """End the job if it is."""
    first = checks[0]
    known = w.concrete(opened, first.span, "whether the job goes on")
    if known.is_const and bool(known.constant):
        message = ", or ".join(dict.fromkeys(check.message for check in checks))  # which of them stays hidden
        w.error("E0809", message, first.span)


def _checked(w: Walker, plan_tables: set[int]) -> None:
    """What tables declare has been checked, and need not be again."""
    for scope in w.scopes:
        for name, binding in list(scope.names.items()):
            table = binding.val
            if isinstance(table, Table) and id(table) in plan_tables:
                known = replace(table, uniques=(*table.uniques, *table.declared), declared=())
                scope.names[name] = replace(binding, val=known)
