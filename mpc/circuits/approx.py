"""Exponential, logarithm and roots of fixed-point numbers, over their whole domains.

Each reduces its argument to a short interval by secret bits, takes a minimax polynomial there (`polynomials`), and
puts the power of two back by one product:

    e^x = 2^k 2^t        k, t the whole and fractional part of x log2(e); k from the bits of that number
    ln x, sqrt x, 1/sqrt x    x = u 2^(e+1), 1/2 <= u <= 1, by the place of the highest bit of x (`magnitude`)

2^(e/2) and its inverse are products of a function of each group of places, odd exponents included, so the roots need
no case for parity and no Newton step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.magnitude import Magnitude, measure
from mpc.circuits.polynomials import EXP2, LOG, RSQRT, SQRT, evaluate
from mpc.circuits.units import as_fixed, entry, linear, mul, times, trunc, units, weigh
from mpc.lowerer import low
from mpc.op import Interval, elementwise, op
from mpc.types import Type, count

__all__ = ["exp", "exp_units", "log", "log_units", "rsqrt", "sqrt"]

Bounds = Sequence[Interval | None]

PAIRED = 80
"""Bytes that an exponential saves, for one more round, by taking the digits of its exponent two by two."""

HIGHEST = 45.0
"""e^x is computed below 2^45."""


def _out(x: Value) -> int:
    return elementwise([x.type], {})[0].frac


# -- exponential -------------------------------------------------------------------------------


def _exp_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None or x.hi > 700:
        return None
    lo, hi = math.exp(max(x.lo, -700.0)), math.exp(x.hi)
    return Interval(max(lo * (1 - 2.0**-17) - 2.0**-15, 0.0), hi * (1 + 2.0**-17) + 2.0**-15)


@op(
    "exp",
    infer=elementwise,
    ref=np.exp,
    bound=_exp_bound,
    domain=((-(2.0**46), 31.0),),
    tolerance=2.0**-15,
    relative=2.0**-17,
)
def exp(x: Value) -> Value:
    """e^x for x <= 31; error below 2^-15 + 2^-17 e^x.  At and below about -12.5 it is 0.

    On rep3, for 4,000 at once with nothing known of x: 22 rounds, 3.9 kbit; for -10 <= x <= 0: 21 rounds, 2.8 kbit.
    """
    b = low(x)
    known = b.range(x)
    if known is None or known.hi > 31:
        b.fits("the exponential", known and Interval(0, math.exp(min(known.hi, 700))), 0, bits=int(HIGHEST))
    return as_fixed(exp_units(units(x), x.dtype.frac, _out(x)), _out(x))


def exp_units(x: Value, frac: int, out: int) -> Value:
    """Units of e^x at `out` fraction bits from units of x at `frac`; what is known of x's range is used."""
    b = low(x)
    known = b.range(x)
    # T = x log2(e) + out + 2: the result is 2^(T - 2) units, and for T < 0 it is 0.
    lift = out + 2
    floor_ = -math.floor(lift * math.log(2) * 2**frac)
    highest = min(HIGHEST, 63 - lift)
    if known is not None:
        highest = min(known.hi / 2**frac * math.log2(math.e) + 2.0**-10, highest)
    digits = max(int(lift + highest), 1).bit_length()
    fine = EXP2.fracs[0]
    scaled = times(x, round(math.log2(math.e) * 2.0**28))
    t = trunc(scaled, frac + 28 - fine) + (lift << fine)
    places = b.bits(t, fine + digits)
    binary = [entry(places, fine + j) for j in range(digits)]
    short = 5 if digits > 5 else digits
    keep = None if known is not None and known.lo >= floor_ else ~b.ltz(x - floor_)
    in_pairs = b.round_bytes < PAIRED * count(x.type.sizes)
    given, factors = _powers(binary[:short], keep, in_pairs)
    given = [*given, *binary[short:]]

    def total(of: dict[int, int], constant: int = 0) -> Value:
        return weigh(given, [of.get(v.index, 0) for v in given], constant)

    doubled = total({v.index: 2 << (fine + j) for j, v in enumerate(binary)})
    mantissa = evaluate(EXP2, linear([(t, 2), (doubled, -1)], -(1 << fine)), 28)
    whole = _product([total(of, constant) for constant, of in factors])
    if digits <= 5:
        return mul(mantissa, whole, 30)
    raw = mul(mantissa, whole)
    small = trunc(raw, 30)
    return small + mul(total({binary[5].index: 1}), times(raw, 4) - small)


Factor: TypeAlias = tuple[int, dict[int, int]]
"""A constant, and weights of truth values by their nodes."""


def _powers(binary: Sequence[Value], keep: Value | None, in_pairs: bool) -> tuple[list[Value], list[Factor]]:
    """2^(sum of 2^j b_j), 0 where not `keep`, as a product of sums over truth values: first these.

    In pairs, two digits make one factor by their conjunction; and the last, if it has no other, takes `keep` along.
    """
    given, factors = list(binary), list[Factor]()
    if not in_pairs:
        factors = [(1, {v.index: (1 << (1 << j)) - 1}) for j, v in enumerate(binary)]
        return ([*given, keep], [*factors, (0, {keep.index: 1})]) if keep is not None else (given, factors)
    for j in range(0, len(binary) - 1, 2):
        one, two = (1 << (1 << i) for i in (j, j + 1))
        both = binary[j] & binary[j + 1]
        given.append(both)
        weights = {binary[j].index: one - 1, binary[j + 1].index: two - 1, both.index: (one - 1) * (two - 1)}
        factors.append((1, weights))
    alone = [(binary[-1], (1 << (1 << (len(binary) - 1))) - 1)] if len(binary) % 2 else []
    if keep is None:
        factors += [(1, {bit.index: weight}) for bit, weight in alone]
    else:
        kept = [(bit & keep, weight) for bit, weight in alone]
        given += [keep, *(bit for bit, _ in kept)]
        factors.append((0, {keep.index: 1, **{bit.index: weight for bit, weight in kept}}))
    return given, factors


def _product(factors: Sequence[Value]) -> Value:
    """A product of whole numbers, as a tree."""
    row = list(factors)
    while len(row) > 1:
        pairs = [mul(a, b) for a, b in zip(row[::2], row[1::2], strict=False)]
        row = pairs + row[len(row) - len(row) % 2 :]
    return row[0]


# -- logarithm ---------------------------------------------------------------------------------


def _log_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    least = 2.0 ** -types[0].dtype.frac
    if x is None or x.hi < least:
        return Interval(-64 * math.log(2), 64 * math.log(2))
    return Interval(math.log(max(x.lo, least)) - 2.0**-14, math.log(x.hi) + 2.0**-14)


def _log_ref(x: Array) -> Array:
    return np.log(np.asarray(x, np.float64))


@op(
    "log",
    infer=elementwise,
    ref=_log_ref,
    bound=_log_bound,
    domain=((2.0**-16, 2.0**46),),
    tolerance=2.0**-15,
)
def log(x: Value) -> Value:
    """ln x for 2^-16 <= x < 2^46 (an int: 1 <= x < 2^62); error below 2^-15.  Undefined at and below 0.

    ln u + (e + 1) ln 2, with ln u by a polynomial of degree 6.  On rep3, for 4,000 at once, nothing known: 31 rounds,
    4.0 kbit; for 1 <= x < 2^10: 26 rounds, 2.5 kbit.
    """
    return as_fixed(log_units(units(x), x.dtype.frac, _out(x)), _out(x))


def log_units(x: Value, frac: int, out: int) -> Value:
    """Units of ln x at `out` fraction bits from units of x at `frac`."""
    at = measure(x, "the argument of log", least=1)
    unit = math.log(2) * 2.0**LOG.raw
    drop = at.exponent
    constant = round((at.top + 1 - frac) * unit)
    if isinstance(drop, int):
        exponent: Value = times(x, 0) + round(constant - drop * unit)
    else:
        exponent = linear([(drop, -round(unit))], constant)
    return evaluate(LOG, at.normal(x, LOG.fracs[0] + 2) - (3 << LOG.fracs[0]), out, plus=exponent)


# -- roots -------------------------------------------------------------------------------------


def _sqrt_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None:
        return None
    lo, hi = math.sqrt(max(x.lo, 0.0)), math.sqrt(max(x.hi, 0.0))
    return Interval(max(lo * (1 - 2.0**-18) - 2.0**-14, 0.0), hi * (1 + 2.0**-18) + 2.0**-14)


@op(
    "sqrt",
    infer=elementwise,
    ref=lambda x: np.sqrt(np.asarray(x, np.float64)),
    bound=_sqrt_bound,
    domain=((0.0, 2.0**46),),
    tolerance=2.0**-15,
    relative=2.0**-19,
)
def sqrt(x: Value) -> Value:
    """sqrt(x) for 0 <= x < 2^46; error below 2^-15 + 2^-19 sqrt(x); 0 at 0.

    sqrt(u) 2^((e+1)/2), with sqrt(u) by a polynomial of degree 6.  On rep3, for 4,000 at once, nothing known:
    34 rounds, 5.0 kbit; for x < 2^10: 31 rounds, 4.2 kbit.
    """
    out, guard = _out(x), 1
    raw = units(x)
    # A whole number is held to the domain of a fixed-point one, so that the product below has room for its bits.
    at = measure(raw, "the argument of sqrt", least=0, limit=min(46 + x.dtype.frac, 62))
    e0 = at.top + 1 - x.dtype.frac + 2 * (out + guard)
    scale = _root_of_two(at, -1, e0)
    fine = min(24, 61 - e0 // 2)
    root = evaluate(SQRT, at.normal(raw, 26) - (3 << 24), fine)
    return as_fixed(mul(scale, root, fine + guard), out)


def _rsqrt_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    most = 2.0 ** (types[0].dtype.frac / 2)
    if x is None or x.lo <= 0 or x.hi <= 0:
        return Interval(-(2.0**-14), most * (1 + 2.0**-16))
    slack = 2.0**-14 + 2.0**-20 / math.sqrt(x.lo)
    return Interval(1 / math.sqrt(x.hi) - slack, 1 / math.sqrt(x.lo) + slack)


def _rsqrt_ref(x: Array) -> Array:
    return 1 / np.sqrt(np.asarray(x, np.float64))


@op(
    "rsqrt",
    infer=elementwise,
    ref=_rsqrt_ref,
    bound=_rsqrt_bound,
    domain=((2.0**-16, 2.0**46),),
    tolerance=2.0**-15,
    relative=2.0**-21,
)
def rsqrt(x: Value) -> Value:
    """1/sqrt(x) for 2^-16 <= x < 2^46 (an int: 1 <= x < 2^62); error below 2^-15 + 2^-21 / sqrt(x).

    1/sqrt(u) by a polynomial of degree 8.  On rep3, for 4,000 at once, nothing known: 34 rounds, 5.3 kbit.
    """
    out, fine = _out(x), 22
    # The result is below 2^(out + frac / 2) units, the polynomial below 2^(fine + 1).
    guard = min(10, 61 - fine - 1 - out - -(-x.dtype.frac // 2))
    raw = units(x)
    at = measure(raw, "the argument of rsqrt", least=1)
    scale = _root_of_two(at, 1, 2 * (out + guard) + x.dtype.frac - at.top - 1)
    inverse = evaluate(RSQRT, at.normal(raw, 26) - (3 << 24), fine)
    return as_fixed(mul(inverse, scale, fine + guard), out)


def _root_of_two(at: Magnitude, half: int, e0: int) -> Value | int:
    """2^((e0 + half d) / 2) for half = +-1, rounded: a product of functions of k, a and b.  At most 4 rounds."""
    fine, odd = 26, e0 % 2
    first = 0 if half > 0 else 8 * (at.steps - 1)
    of_k = [1 << (first + 8 * half * k) for k in range(at.steps)]
    of_a = [1 << (2 * a if half > 0 else 6 - 2 * a) for a in range(4)]
    of_b = [round(2.0 ** ((half * b + odd) / 2 + fine)) for b in range(4)]
    within, pick = at.within(of_a, of_b), at.choose_unsigned(of_k)
    m = fine + first + (0 if half > 0 else 6) - e0 // 2
    if pick is not None:
        return mul(pick, within, m)
    return trunc(within, m) if isinstance(within, Value) else round(within * 2.0**-m)
