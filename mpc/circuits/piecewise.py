"""Choices by comparison: absolute value, sign, rectifier, the larger and the smaller, clipping.  All are exact.

Each costs a comparison (8 rounds, 544 bit on rep3 where nothing is known of the range), a truth value's conversion to
the ring (2 rounds, 192 bit) and a product without truncation (1 round, 192 bit).  Equal comparisons are made once:
`maximum` and `minimum` of the same operands share all, `abs` and `relu` the sign.  Whole numbers of which nothing is
known fill the ring, so that their difference has no sign: comparing them takes three signs and one more round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.units import dot, mul, units
from mpc.lowerer import low
from mpc.op import Interval, Signature, numeric, op, widened
from mpc.types import Type, TypeRuleError

__all__ = ["abs_", "beyond", "clip", "larger", "maximum", "minimum", "positive", "relu", "sign"]

Bounds = Sequence[Interval | None]


def _like(x: Value, raw: Value) -> Value:
    """Units as numbers of x's type."""
    return low(x).view(raw, x.dtype)


def _abs_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None:
        return None
    return Interval(0.0 if x.lo <= 0 <= x.hi else min(abs(x.lo), abs(x.hi)), x.magnitude)


@op("abs", infer=numeric, ref=np.abs, bound=_abs_bound, wide=widened(np.abs))
def abs_(x: Value) -> Value:
    """|x|, exact.  11 rounds, 0.9 kbit; nothing where the sign is known."""
    known = low(x).range(x)
    if known is not None and (known.lo >= 0 or known.hi <= 0):
        return x if known.lo >= 0 else -x
    return _like(x, mul(units(x), 2 * _upper(x) - 1))


def positive(x: Value) -> Value:
    """1 where x > 0, else 0, as a whole number."""
    b = low(x)
    if _may_be_least(x):
        return (~(b.ltz(x) | b.eqz(x))).to_int()
    return b.ltz(-x).to_int()


def _may_be_least(x: Value) -> bool:
    """True where x may be -2^63, whose negative is itself."""
    return x.dtype.kind == "int" and low(x).width(x) == 64


def _upper(x: Value) -> Value:
    """1 where x > 0, 0 where x < 0, and one of them where x = 0."""
    return 1 - low(x).ltz(x).to_int() if _may_be_least(x) else positive(x)


def _sign_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None:
        return Interval(-1, 1)
    return Interval(float(np.sign(x.lo)), float(np.sign(x.hi)))


@op("sign", infer=numeric, ref=np.sign, bound=_sign_bound)
def sign(x: Value) -> Value:
    """-1, 0 or 1 by the sign of x, in the type of x, exact.  10 rounds, 1.2 kbit."""
    b, known = low(x), low(x).range(x)
    zero = b.eqz(x).to_int()
    if known is not None and known.lo >= 0:
        out = 1 - zero
    elif known is not None and known.hi <= 0:
        out = zero - 1
    elif _may_be_least(x):
        out = 1 - zero - 2 * b.ltz(x).to_int()
    else:
        out = 2 * positive(x) - 1 + zero
    return b.scaled(b.know(out, Interval(-1, 1)), x.dtype.frac)


def _relu_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    return None if x is None else Interval(max(x.lo, 0.0), max(x.hi, 0.0))


@op("relu", infer=numeric, ref=lambda x: np.maximum(x, 0), bound=_relu_bound)
def relu(x: Value) -> Value:
    """max(x, 0), exact.  11 rounds, 0.9 kbit; nothing where the sign is known."""
    known = low(x).range(x)
    if known is not None and known.lo >= 0:
        return x
    return _like(x, mul(units(x), _upper(x)))


# -- the larger and the smaller ----------------------------------------------------------------


def _maximum_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    x, y = bounds
    return None if x is None or y is None else Interval(max(x.lo, y.lo), max(x.hi, y.hi))


def _minimum_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    x, y = bounds
    return None if x is None or y is None else Interval(min(x.lo, y.lo), min(x.hi, y.hi))


class Pair(NamedTuple):
    """Two numbers in their common type and shape, which is the larger, and by how much."""

    x: Value
    y: Value
    second: Value
    """1 where x < y, else 0."""
    excess: Value
    """max(y - x, 0), as ring elements: the difference may wrap, since it is added to one of them again."""


def larger(x: Value, y: Value) -> Pair:
    """The comparison behind `maximum` and `minimum`."""
    dtype, shape = numeric([x.type, y.type], {})
    b = low(x)
    x, y = (b.scaled(b.shared(v), dtype.frac).broadcast_to(shape) for v in (x, y))
    second = (x < y).to_int()
    difference = b.on_shares("sub", (y, x), {}, dtype, shape)
    return Pair(x, y, second, b.view(mul(units(difference), second), dtype))


def _sum(x: Value, y: Value, op_name: str) -> Value:
    return low(x).on_shares(op_name, (x, y), {}, x.dtype, x.shape)


@op("maximum", infer=numeric, ref=np.maximum, bound=_maximum_bound)
def maximum(x: Value, y: Value) -> Value:
    """The larger of x and y, exact for any two numbers.  11 rounds, 0.9 kbit."""
    pair = larger(x, y)
    return _sum(pair.x, pair.excess, "add")


@op("minimum", infer=numeric, ref=np.minimum, bound=_minimum_bound)
def minimum(x: Value, y: Value) -> Value:
    """The smaller of x and y, exact for any two numbers.  11 rounds, 0.9 kbit."""
    pair = larger(x, y)
    return _sum(pair.y, pair.excess, "sub")


# -- clipping ----------------------------------------------------------------------------------


def _clip(types: Sequence[Type], attrs: Attrs) -> Signature:
    dtype, shape = numeric(types, attrs)
    lo, hi = attrs.get("lo"), attrs.get("hi")
    for end in (lo, hi):
        if end is not None and (isinstance(end, bool) or not isinstance(end, int | float)):
            raise TypeRuleError(f"the ends of clip are public numbers, not {end!r}")
        if dtype.kind == "int" and end is not None and end != int(end):
            raise TypeRuleError(f"a whole number is clipped at whole numbers, not at {end}")
    if lo is not None and hi is not None and lo > hi:
        raise TypeRuleError(f"clip from {lo} to {hi}: the ends are in the wrong order")
    return dtype, shape


def _clip_ref(x: Array, *, lo: float | None = None, hi: float | None = None) -> Array:
    return np.clip(x, lo, hi).astype(x.dtype)


def _clip_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:
    lo, hi = attrs.get("lo"), attrs.get("hi")
    known = bounds[0]
    slack = 0.0 if types[0].dtype.kind == "int" else 2.0 ** -types[0].dtype.frac
    if known is None:
        return Interval(lo - slack, hi + slack) if lo is not None and hi is not None else None
    ends = [min(max(v, -np.inf if lo is None else lo), np.inf if hi is None else hi) for v in known]
    return Interval(ends[0] - slack, ends[1] + slack)


@op("clip", infer=_clip, ref=_clip_ref, bound=_clip_bound, tolerance=2.0**-17)
def clip(x: Value, *, lo: float | None = None, hi: float | None = None) -> Value:
    """x held between the public numbers lo and hi, exact (ends that are no multiple of 2^-16 are rounded to one).

    11 rounds, 1.7 kbit; an end that the range of x does not reach costs nothing, both comparisons run side by side.
    """
    flags, steps = beyond(x, lo, hi)
    return _sum(x, _like(x, dot(flags, steps)), "add") if flags else x


class Beyond(NamedTuple):
    """For each end that x may pass: 1 where it does, and the units from x back to that end."""

    flags: list[Value]
    steps: list[Value]


def beyond(x: Value, lo: float | None, hi: float | None) -> Beyond:
    """The comparisons behind `clip`."""
    b, known = low(x), low(x).range(x)
    out = Beyond([], [])
    for end, upper in ((lo, False), (hi, True)):
        if end is None or (known is not None and (known.hi <= end if upper else known.lo >= end)):
            continue
        limit = b.const(np.asarray(end), x.dtype)
        out.flags.append((x > limit if upper else x < limit).to_int())
        back = b.on_shares("neg", (x,), {}, x.dtype, x.shape)
        ring = b.encode(limit, x.dtype.frac)
        out.steps.append(units(b.on_shares("add_clear", (back, ring), {}, x.dtype, x.shape)))
    return out
