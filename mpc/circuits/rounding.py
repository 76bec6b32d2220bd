"""Fixed-point numbers to whole ones, exactly: floor, ceil, round.  A whole number is returned as it is.

And to a number of decimal places: `round_to`, the number of the grid next to the multiple of 10^-places.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.units import times, units
from mpc.lowerer import low
from mpc.op import Interval, Signature, numeric, op
from mpc.types import INT, Type, TypeRuleError

__all__ = ["ceil", "floor", "round_", "round_to"]


def _ref(f: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda x: f(x) if np.asarray(x).dtype.kind == "f" else x


def _bound(f: Callable[[float], Any]) -> Callable[..., Interval | None]:
    def bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
        (x,) = bounds
        return None if x is None else Interval(float(f(x.lo)), float(f(x.hi)))

    return bound


def _floor_units(x: Value, frac: int) -> Value:
    """floor(x / 2^frac) for the units x of a fixed-point number, |x| < 2^62."""
    b = low(x)
    return b.shift(x, frac, max(min(b.width(x), 63), frac + 1), INT)


def _whole(x: Value, number: Value) -> Value:
    """A whole number in the fixed-point type of x."""
    return low(x).view(times(number, 1 << x.dtype.frac), x.dtype)


@op("floor", infer=numeric, ref=_ref(np.floor), bound=_bound(np.floor))
def floor(x: Value) -> Value:
    """The largest whole number that is not above x, exact.  8 rounds, 0.4 kbit on rep3."""
    frac = x.dtype.frac
    return _whole(x, _floor_units(units(x), frac)) if frac else x


@op("ceil", infer=numeric, ref=_ref(np.ceil), bound=_bound(np.ceil))
def ceil(x: Value) -> Value:
    """The smallest whole number that is not below x, exact: -floor(-x).  8 rounds, 0.4 kbit on rep3."""
    frac = x.dtype.frac
    return _whole(x, -_floor_units(-units(x), frac)) if frac else x


@op("round", infer=numeric, ref=_ref(np.rint), bound=_bound(np.rint))
def round_(x: Value) -> Value:
    """The nearest whole number, exact; of two equally near the even one, as Python and NumPy do.

    floor(x + 1/2), less 1 where x + 1/2 is whole and odd: where its units are 0 mod 2^frac but not mod 2^(frac + 1).
    8 rounds, 0.7 kbit on rep3.
    """
    b, frac = low(x), x.dtype.frac
    if not frac:
        return x
    up = units(x) + (1 << (frac - 1))
    odd_tie = b.eqz(up, frac) ^ b.eqz(up, frac + 1)
    return _whole(x, _floor_units(up, frac) - odd_tie.to_int())


# -- to decimal places -------------------------------------------------------------------------


def _fixed(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype.kind != "fixed" or attrs["places"] == 0:
        raise TypeRuleError("round_to gives a fixed-point number so many places, and not 0")
    return types[0].dtype, types[0].shape


def _to_ref(x: Array, *, places: int) -> Array:
    x = np.asarray(x)
    size = np.abs(x)
    if places > 0:  # the whole part is a multiple of 2 * 10^-places: it decides nothing, and no bit is lost to it
        scale = 10.0**places
        whole = np.floor(size)
        near = (whole * scale + np.rint((size - whole) * scale)) / scale
    else:
        unit = 10.0**-places
        rest = np.fmod(size, unit)
        below = np.rint((size - rest) / unit)
        near = (below + ((2 * rest > unit) | ((2 * rest == unit) & (below % 2 == 1)))) * unit
    return np.asarray(np.sign(x) * near + 0.0)  # no -0


def _to_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    (x,) = bounds
    if x is None:
        return None
    off = 2.0 ** -types[0].dtype.frac if attrs["places"] > 0 else 0.0
    lo, hi = (float(_to_ref(np.asarray(float(end)), places=attrs["places"])) for end in x)
    return Interval(lo - off, hi + off)


def _nearest(x: Value, d: int) -> Value:
    """x / d for shared whole numbers and an even constant d, to the nearest whole number, of two the even one.

    With x + d/2 = 2 d h + r and 0 <= r < 2 d it is 2 h, and 1 more where r > d.
    """
    b = low(x)
    up, pair = x + (d // 2), b.const(np.int64(2 * d), INT)
    above = b.ltz(d - b.emit("mod", up, pair), d.bit_length() + 1)
    return times(b.emit("floordiv", up, pair), 2) + above.to_int()


@op("round_to", infer=_fixed, ref=_to_ref, bound=_to_bound, domain=((-(2.0**46), 2.0**46),), tolerance=2.0**-17)
def round_to(x: Value, *, places: int) -> Value:
    """The multiple of 10^-places nearest to x, of two the even one, put on the grid: x's units and nothing else decide.

    For places above 0 of what is behind the point alone, and nothing where 10^-places is below a unit of the grid: the
    number next to the multiple is x then.  For places below 0 exact, as `round` is.
    On rep3, for 2 places 35 rounds and 1.8 kbit, for -2 places 32 rounds and 2.8 kbit.
    """
    b, frac, scale = low(x), x.dtype.frac, 10 ** abs(places)
    raw = units(x)
    if places < 0:
        return _whole(x, times(_nearest(raw, scale << frac), scale))
    if scale >> frac:
        return x
    unit = 1 << frac
    rest = b.know(raw - times(_floor_units(raw, frac), unit), Interval(0, unit - 1))
    part = _nearest(b.know(times(rest, scale), Interval(0, (unit - 1) * scale)), unit)
    # No half here: part * unit / scale is a multiple of 1 / 5^places.
    half = b.know(times(part, unit) + scale // 2, Interval(0, unit * scale + scale // 2))
    near = b.emit("floordiv", half, b.const(np.int64(scale), INT))
    return b.view(raw - rest + near, x.dtype)
