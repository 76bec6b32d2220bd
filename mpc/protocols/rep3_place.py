"""rep3: where a party stands in the ring of three, and what every primitive needs there.

Component x_j of a share, and the key k_j, are known to P_j and to P_(j-1): party i holds x_i, x_(i+1) as rows 0 and 1
of a share, and k_i, k_(i+1) as `near` and `far`.  Some primitives give one party a part of its own; they are written
for parties 0, 1, 2 and may be played turned: with `turn` r, place p has part (p - r) mod 3.  Everything above is then
the same in terms of parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.prg import Prg, derive
from mpc.protocol import ProtocolError, Seat, Template
from mpc.ring import dtype_for, pack_bits, unpack_bits

__all__ = ["DIGEST", "PARTIES", "SEED", "Bits", "Place", "Ring", "close", "template", "thirds", "unclose"]

Ring = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.uint8]

PARTIES: Final = 3

SEED: Final = 16
"""Bytes of the seed that stands for a component when a client shares an input."""

DIGEST: Final = 32
"""Bytes of SHA-256: by it a client that receives a result checks the second copy of a component."""

_PIECE = 1 << 15
"""Elements masked at a time: whole blocks of a stream, whatever their width."""

_BLOCK = 128
"""Bits of a block of a stream."""

_UNTURNED = 1 << 12
"""Below so many elements an even load is worth less than what it takes: three times the calls, and three one-way delays
for each of a chain of fused products, which take two without turns."""


@dataclass(frozen=True, slots=True)
class Place:
    """A party's number and the keys that it shares with the one before and the one after."""

    me: int
    near: Prg
    far: Prg

    @classmethod
    def of(cls, seat: Seat) -> Place:
        """The place of a seat; its pair keys are derived anew, so that no other use of the seat's keys meets them."""
        me = seat.me
        if seat.nodes != PARTIES or not 0 <= me < PARTIES:
            raise ProtocolError(f"rep3 runs on three nodes; place {me} of {seat.nodes} has no part in it")
        keys = {j: seat.keys.get(other) for j, other in ((me, (me + 2) % 3), ((me + 1) % 3, (me + 1) % 3))}
        near, far = keys[me], keys[(me + 1) % 3]
        if near is None or far is None:
            raise ProtocolError(f"rep3: node {me} lacks a key that it should share with another node")
        return cls(me, Prg(derive(near, "rep3", me)), Prg(derive(far, "rep3", (me + 1) % 3)))

    @property
    def before(self) -> int:
        """The place before this one."""
        return (self.me + 2) % 3

    @property
    def after(self) -> int:
        """The place after this one."""
        return (self.me + 1) % 3

    def part(self, turn: int) -> int:
        """The part that this place plays."""
        return (self.me - turn) % 3

    def key(self, j: int) -> Prg:
        """Key k_j, one of the two that are known here."""
        if j == self.me:
            return self.near
        if j == self.after:
            return self.far
        raise AssertionError(f"place {self.me} does not know key {j}")

    def blind(self, use: int, words: npt.NDArray[Any], *, bits: bool = False) -> None:
        """Add this place's part of a sharing of zero, F(k_i) - F(k_(i+1)), to elements (n,) in place; by xor for bits.

        The receiver of a message so masked is the place before, which lacks k_(i+1).
        """
        plus, minus = (np.bitwise_xor, np.bitwise_xor) if bits else (np.add, np.subtract)
        # Streams are drawn in pieces that stay in the cache until they are added.
        width = 8 * words.itemsize
        for first in range(0, words.size, _PIECE):
            piece = words[first : first + _PIECE]
            block = first * width // _BLOCK
            plus(piece, self.near.cursor(use, block).narrow(piece.size, width), out=piece)
            minus(piece, self.far.cursor(use, block).narrow(piece.size, width), out=piece)


def template(n: int, width: int = 64) -> Template:
    """How n elements of Z_2^width travel: without gaps."""
    dtype = dtype_for(width)
    if width == 8 * dtype.itemsize:
        return Template((n,), dtype.str)
    return Template((-(-n * width // 8),), "|u1")


def close(elements: npt.NDArray[Any], width: int = 64) -> npt.NDArray[Any]:
    """Elements (n,) as they travel; what lies above the width stays behind."""
    if width == 8 * elements.itemsize:
        return np.ascontiguousarray(elements)
    return pack_bits(elements, width)


def unclose(message: npt.NDArray[Any], n: int, width: int = 64) -> npt.NDArray[Any]:
    """What `close` was given, modulo 2^width."""
    dtype = dtype_for(width)
    if width == 8 * dtype.itemsize:
        return message
    return unpack_bits(message, width, n).astype(dtype, copy=False)


def thirds(n: int) -> list[tuple[int, slice]]:
    """Cut range(n) in three, each with its turn, so that all carry an equal load; not worth it for few."""
    if n < _UNTURNED:
        return [(0, slice(0, n))]
    return [(turn, slice(n * turn // 3, n * (turn + 1) // 3)) for turn in range(3)]
