"""The schedule: everything about a run that is known before it.

Each node of a lowered circuit gets the round in which it starts: a local one as soon as its operands are there, an
interactive one likewise, and its result is there after as many rounds as its protocol declares.  So rounds, bytes on
every link, correlations, the order of execution and the life of every value are fixed and the same at all parties,
who compare one digest before any share moves.  A loop's body is scheduled once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from mpc.circuit import Circuit, Node, Origin
from mpc.places import Places
from mpc.protocol import Cost, Scheme, Seat, blocks, interactive
from mpc.ring import dtype_for
from mpc.types import BOOL, Layout, Type

__all__ = ["Schedule", "schedule"]

K = TypeVar("K")


@dataclass(frozen=True, eq=False)
class Schedule:
    """A circuit of primitives with its timetable for one protocol and one set of places."""

    circuit: Circuit
    places: Places
    scheme: Scheme
    start: tuple[int, ...]
    """The round before which each node starts."""
    length: tuple[int, ...]
    """Rounds that each node takes; 0 for local ones."""
    plan: tuple[tuple[int, ...], ...]
    """For each round, the nodes that start before it, in order; one more entry for what follows the last round."""
    release: Mapping[int, tuple[int, ...]]
    """When node i is done, the values that nobody needs any more."""
    costs: tuple[Cost | None, ...]
    bodies: Mapping[int, Schedule] = field(default_factory=dict)
    peak: int = 0
    """Bytes of values alive at once at a compute node, by the timetable (temporaries of kernels not counted)."""

    @property
    def rounds(self) -> int:
        """Rounds in all, loops with all their iterations."""
        return len(self.plan) - 1

    @cached_property
    def links(self) -> dict[tuple[int, int], int]:
        """Bytes in all on each directed link (from place, to place)."""
        total: dict[tuple[int, int], int] = {}
        for index in range(len(self.circuit)):
            for link, n in self.traffic(index).items():
                total[link] = total.get(link, 0) + n
        return total

    def traffic(self, index: int) -> dict[tuple[int, int], int]:
        """Bytes on each link for one node, a loop with all its iterations."""
        body = self.bodies.get(index)
        if body is not None:
            count = int(self.circuit.nodes[index]["count"])
            return {link: n * count for link, n in body.links.items()}
        cost = self.costs[index]
        return cost.total if cost is not None else {}

    def sent(self) -> dict[str, int]:
        """Bytes sent by each party."""
        names = self.places.names
        out = dict.fromkeys(names, 0)
        for (source, _), n in self.links.items():
            out[names[source]] += n
        return out

    @cached_property
    def demand(self) -> dict[str, int]:
        """Correlations consumed, by kind, in elements."""
        out: dict[str, int] = {}
        for index, cost in enumerate(self.costs):
            body = self.bodies.get(index)
            if body is not None:
                for kind, n in body.demand.items():
                    out[kind] = out.get(kind, 0) + n * int(self.circuit.nodes[index]["count"])
            elif cost is not None:
                for kind, n in cost.demand.items():
                    out[kind] = out.get(kind, 0) + n
        return out

    def wire(self, bits_per_second: float) -> float:
        """Seconds on the wire without latency: every round's bytes from its busiest party at the given bandwidth."""
        total = 0.0
        for links in self._by_round():
            out: dict[int, int] = {}
            for (source, _), n in links.items():
                out[source] = out.get(source, 0) + n
            total += 8 * max(out.values(), default=0) / bits_per_second
        for index, body in self.bodies.items():
            total += body.wire(bits_per_second) * int(self.circuit.nodes[index]["count"])
        return total

    def _by_round(self) -> list[dict[tuple[int, int], int]]:
        """Traffic of each round outside loops; rounds that belong to a loop alone are left out."""
        rounds: dict[int, dict[tuple[int, int], int]] = {}
        for index, cost in enumerate(self.costs):
            if cost is None or index in self.bodies:
                continue
            for k, links in enumerate(cost.rounds):
                at = rounds.setdefault(self.start[index] + k, {})
                for link, n in links.items():
                    at[link] = at.get(link, 0) + n
        return list(rounds.values())

    def by_origin(self, key: Callable[[Origin | None], K]) -> dict[K, tuple[int, int]]:
        """(rounds, bytes) of the nodes of each key, such as a line: rounds in which one of them is under way."""
        spans: dict[K, set[int]] = {}
        sums: dict[K, int] = {}
        for index, node in self.circuit:
            body = self.bodies.get(index)
            if body is not None:
                count = int(node["count"])
                for place, (r, n) in body.by_origin(key).items():
                    sums[place] = sums.get(place, 0) + n * count
                    spans.setdefault(place, set()).update(range(-r * count, 0))
                continue
            if self.length[index]:
                place, span = key(node.origin), range(self.start[index], self.start[index] + self.length[index])
                spans.setdefault(place, set()).update(span)
                sums[place] = sums.get(place, 0) + sum(self.traffic(index).values())
        return {place: (len(spans[place]), sums.get(place, 0)) for place in spans}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over circuit, timetable, places and protocol."""
        state = hashlib.sha256(self.circuit.digest.encode())
        state.update(repr((self.scheme.name, self.places.names, self.start, self.length, self.plan)).encode())
        for index, body in sorted(self.bodies.items()):
            state.update(f"{index}{body.digest}".encode())
        return state.hexdigest()


def schedule(circuit: Circuit, places: Places, scheme: Scheme) -> Schedule:
    """Time a lowered circuit: every node as early as its operands allow."""
    seat = places.seat(0)
    start: list[int] = []
    length: list[int] = []
    costs: list[Cost | None] = []
    bodies: dict[int, Schedule] = {}
    for index, node in circuit:
        start.append(max((start[i] + length[i] for i in node.src), default=0))
        cost: Cost | None = None
        if node.op == "loop":
            bodies[index] = schedule(node["body"], places, scheme)
            length.append(bodies[index].rounds * int(node["count"]))
        elif node.op == "tell":
            cost = _tell(node, places)
            length.append(1)
        elif interactive(node):
            attrs: dict[str, Any] = dict(node.attrs)
            if "to" in attrs:
                attrs["to"] = places.of(attrs["to"])
            if "owner" in attrs:
                attrs["owner"] = places.names.index(attrs["owner"])
            cost = _step(node, [circuit.nodes[i].type for i in node.src], attrs, scheme, seat)
            length.append(len(cost.rounds))
        else:
            length.append(0)
        costs.append(cost)
    total = max((s + n for s, n in zip(start, length, strict=True)), default=0)
    plan: list[list[int]] = [[] for _ in range(total + 1)]
    for index, s in enumerate(start):
        plan[s].append(index)
    release, peak = _lives(circuit, start, length, scheme, bodies)
    return Schedule(
        circuit,
        places,
        scheme,
        tuple(start),
        tuple(length),
        tuple(map(tuple, plan)),
        release,
        tuple(costs),
        bodies,
        peak,
    )


def _step(node: Node, types: Sequence[Type], attrs: Mapping[str, Any], scheme: Scheme, seat: Seat) -> Cost:
    """The cost of a step, of all its blocks one after another."""
    parts = blocks(node, types)
    if len(parts) == 1:
        return scheme.cost(node.op, types, node.type, attrs, seat)
    total = Cost()
    for first, last in parts:
        inner = [t.with_(shape=(last - first,)) for t in types]
        tail = node.type.shape[types[0].ndim :]
        total = total.then(scheme.cost(node.op, inner, node.type.with_(shape=(last - first, *tail)), attrs, seat))
    return total


def _tell(node: Node, places: Places) -> Cost:
    owner = places.names.index(node["owner"])
    n = _nbytes(node.type, 1)
    return Cost(({(owner, p): n for p in places.of(node.get("to")) if p != owner and n},))


def _nbytes(t: Type, components: int) -> int:
    n = int(np.prod(t.sizes, dtype=np.int64))
    width = 1 if t.dtype == BOOL else dtype_for(t.dtype.bits).itemsize
    return n * width * (2 if t.layout is Layout.MASKED else components if t.shared else 1)


def _lives(
    circuit: Circuit, start: Sequence[int], length: Sequence[int], scheme: Scheme, bodies: Mapping[int, Schedule]
) -> tuple[dict[int, tuple[int, ...]], int]:
    """When each value dies, and the largest sum of values alive."""
    # The engine's order: steps that end with a round, as they began; then what starts before the next one.
    done = [(s + n, n == 0, s if n else 0, i) for i, (s, n) in enumerate(zip(start, length, strict=True))]
    last: dict[int, int] = {}
    for index, node in circuit:
        for i in (*node.src, index):
            if i not in last or done[index] > done[last[i]]:
                last[i] = index
    release: dict[int, list[int]] = {}
    keep = set(circuit.results)
    for value, user in last.items():
        if value not in keep:
            release.setdefault(user, []).append(value)
    size = [sum(_nbytes(t, scheme.components) for t in node.types) for _, node in circuit]
    alive = peak = 0
    for index in sorted(range(len(size)), key=lambda i: done[i]):
        alive += size[index]
        peak = max(peak, alive + (bodies[index].peak if index in bodies else 0))
        for value in release.get(index, ()):
            alive -= size[value]
    return {user: tuple(values) for user, values in release.items()}, peak
