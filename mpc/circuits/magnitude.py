"""The place of the highest set bit of a secret number, in a form that scales by secret powers of two.

For y = +-u 2^(e+1) with 1/2 <= u <= 1, e is found by `leading`; its one-hot place is not converted to the ring bit by
bit (64 elements), but in groups: with d = top - e = 16k + 4a + b, the three short one-hot vectors of k, a and b are
XORs of parts of the long one, without a message, and 2^d = 2^(16k) 2^(4a) 2^b takes one product a factor.  A function
of e that is a product of functions of k, a and b is had as cheaply: 2^(-d/2) in a square root, say.

A negative y needs no comparison first: `leading` looks at the low bits alone, so that of y below zero marks the sign
bit, and that of -y then marks the place; for y above zero the other way round.  The XOR of both, less the sign bit, is
the place, and the parts of either alone say the sign.  Where ranges leave few places, there are few groups; where they
leave one, nothing is computed at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from mpc.circuit import Value
from mpc.circuits.units import dot, linear, mul, times, trunc
from mpc.lowerer import low
from mpc.types import INT

__all__ = ["Magnitude", "measure"]

LIMIT = 62
"""Bits of a number of which nothing is known: it is taken to be below 2^62 in magnitude."""

Part: TypeAlias = tuple[Value, int, bool]


@dataclass(frozen=True, slots=True, eq=False)
class Magnitude:
    """Where the highest bit of y is.  Selectors are shares along a last axis; an absent one stands for 1."""

    top: int
    """The highest place that is possible; d = top - e."""
    steps: int
    """Groups of 16 places: k < steps."""
    positive: Value | None
    """(*shape, steps): one-hot k where y > 0; with `negative`, all zero where y = 0."""
    negative: Value | None
    fours: Value | None
    """One-hot a."""
    ones: Value | None
    """One-hot b."""

    def choose(self, weights: Sequence[int]) -> Value | None:
        """sign(y) * weights[k], 0 where y = 0; None stands for weights[0], where y is known to be above 0."""
        if self.positive is None:
            return None
        out = _weigh(self.positive, weights)
        return out if self.negative is None else out - _weigh(self.negative, weights)

    def choose_unsigned(self, weights: Sequence[int]) -> Value | None:
        """weights[k], 0 where y = 0."""
        if self.positive is None:
            return None
        out = _weigh(self.positive, weights)
        return out if self.negative is None else out + _weigh(self.negative, weights)

    def within(self, of_a: Sequence[int], of_b: Sequence[int]) -> Value | int:
        """of_a[a] * of_b[b]; at most 1 round."""
        if self.ones is None:
            return of_a[0] * of_b[0]
        b = _weigh(self.ones, of_b)
        return times(b, of_a[0]) if self.fours is None else mul(_weigh(self.fours, of_a), b)

    @property
    def low(self) -> Value | int:
        """2^(4a + b) <= 2^15; at most 1 round."""
        return self.within([1 << 4 * a for a in range(4)], [1 << b for b in range(4)])

    @property
    def exponent(self) -> Value | int:
        """d where y is not 0, without a message."""
        terms = []
        if self.positive is not None and self.steps > 1:
            k = self.choose_unsigned([16 * k for k in range(self.steps)])
            assert k is not None
            terms.append((k, 1))
        if self.fours is not None:
            terms.append((_weigh(self.fours, [0, 4, 8, 12]), 1))
        if self.ones is not None:
            terms.append((_weigh(self.ones, [0, 1, 2, 3]), 1))
        return linear(terms) if terms else 0

    def times_power(self, y: Value, chosen: Sequence[int], factor: Value | int, m: int) -> Value:
        """sign(y) * y * chosen[k] * factor / 2^m: 1 round, and 3 if m > 0."""
        pick = self.choose(chosen)
        out = times(y, chosen[0]) if pick is None else mul(y, pick)
        return mul(out, factor, m)

    def normal(self, y: Value, frac: int) -> Value:
        """|y| 2^d / 2^(top + 1), that is u, at `frac` fraction bits; 0 where y = 0.  At most 4 rounds."""
        return self.times_power(y, [1 << 16 * k for k in range(self.steps)], self.low, self.top + 1 - frac)

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
        if self.positive is None:
            return mul(trunc(used[0][1], used[0][2]), self.low)
        picks = []
        for k, _, _, signed in used:
            weights = [int(j == k) for j in range(self.steps)]
            pick = self.choose(weights) if signed else self.choose_unsigned(weights)
            assert pick is not None
            picks.append(pick)
        return mul(dot([trunc(x, m) for _, x, m, _ in used], picks), self.low)


def _present(parts: Sequence[Part | None]) -> list[tuple[int, Part]]:
    return [(k, p) for k, p in enumerate(parts) if p is not None]


def _first(parts: Sequence[Part | None]) -> Value:
    return _present(parts)[0][1][0]


def measure(y: Value, what: str, *, least: int | None = None, limit: int = LIMIT, aligned: bool = False) -> Magnitude:
    """The magnitude of a share of whole units, |y| < 2^limit (an assumption to note where nothing is known of it).

    `least` is what the caller's domain asks of y: it is at least so much.  `aligned`: `top` is raised to 13, 29, 45 or
    61, so that no group has places on both sides of 30.
    On rep3: 16 rounds and 6.0 kbit with nothing known, 14 and 1.7 kbit for a whole number of 1..2^20.
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
    if top == bottom and lowest >= 1 and not aligned:
        return Magnitude(top, 1, None, None, None, None)
    raised = top + (13 - top) % 16 if aligned else top
    one_hot = [_grouped(b.leading(y, top + 2 if signed else top + 1), bottom, top, raised)]
    if signed:
        one_hot.append(_grouped(b.leading(-y, top + 2), bottom, top, raised))
    either = one_hot[0] if len(one_hot) == 1 else one_hot[0] ^ one_hot[1]
    steps, rows, _ = either.type.sizes[-3:]
    signs = one_hot if steps > 1 or lowest < 1 else []
    parts = [_parity(v, (-1, -1)) for v in signs]
    if rows > 1:
        parts.append(_last(_parity(either, (-3, -1)), 1, rows))
    parts.append(_last(_parity(either, (-3, -2)), 1, 4))
    rings = _to_ring(parts)
    return Magnitude(
        raised,
        steps,
        rings[0] if signs else None,
        rings[1] if len(signs) > 1 else None,
        _completed(rings[-2]) if rows > 1 else None,
        _completed(rings[-1]),
    )


def _last(x: Value, start: int, stop: int, step: int = 1) -> Value:
    """A slice of the last axis."""
    dims = x.type.sizes
    parts = (*((0, d, 1) for d in dims[:-1]), (start, stop, step))
    return x if (start, stop, step) == (0, dims[-1], 1) else low(x).emit("slice", x, parts=parts)


def _grouped(one_hot: Value, bottom: int, top: int, raised: int) -> Value:
    """Places down to bottom from `raised`, (*shape, w) -> (*shape, steps, rows, 4), filled up with zeros."""
    b, shape = low(one_hot), one_hot.type.sizes[:-1]
    places = raised - bottom + 1
    rows = 4 if places > 16 else -(-places // 4)
    steps = -(-places // (4 * rows))
    parts = [_last(one_hot, top, bottom - 1, -1)]
    for missing, at in ((raised - top, 0), (4 * rows * steps - places, 1)):
        if missing:
            parts.insert(at * len(parts), b.const(np.zeros((*shape, missing), np.bool_)))
    whole = parts[0] if len(parts) == 1 else b.emit("concat", *parts, axis=len(shape))
    return whole.reshape((*shape, steps, rows, 4))


def _parity(x: Value, axes: Sequence[int]) -> Value:
    """XOR over one axis after the other, each counted from the end at its turn."""
    for axis in axes:
        order = [a for a in range(x.ndim) if a != x.ndim + axis]
        x = x.transpose((*order, x.ndim + axis))
        while (n := x.type.sizes[-1]) > 1:
            half = n // 2
            folded = _last(x, 0, half) ^ _last(x, half, 2 * half)
            x = low(x).emit("concat", folded, _last(x, n - 1, n), axis=x.ndim - 1) if n % 2 else folded
        x = x.reshape(x.shape[:-1])
    return x


def _to_ring(parts: Sequence[Value]) -> list[Value]:
    """Truth values as numbers, in one step, (*shape, w) each."""
    joined = low(parts[0]).emit("concat", *parts, axis=parts[0].ndim - 1).to_int()
    ends = np.cumsum([v.type.sizes[-1] for v in parts])
    return [_last(joined, int(end) - v.type.sizes[-1], int(end)) for v, end in zip(parts, ends, strict=True)]


def _completed(rest: Value) -> Value:
    """A one-hot vector from all of it but the first place."""
    first = 1 - rest.sum(axis=rest.ndim - 1, keepdims=True)
    return low(rest).emit("concat", first, rest, axis=rest.ndim - 1)


def _weigh(one_hot: Value, weights: Sequence[int]) -> Value:
    """The weight at the marked place, without a message."""
    b = low(one_hot)
    table = b.const(np.array(weights[: one_hot.type.sizes[-1]], np.int64))
    return b.product("matmul", one_hot, b.encode(table, 0), 0, INT)
