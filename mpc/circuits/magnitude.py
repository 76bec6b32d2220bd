"""The place of the highest set bit of a secret number, in a form that scales by secret powers of two.

For y = +-u 2^(e+1) with 1/2 <= u <= 1, e is found by `leading`, which tells its place by digits: with d = top - e =
16k + 4a + b, the three short one-hot vectors of k, a and b, that of k for y above zero and for y below zero apart.
2^d = 2^(16k) 2^(4a) 2^b takes one product a factor; a function of e that is a product of functions of k, a and b is
had as cheaply: 2^(-d/2) in a square root, say.  A factor is a weighted sum of a digit's truth values, and brings them
to the ring itself (`weigh`): all sums that are asked for are made in one step.

A y below zero is told as ~y is, which is one place lower for -2^j: there u = 1.  Where ranges leave few places, there
are few groups; where they leave one, nothing is computed at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mpc.boolean import sparseness
from mpc.circuit import Value
from mpc.circuits.units import dot, entry, mul, times, trunc, weigh
from mpc.leading import Slots
from mpc.lowerer import low
from mpc.types import BOOL, count

__all__ = ["Magnitude", "measure"]

LIMIT = 62
"""Bits of a number of which nothing is known: it is taken to be below 2^62 in magnitude."""

Part: TypeAlias = tuple[Value, int, bool]


@dataclass(frozen=True, slots=True, eq=False)
class Magnitude:
    """Where the highest bit of y is."""

    top: int
    """The highest place that is possible; d = top - e."""
    slots: Slots
    bits: tuple[Value, ...]
    """The digits as truth values, each in the shape of y; none where y has one place and is above 0."""
    signs: bool
    """Whether y may be 0 or below, or its step is unknown: otherwise a sign is 1."""

    @property
    def steps(self) -> int:
        """Groups of 16 places: k < steps."""
        return self.slots.steps

    def _sum(self, flags: Sequence[int], rows: Sequence[int], ones: Sequence[int], constant: int = 0) -> Value:
        """The sum of weights of what is marked: of steps (of both signs, one after the other), rows and ones."""
        flags = flags or [0] * self.slots.flags
        return weigh(self.bits, [*flags, *rows[1:], *ones[1:]], constant)

    def _digit(self, weights: Sequence[int], number: int) -> list[int]:
        """Weights of a digit as differences from the first, which is left out."""
        return [w - weights[0] for w in weights[:number]]

    def choose(self, weights: Sequence[int]) -> Value | None:
        """sign(y) * weights[k], 0 where y = 0; None stands for weights[0], where y is known to be above 0."""
        return self._chosen(weights, -1)

    def choose_unsigned(self, weights: Sequence[int]) -> Value | None:
        """weights[k], 0 where y = 0."""
        return self._chosen(weights, 1)

    def _chosen(self, weights: Sequence[int], below: int) -> Value | None:
        if not self.signs:
            return None
        flags = list(weights[: self.steps])
        if self.slots.signed:
            flags += [below * w for w in flags]
        return self._sum(flags, [0] * self.slots.rows, [0] * self.slots.ones)

    def within(self, of_a: Sequence[int], of_b: Sequence[int]) -> Value | int:
        """of_a[a] * of_b[b]; at most 1 round."""
        if not self.bits:
            return of_a[0] * of_b[0]
        rows, ones = self.slots.rows, self.slots.ones
        b = self._sum([], [0] * rows, self._digit(of_b, ones), of_b[0])
        if rows == 1:
            return times(b, of_a[0])
        return mul(self._sum([], self._digit(of_a, rows), [0] * ones, of_a[0]), b)

    @property
    def low(self) -> Value | int:
        """2^(4a + b) <= 2^15; at most 1 round."""
        return self.within([1 << 4 * a for a in range(4)], [1 << b for b in range(4)])

    @property
    def exponent(self) -> Value | int:
        """d where y is not 0, without a message."""
        if not self.bits:
            return 0
        flags = [16 * k for k in range(self.steps)] * (1 + self.slots.signed)
        return self._sum(flags, [0, 4, 8, 12][: self.slots.rows], range(self.slots.ones))

    def normal(self, y: Value, frac: int) -> Value:
        """|y| 2^d / 2^(top + 1), that is u, at `frac` fraction bits; near 0 where y = 0.  At most 4 rounds."""
        pick = self.choose([1 << 16 * k for k in range(self.steps)])
        out = y if pick is None else mul(y, pick)
        if self.slots.signed and self.top + 1 == LIMIT:
            # -2^j comes to 2^LIMIT, which has no room to be truncated; a unit before `low` is far below one after.
            out = out - 1
        return mul(out, self.low, self.top + 1 - frac)

    def reduced(self, x: Value, shift: int) -> Value:
        """sign(y) x 2^d / 2^shift where that is below 2^62; 0 where y = 0: at most 4 rounds.

        For shift > 0, x / 2^shift is truncated before it is multiplied by up to 2^15.
        """
        return self.joined([(x, shift, True)] * self.steps)

    def joined(self, parts: Sequence[Part | None]) -> Value:
        """For each k its own (x, shift, whether times sign(y)), as `reduced`; None for 0."""
        used = [(k, x, shift - 16 * k, signed) for k, (x, shift, signed) in _present(parts) if shift - 16 * k < LIMIT]
        if not used:
            return times(_first(parts), 0)
        if not self.signs:
            return mul(trunc(used[0][1], used[0][2]), self.low)
        # What is multiplied by 2^-m rather than truncated takes one product for all steps.
        factors: dict[tuple[int, bool, int], tuple[Value, list[int]]] = {}
        for k, x, m, signed in used:
            _, weights = factors.setdefault((x.index, signed, max(m, 0)), (x, [0] * self.steps))
            weights[k] = 1 << -min(m, 0)
        rows, picks = [], []
        for (_, signed, m), (x, weights) in factors.items():
            pick = self.choose(weights) if signed else self.choose_unsigned(weights)
            assert pick is not None
            rows.append(trunc(x, m))
            picks.append(pick)
        return mul(dot(rows, picks), self.low)


def _present(parts: Sequence[Part | None]) -> list[tuple[int, Part]]:
    return [(k, p) for k, p in enumerate(parts) if p is not None]


def _first(parts: Sequence[Part | None]) -> Value:
    return _present(parts)[0][1][0]


def measure(y: Value, what: str, *, least: int | None = None, limit: int = LIMIT, aligned: bool = False) -> Magnitude:
    """The magnitude of a share of whole units, |y| < 2^limit (an assumption to note where nothing is known of it).

    `least` is what the caller's domain asks of y: it is at least so much.  `aligned`: `top` is raised to 13, 29, 45 or
    61, so that no group has places on both sides of 30.
    On rep3, for 4,000 at once: 16 rounds and 1.1 kbit with nothing known, 13 and 0.3 for a whole number of 1..2^20;
    then 2 rounds, and 64 bits for each truth value, at most 14, and 128 for each sum that is asked for.
    """
    b = low(y)
    known = b.range(y)
    b.fits(what, known, 0, bits=limit)
    bits = b.raw_bits(y)
    top = (limit if bits is None else min(bits, limit)) - 1
    below = [float(v) for v in (known and known.lo, least) if v is not None]
    lowest = max(below, default=-math.inf)
    signed = lowest < 0
    # frexp, since log2 of 2^50 - 1 is 50.
    bottom = min(math.frexp(lowest)[1] - 1, top) if lowest >= 1 else 0
    raised = top + (13 - top) % 16 if aligned else top
    slots = Slots(top + 2 if signed else top + 1, signed, bottom, raised - top)
    if slots.used == 1 and lowest >= 1:
        return Magnitude(top, slots, (), False)
    return Magnitude(raised, slots, _leading(y, slots), slots.steps > 1 or lowest < 1)


def _leading(x: Value, slots: Slots) -> tuple[Value, ...]:
    """The digits of the place of the highest bit."""
    b = low(x)
    attrs = {**slots._asdict(), "sparse": sparseness(slots.width - 1, count(x.type.sizes), b.round_bytes)}
    rows = b.on_shares("leading", (x,), attrs, BOOL, (*x.shape, slots.size))
    return tuple(entry(rows, i) for i in range(slots.size))
