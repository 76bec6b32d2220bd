"""Joining: equal small operations that start in the same round become one on a longer array.

Their messages would travel in one frame anyway; what is saved is the fixed work of a step (random draws, views, calls),
and for truth values the padding of each to whole bytes.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, in_bodies
from mpc.protocol import ELEMENTWISE, interactive
from mpc.types import Type, count

__all__ = ["join"]

SMALL = 4096
"""Elements above which an operation stands alone: its fixed work no longer matters."""


def join(circuit: Circuit) -> Circuit:
    """One operation for each group of equal ones of the same depth and equal attributes."""
    circuit = in_bodies(circuit, join)
    groups = _groups(circuit)
    if not groups:
        return circuit
    member = {i: group for group in groups for i in group}
    out = Rebuild()
    for index in _order(circuit, groups):
        group = member.get(index)
        if group is None:
            out.copy(index, circuit.nodes[index])
        elif index == group[0]:
            _joined(circuit, group, out)
    return out.finish(circuit.results)


def _groups(circuit: Circuit) -> list[tuple[int, ...]]:
    """Operations that depend on equally many interactive ones in a row, so that none needs another."""
    depth: list[int] = []
    found: dict[Hashable, list[int]] = {}
    for index, node in circuit:
        here = max((depth[i] + _waits(circuit.nodes[i]) for i in node.src), default=0)
        depth.append(here)
        shapes = [circuit.nodes[i].type.shape for i in node.src]
        if (
            node.op in ELEMENTWISE
            and interactive(node)
            and all(s == shapes[0] for s in shapes)
            and 0 < count(shapes[0]) <= SMALL
        ):
            dtypes = tuple(circuit.nodes[i].type.dtype for i in node.src)
            square = len(node.src) == 2 and node.src[0] == node.src[1]
            found.setdefault((here, node.op, node.attrs, dtypes, node.type.dtype, square), []).append(index)
    return [tuple(g) for g in found.values() if len(g) > 1]


def _waits(node: Node) -> bool:
    return interactive(node) or node.op in ("loop", "tell")


def _order(circuit: Circuit, groups: list[tuple[int, ...]]) -> list[int]:
    """An order in which every operand of a whole group comes before its first member."""
    member = {i: group for group in groups for i in group}
    done: set[int] = set()
    order: list[int] = []
    for start in range(len(circuit)):
        todo = [start]
        while todo:
            i = todo[-1]
            if i in done:
                todo.pop()
                continue
            group = member.get(i, (i,))
            missing = [s for g in group for s in circuit.nodes[g].src if s not in done]
            if missing:
                todo.extend(missing)
                continue
            todo.pop()
            order.extend(group)
            done.update(group)
    return order


def _joined(circuit: Circuit, group: tuple[int, ...], out: Rebuild) -> None:
    nodes = [circuit.nodes[i] for i in group]
    sizes = [count(circuit.nodes[n.src[0]].type.shape) for n in nodes]
    total = sum(sizes)
    first = nodes[0]
    operands = []
    for k in range(len(first.src)):
        parts = []
        for node, size in zip(nodes, sizes, strict=True):
            source = circuit.nodes[node.src[k]]
            flat = source.type.with_(shape=(size,))
            parts.append(_reshape(out, out.where[node.src[k]], source.type, flat, node))
        whole = circuit.nodes[first.src[k]].type.with_(shape=(total,))
        operands.append(out.add(Node("concat", tuple(parts), (("axis", 0),), whole, first.origin)))
    tail = first.type.shape[len(circuit.nodes[first.src[0]].type.shape) :]
    result = out.add(replace(first, src=tuple(operands), type=first.type.with_(shape=(total, *tail))))
    at = 0
    for index, node, size in zip(group, nodes, sizes, strict=True):
        parts_ = ((at, at + size, 1), *((0, d, 1) for d in tail))
        flat = node.type.with_(shape=(size, *tail))
        piece = out.add(Node("slice", (result,), (("parts", parts_),), flat, node.origin))
        out.where[index] = _reshape(out, piece, flat, node.type, node)
        at += size


def _reshape(out: Rebuild, index: int, old: Type, new: Type, node: Node) -> int:
    if old.shape == new.shape:
        return index
    return out.add(Node("reshape", (index,), (("shape", new.shape),), new, node.origin))
