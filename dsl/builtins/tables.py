"""Tables and what may be missing: matrix compact shuffle coalesce."""

from __future__ import annotations

from dataclasses import replace

from dsl import syntax
from dsl.builtins.table import CallSite, builtin, special
from dsl.convert import both_valid, text_array, to_int, unify, word_index
from dsl.masks import in_rows, only_rows
from dsl.parts import column, open_value
from dsl.rows import front, shuffled
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array, Table, Text, Val, describe, map_leaves
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import Dim, broadcast_shapes

__all__: list[str] = []


@special("matrix")
def matrix(w: Walker, e: syntax.Call) -> Val:
    """`matrix(t, a, b)`: columns of a table side by side, a row each; all numeric ones when none is named."""
    if e.keywords or not e.arguments:
        return w.error("E0205", "`matrix` takes a table and columns of it", e.span, helps=["write `matrix(t, a, b)`"])
    table = w.evaluate_known(e.arguments[0])
    if not isinstance(table, Table):
        return w.error("E0301", "`matrix` takes a table", e.arguments[0].span, describe(table))
    name = w.text(e.arguments[0].span)
    picked = [(_column(w, table, a), a.span, _full_name(w, table, name, a)) for a in e.arguments[1:]]
    if not picked:
        picked = [
            (column(w, table, n, e.span), e.span, f"{name}.{n}") for n, a in table.columns.items() if a.stype.numeric
        ]
    if not picked:
        return w.error("E0301", f"`{table.name}` has no column of numbers", e.span)
    arrays = []
    for a, span, called in picked:
        if a.stype.kind in {"key", "text", "date"}:
            return w.error("E0301", "a matrix has numbers", span, describe(a))
        if a.shape != (table.rows,):
            return w.error("E0302", f"`{table.name}` has {table.rows} rows", span, describe(a))
        if a.stype.nullable:
            short = called.rpartition(".")[2]
            instead = f"`select coalesce({short}, 0) as {short}`" if a.padded else f"`coalesce({called}, 0)`"
            helps = [f"say what to take instead{', in the query' if a.padded else ''}: {instead}"]
            return w.error("E0311", f"a value of `{called}` may be missing", span, f"{a.stype}", helps=helps)
        arrays.append(to_int(only_rows(w, a, span)))
    plain = [_numbers(a) for a in arrays]
    parts, stype = unify(w, plain, e.span)
    columns = [p.value.reshape((table.rows, 1)) for p in parts]
    made = Array(columns[0] if len(columns) == 1 else w.builder.emit("concat", *columns, axis=1), stype)
    mask, _ = both_valid(arrays, (table.rows,))
    return made if mask is None else in_rows(made, mask)


def _numbers(a: Array) -> Array:
    """An enum as the number of its word."""
    return replace(a, stype=INTEGER) if a.stype.kind == "enum" else a


def _full_name(w: Walker, table: Table, name: str, e: syntax.Expression) -> str:
    """How a study names a column outside `matrix`."""
    text = w.text(e.span)
    return f"{name}.{text}" if text in table.columns else text


def _column(w: Walker, table: Table, e: syntax.Expression) -> Array:
    if isinstance(e, syntax.Name) and (e.id in table.columns or w.scope.find(e.id) is None):
        return column(w, table, e.id, e.span)
    if isinstance(e, syntax.Text):
        return column(w, table, e.value, e.span)
    return w.array(w.evaluate(e), e.span, "a column")


@builtin("compact")
def compact(w: Walker, site: CallSite, q: Val) -> Val:
    """The visible rows of a table; opens how many there are."""
    if not isinstance(q, Table):
        return w.error("E0301", "`compact` takes a table or a query", site.of("q"), describe(q))
    if q.visible is None:
        return q
    if w.guards:
        guard = w.guards[-1]
        why = [(guard.span, "this decides, and is secret"), *w.why(guard.value)]
        return w.error("E0308", "nothing can be opened where a secret decides what runs", site.span, secondary=why)
    total = w.builder.emit("sum", q.visible.to_int(), axis=0, keepdims=False)
    opened = total if total.type.public else open_value(w, total)
    known = w.concrete(opened, site.span, "how many rows there are")
    rows: Dim = known.node["dim"] if known.node.op == "size" else int(known.constant)
    # In an order that says nothing, unless the query asked for one: behind a join rows stand in the order of its keys.
    sorted_ = front(w, q if q.ordered else shuffled(w, q))

    def first(value: Value) -> Value:
        parts = ((0, rows, 1), *((0, d, 1) for d in value.shape[1:]))
        return w.builder.emit("slice", value, parts=parts)

    cut = map_leaves(replace(sorted_, visible=None), first)
    assert isinstance(cut, Table)
    return replace(cut, rows=rows, lineage=q.lineage)


@builtin("shuffle")
def shuffle(w: Walker, site: CallSite, x: Val) -> Val:
    """The rows of an array or a table in an order that no party knows."""
    if isinstance(x, Table):
        return shuffled(w, x)
    a = w.full(w.array(x, site.of("x"), "an array or a table"), site.of("x"))
    if not a.shape:
        return w.error("E0302", "a single value has no rows", site.of("x"), describe(a))
    return a.with_value(w.builder.emit("shuffle", a.value))


@builtin("coalesce")
def coalesce(w: Walker, site: CallSite, *values: Val) -> Val:
    """Of several values the first that is there: for each element of the first, which may be an array."""
    if len(values) < 2:
        return w.error("E0205", "`coalesce` takes a value and what to take where it is missing", site.span)
    a = w.array(values[0], site.items[0])
    if a.padded:
        w.full(a, site.items[0])
    for default, span in zip(values[1:], site.items[1:], strict=True):
        if a.valid is None:
            break
        a = _filled(w, a, default, span)
    return a


def _filled(w: Walker, a: Array, default: Val, span: Span) -> Array:
    """`a`, with a default where an element is missing."""
    if isinstance(default, Text):
        enum = a.stype.kind == "enum"
        default = word_index(w, default.text, a.stype, span) if enum else text_array(w, default.text)
    (p, q), stype = unify(w, [a, w.array(default, span)], span)
    assert p.valid is not None
    value = w.builder.emit("select", _mask(p), p.value, q.value)
    if q.valid is None:
        return Array(value, stype.optional(False))
    valid = w.builder.emit("or", p.valid, q.valid)
    return Array(value, stype.optional(), valid.broadcast_to(broadcast_shapes(p.shape, q.shape)))


def _mask(a: Array) -> Value:
    assert a.valid is not None
    return a.valid.reshape((*a.valid.shape, 1)) if a.stype.kind == "text" else a.valid
