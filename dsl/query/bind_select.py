"""One select while it is bound: its sources, groups, items and order.

For: `Select`.
Leaves to others: expressions (`bind`), `from` (`bind_from`), windows (`bind_window`).

A select with `group by` or aggregates is bound in two steps: expressions over the rows first, in which each aggregate
is a measure's column; then what equals a key of `group by` becomes that key's column, and a column that is still one
of the rows is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from dsl import syntax
from dsl.node import Node
from dsl.query import bind_from, subqueries
from dsl.query.bind import Binder, keys_of_item, position_of
from dsl.query.bind_window import aggregates, inside
from dsl.query.names import Names, listed_as
from dsl.query.plan import (
    Attach,
    Block,
    Column,
    From,
    Item,
    Measure,
    Ordered,
    Plan,
    Ref,
    Windowed,
    columns_of,
    conjuncts,
    mapped,
    outputs,
)
from dsl.walker import Walker

__all__ = ["Select"]


@dataclass(slots=True)
class Select:
    """One select being bound."""

    w: Walker
    s: syntax.Select
    names: Names
    source: From = field(init=False)
    keys: list[tuple[Column, Node]] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    after: list[Attach] = field(default_factory=list)
    windows: list[Windowed] = field(default_factory=list)
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
        parts = self.grouped, self.keys, self.measures, having, self.after, s.distinct, s.span
        block = Block(self.source, items, *parts, windows=self.windows)
        return self._ordered(block, order) if order else block

    def _aggregates(self, order: Sequence[syntax.OrderItem]) -> bool:
        """Whether an item or a key of `order by` is made of an aggregate."""
        tops: list[Node] = [*(i.value for i in self.s.items), *(o.key for o in order)]
        while tops:
            e = tops.pop()
            if isinstance(e, syntax.Over):
                tops += inside(e)
            elif isinstance(e, syntax.Call) and aggregates(e):
                return True
            elif not isinstance(e, syntax.Query):
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
        position = position_of(self.w, e, len(self.s.items))
        if position is not None:
            return binder.expression(self.s.items[position].value)
        if isinstance(e, syntax.Name) and self.names.find(self.names.meant(e.id, e.span), e.span) is None:
            aliased = {item.alias.text: item.value for item in self.s.items if item.alias is not None}
            wanted = listed_as(self.w, e.id, e.span, aliased)
            if wanted in aliased:
                return binder.expression(aliased[wanted])
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
            name = item.alias.text if item.alias else self._name(item.value, number)
            if item.alias and name in taken:
                self.w.fail("E0203", f"the result has two columns `{name}`", item.alias.span)
            items.append(Item(Column(name), _free(name, taken), self._value(item.value)))
        return items

    def _name(self, e: Node, number: int) -> str:
        """What a column without `as` is called."""
        match e:
            case syntax.Name(name):
                return self.names.meant(name, e.span)
            case syntax.Attribute(syntax.Name(table), identifier):
                return self.names.called(table, identifier, e.span)
            case syntax.Attribute(name=identifier):
                return identifier.text
            case syntax.Call(function=syntax.Name(name)):
                return name.lower()
            case syntax.Filtered(call) | syntax.Over(call):
                return self._name(call, number)
            case syntax.Extract(part=part):
                return part
        return f"column{number}"

    def _value(self, e: Node) -> Node:
        """An expression of the select list, `having` or `order by`: over groups, when there are any."""
        target = self.after if self.grouped else self.source.attaches
        before, known_windows = len(target), len(self.windows)
        measures = self.measures if self.grouped else None
        is_having = e is self.s.having
        known = subqueries.only_true(e) if is_having else frozenset()
        clause, windows = ("having", None) if is_having else ("select", self.windows)
        rows = self.source.attaches
        value = Binder(self.w, self.names, measures, target, clause, known, windows, rows=rows).expression(e)
        self.windows[known_windows:] = [one.over(self._grouped) for one in self.windows[known_windows:]]
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
            made = keys_of_item(Ref(column, span=item.key.span), item)
            block.sorted += [(n.column if isinstance(n, Ref) else None, down) for n, down in made]
            keys += made
        return Ordered(block, keys, None, order[0].span.to(order[-1].span))

    def _order_key(self, block: Block, shown: Sequence[Item], e: syntax.Expression) -> Column:
        position = position_of(self.w, e, len(shown))
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


def _free(name: str, taken: set[str]) -> str:
    """`name`, numbered when it is taken already."""
    free, number = name, 1
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free
