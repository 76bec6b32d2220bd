"""The digits of the highest set bit's place (`leading.Slots`) as a Boolean circuit over bit-sliced words.

The long one-hot vector is never made.  What is *clear* (no set bit so far) is known by prefixes of ANDs: within each
row of four slots, over the rows of a step, over the steps; and since a place in a later row counts only where all
before it are clear, the digits come out of two sums of products: over the rows of each step, beside the prefix over
steps, and then over the steps.  63 slots take 105 ANDs in 7 levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from mpc.boolean import Gates, Term, Words
from mpc.leading import Slots
from mpc.protocol import Step

__all__ = ["highest", "highest_levels"]

ZERO, ONE, SIGN = 0, 1, 2
"""Rows that are always there; what is known to be clear is the row ONE."""

Index = npt.NDArray[np.intp]


class _Net:
    """Gates in levels over numbered rows: sums of products, and sums that cost nothing."""

    def __init__(self, given: int) -> None:
        self.level = [0] * given
        self.sums: list[list[tuple[int, int, int]]] = [[]]
        """For each level, (row, left, right): row = left ^ right, before the gates of the level."""
        self.products: list[list[tuple[int, tuple[tuple[int, int], ...], int]]] = [[]]
        """For each level, (row, pairs, plus): row = plus ^ the sum of products of pairs."""

    def _row(self, level: int) -> int:
        self.level.append(level)
        while len(self.sums) <= level:
            self.sums.append([])
            self.products.append([])
        return len(self.level) - 1

    def xor(self, x: int, y: int) -> int:
        """x ^ y."""
        if x == y:
            return ZERO
        if ZERO in (x, y):
            return x + y
        level = max(self.level[x], self.level[y])
        row = self._row(level)
        self.sums[level].append((row, x, y))
        return row

    def dot(self, pairs: Sequence[tuple[int, int]], plus: int = ZERO) -> int:
        """The sum of products, and `plus`; a gate unless there is nothing to multiply."""
        used = []
        for x, y in pairs:
            if ZERO in (x, y):
                continue
            if ONE in (x, y):
                plus = self.xor(plus, x * y)  # the other one's number, since ONE is 1
            else:
                used.append((x, y))
        if not used:
            return plus
        level = max(self.level[i] for i in (plus, *(i for pair in used for i in pair)))
        row = self._row(level + 1)
        self.products[level].append((row, tuple(used), plus))
        return row

    def both(self, x: int, y: int) -> int:
        """x & y."""
        return self.dot([(x, y)])

    def prefix(self, rows: Sequence[int]) -> list[int]:
        """The ANDs of the first one, two, three and four rows, in two levels."""
        out = list(rows[:1])
        if len(rows) > 1:
            out.append(self.both(rows[0], rows[1]))
        if len(rows) > 2:
            out.append(self.both(out[1], rows[2]))
        if len(rows) > 3:
            out.append(self.both(out[1], self.both(rows[2], rows[3])))
        return out


class _Plan:
    """`_Net` for some slots, as index arrays."""

    def __init__(self, slots: Slots) -> None:
        net = _Net(SIGN + 1 + slots.places)
        self.results = _digits(net, slots)
        self.rows = len(net.level)
        self.sums = [tuple(_columns(level)) if level else None for level in net.sums]
        self.terms = [_grouped(level) for level in net.products]
        while self.terms and not self.terms[-1]:
            self.terms.pop()
        self.levels = [sum(len(rows) for rows, _, _, _ in level) for level in self.terms]


def _columns(triples: Sequence[tuple[int, int, int]]) -> list[Index]:
    return [np.asarray(c, np.intp) for c in zip(*triples, strict=True)]


def _grouped(
    products: Sequence[tuple[int, tuple[tuple[int, int], ...], int]],
) -> list[tuple[Index, Index, Index, bool]]:
    """Gates of equally many products together: (rows, pairs (gates, m, 2), plus, whether there is any plus)."""
    out = []
    for m in sorted({len(pairs) for _, pairs, _ in products}):
        these = [p for p in products if len(p[1]) == m]
        rows, pairs, plus = (np.asarray([p[i] for p in these], np.intp) for i in range(3))
        out.append((rows, pairs, plus, bool(plus.any())))
    return out


def _digits(net: _Net, slots: Slots) -> Index:
    """The rows of the result, once all gates are in the net.  Places are given clear where no bit is set."""

    def clear(k: int, a: int) -> list[int]:
        at = [slots.slot(k, a, b) for b in range(slots.ones)]
        return [ONE if place is None else SIGN + 1 + place for place in at]

    steps, rows = range(slots.steps), range(slots.rows)
    within = [[net.prefix(clear(k, a)) for a in rows] for k in steps]
    by_row = [net.prefix([within[k][a][-1] for a in rows]) for k in steps]
    by_step = net.prefix([by_row[k][-1] for k in steps])
    ones = [
        [
            net.dot(
                [(by_row[k][a - 1] if a else ONE, net.xor(within[k][a][b - 1], within[k][a][b])) for a in rows],
            )
            for b in range(1, slots.ones)
        ]
        for k in steps
    ]
    lines = [[net.xor(by_row[k][a - 1], by_row[k][a]) for a in rows[1:]] for k in steps]
    before = [ONE, *by_step[:-1]]
    found = [net.xor(before[k], by_step[k]) for k in steps]
    flags = found
    if slots.signed:
        negative = [net.both(SIGN, f) for f in found]
        flags = [*(net.xor(f, m) for f, m in zip(found, negative, strict=True)), *negative]
    chosen = [
        net.dot([(before[k], part[k][i]) for k in steps])
        for part, n in ((lines, slots.rows - 1), (ones, slots.ones - 1))
        for i in range(n)
    ]
    return np.asarray([*flags, *chosen], np.intp)


@cache
def _plan(slots: Slots) -> _Plan:
    return _Plan(slots)


def highest_levels(slots: Slots) -> list[int]:
    """For each level of `highest`, the number of rows of ANDs."""
    return _plan(slots).levels


def highest(gates: Gates, use: int, bits: Words, slots: Slots, n: int) -> Step[Words]:
    """The digits of the place (k, slots.size, W), from all `slots.width` bits, lowest first: (k, width, W)."""
    plan = _plan(slots)
    stack = np.empty((len(bits), plan.rows, bits.shape[-1]), np.uint64)
    stack[:, ZERO] = 0
    stack[:, ONE] = gates.not_words(stack[:, ZERO : ZERO + 1])[:, 0]
    places = slice(SIGN + 1, SIGN + 1 + slots.places)
    if slots.signed:
        stack[:, SIGN] = bits[:, -1]
        # A bit is clear where it is as the sign is; the sign's own place comes last.
        last = places.stop - 1
        np.bitwise_xor(bits[:, -2::-1], bits[:, -1:], out=stack[:, places.start : last])
        stack[:, last] = bits[:, -1]
    else:
        stack[:, places] = bits[:, slots.bottom :][:, ::-1]
    stack[:, places] = gates.not_words(stack[:, places])
    for level, sums in enumerate(plan.sums):
        if sums is not None:
            row, x, y = sums
            _add(stack, row, x, y)
        if level < len(plan.terms):
            terms = [_term(stack, *group[1:]) for group in plan.terms[level]]
            out = yield from gates.and_words(use + level, terms, n)
            at = 0
            for rows, _, _, _ in plan.terms[level]:
                stack[:, rows] = out[:, at : at + len(rows)]
                at += len(rows)
    return stack[:, plan.results]


def _add(stack: Words, row: Index, x: Index, y: Index) -> None:
    """Sums in their order: one may be a term of a later one."""
    for r, i, j in zip(row, x, y, strict=True):
        np.bitwise_xor(stack[:, i], stack[:, j], out=stack[:, r])


def _term(stack: Words, pairs: Index, plus: Index, any_plus: bool) -> Term:
    first, *rest = ((stack[:, pairs[:, i, 0]], stack[:, pairs[:, i, 1]]) for i in range(pairs.shape[1]))
    return Term(*first, plus=stack[:, plus] if any_plus else None, more=tuple(rest))
