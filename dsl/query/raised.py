"""Sub-queries with groups, windows, a limit or several selects in them that refer to the rows around.

For: `raised`.
Leaves to others: finding the conditions that tie a select (`subqueries`), attaching what it comes to (`attach`).

An equality with an expression of the rows around holds for all rows of the sub-query that one of them sees.  So it may
be asked last: the sub-query is worked out for all values of its own side at once, grouped by it too, its windows
partitioned by it too, the first so many rows taken of each [Neumann and Kemper, BTW 2015, with equalities alone].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias, cast

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import (
    Block,
    Column,
    Derived,
    From,
    Item,
    Ordered,
    Plan,
    Ref,
    Union,
    Window,
    Windowed,
    outputs,
    refs,
)
from dsl.source import Span

__all__ = ["raised"]

Keys: TypeAlias = "list[tuple[Node, Node]]"
Untie: TypeAlias = "Callable[[Block], Keys | None]"
"""Takes the equalities out of a select that tie it to the rows around: (outer, inner); None where there is more."""


def raised(plan: Plan, untie: Untie) -> Block | None:
    """The rows of a sub-query as a select from all it may come to, tied by equalities; None where that is not so."""
    span, names = plan.span, [name for name, _ in outputs(plan)]
    found = _raised(plan, untie)
    if found is None:
        return None
    inner, outer = found
    shown = outputs(inner)
    keys = [column for _, column in shown[len(names) :]]
    equal = [_compared("==", o, Ref(c, span=span), span) for o, c in zip(outer, keys, strict=True)]
    items = [Item(Column(name), name, Ref(c, span=span)) for name, (_, c) in zip(names, shown, strict=False)]
    return Block(From([Derived(inner, span)], equal, span=span), items, span=span)


def _raised(plan: Plan, untie: Untie) -> tuple[Plan, list[Node]] | None:
    """The plan without what ties it, which has a column more for each expression of the rows around; those."""
    match plan:
        case Block():
            return _block(plan, untie)
        case Union(left=left, right=right):
            one, other = _raised(left, untie), _raised(right, untie)
            if one is None or other is None or one[1] != other[1]:
                return None
            columns = [*plan.columns, *(("key", Column("key")) for _ in one[1])]
            return replace(plan, left=one[0], right=other[0], columns=columns), one[1]
        case Ordered(plan=inner):
            found = _raised(inner, untie)
            return found if found is None or plan.whole else (_first(plan, *found), found[1])


def _block(block: Block, untie: Untie) -> tuple[Plan, list[Node]] | None:
    if block.grouped and not block.keys:  # one row even of nothing
        return None
    keys = untie(block)
    if keys is None:
        return None
    own = {c for c, _ in block.keys} | {m.column for m in block.measures} | {c for a in block.attaches for c in a.made}
    own |= {one.column for one in block.windows}
    above = [*block.having, *(i.value for i in block.items), *(n for one in block.windows for n in one.nodes)]
    if block.grouped and {c for node in above for c in refs(node)} - own:
        return None
    values = [inner for _, inner in keys]
    if block.grouped:
        known = list(block.keys)
        for inner in values:
            if all(inner != key for _, key in known):
                known.append((Column("key"), inner))
        values = [next(Ref(c, span=block.span) for c, key in known if key == inner) for inner in values]
        block = replace(block, keys=known)
    windows = [
        replace(one, window=replace(one.window, partition=(*one.window.partition, *values))) for one in block.windows
    ]
    items = [*block.items, *(Item(Column("key"), "key", value) for value in values)]
    return replace(block, items=items, windows=windows), [outer for outer, _ in keys]


def _first(ordered: Ordered, inner: Plan, outer: Sequence[Node]) -> Block:
    """The first rows, or those behind them, of each value of the last columns, one for each of `outer`."""
    span = ordered.span
    if isinstance(inner, Block):  # what only the order is of is a column here
        keys = [i for i in inner.items if not i.hidden][-len(outer) :]
        rest = [i for i in inner.items if not any(i is key for key in keys)]
        hidden = [replace(i, hidden=False, name=i.column.name) for i in rest if i.hidden]
        shown = [i for i in rest if not i.hidden]
        inner = replace(inner, items=[*shown, *hidden, *keys])
        width = len(shown)
    else:
        width = len(outputs(inner)) - len(outer)
    columns = outputs(inner)
    partition = tuple(Ref(c, span=span) for _, c in columns[len(columns) - len(outer) :])
    place, seen = Column("row_number"), Column("row_number")
    window = Windowed(place, "row_number", None, Window(partition, tuple(ordered.order), "whole"), span)
    items = [Item(Column(name), name, Ref(c, span=span)) for name, c in columns]
    source = From([Derived(inner, span)], span=span)
    numbered = Block(source, [*items, Item(seen, "row", Ref(place, span=span))], span=span, windows=[window])
    kept = [*items[:width], *items[len(items) - len(outer) :]]
    return Block(
        From([Derived(numbered, span)], _places(ordered, Ref(seen, span=span)), span=span),
        [Item(Column(i.name), i.name, Ref(i.column, span=span)) for i in kept],
        span=span,
    )


def _places(ordered: Ordered, place: Node) -> list[Node]:
    """That a row is one of those that are kept."""
    span, first = ordered.span, ordered.offset + 1
    if ordered.limit == 1:
        return [_compared("==", place, syntax.Int(first, span=span), span)]
    out = [] if first == 1 else [_compared(">=", place, syntax.Int(first, span=span), span)]
    if ordered.limit is not None:
        out.append(_compared("<", place, syntax.Int(first + ordered.limit, span=span), span))
    return out


def _compared(op: syntax.CompareOperator, left: Node, right: Node, span: Span) -> Node:
    return syntax.Compare(op, cast(syntax.Expression, left), cast(syntax.Expression, right), span=span)
