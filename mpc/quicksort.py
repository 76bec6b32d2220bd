"""The order of shuffled rows by comparisons that are opened: which are made in which round, and what follows from them.

Rows that a uniform permutation, known to nobody, has moved may be compared in the open, when no two are equal: what the
nodes see is a function of the order alone, and that is uniform [Hamada and others, ICISC 2012, "Practically efficient
multi-party sorting protocols from comparison sort algorithms"].  A simulator draws an order and answers by it.

A schedule is fixed before the run, so the numbers of comparisons may not depend on what they say.  Hence no pivots that
cut where they happen to cut, but *stages*: the first rows are put in order by all pairs; then, stage after stage, as
many new ones as the stage names look for their gap among those in order, by a search whose depth is fixed since those
in order are 2^k - 1, and new rows that meet in one gap are compared in all pairs.  How many such pairs there are is
left to chance, the same for all data; a stage has room for more of them than come up but once in 2^70 stages, and the
job ends with an error then [the sizes of gaps are a uniform composition; `room`].

About n log2 n comparisons in all.  A search may look at 2^g - 1 rows at once and go down g levels in one comparison's
rounds; `Stage.levels` is g.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mpc.bitrows import BitRows, Places
from mpc.boolean import Words
from mpc.protocol import USES, ProtocolError, Share, Step

__all__ = ["Less", "Stage", "batches", "in_order", "plan", "room"]

Truths = npt.NDArray[np.bool_]

UNLIKELY = 70
"""A stage has too little room with a probability below 2^-UNLIKELY."""

LEVELS = (1, 2, 3)
"""Levels that a search may go down at once."""

GROWTH = 6
"""A stage makes the rows in order at most 2^GROWTH times as many."""


class Stage(NamedTuple):
    """Rows `before`, already in order (0, or 2^k - 1), are joined by those up to `until`."""

    before: int
    until: int
    levels: int
    """Levels that the search goes down at once."""
    pairs: int
    """Room for pairs of new rows in one gap."""

    @property
    def new(self) -> int:
        """How many rows join."""
        return self.until - self.before

    @property
    def searches(self) -> list[tuple[int, int]]:
        """(levels left, levels at once) of each step of the search."""
        left = self.before.bit_length()
        return [(at, min(self.levels, at)) for at in range(left, 0, -self.levels)]


Less: TypeAlias = "Callable[[int, Words, Words, int], Step[Truths]]"
"""[x < y] in the clear at all nodes: (use, x, y, n) for n pairs of bit-sliced numbers (k, rows, W), lowest bit first;
uses use..use+15."""


def batches(stages: Sequence[Stage]) -> Iterator[int]:
    """How many pairs are compared at once, comparison after comparison."""
    for stage in stages:
        for _, levels in stage.searches:
            yield stage.new * ((1 << levels) - 1)
        if stage.pairs:
            yield stage.pairs


def in_order(bits: Share, rows: int, less: Less, use: int, stages: Sequence[Stage]) -> Step[Places]:
    """The places of n rows in ascending order of their keys, (n,).

    bits: shares (k, n, width) of n distinct numbers, lowest bit first, which `less` is given in so many rows, those of
    zeros below.  Uses USES numbers for each comparison, from `use` on.

    ProtocolError when a stage has too little room, which is a matter of chance alone: see above.
    """
    keys, uses = BitRows(bits, rows), count(use, USES)
    order: Places = np.zeros(0, np.int64)
    for stage in stages:
        new = np.arange(stage.before, stage.until)
        gap, one = np.zeros(stage.new, np.int64), None
        for left, levels in stage.searches:
            steps = np.arange(1, 1 << levels)[:, None] << (left - levels)
            looked = order[gap + steps - 1].reshape(-1)
            if one is None or levels != stage.levels:
                one = keys.at(np.tile(new, len(steps)))
            below = yield from less(next(uses), keys.at(looked), one, len(looked))
            gap += below.reshape(len(steps), -1).sum(axis=0) << (left - levels)
        by_gap = np.argsort(gap, kind="stable")
        rank = np.zeros(stage.new, np.int64)
        if stage.pairs:
            first, second = _meetings(gap[by_gap], stage.pairs)
            pairs = np.zeros((2, stage.pairs), np.int64)
            pairs[:, : len(first)] = stage.before + by_gap[first], stage.before + by_gap[second]
            turned = yield from less(next(uses), keys.at(pairs[1]), keys.at(pairs[0]), stage.pairs)
            turned = turned[: len(first)]
            rank += np.bincount(np.where(turned, first, second), minlength=stage.new)
        order = _joined(order, new[by_gap], gap[by_gap], rank)
    return order


def _meetings(gap: Places, most: int) -> tuple[Places, Places]:
    """All pairs i < j of equal numbers in ascending `gap`, at most so many."""
    found = []
    at, total = np.arange(len(gap)), 0
    for apart in range(1, len(gap)):
        at = at[at < len(gap) - apart]
        at = at[gap[at] == gap[at + apart]]
        if not len(at):
            break
        total += len(at)
        if total > most:
            raise ProtocolError(
                f"a sort has room for {most} pairs of rows in one gap and met more, which comes up by chance alone, "
                "less than once in 2^64 sorts: run the job again"
            )
        found.append((at, at + apart))
    first, second = (np.concatenate([f[k] for f in found] or [np.zeros(0, np.int64)]) for k in (0, 1))
    return first, second


def _joined(order: Places, new: Places, gap: Places, rank: Places) -> Places:
    """Rows in order and new ones: those of a gap stand together, the first `gap` of `order` before them."""
    out = np.empty(len(order) + len(new), np.int64)
    start = np.searchsorted(gap, gap)
    out[gap + start + rank] = new
    # Before the old row k stand the new ones of gaps 0..k.
    out[np.arange(len(order)) + np.searchsorted(gap, np.arange(len(order)), side="right")] = order
    return out


# -- the plan ----------------------------------------------------------------------------------


@cache
def room(before: int, new: int) -> int:
    """Pairs of `new` rows that meet in one of before + 1 gaps: more come up with a probability below 2^-UNLIKELY.

    The sizes g of the gaps are a uniform composition of `new`: independent geometric numbers P(g) = (1 - q) q^g, given
    their sum.  So the probability is at most that of independent ones over that of the sum; of these, either one is
    above m, or the truncated ones sum to so much: the smallest number that Chernoff's bound gives, over m and theta.
    """
    every = new * (new - 1) // 2
    if not before or new < 2:
        return every
    gaps = before + 1
    q = new / (new + gaps)
    sum_log = (
        math.lgamma(new + gaps) - math.lgamma(gaps) - math.lgamma(new + 1) + new * math.log(q) + gaps * math.log(1 - q)
    )
    # Half of what is allowed for each of the two ways.
    allowed = sum_log - (UNLIKELY + 1) * math.log(2)
    most = min(math.ceil((math.log(gaps) - allowed) / -math.log(q)), new)
    size = np.arange(most + 1)
    pairs = size * (size - 1) / 2
    plain = math.log(1 - q) + size * math.log(q)

    def bound(theta: float) -> float:
        terms = plain + theta * pairs
        top = float(terms.max())
        log_moment = top + math.log(float(np.exp(terms - top).sum()))
        return (gaps * log_moment - allowed) / theta

    # Any theta gives a bound: a good one is found among some far apart, and again among some close to it.
    apart = 2.0
    near = min(np.geomspace(2.0**-20, 4.0, 23).tolist(), key=bound)
    near = min(np.geomspace(near / apart, near * apart, 17).tolist(), key=bound)
    best = min(float(every), bound(near))
    # Rounded up to three figures or so: what floating point leaves in the last place makes no other circuit.
    step = 1 << max(int(best).bit_length() - 9, 0)
    return min(every, (int(best) // step + 1) * step)


@cache
def plan(n: int, pair: float, turn: float) -> tuple[Stage, ...]:
    """The stages by which n rows are put in order at the least weight.

    pair: the weight of comparing one pair; turn: that of the rounds of one comparison.
    """
    # The best way to 2^k - 1 rows in order, for each k; then the last stage, to n.
    best: list[tuple[float, tuple[Stage, ...]]] = [(0.0, ())]
    top = n.bit_length()
    for k in range(1, top + 1):
        until = min((1 << k) - 1, n)
        ways = [
            (done + _weight(stage, pair, turn), (*stages, stage))
            for j, (done, stages) in enumerate(best)
            if not j or k - j <= GROWTH
            for stage in _stages((1 << j) - 1, until)
            if stage.new
        ]
        best.append(min(ways) if ways else best[-1])
    return best[-1][1]


def _stages(before: int, until: int) -> list[Stage]:
    pairs = room(before, until - before) if before or until <= 1 << 13 else 1 << 62
    return [Stage(before, until, levels, pairs) for levels in (LEVELS if before else LEVELS[:1])]


def _weight(stage: Stage, pair: float, turn: float) -> float:
    each = list(batches([stage]))
    return len(each) * turn + sum(each) * pair
