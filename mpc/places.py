"""Who sits where in a run: compute nodes first, then the dealer if there is one, then the clients."""

from __future__ import annotations

from dataclasses import dataclass

from mpc.protocol import Seat

__all__ = ["Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """The parties of a run by place.

    nodes compute; clients bring inputs and receive results; the dealer, if any, deals correlations and does neither.
    """

    nodes: tuple[str, ...]
    clients: tuple[str, ...] = ()
    dealer: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All parties in the order of their places."""
        return (*self.nodes, *((self.dealer,) if self.dealer else ()), *self.clients)

    @property
    def receivers(self) -> tuple[int, ...]:
        """Places of all that may be told anything: everyone but the dealer."""
        return tuple(i for i, name in enumerate(self.names) if name != self.dealer)

    def of(self, names: tuple[str, ...] | None) -> tuple[int, ...]:
        """Places of `names` in ascending order; None means everyone but the dealer."""
        if names is None:
            return self.receivers
        return tuple(sorted(self.names.index(n) for n in names))

    def seat(self, me: int, keys: dict[int, bytes] | None = None) -> Seat:
        """The seat at place `me`."""
        dealer = len(self.nodes) if self.dealer else None
        return Seat(me, len(self.nodes), len(self.names), dealer, keys or {})
