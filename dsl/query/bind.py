"""From a query's text to a plan: every name becomes a column, every aggregate a measure, every sub-query an attachment.

For: `bind_query`, and `Binder` for expressions.
Leaves to others: sub-queries (`subqueries`), `from` (`bind_from`), types (known only when the circuit is built).

A select with `group by` or aggregates is bound in two steps: expressions over the rows first, in which each aggregate
is a measure's column; then what equals a key of `group by` becomes that key's column, and a column that is still one
of the rows is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Literal, NoReturn, cast

from dsl import syntax
from dsl.node import Node
from dsl.query import bind_from, subqueries
from dsl.query.names import Common, Names
from dsl.query.plan import (
    Attach,
    Block,
    Column,
    Fraction,
    From,
    Item,
    Kind,
    Mean,
    Measure,
    Ordered,
    Plan,
    Ref,
    Spread,
    Union,
    Whole,
    columns_of,
    conjuncts,
    mapped,
    outputs,
)
from dsl.source import Span
from dsl.tokens import AGGREGATES
from dsl.walker import Walker

__all__ = ["Binder", "bind_query"]

HALF: Final = Decimal("0.5")


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


def _key(value: Node, item: syntax.OrderItem) -> list[tuple[Node, bool]]:
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
    match body:
        case syntax.Select():
            return _Select(w, body, Names(w, common, outer)).plan(order)
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
        position = _position(w, item.key, len(outputs(plan)))
        value = binder.expression(item.key) if position is None else Ref(outputs(plan)[position][1], span=item.key.span)
        keys += _key(value, item)
    return Ordered(plan, keys, None, order[0].span.to(order[-1].span))


def _position(w: Walker, e: Node, columns: int) -> int | None:
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
            case syntax.Star():
                self.w.fail("E0601", "`*` is no value", e.span)
            case syntax.Exists():
                return subqueries.exists(self, e)
            case syntax.InQuery():
                return subqueries.among(self, e)
            case syntax.ScalarQuery():
                return subqueries.scalar(self, e)
        return mapped(e, self.expression)

    def _other_attribute(self, e: syntax.Attribute, table: str) -> Node:
        if self.w.scope.find(table) is None:
            self.w.fail("E0603", f"no table `{table}` is listed in `from`", e.span)
        return e

    def _call(self, e: syntax.Call) -> Node:
        name = e.function.id.lower() if isinstance(e.function, syntax.Name) else ""
        if name not in AGGREGATES or (name in {"min", "max"} and len(e.arguments) > 1):
            if e.distinct:
                self.w.fail("E0601", "`distinct` stands in aggregates", e.span)
            arguments = tuple(self.expression(a) for a in e.arguments)
            keywords = tuple(replace(k, value=cast(syntax.Expression, self.expression(k.value))) for k in e.keywords)
            return replace(e, arguments=arguments, keywords=keywords)  # type: ignore[arg-type]
        if self.measures is None:
            helps = ["a condition on groups: `having count(*) > 1`"] if self.clause == "where" else []
            self.w.fail("E0604", f"no aggregate stands in `{self.clause}`", e.span, helps=helps)
        return self._aggregate(e, name)

    def _aggregate(self, e: syntax.Call, name: str) -> Node:
        wanted = 2 if name == "percentile" else 1
        if len(e.arguments) != wanted or e.keywords:
            self.w.fail("E0205", f"`{name}` takes {wanted} argument{'s' * (wanted > 1)}", e.span)
        first = e.arguments[0]
        if isinstance(first, syntax.Star):
            if name != "count" or e.distinct:
                self.w.fail("E0604", "only `count` takes `*`", first.span)
            return self.measure("rows", None, e.span)
        within = Binder(self.w, replace(self.names, aliases={}), None, self.attaches, name)
        value = within.expression(first)
        if e.distinct and name not in {"min", "max"}:
            return self._distinct(e, name, value)
        match name:
            case "count" | "sum" | "min" | "max":
                return self.measure(cast(Kind, name), value, e.span)
            case "avg":
                return Mean(self.measure("sum", value, e.span), self.measure("count", value, e.span), span=e.span)
            case "median":
                return self.measure("quantile", value, e.span, HALF)
            case "percentile":
                return self.measure("quantile", value, e.span, self._fraction(e.arguments[1]))
        return self._spread(value, "stddev" if name == "stddev" else "variance", e.span)

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
        assert self.measures is not None
        for known in self.measures:
            if (known.kind, known.argument, known.fraction) == (kind, value, fraction):
                return Ref(known.column, span=span)
        column = Column(kind)
        self.measures.append(Measure(column, kind, value, span, fraction))
        return Ref(column, span=span)

    def _spread(self, x: Node, kind: Literal["variance", "stddev"], span: Span) -> Spread:
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


# -------------------------------------------------------------------------------------------- selects


@dataclass(slots=True)
class _Select:
    """One select being bound."""

    w: Walker
    s: syntax.Select
    names: Names
    source: From = field(init=False)
    keys: list[tuple[Column, Node]] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    after: list[Attach] = field(default_factory=list)
    grouped: bool = False

    def plan(self, order: Sequence[syntax.OrderItem]) -> Plan:
        """The select, in order when one is given."""
        s, w = self.s, self.w
        self.source = bind_from.bind_from(w, s.sources, self.names, s.span)
        if s.where is not None:
            known = subqueries.only_true(s.where)
            condition = Binder(w, self.names, None, self.source.attaches, "where", known).expression(s.where)
            self.source.conditions += conjuncts(condition)
        self.grouped = bool(s.group) or s.having is not None or self._aggregates(order)
        self._keys()
        items = self._items()
        self.names.aliases = {i.name: i.value for i in items}
        having = [] if s.having is None else conjuncts(self._value(s.having))
        block = Block(
            self.source, items, self.grouped, self.keys, self.measures, having, self.after, s.distinct, s.span
        )
        return self._ordered(block, order) if order else block

    def _aggregates(self, order: Sequence[syntax.OrderItem]) -> bool:
        """Whether an item or a key of `order by` is made of an aggregate."""
        tops: list[Node] = [*(i.value for i in self.s.items), *(o.key for o in order)]
        while tops:
            e = tops.pop()
            if isinstance(e, syntax.Call) and isinstance(e.function, syntax.Name):
                name = e.function.id.lower()
                if name in AGGREGATES and not (name in {"min", "max"} and len(e.arguments) > 1):
                    return True
            if not isinstance(e, syntax.Query):
                tops += syntax.children(e)
        return False

    def _keys(self) -> None:
        binder = Binder(self.w, self.names, None, self.source.attaches, "group by")
        for e in self.s.group:
            value = self._key(binder, e)
            if value not in [k for _, k in self.keys]:
                name = value.column.name if isinstance(value, Ref) else "key"
                self.keys.append((Column(name), value))

    def _key(self, binder: Binder, e: syntax.Expression) -> Node:
        """A key: a column, an item by its number or by its name, or any expression."""
        position = _position(self.w, e, len(self.s.items))
        if position is not None:
            return binder.expression(self.s.items[position].value)
        if isinstance(e, syntax.Name) and self.names.find(e.id, e.span) is None:
            for item in self.s.items:
                if item.alias is not None and item.alias.text == e.id:
                    return binder.expression(item.value)
        return binder.expression(e)

    def _items(self) -> list[Item]:
        items: list[Item] = []
        taken: set[str] = set()
        for number, item in enumerate(self.s.items, start=1):
            if isinstance(item.value, syntax.Star):
                for name, shown in self.names.star(item.value):
                    value = self._grouped(replace(shown, span=item.span))
                    items.append(Item(Column(name), _free(name, taken), value))
                continue
            name = item.alias.text if item.alias else _name(item.value, number)
            if item.alias and name in taken:
                self.w.fail("E0203", f"the result has two columns `{name}`", item.alias.span)
            items.append(Item(Column(name), _free(name, taken), self._value(item.value)))
        return items

    def _value(self, e: Node) -> Node:
        """An expression of the select list, `having` or `order by`: over groups, when there are any."""
        target = self.after if self.grouped else self.source.attaches
        before = len(target)
        measures = self.measures if self.grouped else None
        known = subqueries.only_true(e) if e is self.s.having else frozenset()
        value = Binder(self.w, self.names, measures, target, "select", known).expression(e)
        if self.grouped:
            for attach in target[before:]:
                attach.keys[:] = [(self._grouped(outer), c) for outer, c in attach.keys]
                attach.pairs[:] = [self._grouped(p, attach) for p in attach.pairs]
                attach.measures[:] = [
                    m if m.argument is None else replace(m, argument=self._grouped(m.argument, attach))
                    for m in attach.measures
                ]
        return self._grouped(value)

    def _grouped(self, value: Node, attach: Attach | None = None) -> Node:
        """An expression over rows as one over groups; E0605 where a column has no single value for a group."""
        if not self.grouped:
            return value
        known = {m.column for m in self.measures} | {c for a in self.after for c in a.made} | {c for c, _ in self.keys}
        inner = set() if attach is None else {c for _, c in outputs(attach.plan)}
        rows = columns_of(self.source)

        def change(e: Node) -> Node:
            for column, key in self.keys:
                if e == key:
                    return Ref(column, span=e.span)
            if isinstance(e, Ref) and e.column not in known | inner and e.column in rows:  # others are of rows around
                return self._ungrouped(e)
            return mapped(e, change)

        return change(value)

    def _ungrouped(self, e: Ref) -> NoReturn:
        name = e.column.name
        helps = [f"one value for each group: `max({name})`"]
        if self.s.group:
            first = self.s.group[0].span.to(self.s.group[-1].span)
            helps.insert(0, f"group by it too: `group by {self.w.text(first)}, {name}`")
        self.w.fail("E0605", f"`{name}` is neither grouped nor aggregated", e.span, helps=helps)

    def _ordered(self, block: Block, order: Sequence[syntax.OrderItem]) -> Ordered:
        keys: list[tuple[Node, bool]] = []
        shown = [i for i in block.items if not i.hidden]
        for item in order:
            column = self._order_key(block, shown, item.key)
            made = _key(Ref(column, span=item.key.span), item)
            block.sorted += [(n.column if isinstance(n, Ref) else None, down) for n, down in made]
            keys += made
        return Ordered(block, keys, None, order[0].span.to(order[-1].span))

    def _order_key(self, block: Block, shown: Sequence[Item], e: syntax.Expression) -> Column:
        position = _position(self.w, e, len(shown))
        if position is not None:
            return shown[position].column
        if isinstance(e, syntax.Name):
            for item in shown:
                if item.name == e.id:
                    return item.column
        value = self._value(e)
        for item in block.items:
            if item.value == value:
                return item.column
        if block.distinct:
            self.w.fail("E0609", "with `distinct`, `order by` takes what is selected", e.span)
        column = Column("order")
        block.items.append(Item(column, "", value, hidden=True))
        return column


def _name(e: Node, number: int) -> str:
    """What a column without `as` is called."""
    match e:
        case syntax.Name(name):
            return name
        case syntax.Attribute(name=identifier):
            return identifier.text
        case syntax.Call(function=syntax.Name(name)):
            return name.lower()
        case syntax.Extract(part=part):
            return part
    return f"column{number}"


def _free(name: str, taken: set[str]) -> str:
    """`name`, numbered when it is taken already."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free
