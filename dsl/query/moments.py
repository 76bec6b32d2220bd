"""Variance and standard deviation, of a sample or of all there is, from sums that any order of adding up gives alike.

For: `whole`, `fraction` and `product` (what is added up), `spread`.

Numbers with exact units (`int`, `decimal`) are x = h units; a `fixed` is x = h + l 2^-16.  With c = floor(sum h / n),

    sum (h - c)^2   = sum h^2 - 2 c sum h + n c^2
    sum (h - c) l   = sum h l - c sum l

are exact whole numbers whatever wraps on the way, since they themselves fit; so nothing is lost to large values with
small differences, and an owner adds up its own rows alone.
"""

from __future__ import annotations

import numpy as np

from dsl.convert import both_valid, to_int
from dsl.query.quotients import divisor, quotient
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import FIXED, INTEGER
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import INT

__all__ = ["fraction", "product", "spread", "whole"]

FINE = 16
"""Bits of the fraction of a `fixed` that count."""


def whole(ctx: Context, a: Array, span: Span) -> Array:
    """The units of an exact number, the whole part of a `fixed`."""
    a = to_int(a)
    if not a.stype.numeric:
        ctx.w.fail("E0301", "numbers have a variance", span, f"{a.stype}")
    value = _floor(ctx, a.value) if a.stype.kind == "fixed" else a.value
    return Array(value, INTEGER.optional(a.stype.nullable), a.valid)


def _floor(ctx: Context, x: Value) -> Value:
    units = emit(ctx, "units", x, frac=x.dtype.frac)
    return _over(ctx, units, 1 << x.dtype.frac)


def _over(ctx: Context, x: Value, divisor: int) -> Value:
    return emit(ctx, "floordiv", x, ctx.w.builder.const(np.int64(divisor), INT))


def fraction(ctx: Context, a: Array) -> Array:
    """What `whole` leaves of a `fixed`, in units of 2^-16; 0 of other numbers."""
    stype = INTEGER.optional(a.stype.nullable)
    if a.stype.kind != "fixed":
        return Array(ctx.w.builder.const(np.int64(0), INT).broadcast_to(a.shape), stype, a.valid)
    frac = a.value.dtype.frac
    rest = emit(ctx, "units", a.value, frac=frac) - _floor(ctx, a.value) * (1 << frac)
    value = _over(ctx, rest, 1 << (frac - FINE)) if frac >= FINE else rest * (1 << (FINE - frac))
    return Array(value, stype, a.valid)


def product(ctx: Context, a: Array, b: Array) -> Array:
    """The product of two of these, to be added up: modulo 2^64."""
    value = emit(ctx, "wrapping", a.value) * b.value
    valid, _ = both_valid([a, b], value.shape)
    return Array(value, INTEGER.optional(valid is not None), valid)


def spread(
    ctx: Context,
    kind: str,
    count: Array,
    total: Array,
    high: Array,
    low: Array,
    high_squared: Array,
    crossed: Array,
    low_squared: Array,
) -> Array:
    """The variance or its root; missing for fewer numbers than one, of a sample than two."""
    all_there = kind in {"var_pop", "stddev_pop"}
    w, n = ctx.w, divisor(ctx, count.value)
    below = n if all_there else divisor(ctx, n - 1)
    c = emit(ctx, "wrapping", emit(ctx, "floordiv", high.value, n))
    squares = high_squared.value - 2 * (c * high.value) + n * (c * c)
    excess = high.value - n * c  # 0 <= excess < n
    if total.stype.kind == "fixed":
        small = 2 * (crossed.value - c * low.value) + _over(ctx, low_squared.value, 1 << FINE)
        off = _fixed(ctx, small) - _product(ctx, _fixed(ctx, low.value) + excess.to_fixed(w.frac), n, n)
        result = quotient(ctx, squares, below) + emit(ctx, "div", off, below)
    else:
        unit = 10 ** (2 * total.stype.places)
        off = _product(ctx, excess.to_fixed(w.frac), n, below)
        off = emit(ctx, "div", off, n) if all_there else off
        off = off if unit == 1 else emit(ctx, "div", off, w.builder.const(float(unit), w.fixed))
        result = quotient(ctx, squares, below * unit) - off
    result = emit(ctx, "maximum", result, w.builder.const(0.0, w.fixed))
    value = emit(ctx, "sqrt", result) if kind in {"stddev", "stddev_pop"} else result
    return Array(value, FIXED.optional(), (count.value > (0 if all_there else 1)).broadcast_to(value.shape))


def _fixed(ctx: Context, units: Value) -> Value:
    return emit(ctx, "of_units", units, frac=FINE).to_fixed(ctx.w.frac)


def _product(ctx: Context, d: Value, n: Value, m: Value) -> Value:
    """d^2 / n, or d^2 / (n m) where m is another number, for |d| < 2 n."""
    share = emit(ctx, "div", d, n)
    return share * d if m is n else share * emit(ctx, "div", d, m)
