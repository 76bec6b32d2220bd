"""From a narrow ring back to Z_2^64, exactly, for a number whose range leaves the ring two bits of room.

2^(64-w) x of Z_2^64 is had from x of Z_2^w without a message (`lift`), and its truncation by 64 - w bits has nothing to
round: it costs what it costs in any protocol, with three replicated nodes two rounds and 64 + 3 (64 - w) bits.  So sums
and products of many elements may be taken in the ring that their result needs, and only the result is brought back.
"""

from __future__ import annotations

import math

from mpc.circuit import Value
from mpc.lowerer import low
from mpc.op import Interval
from mpc.types import INT

__all__ = ["ring_of", "widen"]


def ring_of(units: Interval) -> int:
    """Bits of the narrowest ring from which every whole number in `units` comes back."""
    middle = _middle(units)
    return max(math.ceil(units.hi) - middle, middle - math.floor(units.lo)).bit_length() + 2


def widen(x: Value, units: Interval) -> Value:
    """The whole number in `units` that a share of Z_2^w stands for, w >= `ring_of(units)`."""
    b, middle, bits = low(x), _middle(units), x.dtype.bits
    if ring_of(units) > bits:
        raise AssertionError(f"a number from {units.lo:.6g} to {units.hi:.6g} does not come back from {bits} bits")
    half = 1 << (bits - 1)
    centred = x - b.const((middle + half) % (2 * half) - half)
    lifted = b.on_shares("lift", (centred,), {}, INT, x.shape)
    return b.know(b.trunc(lifted, 64 - bits, INT) + middle, units)


def _middle(units: Interval) -> int:
    return (math.floor(units.lo) + math.ceil(units.hi)) // 2
