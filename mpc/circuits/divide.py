"""Quotients of numbers with fraction: reciprocal, division, whole powers.  Floor division is in `integer`.

A secret divisor is normalised (`magnitude`) to 1/2 <= u <= 1 and inverted there.  `div` refines a start of 11.7 bits,
w0, by one Newton step in Goldschmidt's order [Goldschmidt, MIT 1964]: x w0 and t = 1 - u w0 are computed side by side,
then x w0 (1 + t), whose relative error is t^2 = 2^-23.  What is multiplied by t is small beside what is kept, so the
quotient keeps its low bits although product and ring leave no room for a long reciprocal.

A public divisor is inverted in the clear, with as many bits as the dividend has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.magnitude import Magnitude, measure
from mpc.circuits.polynomials import RECIPROCAL, RECIPROCAL_START, evaluate
from mpc.circuits.units import as_fixed, mul, plain_units, share_units, times, trunc, units
from mpc.lowerer import Lowerer, is_share, low
from mpc.op import Interval, Signature, elementwise, numeric, op, widened
from mpc.types import Fixed, Layout, Type, TypeRuleError, broadcast_shapes

__all__ = ["div", "inverse_units", "power", "reciprocal", "square"]

QUOTIENT = 46
"""Bits of a quotient's units: below 2^30 at 16 fraction bits."""


def _frac(types: Sequence[Type]) -> int:
    return elementwise([t.with_(shape=()) for t in types], {})[0].frac


# -- reciprocal --------------------------------------------------------------------------------


def _quotient(x: Array, y: Array) -> Array:
    y = np.asarray(y, np.float64)
    return np.where(y == 0, 0.0, np.asarray(x, np.float64) / np.where(y == 0, 1.0, y))


def _reciprocal_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (y,) = bounds
    if y is None or y.lo <= 0 <= y.hi:
        return None
    ends = sorted((1 / y.lo, 1 / y.hi))
    slack = 2.0**-14 + 2.0**-20 * abs(ends[1])
    return Interval(ends[0] - slack, ends[1] + slack)


@op(
    "reciprocal",
    infer=elementwise,
    ref=lambda y: _quotient(np.ones(()), y),
    bound=_reciprocal_bound,
    domain=((2.0**-16, 2.0**46),),
    tolerance=2.0**-15,
    relative=2.0**-20,
)
def reciprocal(y: Value) -> Value:
    """1/y for 2^-16 <= |y| < 2^46 (an int: |y| < 2^62); 0 for y = 0.

    1/y = (1/u) 2^-(e+1), y = u 2^(e+1), with 1/u by a polynomial of degree 8.  Error below 2^-15 + 2^-20 |1/y|.
    On rep3, for 4,000 at once with nothing known of y: 34 rounds, 4.9 kbit; for 1 <= y < 2^16: 30 rounds, 3.8 kbit; a
    whole y of 1..1000: 26 rounds, 2.7 kbit.
    """
    out = _frac([y.type])
    return as_fixed(inverse_units(*plain_units(y), out), out)


def inverse_units(y: Value, frac: int, out: int) -> Value:
    """Units of 1/y at `out` fraction bits from units of y at `frac`."""
    at = measure(y, "the divisor")
    # The scale 2^(frac + out - top - 1 + d) with guard bits, as far as the product has room.
    most = frac + out - 1 - _bottom(low(y), y)
    guard = max(min(6, 36 - most), 0)
    fine = min(24, 60 - most - guard)
    w = evaluate(RECIPROCAL, at.normal(y, 26) - (3 << 24), fine)
    scale = _power_of_two(at, frac + out - at.top - 1 + guard)
    return mul(w, scale, fine + guard)


def _bottom(b: Lowerer, y: Value) -> int:
    """The lowest place that the highest bit of y may have."""
    known = b.range(y)
    if known is None or known.lo <= 0 <= known.hi:
        return 0
    return math.frexp(min(abs(known.lo), abs(known.hi)))[1] - 1


def _power_of_two(at: Magnitude, shift: int) -> Value | int:
    """sign(y) 2^(d + shift), rounded; 0 where y = 0."""
    pick, factor = at.choose([1 << 16 * k for k in range(at.steps)]), at.low
    if pick is None:
        whole: Value | int = factor
    else:
        whole = mul(pick, factor, max(0, -shift))
        shift = max(0, shift)
    if isinstance(whole, int):
        return whole << shift if shift >= 0 else max(whole >> -shift, 0)
    return trunc(whole, -shift)


# -- division ----------------------------------------------------------------------------------


def _div_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    x, y = bounds
    inverse = _reciprocal_bound([y], types, attrs)
    if x is None or y is None or inverse is None:
        return None
    corners = [a / b for a in x for b in y]
    slack = 2.0**-14 + 2.0**-20 * max(map(abs, corners))
    return Interval(min(corners) - slack, max(corners) + slack)


@op(
    "div",
    infer=elementwise,
    ref=_quotient,
    bound=_div_bound,
    domain=((-(2.0**46), 2.0**46), (2.0**-16, 2.0**46)),
    tolerance=2.0**-15,
    relative=2.0**-20,
)
def div(x: Value, y: Value) -> Value:
    """x / y while |x / y| < 2^30, for |y| >= 2^-16 over the whole of both types (an int below 2^62); 0 for y = 0.

    Error below 2^-15 + 2^-22 |x / y|, by a public divisor 2^-15 + 2^-29 |x / y|; 1 / y is `reciprocal`.
    On rep3, for 4,000 at once by secret divisors, nothing known: 36 rounds, 6.1 kbit; 1 <= y < 2^10: 29 rounds,
    3.7 kbit; a count below 2^20: 31 rounds, 4.5 kbit.  Public divisor: 2 rounds and 0.2 kbit for |x| < 2^15, otherwise
    4 rounds and 0.6 kbit; a power of two: 2 rounds, 0.1 kbit.
    """
    out = _frac([x.type, y.type])
    b = low(x)
    if x.is_const and out == _frac([y.type]) and (x.constant == 1).all():
        return reciprocal(y).broadcast_to(broadcast_shapes(x.shape, y.shape))
    interval = _div_bound([b.range(x), b.range(y)], [x.type, y.type], {})
    if not is_share(y) and _even(b, y):
        b.fits("the quotient", interval, out)
        return as_fixed(_by_public(x, y, out), out)
    b.fits("the quotient", interval, out, bits=QUOTIENT)
    divisor, frac = plain_units(b.shared(y))
    at = measure(divisor, "the divisor")
    dividend = share_units(x, x.dtype.frac)
    # V = 2^16 sign(y) x 2^-(e+1), in units of the result: |V| < 2^62 because the quotient is below 2^46 units.
    v = at.reduced(dividend, at.top - (out + frac - x.dtype.frac) - 15)
    return as_fixed(_times_inverse(v, at.normal(divisor, 30)), out)


def _times_inverse(v: Value, u: Value) -> Value:
    """V / (2^16 u) for |V| < 2^62, 1/2 <= u <= 1 with 30 fraction bits: 14 rounds."""
    start = evaluate(RECIPROCAL_START, u - (3 << 28), 14)
    # t = 1 - u w0, |t| < 2^-11.4, at 26 bits; 5 units more halve the error t^2 by centring it.
    t = (1 << 26) + 5 - mul(u, start, 18)
    high = trunc(v, 16)
    rest = v - times(high, 1 << 16)
    product = mul(high, start)
    refined = mul(trunc(product, 14), t, 12)
    return trunc(product + refined + mul(rest, start, 16), 14)


def _even(b: Lowerer, y: Value) -> bool:
    """True if all of a public divisor is away from 0 and of like size, so that one scale serves its inverse."""
    if y.is_const:
        sizes = np.abs(y.constant[y.constant != 0])
        return bool(sizes.size == y.constant.size and (not sizes.size or sizes.max() <= 1024 * sizes.min()))
    known = b.range(y)
    if known is None or known.lo <= 0 <= known.hi:
        return False
    return max(map(abs, known)) <= 1024 * min(map(abs, known))


def _by_public(x: Value, y: Value, out: int) -> Value:
    """Units of x / y at `out` fraction bits for a public y."""
    b = low(x)
    dividend = units(x)
    up = out - x.dtype.frac
    least = float(np.abs(y.constant).min()) if y.is_const and y.constant.size else min(map(abs, b.range(y) or (1.0,)))
    if y.is_const and y.constant.size and (y.constant == y.constant.flat[0]).all() and math.frexp(least)[0] == 0.5:
        shape = np.broadcast_shapes(x.type.sizes, y.type.sizes)
        whole = trunc(dividend, math.frexp(least)[1] - 1 - up)
        return (whole if y.constant.flat[0] > 0 else -whole).broadcast_to(shape)
    inverse = b.emit("reciprocal", y)  # in the clear
    high = 1 - math.frexp(least)[1]
    bits = b.raw_bits(dividend)
    if bits is not None and bits <= 31:
        fine = min(61 - bits - high, 61)
        return trunc(mul(dividend, _whole(inverse, fine)), fine - up)
    # 1/y = M1 2^-coarse + M0 2^-(coarse + 31) with |M0| <= 2^30, x = x1 2^31 + x0: all products stay below 2^61.
    coarse = min(29 - high, 61)
    scaled = b.emit("mul", inverse, b.const(2.0**coarse))
    upper = b.emit("round", scaled)
    lower = b.emit("sub", scaled, upper)
    m1, m0 = _whole(upper, 0), _whole(lower, 31)
    x1 = trunc(dividend, 31)
    x0 = dividend - times(x1, 1 << 31)
    quotient = trunc(mul(x1, m1), coarse - 31 - up) + trunc(mul(x1, m0) + mul(x0, m1), coarse - up)
    return quotient + mul(x0, m0, coarse + 31 - up) if high + up > -2 else quotient


def _whole(x: Value, frac: int) -> Value:
    """A clear number rounded to `frac` fraction bits, as a ring element without scale."""
    assert x.type.layout is Layout.CLEAR
    return low(x).encode(x, frac)


# -- powers ------------------------------------------------------------------------------------


def _square_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None:
        return None
    least = 0.0 if x.lo <= 0 <= x.hi else min(x.lo * x.lo, x.hi * x.hi)
    slack = 2.0 ** -types[0].dtype.frac if types[0].dtype.kind == "fixed" else 0
    # A truncation gives one of two neighbours: of what is not below 0 neither is.
    return Interval(max(least - slack, 0), x.magnitude**2 + slack)


@op(
    "square",
    infer=numeric,
    ref=np.square,
    bound=_square_bound,
    wide=widened(np.square),
    domain=((-(2.0**15), 2.0**15),),
    tolerance=2.0**-15,
)
def square(x: Value) -> Value:
    """x * x: exact for whole numbers, within one unit for fixed point while x^2 < 2^30.  As one product."""
    return x * x


def _power(types: Sequence[Type], attrs: Attrs) -> Signature:
    n = attrs["n"]
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeRuleError(f"an exponent is a public whole number, not {n!r}")
    if abs(n) > 64:
        raise TypeRuleError(f"an exponent is between -64 and 64, not {n}")
    return elementwise(types, attrs) if n < 0 else numeric(types, attrs)


def _power_ref(x: Array, *, n: int) -> Array:
    return np.power(x, n) if n >= 0 else _quotient(np.ones(()), np.power(np.asarray(x, np.float64), -n))


def _power_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    (x,), n = bounds, attrs["n"]
    if x is None:
        return None
    if n < 0:
        inverse = _reciprocal_bound(bounds, types, attrs)
        return _power_bound([inverse], [types[0].with_(dtype=Fixed())], {"n": -n})
    try:
        ends = sorted((float(x.lo) ** n, float(x.hi) ** n))
    except OverflowError:
        return None
    if n % 2 == 0 and x.lo < 0 < x.hi:
        ends[0] = 0.0
    slack = n * 2.0**-16 * max(1.0, *map(abs, ends)) if types[0].dtype.kind == "fixed" and n > 1 else 0.0
    return Interval(ends[0] - slack, ends[1] + slack)


@op(
    "power",
    infer=_power,
    ref=_power_ref,
    bound=_power_bound,
    wide=widened(_power_ref),
    domain=((-2.0, 2.0),),
    tolerance=2.0**-11,
    relative=2.0**-11,
)
def power(x: Value, *, n: int) -> Value:
    """x^n for a public whole n, |n| <= 64, by squaring: floor(log2 n) levels of products.

    Whole numbers: exact while the result fits.  Fixed point: error below |n| 2^-15 max(1, |x^n|) while |x^n| < 2^30;
    a negative n takes the reciprocal first.
    """
    if n < 0:
        return power(reciprocal(x), n=-n)
    if n == 0:
        b = low(x)
        return b.shared(b.const(np.ones(x.type.sizes), x.dtype))
    out: Value | None = None
    while True:
        if n & 1:
            out = x if out is None else out * x
        n >>= 1
        if not n:
            assert out is not None
            return out
        x = square(x)
