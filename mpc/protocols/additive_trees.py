"""The radix-4 trees of the additive protocol: which gates stand in which round, for a width.

c = x + r is open and r's bits are shared, so x = c - r, and bit j of x is c_j ^ r_j ^ b_j where the borrow b_j says
that c mod 2^j < r mod 2^j.  Borrows are the carries of a tree over (generate, propagate) bits; `additive_gates.py`
computes the steps.  The lowest layer, over four bits each, takes no round; every layer above joins four neighbours in
one.
Four shapes are built here: one carry (`carry_tree`), all of them (`bit_tree`), one conjunction (`and_tree`), and the
conjunctions of all bits from each one up (`leading_tree`).

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

__all__ = [
    "BitTree",
    "LeadingTree",
    "Level",
    "Prefix",
    "Tree",
    "and_tree",
    "bit_tree",
    "carry_tree",
    "joined",
    "leading_tree",
]


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
    """A round of steps over up to four children each, lowest first; `with_p`: who needs its propagate bit.

    Without `lt` they are conjunctions, of any number of children.
    """
    g_rows = sorted({c for gate in gates for c in gate[:-1]}) if lt else []
    skip = [0 if p or not lt else 1 for p in with_p]
    p_rows = sorted({c for gate, s in zip(gates, skip, strict=True) for c in gate[s:]})
    g_input = {c: k for k, c in enumerate(g_rows)}
    p_input = {c: k + len(g_rows) for k, c in enumerate(p_rows)}
    fan = 4 if lt else max(map(len, gates))
    made = []
    for gate, s in zip(gates, skip, strict=True):
        gap = fan - len(gate)
        p = [None] * (gap + s) + [p_input[c] for c in gate[s:]]
        g = [None] * gap + [g_input[c] for c in gate[:-1]] if lt else [None] * 3
        made.append(Gate(tuple(p), (g[0], g[1], g[2])))
    layer = Layer(len(g_rows) + len(p_rows), made, p=any(with_p))
    top = [gate[-1] for gate in gates]
    return Level(layer, _index(g_rows), _index(p_rows), _index(top))


def _index(numbers: Sequence[int]) -> Index:
    return np.asarray(numbers, np.intp)


def _reduce(nodes: int, *, lt: bool, fan: int = 4) -> tuple[Level, ...]:
    """Levels that join `fan` neighbours until one is left; the lowest group is the one that may be short."""
    levels = []
    while nodes > 1:
        ends = list(range(nodes, 0, -fan))[::-1]
        gates = [tuple(range(max(0, end - fan), end)) for end in ends]
        levels.append(_level(gates, [not lt or k > 0 for k in range(len(gates))], lt=lt))
        nodes = len(gates)
    return tuple(levels)


def _groups(bits: int) -> list[tuple[int | None, ...]]:
    """Bits 0..bits-1 in fours, the lowest group short."""
    gap = -bits % 4
    return [tuple(k if k >= 0 else None for k in range(at - gap, at - gap + 4)) for at in range(0, bits + gap, 4)]


@cache
def joined(nodes: int) -> tuple[Level, ...]:
    """The levels that join so many (generate, propagate) bits, lowest first, to one generate bit, by threes.

    Three take 5 opened bits and 8 dealt ones, so that in all nodes and dealer send about as much; four take 7 and 22.
    """
    return _reduce(nodes, lt=True, fan=3)


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


def _prefix(nodes: int) -> Prefix:
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
            with_p.append(first > 0)
    levels = [_level(gates, with_p, lt=True)] if gates else []
    carry = {k: within[k] for k in range(min(4, nodes))}
    later = list(range(4, nodes))
    start = nodes + len(gates)
    if later:
        joins = [(*(within[t] for t in range(3, k - k % 4, 4)), within[k]) for k in later]
        levels.append(_level(joins, [False] * len(joins), lt=True))
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
    return BitTree(Leaves(width, groups), _prefix(count - 1) if count > 1 else None, pairs, _index(bits))


class LeadingTree(NamedTuple):
    """The place of the highest set bit, by s_j: all bits from j up are 0.

    Group k holds bits 4k..4k+3 and stands for itself with the borrow into it open in both ways; `prefix` gives the
    borrows and `select` chooses (left input i is about bit i + 4).  Rows are then the s_j within groups, and after them
    the results of `within`, conjunctions of a few groups; `final` joins each bit with all groups above it.
    """

    leaves: Leaves
    prefix: Prefix | None
    select: Pairs | None
    within: Level | None
    final: Level | None


@cache
def leading_tree(width: int) -> LeadingTree:
    """The tree for the highest of the low `width` bits of c - r."""
    groups = [tuple(b if b < width else None for b in range(at, at + 4)) for at in range(0, width, 4)]
    leaves, above = Leaves(width, groups), len(groups) - 1
    if not above:
        return LeadingTree(leaves, None, None, None, None)
    select = Pairs([b // 4 - 1 for b in range(4, width)])
    # Groups counted from the top, in three runs, so that a bit meets the rest of its run and at most two whole ones.
    run = -(-above // 3)
    row = [4 * (above - t) for t in range(above)]
    joined = list(row)
    gates: list[tuple[int, ...]] = []
    for t in range(above):
        if t % run:
            joined[t] = width + len(gates)
            gates.append(tuple(row[t - t % run : t + 1]))
    within = _level(gates, [True] * len(gates), lt=False) if gates else None
    ends = [joined[t] for t in range(run - 1, above, run)]
    last = [(b, joined[t], *ends[: t // run]) for b in range(4 * above) for t in [above - 1 - b // 4]]
    final = _level(last, [True] * len(last), lt=False)
    return LeadingTree(leaves, _prefix(above), select, within, final)
