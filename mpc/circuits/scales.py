"""Fixed-point numbers as whole numbers of their smallest unit, and back: where exact whole-number arithmetic is
wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import units as ring
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import INT, Fixed, Type, TypeRuleError

__all__ = ["of_units", "units"]


def _units(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype != Fixed(attrs["frac"]):
        raise TypeRuleError(f"expects a fixed-point number with {attrs['frac']} fraction bits, not {types[0].dtype}")
    return INT, types[0].shape


def _units_ref(x: Array, *, frac: int) -> Array:
    return np.rint(x * 2.0**frac).astype(np.int64)


def _wide_units(x: Array, *, frac: int) -> Array:
    """Infinite beyond 64 bits, where a cast gives whatever it does."""
    units = np.rint(x * 2.0**frac)
    return np.where((units >= -(2.0**63)) & (units < 2.0**63), units, np.inf)


def _units_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,), scale = bounds, 2.0 ** attrs["frac"]
    return None if x is None else Interval(x.lo * scale, x.hi * scale)


@op("units", infer=_units, ref=_units_ref, bound=_units_bound, wide=_wide_units)
def units(x: Value, *, frac: int) -> Value:
    """x as a whole number of 2^-frac.  No message."""
    del frac
    return ring.units(x)


def _of_units(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype != INT:
        raise TypeRuleError(f"units are whole numbers, not {types[0].dtype}")
    return Fixed(attrs["frac"]), types[0].shape


def _of_units_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,), scale = bounds, 2.0 ** -attrs["frac"]
    return None if x is None else Interval(x.lo * scale, x.hi * scale)


@op(
    "of_units",
    infer=_of_units,
    ref=lambda x, *, frac: x / 2.0**frac,
    bound=_of_units_bound,
    domain=((-(2.0**62), 2.0**62),),
)
def of_units(x: Value, *, frac: int) -> Value:
    """So many units of 2^-frac as a fixed-point number.  No message."""
    b = low(x)
    b.fits("the number", b.range(x), 0, noted=False)
    return ring.as_fixed(x, frac)
