"""additive: which of two rows of bits is the smaller, opened to put shuffled rows in order, or secret to merge runs.

x < y for numbers of bits: generate bits g_j = ~x_j y_j, one round; propagate bits p_j = ~(x_j ^ y_j) without one; then
a tree that joins three neighbours at a time.  Its result is opened, blinded by a fresh sharing of zero: 2 + ceil(log3
width) rounds.  Why that may be opened: see `mpc.quicksort`.

A comparator (`mpc.merging`) takes one product more for each bit of a row, and one round: both rows change by
[y < x] (x ^ y).  What is opened is masked, as in any product.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpc.bitslice import unpack_bool
from mpc.boolean import Words
from mpc.circuit import Array
from mpc.merging import merged
from mpc.protocol import Step
from mpc.protocols.additive_boolean import pairs_of, reduce
from mpc.protocols.additive_gates import ONES, Pairs
from mpc.protocols.additive_node import Node
from mpc.protocols.additive_supply import Stream, rows
from mpc.protocols.additive_trees import Level, joined
from mpc.quicksort import Stage, in_order

__all__ = ["KIND", "Comparison", "comparison", "merge", "order"]

KIND = "comparison in order"


class Comparison(NamedTuple):
    """The gates of one comparison of numbers of a width."""

    generate: Pairs
    levels: tuple[Level, ...]
    choice: Pairs
    """What it says with each bit of a row."""


@cache
def comparison(width: int) -> Comparison:
    """Numbers of `width` bits."""
    return Comparison(Pairs(range(width)), joined(width), Pairs([0] * width))


def order(node: Node, use: int, bits: Array, stages: Sequence[Stage]) -> Step[Array]:
    """The places of the rows in ascending order, (n,); bits (1, n, width) of distinct numbers, lowest first."""
    width = bits.shape[2]
    gates, stream = comparison(width), node.stream(use)

    def compare(at_use: int, x: Words, y: Words, n: int) -> Step[NDArray[np.bool_]]:
        g = yield from _less(node, stream, gates, x[0], y[0], n)
        node.blind(at_use, g)
        (opened,) = yield from node.reveal([(rows(1, n), g)])
        return np.asarray(unpack_bool(opened[0], n), np.bool_)

    return (yield from in_order(bits, width, compare, use, stages))


def merge(node: Node, use: int, bits: Array, runs: Sequence[int]) -> Step[Array]:
    """Runs that are ascending, of distinct numbers of bits (1, n, width), as one: see `mpc.merging`."""
    width = bits.shape[2]
    gates, stream = comparison(width), node.stream(use)

    def swap(at_use: int, x: Words, y: Words, n: int) -> Step[Words]:
        del at_use  # masks come from one stream
        below = yield from _less(node, stream, gates, y[0], x[0], n)
        change = yield from pairs_of(node, stream, gates.choice, KIND, n, x[0] ^ y[0], below)
        return change[None]

    return (yield from merged(bits, width, swap, use, runs))


def _less(node: Node, stream: Stream, gates: Comparison, x: Array, y: Array, n: int) -> Step[Array]:
    """[x < y]: (width, W) twice -> (1, W), which may be written to."""
    turn = ONES if node.first else np.uint64(0)
    x, same = x ^ turn, x ^ y ^ turn
    g = yield from pairs_of(node, stream, gates.generate, KIND, n, x, y)
    g, _ = yield from reduce(node, stream, gates.levels, KIND, n, g, same)
    return g
