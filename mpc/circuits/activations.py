"""Sigmoid, tanh, GELU, softmax and its logarithm.

A function whose part f(|x|) beyond an exact one vanishes for large |x| needs no absolute value: a polynomial in |x| is
E(x^2) + |x| O(x^2), and E + |x| O = E + sign(x) x O.  So E(x^2) and x O(x^2) are computed from x as it is, while the
three comparisons that say its sign and whether it is near 0 run beside them, and both meet in one product at the end:
11 rounds in all, against 21 when |x| comes first.  Far from 0 the polynomial is nonsense, and multiplied by 0.

Coefficients: minimax fits by linear programming over 1, s, s^2, s^3, s^4, z, z s, z s^2, z s^3 on 2,500 points, those
of the last products rounded first; errors measured on 100,001 points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.approx import exp_units, log_units
from mpc.circuits.divide import inverse_units
from mpc.circuits.extremes import largest
from mpc.circuits.units import as_fixed, bit, dot, linear, mul, share_units, times, trunc, units
from mpc.lowerer import low
from mpc.op import Interval, Signature, elementwise, op
from mpc.types import INT, ShapeError, Type

__all__ = ["gelu", "log_softmax", "sigmoid", "softmax", "tanh"]

Bounds = Sequence[Interval | None]


class Near(NamedTuple):
    """f(|x|) for |x| < reach as E + |x| O: z = x / 2^z_shift, s = x^2 / 2^s_shift - centre."""

    reach: float
    z_shift: int
    s_shift: int
    centre: float
    even: tuple[float, float, float, float, float]
    """Of 1, s, s^2, s^3, s^4."""
    odd: tuple[float, float, float, float]
    """Of z, z s, z s^2, z s^3."""


FINE, BLOCK = 24, 30
"""Fraction bits of s, s^2 and z s, and of what s^2 is multiplied by."""

MOST = 20
"""Fraction bits of x beyond which the polynomial does not look."""

SIGMOID = Near(
    8.75,
    3,
    6,
    0.5625,
    (29.62996795191564, 124.66009446249132, 165.12061609144962, 68.28125, 3.984375),
    (-38.8430953282279, -131.66942107875758, -118.53125, -23.90625),
)
"""sigmoid(|x|) - 1/2; error 1.52e-4, and beyond 1 - sigmoid < 1.59e-4."""

GELU = Near(
    4.0,
    2,
    4,
    0.5,
    (17.363774144445408, 92.8475633072337, 152.27170257735727, 73.9375, 3.75),
    (-24.54657254258515, -106.83261116087931, -120.515625, -25.921875),
)
"""|x| (1 - Phi(|x|)); error 1.13e-4, and beyond the function itself is below 1.27e-4."""


def _near(p: Near, x: Value, frac: int, out: int) -> tuple[Value, Value]:
    """E(x^2) and x O(x^2) at `out` fraction bits, where |x| < reach: 9 rounds, 1.6 kbit on rep3."""
    if frac > MOST:
        x, frac = trunc(x, frac - MOST), MOST
    z_frac = frac + p.z_shift
    s = mul(x, x, 2 * frac + p.s_shift - FINE) - round(p.centre * 2.0**FINE)
    q = mul(s, s, FINE)
    w = mul(x, s, z_frac)
    raw = FINE + BLOCK

    def sum_of(terms: Sequence[tuple[Value, int, float]], at: int) -> Value:
        return linear([(v, round(c * 2.0 ** (at - f))) for v, f, c in terms])

    even = mul(q, sum_of([(s, FINE, p.even[3]), (q, FINE, p.even[4])], BLOCK))
    even = even + sum_of([(s, FINE, p.even[1]), (q, FINE, p.even[2])], raw) + round(p.even[0] * 2.0**raw)
    odd = mul(q, sum_of([(x, z_frac, p.odd[2]), (w, FINE, p.odd[3])], BLOCK))
    odd = odd + sum_of([(x, z_frac, p.odd[0]), (w, FINE, p.odd[1])], raw)
    return trunc(even, raw - out), trunc(odd, raw - out)


class Where(NamedTuple):
    """0 or 1 as shares or plain, each: x < 0, x <= -reach, x >= reach."""

    negative: Value | int
    below: Value | int
    above: Value | int

    @property
    def near(self) -> Value | int:
        """1 where |x| < reach."""
        return 1 - self.above - self.below

    @property
    def near_by_sign(self) -> Value | int:
        """1 or -1 by the sign of x where |x| < reach, 0 elsewhere."""
        return self.near - 2 * (self.negative - self.below)


def _where(p: Near, x: Value, frac: int) -> Where:
    b, known = low(x), low(x).range(x)
    edge = round(p.reach * 2**frac)
    lo, hi = (-math.inf, math.inf) if known is None else known

    def less(v: Value, least: float, most: float) -> Value | int:
        return bit(b.ltz(v)) if least < 0 <= most else int(most < 0)

    return Where(
        less(x, lo, hi),
        less(x + (edge - 1), lo + edge - 1, hi + edge - 1),
        less((edge - 1) - x, edge - 1 - hi, edge - 1 - lo),
    )


def _sum_of_products(pairs: Sequence[tuple[Value, Value | int]]) -> Value:
    """Values times flags, added up; a flag that the range decides costs nothing."""
    secret = [(v, f) for v, f in pairs if isinstance(f, Value)]
    parts = [dot([v for v, _ in secret], [f for _, f in secret])] if secret else []
    parts += [times(v, f) for v, f in pairs if isinstance(f, int) and f]
    return linear([(part, 1) for part in parts]) if parts else times(pairs[0][0], 0)


def _out(x: Value) -> int:
    return elementwise([x.type], {})[0].frac


# -- sigmoid and tanh --------------------------------------------------------------------------


def _sigmoid_ref(x: Array) -> Array:
    x = np.asarray(x, np.float64)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def _logistic(x: Value, frac: int, out: int) -> Value:
    """Units of sigmoid(x) at `out` fraction bits: 1/2 + sign(x) E + x O near 0, beyond it 0 or 1."""
    at = _where(SIGMOID, x, frac)
    even, odd = _near(SIGMOID, x, frac, out)
    middle = _sum_of_products([(odd + (1 << (out - 1)), at.near), (even, at.near_by_sign)])
    return middle + (at.above << out if isinstance(at.above, int) else times(at.above, 1 << out))


@op(
    "sigmoid",
    infer=elementwise,
    ref=_sigmoid_ref,
    bound=lambda bounds, types, attrs: Interval(-(2.0**-12), 1 + 2.0**-12),  # noqa: ARG005
    domain=((-(2.0**46), 2.0**46),),
    tolerance=2.0**-12,
)
def sigmoid(x: Value) -> Value:
    """1 / (1 + e^-x) for every x; error below 2^-12.

    Within |x| < 8.75 by a polynomial of degree 8 in |x|, beyond it 0 or 1.  On rep3, nothing known of x: 11 rounds,
    4.1 kbit; for |x| <= 8: 10 rounds, 2.3 kbit.
    """
    out = _out(x)
    return as_fixed(_logistic(share_units(x, x.dtype.frac), x.dtype.frac, out), out)


@op(
    "tanh",
    infer=elementwise,
    ref=np.tanh,
    bound=lambda bounds, types, attrs: Interval(-1 - 2.0**-11, 1 + 2.0**-11),  # noqa: ARG005
    domain=((-(2.0**45), 2.0**45),),
    tolerance=2.0**-11,
)
def tanh(x: Value) -> Value:
    """tanh x = 2 sigmoid(2x) - 1 for every |x| < 2^45; error below 2^-11.  Costs what `sigmoid` does."""
    out = _out(x)
    # 2x: the same units with a fraction bit less; 2 sigmoid: the same units with one less again.
    raw = share_units(x, x.dtype.frac or 1)
    return as_fixed(_logistic(raw, (x.dtype.frac or 1) - 1, out + 1) - (1 << out), out)


# -- gelu --------------------------------------------------------------------------------------


def _gelu_ref(x: Array) -> Array:
    x = np.asarray(x, np.float64)
    erf = np.array([math.erf(v / math.sqrt(2)) for v in x.reshape(-1)], np.float64).reshape(x.shape)
    return 0.5 * x * (1 + erf)


def _gelu_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    return None if x is None else Interval(-0.1705, max(x.hi, 0.0) + 2.0**-12)


@op(
    "gelu",
    infer=elementwise,
    ref=_gelu_ref,
    bound=_gelu_bound,
    domain=((-(2.0**46), 2.0**46),),
    tolerance=2.0**-12,
)
def gelu(x: Value) -> Value:
    """x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 for every x; error below 2^-12.

    max(x, 0) - |x| (1 - Phi(|x|)), the second part by a polynomial of degree 8 in |x| < 4 and 0 beyond.  On rep3,
    nothing known of x: 11 rounds, 4.1 kbit.
    """
    out = _out(x)
    raw = share_units(x, out)
    at = _where(GELU, raw, out)
    even, odd = _near(GELU, raw, out, out)
    pairs = [(raw, 1 - at.negative), (-even, at.near), (-odd, at.near_by_sign)]
    return as_fixed(_sum_of_products(pairs), out)


# -- softmax -----------------------------------------------------------------------------------


def _softmax(types: Sequence[Type], attrs: Attrs) -> Signature:
    axis = attrs["axis"]
    if not 0 <= axis < types[0].ndim:
        raise ShapeError(f"axis {axis} of an array with {types[0].ndim} axes")
    return elementwise(types, attrs)


def _shifted_ref(x: Array, axis: int) -> Array:
    x = np.asarray(x, np.float64)
    return np.subtract(x, np.max(x, axis=axis, keepdims=True)) if x.size else x


def _softmax_ref(x: Array, *, axis: int) -> Array:
    e: Array = np.exp(_shifted_ref(x, axis))
    out: Array = e / e.sum(axis=axis, keepdims=True)
    return out


def _log_softmax_ref(x: Array, *, axis: int) -> Array:
    d = _shifted_ref(x, axis)
    out: Array = d - np.log(np.exp(d).sum(axis=axis, keepdims=True))
    return out


GUARD = 24
"""Fraction bits of exponentials and of their sum."""


def _below_largest(x: Value, axis: int) -> tuple[Value, Value]:
    """x - max(x) along the axis in units, and e^ of it at GUARD fraction bits."""
    b, out = low(x), _out(x)
    fixed = x.to_fixed(out)
    top = largest(fixed, axis=axis, keepdims=True)
    d = b.on_shares("sub", (units(fixed), units(top.broadcast_to(fixed.shape))), {}, INT, fixed.shape)
    known = b.range(fixed)
    b.know(d, Interval(-(2.0**62) if known is None else (known.lo - known.hi) * 2.0**out, 0))
    return d, exp_units(d, out, GUARD)


def _total(e: Value, axis: int) -> Value:
    """The sum of exponentials, of which the largest is 1."""
    b, n = low(e), e.type.sizes[axis]
    shape = (*e.shape[:axis], 1, *e.shape[axis + 1 :])
    total = b.on_shares("sum", (e,), {"axis": axis, "keepdims": True}, INT, shape)
    return b.know(total, Interval((1 - 2.0**-10) * 2.0**GUARD, (n + 2.0**-10) * 2.0**GUARD))


@op(
    "softmax",
    infer=_softmax,
    ref=_softmax_ref,
    bound=lambda bounds, types, attrs: Interval(-(2.0**-14), 1 + 2.0**-14),  # noqa: ARG005
    domain=((-(2.0**45), 2.0**45),),
    tolerance=2.0**-14,
)
def softmax(x: Value, *, axis: int) -> Value:
    """e^x / sum(e^x) along an axis, for every |x| < 2^45 (the largest is subtracted first); error below 2^-14.

    Rounds on rep3, beside those of `max`: 21 for the exponentials, 27 to 30 for one reciprocal a row, 3.  For rows of
    10: 67 rounds, 6.7 kbit an element.
    """
    if not all(x.type.sizes):
        return x.to_fixed(_out(x))
    out = _out(x)
    _, e = _below_largest(x, axis)
    inverse = inverse_units(_total(e, axis), GUARD, GUARD)
    return as_fixed(mul(e, inverse, 2 * GUARD - out), out)


@op(
    "log_softmax",
    infer=_softmax,
    ref=_log_softmax_ref,
    domain=((-(2.0**45), 2.0**45),),
    tolerance=2.0**-14,
)
def log_softmax(x: Value, *, axis: int) -> Value:
    """x - max(x) - ln(sum(e^(x - max(x)))) along an axis, for every |x| < 2^45; error below 2^-14.

    Rounds on rep3, beside those of `max`: 21 for the exponentials, 26 for one logarithm a row.  For rows of 10:
    61 rounds, 6.4 kbit an element.
    """
    if not all(x.type.sizes):
        return x.to_fixed(_out(x))
    out = _out(x)
    d, e = _below_largest(x, axis)
    return as_fixed(d - log_units(_total(e, axis), GUARD, out), out)
