"""Means and inner products."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.arithmetic import matmul_bound, mul_bound, wide_products
from mpc.circuits.axes import reduced
from mpc.lowerer import ROOM, low
from mpc.op import Interval, Signature, numeric, op, widened
from mpc.types import DEFAULT_FRAC, INT, Fixed, ShapeError, Type, shape_text

__all__ = ["dot", "mean", "outer"]


SUM_BITS = 60
"""Bits of a sum, in ring units, of which the mean is taken: 2^44 at 16 fraction bits."""

# -- means -------------------------------------------------------------------------------------


class Division(NamedTuple):
    """x * 2^scale / n = H whole + L rest + (H part + L rest_part) / 2^m, where x = H 2^cut + L; `cut` 0: H is 0."""

    cut: int
    m: int
    whole: int
    part: int
    rest: int
    rest_part: int


def _parts(scale: int, n: int, m: int) -> tuple[int, int, int]:
    """2^scale / n as a whole number and so many 2^-m, rounded, and n 2^m times what that is off."""
    whole, left = divmod(1 << scale, n)
    part = ((left << (m + 1)) + n) // (2 * n)
    return whole, part, abs(part * n - (left << m))


@cache
def _division(magnitude: int, n: int, scale: int) -> Division | None:
    """How |x| <= magnitude is multiplied by 2^scale / n with an error below 2 units; None where it cannot be.

    A truncation is off by less than a unit, so the constants may be off by as much in all, while what is truncated
    stays below 2^ROOM.
    """
    for cut in (0, *range(20, 42)):
        high = (magnitude >> cut) + 1 if cut else 0
        rest = min(magnitude, 1 << cut) if cut else magnitude
        for m in range(61, 0, -1):
            whole, part, part_off = _parts(scale + cut, n, m)
            below, rest_part, rest_off = _parts(scale, n, m)
            if high * part + rest * rest_part >= 1 << ROOM:
                continue
            if 100 * (high * part_off + rest * rest_off) <= 99 * n << m:
                return Division(cut, m, whole, part, below, rest_part)
            break
    return None


def _mean(types: Sequence[Type], attrs: Attrs) -> Signature:
    dtype, shape = reduced("mean", types, attrs)
    return (Fixed(DEFAULT_FRAC) if dtype == INT else dtype), shape


def _mean_ref(x: Array, *, axis: int | None, keepdims: bool = False) -> Array:
    n = x.size if axis is None else x.shape[axis]
    return np.asarray(np.sum(x, axis=axis, keepdims=keepdims) / n)


def _wide_mean(x: Array, *, axis: int | None, keepdims: bool = False) -> Array:
    """The mean of whole numbers; infinite where what it adds up is beyond 64 bits."""
    total = np.sum(x, axis=axis, keepdims=keepdims)
    off = np.abs(total - np.sum(x, axis=axis, keepdims=keepdims, dtype=np.float64))
    return np.where(off < 2.0**62, _mean_ref(x, axis=axis, keepdims=keepdims), np.inf)


def _mean_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    return None if x is None else Interval(x.lo - 2.0**-15, x.hi + 2.0**-15)


@op("mean", infer=_mean, ref=_mean_ref, bound=_mean_bound, tolerance=2.0**-15, wide=_wide_mean)
def mean(x: Value, *, axis: int | None, keepdims: bool = False) -> Value:
    """The mean along an axis, or of all, within 2^-15 while the sum is below 2^SUM_BITS units.

    The sum is exact.  It is divided by their public number in one truncation where its range is narrow, else in two.
    """
    b = low(x)
    n = math.prod(x.type.sizes) if axis is None else x.type.sizes[axis]
    total = x.sum(axis, keepdims)
    out = Fixed(DEFAULT_FRAC) if x.dtype == INT else x.dtype
    scale = out.frac - x.dtype.frac
    known = b.range(total)
    b.fits("the mean", known, x.dtype.frac, bits=SUM_BITS)
    magnitude = 1 << SUM_BITS if known is None else math.ceil(known.magnitude * 2**x.dtype.frac)
    plan = _division(magnitude, n, scale)
    if plan is None:
        raise ShapeError(f"the mean of {n} numbers")
    return b.view(_divided(b.view(total, INT), plan), out)


def _divided(x: Value, plan: Division) -> Value:
    b = low(x)

    def times(share: Value, factor: int) -> Value:
        return b.product("mul", share, b.encode(b.const(factor), 0), 0, INT)

    if not plan.cut:
        exact, rounded = times(x, plan.rest), times(x, plan.rest_part) if plan.rest_part else None
    else:
        high = b.trunc(x, plan.cut, INT)
        rest = x - times(high, 1 << plan.cut)
        exact = times(high, plan.whole) + times(rest, plan.rest)
        rounded = times(high, plan.part) + times(rest, plan.rest_part)
    return exact if rounded is None else exact + b.trunc(rounded, plan.m, INT)


# -- products ----------------------------------------------------------------------------------


def _dot(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    x, y = types
    if x.ndim != 1 or y.ndim != 1 or x.shape != y.shape:
        raise ShapeError(f"the inner product of {shape_text(x.shape)} and {shape_text(y.shape)}")
    return numeric([t.with_(shape=()) for t in types], {})[0], ()


def _outer(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    x, y = types
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"the outer product of {shape_text(x.shape)} and {shape_text(y.shape)}: two lists are wanted")
    return numeric([t.with_(shape=()) for t in types], {})[0], (*x.shape, *y.shape)


@op("dot", infer=_dot, ref=np.dot, bound=matmul_bound, tolerance=2.0**-15, wide=wide_products)
def dot(x: Value, y: Value) -> Value:
    """The inner product of two lists, truncated once; as `matmul`."""
    return x @ y


@op(
    "outer",
    infer=_outer,
    ref=np.outer,
    bound=mul_bound,
    tolerance=2.0**-15,
    domain=((-(2.0**14), 2.0**14),) * 2,
    wide=widened(np.outer),
)
def outer(x: Value, y: Value) -> Value:
    """All products of an element of x with one of y; as `mul`."""
    return x.reshape((*x.shape, 1)) * y.reshape((1, *y.shape))
