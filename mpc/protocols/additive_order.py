"""additive: the order of shuffled rows, by comparisons that are opened.

x < y for numbers of bits: generate bits g_j = ~x_j y_j, one round; propagate bits p_j = ~(x_j ^ y_j) without one; then
a tree that joins three neighbours at a time.  Its result is opened, blinded by a fresh sharing of zero: 2 + ceil(log3
width) rounds.  Why that may be opened: see `mpc.quicksort`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpc.bitslice import unpack_bool
from mpc.circuit import Array
from mpc.protocol import Step
from mpc.protocols.additive_boolean import pairs_of, reduce
from mpc.protocols.additive_gates import ONES, Pairs
from mpc.protocols.additive_node import Node
from mpc.protocols.additive_supply import Stream, rows
from mpc.protocols.additive_trees import Level, joined
from mpc.quicksort import Stage, in_order

__all__ = ["KIND", "Comparison", "comparison", "order"]

KIND = "comparison in order"


class Comparison(NamedTuple):
    """The gates of one comparison of numbers of a width."""

    generate: Pairs
    levels: tuple[Level, ...]


@cache
def comparison(width: int) -> Comparison:
    """Numbers of `width` bits."""
    return Comparison(Pairs(range(width)), joined(width))


def order(
    node: Node, use: int, bits: Array, stages: Sequence[Stage], blind: Callable[[int, Array], None]
) -> Step[Array]:
    """The places of the rows in ascending order, (n,); bits (1, n, width) of distinct numbers, lowest first.

    blind: adds this node's part of a sharing of zero, at a use, to words of bits.
    """
    width = bits.shape[2]
    gates, stream = comparison(width), node.stream(use)

    def less(at_use: int, x: Array, y: Array, n: int) -> Step[NDArray[np.bool_]]:
        return _less(node, stream, gates, x[0], y[0], n, lambda words: blind(at_use, words))

    return (yield from in_order(bits, width, less, use, stages))


def _less(
    node: Node, stream: Stream, gates: Comparison, x: Array, y: Array, n: int, blind: Callable[[Array], None]
) -> Step[NDArray[np.bool_]]:
    """[x < y] in the clear, (width, W) twice -> (n,)."""
    turn = ONES if node.first else np.uint64(0)
    x, same = x ^ turn, x ^ y ^ turn
    g = yield from pairs_of(node, stream, gates.generate, KIND, n, x, y)
    g, _ = yield from reduce(node, stream, gates.levels, KIND, n, g, same)
    blind(g)
    (opened,) = yield from node.reveal([(rows(1, n), g)])
    return np.asarray(unpack_bool(opened[0], n), np.bool_)
