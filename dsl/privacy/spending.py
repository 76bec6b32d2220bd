"""What a circuit spends of each table's privacy, and what its disclosures say of noise.

For: `Spending`, `spending` (by table), `further`, `noise_behind` (what was added to values).
Leaves to others: whether an owner allows it (`runtime.ledger`).

Basic composition: the epsilons and the deltas of all that is revealed of a table add up [Dwork, Roth, "The algorithmic
foundations of differential privacy", 2014, theorem 3.16]; what a loop opens counts for each pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from dsl.privacy.lineage import Owned
from mpc.circuit import Circuit, Node

__all__ = ["Spending", "further", "noise_behind", "spending"]


class Spending(NamedTuple):
    """(epsilon, delta) differential privacy for the replacement of one row."""

    epsilon: Decimal
    delta: Decimal

    def plus(self, other: Spending) -> Spending:
        """Both one after the other."""
        return Spending(self.epsilon + other.epsilon, self.delta + other.delta)

    def minus(self, other: Spending) -> Spending:
        """What is left of this after the other."""
        return Spending(self.epsilon - other.epsilon, self.delta - other.delta)


NOTHING = Spending(Decimal(0), Decimal(0))


def spending(circuit: Circuit) -> dict[Owned, Spending]:
    """What all noise of a study costs each table or array of each party, in the order of their names.

    A loop whose passes are not known yet counts once.
    """
    out: dict[Owned, Spending] = {}
    for node, passes in _noises(circuit, 1):
        cost = Spending(Decimal(node["epsilon"]) * passes, Decimal(node["delta"]) * passes)
        for owned in node["charged"]:
            out[owned] = out.get(owned, NOTHING).plus(cost)
    return dict(sorted(out.items()))


def further(spent: Mapping[Owned, Spending], before: Mapping[Owned, Spending]) -> dict[Owned, Spending]:
    """What has been spent beyond what was before."""
    more = {owned: cost.minus(before.get(owned, NOTHING)) for owned, cost in spent.items()}
    return {owned: cost for owned, cost in more.items() if any(cost)}


def _noises(circuit: Circuit, passes: int) -> Iterator[tuple[Node, int]]:
    for _, node in circuit:
        if node.op == "noise":
            yield node, passes
        elif node.op == "loop":
            count = node["count"]
            yield from _noises(node["body"], passes * (count if isinstance(count, int) else 1))


def noise_behind(circuit: Circuit, nodes: Iterable[int]) -> str:
    """What was added to these values before they were opened: empty when nothing was."""
    found: dict[int, Node] = {}
    seen: set[int] = set()
    stack = list(nodes)
    while stack:
        index = stack.pop()
        if index in seen:
            continue
        seen.add(index)
        node = circuit.nodes[index]
        if node.op == "noise":
            found[index] = node
        elif node.op != "open":
            stack += node.src
    if not found:
        return ""
    ordered = [found[i] for i in sorted(found)]
    listed = "; ".join(dict.fromkeys(n["says"] for n in ordered))
    return f"{ordered[0]['mechanism']}, one row replaced ({listed})"
