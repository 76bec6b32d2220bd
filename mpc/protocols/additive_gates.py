"""Gates of many inputs on masked bits: the Boolean machinery of the additive protocol.

A `Layer` computes polynomials of hidden bits u_1..u_k in one round.  The dealer deals shares of random masks m_i and of
the products of masks that the polynomials need; the bits e_i = u_i ^ m_i are opened, and every product of u's then
expands into public bits times dealt products of masks: local work [ABY2.0, Patra et al., eprint 2020/1225, section 3,
gates of many inputs].  For the first layer of a comparison nothing need be opened at all: its inputs are the bits of
r in the opened c = x + r, so r is the mask, and c is public.

All polynomials here are those of a radix-4 step of a carry tree.  Four neighbours with (generate, propagate) bits
(g_k, p_k), lowest first, give

    G = g_3 ^ p_3 g_2 ^ p_3 p_2 g_1 ^ p_3 p_2 p_1 g_0,    P = p_3 p_2 p_1 p_0.

The bits are rows of bit-sliced words.  A sum over products of masks is folded one variable at a time, so that a gate
takes as many word operations as it has dealt products.  Where trees come from is `additive_trees.py`.

Why nothing leaks: e_i is hidden by m_i, which is uniform, used for one input of one use, and known to no node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mpc.circuit import Array
from mpc.protocols.additive_supply import Correlation, rows

__all__ = ["Gate", "Layer", "Leaves", "Pairs"]

Index: TypeAlias = NDArray[np.intp]
ONES = np.uint64(0xFFFF_FFFF_FFFF_FFFF)

# Words of a row worked on together: a layer's tables of 16 gates then stay near the second-level cache.
_BLOCK = 256

# Rows of a gate's table: 0..15 the products of p-masks over the subsets of {0, 1, 2, 3} (bit k of the row: p_k), then
# those with the mask of g_0 (subsets of {1, 2, 3}), of g_1 (subsets of {2, 3}) and of g_2 (subsets of {3}).
_G_ROWS = (16, 24, 28, 30)


class Gate(NamedTuple):
    """Inputs of one radix-4 step, as numbers of opened bits; None where there is no neighbour or nobody asks.

    Without generate bits it is a conjunction, of any number of inputs.
    """

    p: tuple[int | None, ...]
    g: tuple[int | None, int | None, int | None] = (None, None, None)


class Products:
    """Products of two and more of `inputs` bits, all that `wanted` contain, by degree; and how to multiply them out.

    Row 0 of the *stack* is zero and row 1 is one; then come the inputs and then the products.
    """

    def __init__(self, inputs: int, wanted: Iterable[frozenset[int]]) -> None:
        self.inputs = inputs
        every = {frozenset(c) for w in wanted for d in range(2, len(w) + 1) for c in combinations(sorted(w), d)}
        self.products = sorted((tuple(sorted(p)) for p in every), key=lambda p: (len(p), p))
        self.row: dict[tuple[int, ...], int] = {(): 1}
        for k, key in enumerate([*((i,) for i in range(inputs)), *self.products]):
            self.row[key] = 2 + k
        self._steps = list(self._degrees())

    def _degrees(self) -> Iterator[tuple[Index, Index]]:
        for degree in range(2, 1 + max((len(p) for p in self.products), default=0)):
            keys = [p for p in self.products if len(p) == degree]
            yield _index([self.row[k[:-1]] - 2 for k in keys]), _index([k[-1] for k in keys])

    def expand(self, bits: Array) -> Array:
        """All products (products, W) of plain input rows (inputs, W)."""
        out = np.empty((self.inputs + len(self.products), bits.shape[1]), np.uint64)
        out[: self.inputs] = bits
        at = self.inputs
        for left, right in self._steps:
            np.bitwise_and(out[left], out[right], out=out[at : at + len(left)])
            at += len(left)
        return out[self.inputs :]

    def find(self, key: Iterable[int | None]) -> int:
        """The stack's row of a product; row 0, zero, if an input is missing."""
        got = list(key)
        return 0 if None in got else self.row[tuple(sorted(i for i in got if i is not None))]

    def stack(self, masks: Array, products: Array, first: bool) -> Array:
        """The stack of a node's shares; a constant's share is the constant at the first node."""
        out = np.empty((2 + self.inputs + len(self.products), masks.shape[1]), np.uint64)
        out[0] = 0
        out[1] = ONES if first else 0
        out[2 : 2 + self.inputs] = masks
        out[2 + self.inputs :] = products
        return out


def _index(numbers: object) -> Index:
    return np.asarray(numbers, np.intp)


def fold_p(table: Array, public: Array) -> Array:
    """Shares of the product of (public[k] ^ mask[k]): table (2^d, ...), public (d, ...) -> (...)."""
    for e in public[::-1]:
        half = len(table) // 2
        table = (table[:half] & e) ^ table[half:]
    out: Array = table[0]
    return out


class Leaves(Products):
    """The layer without a round: steps over four neighbouring bits of c - r, with c public and r's bits for masks.

    Input i is bit i of r; `groups` name the bits of each step, lowest first, None where there is none.  A missing
    neighbour passes carries on (generate 0, propagate 1).
    """

    def __init__(self, width: int, groups: Sequence[tuple[int | None, ...]]) -> None:
        super().__init__(width, (frozenset(i for i in g if i is not None) for g in groups))
        self.groups = len(groups)
        subsets = [[k for k in range(4) if s >> k & 1] for s in range(16)]
        self._table = _index([[self.find(g[k] for k in s) for g in groups] for s in subsets])
        self._public = _index([[width if g[k] is None else g[k] for g in groups] for k in range(4)])

    def steps(self, stack: Array, c: Array, *, depth: int = 4, lt: bool = True) -> tuple[Array, Array]:
        """Shares of (G, P) (groups, W) of the lowest `depth` bits of each group, for c's rows (width, W).

        G: those bits of c are below those of r; P: they are equal.
        """
        unequal = np.concatenate([~c, np.full((1, c.shape[1]), ONES)])
        g = np.zeros((self.groups, c.shape[1]), np.uint64)
        p = np.empty_like(g)
        for at in _blocks(c.shape[1]):
            e = unequal[self._public[:depth], at]
            table = stack[self._table[: 1 << depth], at]
            p[:, at] = fold_p(table, e)
            if lt:
                g[:, at] = self._below(table, e)
        return g, p

    def alike(self, stack: Array, c: Array, bits: int, groups: slice, ones: bool) -> list[tuple[Array, Array]]:
        """Shares of (z, d) (bits, groups, W): bits k and up of a group's c - r are 0; whether one less changes that.

        So z ^ d b is right for c - r - b.  `bits` is the number of bits of each of `groups`, all there.  With `ones` a
        second pair follows, of bits that are all 1.
        """
        shape = (bits, len(self._public[0, groups]), c.shape[1])
        out = [(np.empty(shape, np.uint64), np.empty(shape, np.uint64)) for _ in range(1 + ones)]
        for at in _blocks(c.shape[1]):
            public = c[self._public[:bits, groups], at]
            here = self._differences(stack[self._table[: 1 << bits, groups], at], public)
            # Zeros from k up are below 2^k, ones within 2^k of the top; and one less than 0 is the top.
            for (z, d), seen in zip(out, (here, here[::-1]), strict=False):
                total = seen[0].copy()
                for k in range(bits):
                    z[k, :, at] = total
                    total ^= np.bitwise_xor.reduce(seen[1 << k : 2 << k], axis=0)
                    d[k, :, at] = here[0] ^ here[(1 << k) if seen is here else -(1 << k)]
        return out

    @staticmethod
    def _differences(table: Array, c: Array) -> Array:
        """One-hot rows of (c - r) mod 2^bits from the products of r's bits: (2^bits, ...), overwriting them."""
        size = len(table)
        for k in range(len(c)):
            pairs = table.reshape(size >> (k + 1), 2, 1 << k, *table.shape[1:])
            pairs[:, 0] ^= pairs[:, 1]
        # Row v says r = v; so row -v says -r = v, and c's bits turn it on, one by one.
        out = table[-np.arange(size) % size]
        for k, bit in enumerate(c):
            out ^= bit & (out ^ np.roll(out, 1 << k, axis=0))
        return out

    @staticmethod
    def _below(table: Array, e: Array) -> Array:
        # generate_k = e_k r_k and propagate_k = e_k ^ r_k; `low` is the carry so far times each product of later r's.
        low = e[0] & table[1::2]
        for k in range(1, len(e)):
            here = table[:: 1 << k][1::2]
            low = (e[k] & (here ^ low[0::2])) ^ low[1::2]
        out: Array = low[0]
        return out


class Layer(Products):
    """One round of radix-4 steps on hidden inputs."""

    def __init__(self, inputs: int, gates: Sequence[Gate], *, p: bool) -> None:
        super().__init__(inputs, (w for gate in gates for w in _monomials(gate, p)))
        self.gates = len(gates)
        self.with_p = p
        self.with_g = any(i is not None for gate in gates for i in gate.g)
        self._fan = len(gates[0].p)
        size = _G_ROWS[3] if self.with_g else 1 << self._fan
        self._table = _index([[self._find(gate, r) for gate in gates] for r in range(size)])
        self._p = _index([[1 if g.p[k] is None else 2 + (g.p[k] or 0) for g in gates] for k in range(self._fan)])
        self._g = _index([[0 if g.g[k] is None else 2 + (g.g[k] or 0) for g in gates] for k in range(3)])

    def _find(self, gate: Gate, r: int) -> int:
        if r < 1 << self._fan:
            return self.row.get(_key(gate.p[k] for k in range(self._fan) if r >> k & 1), 0)
        k = next(k for k in range(3) if r < _G_ROWS[k + 1])
        later = (gate.p[k + 1 + j] for j in range(3 - k) if (r - _G_ROWS[k]) >> j & 1)
        return self.row.get(_key([gate.g[k], *later]), 0)

    def correlation(self, kind: str, n: int) -> Correlation:
        """Masks of the inputs and their products, for n elements."""
        masks, dependent = (rows(self.inputs, n),), (rows(len(self.products), n),)
        return Correlation(kind, masks, dependent, lambda plain: [self.expand(plain[0])], self.gates * n)

    def evaluate(self, masks: Array, products: Array, opened: Array, first: bool) -> tuple[Array, Array]:
        """Shares of (G without the highest generate bit, P), each (gates, W)."""
        stack = self.stack(masks, products, first)
        words = opened.shape[1]
        public = np.empty((2 + self.inputs, words), np.uint64)
        public[0], public[1], public[2:] = 0, ONES, opened
        g = np.zeros((self.gates, words), np.uint64)
        p = np.zeros((self.gates, words), np.uint64)
        for at in _blocks(words):
            e = public[self._p, at]
            table = stack[self._table, at]
            if self.with_p:
                p[:, at] = fold_p(table[: 1 << self._fan], e)
            if self.with_g:
                g[:, at] = self._generate(table, e, public[self._g, at])
        return g, p

    @staticmethod
    def _generate(table: Array, p: Array, g: Array) -> Array:
        # `carry` holds the sum so far times each product of the masks of later p's.
        carry = (g[0] & table[0:16:2]) ^ table[_G_ROWS[0] : _G_ROWS[1]]
        for k in (1, 2):
            carry = (p[k] & carry[0::2]) ^ carry[1::2]
            carry ^= g[k] & table[0 : 16 : 2 << k]
            carry ^= table[_G_ROWS[k] : _G_ROWS[k + 1]]
        out: Array = (p[3] & carry[0]) ^ carry[1]
        return out


def _key(inputs: Iterable[int | None]) -> tuple[int, ...]:
    """The product's name; one that is no product if an input is missing."""
    got = list(inputs)
    return tuple(sorted(-1 if i is None else i for i in got))


def _monomials(gate: Gate, p: bool) -> Iterator[frozenset[int]]:
    """The products of inputs that the gate's results are made of, as far as their inputs are there."""
    for k, g in enumerate(gate.g):
        if g is not None:
            yield frozenset([g, *(i for i in gate.p[k + 1 :] if i is not None)])
    if p:
        yield frozenset(i for i in gate.p if i is not None)


def _blocks(words: int) -> Iterator[slice]:
    for at in range(0, words, _BLOCK):
        yield slice(at, min(at + _BLOCK, words))


class Pairs:
    """One round of plain products: row i of the left inputs with row `right[i]` of the right ones."""

    def __init__(self, right: Sequence[int]) -> None:
        self._right = _index(list(right))
        self.left, self.inputs = len(self._right), len(self._right) + 1 + max(right)

    def correlation(self, kind: str, n: int) -> Correlation:
        """Masks of left rows, then of right rows, and the products, for n elements."""

        def define(plain: Sequence[Array]) -> Sequence[Array]:
            return [plain[0][: self.left] & plain[0][self.left :][self._right]]

        return Correlation(kind, (rows(self.inputs, n),), (rows(self.left, n),), define, self.left * n)

    def evaluate(self, masks: Array, products: Array, opened: Array, first: bool) -> Array:
        """Shares of the products (left, W)."""
        e, f = opened[: self.left], opened[self.left :]
        a, b = masks[: self.left], masks[self.left :]
        out = e & b[self._right]
        out ^= f[self._right] & ((a ^ e) if first else a)
        out ^= products
        return out
