"""Weighted sums of the same truth values are made in one step, whose bits are then brought to the ring once."""

from __future__ import annotations

from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, in_bodies

__all__ = ["weigh_together"]


def weigh_together(circuit: Circuit) -> Circuit:
    """One `weigh` for all of the same truth values, without those of no weight; each takes its own sums of it."""
    circuit = in_bodies(circuit, weigh_together)
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, node in circuit:
        if node.op == "weigh":
            groups.setdefault(node.src, []).append(index)
    first = {members[0]: members for members in groups.values()}
    out = Rebuild()
    for index, node in circuit:
        if index in first:
            _together(circuit, first[index], out)
        elif node.op != "weigh":
            out.copy(index, node)
    return out.finish(circuit.results)


def _together(circuit: Circuit, members: list[int], out: Rebuild) -> None:
    nodes = [circuit.nodes[i] for i in members]
    first, lead = nodes[0], nodes[0].type.shape[:-1]
    table = [sum((n["weights"][j] for n in nodes), ()) for j in range(len(first.src))]
    used = [j for j, row in enumerate(table) if any(row)]
    kind = first.type.with_(shape=(*lead, len(table[0])))
    src = tuple(out.where[first.src[j]] for j in used)
    attrs = (("weights", tuple(table[j] for j in used)),)
    whole = out.add(replace(first, src=src, attrs=attrs, type=kind))
    at = 0
    for index, node in zip(members, nodes, strict=True):
        width = node.type.sizes[-1]
        parts = (*((0, d, 1) for d in lead), (at, at + width, 1))
        at += width
        out.where[index] = out.add(Node("slice", (whole,), (("parts", parts),), node.type, node.origin))
