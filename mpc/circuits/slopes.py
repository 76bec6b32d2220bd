"""The slopes of the choices of `piecewise`, whole numbers: each by the very comparison that the choice makes.

A loss that is differentiated needs the choice on the way forward and its slope on the way back.  Written over the same
shares, both come to the same primitive nodes, which are shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.activations import Near, _near, _sum_of_products, _where
from mpc.circuits.piecewise import beyond, larger, positive
from mpc.circuits.units import as_fixed, share_units, times
from mpc.lowerer import low
from mpc.op import Interval, Signature, elementwise, numeric, op
from mpc.types import INT, Type

__all__ = ["abs_slope", "clip_slope", "gelu_slope", "relu_slope", "second_larger"]


def _whole(types: Sequence[Type], attrs: Attrs) -> Signature:
    return INT, numeric(types, attrs)[1]


def _flag(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return Interval(0, 1)


def _signs(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return Interval(-1, 1)


def _clip_ref(x: Array, *, lo: float | None = None, hi: float | None = None) -> Array:
    inside = np.ones(np.shape(x), np.bool_)
    if lo is not None:
        inside &= x >= lo
    if hi is not None:
        inside &= x <= hi
    return inside.astype(np.int64)


@op("relu_slope", infer=_whole, ref=lambda x: np.asarray(x > 0, np.int64), bound=_flag)
def relu_slope(x: Value) -> Value:
    """1 where x > 0, else 0."""
    return positive(x)


@op("abs_slope", infer=_whole, ref=lambda x: np.sign(x).astype(np.int64), bound=_signs)
def abs_slope(x: Value) -> Value:
    """-1, 0 or 1 by the sign of x."""
    return 2 * positive(x) - 1 + low(x).eqz(x).to_int()


@op("clip_slope", infer=_whole, ref=_clip_ref, bound=_flag)
def clip_slope(x: Value, *, lo: float | None = None, hi: float | None = None) -> Value:
    """1 where lo <= x <= hi, else 0."""
    b = low(x)
    out = b.shared(b.const(np.ones(x.type.sizes, np.int64)))
    for flag in beyond(x, lo, hi).flags:
        out = out - flag
    return out


@op("second_larger", infer=_whole, ref=lambda x, y: np.less(x, y).astype(np.int64), bound=_flag)
def second_larger(x: Value, y: Value) -> Value:
    """1 where x < y, else 0."""
    return larger(x, y).second


# -- gelu --------------------------------------------------------------------------------------

GELU_SLOPE = Near(
    4.0625,
    2,
    4,
    0.515625,
    (-11.468664434801587, -86.17272785527568, -209.5212212306277, -179.109375, -25.640625),
    (16.69113252055328, 103.66921234691475, 199.56884765625, 95.953125),
)
"""gelu'(|x|) - 1/2; error 3.63e-4, and beyond gelu' is within 3.99e-4 of 1."""


def _gelu_slope_ref(x: Array) -> Array:
    x = np.asarray(x, np.float64)
    erf = np.array([math.erf(v / math.sqrt(2)) for v in x.reshape(-1)], np.float64).reshape(x.shape)
    return 0.5 * (1 + erf) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


@op(
    "gelu_slope",
    infer=elementwise,
    ref=_gelu_slope_ref,
    bound=lambda bounds, types, attrs: Interval(-0.1295, 1.1295),  # noqa: ARG005
    domain=((-(2.0**46), 2.0**46),),
    tolerance=2.0**-11,
)
def gelu_slope(x: Value) -> Value:
    """The derivative of gelu, Phi(x) + x phi(x), for every x; error below 2^-11.

    Within |x| < 4.0625 by a polynomial of degree 8 in |x|, beyond it 0 or 1.  Costs what `sigmoid` does.
    """
    out, frac = elementwise([x.type], {})[0].frac, x.dtype.frac
    raw = share_units(x, frac)
    at = _where(GELU_SLOPE, raw, frac)
    even, odd = _near(GELU_SLOPE, raw, frac, out)
    middle = _sum_of_products([(odd + (1 << (out - 1)), at.near), (even, at.near_by_sign)])
    above = at.above << out if isinstance(at.above, int) else times(at.above, 1 << out)
    return as_fixed(middle + above, out)
