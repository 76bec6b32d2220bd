"""Which of two secret numbers comes first, exactly, over the whole of their type.

x < y is the sign of x - y.  Two fixed-point numbers, and whole numbers of a declared range, have a difference that fits
the ring, and a narrow one where their range is narrow.  Two whole numbers of which nothing is known may not: there the
sign of the difference is right only if both have the same sign, so the signs of all numbers are worked out once,
beside the first comparison, and kept with them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.circuit import Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.lowerer import low
from mpc.types import INT

__all__ = ["Keys", "all_of", "at_all", "difference_width", "keys", "less", "less_work"]

Places = npt.NDArray[np.int64]

WIDE = 65
"""Width of a difference that the ring does not hold."""


class Keys(NamedTuple):
    """Shared numbers that are to be compared with one another."""

    x: Value
    negative: Value | None
    """Which of them are below 0, where a comparison needs it."""
    width: int
    """Bits in which every difference of two of them is a signed number; WIDE where 64 are too few."""

    def at(self, places: Places) -> Keys:
        """Those at public places of the last axis, which may become several axes."""
        return Keys(
            at_all(self.x, places), None if self.negative is None else at_all(self.negative, places), self.width
        )


def difference_width(x: Value) -> int:
    """Bits of the difference of any two elements of x as a signed number; WIDE where 64 are too few."""
    known = low(x).range(x)
    if known is None:
        return WIDE if x.dtype == INT else 64
    span: int = math.ceil((known.hi - known.lo) * 2**x.dtype.frac)
    if x.dtype != INT:
        span += 2  # a truncation may leave a unit at either end
    return min(span.bit_length() + 1, WIDE if x.dtype == INT else 64)


def keys(x: Value) -> Keys:
    """The shared numbers x with what comparing them needs."""
    width = difference_width(x)
    return Keys(x, low(x).ltz(x, 64) if width == WIDE else None, width)


def less(x: Keys, y: Keys) -> Value:
    """x < y, element by element, for numbers of one shape."""
    b = low(x.x)
    difference = b.on_shares("sub", (x.x, y.x), {}, x.x.dtype, x.x.shape)
    sign = b.ltz(difference, min(x.width, 64))
    if x.negative is None or y.negative is None:
        return sign
    return sign ^ ((x.negative ^ y.negative) & (x.negative ^ sign))


def less_work(width: int) -> Work:
    """What `less` costs for one pair."""
    if width < WIDE:
        return estimate.compare(width)
    return estimate.compare(64).then(estimate.AND)


def at_all(x: Value, places: Places) -> Value:
    """x at public places of its last axis."""
    return x.builder.emit("take", x, x.builder.const(places), axis=x.ndim - 1)


def all_of(x: Value) -> Value:
    """Whether all truth values along the last axis hold; log2 of its length rounds."""
    while x.type.sizes[-1] > 1:
        n = x.type.sizes[-1]
        half = n // 2
        whole: tuple[Any, ...] = (slice(None),) * (x.ndim - 1)
        both = x[(*whole, slice(0, half))] & x[(*whole, slice(half, 2 * half))]
        x = both if n % 2 == 0 else x.builder.emit("concat", both, x[(*whole, slice(2 * half, n))], axis=x.ndim - 1)
    return x.reshape(x.shape[:-1])
