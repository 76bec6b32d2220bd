"""rep3: which of two rows of bits is the smaller, opened to put shuffled rows in order, or secret to merge runs.

x < y for numbers of bits (`less`).  Three positions, lowest first, make a node in two rounds and five gates, since a
sum of products is one gate; p = ~(x ^ y) says where they are equal:

    round 1    u = ~x_0 y_0,  v = p_2 ~x_1,  q = p_2 p_1
    round 2    G = ~x_2 y_2 ^ v y_1 ^ q u,  P = q p_0

and nodes are joined as carries are.  That is 7/3 bits a position and 2 + ceil(log2(width / 3)) rounds.  The last gate
goes to both other parties in place of one, so that opening it takes no round: its three parts are masked by a sharing
of zero, and what they add up to is what is opened.  Why that may be opened: see `mpc.quicksort`.

A comparator (`mpc.merging`) takes one gate more for each bit of a row, and one round: both rows change by
[y < x] (x ^ y).  Its messages are those of gates, and nothing is opened.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mpc.bitslice import unpack_bool
from mpc.boolean import Term, Words, carry, depth, from_message, to_message
from mpc.merging import merged
from mpc.protocol import USES, ProtocolError, Step, exchange
from mpc.protocols.rep3_bits import WordGates
from mpc.protocols.rep3_place import Bits, Place
from mpc.quicksort import Stage, in_order

__all__ = ["merge", "nodes_of", "order"]

POSITIONS = 3
"""Positions that make a node."""


def nodes_of(width: int) -> int:
    """Nodes of a comparison of numbers of `width` bits."""
    return -(-width // POSITIONS)


def order(place: Place, use: int, bits: Bits, stages: Sequence[Stage]) -> Step[npt.NDArray[np.int64]]:
    """The places of the rows in ascending order, (n,); bits (2, n, width) of distinct numbers, lowest first."""
    rows = POSITIONS * nodes_of(bits.shape[2])

    def compare(at_use: int, x: Words, y: Words, n: int) -> Step[npt.NDArray[np.bool_]]:
        opened = yield from less(_Opening(place, at_use + _gates(rows) - 1), at_use, x, y, n)
        return unpack_bool(opened[0, 0], n).astype(np.bool_)

    return (yield from in_order(bits, rows, compare, use, stages))


def merge(place: Place, use: int, bits: Bits, runs: Sequence[int]) -> Step[Bits]:
    """Runs that are ascending, of distinct numbers of bits (2, n, width), as one: see `mpc.merging`."""
    width = bits.shape[2]
    rows, gates = POSITIONS * nodes_of(width), WordGates(place)

    def swap(at_use: int, x: Words, y: Words, n: int) -> Step[Words]:
        below = yield from less(gates, at_use, y, x, n)
        return (yield from gates.and_words(at_use + _gates(rows), [Term(below, (x ^ y)[:, rows - width :])], n))

    return (yield from merged(bits, rows, swap, use, runs))


def _gates(rows: int) -> int:
    """Rounds of a comparison of so many rows, each with a use of its own."""
    rounds = 2 + depth(rows // POSITIONS)
    if rounds >= USES:
        raise ProtocolError(f"keys of {rows} bits take more gates than a comparison has masks for")
    return rounds


class _Opening(WordGates):
    """Gates of which the last are opened: that use gives (1, rows, W) in the clear at all three."""

    __slots__ = ("_last",)

    def __init__(self, place: Place, last: int) -> None:
        super().__init__(place)
        self._last = last

    def and_words(self, use: int, terms: Sequence[Term], n: int) -> Step[Words]:
        """One round; the last use sends rows * n bits to both other parties."""
        if use != self._last:
            return (yield from super().and_words(use, terms, n))
        z = self.products(use, terms)
        message = to_message(z, n)
        peers = (self._place.before, self._place.after)
        got = yield from exchange(dict.fromkeys(peers, message), dict.fromkeys(peers, message))
        for p in peers:
            z ^= from_message(got[p], len(z), n)
        return z[None]


def less(gates: WordGates, use: int, x: Words, y: Words, n: int) -> Step[Words]:
    """[x < y]: (2, 3 t, W) twice -> (k, 1, W); 2 + ceil(log2 t) rounds, uses from `use` on, one a round."""
    nodes = x.shape[1] // POSITIONS
    above, same = gates.not_words(x), gates.not_words(x ^ y)
    a, p = ([w[:, k::POSITIONS] for k in range(POSITIONS)] for w in (above, same))
    b = [y[:, k::POSITIONS] for k in range(POSITIONS)]
    out = yield from gates.and_words(use, [Term(a[0], b[0]), Term(p[2], a[1]), Term(p[2], p[1])], n)
    u, v, q = out[:, :nodes], out[:, nodes : 2 * nodes], out[:, 2 * nodes :]
    passes = [Term(q[:, 1:], p[0][:, 1:])] if nodes > 1 else []
    out = yield from gates.and_words(use + 1, [Term(a[2], b[2], more=((v, b[1]), (q, u))), *passes], n)
    return (yield from carry(gates, use + 2, out[:, :nodes], out[:, nodes:], n))
