"""Scans of one table under the same conditions are one scan: a `with` query that is used twice is worked out once.

Every scan has `input` nodes of its own (`scan`), since an owner may leave rows out of one and not of another; one of
which no rows are left out reads the table's own.  Where the conditions are the same, so are the rows: the later scan
then reads what the earlier one brought,
and all that is computed from both is seen to be equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.op import catalogue

__all__ = ["same_scans"]

Signature = tuple[object, ...]


def same_scans(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The same nodes by number, in which scans under the same conditions read the first one's, and those under none
    the table's.
    """
    nodes = tuple(nodes)
    first = _firsts(nodes)
    if not first:
        return nodes
    known = catalogue()
    seen: dict[Signature, int] = {}
    where: list[int] = []
    out: list[Node] = []
    for index, node in enumerate(nodes):
        src = tuple(where[i] for i in node.src)
        node = node if src == node.src else replace(node, src=src)
        scan = node.get("scan")
        if scan is not None:
            read = first.get(scan, scan)
            attrs = ((k, read if k == "scan" else v) for k, v in node.attrs)
            node = replace(node, attrs=tuple((k, v) for k, v in attrs if k != "scan" or v is not None))
        pure = node.op in ("input", "keep") or node.op == "item" or (node.op in known and known[node.op].pure)
        what: Signature = (node.op, node.src, node.attrs, node.type, node.outs)
        where.append(seen.setdefault(what, index) if pure else index)
        out.append(node)
    return tuple(out)


def _firsts(nodes: Sequence[Node]) -> dict[int, int | None]:
    """For each scan that repeats one before it, which one that is; None for one without conditions."""
    conditions: dict[int, list[Signature]] = {}
    number: dict[Signature, int] = {}
    ids: list[int] = []
    for index, node in enumerate(nodes):
        attrs = tuple((k, v) for k, v in node.attrs if k != "scan")
        loop = any(isinstance(v, Circuit) for _, v in attrs)
        what: Signature = (index,) if loop else (node.op, attrs, node.type, tuple(ids[i] for i in node.src))
        ids.append(number.setdefault(what, index))
        if node.op == "keep":
            conditions.setdefault(node["scan"], []).append((node["name"], node["at"], ids[-1]))
    seen: dict[tuple[Signature, ...], int] = {}
    scans = dict.fromkeys(node["scan"] for node in nodes if node.get("scan") is not None)
    first = {s: seen.setdefault(tuple(conditions[s]), s) if s in conditions else None for s in scans}
    return {scan: other for scan, other in first.items() if other != scan}
