"""Columns that an owner's database computes row by row, in place of those that they are computed from.

For: `Computed`, `computed`.
Leaves to others: groups, totals and rows that are kept (`owned`), expressions in SQL (`sources.expressions`).

Of one scan's rows, what leaves the plain computations of its columns (to be shared, sorted, grouped) is asked for in
their place where that is less to fetch: a truth value and no text, a product and no factors, and what the rows look up
in another table of the same database, and not that table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from itertools import chain, count
from typing import Final, NamedTuple

from mpc.circuit import Circuit, Node
from runtime.sources.frames import Frame, Frames, Rows
from runtime.sources.parts import NotInSQLError, Part, Text

__all__ = ["Computed", "computed"]

_PLAIN: Final = frozenset(
    {
        "and", "or", "not", "lt", "eq", "add", "sub", "mul", "neg", "floordiv", "mod", "to_int", "units", "select",
        "maximum", "minimum", "text_like", "text_less", "text_cut", "slice", "reshape",
        "wrapping",
    }
)  # fmt: skip
"""Operations whose results are worked out of the same row alone."""
_LOOKUPS: Final = frozenset({"lookup_rows", "match_rows"})
"""Operations that find for each row one of another table."""


class Computed(NamedTuple):
    """Of a scan (None: all rows of the table), nodes and what they are in SQL. joins: what they look up, after FROM."""

    table: str
    scan: int | None
    parts: Mapping[int, Part]
    joins: str


def computed(
    frames: Frames,
    scans: Mapping[Frame, int],
    needed: Collection[int],
    own: Container[int],
    back: Callable[[Collection[int]], set[int]],
    there: Callable[[Node], bool],
) -> list[Computed]:
    """What databases compute of these scans.

    scans: each with the first number that is in no name of its FROM. needed: the nodes that are worked out or brought.
    own: those that the owner works out alone. back: what is needed when the results of some nodes are there. there:
    whether a column is there already.
    """
    out: list[Computed] = []
    for frame, free in scans.items():
        if frames.padded(frame) and frame.at is None:
            continue  # rows that stand for nothing are zero, and what is computed of them need not be
        done = [i for one in out for i in one.parts]
        now = back(done) if done else needed
        leaving = _leaving(frames, frame, now, own)
        if not leaving:
            continue
        before, after = (_weight(frames, nodes, there) for nodes in (now, back([*done, *leaving])))
        rows = Rows(frames, frame, chain([0], count(free)))
        parts = {i: rows.expressions.value(i) for i in leaving}
        if after + sum(_size(part) * frames.circuit.nodes[i].type.sizes[0] for i, part in parts.items()) < before:
            out.append(Computed(frame.table, frame.at, parts, rows.joined))
    return out


def _leaving(frames: Frames, frame: Frame, needed: Collection[int], own: Container[int]) -> list[int]:
    """The values of rows that are used by what is not one."""
    circuit = frames.circuit
    columns = {i for i in needed if circuit.nodes[i].op == "input" and _of(frames, i) == frame}
    plain = set(columns)
    for i in sorted(needed):
        operands = _operands(circuit, i)
        mine = operands is not None and i in own and _of(frames, i) == frame
        if mine and operands is not None and all(j in plain or circuit.nodes[j].op == "const" for j in operands):
            plain.add(i)
    used, rows = _uses(circuit, needed), Rows(frames, frame)
    found: list[int] = []
    while True:  # what has no SQL is worked out here, from what leaves before it
        leaving = [i for i in sorted(plain - columns) if not used.get(i, set()) <= plain and i not in found]
        said = [i for i in leaving if _said(rows, i)]
        found += said
        if len(said) == len(leaving):
            return found
        plain -= {*leaving} - {*said}


def _operands(circuit: Circuit, index: int) -> Sequence[int] | None:
    """What of a row its value is worked out of; None where it is not of its own row alone, but for what it looks up."""
    node = circuit.nodes[index]
    if node.op in _LOOKUPS:
        return node.src[-1 - node["keys"] :]
    if node.op in _PLAIN or (node.op == "item" and circuit.nodes[node.src[0]].op in _LOOKUPS):
        return node.src
    return None


def _said(rows: Rows, index: int) -> bool:
    """Whether it is one value a row in SQL, or a text."""
    try:
        part = rows.expressions.value(index)
    except NotInSQLError:
        return False
    return rows.frames.circuit.nodes[index].type.ndim == (2 if isinstance(part, Text) else 1)


def _of(frames: Frames, index: int) -> Frame | None:
    node = frames.circuit.nodes[index]
    try:
        return frames.among(node.src[-1 - node["keys"] :]) if node.op in _LOOKUPS else frames.of(index)
    except NotInSQLError:
        return None


def _uses(circuit: Circuit, needed: Collection[int]) -> dict[int, set[int]]:
    """Which needed nodes use each; one that is a result is used by what comes after, -1."""
    out: dict[int, set[int]] = {i: {-1} for i in circuit.results}
    for i in needed:
        for j in circuit.nodes[i].src:
            out.setdefault(j, set()).add(i)
    return out


def _weight(frames: Frames, needed: Collection[int], there: Callable[[Node], bool]) -> int:
    """About how much is fetched of a database's columns, in words."""
    rows: dict[tuple[str, int | None, str], int] = {}
    for node in (frames.circuit.nodes[i] for i in needed):
        table = frames.tables.get(node["name"]) if node.op == "input" else None
        if table is not None and table.spec.party == node["party"] and not there(node):
            rows[node["name"], node.get("scan"), node["column"].removesuffix("?")] = node.type.sizes[0]
    lengths = {(name, c.name): c.length for name, table in frames.tables.items() for c in table.spec.columns}
    found = {key: n for key, n in rows.items() if (key[0], key[2]) in lengths}
    return sum(n * (1 + lengths[name, column] // 8) for (name, _, column), n in found.items())


def _size(part: Part) -> int:
    return 1 + part.length // 8 if isinstance(part, Text) else 1
