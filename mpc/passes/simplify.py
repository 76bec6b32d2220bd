"""Folding, sharing and dropping: passes that leave fewer nodes and the same values."""

from __future__ import annotations

from collections.abc import Hashable

from mpc.circuit import Circuit, Const, Node, reachable
from mpc.local import encode
from mpc.passes.rewrite import Rebuild, in_bodies, keep

__all__ = ["dead", "fold", "same"]

IMPURE = frozenset(["input", "param", "carry", "permutation", "random_bits", "reveal", "loop"])


def fold(circuit: Circuit) -> Circuit:
    """Encode public constants now and not at every run (in a loop: at every iteration)."""
    out = Rebuild()
    for index, node in in_bodies(circuit, fold):
        moved = out.moved(node)
        if node.op in ("encode", "reshape") and node.type.public and node.type.layout.value == "ring":
            source = out.nodes[moved.src[0]]
            if source.op == "const":
                value: Const = source["value"]
                if node.op == "encode":
                    array = encode(value.array, source.type, node["frac"], node.type.dtype.bits)
                else:
                    array = value.array.reshape(node["shape"])
                moved = Node("const", (), (("value", Const(array)),), node.type, node.origin)
        out.where[index] = out.add(moved)
    return out.finish(circuit.results)


def same(circuit: Circuit) -> Circuit:
    """Equal operations on equal operands are one (common sub-expressions)."""
    out = Rebuild()
    seen: dict[Hashable, int] = {}
    for index, node in in_bodies(circuit, same):
        moved = out.moved(node)
        if node.op in IMPURE:
            out.where[index] = out.add(moved)
            continue
        key = (moved.op, moved.src, moved.attrs, moved.type, moved.outs)
        known = seen.get(key)
        if known is None:
            known = seen[key] = out.add(moved)
        out.where[index] = known
    return out.finish(circuit.results)


def dead(circuit: Circuit) -> Circuit:
    """Drop what neither a reveal nor a result needs."""
    circuit = in_bodies(circuit, dead)
    roots = [i for i, node in circuit if node.op == "reveal"]
    return keep(circuit, reachable(circuit, [*roots, *circuit.results]))
