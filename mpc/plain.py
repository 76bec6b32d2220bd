"""The plain protocol: a surface circuit computed in the clear, by the definition (`ref`) of every operation.

It is what `parley run --plain` does, and what all protocols are held against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Circuit, Node, natural, reachable
from mpc.exact import certain, compute

__all__ = ["evaluate", "outputs"]

Key = tuple[str, str, str]
"""(party, name of the input or table, column; empty for an array)."""


def evaluate(
    circuit: Circuit,
    inputs: Mapping[Key, Array],
    roots: Iterable[int] | None = None,
    before: Mapping[int, Any] | None = None,
) -> dict[int, Any]:
    """The values of the nodes that `roots` need (all reveals, stores and results when not given), by node.

    Leaves of what was stored are among the inputs, of no party, by their place. before: values of an earlier stage,
    which are not computed again: noise is drawn once.  OverflowsError where what is revealed, stored or opened depends
    on a whole number that does not fit.
    """
    if roots is None:
        roots = [*circuit.results, *(i for i, node in circuit if node.op in ("reveal", "store"))]
    done = before or {}
    return _run(circuit, reachable(circuit, roots, stop=done.keys()), inputs, {}, done)


def outputs(circuit: Circuit, values: Mapping[int, Any]) -> dict[tuple[str, str], Array]:
    """What the reveals among `values` say, by (name, column), where each name is revealed once."""
    return {
        (node["name"], node.get("column", "")): values[i] for i, node in circuit if node.op == "reveal" and i in values
    }


def _run(
    circuit: Circuit,
    needed: set[int],
    inputs: Mapping[Key, Array],
    params: Mapping[int, Any],
    done: Mapping[int, Any],
) -> dict[int, Any]:
    values = dict(done)
    for index, node in circuit:
        if index in needed and index not in done:
            values[index] = _node(circuit, index, [values[i] for i in node.src], inputs, params)
    return values


def _node(
    circuit: Circuit, index: int, src: Sequence[Any], inputs: Mapping[Key, Array], params: Mapping[int, Any]
) -> Any:
    node = circuit.nodes[index]
    match node.op:
        case "const":
            return node["value"].array
        case "input":
            value = np.asarray(inputs[node["party"], node["name"], node.get("column", "")])
            if value.shape != node.type.sizes:
                raise ValueError(f"{node['name']}: shape {node.type.sizes} is wanted, {value.shape} given")
            return value.astype(natural(node.type.dtype))
        case "param":
            return params[node["index"]]
        case "item":
            return src[0][node["index"]]
        case "stored":
            return inputs["", node["name"], str(node["index"])]
        case "reveal" | "store" | "open":
            return certain(src[0])
        case "loop":
            return _loop(node, src, inputs)
        case _:
            return compute(circuit, index, src)


def _loop(node: Node, src: Sequence[Any], inputs: Mapping[Key, Array]) -> tuple[Any, ...]:
    body: Circuit = node["body"]
    carried: int = node["carried"]
    needed = reachable(body, body.results)
    state, rest = list(src[:carried]), src[carried:]
    for k in range(node["count"]):
        index = np.asarray(node["start"] + node["step"] * k, np.int64)
        values = _run(body, needed, inputs, dict(enumerate([index, *state, *rest])), {})
        state = [values[i] for i in body.results]
    return tuple(state)
