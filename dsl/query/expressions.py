"""The value of a bound expression over the rows of a part: SQL's rules, by three-valued logic.

For: `column_of`, `truth_of`, `Rows` (what expressions are evaluated over).
Leaves to others: arithmetic and comparison of the surface types (`dsl.operators`), quotients (`quotients`), dates,
texts.

Where SQL and statements differ: a quotient by 0 is missing, `null` is a value, conditions that are missing choose
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple, cast

import numpy as np

from dsl import syntax
from dsl.builtins import BUILTINS
from dsl.builtins.dates import part_of
from dsl.builtins.table import Builtin, CallSite
from dsl.calls import inline
from dsl.convert import exact_decimal, text_array, to_int
from dsl.node import Node
from dsl.operators import binary, compare, invert, logical, negate, truth
from dsl.query import casts, moments, quotients, texts
from dsl.query.choices import NULL, Missing, Result, alike, choose, first_there
from dsl.query.compare import compared, greatest
from dsl.query.dates import shifted
from dsl.query.functions import FUNCTIONS, Call
from dsl.query.plan import Among, Certain, Column, Default, Fraction, Mean, Ref, Spread, Whole
from dsl.query.relation import Context, Part, full
from dsl.source import Span
from dsl.stypes import BOOLEAN, INTEGER
from dsl.values import Array, Function, Text, Unknown, Val, describe
from dsl.walker import Reported
from mpc.circuits.texts import pieces_of
from mpc.types import BOOL, Dim, TypeRuleError

__all__ = ["Rows", "certain", "column_of", "rows_of", "truth_of"]


MIRRORED: Final[dict[str, syntax.CompareOperator]] = {
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
    "==": "==",
    "!=": "!=",
}


class Rows(NamedTuple):
    """What an expression sees: columns of `size` rows."""

    ctx: Context
    columns: Mapping[Column, Array]
    size: Dim


def rows_of(ctx: Context, part: Part) -> Rows:
    """The rows of a part."""
    return Rows(ctx, part.columns, part.rows)


def column_of(rows: Rows, node: Node) -> Array:
    """The expression as a column with a value for each row."""
    with rows.ctx.w.at(node.span):
        return full(_array(rows, node), rows.size)


def truth_of(rows: Rows, node: Node) -> Array:
    """A condition as single truth values, or one for each row; false where it is missing."""
    w = rows.ctx.w
    with w.at(node.span):
        result = _value(rows, node)
        if isinstance(result, Missing):
            return w.const(False, BOOLEAN)
        return certain(truth(w, result, node.span))


def certain(a: Array) -> Array:
    """Truth values, false where they are missing."""
    return a if a.valid is None else Array(a.value & a.valid, BOOLEAN)


def _array(rows: Rows, node: Node) -> Array:
    w = rows.ctx.w
    result = _value(rows, node)
    if isinstance(result, Missing):
        return Array(w.const(0, INTEGER).value, INTEGER.optional(), w.builder.const(np.bool_(False), BOOL))
    if isinstance(result, Text):
        return text_array(w, result.text)
    return w.array(result, node.span, "a value of one row")


def _value(rows: Rows, node: Node) -> Result:
    with rows.ctx.w.at(node.span):
        try:
            result = _dispatch(rows, node)
        except TypeRuleError as error:
            result = rows.ctx.w.refused(error, node.span)
    if isinstance(result, Unknown):
        raise Reported
    return result


def _dispatch(rows: Rows, e: Node) -> Result:
    w = rows.ctx.w
    match e:
        case Ref(column):
            known = rows.columns.get(column)
            return rows.ctx.constants[column] if known is None else known
        case syntax.Null():
            return NULL
        case syntax.Unary("-", syntax.Int()):
            return w.evaluate(e)
        case syntax.Unary("-", operand):
            return _strict(rows, [operand], lambda vals: negate(w, vals[0], operand.span))
        case syntax.Unary(_, operand):
            return _strict(rows, [operand], lambda vals: invert(w, vals[0], operand.span))
        case syntax.Binary(_, high, low) if isinstance(cast(Node, high), Whole | Fraction):
            return moments.product(rows.ctx, _array(rows, high), _array(rows, low))
        case syntax.Binary():
            return _binary(rows, e)
        case syntax.Compare(op, left, right):
            return _beside_mean(rows, e) or _strict(
                rows, [left, right], lambda vals: compared(rows.ctx, op, vals[0], vals[1], e.span)
            )
        case syntax.Logical(op, left, right):
            a, b = (_condition(rows, side) for side in (left, right))
            return logical(w, op, a, b)
        case syntax.Case():
            return _case(rows, e)
        case syntax.Between(value, low, high, negated):
            return _between(rows, value, low, high, negated, e.span)
        case syntax.InList(value, items, negated):
            return _in_list(rows, value, items, negated, e.span)
        case syntax.Like():
            return _like(rows, e)
        case syntax.IsNull(value, negated):
            return _is_null(rows, value, negated)
        case syntax.Extract(part, value):
            return _extract(rows, part, value)
        case syntax.Cast(value):
            return casts.cast(rows.ctx, _value(rows, value), e)
        case syntax.Call():
            return _call(rows, e)
    return _special(rows, e)


def _special(rows: Rows, e: Node) -> Result:
    w = rows.ctx.w
    match e:
        case Certain(value):
            return certain(_condition(rows, value))
        case Default(value):
            a = _array(rows, value)
            zero = w.builder.const(np.zeros(()), a.value.dtype)
            if a.valid is None:
                return a
            return Array(w.builder.emit("select", a.valid, a.value, zero), a.stype.optional(False))
        case Among():
            return _among(rows, e)
        case Mean(total, number):
            return quotients.mean(rows.ctx, _array(rows, total), _array(rows, number), e.span)
        case Whole(value):
            return moments.whole(rows.ctx, _array(rows, value), e.span)
        case Fraction(value):
            return moments.fraction(rows.ctx, _array(rows, value))
        case Spread():
            parts = (e.count, e.total, e.whole, e.fraction, e.whole_squared, e.crossed, e.fraction_squared)
            return moments.spread(rows.ctx, e.kind, *(_array(rows, p) for p in parts))
        case syntax.Interval():
            return w.error("E0601", "an interval is added to a date, or taken from one", e.span)
    return w.evaluate(cast(syntax.Expression, e))


def _strict(rows: Rows, operands: Sequence[Node], run: object) -> Result:
    """What is missing if an operand is `null`."""
    vals = [_value(rows, o) for o in operands]
    if any(isinstance(v, Missing) for v in vals):
        return NULL
    assert callable(run)
    return cast(Result, run(vals))


def _condition(rows: Rows, e: Node) -> Array:
    w = rows.ctx.w
    result = _value(rows, e)
    if isinstance(result, Missing):
        return _never(rows)
    return truth(w, result, e.span)


def _never(rows: Rows) -> Array:
    """A truth value that is missing."""
    false = rows.ctx.w.builder.const(np.bool_(False), BOOL)
    return Array(false, BOOLEAN.optional(), false)


# ------------------------------------------------------------------------------- arithmetic, comparison


def _binary(rows: Rows, e: syntax.Binary) -> Result:
    w = rows.ctx.w
    for side, other in ((e.left, e.right), (e.right, e.left)):
        if isinstance(side, syntax.Interval):
            if e.op not in {"+", "-"} or (e.op == "-" and side is e.left):
                return w.error("E0601", "an interval is added to a date, or taken from one", e.span)
            sign = -1 if e.op == "-" else 1
            return _strict(rows, [other], partial(_shifted, rows, side, sign, other.span))

    def run(vals: Sequence[Val]) -> Val:
        if e.op == "||":
            return texts.joined(rows.ctx, vals[0], vals[1], e.span)
        if e.op == "/" and all(isinstance(v, Array) and v.stype.numeric for v in vals):
            a, b = (cast(Array, v) for v in vals)
            return quotients.divide(rows.ctx, a, b, e.span)
        result = binary(w, e.op, vals[0], vals[1], e.span)
        if e.op in {"//", "%"} and isinstance(result, Array) and isinstance(vals[1], Array):
            return quotients.missing_by_zero(rows.ctx, result, vals[1])
        return result

    return _strict(rows, [e.left, e.right], run)


def _shifted(rows: Rows, interval: syntax.Interval, sign: int, span: Span, vals: Sequence[Val]) -> Val:
    return shifted(rows.ctx, vals[0], interval, sign, span)


def _beside_mean(rows: Rows, e: syntax.Compare) -> Array | None:
    """A number compared with a mean, or a multiple of one, without dividing: x < f s / n where x n < f s, exactly."""
    w = rows.ctx.w
    ways: list[tuple[Node, Node, syntax.CompareOperator]] = [(e.right, e.left, e.op), (e.left, e.right, MIRRORED[e.op])]
    for side, other, op in ways:
        mean, factor = side, None
        if isinstance(side, syntax.Binary) and side.op == "*":
            factor = next((f for f in (side.left, side.right) if isinstance(f, syntax.Int | syntax.Real)), None)
            mean = side.right if factor is side.left else side.left
        if not isinstance(mean, Mean) or isinstance(other, syntax.Null):
            continue
        x, total, number = (_array(rows, node) for node in (other, mean.total, mean.count))
        x = exact_decimal(w, to_int(x))
        if {x.stype.kind, total.stype.kind} <= {"int", "decimal"}:
            here = binary(w, "*", x, number, e.span)
            there = total if factor is None else binary(w, "*", _array(rows, factor), total, e.span)
            return cast(Array, compare(w, op, here, there, e.span))
    return None


def _between(rows: Rows, value: Node, low: Node, high: Node, negated: bool, span: Span) -> Result:
    """Both comparisons, joined by `and`: one that is false decides, even where the other is missing."""
    w = rows.ctx.w
    sides = []
    for op, end in ((">=", low), ("<=", high)):
        result = _strict(rows, [value, end], lambda vals, o=op: compared(rows.ctx, o, vals[0], vals[1], span))
        sides.append(_never(rows) if isinstance(result, Missing) else truth(w, result, span))
    both = logical(w, "and", sides[0], sides[1])
    return invert(w, both, span) if negated else both


def _in_list(rows: Rows, value: Node, items: Sequence[Node], negated: bool, span: Span) -> Result:
    w = rows.ctx.w
    found: Array | None = None
    for item in items:
        result = _strict(rows, [value, item], lambda vals, s=item.span: compared(rows.ctx, "==", vals[0], vals[1], s))
        one = _never(rows) if isinstance(result, Missing) else truth(w, result, item.span)
        found = one if found is None else logical(w, "or", found, one)
    assert found is not None
    return invert(w, found, span) if negated else found


def _among(rows: Rows, e: Among) -> Array:
    w = rows.ctx.w
    value = _value(rows, e.value)
    found = _array(rows, e.matched)
    number, present = _array(rows, e.rows).value, _array(rows, e.present).value
    empty = number.equals(0)
    there: Array | None = value if isinstance(value, Array) else None
    known = present.equals(number)
    if isinstance(value, Missing):
        return Array(w.builder.const(np.bool_(False), BOOL), BOOLEAN.optional(), empty)
    if there is not None and there.valid is not None:
        known = known & there.valid
    valid = (found.value | known | empty).broadcast_to(found.value.shape)
    return Array(found.value, BOOLEAN.optional(), valid)


def _like(rows: Rows, e: syntax.Like) -> Result:
    w = rows.ctx.w

    def run(vals: Sequence[Val]) -> Val:
        pattern, *escapes = vals[1:]
        if not isinstance(pattern, Text):
            return w.error("E0901", "the pattern of `like` is a text of the study", e.pattern.span, describe(pattern))
        escape = escapes[0] if escapes else Text("")
        if not isinstance(escape, Text) or len(escape.text) > 1:
            span = e.span if e.escape is None else e.escape.span
            return w.error("E0601", "`escape` is one character", span, helps=["`like '5!%' escape '!'`"])
        try:
            pieces = pieces_of(pattern.text, escape.text)
        except ValueError as problem:
            return w.error("E0601", f"{problem}", e.pattern.span)
        if not e.any_case:
            return texts.like(rows.ctx, vals[0], pieces, e.span)
        return texts.like(rows.ctx, texts.lower(rows.ctx, vals[0], e.span), texts.in_lower_case(pieces), e.span)

    result = _strict(rows, [e.value, e.pattern, *([] if e.escape is None else [e.escape])], run)
    return invert(w, result, e.span) if e.negated and not isinstance(result, Missing | Unknown) else result


def _is_null(rows: Rows, value: Node, negated: bool) -> Array:
    w = rows.ctx.w
    result = _value(rows, value)
    if isinstance(result, Missing):
        return w.const(not negated, BOOLEAN)
    if not isinstance(result, Array) or result.valid is None:
        return w.const(negated, BOOLEAN)
    return Array(result.valid if negated else ~result.valid, BOOLEAN)


def _extract(rows: Rows, part: str, value: Node) -> Result:
    w = rows.ctx.w
    result = _value(rows, value)
    if isinstance(result, Missing):
        return NULL
    a = w.array(result, value.span, "a date")
    if a.stype.kind != "date":
        return w.error("E0301", "`extract` takes a part of a date", value.span, describe(a))
    return Array(part_of(a.value, part), INTEGER.optional(a.stype.nullable), a.valid)


# -------------------------------------------------------------------------------------------- choice


def _case(rows: Rows, e: syntax.Case) -> Result:
    conditions = [certain(_condition(rows, b.condition)) for b in e.branches]
    results = [_value(rows, b.value) for b in e.branches]
    results.append(NULL if e.otherwise is None else _value(rows, e.otherwise))
    values = alike(rows.ctx, results, e.span)
    if values is None:
        return NULL
    out = values[-1]
    for condition, value in zip(reversed(conditions), reversed(values[:-1]), strict=True):
        out = choose(rows.ctx, condition, value, out)
    return out


def _coalesce(rows: Rows, e: syntax.Call) -> Result:
    values = alike(rows.ctx, [_value(rows, a) for a in e.arguments], e.span)
    return NULL if values is None else first_there(rows.ctx, values)


# --------------------------------------------------------------------------------------------- calls


def _call(rows: Rows, e: syntax.Call) -> Result:
    w = rows.ctx.w
    name = e.function.id if isinstance(e.function, syntax.Name) else ""
    match name.lower():
        case "coalesce":
            return _coalesce(rows, e)
        case "nullif" if len(e.arguments) == 2:
            return _nullif(rows, e)
        case "greatest" | "least" as which if e.arguments:
            return greatest(rows.ctx, [_value(rows, a) for a in e.arguments], which, e.span) or NULL
    binding = w.scope.find(name)
    if binding is None and name.lower() in FUNCTIONS:
        return _function(rows, name.lower(), e)
    function = BUILTINS.get(name, BUILTINS.get(name.lower())) if binding is None else binding.val

    def run(vals: Sequence[Val]) -> Val:
        if isinstance(function, Builtin):
            return _builtin(rows, function, e, vals)
        if isinstance(function, Function):
            parameters = [p.name.text for p in function.definition.parameters]
            if e.keywords or len(vals) > len(parameters):
                return w.error("E0205", f"`{name}` takes {len(parameters)} arguments", e.span)
            bound = {**function.defaults, **dict(zip(parameters, vals, strict=False))}
            lacking = [p for p in parameters if p not in bound]
            if lacking:
                return w.error("E0205", f"`{name}` needs `{lacking[0]}`", e.span)
            return inline(w, function, bound, e.span)
        return w.error("E0204", f"there is no function `{w.text(e.function.span)}`", e.function.span)

    return _strict(rows, e.arguments, run)


def _function(rows: Rows, name: str, e: syntax.Call) -> Result:
    """A function that SQL has."""
    function, w = FUNCTIONS[name], rows.ctx.w
    if not function.least <= len(e.arguments) <= function.most or e.keywords:
        few, many = function.least, function.most
        wanted = f"{few} or {many} arguments" if few < many else f"{few} argument{'s' * (few > 1)}"
        return w.error("E0205", f"`{name}` takes {wanted}", e.span)
    spans = [a.span for a in e.arguments]
    return _strict(rows, e.arguments, lambda vals: function.run(Call(rows.ctx, name, vals, spans, e.span)))


ROWWISE: Final = frozenset(
    {"abs", "sign", "floor", "clip", "clamp", "square", "reciprocal", "exp", "log", "sqrt", "rsqrt"}
    | {"sigmoid", "tanh", "relu", "year", "month", "day"}
)
"""Built-in functions that work row by row."""


def _builtin(rows: Rows, function: Builtin, e: syntax.Call, vals: Sequence[Val]) -> Val:
    w = rows.ctx.w
    name = function.name
    if name not in ROWWISE:
        return w.error("E0604", f"`{name}` is no function of one row", e.span)
    parameters = [*function.required, *function.optional]
    named = {k.name.text: cast(Val, _value(rows, k.value)) for k in e.keywords}
    bound = {**dict(zip(parameters, vals, strict=False)), **named}
    if len(vals) > len(parameters) or set(named) - set(parameters) or set(function.required) - set(bound):
        return w.error("E0205", f"`{name}` takes {', '.join(parameters)}", e.span)
    spans = dict(zip(parameters, [a.span for a in e.arguments], strict=False))
    return function.run(w, CallSite(e.span, spans), **bound)


def _nullif(rows: Rows, e: syntax.Call) -> Result:
    a = _array(rows, e.arguments[0])
    same = truth_of(rows, syntax.Compare("==", e.arguments[0], e.arguments[1], span=e.span))
    differs = ~same.value
    valid = differs if a.valid is None else a.valid & differs
    return replace(a, valid=valid.broadcast_to(a.shape), stype=a.stype.optional(), exact=None)
