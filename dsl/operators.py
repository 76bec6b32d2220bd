"""Arithmetic, comparison and logic of the surface types.

For: `binary`, `compare`, `negate`, `invert`, `logical`, `power`.
Leaves to others: bringing operands to one type (`convert`), functions by name (`builtins`).

The rules. Truth values count as 0 and 1. `int` with `fixed` gives `fixed`; `/` gives `fixed`; `//` and `%` round down.
A product of decimals has the places of both, a sum the larger number of places, a quotient is `fixed`. A date plus or
minus days is a date, the difference of two is days. What may be missing makes the result missing; `and` and `or` know
SQL's third truth value.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dsl.convert import (
    both_valid,
    convert,
    encode_text,
    exact_decimal,
    text_array,
    to_fixed,
    to_int,
    unify,
    word_index,
)
from dsl.masks import factors
from dsl.source import Span
from dsl.stypes import BOOLEAN, DATE, FIXED, INTEGER, SType, decimal, text_words
from dsl.values import UNKNOWN, Array, Text, Tuple, Unknown, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import INT, Size, broadcast_shapes

__all__ = ["binary", "compare", "divide", "invert", "logical", "negate", "power"]

OPERATIONS: Final = {"+": "add", "-": "sub", "*": "mul", "//": "floordiv", "%": "mod", "@": "matmul"}


def binary(w: Walker, op: str, left: Val, right: Val, span: Span) -> Val:
    """`left op right` for `+ - * / // % ** @`."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    left, right = _listed(w, left, right, span)
    if not isinstance(left, Array) or not isinstance(right, Array):
        label = f"{describe(left)} {op} {describe(right)}"
        return w.error("E0301", f"`{op}` needs numbers", span, label, helps=_brackets(left, right))
    if op == "**":
        return power(w, left, right, span)
    if "date" in {left.stype.kind, right.stype.kind}:
        return _date(w, op, left, right, span)
    if not left.stype.numeric or not right.stype.numeric:
        return w.error("E0301", f"`{op}` needs numbers", span, f"{left.stype} {op} {right.stype}")
    size = _size(w, op, left, right, span)
    if size is not None:
        return size
    left, right = to_int(left), to_int(right)
    if op == "/":
        return divide(w, left, right)
    if op in {"*", "@"}:
        return _product(w, OPERATIONS[op], left, right, span)
    (a, b), stype = unify(w, [left, right], span)
    if op == "//" and stype.kind == "decimal":
        stype = INTEGER.optional(stype.nullable)
    return _emit(w, OPERATIONS[op], a, b, stype)


def _listed(w: Walker, left: Val, right: Val, span: Span) -> tuple[Val, Val]:
    """`1, 2` beside an array is an array, as for NumPy. Two such, which Python's `+` would join, are not."""
    if isinstance(left, Array) and left.shape and isinstance(right, Tuple):
        return left, w.array(right, span)
    if isinstance(right, Array) and right.shape and isinstance(left, Tuple):
        return w.array(left, span), right
    return left, right


def _brackets(*vals: Val) -> list[str]:
    return ["a list is an array: `[1, 2, 3]`"] if any(isinstance(v, Tuple) for v in vals) else []


def _emit(w: Walker, name: str, a: Array, b: Array, stype: SType) -> Array:
    value = w.builder.emit(name, a.value, b.value)
    valid, padded = both_valid([a, b], value.shape)
    return Array(value, stype, valid, padded)


def _size(w: Walker, op: str, left: Array, right: Array, span: Span) -> Array | None:
    """Arithmetic of sizes that are not known yet stays a size."""
    ops = {left.value.node.op, right.value.node.op}
    if "size" not in ops or ops - {"size", "const"} or left.stype.kind != "int" or right.stype.kind != "int":
        return None
    if left.shape or right.shape:
        return None
    a = left.value.node.get("dim", None) or int(left.value.constant)
    b = right.value.node.get("dim", None) or int(right.value.constant)
    match op:
        case "+":
            return Array(w.region.dim(a + b), INTEGER)
        case "-":
            return Array(w.region.dim(a - b), INTEGER)
        case "*":
            return Array(w.region.dim(a * b), INTEGER)
        case "//" | "%":
            return Array(w.region.dim(Size.named(w.text(span))), INTEGER)
    return None


def _product(w: Walker, name: str, left: Array, right: Array, span: Span) -> Array:
    if name == "matmul" and (left.valid is not None or right.valid is not None):
        a, b, mark = factors(w, left, right, span)
        return mark(_product(w, name, a, b, span))
    kinds = {left.stype.kind, right.stype.kind}
    if "decimal" in kinds:
        left, right = exact_decimal(w, left), exact_decimal(w, right)
        kinds = {left.stype.kind, right.stype.kind}
    if "fixed" in kinds:
        if "decimal" in kinds:
            left, right = to_fixed(w, left), to_fixed(w, right)
        return _emit(w, name, left, right, FIXED)
    places = left.stype.places + right.stype.places
    if places > 18:
        w.fail("E0301", "a product has the decimal places of both", span, f"{places} places, 18 fit into 64 bits")
    return _emit(w, name, left, right, decimal(places))


def divide(w: Walker, left: Array, right: Array) -> Array:
    """`left / right`, a `fixed`; of two decimals without rounding either first."""
    if {left.stype.kind, right.stype.kind} <= {"int", "decimal"}:
        places = max(left.stype.places, right.stype.places)
        left, right = convert(w, left, decimal(places)), convert(w, right, decimal(places))
        left, right = replace(left, stype=INTEGER), replace(right, stype=INTEGER)
    return _emit(w, "div", to_fixed(w, left), to_fixed(w, right), FIXED)


def _date(w: Walker, op: str, left: Array, right: Array, span: Span) -> Val:
    kinds = (left.stype.kind, right.stype.kind)
    if op == "-" and kinds == ("date", "date"):
        return _emit(w, "sub", left, right, INTEGER)
    if op in {"+", "-"} and kinds == ("date", "int"):
        return _emit(w, OPERATIONS[op], left, right, DATE)
    if op == "+" and kinds == ("int", "date"):
        return _emit(w, "add", left, right, DATE)
    helps = ["a date some days later: `d + 30`", "the days between two dates: `d1 - d2`"]
    return w.error("E0301", f"`{op}` is not for dates so", span, f"{left.stype} {op} {right.stype}", helps=helps)


# ------------------------------------------------------------------------------------------- power


def power(w: Walker, base: Array, exponent: Array, span: Span) -> Val:
    """`base ** exponent`; the exponent is public and whole, a negative one gives the reciprocal."""
    if not base.stype.numeric or not exponent.stype.numeric:
        return w.error("E0301", "`**` needs numbers", span, f"{base.stype} ** {exponent.stype}")
    if exponent.shape or exponent.valid is not None:
        return w.error("E0301", "an exponent is one public whole number", span, describe(exponent))
    if exponent.stype.kind not in {"fixed", "int", "bool"}:
        exponent = to_fixed(w, exponent)
    helps = ["a power by a secret exponent: `exp(e * log(x))`"]
    known = w.concrete(exponent.value, span, "an exponent", helps=helps)
    base = to_int(base)
    if known.node.op == "size":
        return w.error("E0310", "an exponent must be known before the data are", span)
    number = known.constant
    if float(number) != int(number):
        return _root(w, base, float(number), span)
    n = int(number)
    if n < 0:
        return _reciprocal(w, _whole_power(w, base, -n, span))
    return _whole_power(w, base, n, span)


def _root(w: Walker, base: Array, exponent: float, span: Span) -> Val:
    base = to_fixed(w, base)
    if base.value.is_const:
        with np.errstate(all="ignore"):
            result = np.power(base.value.constant, exponent)
        if not np.isfinite(result).all():
            return w.error("E0503", "the result of ** is not a number", span)
        return Array(w.builder.const(result, w.fixed), FIXED)
    if exponent == 0.5:
        return w.error("E0301", "an exponent must be a whole number", span, helps=["take the root: `sqrt(x)`"])
    return w.error(
        "E0301", "an exponent must be a whole number", span, helps=[f"by the logarithm: `exp({exponent} * log(x))`"]
    )


def _whole_power(w: Walker, base: Array, n: int, span: Span) -> Array:
    stype = decimal(base.stype.places * n) if base.stype.kind == "decimal" else base.stype.optional(False)
    if stype.places > 18:
        w.fail("E0301", "a power has the decimal places of all factors", span, f"{stype.places} places, 18 fit")
    nullable = base.stype.nullable
    if n == 0:
        one = w.builder.const(np.ones(()), stype.dtype(w.frac)).broadcast_to(base.shape)
        return replace(base, value=one, stype=stype.optional(nullable), exact=None)
    value = base.value if n == 1 else w.builder.emit("power", base.value, n=n)
    return replace(base, value=value, stype=stype.optional(nullable), exact=None)


def _reciprocal(w: Walker, base: Array) -> Array:
    a = to_fixed(w, base)
    return a.with_value(w.builder.emit("reciprocal", a.value))


# -------------------------------------------------------------------------------------- comparison


def compare(w: Walker, op: str, left: Val, right: Val, span: Span) -> Val:
    """`left op right` for `== != < <= > >=`, a truth value for each element."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if isinstance(left, Text) and isinstance(right, Text):
        return _compare_constants(w, op, left.text, right.text)
    if isinstance(right, Text) and isinstance(left, Array):
        found = _text_operand(w, op, left, right.text, span)
        if found is None:
            return _never(w, op, left)
        right = found
    elif isinstance(left, Text) and isinstance(right, Array):
        found = _text_operand(w, op, right, left.text, span)
        if found is None:
            return _never(w, op, right)
        left = found
    left, right = _listed(w, left, right, span)
    if not isinstance(left, Array) or not isinstance(right, Array):
        label = f"{describe(left)} {op} {describe(right)}"
        return w.error("E0301", f"`{op}` compares numbers, dates and texts", span, label, helps=_brackets(left, right))
    return _compare(w, op, left, right, span)


def _compare(w: Walker, op: str, left: Array, right: Array, span: Span) -> Val:
    exact = {left.stype.kind, right.stype.kind} <= {"int", "decimal", "fixed"}
    if exact and "fixed" not in {_plain(left), _plain(right)}:
        left, right = exact_decimal(w, left), exact_decimal(w, right)
    (a, b), stype = unify(w, [left, right], span, counting=True)
    broadcast_shapes(a.shape, b.shape)  # a text's words are an axis more, of which a message would speak
    if op not in {"==", "!="} and not stype.ordered and stype.kind != "text":
        return w.error("E0301", f"{stype} has no order", span, f"`{op}` of {stype}")
    if stype.kind == "bool" and op not in {"==", "!="}:
        a, b = to_int(a), to_int(b)
    if op in {"==", "!="}:
        value = _equal_text(a.value, b.value) if stype.kind == "text" else w.builder.emit("eq", a.value, b.value)
    else:
        x, y = (a.value, b.value) if op in {"<", ">="} else (b.value, a.value)
        value = w.builder.emit("text_less" if stype.kind == "text" else "lt", x, y)
    if op in {"!=", "<=", ">="}:
        value = ~value
    valid, padded = both_valid([a, b], value.shape)
    return Array(value, BOOLEAN.optional(a.stype.nullable or b.stype.nullable), valid, padded)


def _plain(a: Array) -> str:
    """The kind, a literal with a point counting as a decimal: so it is compared exactly with whole numbers."""
    return "decimal" if a.exact is not None and a.stype.kind == "fixed" else a.stype.kind


def _equal_text(x: Value, y: Value) -> Value:
    same = x.equals(y)
    words = same.shape[-1]
    assert isinstance(words, int)
    rest = same.shape[:-1]
    parts = [same if words == 1 else _word(same, i) for i in range(words)]
    result = parts[0].reshape(rest)
    for part in parts[1:]:
        result = result & part.reshape(rest)
    return result


def _word(x: Value, i: int) -> Value:
    parts = (*((0, d, 1) for d in x.shape[:-1]), (i, i + 1, 1))
    return x.builder.emit("slice", x, parts=parts)


def _compare_constants(w: Walker, op: str, left: str, right: str) -> Array:
    result = {
        "==": left == right,
        "!=": left != right,
        "<": left < right,
        "<=": left <= right,
        ">": left > right,
        ">=": left >= right,
    }[op]
    return w.const(result, BOOLEAN)


def _text_operand(w: Walker, op: str, other: Array, text: str, span: Span) -> Array | None:
    """A text beside a value of an enum or text; None when it is longer than the value can be, and so never equal."""
    if other.stype.kind == "enum":
        return word_index(w, text, other.stype, span)
    if other.stype.kind != "text":
        helps = [f"a date of the study is written `date '{text}'`"] if other.stype.kind == "date" else []
        label = f"{other.stype} beside '{text}'"
        w.fail("E0301", f"{other.stype} is not compared with a text", span, label, helps=helps)
    if op not in {"==", "!="}:
        return text_array(w, text)
    words = encode_text(text, text_words(other.stype.length))
    if words is None or len(text.encode()) > other.stype.length:
        return None
    return Array(w.builder.const(words, INT), other.stype.optional(False))


def _never(w: Walker, op: str, array: Array) -> Val:
    value = w.builder.const(np.bool_(op == "!=")).broadcast_to(array.shape)
    return Array(value, BOOLEAN.optional(array.stype.nullable), array.valid, array.padded)


# ------------------------------------------------------------------------------------------- logic


def truth(w: Walker, val: Val, span: Span) -> Array:
    """`val` as truth values, or an error."""
    a = w.array(val, span, "a truth value")
    if a.stype.kind != "bool":
        helps = [f"compare it: `{w.text(span)} != 0`"] if a.stype.kind == "int" else []
        w.fail("E0301", f"expected a truth value, got {describe(a)}", span, describe(a), helps=helps)
    return a


def logical(w: Walker, op: str, left: Array, right: Array) -> Array:
    """`and`, `or` of truth values: false and missing is false, true or missing is true."""
    name = "and" if op == "and" else "or"
    value = w.builder.emit(name, left.value, right.value)
    if not (left.stype.nullable or right.stype.nullable):
        valid, padded = both_valid([left, right], value.shape)
        return Array(value, BOOLEAN, valid, padded)
    shape = value.shape
    true = w.builder.const(np.bool_(True))
    va = true if left.valid is None else left.valid
    vb = true if right.valid is None else right.valid
    decides_a = ~left.value if op == "and" else left.value
    decides_b = ~right.value if op == "and" else right.value
    valid = (va & vb) | (va & decides_a) | (vb & decides_b)
    # A missing operand's truth value says nothing: make it the one that decides nothing.
    a = (left.value | ~va) if op == "and" else (left.value & va)
    b = (right.value | ~vb) if op == "and" else (right.value & vb)
    value = w.builder.emit(name, a, b)
    return Array(value, BOOLEAN.optional(), valid.broadcast_to(shape), left.padded or right.padded)


def invert(w: Walker, val: Val, span: Span) -> Array:
    """`not val`."""
    a = truth(w, val, span)
    return a.with_value(~a.value)


def negate(w: Walker, val: Val, span: Span) -> Val:
    """`-val`."""
    if isinstance(val, Unknown):
        return UNKNOWN
    if isinstance(val, Tuple):
        return w.error("E0301", "`-` needs a number", span, describe(val), helps=_brackets(val))
    a = w.array(val, span)
    if not a.stype.numeric:
        return w.error("E0301", "`-` needs a number", span, describe(a))
    if a.value.node.op == "size":
        return Array(w.region.dim(-a.value.node["dim"]), INTEGER)
    a = to_int(a)
    exact = None if a.exact is None else -a.exact
    return replace(a, value=-a.value, exact=exact)
