"""rep3: secret permutations of rows.

**Permute, 2 rounds, 4 elements a row and column** [Araki, Furukawa, Ohara, Pinkas, Rosemarin, Tsuchida, CCS 2021].
Every two parties share a permutation that the third does not know, drawn from their key; the rows pass through all
three, so nobody knows where one comes to lie.  Parts 1, 2, 3 hold x as A + B, B + C and C + A; p12, p13 and p23 are the
permutations and z12, z13, A', B' streams of the two that are named (A' of 1 and 3, B' of 1 and 2):

    1 -> 2   X = p13(p12(A + B + z12)) + z13           2 -> 3   Y = p12(C - z12)                    (round 1)
    2 -> 3   C1 = p23(X) - B'                          3 -> 2   C2 = p23(p13(Y) - z13) - A'         (round 2)

The result is (A', B', C' = C1 + C2).  *What each sees.*  2 receives X masked by z13 and C2 masked by A'; 3 receives Y
masked by z12 and C1 masked by B': each mask is unknown to its receiver and used once, so all are uniform; 1 receives
nothing.  (Published forms mask once more before p23; both who receive next know that mask, and A', B' already hide.)

Forward, parts 1, 2, 3 are parties 0, 1, 2.  To move rows back, the inverse permutations are taken in the opposite
order, which is the same protocol with parts 1, 2, 3 at parties 2, 1, 0.  Truth values go by exclusive or, packed; rows
of many are packed each by itself to whole bytes, in which they are moved, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.bitslice import pack_rows
from mpc.prg import Cursor
from mpc.protocol import ProtocolError, Step, Template, exchange
from mpc.protocols.rep3_place import Place, close, template, unclose

__all__ = ["Handle", "draw", "packed_bits", "permute"]

_Order = npt.NDArray[np.int64]
_Rows = npt.NDArray[Any]


_MANY = 32
"""Truth values in a row from which on they are packed row by row."""


def packed_bits(n: int, columns: int) -> int:
    """Bits on the wire of n rows of so many truth values."""
    return n * (columns if columns < _MANY else -(-columns // 8) * 8)


@dataclass(frozen=True, slots=True, eq=False)
class Handle:
    """The two permutations of n rows that a place knows, by the number of their key."""

    n: int
    orders: dict[int, _Order]

    def order(self, key: int, inverse: bool) -> _Order:
        """out[i] = x[order[i]]."""
        order = self.orders[key]
        if not inverse:
            return order
        back = np.empty_like(order)
        back[order] = np.arange(self.n, dtype=np.int64)
        return back


def draw(place: Place, use: int, n: int) -> Handle:
    """A uniform permutation of n rows that no party knows: no message."""
    return Handle(n, {j: place.key(j).permutation(use, n) for j in (place.me, place.after)})


def permute(
    place: Place, use: int, handle: Handle, x: _Rows, *, inverse: bool, bits: bool, width: int = 64
) -> Step[_Rows]:
    """x (2, n, columns), of Z_2^width or bits in uint8, with its rows moved, or moved back; a fresh share."""
    if x.shape[1] != handle.n:
        raise ProtocolError(f"a permutation of {handle.n} rows cannot move {x.shape[1]}")
    if bits and x.shape[2] >= _MANY:
        packed = pack_rows(x)
        moved = yield from _permute(place, use, handle, packed, _Group(packed.dtype, True, 8), inverse=inverse)
        return np.unpackbits(moved, axis=-1, count=x.shape[2], bitorder="little")
    group = _Group(x.dtype, bits, 1 if bits else width)
    return (yield from _permute(place, use, handle, x, group, inverse=inverse))


def _permute(place: Place, use: int, handle: Handle, x: _Rows, group: _Group, *, inverse: bool) -> Step[_Rows]:
    one, two, three = (2, 1, 0) if inverse else (0, 1, 2)
    shape = x.shape[1:]
    me = place.me
    out = np.empty((2, *shape), x.dtype)

    def order(other: int) -> _Order:
        return handle.order(_common(me, other), inverse)

    def at(other: int) -> int:
        return int(_common(me, other) != me)

    def masks(other: int) -> _Rows:
        return group.draw(place.key(_common(me, other)).cursor(use), (2, *shape))

    if me == one:
        (z12, b), (z13, a) = masks(two), masks(three)
        z = group.plus(x[0], x[1])
        group.plus(z, z12, out=z)
        moved = np.take(z, order(two)[order(three)], axis=0)
        group.plus(moved, z13, out=moved)
        yield from exchange({two: group.wire(moved)})
        yield from exchange()
        out[at(two)], out[at(three)] = b, a
        return out
    hide, kept = masks(one)
    if me == two:
        z = np.take(group.minus(x[at(three)], hide), order(one), axis=0)
        got = yield from exchange({three: group.wire(z)}, {one: group.template(shape)})
        z = group.read(got[one], shape)
    else:
        got = yield from exchange({}, {two: group.template(shape)})
        z = np.take(group.read(got[two], shape), order(one), axis=0)
        group.minus(z, hide, out=z)
    other = three if me == two else two
    z = np.take(z, order(other), axis=0)
    group.minus(z, kept, out=z)
    got = yield from exchange({other: group.wire(z)}, {other: group.template(shape)})
    out[at(one)] = kept
    group.plus(z, group.read(got[other], shape), out=out[at(other)])
    return out


def _common(p: int, q: int) -> int:
    """The number of the key, and of the component, that two places hold in common."""
    return p if (q + 1) % 3 == p else q


@dataclass(frozen=True, slots=True)
class _Group:
    """In which group rows are masked, and how they travel."""

    dtype: np.dtype[Any]
    bits: bool
    width: int

    @property
    def single(self) -> bool:
        """Truth values, one in a byte in memory and eight on the wire."""
        return self.bits and self.width == 1

    @property
    def plus(self) -> np.ufunc:
        return np.bitwise_xor if self.bits else np.add

    @property
    def minus(self) -> np.ufunc:
        return np.bitwise_xor if self.bits else np.subtract

    def draw(self, cursor: Cursor, shape: tuple[int, ...]) -> _Rows:
        return cursor.bits(shape) if self.single else cursor.narrow(shape, 8 * self.dtype.itemsize)

    def template(self, shape: tuple[int, ...]) -> Template:
        return template(math.prod(shape), self.width)

    def wire(self, rows: _Rows) -> _Rows:
        flat = rows.reshape(-1)
        return np.packbits(flat, bitorder="little") if self.single else close(flat, self.width)

    def read(self, wire: _Rows, shape: tuple[int, ...]) -> _Rows:
        if not self.single:
            return unclose(wire, math.prod(shape), self.width).reshape(shape)
        return np.unpackbits(wire, count=math.prod(shape), bitorder="little").reshape(shape)
