"""Divisions whose result is chosen only where the divisor is not 0.

For: `guarded_divisions`, so that `parley check` does not speak of them.
Leaves to others: what is said of the other divisions (`lower`).

A quotient is guarded if all that it leads to is chosen by conditions which say of the same divisor that it is not 0:
`x / n if n > 0 else 0`, or an assignment under `if n != 0:`.  On the way there may be element-wise operations alone:
these, and the choice, set entries of divisor, condition and quotient side by side in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from mpc.circuit import Circuit, Const, Node

__all__ = ["DIVISIONS", "guarded_divisions"]

DIVISIONS: Final = frozenset({"div", "floordiv", "mod", "reciprocal"})

ELEMENTWISE: Final = frozenset(
    {
        "abs", "add", "and", "ceil", "clip", "div", "eq", "exp", "floor", "floordiv", "log", "lt", "maximum", "minimum",
        "mod", "mul", "neg", "not", "of_units", "or", "power", "reciprocal", "relu", "round", "round_to", "rsqrt",
        "select", "sigmoid", "sign", "softplus", "sqrt", "square", "sub", "tanh", "to_fixed", "to_int", "units",
        "within", "xor",
    }
)  # fmt: skip


def guarded_divisions(circuit: Circuit, roots: Collection[int]) -> frozenset[int]:
    """The divisions of a circuit, or of a loop's body, of which no result is used where the divisor is 0.

    roots: the nodes that are used beside their uses in the circuit.
    """
    found = [i for i, node in circuit if node.op in DIVISIONS]
    if not found or all(node.op != "select" for _, node in circuit):
        return frozenset()
    uses: dict[int, list[int]] = {}
    for index, node in circuit:
        for i in dict.fromkeys(node.src):
            uses.setdefault(i, []).append(index)
    return frozenset(i for i in found if _guarded(circuit, uses, roots, i))


def _guarded(circuit: Circuit, uses: dict[int, list[int]], roots: Collection[int], division: int) -> bool:
    divisor = _plain(circuit, circuit.nodes[division].src[-1])
    todo, seen = [division], set()
    while todo:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        if at in roots or not uses.get(at):
            return False
        for user in uses[at]:
            node = circuit.nodes[user]
            if node.op == "select" and _chosen(circuit, node, at, divisor):
                continue
            if node.op not in ELEMENTWISE:
                return False
            todo.append(user)
    return True


def _chosen(circuit: Circuit, node: Node, at: int, divisor: int) -> bool:
    """Whether a choice takes `at` only where the divisor is not 0."""
    condition, yes, no = node.src
    if at == condition:
        return False
    sides = [holds for side, holds in ((yes, True), (no, False)) if side == at]
    return all(any(_nonzero(circuit, c, h, divisor) for c, h in _facts(circuit, condition, s)) for s in sides)


def _facts(circuit: Circuit, condition: int, holds: bool) -> Iterator[tuple[int, bool]]:
    """The conditions that are known where this one holds, or does not."""
    node = circuit.nodes[condition]
    if node.op in ("not", "broadcast_to", "keep"):
        yield from _facts(circuit, node.src[0], holds != (node.op == "not"))
    elif node.op == ("and" if holds else "or"):
        for i in node.src:
            yield from _facts(circuit, i, holds)
    else:
        yield condition, holds


def _nonzero(circuit: Circuit, condition: int, holds: bool, divisor: int) -> bool:
    """Whether it follows that the divisor is not 0."""
    node = circuit.nodes[condition]
    if node.op not in ("eq", "lt"):
        return False
    x, y = (_plain(circuit, i) for i in node.src)
    below, above = (_bounds(circuit, i) for i in (x, y))
    if node.op == "eq":
        return not holds and ((x == divisor and above == (0, 0)) or (y == divisor and below == (0, 0)))
    # A constant that is no multiple of the smallest number is rounded to one when it meets shares, perhaps to 0.
    least = max(2.0 ** -circuit.nodes[i].type.dtype.frac for i in node.src)
    if x == divisor and above is not None:  # divisor < c, or divisor >= c
        return above[1] <= 0 if holds else above[0] >= least
    if y == divisor and below is not None:  # c < divisor, or c >= divisor
        return below[0] >= 0 if holds else below[1] <= -least
    return False


def _bounds(circuit: Circuit, index: int) -> tuple[float, float] | None:
    """The smallest and the largest entry of a constant."""
    node = circuit.nodes[index]
    if node.op != "const":
        return None
    const = node["value"]
    assert isinstance(const, Const)
    return (float(const.array.min()), float(const.array.max())) if const.array.size else None


def _plain(circuit: Circuit, index: int) -> int:
    """What has the same numbers, perhaps in another type."""
    node = circuit.nodes[index]
    while node.op in ("to_int", "within", "broadcast_to", "variable", "carried") or (
        node.op == "to_fixed" and circuit.nodes[node.src[0]].type.dtype.kind != "fixed"
    ):
        index = node.src[0]
        node = circuit.nodes[index]
    return index
