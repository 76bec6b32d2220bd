"""The radix-4 trees of the additive protocol: which gates stand in which round, for a width.

c = x + r is open and r's bits are shared, so x = c - r, and bit j of x is c_j ^ r_j ^ b_j where the borrow b_j says
that c mod 2^j < r mod 2^j.  Borrows are the carries of a tree over (generate, propagate) bits; `additive_gates.py`
computes the steps.  The lowest layer, over four bits each, takes no round; every layer above joins four neighbours in
one.
Three shapes are built here: one carry (`carry_tree`), all of them (`BitTree`), and one conjunction (`and_tree`).

A carry out of 63 bits: 16 leaves, then 4 steps, then 1: two rounds after the opening of c, in which 27 + 6 bits are
opened for each element, where a binary tree needs six rounds and 236 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from mpc.circuit import Array
from mpc.protocols.additive_gates import Gate, Index, Layer, Leaves, Pairs

__all__ = ["BitTree", "Level", "Tree", "and_tree", "bit_tree", "carry_tree", "leading_tree"]


class Level(NamedTuple):
    """One round: which (generate, propagate) rows are inputs, and whose generate bit comes on top of each result."""

    layer: Layer
    g: Index
    p: Index
    top: Index

    def inputs(self, g: Array, p: Array) -> Array:
        """The hidden rows to open masked, from rows of generate and propagate bits."""
        return np.concatenate([g[self.g], p[self.p]])


class Tree(NamedTuple):
    """Leaves and the levels that join them to one."""

    leaves: Leaves
    levels: tuple[Level, ...]


def _level(gates: Sequence[tuple[int, ...]], with_p: Sequence[bool], *, lt: bool) -> Level:
    """A round of steps over up to four children each, lowest first; `with_p`: who needs its propagate bit."""
    g_rows = sorted({c for gate in gates for c in gate[:-1]}) if lt else []
    skip = [0 if p or not lt else 1 for p in with_p]
    p_rows = sorted({c for gate, s in zip(gates, skip, strict=True) for c in gate[s:]})
    g_input = {c: k for k, c in enumerate(g_rows)}
    p_input = {c: k + len(g_rows) for k, c in enumerate(p_rows)}
    made = []
    for gate, s in zip(gates, skip, strict=True):
        gap = 4 - len(gate)
        p = [None] * (gap + s) + [p_input[c] for c in gate[s:]]
        g = [None] * gap + [g_input[c] for c in gate[:-1]] if lt else [None] * 3
        made.append(Gate((p[0], p[1], p[2], p[3]), (g[0], g[1], g[2])))
    layer = Layer(len(g_rows) + len(p_rows), made, p=any(with_p))
    top = [gate[-1] for gate in gates]
    return Level(layer, _index(g_rows), _index(p_rows), _index(top))


def _index(numbers: Sequence[int]) -> Index:
    return np.asarray(numbers, np.intp)


def _reduce(nodes: int, *, lt: bool) -> tuple[Level, ...]:
    """Levels that join neighbours until one is left; the lowest group is the one that may be short."""
    levels = []
    while nodes > 1:
        ends = list(range(nodes, 0, -4))[::-1]
        gates = [tuple(range(max(0, end - 4), end)) for end in ends]
        levels.append(_level(gates, [not lt or k > 0 for k in range(len(gates))], lt=lt))
        nodes = len(gates)
    return tuple(levels)


def _groups(bits: int) -> list[tuple[int | None, ...]]:
    """Bits 0..bits-1 in fours, the lowest group short."""
    gap = -bits % 4
    return [tuple(k if k >= 0 else None for k in range(at - gap, at - gap + 4)) for at in range(0, bits + gap, 4)]


@cache
def carry_tree(width: int, bits: int) -> Tree:
    """[c mod 2^bits < r mod 2^bits], where `width` bits of r are shared."""
    groups = _groups(bits)
    return Tree(Leaves(width, groups), _reduce(len(groups), lt=True))


@cache
def and_tree(width: int) -> Tree:
    """[c = r mod 2^width]."""
    groups = _groups(width)
    return Tree(Leaves(width, groups), _reduce(len(groups), lt=False))


class Prefix(NamedTuple):
    """Levels that give the join of all nodes below each: `carry[k]` is the row that holds the join of nodes 0..k.

    Rows: the nodes, then each level's results.
    """

    levels: tuple[Level, ...]
    carry: Index


def _prefix(nodes: int, *, lt: bool) -> Prefix:
    """Joins of nodes 0..k for all k < nodes <= 16: first within fours, then of the fours before and the own prefix."""
    gates: list[tuple[int, ...]] = []
    with_p: list[bool] = []
    within: dict[int, int] = {}
    for k in range(nodes):
        first = k - k % 4
        within[k] = k
        if k > first:
            within[k] = nodes + len(gates)
            gates.append(tuple(range(first, k + 1)))
            with_p.append(not lt or first > 0)
    levels = [_level(gates, with_p, lt=lt)] if gates else []
    carry = {k: within[k] for k in range(min(4, nodes))}
    later = list(range(4, nodes))
    start = nodes + len(gates)
    if later:
        joins = [(*(within[t] for t in range(3, k - k % 4, 4)), within[k]) for k in later]
        levels.append(_level(joins, [not lt] * len(joins), lt=lt))
        carry |= {k: start + at for at, k in enumerate(later)}
    return Prefix(tuple(levels), _index([carry[k] for k in range(nodes)]))


class BitTree(NamedTuple):
    """All borrows of `width` bits.

    Group k holds bits 4k..4k+3.  `prefix` gives the borrow into every group but the lowest, and `pairs` brings it to
    the bits of the group that are not its lowest: left input i is the propagate bit below `bits[i]`.
    """

    leaves: Leaves
    prefix: Prefix | None
    pairs: Pairs | None
    bits: Index


@cache
def bit_tree(width: int) -> BitTree:
    """The tree for the low `width` bits of c - r."""
    # Nobody asks for the borrow out of the highest bit.
    groups = [tuple(b if b < width - 1 else None for b in range(at, at + 4)) for at in range(0, width, 4)]
    count = len(groups)
    bits = [b for b in range(4, width) if b % 4]
    pairs = Pairs([b // 4 - 1 for b in bits]) if bits else None
    return BitTree(Leaves(width, groups), _prefix(count - 1, lt=True) if count > 1 else None, pairs, _index(bits))


class SuffixTree(NamedTuple):
    """Conjunctions of all bits from each bit up: within fours, of the fours above, and of both."""

    within: Level | None
    rows: Index
    """For each bit, the row (bits, then results of `within`) of the conjunction from it to its four's end."""
    above: Prefix | None
    pairs: Pairs | None


@cache
def leading_tree(width: int) -> SuffixTree:
    """Suffix conjunctions of `width` bits.  Four k holds bits 4k..4k+3; `above` counts fours from the top."""
    gates: list[tuple[int, ...]] = []
    rows = list(range(width))
    for b in range(width):
        end = min(b - b % 4 + 4, width)
        if b + 1 < end:
            rows[b] = width + len(gates)
            gates.append(tuple(range(b, end)))
    within = _level(gates, [True] * len(gates), lt=False) if gates else None
    fours = -(-width // 4)
    above = _prefix(fours - 1, lt=False) if fours > 1 else None
    pairs = Pairs([fours - 2 - b // 4 for b in range(4 * (fours - 1))]) if fours > 1 else None
    return SuffixTree(within, _index(rows), above, pairs)
