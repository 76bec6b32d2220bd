"""Runs that are in order already become one: which rows are compared and exchanged in which stage.

Whose rows come from one party, that party puts in order in the clear.  Two such runs are merged by a network of
comparators, fixed before the run, so that nothing is opened [Batcher, AFIPS 1968, "Sorting networks and their
applications", odd-even merging; Knuth, TAOCP 3, section 5.3.4, for runs of any two lengths]: about n/2 log2 n
comparators for n rows in log2 n stages.  Several runs are merged two by two, the shortest first.

A comparator costs a comparison and one gate for each bit of a row.  Opened comparisons (`mpc.quicksort`) take twice as
many comparisons, radix sort some elements for every few bits of a key: what is in order already is no use to these.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple, TypeAlias

import numpy as np

from mpc.bitrows import BitRows, Places
from mpc.boolean import Words
from mpc.protocol import USES, Share, Step

__all__ = ["Exchange", "Network", "merged", "network", "sizes"]


class Network(NamedTuple):
    """Comparators stage by stage, and where the rows then stand."""

    stages: tuple[tuple[Places, Places], ...]
    """(low, high) of each stage: places no two of which are equal; the smaller row of each pair comes to stand at low.
    """
    order: Places
    """The place of the smallest row, the next, and so on."""


Exchange: TypeAlias = "Callable[[int, Words, Words, int], Step[Words]]"
"""What both of n pairs (x, y) of rows (k, rows, W) change by, (k, width, W): x ^ y where y < x, else zeros; with uses
use..use+15."""


def merged(bits: Share, rows: int, exchange: Exchange, use: int, runs: Sequence[int]) -> Step[Share]:
    """The rows of all runs in ascending order, (k, n, width).

    bits: shares (k, n, width) of n distinct numbers, lowest bit first, of which each run is ascending; `exchange` is
    given them in so many rows, those of zeros below.  Uses USES numbers for each stage, from `use` on.
    """
    made, uses = network(tuple(runs)), count(use, USES)
    table = BitRows(bits, rows)
    for low, high in made.stages:
        change = yield from exchange(next(uses), table.at(low), table.at(high), len(low))
        table.turn(low, change)
        table.turn(high, change)
    return table.bits(made.order)


@lru_cache(maxsize=1024)
def sizes(runs: tuple[int, ...]) -> tuple[int, ...]:
    """Comparators of each stage."""
    return tuple(len(low) for low, _ in network(runs).stages)


@lru_cache(maxsize=2)
def network(runs: tuple[int, ...]) -> Network:
    """For runs of so many rows, one after another."""
    starts = np.cumsum([0, *runs])
    # The shortest two first; those of one depth side by side, in the same stages.
    waiting = [
        (size, k, np.arange(start, start + size), 0)
        for k, (start, size) in enumerate(zip(starts[:-1], runs, strict=True))
    ]
    heapq.heapify(waiting)
    numbers, stages = count(len(waiting)), list[list[tuple[Places, Places]]]()
    while len(waiting) > 1:
        (_, _, x, before), (_, _, y, other) = heapq.heappop(waiting), heapq.heappop(waiting)
        made, order = _odd_even(x, y)
        at = max(before, other)
        for stage in made:
            if at == len(stages):
                stages.append([])
            stages[at].append(stage)
            at += 1
        heapq.heappush(waiting, (len(order), next(numbers), order, at))
    together = (tuple(np.concatenate(side) for side in zip(*stage, strict=True)) for stage in stages)
    return Network(tuple(map(_by_place, together)), waiting[0][2] if waiting else np.arange(0))


def _by_place(stage: tuple[Places, ...]) -> tuple[Places, Places]:
    """The comparators in the order of their low places: rows are then read one after another."""
    low, high = stage
    order = np.argsort(low)
    return low[order], high[order]


def _in_pairs(lists: Places) -> Places:
    """(r, 2 k) as (r, k, 2), without a copy."""
    rows, columns = lists.strides
    return np.lib.stride_tricks.as_strided(lists, (len(lists), lists.shape[1] // 2, 2), (rows, 2 * columns, columns))


NONE = -1
"""No row, where lists of places are of different lengths."""


def _odd_even(x: Places, y: Places) -> tuple[list[tuple[Places, Places]], Places]:
    """Stages that merge the ascending rows at x with those at y, and the places in the order that comes out.

    At depth d there are 2^d merges side by side: number r is of x[r], x[r + 2^d], … and the same of y.  Two of the next
    depth, r and r + 2^d, are interleaved, and neighbours compared but for the first.
    """
    fewer, more = sorted((len(x), len(y)))
    depth = max(more - 1, 0).bit_length()
    wide = np.full((2, 1 << depth), NONE, np.int64)
    wide[0, : len(x)], wide[1, : len(y)] = x, y
    # One row or none of each: the two stand side by side.
    lists = wide.T.copy()
    stages = []
    for d in range(depth, -1, -1):
        if d < depth:
            even, odd = lists[: 1 << d], lists[1 << d :]
            out = np.full((len(even), 2 * even.shape[1]), NONE, np.int64)
            out[:, 0], out[:, -1] = even[:, 0], odd[:, -1]
            out[:, 1:-1:2], out[:, 2:-1:2] = odd[:, :-1], even[:, 1:]
            lists = out
            pairs = _in_pairs(lists[:, 1:-1])
        else:
            pairs = _in_pairs(lists)
        both = (pairs != NONE).all(axis=2)
        # Where one side has no rows the other is in order.
        both[fewer:] = False
        if both.any():
            stages.append((pairs[..., 0][both], pairs[..., 1][both]))
        # Rows first, then what is none: where the odd ones are fewer by two, the last even one moves up.
        late = (pairs[..., 0] == NONE) & (pairs[..., 1] != NONE)
        pairs[late] = pairs[late][:, ::-1]
    return stages, lists[0][: len(x) + len(y)]
