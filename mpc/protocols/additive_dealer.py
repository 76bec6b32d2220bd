"""The dealer of the additive protocol: a party of its own that holds keys, sees no message, and learns nothing.

It shares a key with every node and so knows all that nodes draw from them.  For each step it runs the same plan as they
do, and sends the last node what its share of the dependent arrays must be.  It runs ahead of the nodes as far as the
network lets it, so there is no phase of preprocessing to wait for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mpc.circuit import Attrs
from mpc.protocol import Dealer, Exchange, Seat, Step
from mpc.protocols import additive_correlations as deal
from mpc.protocols.additive_correlations import masking
from mpc.protocols.additive_plan import data_part, owners, plan
from mpc.protocols.additive_supply import Source, correct, masks
from mpc.types import BOOL, Type

__all__ = ["AdditiveDealer"]


class AdditiveDealer(Dealer):
    """Deals what one execution of a primitive consumes; a use is dealt once."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._source = Source(seat)

    def deal(self, op: str, use: int, types: Sequence[Type], attrs: Attrs, held: Sequence[Any] = ()) -> Step[Any]:
        """Rounds of `op`, with corrections to the last node.  `types` are those of the operands."""
        if op == "permutation" or (op == "share" and attrs["owner"] < self.seat.nodes):
            return None
        if op in ("share", "open"):
            yield Exchange({}, {})
            return None
        if op == "permute":
            yield from self._permute(use, types[-1], inverse=bool(attrs.get("inverse", False)))
            return None
        streams = self._source.streams(use)
        if op == "mask":
            yield Exchange({}, {})
            return masks(streams, masking(types[0].sizes, types[0].dtype.bits))[0]
        for r in plan(op, types, attrs, self.seat.nodes, held):
            sent = [array for c in r.dealt for array in correct(streams, c)]
            yield Exchange({self.seat.nodes - 1: sent} if sent else {}, {})
        return None

    def _permute(self, use: int, x: Type, *, inverse: bool) -> Step[None]:
        streams = self._source.streams(use)
        part = data_part(x.sizes, x.dtype == BOOL, x.dtype.bits)
        for owner in owners(self.seat.nodes, inverse):
            order = self._source.orders[owner].permutation(use, x.sizes[0])
            sent = correct(streams, deal.permuted(part, order))
            yield Exchange({self.seat.nodes - 1: sent}, {})
