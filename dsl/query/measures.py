"""What measures of all kinds of groups share.

For: `number` (the argument of a sum), `combined` (the extreme of two parts), `limit_of`, `nothing`.
"""

from __future__ import annotations

import math

import numpy as np

from dsl.convert import to_int
from dsl.query.known import interval
from dsl.query.plan import Measure
from dsl.query.relation import Context, emit
from dsl.values import Array
from mpc.circuit import Value

__all__ = ["addable", "added_up", "addends", "combined", "limit_of", "nothing", "number"]


def number(ctx: Context, m: Measure, a: Array) -> Array:
    """The argument of a sum."""
    a = to_int(a)
    if a.stype.kind not in {"int", "decimal", "fixed"}:
        ctx.w.fail("E0301", "a sum is one of numbers", m.span, f"{a.stype}")
    return a


def addable(ctx: Context, value: Value) -> tuple[Value, int]:
    """What is added up, and the fraction bits of which it is whole numbers.

    An owner adds up its own `fixed` numbers as whole ones of their last place, which is how all others are added: so
    the sum is the same in whatever order it is taken, and wherever.
    """
    if value.dtype.kind != "fixed" or len(value.type.seen_by or ()) != 1:
        return value, 0
    return emit(ctx, "units", value, frac=value.dtype.frac), value.dtype.frac


def addends(ctx: Context, value: Value, valid: Value | None) -> tuple[Value, int]:
    """What `addable` gives, 0 where a value is missing."""
    out, frac = addable(ctx, value)
    if valid is None:
        return out, frac
    return emit(ctx, "select", valid, out, ctx.w.builder.const(np.zeros(()), out.dtype)), frac


def added_up(ctx: Context, total: Value, frac: int) -> Value:
    """A sum of what `addable` gave."""
    return emit(ctx, "of_units", total, frac=frac) if frac else total


def nothing(ctx: Context, a: Array) -> Array:
    """A missing value of a column's type."""
    zero = ctx.w.builder.const(np.zeros(()), a.value.dtype)
    value = zero.broadcast_to(a.value.shape[1:]) if a.stype.kind == "text" else zero
    return Array(value, a.stype.optional(), ctx.w.builder.const(np.bool_(False)))


def limit_of(ctx: Context, a: Array, largest: bool) -> Value:
    """What no number of a column is above, or below: its declared limit, or its type's."""
    known = interval(a.value)
    if known is not None and known.magnitude < 2**53:
        bound = math.ceil(known.hi) if largest else math.floor(known.lo)
        return ctx.w.builder.const(np.asarray(bound), a.value.dtype)
    if a.value.dtype.kind == "fixed":
        edge = 2.0 ** (62 - a.value.dtype.frac)
        return ctx.w.builder.const(edge if largest else -edge, a.value.dtype)
    return ctx.w.builder.const(np.int64(2**63 - 1 if largest else -(2**63)))


def combined(ctx: Context, m: Measure, a: Array, b: Array) -> Array:
    """The better of two extremes, either of which may be missing."""
    x, y = to_int(a), to_int(b)
    if a.stype.kind == "text":
        less = emit(ctx, "text_less", y.value, x.value) if m.kind == "min" else emit(ctx, "text_less", x.value, y.value)
    else:
        less = y.value < x.value if m.kind == "min" else x.value < y.value
    take = less
    if b.valid is not None:
        take = take & b.valid
    if a.valid is not None:
        take = take | (~a.valid if b.valid is None else b.valid & ~a.valid)
    c = take.reshape((*take.shape, 1)) if a.stype.kind == "text" else take
    value = emit(ctx, "select", c, b.value, a.value)
    valid = None if a.valid is None or b.valid is None else a.valid | b.valid
    return Array(value, a.stype.optional(valid is not None), valid)
