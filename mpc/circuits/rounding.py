"""Fixed-point numbers to whole ones, exactly: floor, ceil, round.  A whole number is returned as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.units import times, units
from mpc.lowerer import low
from mpc.op import Interval, numeric, op
from mpc.types import INT, Type

__all__ = ["ceil", "floor", "round_"]


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
