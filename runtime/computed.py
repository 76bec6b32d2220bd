"""Columns that an owner's database computes row by row, in place of those that they are computed from.

For: `Computed`, `computed`.
Leaves to others: groups, totals and rows that are kept (`owned`), expressions in SQL (`sources.expressions`).

Of one scan's rows, what leaves the plain computations of its columns (to be shared, sorted, looked up) is asked for in
their place where that is less to fetch: a truth value and no text, a product and no factors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from typing import Final, NamedTuple

from mpc.circuit import Circuit, Node
from runtime.sources.expressions import NotInSQLError, Part, Text
from runtime.sources.frames import Frame, Frames, Rows

__all__ = ["Computed", "computed"]

_PLAIN: Final = frozenset(
    {
        "and", "or", "not", "lt", "eq", "add", "sub", "mul", "neg", "floordiv", "mod", "to_int", "units", "select",
        "maximum", "minimum", "text_like", "text_less", "text_cut", "slice", "reshape",
    }
)  # fmt: skip
"""Operations whose results are worked out of the same row alone."""


class Computed(NamedTuple):
    """Of a scan (None: all rows of the table), the nodes and what they are in SQL."""

    table: str
    scan: int | None
    parts: Mapping[int, Part]


def computed(
    frames: Frames,
    scans: Iterable[Frame],
    needed: Collection[int],
    own: Container[int],
    back: Callable[[Collection[int]], set[int]],
    there: Callable[[Node], bool],
) -> list[Computed]:
    """What databases compute of these scans.

    needed: the nodes that are worked out or brought. own: those that the owner works out alone. back: what is needed
    when the results of some nodes are there. there: whether a column is there already.
    """
    out = []
    for frame in scans:
        if frames.padded(frame) and frame.at is None:
            continue  # rows that stand for nothing are zero, and what is computed of them need not be
        parts = _leaving(frames, frame, needed, own)
        if not parts:
            continue
        before, after = (_weight(frames, frame, nodes, there) for nodes in (needed, back(parts)))
        if after + sum(map(_size, parts.values())) < before:
            out.append(Computed(frame.table, frame.at, parts))
    return out


def _leaving(frames: Frames, frame: Frame, needed: Collection[int], own: Container[int]) -> dict[int, Part]:
    """The values of rows that are used by what is not one."""
    circuit = frames.circuit
    columns = {i for i in needed if circuit.nodes[i].op == "input" and _of(frames, i) == frame}
    plain = set(columns)
    for i in sorted(needed):
        node = circuit.nodes[i]
        mine = node.op in _PLAIN and i in own and _of(frames, i) == frame
        if mine and all(j in plain or circuit.nodes[j].op == "const" for j in node.src):
            plain.add(i)
    used, rows = _uses(circuit, needed), Rows(frames, frame)
    found: dict[int, Part] = {}
    while True:  # what has no SQL is worked out here, from what leaves before it
        leaving = [i for i in sorted(plain - columns) if not used.get(i, set()) <= plain and i not in found]
        said = {i: part for i in leaving if (part := _said(rows, i)) is not None}
        found |= said
        if len(said) == len(leaving):
            return found
        plain -= set(leaving) - said.keys()


def _said(rows: Rows, index: int) -> Part | None:
    """One value a row in SQL, or a text; None where there is none."""
    try:
        part = rows.expressions.value(index)
    except NotInSQLError:
        return None
    ndim = rows.frames.circuit.nodes[index].type.ndim
    return part if ndim == (2 if isinstance(part, Text) else 1) and not rows.joins else None


def _of(frames: Frames, index: int) -> Frame | None:
    try:
        return frames.of(index)
    except NotInSQLError:
        return None


def _uses(circuit: Circuit, needed: Collection[int]) -> dict[int, set[int]]:
    """Which needed nodes use each; one that is a result is used by what comes after, -1."""
    out: dict[int, set[int]] = {i: {-1} for i in circuit.results}
    for i in needed:
        for j in circuit.nodes[i].src:
            out.setdefault(j, set()).add(i)
    return out


def _weight(frames: Frames, frame: Frame, needed: Collection[int], there: Callable[[Node], bool]) -> int:
    """About how much is fetched of a scan's columns, in words a row."""
    nodes = [frames.circuit.nodes[i] for i in needed if frames.circuit.nodes[i].op == "input"]
    names = {n["column"].removesuffix("?") for n in nodes if _column_of(frames, n, frame) and not there(n)}
    specs = {c.name: c for c in frames.tables[frame.table].spec.columns}
    return sum(1 + specs[name].length // 8 for name in names if name in specs)


def _column_of(frames: Frames, node: Node, frame: Frame) -> bool:
    party = frames.tables[frame.table].spec.party
    return bool(node["party"] == party and (node["name"], node.get("scan")) == (frame.table, frame.at))


def _size(part: Part) -> int:
    return 1 + part.length // 8 if isinstance(part, Text) else 1
