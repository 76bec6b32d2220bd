"""From a query's text to a plan: every name becomes a column, every aggregate a measure, every sub-query an attachment.

For: `bind_query`, and `Binder` for expressions.
Leaves to others: the clauses of a select (`bind_select`), sub-queries (`subqueries`), types (known only
when the circuit is built).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, Literal, TypeAlias, cast

from dsl import syntax
from dsl.node import Node
from dsl.query import subqueries
from dsl.query.bind_window import aggregates, called, over, windowed
from dsl.query.names import Common, Names
from dsl.query.plan import (
    Attach,
    Column,
    Fraction,
    Kind,
    Mean,
    Measure,
    Ordered,
    Plan,
    Ref,
    Spread,
    Union,
    Whole,
    Window,
    Windowed,
    mapped,
    outputs,
)
from dsl.query.quantified import quantified
from dsl.source import Span
from dsl.tokens import WINDOWS
from dsl.walker import Walker

__all__ = ["Binder", "bind_query", "keys_of_item"]

HALF: Final = Decimal("0.5")
SpreadKind: TypeAlias = Literal["variance", "stddev", "var_pop", "stddev_pop"]
SPREADS: Final[Mapping[str, SpreadKind]] = {
    "variance": "variance",
    "var_samp": "variance",
    "stddev": "stddev",
    "stddev_samp": "stddev",
    "var_pop": "var_pop",
    "stddev_pop": "stddev_pop",
}


def bind_query(w: Walker, q: syntax.Query, outer: Names | None, common: Mapping[str, Common]) -> Plan:
    """The plan of a query. outer: the names of the select that it stands in. common: the queries that `with` named."""
    seen = dict(common)
    for table in q.common:
        seen[table.name.text] = Common(table, dict(seen))
    limit = None if q.limit is None else _amount(w, q.limit, "limit")
    offset = 0 if q.offset is None else _amount(w, q.offset, "offset")
    plan = _body(w, q.body, outer, seen, q.order)
    if limit is None and not offset:
        return plan
    if isinstance(plan, Ordered) and plan.whole and q.order:
        return replace(plan, limit=limit, offset=offset)
    return Ordered(plan, [], limit, q.span, offset)


def _amount(w: Walker, e: syntax.Expression, what: str) -> int:
    """A number of rows."""
    number = w.number(w.evaluate_known(e), e.span, f"the {what}")
    if number < 0:
        w.fail("E0601", "a number of rows is not below 0", e.span)
    return number


def keys_of_item(value: Node, item: syntax.OrderItem) -> list[tuple[Node, bool]]:
    """A key of `order by` as keys of which missing values come last: before them, whether there is a value."""
    there = syntax.IsNull(cast(syntax.Expression, value), negated=True, span=value.span)
    return [*([(there, False)] if item.nulls == "first" else []), (value, item.descending)]


def _body(
    w: Walker,
    body: syntax.QueryBody,
    outer: Names | None,
    common: Mapping[str, Common],
    order: Sequence[syntax.OrderItem] = (),
) -> Plan:
    from dsl.query.bind_select import Select

    match body:
        case syntax.Select():
            return Select(w, body, Names(w, common, outer)).plan(order)
        case syntax.Union():
            plan: Plan = _union(w, body, outer, common)
        case _:
            plan = bind_query(w, body, outer, common)
    return _ordered(w, plan, order) if order else plan


def _union(w: Walker, u: syntax.Union, outer: Names | None, common: Mapping[str, Common]) -> Union:
    left, right = _body(w, u.left, outer, common), _body(w, u.right, outer, common)
    here, there = outputs(left), outputs(right)
    if len(here) != len(there):
        label = f"{len(here)} columns on the left, {len(there)} on the right"
        w.fail("E0607", f"the selects of `{u.kind}` have different numbers of columns", u.span, label)
    return Union(left, right, u.all, [(name, Column(name)) for name, _ in here], u.span, u.kind)


def _ordered(w: Walker, plan: Plan, order: Sequence[syntax.OrderItem]) -> Ordered:
    """Order over the result of a union or of a query in parentheses: by its columns alone."""
    names = Names(w, {})
    names.add(None, [(name, Ref(column, span=order[0].span)) for name, column in outputs(plan)], order[0].span)
    binder = Binder(w, names)
    keys: list[tuple[Node, bool]] = []
    for item in order:
        position = position_of(w, item.key, len(outputs(plan)))
        value = binder.expression(item.key) if position is None else Ref(outputs(plan)[position][1], span=item.key.span)
        keys += keys_of_item(value, item)
    return Ordered(plan, keys, None, order[0].span.to(order[-1].span))


def position_of(w: Walker, e: Node, columns: int) -> int | None:
    """The column that a whole number alone stands for, from 0; None for other expressions."""
    if not isinstance(e, syntax.Int):
        return None
    if not 1 <= e.value <= columns:
        w.fail("E0609", f"there is no column {e.value}", e.span, f"the result has {columns}")
    return e.value - 1


# --------------------------------------------------------------------------------------- expressions


@dataclass(slots=True)
class Binder:
    """Binds expressions. measures: where aggregates go, None where there may be none. attaches: where sub-queries go,
    None where there may be none. clause: what is being bound, for messages."""

    w: Walker
    names: Names
    measures: list[Measure] | None = None
    attaches: list[Attach] | None = None
    clause: str = "order by"
    truths: frozenset[int] = frozenset()
    """Conditions of which it only counts whether they are true (`subqueries.only_true`)."""
    windows: list[Windowed] | None = None
    """Where windows go, None where there may be none."""
    window: Window | None = None
    """That over which aggregates are bound, in place of groups."""
    rows: list[Attach] | None = None
    """Where sub-queries go that belong to rows, where others belong to groups."""

    def expression(self, e: Node) -> Node:
        """`e` with its names bound."""
        match e:
            case syntax.Name(name):
                return self.names.column(name, e.span)
            case syntax.Attribute(syntax.Name(table), name):
                found = self.names.qualified(table, name, e.span)
                return found if found is not None else self._other_attribute(e, table)
            case syntax.Call():
                return self._call(e)
            case syntax.Filtered(call):
                return self._call(call, e)
            case syntax.Over():
                return over(self, e)
            case syntax.Star():
                self.w.fail("E0601", "`*` is no value", e.span)
            case syntax.Exists():
                return subqueries.exists(self, e)
            case syntax.InQuery():
                return subqueries.among(self, e)
            case syntax.Quantified():
                return quantified(self, e)
            case syntax.ScalarQuery():
                return subqueries.scalar(self, e)
        return mapped(e, self.expression)

    def _other_attribute(self, e: syntax.Attribute, table: str) -> Node:
        if self.w.scope.find(table) is None:
            self.w.fail("E0603", f"no table `{table}` is listed in `from`", e.span)
        return e

    def _call(self, e: syntax.Call, filtered: syntax.Filtered | None = None) -> Node:
        name = called(e)
        if not aggregates(e):
            if filtered is not None:
                helps = ["`count(*) filter (where x > 0)`"]
                self.w.fail("E0604", "`filter` stands behind an aggregate", filtered.span, helps=helps)
            if name in WINDOWS and self.w.scope.find(name) is None:
                helps = [f"`{name}({', '.join(self.w.text(a.span) for a in e.arguments)}) over (order by …)`"]
                self.w.fail("E0604", f"`{name}` stands before `over`", e.span, helps=helps)
            if e.distinct:
                self.w.fail("E0601", "`distinct` stands in aggregates", e.span)
            arguments = tuple(self.expression(a) for a in e.arguments)
            keywords = tuple(replace(k, value=cast(syntax.Expression, self.expression(k.value))) for k in e.keywords)
            return replace(e, arguments=arguments, keywords=keywords)  # type: ignore[arg-type]
        if self.measures is None:
            helps = ["a condition on groups: `having count(*) > 1`"] if self.clause == "where" else []
            self.w.fail("E0604", f"no aggregate stands in `{self.clause}`", e.span, helps=helps)
        return self.aggregate(e, name, None if filtered is None else filtered.condition)

    def aggregate(self, e: syntax.Call, name: str, condition: Node | None) -> Node:
        """An aggregate, of the rows for which the condition is true."""
        wanted = 2 if name == "percentile" else 1
        if len(e.arguments) != wanted or e.keywords:
            self.w.fail("E0205", f"`{name}` takes {wanted} argument{'s' * (wanted > 1)}", e.span)
        first = e.arguments[0]
        if isinstance(first, syntax.Star):
            if name != "count" or e.distinct:
                self.w.fail("E0604", "only `count` takes `*`", first.span)
            if condition is None:
                return self.measure("rows", None, e.span)
        within = self.within(name)
        value = syntax.Int(1, span=e.span) if isinstance(first, syntax.Star) else within.expression(first)
        if condition is not None:
            value = _where(within.expression(condition), value, e.span)
        if e.distinct and name not in {"min", "max"}:
            return self._distinct(e, name, value)
        return self._measured(e, name, value)

    def within(self, clause: str) -> Binder:
        """Binds what an aggregate is of; of a window, that may be aggregates of groups."""
        names = replace(self.names, aliases={})
        if self.window is None:
            return Binder(self.w, names, None, self.attaches if self.rows is None else self.rows, clause)
        return Binder(self.w, names, self.measures, self.attaches, clause, rows=self.rows)

    def _measured(self, e: syntax.Call, name: str, value: Node) -> Node:
        match name:
            case "count" | "sum" | "min" | "max":
                return self.measure(cast(Kind, name), value, e.span)
            case "avg":
                return Mean(self.measure("sum", value, e.span), self.measure("count", value, e.span), span=e.span)
            case "median":
                return self.measure("quantile", value, e.span, HALF)
            case "percentile":
                return self.measure("quantile", value, e.span, self._fraction(e.arguments[1]))
            case "any_value":
                return self.measure("min", value, e.span)
            case "bool_and" | "bool_or" | "every":
                return self._truths(value, name == "bool_or", e.span)
        return self._spread(value, SPREADS[name], e.span)

    def _truths(self, value: Node, some: bool, span: Span) -> Node:
        """Whether some, or all, truth values hold of those that are there; missing where none is."""
        held = self.measure("count", _where(value, syntax.Int(1, span=span), span), span)
        there = self.measure("count", value, span)
        zero = syntax.Int(0, span=span)
        found = _compare(">", held, zero, span) if some else _compare("==", held, there, span)
        return _where(_compare(">", there, zero, span), found, span)

    def _distinct(self, e: syntax.Call, name: str, value: Node) -> Node:
        """An aggregate of different values."""
        match name:
            case "count":
                return self.measure("distinct", value, e.span)
            case "sum":
                return self.measure("distinct sum", value, e.span)
            case "avg":
                total = self.measure("distinct sum", value, e.span)
                return Mean(total, self.measure("distinct", value, e.span), span=e.span)
        return self.w.fail("E0901", f"`{name}(distinct …)` is not supported yet", e.span)

    def _fraction(self, e: syntax.Expression) -> Decimal:
        array = self.w.array(self.w.evaluate_known(e), e.span, "a number")
        known = self.w.concrete(array.value, e.span, "a share")
        fraction = array.exact if array.exact is not None else Decimal(str(known.constant.item()))
        if array.stype.kind == "decimal":
            fraction = Decimal(int(known.constant)).scaleb(-array.stype.places)
        if not 0 <= fraction <= 1 or -cast(int, fraction.normalize().as_tuple().exponent) > 6:
            self.w.fail("E0301", "a percentile is between 0 and 1, with at most 6 places", e.span)
        return fraction

    def measure(
        self,
        kind: Kind,
        value: Node | None,
        span: Span,
        fraction: Decimal = Decimal(0),
    ) -> Ref:
        """The column of a measure, one for all that are equal."""
        if self.window is not None:
            return windowed(self, kind, value, self.window, span)
        assert self.measures is not None
        for known in self.measures:
            if (known.kind, known.argument, known.fraction) == (kind, value, fraction):
                return Ref(known.column, span=span)
        column = Column(kind)
        self.measures.append(Measure(column, kind, value, span, fraction))
        return Ref(column, span=span)

    def _spread(self, x: Node, kind: SpreadKind, span: Span) -> Spread:
        high, low = Whole(x, span=span), Fraction(x, span=span)

        def product(a: Node, b: Node) -> Node:
            return syntax.Binary("*", cast(syntax.Expression, a), cast(syntax.Expression, b), span=span)

        return Spread(
            kind,
            self.measure("count", x, span),
            self.measure("sum", x, span),
            self.measure("sum", high, span),
            self.measure("sum", low, span),
            self.measure("sum", product(high, high), span),
            self.measure("sum", product(high, low), span),
            self.measure("sum", product(low, low), span),
            span=span,
        )


def _where(condition: Node, value: Node, span: Span) -> Node:
    """The value where a condition is true, missing elsewhere."""
    when = syntax.When(cast(syntax.Expression, condition), cast(syntax.Expression, value), span=span)
    return syntax.Case((when,), span=span)


def _compare(op: syntax.CompareOperator, left: Node, right: Node, span: Span) -> Node:
    return syntax.Compare(op, cast(syntax.Expression, left), cast(syntax.Expression, right), span=span)
