"""All parties of the additive protocol in one thread, with everything that they send one another on record."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from mpc.circuit import Array
from mpc.lockstep import lockstep
from mpc.protocol import Cost, Exchange, Player, Seat, Step
from mpc.protocols.additive import Additive
from mpc.types import BOOL, INT, NOBODY, Layout, Type

SCHEME = Additive()


def kind(shape: tuple[int, ...], bits: bool = False) -> Type:
    return Type(BOOL if bits else INT, shape, NOBODY, Layout.BITS if bits else Layout.ARITH)


def seats(nodes: int, clients: int = 0, seed: int = 7) -> list[Seat]:
    """Nodes, then the dealer, then clients; keys that a test can repeat."""
    rng = np.random.default_rng(seed)
    keys = {pair: rng.bytes(32) for pair in itertools.combinations(range(nodes + 1), 2)}
    held = [{q: keys[min(p, q), max(p, q)] for q in range(nodes + 1) if q != p} for p in range(nodes + 1)]
    held += [{}] * clients
    places = nodes + 1 + clients
    return [Seat(p, nodes, places, nodes, held[p]) for p in range(places)]


class Run:
    """Nodes and a dealer; `step` runs one primitive on shares and checks what it cost."""

    def __init__(self, nodes: int, clients: int = 0, seed: int = 7) -> None:
        self.seats = seats(nodes, clients, seed)
        self.nodes = nodes
        self.players: list[Player] = [SCHEME.player(s) for s in self.seats[:nodes]]
        self.dealer = SCHEME.dealer(self.seats[nodes])
        self.rng = np.random.default_rng(seed)
        self.uses = itertools.count(16, 16)
        self.sent: list[dict[tuple[int, int], list[Array]]] = []

    def deal(self, value: Any, bits: bool = False) -> list[Array]:
        """Fresh shares of a plain array."""
        plain = np.asarray(value).astype(np.uint8 if bits else np.uint64)[None]
        rest = [self.rng.integers(0, 2 if bits else 1 << 64, plain.shape, plain.dtype) for _ in range(self.nodes - 1)]
        total = plain.copy()
        for r in rest:
            total = total ^ r if bits else total - r
        return [*rest, total]

    def join(self, shares: list[Array]) -> Array:
        """The plain array behind shares."""
        bits = shares[0].dtype == np.uint8
        total = shares[0].copy()
        for s in shares[1:]:
            total = total ^ s if bits else total + s
        return total[0]

    def step(self, op: str, *operands: list[Array], out: Type | None = None, **attrs: Any) -> list[Any]:
        """Results by node.  The measured cost must be the declared one."""
        use = next(self.uses)
        types = [kind(o[0].shape[1:], o[0].dtype == np.uint8) for o in operands if isinstance(o[0], np.ndarray)]
        given = {"bits": types[-1].layout is Layout.BITS} if op in ("open", "permute") else {}
        calls = [getattr(p, op)(use, *(o[i] for o in operands), **attrs, **given) for i, p in enumerate(self.players)]
        results, measured = self.drive([*calls, self.dealer.deal(op, use, types, attrs)])
        declared = SCHEME.cost(op, types, out or kind(()), attrs, self.seats[0])
        assert measured.rounds == declared.rounds
        return results[: self.nodes]

    def drive(self, steps: list[Step[Any]]) -> tuple[list[Any], Cost]:
        self.sent = []
        return lockstep([self._recorded(i, s) for i, s in enumerate(steps)])

    def _recorded(self, place: int, step: Step[Any]) -> Step[Any]:
        got: Any = None
        for number in itertools.count():
            try:
                ex: Exchange = step.send(got) if number else next(step)
            except StopIteration as stop:
                return stop.value
            while len(self.sent) <= number:
                self.sent.append({})
            for p, arrays in ex.send.items():
                self.sent[number][place, p] = [np.array(a) for a in arrays]
            got = yield ex

    def compute(self, op: str, *operands: list[Array], **attrs: Any) -> Array:
        """The plain result of a step."""
        return self.join(self.step(op, *operands, **attrs))


def signed(values: Array) -> Array:
    return values.astype(np.uint64).view(np.int64)


__all__ = ["SCHEME", "Callable", "Generator", "Run", "kind", "seats", "signed"]
