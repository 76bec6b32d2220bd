"""Functions over windows while a query is bound: each becomes one or more columns of the select's windows.

For: `over`, `windowed`; `aggregates`, `called`, `inside` (what of an expression is an aggregate).
Leaves to others: how aggregates are made of simple ones (`bind`), working windows out (`windows`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import Column, Ref, Running, Window, Windowed
from dsl.source import Span
from dsl.tokens import AGGREGATES, WINDOWS

if TYPE_CHECKING:
    from dsl.query.bind import Binder

__all__ = ["aggregates", "called", "inside", "over", "windowed"]

MOST_ROWS_OFF: Final = 1000
"""The largest offset of `lag` and `lead`."""

ARGUMENTS: Final = {"lag": (1, 3), "lead": (1, 3), "first_value": (1, 1), "last_value": (1, 1)}


def called(e: syntax.Call) -> str:
    """The name of the function, in lower case."""
    return e.function.id.lower() if isinstance(e.function, syntax.Name) else ""


def aggregates(e: syntax.Call) -> bool:
    """Whether a call is one of an aggregate."""
    name = called(e)
    return name in AGGREGATES and not (name in {"min", "max"} and len(e.arguments) > 1)


def inside(e: syntax.Over) -> list[Node]:
    """What a window and its function are of."""
    call, filter_ = (e.call.call, [e.call.condition]) if isinstance(e.call, syntax.Filtered) else (e.call, [])
    return [*call.arguments, *filter_, *e.partition, *(item.key for item in e.order)]


def over(b: Binder, e: syntax.Over) -> Node:
    """`function(…) over (…)`."""
    from dsl.query.bind import keys_of_item

    if b.windows is None:
        helps = ["name it in a sub-query: `select … from (select …, rank() over (…) as r from t) as x where r = 1`"]
        b.w.fail("E0604", f"a window stands in the select list or `order by`, not in `{b.clause}`", e.span, helps=helps)
    call, filtered = (e.call.call, e.call.condition) if isinstance(e.call, syntax.Filtered) else (e.call, None)
    name = called(call)
    if not aggregates(call) and name not in WINDOWS:
        helps = [f"there are {', '.join(sorted(WINDOWS))}, and aggregates"]
        b.w.fail("E0604", f"`{name}` does not go over a window", call.span, helps=helps)
    inner = _Over(b, e)
    partition = tuple(inner.expression(key) for key in e.partition)
    order = tuple(key for item in e.order for key in keys_of_item(inner.expression(item.key), item))
    frame: syntax.Frame = "whole" if e.frame == "range" and not order else e.frame
    window = Window(partition, order, frame, e.preceding)
    if aggregates(call):
        return inner.binder(window).aggregate(call, name, filtered)
    if filtered is not None:
        b.w.fail("E0604", "`filter` stands behind an aggregate", e.call.span)
    return _function(inner, call, name, window)


class _Over:
    """Binds what stands in a window."""

    def __init__(self, b: Binder, e: syntax.Over) -> None:
        self.b = b
        self.within = self.binder(Window()).within("over")
        self.span = e.span

    def binder(self, window: Window) -> Binder:
        """One whose aggregates are over a window."""
        return replace(self.b, window=window)

    def expression(self, e: Node) -> Node:
        """An expression over the rows, or groups."""
        return self.within.expression(e)


def _function(inner: _Over, e: syntax.Call, name: str, window: Window) -> Node:
    w, b = inner.b.w, inner.b
    least, most = ARGUMENTS.get(name, (0, 0))
    if not least <= len(e.arguments) <= most or e.keywords or e.distinct:
        wanted = "no argument" if most == 0 else "1 argument" if most == 1 else "1 to 3 arguments"
        w.fail("E0205", f"`{name}` takes {wanted}", e.span)
    if name in {"row_number", "rank", "dense_rank"}:
        return windowed(b, cast(Running, name), None, window, e.span)
    value = inner.expression(e.arguments[0])
    if name in {"first_value", "last_value"}:
        return windowed(b, "first" if name == "first_value" else "last", value, window, e.span)
    offset = 1 if len(e.arguments) < 2 else _offset(b, e.arguments[1], name)
    found = windowed(b, cast(Running, name), value, window, e.span, offset)
    if len(e.arguments) < 3:
        return found
    other = "lagging" if name == "lag" else "leading"
    there = windowed(b, cast(Running, other), None, window, e.span, offset)
    default = inner.expression(e.arguments[2])
    return syntax.Case((syntax.When(_e(there), _e(found), span=e.span),), _e(default), span=e.span)


def _e(node: Node) -> syntax.Expression:
    return cast(syntax.Expression, node)


def _offset(b: Binder, e: syntax.Expression, name: str) -> int:
    offset = b.w.number(b.w.evaluate_known(e), e.span, f"the offset of `{name}`")
    if not 0 <= offset <= MOST_ROWS_OFF:
        b.w.fail("E0601", f"`{name}` goes 0 to {MOST_ROWS_OFF} rows off", e.span)
    return offset


FRAMED: Final = frozenset({"rows", "count", "sum", "min", "max", "last"})
"""What depends on the end of the frame."""


def windowed(b: Binder, kind: str, value: Node | None, window: Window, span: Span, offset: int = 0) -> Ref:
    """The column of values over a window, one for all that are equal."""
    assert b.windows is not None
    if kind not in FRAMED and not (kind == "first" and window.preceding is not None):
        window = Window(window.partition, window.order, "whole")
    if kind in {"distinct", "distinct sum", "quantile"}:
        helps = ["join the groups' values: `… join (select g, median(x) as m from t group by g) as y on t.g = y.g`"]
        b.w.fail("E0901", "this aggregate is not supported over a window yet", span, helps=helps)
    if window.preceding is not None and kind in {"min", "max", "first", "last"}:
        helps = ["`rows between unbounded preceding and current row`, or a sum or count of the rows near"]
        b.w.fail("E0901", "this function is not supported over the rows near each row yet", span, helps=helps)
    for known in b.windows:
        if (known.kind, known.argument, known.window, known.offset) == (kind, value, window, offset):
            return Ref(known.column, span=span)
    column = Column(kind)
    b.windows.append(Windowed(column, cast(Running, kind), value, window, span, offset))
    return Ref(column, span=span)
