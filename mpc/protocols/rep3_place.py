"""rep3: where a party stands in the ring of three, and what every primitive needs there.

Component x_j of a share, and the key k_j, are known to P_j and to P_(j-1): party i holds x_i, x_(i+1) as rows 0 and 1
of a share, and k_i, k_(i+1) as `near` and `far`.

Some primitives give each party a part of its own, so that the bytes of a round leave one of them, and the other links
wait.  They are written for parties 0, 1, 2 and are played turned (`turned`): of many elements each third by itself,
with turn r, in which place p has part (p - r) mod 3.  Everything above is then the same in terms of parts, and so is
what each part sees: the streams of another turn are others (their use numbers are), so a party's view is three
independent ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mpc.prg import Prg, derive
from mpc.protocol import Exchange, ProtocolError, Seat, Step, Template, parallel
from mpc.ring import dtype_for, pack_bits, unpack_bits

__all__ = [
    "DIGEST",
    "PARTIES",
    "SEED",
    "Bits",
    "Place",
    "Ring",
    "chain_use",
    "close",
    "template",
    "thirds",
    "turned",
    "unclose",
]

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

_UNTURNED = 1 << 18
"""Below so many bits an even load is worth less than what it takes: three times the calls, and three one-way delays for
each of a chain of fused products, which take two without turns."""

_TURN = 1 << 60
"""The use numbers of one turn; those that steps are given count from 0 and stay below."""


_CHAIN = 1 << 58
"""Above this are the use numbers of chains of gates, 64 for each step, which has 16 of its own."""


def chain_use(use: int) -> int:
    """The first of 64 use numbers that belong to the step whose first is `use`."""
    return _CHAIN + 4 * use


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

    def part(self, turn: int) -> Place:
        """This place in the part that it plays: its keys are then those of the part's number."""
        return replace(self, me=(self.me - turn) % PARTIES)

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


def thirds(n: int, width: int = 64) -> list[tuple[int, slice]]:
    """Cut n elements of `width` bits in three, each with its turn, so that all carry an equal load; few stay together.

    Cuts are at multiples of 64, where words of sliced bits end.
    """
    if n * width < _UNTURNED:
        return [(0, slice(0, n))]
    cuts = [0, *(n * turn // PARTIES & -64 for turn in (1, 2)), n]
    return [(turn, slice(cuts[turn], cuts[turn + 1])) for turn in range(PARTIES)]


Part = Callable[[Place, int, slice], Step[None]]
"""(place, use, elements): a primitive written for parties 0, 1, 2 on some of the elements."""


def turned(place: Place, use: int, parts: list[tuple[int, slice]], play: Part) -> Step[None]:
    """Play each of `thirds` by itself, all side by side, and each with its turn.

    `play` is given the place in its part, `use` in the numbers of the turn, and the elements that are meant; peers are
    parts for it.
    """
    yield from parallel([_routed(turn, play(place.part(turn), use + turn * _TURN, at)) for turn, at in parts])


def _routed(turn: int, step: Step[None]) -> Step[None]:
    """What parts send to parts, sent from places to places."""
    if not turn:
        return (yield from step)
    try:
        ex = next(step)
        while True:
            send = {(part + turn) % PARTIES: arrays for part, arrays in ex.send.items()}
            expect = {(part + turn) % PARTIES: templates for part, templates in ex.expect.items()}
            got = yield Exchange(send, expect)
            ex = step.send({(p - turn) % PARTIES: arrays for p, arrays in got.items()})
    except StopIteration:
        return None
