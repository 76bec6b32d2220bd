"""Whether the passes of a loop would run side by side if they were written out.

A rolled loop takes its body's rounds for every pass.  Written out, the next pass begins as soon as what it needs of the
last one is there, which saves rounds where a body does much that its successor does not wait for, and nothing where
each pass waits for all of the last, as training does.  Rounds are guessed here: compiling both ways to know them would
cost what rolling saves.
"""

from __future__ import annotations

from typing import Final

from mpc.circuit import Circuit, Node
from mpc.lowerer import STRUCTURAL

__all__ = ["side_by_side"]

LOCAL: Final = STRUCTURAL | {"add", "sub", "neg", "not", "xor", "sum", "cumsum", "to_fixed", "carried", "item", "param"}
PRODUCTS: Final = frozenset(["mul", "matmul", "and", "or", "select", "dot", "outer", "square", "mean"])
PRODUCT_ROUNDS: Final = 2
OTHER_ROUNDS: Final = 10
"""Comparisons, quotients, sigmoids, and whatever else there is."""

GAIN: Final = 1.2
"""How many times fewer rounds make writing out worth its longer compilation."""

Depths = list[float]
"""Rounds on the longest way to a value: from anywhere, then from each carried value (-inf where there is no way)."""


def side_by_side(body: Circuit, carried: int, count: int) -> bool:
    """True if `count` passes written out would take clearly fewer rounds than one after another."""
    depths: list[Depths] = []
    for _, node in body:
        depths.append(_depths(node, [depths[i] for i in node.src], carried))
    results = [depths[i] for i in body.results]
    whole = max((d[0] for d in results), default=0.0)
    rate = _rate([d[1:] for d in results])
    return count * whole > GAIN * (whole + (count - 1) * rate)


def _depths(node: Node, operands: list[Depths], carried: int) -> Depths:
    if node.op == "param":
        number = int(node["index"])
        return [0.0, *(0.0 if number == k else -float("inf") for k in range(1, carried + 1))]
    before = [max(column) for column in zip(*operands, strict=True)] or [0.0, *[-float("inf")] * carried]
    return [d + _rounds(node) for d in before]


def _rounds(node: Node) -> float:
    if not any(t.secret for t in node.types) or node.op in LOCAL:
        return 0.0
    inner = node.get("body")
    if isinstance(inner, Circuit):
        count = node["count"] if isinstance(node["count"], int) else 1
        return count * sum(_rounds(n) for _, n in inner)
    return PRODUCT_ROUNDS if node.op in PRODUCTS else OTHER_ROUNDS


def _rate(ways: list[list[float]]) -> float:
    """Rounds that each further pass adds: the largest mean of a cycle from carried values back to themselves.

    ways[j][i]: rounds from carried value i to what the pass makes of carried value j.
    """
    n = len(ways)
    reach, best = ways, 0.0
    for length in range(1, n + 1):
        best = max([best, *(reach[i][i] / length for i in range(n))])
        reach = [[max((ways[j][k] + reach[k][i] for k in range(n)), default=0.0) for i in range(n)] for j in range(n)]
    return best
