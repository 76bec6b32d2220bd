"""The first rows of one owner's, in an order, as its database finds them.

For: `First`, `first_rows`.
Leaves to others: what rows there are (`frames`), asking, and putting the rows in order (`pushed`).

Rows that one party sees are ordered by all that they hold (`dsl.query.ordering`), so that rows whose order is left open
are the same.  The order of identifiers is not known to the database: all rows are asked for that the keys before them
leave open.  Where not all columns are keys, one more row than are wanted is, so that it is seen whether the keys tell
rows apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mpc.circuit import Node, reachable
from runtime.sources.frames import Frames, Rows
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Truth
from runtime.sources.placed import key_of
from runtime.sources.totals import shown

__all__ = ["First", "first_rows"]

_OUTSIDE: Final = frozenset({"input", "match_rows", "sort_rows"})
"""Operations that bring columns which the sort has not put in order."""


@dataclass(frozen=True, slots=True)
class First:
    """Slices of rows after a sort: from `start` to `stop` of its order.

    keys: by which rows are ordered, each with whether it descends. columns: what is asked for, by name: k0, k1, … the
    keys. slices: the column of each. absent: of these, what stands in rows where nothing is; None: what stands in the
    first. apart: whether it must be seen that the keys tell rows apart. fewer: whether there may be fewer rows.
    """

    statement: str
    keys: tuple[tuple[Part, bool], ...]
    columns: Mapping[str, Part]
    slices: tuple[str, ...]
    absent: tuple[bool | None, ...]
    start: int
    stop: int
    apart: bool
    fewer: bool


def first_rows(frames: Frames, nodes: Sequence[int]) -> First:
    """What is asked in place of slices of the same rows of one sort's.  Raises NotInSQLError."""
    circuit = frames.circuit
    (index,) = {sorted_by(frames, i) for i in nodes}
    sort, (start, stop) = circuit.nodes[index], _cut(circuit.nodes[nodes[0]])
    frame = frames.among(sort.src)
    if frame is None or (frames.padded(frame) and not _hides(frames, sort)):
        raise NotInSQLError
    rows = Rows(frames, frame)
    by: dict[Part, bool] = {}
    for at in range(sort["keys"]):
        for part in key_of(rows, sort.src, at):
            by.setdefault(part, bool(sort["descending"][at]))
    keys = list(by.items())
    parts = [rows.expressions.value(circuit.nodes[i].src[0]) for i in nodes]
    names = {part: f"k{i}" for i, (part, _) in enumerate(keys)}
    for part in parts:
        names.setdefault(part, f"g{len(names)}")
    absent = [_absent(frames, index, circuit.nodes[i].src[0]) for i in nodes]
    return First(
        _statement(rows, keys, names, stop + (sort["keys"] < len(sort.src))),
        tuple(keys),
        {name: part for part, name in names.items()},
        tuple(names[part] for part in parts),
        tuple(bool(x) if isinstance(p, Truth) else None for x, p in zip(absent, parts, strict=True)),
        start,
        stop,
        apart=sort["keys"] < len(sort.src),
        fewer=frames.padded(frame),
    )


def sorted_by(frames: Frames, index: int) -> int:
    """The sort of whose rows a slice keeps some.  Raises NotInSQLError for any other node."""
    circuit = frames.circuit
    node = circuit.nodes[index]
    _cut(node)
    size = circuit.nodes[node.src[0]].type.shape[0]
    if node["parts"][0] == (0, size, 1) or not isinstance(size, int):
        raise NotInSQLError
    found = _sorts(frames, node.src[0])
    if len(found) != 1:
        raise NotInSQLError
    return found.pop()


def _cut(node: Node) -> tuple[int, int]:
    """Which rows a slice keeps, of texts with their first words."""
    (start, stop, step), *more = node["parts"]
    if step != 1 or any(part[0] or part[2] != 1 for part in more) or not isinstance(stop, int):
        raise NotInSQLError
    return start, stop


def _sorts(frames: Frames, index: int) -> set[int]:
    """The sorts of which a node is worked out, row by row."""
    circuit = frames.circuit
    after = _Sorted(frames)
    below = reachable(circuit, [index], stop=after)
    sorts = {circuit.nodes[i].src[0] for i in below if i in after}
    if any(circuit.nodes[i].op in _OUTSIDE or (circuit.nodes[i].op == "item" and i not in after) for i in below):
        raise NotInSQLError
    return sorts


class _Sorted:
    """The nodes that are sorted columns."""

    def __init__(self, frames: Frames) -> None:
        self._nodes = frames.circuit.nodes

    def __contains__(self, index: object) -> bool:
        node = self._nodes[index] if isinstance(index, int) else None
        return node is not None and node.op == "item" and self._nodes[node.src[0]].op == "sort_rows"


def _hides(frames: Frames, sort: Node) -> bool:
    """Whether rows that stand for nothing come last."""
    hidden = frames.circuit.nodes[sort.src[0]]
    return hidden.op == "not" and frames.present(hidden.src[0]) and not sort["descending"][0]


def _absent(frames: Frames, sort: int, index: int) -> bool | None:
    """A truth value of rows that stand for nothing, where that is known."""
    node = frames.circuit.nodes[index]
    if node.op == "item" and node.src[0] == sort:
        return True if node["index"] == 0 else None
    if node.op not in ("not", "and", "or"):
        return None
    parts = [_absent(frames, sort, i) for i in node.src]
    if node.op == "not":
        return None if parts[0] is None else not parts[0]
    decides = node.op == "or"
    if decides in parts:
        return decides
    return None if None in parts else not decides


def _statement(rows: Rows, keys: Sequence[tuple[Part, bool]], names: Mapping[Part, str], number: int) -> str:
    """So many first rows, and, where the order of the next key is not known, those that are no further than these."""
    dialect = rows.frames.dialect
    known = next((at for at, (part, _) in enumerate(keys) if isinstance(part, Key)), len(keys))
    order = ", ".join(f"{_ordering(part)}{' desc' if down else ''}" for part, down in keys[:known] if not _same(part))
    if not order:
        raise NotInSQLError
    listed = ", ".join(f"{shown(part, dialect)} as {name}" for part, name in names.items())
    if known == len(keys):
        return f"select {listed} from {rows.source} order by {order} limit {number}"
    inner = f"select {listed}, rank() over (order by {order}) as place from {rows.source}"
    return f"select {', '.join(names.values())} from ({inner}) as parley_first where place <= {number}"


def _same(part: Part) -> bool:
    """Whether it is a number of the study, which would be a column's place."""
    return isinstance(part, Number) and part.constant is not None


def _ordering(part: Part) -> str:
    return f"case when {part.sql} then 1 else 0 end" if isinstance(part, Truth) else part.sql
