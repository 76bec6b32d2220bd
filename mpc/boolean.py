"""Boolean circuits over bit-sliced words that every scheme shares: AND trees, carries, prefixes.

They are written over two gates, `Gates`: a vector of ANDs in one step (one message of a scheme), and NOT.  XOR is local
in every scheme and is written as `^`.  A value is an array of words (k, rows, W), k components, one row a bit position,
as `bitslice` lays them out; `n` is the number of elements, so that no padding travels.  The functions tell which ANDs
depend on which; how an AND is made, and what it costs in bytes, is the scheme's.

Carries follow [Brent, Kung 1982]: position j generates (g) or passes on (p) a carry, and
(G, P) = (g_h ^ p_h g_l, p_h p_l) joins neighbours.  One carry out takes a tree with fewest gates, since a group that
holds the lowest position needs no P; all carries take Sklansky's form [Sklansky 1960], whose depth is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from mpc.bitslice import from_wire, to_wire, unpack_bool, words_for
from mpc.protocol import BLOCK, Step

__all__ = [
    "SHAPES",
    "Gates",
    "Shape",
    "Term",
    "Words",
    "all_of",
    "carries",
    "carry",
    "carry_levels",
    "chain",
    "depth",
    "from_message",
    "in_chain",
    "one_in_a_byte",
    "sparseness",
    "to_message",
    "tree_rows",
]

AND_BYTES = 3 / 8
"""Of one AND over all parties, with three replicated nodes."""

Words = npt.NDArray[np.uint64]
"""(k, rows, W): bit-sliced shares over Z_2."""


class Term(NamedTuple):
    """x & y ^ plus, rows of one vector of gates: (k, *rows, W); `x` and `y` broadcast, `plus` is like x & y."""

    x: Words
    y: Words
    plus: Words | None = None
    more: tuple[tuple[Words, Words], ...] = ()
    """Further products, like x & y, on top: a sum of products is one gate."""

    @property
    def lead(self) -> tuple[int, ...]:
        """The axes of the result between the components and the words."""
        return np.broadcast_shapes(self.x.shape[1:-1], self.y.shape[1:-1])


class Gates(Protocol):
    """What a scheme offers to Boolean circuits."""

    def and_words(self, use: int, terms: Sequence[Term], n: int) -> Step[Words]:
        """All terms at once, one below the other: (k, total rows, W).  The result must not be written to."""
        ...

    def not_words(self, x: Words) -> Words:
        """Every bit turned, in a new array."""
        ...


def depth(rows: int) -> int:
    """Number of levels of a binary tree over so many rows, each one a step and a use number."""
    return max(0, rows - 1).bit_length()


def tree_rows(rows: int) -> list[int]:
    """For each level of `carry`, the number of rows of ANDs."""
    out = []
    while rows > 1:
        out.append(2 * (rows // 2) - 1)
        rows -= rows // 2
    return out


class Shape(NamedTuple):
    """A way to all carries: how often neighbours are joined first, and whether what is left goes one by one."""

    joins: int
    chain: bool


SHAPES = (Shape(0, False), Shape(1, False), Shape(2, False), Shape(2, True), Shape(1, True), Shape(0, True))
"""From the fewest steps to the fewest ANDs; further joins would save next to nothing."""


def carry_levels(rows: int, sparse: int) -> list[int]:
    """For each level of `carries`, the number of rows of ANDs."""
    return _shape_levels(rows, SHAPES[sparse])


def _shape_levels(rows: int, shape: Shape) -> list[int]:
    if shape.joins and rows > 2:
        pairs = rows // 2
        inner = _shape_levels(pairs, shape._replace(joins=shape.joins - 1))
        return [2 * pairs - 1, *inner, rows - 1 - pairs]
    if shape.chain:
        return [1] * (rows - 1)
    out = []
    for level in range(depth(rows)):
        high = [j for j in range(rows) if j >> level & 1]
        out.append(len(high) + sum(1 for j in high if j >> (level + 1)))
    return out


def _weight(levels: Sequence[int], n: int, round_bytes: int) -> float:
    return len(levels) * round_bytes + sum(levels) * min(n, BLOCK) * AND_BYTES


def sparseness(rows: int, n: int, round_bytes: int) -> int:
    """The best of `SHAPES` for the carries of n elements, where a round counts as so many bytes."""
    rows = max(rows, 1)
    return min(range(len(SHAPES)), key=lambda sparse: _weight(carry_levels(rows, sparse), n, round_bytes))


def in_chain(rows: int, n: int, round_bytes: int) -> bool:
    """Whether the carry out of so many positions is better found by `chain` than by `carry`."""
    return _weight([1] * (rows - 1), n, round_bytes) < _weight(tree_rows(rows), n, round_bytes)


def to_message(words: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.uint8]:
    """What travels for rows of n bits, (rows, W): uint8, ceil(rows * n / 8) bytes; may share memory with the words.

    First the whole bytes of all rows, then the bits that are left of each, packed: so only those need to be moved.
    """
    whole, left = divmod(n, 8)
    if not left or not whole:
        return to_wire(words, n)
    octets = np.ascontiguousarray(words).view(np.uint8)
    tails = octets[:, whole].astype(np.uint64)[:, None]
    return np.concatenate([octets[:, :whole].reshape(-1), to_wire(tails, left)])


def from_message(message: npt.NDArray[np.uint8], rows: int, n: int) -> npt.NDArray[np.uint64]:
    """The rows of a message that `to_message` made: (rows, W), padding zero."""
    whole, left = divmod(n, 8)
    if not left or not whole:
        return from_wire(message, rows, n)
    octets = np.zeros((rows, 8 * words_for(n)), np.uint8)
    octets[:, :whole] = message[: rows * whole].reshape(rows, whole)
    octets[:, whole] = from_wire(message[rows * whole :], rows, left)[:, 0]
    return octets.view(np.uint64)


def all_of(gates: Gates, use: int, x: Words, n: int) -> Step[Words]:
    """The AND of all rows: (k, rows, W) -> (k, 1, W), rows >= 1, in `depth(rows)` steps of `rows - 1` ANDs in all."""
    rest: list[Words] = []
    while x.shape[1] + len(rest) > 1:
        half = x.shape[1] // 2
        terms = [Term(x[:, :half], x[:, half : 2 * half])] if half else []
        odd = x[:, 2 * half :]
        if odd.shape[1] and rest:
            terms.append(Term(odd, rest.pop()))
        elif odd.shape[1]:
            rest.append(odd)
        x = yield from gates.and_words(use, terms, n)
        use += 1
    return x


def carry(gates: Gates, use: int, g: Words, p: Words, n: int) -> Step[Words]:
    """The carry out of positions 0..R-1: g (k, R, W), p (k, R-1, W) of positions 1.. -> (k, 1, W), R >= 1.

    `depth(R)` steps, rows as `tree_rows(R)` says: 2(R - 1) - depth ANDs in all where R is a power of two.  A deeper
    tree saves one AND for each step that it takes more, down to the R - 1 of `chain`; so one of the two ends is best.
    A position that finds no neighbour waits at the top, where it costs least.
    """
    rest: tuple[Words, Words] | None = None
    while g.shape[1] > 1 or rest is not None:
        rows = g.shape[1]
        pairs = rows // 2
        end = 2 * pairs
        sums = [Term(p[:, 0 : end - 1 : 2], g[:, 0:end:2], g[:, 1:end:2])] if pairs else []
        products = [Term(p[:, 2 : end - 1 : 2], p[:, 1 : end - 2 : 2])] if pairs > 1 else []
        joined = pairs
        if rows % 2 and rest is not None:
            top, passes = rest
            sums.append(Term(passes, g[:, rows - 1 :], top))
            if rows > 1:
                products.append(Term(passes, p[:, rows - 2 :]))
            rest = None
            joined += 1
        elif rows % 2:
            rest = g[:, rows - 1 :], p[:, rows - 2 :]
        out = yield from gates.and_words(use, [*sums, *products], n)
        use += 1
        g, p = out[:, :joined], out[:, joined:]
    return g


def chain(gates: Gates, use: int, g: Words, p: Words, n: int) -> Step[Words]:
    """What `carry` gives, position after position: R - 1 ANDs in as many steps."""
    out = g[:, :1]
    for j in range(1, g.shape[1]):
        out = yield from gates.and_words(use + j - 1, [Term(p[:, j - 1 : j], out, g[:, j : j + 1])], n)
    return out


def carries(gates: Gates, use: int, g: Words, p: Words, n: int, shape: Shape = SHAPES[0]) -> Step[Words]:
    """The carry out of each prefix of positions: g, p (k, R, W) -> (k, R, W), R >= 1; p of position 0 is not read.

    [Sklansky 1960] in `depth(R)` steps: at level l the upper half of each block of 2^(l+1) joins the lower half's last.
    Neighbours that are joined first, every second carry then being made last [Brent, Kung 1982], save ANDs for a step
    each time, and one position after another takes fewest.  Of 62 positions: 301 ANDs in 6 steps, 211 in 7, 177 in 8;
    149 in 18, 121 in 32, 61 in 61.
    """
    rows = g.shape[1]
    if shape.joins and rows > 2:
        return (yield from _joined_carries(gates, use, g, p, n, shape))
    if shape.chain:
        return (yield from _chained_carries(gates, use, g, p, n))
    g, p = g.copy(), p.copy()
    for level in range(depth(rows)):
        blocks = _blocks(rows, level)
        # Nothing comes in below the lowest block, so nobody will ask what it passes on.
        upper = _without_lowest(blocks)
        terms = [Term(_high(p, level, b), _last_low(g, level, b), _high(g, level, b)) for b in blocks]
        terms += [Term(_high(p, level, b), _last_low(p, level, b)) for b in upper]
        out = yield from gates.and_words(use + level, terms, n)
        at = _put(out, 0, [_high(g, level, b) for b in blocks])
        _put(out, at, [_high(p, level, b) for b in upper])
    return g


def _joined_carries(gates: Gates, use: int, g: Words, p: Words, n: int, shape: Shape) -> Step[Words]:
    rows = g.shape[1]
    pairs = rows // 2
    end = 2 * pairs
    sums = Term(p[:, 1:end:2], g[:, 0:end:2], g[:, 1:end:2])
    out = yield from gates.and_words(use, [sums, Term(p[:, 3:end:2], p[:, 2:end:2])], n)
    none = np.zeros_like(out[:, :1])
    passes = np.concatenate([none, out[:, pairs:]], axis=1)
    inner = shape._replace(joins=shape.joins - 1)
    upper = yield from carries(gates, use + 1, out[:, :pairs], passes, n, inner)
    last = [Term(p[:, 2::2], upper[:, : rows - 1 - pairs], g[:, 2::2])]
    found = yield from gates.and_words(use + 1 + len(_shape_levels(pairs, inner)), last, n)
    joined = np.empty_like(g)
    joined[:, 0] = g[:, 0]
    joined[:, 1:end:2] = upper
    joined[:, 2::2] = found
    return joined


def _chained_carries(gates: Gates, use: int, g: Words, p: Words, n: int) -> Step[Words]:
    out = g.copy()
    for j in range(1, g.shape[1]):
        here = slice(j, j + 1)
        out[:, here] = yield from gates.and_words(use + j - 1, [Term(p[:, here], out[:, j - 1 : j], g[:, here])], n)
    return out


def one_in_a_byte(words: Words, n: int) -> npt.NDArray[np.uint8]:
    """Rows along a last axis, each bit in a byte: (k, rows, W) -> (k, n, rows) uint8 of 0 and 1.

    They stay row after row in memory: what takes single bits of all elements, or folds them, finds long stretches.
    """
    return unpack_bool(words, n).swapaxes(1, 2)


class _Blocks(NamedTuple):
    """Blocks of rows, one after another, of one length; each has a lower half of 2^level rows."""

    first: int
    number: int
    length: int


def _blocks(rows: int, level: int) -> list[_Blocks]:
    """The blocks of a level that have an upper half: whole ones, and perhaps a shorter one at the top."""
    half = 1 << level
    whole = rows // (2 * half)
    out = [_Blocks(0, whole, 2 * half)] if whole else []
    left = rows - 2 * half * whole
    if left > half:
        out.append(_Blocks(2 * half * whole, 1, left))
    return out


def _without_lowest(blocks: list[_Blocks]) -> list[_Blocks]:
    first = blocks[0]
    fewer = [_Blocks(first.length, first.number - 1, first.length)] if first.number > 1 else []
    return fewer + blocks[1:]


def _view(x: Words, blocks: _Blocks) -> Words:
    part = x[:, blocks.first : blocks.first + blocks.number * blocks.length]
    return part.reshape(len(x), blocks.number, blocks.length, x.shape[-1])


def _high(x: Words, level: int, blocks: _Blocks) -> Words:
    return _view(x, blocks)[:, :, 1 << level :]


def _last_low(x: Words, level: int, blocks: _Blocks) -> Words:
    return _view(x, blocks)[:, :, (1 << level) - 1 : 1 << level]


def _put(out: Words, at: int, targets: list[Words]) -> int:
    """Write rows of `out` from `at` on into the targets, in order; returns the first row not taken."""
    for target in targets:
        rows = target.shape[1] * target.shape[2]
        target[...] = out[:, at : at + rows].reshape(target.shape)
        at += rows
    return at
