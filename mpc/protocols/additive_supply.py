"""Correlations of the additive protocol: what one is, how a node draws its share of one, how the dealer corrects it.

A `Correlation` is a list of uniformly random arrays (*masks*) and of arrays that follow from them (*dependent*, such as
the product of two masks).  Every node draws its share of a mask from the key that it holds with the dealer, at the
address of the step's use; so nobody sends masks.  Dependent arrays are drawn in the same way at all nodes but the
last, and the dealer, who holds all these keys, sends the last node the difference: the *correction*.  What nodes hold
is a fresh uniform sharing in either case.

The arrays are described by `Part`s, so that the player's templates, the dealer's frames and the declared cost come from
one description.  Which correlation a primitive takes is said in `additive_plan.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from mpc.bitslice import from_wire, to_wire, words_for
from mpc.circuit import Array
from mpc.prg import Cursor, Prg, derive
from mpc.protocol import ProtocolError, Seat, Template
from mpc.ring import pack_bits, unpack_bits

__all__ = [
    "Correlation",
    "Draw",
    "Part",
    "Source",
    "Spent",
    "Stream",
    "correct",
    "dealer_key",
    "decode",
    "encode",
    "flags",
    "join",
    "masks",
    "ring",
    "rows",
    "trim",
]


class Part(NamedTuple):
    """One array that is drawn or travels.

    ring:  elements of Z_2^bits in the narrowest dtype that holds them; without gaps on the wire.
    flags: bits, one in a byte; eight a byte on the wire.
    rows:  shape (count, n): bit-sliced words, uint64 (count, ceil(n / 64)); without padding on the wire.
    """

    kind: Literal["ring", "flags", "rows"]
    shape: tuple[int, ...]
    bits: int = 64

    @property
    def size(self) -> int:
        """Number of elements or bits."""
        return math.prod(self.shape)

    @property
    def template(self) -> Template:
        """What travels for it."""
        if self.kind != "ring":
            return Template((-(-self.size // 8),), "|u1")
        if self.bits == 8 * self.dtype.itemsize:
            return Template(self.shape, self.dtype.str)
        return Template((-(-self.size * self.bits // 8),), "|u1")

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Dtype in memory."""
        if self.kind == "ring":
            return np.dtype(f"<u{max(8, 1 << (self.bits - 1).bit_length()) // 8}")
        return np.dtype("|u1" if self.kind == "flags" else "<u8")


def ring(shape: tuple[int, ...], bits: int = 64) -> Part:
    """Elements of Z_2^bits."""
    return Part("ring", shape, bits)


def flags(shape: tuple[int, ...]) -> Part:
    """Bits, one in a byte."""
    return Part("flags", shape, 1)


def rows(count: int, n: int) -> Part:
    """Rows of n bits in bit-sliced words."""
    return Part("rows", (count, n), 1)


def encode(part: Part, array: Array) -> Array:
    """What travels for `array`."""
    if part.kind == "rows":
        return to_wire(array, part.shape[1])
    if part.kind == "flags":
        return np.packbits(array.reshape(-1), bitorder="little")
    if part.bits == 8 * part.dtype.itemsize:
        # The wire has the width of the part whatever the array was computed in (row numbers are int64).
        return np.ascontiguousarray(array, part.dtype).reshape(part.shape)
    return pack_bits(array, part.bits)


def decode(part: Part, wire: Array) -> Array:
    """The array behind what travelled, which may share its memory."""
    if part.kind == "rows":
        return from_wire(wire, *part.shape)
    if part.kind == "flags":
        return np.unpackbits(wire, count=part.size, bitorder="little").reshape(part.shape)
    if part.bits == 8 * part.dtype.itemsize:
        return wire
    return unpack_bits(wire, part.bits, part.size).astype(part.dtype, copy=False).reshape(part.shape)


def join(part: Part, total: Array, other: Array, *, take: bool = False) -> None:
    """total += other in place (-= with `take`); bits by exclusive or.  Ring elements keep stray bits above `bits`."""
    if part.kind != "ring":
        np.bitwise_xor(total, other, out=total)
    elif take:
        np.subtract(total, other, out=total)
    else:
        np.add(total, other, out=total)


def trim(part: Part, array: Array) -> Array:
    """`array` without stray bits above the part's."""
    if part.kind == "ring" and part.bits < 8 * part.dtype.itemsize:
        array &= part.dtype.type((1 << part.bits) - 1)
    return array


def _draw(part: Part, cursor: Cursor) -> Array:
    if part.kind == "ring":
        return cursor.narrow(part.shape, part.bits)
    if part.kind == "flags":
        return cursor.bits(part.shape)
    count, n = part.shape
    return cursor.words((count, words_for(n)))


@dataclass(frozen=True, slots=True)
class Correlation:
    """Random arrays and what follows from them."""

    kind: str
    masks: tuple[Part, ...]
    dependent: tuple[Part, ...]
    define: Callable[[Sequence[Array]], Sequence[Array]]
    """Plain dependent arrays from plain masks.  What it is given it may overwrite."""
    demand: int
    """How many elements it serves."""


class Spent:
    """The uses that have been spent: one bit each."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def take(self, use: int) -> None:
        """Note `use`; ProtocolError if it was noted before."""
        page = self._pages.setdefault(use >> 15, bytearray(1 << 12))
        byte, bit = (use & 0x7FFF) >> 3, 1 << (use & 7)
        if page[byte] & bit:
            raise ProtocolError(f"the correlation of use {use} is spent: a second use would reveal what it masks")
        page[byte] |= bit


def dealer_key(key: bytes, purpose: Literal["shares", "orders"]) -> Prg:
    """Streams of the key between the dealer and a node: for shares, or for orders that this node alone shall know."""
    return Prg(derive(key, "additive", purpose))


@dataclass(slots=True)
class Draw:
    """A node's share of one correlation: masks at once, dependent arrays when the correction is in."""

    correlation: Correlation
    masks: list[Array]
    dependent: list[Array] | None
    """None at the last node, until the correction is in."""

    @property
    def templates(self) -> list[Template]:
        """What must arrive from the dealer."""
        return [p.template for p in self.correlation.dependent] if self.dependent is None else []

    def settle(self, corrections: Sequence[Array]) -> list[Array]:
        """The dependent arrays, given what arrived from the dealer."""
        if self.dependent is None:
            parts = self.correlation.dependent
            self.dependent = [decode(p, a) for p, a in zip(parts, corrections, strict=True)]
        return self.dependent


class Stream:
    """What one node draws for one use, correlation after correlation in the order of the plan."""

    __slots__ = ("_cursor", "_last")

    def __init__(self, cursor: Cursor, last: bool) -> None:
        self._cursor, self._last = cursor, last

    def draw(self, correlation: Correlation) -> Draw:
        """This node's share of the next correlation."""
        masks = [_draw(p, self._cursor) for p in correlation.masks]
        dependent = None if self._last else [_draw(p, self._cursor) for p in correlation.dependent]
        return Draw(correlation, masks, dependent)


class Source:
    """The dealer's side: the streams of all nodes."""

    __slots__ = ("_prgs", "_spent", "orders")

    def __init__(self, seat: Seat) -> None:
        self._prgs = [dealer_key(seat.keys[i], "shares") for i in range(seat.nodes)]
        self.orders = [dealer_key(seat.keys[i], "orders") for i in range(seat.nodes)]
        self._spent = Spent()

    def streams(self, use: int) -> list[Stream]:
        """The streams of one use at all nodes; ProtocolError at the second time."""
        self._spent.take(use)
        last = len(self._prgs) - 1
        return [Stream(prg.cursor(use), i == last) for i, prg in enumerate(self._prgs)]


def _plain(draws: Sequence[Draw], correlation: Correlation) -> list[Array]:
    plain = draws[0].masks
    for draw in draws[1:]:
        for part, total, other in zip(correlation.masks, plain, draw.masks, strict=True):
            join(part, total, other)
    for part, total in zip(correlation.masks, plain, strict=True):
        trim(part, total)
    return plain


def masks(streams: Sequence[Stream], correlation: Correlation) -> list[Array]:
    """The plain masks of the next correlation, of which nothing depends: the dealer sends nothing."""
    return _plain([s.draw(correlation) for s in streams], correlation)


def correct(streams: Sequence[Stream], correlation: Correlation) -> list[Array]:
    """What the dealer sends to the last node for the next correlation."""
    draws = [s.draw(correlation) for s in streams]
    plain = _plain(draws, correlation)
    out = []
    for k, (part, value) in enumerate(zip(correlation.dependent, correlation.define(plain), strict=True)):
        for draw in draws[:-1]:
            assert draw.dependent is not None
            join(part, value, draw.dependent[k], take=True)
        out.append(encode(part, value))
    return out
