"""A node's place in the additive protocol: its keys, what it has spent, and the one way in which values are opened."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.circuit import Array
from mpc.prg import Prg, derive
from mpc.protocol import Exchange, Seat, Step
from mpc.protocols.additive_supply import Draw, Part, Spent, Stream, dealer_key, decode, encode, join, trim

__all__ = ["Node"]


class Node:
    """One compute node: places, streams and openings."""

    def __init__(self, seat: Seat) -> None:
        assert seat.dealer is not None
        self.seat = seat
        self.me = seat.me
        self.first = seat.me == 0
        """Public summands are added by the first node."""
        self.last = seat.me == seat.nodes - 1
        self.dealer = seat.dealer
        self.peers = [p for p in range(seat.nodes) if p != seat.me]
        self.orders = dealer_key(seat.keys[seat.dealer], "orders")
        self._shares = dealer_key(seat.keys[seat.dealer], "shares")
        self.pairs = {p: Prg(derive(seat.keys[p], "additive", "pair")) for p in self.peers}
        keys = b"".join(seat.keys[p] for p in [*self.peers, seat.dealer])
        self.own = Prg(derive(keys, "additive", "own"))
        """Known to this node alone: the other nodes lack the dealer's key, and the dealer the others'."""
        self._spent = Spent()

    def stream(self, use: int) -> Stream:
        """This node's correlations for `use`; ProtocolError at the second time."""
        self._spent.take(use)
        return Stream(self._shares.cursor(use), self.last)

    def blind(self, use: int, words: Array) -> None:
        """This node's part of a sharing of zero, onto words of bits: one of a pair adds what the other does too."""
        for prg in self.pairs.values():
            words ^= prg.cursor(use).words(words.shape)

    def reveal(self, shares: Sequence[tuple[Part, Array]], draws: Sequence[Draw] = ()) -> Step[list[Array]]:
        """One round: every node sends its shares to all others; the opened arrays.

        In the same round the last node gets the corrections of `draws`, which are settled afterwards.
        The shares must stay as they are until the round is over.
        """
        wires = [encode(part, array) for part, array in shares]
        send = dict.fromkeys(self.peers, wires) if wires else {}
        expect = {p: [part.template for part, _ in shares] for p in self.peers} if wires else {}
        corrections = [t for d in draws for t in d.templates]
        if corrections:
            expect[self.dealer] = corrections
        got = yield Exchange(send, expect)
        opened = []
        for k, (part, total) in enumerate(shares):
            for i, p in enumerate(self.peers):
                other = decode(part, got[p][k])
                if i:
                    join(part, total, other)
                else:
                    # A new array: what is sent may share memory with the share, and may not have left yet.
                    total = total + other if part.kind == "ring" else total ^ other
            opened.append(trim(part, total))
        at = 0
        for d in draws:
            count = len(d.templates)
            d.settle(got[self.dealer][at : at + count] if count else ())
            at += count
        return opened
