"""All places of a run in one thread, for any scheme: what every primitive is tested with.

A new protocol is tested by one line in `SETUPS`.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mpc.circuit import Array
from mpc.lockstep import lockstep
from mpc.protocol import USES, Cost, Exchange, Seat, Step
from mpc.protocols import SCHEMES
from mpc.ring import dtype_for
from mpc.types import BOOL, INT, NOBODY, DType, Layout, Narrow, Type


@dataclass(frozen=True)
class Setup:
    """A scheme with a number of nodes; two clients come after them and the dealer."""

    scheme: str
    nodes: int
    dealer: bool = False

    @property
    def places(self) -> int:
        return self.nodes + self.dealer + 2

    @property
    def clients(self) -> tuple[int, int]:
        return self.places - 2, self.places - 1

    def __str__(self) -> str:
        return f"{self.scheme}-{self.nodes}"


SETUPS = [
    Setup("rep3", 3),
    Setup("additive", 2, dealer=True),
    Setup("additive", 3, dealer=True),
]


def kind(array: Array) -> Type:
    """The type of a share, or of a ring array, without the component axis."""
    bits = array.dtype == np.uint8
    return Type(BOOL if bits else INT, array.shape, NOBODY, Layout.BITS if bits else Layout.ARITH)


@dataclass
class Shared:
    """One value as its nodes hold it; `ring` where it is narrow."""

    parts: list[Array]
    ring: DType | None = None

    @property
    def type(self) -> Type:
        first = self.parts[0][0, ...]
        return kind(first) if self.ring is None else Type(self.ring, first.shape, NOBODY, Layout.ARITH)

    def narrow(self, bits: int) -> Shared:
        """The same modulo 2^bits."""
        return Shared([p.astype(dtype_for(bits)) for p in self.parts], Narrow(bits))


def width_of(t: Type) -> dict[str, int]:
    """What a step is told of a narrow operand."""
    return {"width": t.dtype.bits} if t.dtype.narrow else {}


Pair = frozenset[int]


def fresh_keys(places: int) -> dict[Pair, bytes]:
    """A key for every two places."""
    return {frozenset(p): secrets.token_bytes(32) for p in itertools.combinations(range(places), 2)}


class Run:
    """One session: seats, players and what was received, place by place."""

    def __init__(self, setup: Setup, keys: dict[Pair, bytes] | None = None) -> None:
        self.setup = setup
        self.scheme = SCHEMES[setup.scheme]
        self.keys = keys or fresh_keys(setup.places)
        dealer = setup.nodes if setup.dealer else None
        keyed = range(setup.nodes + setup.dealer)
        self.seats = [
            Seat(
                p,
                setup.nodes,
                setup.places,
                dealer,
                {q: self.keys[frozenset((p, q))] for q in keyed if q != p and p in keyed},
            )
            for p in range(setup.places)
        ]
        self.players = [self.scheme.player(self.seats[p]) for p in range(setup.nodes)]
        self.dealer = self.scheme.dealer(self.seats[setup.nodes]) if setup.dealer else None
        self.uses = itertools.count(USES, USES)
        self.received: list[list[Array]] = [[] for _ in range(setup.places)]
        self.cost = Cost()

    # -- in and out ----------------------------------------------------------------------------

    def share(self, value: Array, owner: int = 0, use: int | None = None) -> Shared:
        """The value, shared by `owner`; shares are read-only from here on, as arguments are to be."""
        shape, bits = value.shape, value.dtype == np.uint8
        use = next(self.uses) if use is None else use
        attrs = {"owner": owner}
        cost = self.declared("share", [kind(value)], kind(value), attrs)
        steps: list[Step[Any]] = [
            p.share(use, value if i == owner else None, owner=owner, shape=shape, bits=bits)
            for i, p in enumerate(self.players)
        ]
        if self.dealer is not None:
            steps.append(self.dealer.deal("share", use, [kind(value)], attrs))
        for c in self.setup.clients:
            mine = self.scheme.client_share(value, shape, bits, self.seats[c])
            steps.append(mine if c == owner else idle(cost))
        return Shared(self.drive(steps, cost)[: self.setup.nodes])

    def open(self, x: Shared, to: Iterable[int] | None = None) -> list[Array | None]:
        """What each place receives; by default all nodes."""
        to = tuple(range(self.setup.nodes) if to is None else to)
        bits = x.type.dtype == BOOL
        use, attrs = next(self.uses), {"to": to}
        cost = self.declared("open", [x.type], x.type, attrs)
        told: dict[str, Any] = {"to": to, "bits": bits, **width_of(x.type)}
        steps: list[Step[Any]] = [p.open(use, s, **told) for p, s in zip(self.players, x.parts, strict=True)]
        if self.dealer is not None:
            steps.append(self.dealer.deal("open", use, [x.type], attrs))
        for c in self.setup.clients:
            mine = self.scheme.client_open(x.type.sizes, bits, self.seats[c], x.type.dtype.bits)
            steps.append(mine if c in to else idle(cost))
        return self.drive(steps, cost)

    def plain(self, x: Shared) -> Array:
        """The value behind x, the same at all nodes."""
        first, *others = self.open(x)[: self.setup.nodes]
        assert first is not None
        for other in others:
            assert other is not None
            np.testing.assert_array_equal(first, other)
        assert first.shape == x.type.shape
        return first

    # -- primitives ----------------------------------------------------------------------------

    def step(self, op: str, *operands: Shared, out: Type, use: int | None = None, **attrs: Any) -> Shared:
        """One primitive at all places.  What it sends must be what the scheme declares, round by round."""
        use = next(self.uses) if use is None else use
        types = [x.type for x in operands]
        told = {**attrs, **width_of(types[-1])}
        steps = [getattr(p, op)(use, *(x.parts[i] for x in operands), **told) for i, p in enumerate(self.players)]
        return self._finish(op, use, types, out, attrs, attrs, steps)

    def permutation(self, n: int) -> list[Any]:
        """Handles, place by place."""
        use = next(self.uses)
        handles: list[Any] = [p.permutation(use, n=n) for p in self.players]
        if self.dealer is not None:
            handles.append(lockstep([self.dealer.deal("permutation", use, [], {"n": n})])[0][0])
        return handles

    def permute(self, handles: list[Any], x: Shared, *, inverse: bool) -> Shared:
        """Rows moved, or moved back."""
        use, bits = next(self.uses), x.type.dtype == BOOL
        told: dict[str, Any] = {"inverse": inverse, "bits": bits, **width_of(x.type)}
        steps = [p.permute(use, handles[i], x.parts[i], **told) for i, p in enumerate(self.players)]
        handle = Type(INT, (x.type.sizes[0],), NOBODY, Layout.ARITH)
        attrs = {"inverse": inverse}
        dealt = {**attrs, "handle": handles[-1]}
        return self._finish("permute", use, [handle, x.type], x.type, attrs, dealt, steps)

    def _finish(
        self,
        op: str,
        use: int,
        types: Sequence[Type],
        out: Type,
        attrs: dict[str, Any],
        dealt: dict[str, Any],
        steps: list[Step[Any]],
    ) -> Shared:
        cost = self.declared(op, types, out, attrs)
        if self.dealer is not None:
            steps = [*steps, self.dealer.deal(op, use, types, dealt)]
        result = Shared(self.drive([*steps, *(idle(cost) for _ in self.setup.clients)], cost)[: self.setup.nodes])
        for part in result.parts:
            assert part.shape == (self.scheme.components, *out.sizes)
            assert part.dtype == (np.uint8 if out.dtype == BOOL else dtype_for(out.dtype.bits))
            if out.dtype == BOOL:
                assert not part.size or part.max() <= 1
        return Shared(result.parts, out.dtype if out.dtype.narrow else None)

    def declared(self, op: str, types: Sequence[Type], out: Type, attrs: dict[str, Any]) -> Cost:
        costs = [self.scheme.cost(op, types, out, attrs, seat) for seat in self.seats[: self.setup.nodes]]
        assert all(c == costs[0] for c in costs), "the cost depends on who asks"
        return costs[0]

    def drive(self, steps: list[Step[Any]], declared: Cost) -> list[Any]:
        self.received = [[] for _ in range(self.setup.places)]
        results, measured = lockstep([self._recorded(p, s) for p, s in enumerate(steps)])
        assert [dict(r) for r in measured.rounds] == [dict(r) for r in declared.rounds]
        self.cost = measured
        for r in results:
            if isinstance(r, np.ndarray):
                r.setflags(write=False)
        return results

    def _recorded(self, place: int, step: Step[Any]) -> Step[Any]:
        try:
            exchange = next(step)
            while True:
                got = yield exchange
                self.received[place] += [a for sender in sorted(got) for a in got[sender]]
                exchange = step.send(got)
        except StopIteration as stop:
            return stop.value


def idle(cost: Cost) -> Step[None]:
    """A place that has no part in a step."""
    for _ in cost.rounds:
        yield Exchange({}, {})


def varied(run: Run, place: int) -> Run:
    """The same session with fresh keys wherever `place` holds none: all that it does not know is drawn anew."""
    return Run(run.setup, {pair: key if place in pair else secrets.token_bytes(32) for pair, key in run.keys.items()})
