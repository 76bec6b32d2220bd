"""`reveal … to …`: the study's results.

For: `reveal_to`, `visible_first`.
Leaves to others: opening in mid-study (`parts.opened`), noise (`privacy`), rendering results.

**The `reveal` node.** One source, the value. Attributes: `to` (a tuple of parties), `name` (of the result), `column`
('' for a number or array; of a table, the column; of a record, `.field` before that of the field). What may be missing
has a second one for its mask, `column?`; a table with invisible rows has one more, `#rows`, which says which rows there
are. `Elaborated.outputs` says what belongs together and how it is to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np

from dsl import syntax
from dsl.convert import text_array
from dsl.operators import truth
from dsl.outputs import Output, OutputColumn
from dsl.privacy.mechanism import read_mechanism
from dsl.privacy.noised import noised
from dsl.rows import by_contents, front, shuffled
from dsl.scope import Binding, Scope
from dsl.source import Span
from dsl.values import Array, Nothing, Record, Table, Text, Tuple, Unknown, Val, describe, leaves
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import EVERYONE, Viewers, meet

__all__ = ["reveal_to", "visible_first"]


def reveal_to(w: Walker, s: syntax.RevealTo) -> None:
    """Walk a reveal statement."""
    if not _allowed(w, s):
        return
    receivers = _receivers(w, s)
    vals = [w.evaluate(expression) for expression in s.values]
    if s.mechanism is not None:
        mechanism = read_mechanism(w, s.mechanism)
        spans = [expression.span for expression in s.values]
        if any(isinstance(val, Unknown) for val in vals):
            return
        if s.guard is not None:
            _public_guard(w, s.guard, vals)
        vals = noised(w, list(zip(vals, spans, strict=True)), mechanism)
    for at, (expression, val) in enumerate(zip(s.values, vals, strict=True)):
        if isinstance(val, Unknown):
            continue
        name = s.names[at] if at < len(s.names) else None
        try:
            _reveal(w, s, expression, val, receivers, name)
        except Reported:
            continue


def _public_guard(w: Walker, guard: syntax.Expression, vals: Sequence[Val]) -> None:
    """Which rows are shown may depend on what is shown, noise included, and on what everyone knows, but on no more."""
    columns = {name for val in vals if isinstance(val, Table) for name in val.columns}
    for node in syntax.walk(guard):
        if not isinstance(node, syntax.Name) or node.id in columns:
            continue
        binding = w.scope.find(node.id)
        if binding is None or isinstance(binding.val, Unknown):
            continue
        known = isinstance(binding.val, Array) and binding.val.public
        if not known and not isinstance(binding.val, Text):
            message = "beside noise, a guard is made of the query's columns and of public numbers"
            w.fail("E0702", message, node.span, describe(binding.val, viewers=True))


def _allowed(w: Walker, s: syntax.RevealTo) -> bool:
    if w.frames:
        return _refuse(w, s, "a function reveals nothing", [(w.frames[-1].span, "in this call")])
    if w.loops:
        return _refuse(w, s, "a loop reveals nothing", [])
    if w.guards:
        guard = w.guards[-1]
        why = [(guard.span, "this decides, and is secret"), *w.why(guard.value)]
        return _refuse(w, s, "nothing is revealed where a secret decides what runs", why)
    return True


def _refuse(w: Walker, s: syntax.RevealTo, message: str, secondary: list[tuple[Span, str]]) -> bool:
    first = w.text(s.values[0].span)
    helps = [
        "reveal the result at the left margin: `reveal result to all`",
        f"open it to everyone in mid-study: `reveal({first})`",
    ]
    w.error("E0308", message, s.span, secondary=secondary, helps=helps[: 1 if w.guards else 2])
    return False


def _receivers(w: Walker, s: syntax.RevealTo) -> tuple[str, ...] | None:
    for receiver in s.receivers:
        if receiver.text != "all" and receiver.text not in w.parties:
            known = ", ".join(w.parties) or "none is declared"
            w.fail("E0202", f"there is no party `{receiver.text}`", receiver.span, f"parties: {known}")
    return None if s.to_all else tuple(dict.fromkeys(r.text for r in s.receivers))


def _reveal(
    w: Walker,
    s: syntax.RevealTo,
    expression: syntax.Expression,
    val: Val,
    receivers: tuple[str, ...] | None,
    alias: syntax.Identifier | None,
) -> None:
    span = expression.span
    if s.guard is not None and not isinstance(val, Table):
        w.fail("E0702", "`where` belongs to a revealed query", s.guard.span, secondary=[(span, describe(val))])
    name = _name(w, expression, alias)
    _unique(w, name, receivers, span if alias is None else alias.span)
    with w.at(span):
        if isinstance(val, Table):
            w.outputs.append(_table(w, val, name, receivers, span, s.guard))
        elif isinstance(val, Tuple):
            _unfit(w, val, span, w.text(span))
        else:
            w.outputs.append(_part(w, val, name, "", receivers, span))


def _part(w: Walker, val: Val, name: str, path: str, to: tuple[str, ...] | None, span: Span) -> Output:
    """What is no table, or one part of a record: `path` leads to it."""
    match val:
        case Array():
            return _array(w, val, name, to, span, path)
        case Text(text):
            return _array(w, text_array(w, text), name, to, span, path)
        case Record(kind, fields):
            return _parts(w, kind, fields, name, path, to, span)
        case Tuple(items):
            return _parts(w, "tuple", {str(i): item for i, item in enumerate(items)}, name, path, to, span)
        case _:
            return _unfit(w, val, span, w.text(span))


def _parts(
    w: Walker, kind: str, fields: Mapping[str, Val], name: str, path: str, to: tuple[str, ...] | None, span: Span
) -> Output:
    parts = [replace(_part(w, val, name, f"{path}.{key}", to, span), name=key) for key, val in fields.items()]
    return Output(name, to, False, (), (), span=span, kind=kind, parts=tuple(parts))


def _unfit(w: Walker, val: Val, span: Span, text: str) -> NoReturn:
    helps: list[str] = []
    if isinstance(val, Tuple):
        helps = [f"take it apart first: `{', '.join('abcdefgh'[: len(val.items)])} = {text}`"]
    what = "nothing" if isinstance(val, Nothing) else describe(val)
    w.fail("E0301", f"{what} cannot be revealed", span, helps=helps)


def _name(w: Walker, expression: syntax.Expression, alias: syntax.Identifier | None) -> str:
    if alias is not None:
        return alias.text
    match expression:
        case syntax.Name(name):
            return name
        case syntax.Attribute(name=identifier):
            return identifier.text
    text = w.text(expression.span)
    return w.fail(
        "E0201", "this result has no name", expression.span, helps=[f"give it one: `reveal {text} to all as result`"]
    )


def _unique(w: Walker, name: str, receivers: tuple[str, ...] | None, span: Span) -> None:
    parties = tuple(w.parties) if receivers is None else receivers
    for party in parties:
        first = w.revealed.get((party, name))
        if first is not None:
            helps = [f"give one of them another name: `as {name}_2`"]
            label = f"{party} learns another `{name}`"
            w.fail("E0203", f"two results are called `{name}`", span, label, secondary=[(first, "here")], helps=helps)
    w.revealed.update({(party, name): span for party in parties})


# ------------------------------------------------------------------------------------------- nodes


def _node(w: Walker, value: Value, name: str, column: str, to: tuple[str, ...] | None) -> int:
    seen = value.type.seen_by
    viewers: Viewers = EVERYONE if to is None or seen is None else seen | frozenset(to)
    # `to all` means the parties of the study: a further node that only computes is none of them.
    attrs = {"to": tuple(w.parties) if to is None else to, "name": name, "column": column}
    return w.builder.append("reveal", (value,), attrs, value.type.seen(viewers), pure=False).index


def _column(w: Walker, array: Array, name: str, column: str, to: tuple[str, ...] | None, span: Span) -> OutputColumn:
    if array.stype.kind == "key":
        helps = ["let its owner declare it as what it is: `customer: int`"]
        label = f"column `{column}`" if column else ""
        w.fail("E0309", "a key is never revealed", span, label, helps=helps)
    node = _node(w, array.value, name, column, to)
    valid = None if array.valid is None else _node(w, array.valid, name, f"{column}?", to)
    return OutputColumn(column, array.stype, node, valid)


def _array(w: Walker, array: Array, name: str, to: tuple[str, ...] | None, span: Span, path: str = "") -> Output:
    if array.padded:
        w.full(array, span)
    array = _blanked(w, array)
    column = _column(w, array, name, path, to, span)
    return Output(name, to, False, (column,), array.shape, span=span)


def _blanked(w: Walker, array: Array) -> Array:
    """What is missing as 0, so that nothing shows of what stood there before."""
    if array.valid is None:
        return array
    mask = array.valid
    if array.stype.kind == "text":
        mask = mask.reshape((*mask.shape, 1))
    zero = w.builder.const(np.zeros(()), array.value.dtype)
    return array.with_value(w.builder.emit("select", mask, array.value, zero))


def _table(
    w: Walker,
    table: Table,
    name: str,
    to: tuple[str, ...] | None,
    span: Span,
    guard: syntax.Expression | None = None,
) -> Output:
    for key, column in table.columns.items():
        if column.stype.kind == "key":
            w.fail("E0309", "a key is never revealed", span, f"column `{key}` of `{table.name}`")
    if guard is not None:
        table = _guarded(w, table, guard)
    if table.visible is not None or not (table.ordered or table.owners or table.rows == 1):
        table = visible_first(w, table)
    columns = tuple(_column(w, _blanked(w, a), name, key, to, span) for key, a in table.columns.items())
    visible = None if table.visible is None else _node(w, table.visible, name, "#rows", to)
    return Output(name, to, True, columns, (table.rows,), visible, span)


def _guarded(w: Walker, table: Table, guard: syntax.Expression) -> Table:
    """The table without the rows for which the guard, over its columns, is false or missing; its order stays."""
    scope = Scope(w.source, w.scope, names={n: Binding(a, guard.span) for n, a in table.columns.items()})
    before, w.scope = w.scope, scope
    try:
        condition = truth(w, w.evaluate_known(guard), guard.span)
    finally:
        w.scope = before
    if condition.shape not in {(), (table.rows,)}:
        w.fail("E0702", "a guard is one truth value for each row", guard.span, describe(condition))
    kept = condition.value if condition.valid is None else condition.value & condition.valid
    kept = kept.broadcast_to((table.rows,))
    table = replace(table, visible=kept if table.visible is None else table.visible & kept)
    return front(w, table) if table.ordered else table


def visible_first(w: Walker, table: Table) -> Table:
    """The table with its invisible rows emptied, and in an order that does not show where its rows stood.

    That of `order by`, which has the visible rows first; or one that no party knows. What one party sees it cannot be
    kept from, so there the rows come in the order of what they hold, the visible ones first.
    """
    shown = table.visible
    columns: dict[str, Array] = {}
    for key, a in table.columns.items():
        valid = shown if a.valid is None else a.valid if shown is None else a.valid & shown
        blank = _blanked(w, replace(a, valid=valid))
        columns[key] = blank if a.valid is not None else replace(blank, valid=None)
    table = replace(table, columns=columns)
    if table.ordered:
        return table
    return shuffled(w, table) if meet(v.type.seen_by for v in leaves(table)) == frozenset() else by_contents(w, table)
