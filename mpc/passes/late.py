"""Late truncation: a sum of truncated products is truncated once, where its range proves that the raw sum has room.

Truncating n products and adding them costs n truncations and n units of error; adding first costs one of each.
Lowering marks a sum as `roomy` when the interval of the result, at the raw products' scale, stays within the ring.
"""

from __future__ import annotations

from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, in_bodies, uses

__all__ = ["late_truncation"]


def late_truncation(circuit: Circuit) -> Circuit:
    """sum(trunc(z, m)) -> trunc(sum(z), m), and likewise for a fused product that nothing else uses."""
    circuit = in_bodies(circuit, late_truncation)
    count = uses(circuit)
    out = Rebuild()
    for index, node in circuit:
        source = circuit.nodes[node.src[0]] if node.src else None
        if node.op != "sum" or not node.get("roomy") or source is None or count[node.src[0]] > 1:
            out.copy(index, node)
            continue
        if source.op == "mul_trunc":
            raw = out.add(out.moved(replace(source, op="mul", attrs=())))
        elif source.op == "trunc":
            raw = out.where[source.src[0]]
        else:
            out.copy(index, node)
            continue
        summed = out.add(replace(node, src=(raw,)))
        m = (("m", source["m"]),)
        out.where[index] = out.add(Node("trunc", (summed,), m, node.type, node.origin))
    return out.finish(circuit.results)
