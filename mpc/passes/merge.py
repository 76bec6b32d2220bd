"""Merged truncation: what is truncated and then truncated again, with nothing else in between, is truncated once.

A gradient times a step of 1/2 is such a pair, and a mean over a power of two of products.  It saves the second one's
rounds and messages, and its unit of error.
"""

from __future__ import annotations

from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, in_bodies, uses

__all__ = ["merge_truncations"]

MOST = 61
"""The most bits that one truncation takes off."""

BETWEEN = frozenset(["reshape", "neg", "transpose"])
"""Local operations that exchange with a truncation."""


def merge_truncations(circuit: Circuit) -> Circuit:
    """trunc(trunc(z, a), b) -> trunc(z, a + b), likewise for a fused product, where nothing else uses the inner one."""
    circuit = in_bodies(circuit, merge_truncations)
    count = uses(circuit)
    more: dict[int, int] = {}
    skip: dict[int, Node] = {}
    for index, node in reversed(tuple(circuit)):
        if node.op != "trunc":
            continue
        m = node["m"] + more.get(index, 0)
        inner = _inner(circuit, count, node.src[0])
        if inner is None or circuit.nodes[inner].type.dtype != node.type.dtype:
            continue
        if circuit.nodes[inner]["m"] + m <= MOST:
            more[inner] = m
            skip[index] = node
    out = Rebuild()
    for index, node in circuit:
        if index in skip:
            out.where[index] = out.where[node.src[0]]
        elif index in more:
            out.where[index] = out.add(out.moved(replace(node, attrs=(("m", node["m"] + more[index]),))))
        else:
            out.copy(index, node)
    return out.finish(circuit.results)


def _inner(circuit: Circuit, count: list[int], index: int) -> int | None:
    """The truncation that a value is, but for local operations on it; None where other things use it."""
    while count[index] == 1:
        node = circuit.nodes[index]
        if node.op in ("trunc", "mul_trunc", "matmul_trunc"):
            return index
        if node.op not in BETWEEN:
            return None
        index = node.src[0]
    return None
