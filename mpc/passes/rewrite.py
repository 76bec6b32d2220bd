"""What passes share: rebuilding a circuit node by node, uses, loops' bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from mpc.circuit import Circuit, Node

__all__ = ["Rebuild", "in_bodies", "keep", "uses"]


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
