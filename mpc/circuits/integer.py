"""Floor division and remainder, exact, as Python and NumPy define them; x // 0 and x % 0 are 0.

Both work on whole ring units: those of two fixed-point numbers of the same scale divide as the numbers do.  For a
secret divisor y = sign b, with x' = sign x, the quotient of x' by b is found in steps, each of which takes off an
estimate and goes on with the exact remainder r = x' - q b:

1. Where b < 2^30, and the quotient may be long, q1 = 2 round(Z / 2^31) w with Z = x' 2^-(e+1) and w = 1/u at 30
   bits: what is left is below 2^34 b and below 2^62.
2. The rest of the quotient from Z = r 2^-(e+1) with 7 or more guard bits and w at 38 bits in two parts, plus a quarter:
   the sum lies between the true quotient and half a unit above it, so its truncation is floor, floor + 1 or floor + 2.
3. Two comparisons of the remainder, side by side, say which; q and r are corrected.

w is 1/u to 2^-37: a start w0 of 11.7 bits, t = 1 - u w0, w = w0 (1 + t + t^2) with the term t^3 replaced by its best
linear fit 0.75 max|t|^2 t (a quarter of its error).  A quotient below 2^18 makes do with w0 (1 + t), right to 2^-23.

A public divisor d needs no logarithm: x is cut at 2^w, and 2^w = q' d + r' is known, so x = x1 2^w + x0 has the
quotient x1 q' and goes on with x1 r' + x0, half as long; the last part is estimated by one product and corrected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.magnitude import Magnitude, measure
from mpc.circuits.polynomials import RECIPROCAL_START, evaluate
from mpc.circuits.units import as_fixed, linear, mul, share_units, times, trunc
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, numeric, op, widened
from mpc.types import INT, Type

__all__ = ["floordiv", "mod"]

LONG, BRIEF = 33, 18
"""A quotient of more bits than LONG takes a step of its own, one of up to BRIEF makes do with half an inverse."""


def _nonzero(f: np.ufunc, x: Array, y: Array) -> Array:
    x, y = np.broadcast_arrays(x, y)
    zero = y == 0
    with np.errstate(over="ignore"):  # -2^63 // -1, which does not fit
        return np.where(zero, np.zeros((), np.result_type(x, y)), f(x, np.where(zero, np.ones((), y.dtype), y)))


def _floordiv_ref(x: Array, y: Array) -> Array:
    return _nonzero(np.floor_divide, x, y)


def _mod_ref(x: Array, y: Array) -> Array:
    return _nonzero(np.mod, x, y)


Bounds = Sequence[Interval | None]


def _least(y: Interval, types: Sequence[Type]) -> float:
    """The smallest |y| but 0 within an interval."""
    unit = 2.0 ** -numeric([t.with_(shape=()) for t in types], {})[0].frac
    return unit if y.lo <= 0 <= y.hi else min(abs(y.lo), abs(y.hi))


def _floordiv_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    x, y = bounds
    if x is None or y is None:
        return None
    most = math.floor(x.magnitude / _least(y, types)) + 1.0
    return Interval(0.0 if x.lo >= 0 and y.lo >= 0 else -most, most)


def _mod_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:
    """A unit less than the divisor at most."""
    _, y = bounds
    if y is None:
        return None
    unit = 2.0 ** -numeric([t.with_(shape=()) for t in types], attrs)[0].frac
    return Interval(min(y.lo + unit, 0.0), max(y.hi - unit, 0.0))


class Parts(NamedTuple):
    """Quotient (a whole number) and remainder (units)."""

    quotient: Value
    remainder: Value


@op(
    "floordiv",
    infer=numeric,
    ref=_floordiv_ref,
    bound=_floordiv_bound,
    wide=widened(_floordiv_ref),
    domain=((-(2.0**63), 2.0**63), (-(2.0**62), 2.0**62)),
)
def floordiv(x: Value, y: Value) -> Value:
    """floor(x / y), exact for all x and |y| < 2^62 (fixed point: while the quotient is below 2^46); 0 for y = 0.

    On rep3, for 4,000 at once, nothing known: 63 rounds, 12.2 kbit; 0 <= x < 2^32 and 1 <= y < 2^20: 49 rounds,
    6.5 kbit; |x| <= 1000 and |y| <= 20: 36 rounds, 4.9 kbit.  Public divisor: a power of two 10 rounds, 0.8 kbit;
    |x| < 2^30: 10 rounds, 0.7 kbit; 7 and nothing known of x: 20 rounds, 2.0 kbit.
    """
    quotient, frac = _divide(x, y).quotient, numeric([x.type, y.type], {})[0].frac
    return as_fixed(times(quotient, 1 << frac), frac) if frac else quotient


@op(
    "mod",
    infer=numeric,
    ref=_mod_ref,
    bound=_mod_bound,
    domain=((-(2.0**63), 2.0**63), (-(2.0**62), 2.0**62)),
)
def mod(x: Value, y: Value) -> Value:
    """x - y floor(x / y), exact for all x and |y| < 2^62, with the sign of y; 0 for y = 0.

    Costs what `floordiv` does, and together with it nothing more (secret divisor: one more product).
    """
    remainder, frac = _divide(x, y).remainder, numeric([x.type, y.type], {})[0].frac
    return as_fixed(remainder, frac) if frac else remainder


def _divide(x: Value, y: Value) -> Parts:
    frac = numeric([x.type, y.type], {})[0].frac
    b = low(x)
    dividend = share_units(x, frac)
    if y.is_const and y.constant.size:
        divisors = np.rint(y.constant * 2.0**frac).astype(np.int64) if frac else y.constant
        d = int(divisors.flat[0])
        if (divisors == d).all() and d:
            shape = np.broadcast_shapes(x.type.sizes, y.type.sizes)
            parts = _by_negative(b, dividend, -d) if d < 0 else _by_constant(b, dividend, d)
            return Parts(*(v.broadcast_to(shape) for v in parts))
    return _by_secret(b, dividend, share_units(y, frac))


# -- a secret divisor --------------------------------------------------------------------------


def _by_secret(b: Lowerer, x: Value, y: Value) -> Parts:
    known, width = b.range(y), b.width(x)
    least = max(_least(known, [y.type]), 1.0) if known is not None else 1.0
    bits = max(width - math.frexp(least)[1], 1)
    long = bits > LONG
    at = measure(y, "the divisor", aligned=long)
    sign = at.choose([1] * at.steps)
    signed = x if sign is None else mul(x, sign)
    size = y if sign is None else mul(y, sign)
    w = _inverse(at.normal(y, 40), at.normal(y, 30) - (3 << 28), bits <= BRIEF)
    # |x| may be 2^63: its quarter, which is exact, has room to be truncated.
    whole, less = (b.shift(x, 2, 64, INT), 2) if width > 62 else (x, 0)
    # Groups of places up to 29 take the long step; above 29 the quotient is short, and a long step might overshoot.
    deep = [long and at.top - 16 * k < 30 for k in range(at.steps)]
    quotient = _long_step(at, whole, less, deep, w) if any(deep) else None
    rest = signed if quotient is None else signed - mul(quotient, size)
    bits = LONG + 1 if long else bits
    guard = 61 - bits
    shift = at.top + 1 - guard
    v = at.joined([(rest, shift, False) if d else (whole, shift - less, True) for d in deep])
    step = _brief_step(at, v, w, guard, 34 - bits) if bits <= BRIEF else _short_step(at, v, w, guard, 41 - bits)
    over, rest = _corrected(b, rest - mul(step, size), size, b.width(y))
    quotient = step - over if quotient is None else quotient + step - over
    return Parts(quotient, rest if sign is None else mul(rest, sign))


def _long_step(at: Magnitude, x: Value, less: int, deep: Sequence[bool], w: Value) -> Value:
    """q1 of step 1 for 2^less x, 0 in groups that are not deep."""
    # Z / 2^15, then Z / 2^31: half a unit more or less, and a unit for the truncation.
    cut = at.joined([(x, at.top + 16 - less, True) if d else None for d in deep])
    return times(mul(trunc(cut, 16), trunc(w, 8)), 2)


def _short_step(at: Magnitude, v: Value, w: Value, guard: int, fine: int) -> Value:
    """The whole part of Z w + 1/4, or 1 more, for Z = v / 2^guard; exactly 0 where y = 0."""
    z = trunc(v, guard - fine)
    upper = trunc(w, 19)
    lower = w - times(upper, 1 << 19)
    return _plus_quarter(at, mul(z, upper) + mul(z, lower, 19), fine + 19)


def _brief_step(at: Magnitude, v: Value, w: Value, guard: int, fine: int) -> Value:
    """As `_short_step`, for w of 26 bits."""
    return _plus_quarter(at, mul(trunc(v, guard - fine), w), fine + 26)


def _plus_quarter(at: Magnitude, total: Value, m: int) -> Value:
    quarter = 1 << (m - 2)
    nonzero = at.choose_unsigned([quarter] * at.steps)
    return trunc(total + (quarter if nonzero is None else nonzero), m)


def _inverse(u: Value, z: Value, brief: bool) -> Value:
    """1/u for u at 40 fraction bits and z = 4u - 3 at 28: 38 bits to 2^-37 in 15 rounds, or 26 to 2^-23 in 12."""
    start = evaluate(RECIPROCAL_START, z, 20)
    t = trunc((1 << 60) - mul(u, start), 20)
    if brief:
        return mul(start, t + (1 << 40), 34)
    # t + t^2 + k t at 80 bits, k = 0.75 * 2^(-2 * 11.7).
    k = round(0.75 * 2.0 ** (40 - 23.4))
    tail = trunc(mul(t, t) + times(t, k), 40)
    return mul(start, t + tail + (1 << 40), 22)


def _corrected(b: Lowerer, rest: Value, size: Value | int, width: int) -> tuple[Value, Value]:
    """For -2 size <= rest < size: how often size must be added to come to 0 <= rest < size, and the sum."""
    width = min(width + 1, 64)
    over = b.ltz(rest, width).to_int() + b.ltz(rest + size, width).to_int()
    return over, rest + mul(over, size)


# -- a public divisor --------------------------------------------------------------------------


def _by_constant(b: Lowerer, x: Value, d: int) -> Parts:
    """Quotient and remainder of shared units by a positive constant."""
    width = b.width(x)
    if d == 1:
        return Parts(x, times(x, 0))
    if d & (d - 1) == 0:
        m = d.bit_length() - 1
        whole = b.shift(x, m, max(width, m + 1), INT)
        return Parts(whole, x - times(whole, d))
    if width <= 31:
        return _by_product(b, x, d, width)
    quotient: Value | None = None
    rest, bits, size = x, width - 1, d.bit_length()
    while bits - size > 24:
        w = size + (bits - size) // 2
        upper = b.shift(rest, w, 64, INT) if bits > 62 else trunc(rest, w)
        taken = times(upper, (1 << w) // d)
        quotient = taken if quotient is None else quotient + taken
        rest = linear([(upper, (1 << w) % d)]) + (rest - times(upper, 1 << w))
        bits = max(bits - w + size, w) + 1
    return _last_step(b, quotient, rest, d, bits)


def _by_negative(b: Lowerer, x: Value, d: int) -> Parts:
    """By -d: from -x, or where that may not fit, from the parts by d."""
    if b.width(x) < 64:
        parts = _by_constant(b, -x, d)
        return Parts(parts.quotient, -parts.remainder)
    parts = _by_constant(b, x, d)
    left = 1 - b.eqz(parts.remainder, d.bit_length()).to_int()
    return Parts(-parts.quotient - left, parts.remainder - times(left, d))


def _by_product(b: Lowerer, x: Value, d: int, width: int) -> Parts:
    """floor(x m / 2^f) with m = ceil(2^f / d) is exact for 0 <= x < 2^(width - 1) where 2^f >= 2^(width - 1) d

    [Granlund, Montgomery, PLDI 1994, theorem 4.2.]  Here f is two bits longer, so that x m / 2^f misses x / d by less
    than 1 / 2d either way, and something between that and 1 / 2d added makes the floor right below zero too.
    """
    f = width + d.bit_length()
    m = -(-(1 << f) // d)
    quotient = b.shift(times(x, m) + (1 << (f - d.bit_length() - 1)), f, 63, INT)
    return Parts(quotient, x - times(quotient, d))


def _last_step(b: Lowerer, quotient: Value | None, rest: Value, d: int, bits: int) -> Parts:
    """|rest| < 2^bits has a quotient of at most 26 bits: estimate and correct."""
    cut = max(0, min(d.bit_length() - 4, 61))
    upper = b.shift(rest, cut, 64, INT) if bits > 62 and cut else trunc(rest, cut)
    f = 34
    estimate = times(upper, round((1 << (f + cut)) / d)) + (1 << (f - 2))
    step = trunc(estimate, f)
    over, rest = _corrected(b, rest - times(step, d), d, d.bit_length() + 1)
    step = step - over
    return Parts(step if quotient is None else quotient + step, rest)
