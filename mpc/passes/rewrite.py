"""What passes share: rebuilding a circuit node by node, uses, loops' bodies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from mpc.circuit import Circuit, Node

__all__ = ["Rebuild", "Way", "in_bodies", "keep", "uses"]


def in_bodies(circuit: Circuit, f: Callable[[Circuit], Circuit]) -> Circuit:
    """The circuit with `f` applied to the body of every loop."""
    nodes = []
    for _, node in circuit:
        body = node.get("body")
        if isinstance(body, Circuit):
            attrs = tuple((k, f(v) if isinstance(v, Circuit) else v) for k, v in node.attrs)
            node = replace(node, attrs=attrs)
        nodes.append(node)
    return Circuit(tuple(nodes), circuit.results)


def uses(circuit: Circuit) -> list[int]:
    """How often each node is an operand or a result."""
    count = [0] * len(circuit)
    for _, node in circuit:
        for i in node.src:
            count[i] += 1
    for i in circuit.results:
        count[i] += 1
    return count


@dataclass(frozen=True, slots=True)
class Way:
    """How a value comes from the array `root`: the nodes that move its elements, the last of which is the value."""

    root: int
    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, circuit: Circuit, index: int, moves: Callable[[Node], bool]) -> Way:
        """The way of node `index`, through nodes that only move their first operand."""
        steps: list[int] = []
        while moves(circuit.nodes[index]):
            steps.append(index)
            index = circuit.nodes[index].src[0]
        return cls(index, tuple(reversed(steps)))

    def site(self, circuit: Circuit) -> int:
        """The first node on the way of as many elements as the last: what comes after it leaves none out."""
        path = (self.root, *self.steps)
        size = circuit.nodes[path[-1]].type.size
        return next(i for i in path if circuit.nodes[i].type.size == size)

    @staticmethod
    def sources(circuit: Circuit, ways: Mapping[int, Way]) -> dict[int, int]:
        """For each way the node to take whole: its root, if all that is taken of it adds up to as much; else its site.

        ways: by any key, such as the node where each ends.
        """
        sites = {key: way.site(circuit) for key, way in ways.items()}
        parts: Counter[int] = Counter()
        for root, site in {(way.root, sites[key]) for key, way in ways.items()}:
            parts[root] += circuit.nodes[site].type.size
        whole = {root for root, n in parts.items() if n >= circuit.nodes[root].type.size}
        return {key: way.root if way.root in whole else sites[key] for key, way in ways.items()}

    def after(self, node: int) -> tuple[int, ...]:
        """The steps that come after a node of the way."""
        return (self.root, *self.steps)[(self.root, *self.steps).index(node) + 1 :]


class Rebuild:
    """A circuit in the making, and where each old node went."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.where: dict[int, int] = {}

    def add(self, node: Node) -> int:
        """Append a node whose operands are already numbered anew."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def moved(self, node: Node) -> Node:
        """An old node with its operands numbered anew."""
        src = tuple(self.where[i] for i in node.src)
        return node if src == node.src else replace(node, src=src)

    def copy(self, index: int, node: Node) -> None:
        """Take an old node over."""
        self.where[index] = self.add(self.moved(node))

    def move(self, circuit: Circuit, value: int, steps: Iterable[int]) -> int:
        """Take a new value along steps of the old circuit: it stays what it is, shared or masked."""
        for index in steps:
            node = circuit.nodes[index]
            t = self.nodes[value].type.with_(shape=node.type.shape)
            t = t.with_(dtype=node.type.dtype) if node.op == "view" else t
            value = self.add(replace(node, src=(value, *(self.where[i] for i in node.src[1:])), type=t))
        return value

    def finish(self, results: Iterable[int]) -> Circuit:
        """The new circuit with the old results."""
        return Circuit(tuple(self.nodes), tuple(self.where[i] for i in results))


def keep(circuit: Circuit, wanted: Mapping[int, bool] | set[int]) -> Circuit:
    """The circuit without the nodes that are not `wanted`."""
    out = Rebuild()
    for index, node in circuit:
        if index in wanted:
            out.copy(index, node)
    return out.finish(circuit.results)
