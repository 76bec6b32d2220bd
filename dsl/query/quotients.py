"""Quotients of SQL: missing where the divisor is 0, and of exact numbers as exact as a `fixed` can say.

For: `divide`, `mean`, `quotient`, `divisor`, `missing_by_zero`.

Whole numbers divide in two steps, the whole part exactly and then the remainder: so a quotient is off by two units of
`fixed` whatever its size, where one step is off by 2^-22 of it.  Where the divisor is known to be small, as the number
of a group's rows is, it is the unit nearest to the quotient, and equal means of whole numbers and decimals are equal:
rows in their order stand as exact means would have them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dsl.convert import both_valid, exact_decimal, to_fixed, to_int
from dsl.query.known import interval
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import FIXED
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import INT, meet

__all__ = ["divide", "divisor", "mean", "missing_by_zero", "quotient"]


def quotient(ctx: Context, x: Value, y: Value) -> Value:
    """x / y of whole numbers, as a `fixed`; where y is 0 it means nothing."""
    y = divisor(ctx, y)
    if _secret(x, y) and _below(62 - ctx.w.frac - 1, x, y):
        return _nearest(ctx, x, y)
    whole, rest = emit(ctx, "floordiv", x, y), emit(ctx, "mod", x, y)
    small = _secret(rest, y) and _below(62 - ctx.w.frac - 1, y)
    part = _nearest(ctx, rest, y) if small else emit(ctx, "div", rest, y).to_fixed(ctx.w.frac)
    return emit(ctx, "to_fixed", whole, frac=ctx.w.frac) + part


def _secret(*values: Value) -> bool:
    """Whether nobody sees the quotient: who does divides floats."""
    return meet(v.type.seen_by for v in values) == frozenset()


def _below(bits: int, *values: Value) -> bool:
    """Whether all are known to be smaller than 2^bits."""
    known = [interval(v) for v in values]
    return all(k is not None and max(-k.lo, k.hi) < 2.0**bits for k in known)


def _nearest(ctx: Context, x: Value, y: Value) -> Value:
    """The `fixed` nearest to x / y."""
    nearest = emit(ctx, "floordiv", x * (2 << ctx.w.frac) + y, y * 2)
    return emit(ctx, "of_units", nearest, frac=ctx.w.frac)


def divisor(ctx: Context, y: Value) -> Value:
    """y, without what is known to be 0."""
    if not y.is_const or y.constant.all():
        return y
    return ctx.w.builder.const(np.where(y.constant == 0, np.ones((), y.constant.dtype), y.constant), y.dtype)


def divide(ctx: Context, a: Array, b: Array, span: Span) -> Array:
    """`a / b`, a `fixed`."""
    a, b = (exact_decimal(ctx.w, to_int(v)) for v in (a, b))
    below = b
    if b.value.is_const and not b.shape and not b.value.constant.any():
        ctx.w.fail("E0502", "division by zero", span)
    if {a.stype.kind, b.stype.kind} <= {"int", "decimal"}:
        x, y = _units(ctx, a, b.stype.places, span), _units(ctx, b, a.stype.places, span)
        value = quotient(ctx, x, y)
    else:
        a, b = to_fixed(ctx.w, a), to_fixed(ctx.w, b)
        value = emit(ctx, "div", a.value, divisor(ctx, b.value))
    valid, _ = both_valid([a, b], value.shape)
    result = Array(value, FIXED.optional(valid is not None), valid)
    return missing_by_zero(ctx, result, below)


def _units(ctx: Context, a: Array, places: int, span: Span) -> Value:
    """Units of a number at no fewer places than another has."""
    more = max(places - a.stype.places, 0)
    if a.value.is_const and a.value.constant.size:
        c = a.value.constant
        largest = max(abs(int(c.min())), abs(int(c.max()))) * 10**more
        if largest >= 2**63:
            ctx.w.fail("E0501", "the quotient's operands do not fit into 64 bits", span)
    return a.value * 10**more if more else a.value


def missing_by_zero(ctx: Context, result: Array, below: Array) -> Array:
    """The quotient, missing where its divisor is 0."""
    d = below.value
    if d.is_const and d.constant.all():
        return result
    valid = ~(d.equals(ctx.w.builder.const(np.zeros(()), d.dtype)))
    if result.valid is not None:
        valid = valid & result.valid
    return replace(result, valid=valid.broadcast_to(result.shape), stype=result.stype.optional())


def mean(ctx: Context, total: Array, number: Array, span: Span) -> Array:
    """The mean of so many numbers, a `fixed`; missing where there are none."""
    total = to_int(total)
    if total.stype.kind not in {"int", "decimal", "fixed"}:
        ctx.w.fail("E0301", "an average is one of numbers", span, f"{total.stype}")
    if total.stype.kind == "fixed":
        n = emit(ctx, "to_fixed", divisor(ctx, number.value), frac=ctx.w.frac)
        whole, rest = emit(ctx, "floordiv", total.value, n), emit(ctx, "mod", total.value, n)
        value = whole + emit(ctx, "div", rest, n)
    else:
        unit = 10**total.stype.places
        n = number.value if unit == 1 else number.value * ctx.w.builder.const(np.int64(unit), INT)
        value = quotient(ctx, total.value, n)
    return Array(value, FIXED.optional(total.valid is not None), total.valid)
