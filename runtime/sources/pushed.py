"""What an owner's database is asked in place of nodes of a circuit that the owner alone sees: groups, totals and
first rows.

For: `Question`, `question`, `together`; `column_of`.
Leaves to others: the statements (`groupings`), which nodes are asked for (`runtime.supply_own`).

The answer has the circuit's form: groups and first rows in the order of their keys, then rows that stand for nothing,
which repeat the first, up to the size that all know.  Where a database gives none (no rows are there, or the keys do
not tell them apart) the circuit is computed as it is for files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec
from mpc.circuit import natural
from mpc.circuits.relational_sort import key_codes
from mpc.types import Type
from runtime.sources.first import First, first_rows, sorted_by
from runtime.sources.frames import TOTALS, Frame, Frames
from runtime.sources.groupings import buckets, grouping
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Text, Truth
from runtime.sources.totals import shown
from runtime.sources.totals import totals as of_all_rows

__all__ = ["ASKED", "Question", "column_of", "question", "together"]

ASKED: Final = frozenset(["group_rows", "bucket_sums", "slice", *TOTALS])
"""Operations whose results a database may be asked for."""

_FITS: Final = 2.0**62

Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """A statement in place of `nodes`, and the columns that it gives."""

    nodes: tuple[int, ...]
    statement: str
    columns: tuple[ColumnSpec, ...]
    types: tuple[Type, ...]
    grouped: bool = False
    descending: tuple[bool, ...] = ()
    """Of groups: for each key."""
    ranks: tuple[tuple[int, tuple[int, int, bool]], ...] = ()
    """Results that number keys."""
    weighed: tuple[tuple[int, int], ...] = ()
    """Results that are sums of products, and of how many."""
    first: First | None = None
    """Of first rows."""

    def results(self, answer: Values) -> dict[int, Any] | None:
        """The values of the nodes; None when the circuit is to be computed."""
        if self.grouped:
            groups = _groups(self, answer)
            return None if groups is None else {self.nodes[0]: groups}
        if self.first is not None:
            rows = _first(self, self.first, answer)
            return None if rows is None else dict(zip(self.nodes, rows, strict=True))
        if "b" in answer:
            return {self.nodes[0]: _buckets(self, answer)}
        if not all(there.all() for name, there in answer.items() if name.endswith("?")):
            return None
        return {n: answer[f"g{i}"].reshape(()) for i, n in enumerate(self.nodes)}


def question(frames: Frames, index: int) -> Question:
    """What is asked in place of the node `index`, one of `ASKED`.  Raises NotInSQLError."""
    node = frames.circuit.nodes[index]
    if node.op == "group_rows":
        groups = grouping(frames, index)
        statement = groups.statement(lambda part: shown(part, frames.dialect))
        columns = [column_of(f"k{i}", key) for i, (key, _) in enumerate(groups.keys)]
        columns += [column_of(f"g{at}", part) for at, part in groups.columns.items()]
        columns += [column_of(name, part) for name, part in groups.factors]
        down = tuple(down for _, down in groups.keys)
        weighed = tuple((at, len(products)) for at, products in groups.weighed.items())
        ranks = tuple(groups.ranks.items())
        return Question((index,), statement, tuple(columns), node.types, True, down, ranks, weighed)
    if node.op == "bucket_sums":
        statement, number = buckets(frames, index)
        names = ["b", *(f"g{i}" for i in range(number))]
        return Question((index,), statement, tuple(ColumnSpec(name, "int") for name in names), node.types)
    return together(frames, [index])[0]


def together(frames: Frames, nodes: Sequence[int]) -> list[Question]:
    """What is asked in place of nodes that are totals or first rows: of those of the same rows one.

    Raises NotInSQLError.
    """
    ops = {i: frames.circuit.nodes[i].op for i in nodes}
    out = _totals(frames, [i for i in nodes if ops[i] in TOTALS])
    same: dict[Any, list[int]] = {}
    for i in nodes:
        if ops[i] == "slice":
            same.setdefault((sorted_by(frames, i), frames.circuit.nodes[i]["parts"][0]), []).append(i)
    for some in same.values():
        first = first_rows(frames, some)
        columns = [column_of(name, part) for name, part in first.columns.items()]
        types = tuple(frames.circuit.nodes[i].type for i in some)
        down = tuple(down for _, down in first.keys)
        out.append(Question(tuple(some), first.statement, tuple(columns), types, descending=down, first=first))
    return out


def _totals(frames: Frames, nodes: Sequence[int]) -> list[Question]:
    same: dict[Frame | None, list[int]] = {}
    for index in nodes:
        same.setdefault(frames.of(frames.circuit.nodes[index].src[0]), []).append(index)
    out = []
    for some in same.values():
        types = tuple(frames.circuit.nodes[i].type for i in some)
        columns = tuple(
            ColumnSpec(
                f"g{i}",
                "fixed" if t.dtype.kind == "fixed" else "int",
                nullable=frames.circuit.nodes[n].op != "sum",
                computed=True,
            )
            for i, (n, t) in enumerate(zip(some, types, strict=True))
        )
        out.append(Question(tuple(some), of_all_rows(frames, some), columns, types))
    return out


def column_of(name: str, part: Part) -> ColumnSpec:
    """How a value of a statement is read.  Raises NotInSQLError."""
    match part:
        case Number():
            return ColumnSpec(name, "fixed" if part.low is None else "int", computed=True)
        case Truth():
            return ColumnSpec(name, "bool")
        case Text():
            return ColumnSpec(name, "text", length=part.length)
        case Key():
            return ColumnSpec(name, "key", nullable=True)
    raise NotInSQLError


def _groups(asked: Question, answer: Values) -> tuple[NDArray[Any], ...] | None:
    keys = [answer[f"k{i}"] for i in range(len(asked.descending))]
    number, size = len(next(iter(answer.values()))), asked.types[0].sizes[0]
    if not 0 < number <= size:
        return None
    codes = key_codes(keys, asked.descending)
    order = np.lexsort(tuple(reversed(codes))) if codes else np.arange(number)
    if number > 1:
        before, after = (np.stack([c[o] for c in codes]) for o in (order[:-1], order[1:]))
        if (before == after).all(axis=0).any():
            return None
    ranks, weighed = dict(asked.ranks), dict(asked.weighed)
    out = [np.arange(size) < number]
    for at, t in enumerate(asked.types[1:], start=1):
        filled = np.zeros(t.sizes, natural(t.dtype))
        values = answer.get(f"g{at}")
        if at in weighed:
            values = _added([(answer[f"x{at}_{i}"], answer[f"w{at}_{i}"]) for i in range(weighed[at])])
            if values is None:
                return None
        if values is not None:
            _put(filled, values[order])
        if at in ranks:
            first, last, optional = ranks[at]
            numbers = _numbered([c[order] for c in key_codes(keys)[first:last]])
            _put(filled, np.where(keys[first - 1][order], 0, numbers) if optional else numbers)
        out.append(filled)
    return tuple(out)


def _first(asked: Question, first: First, answer: Values) -> list[NDArray[Any]] | None:
    codes = key_codes([answer[f"k{i}"] for i in range(len(first.keys))], asked.descending)
    order = np.lexsort(tuple(reversed(codes)))
    if first.apart:
        there = np.stack([c[order] for c in codes])[:, : first.stop + 1]
        if (there[:, 1:] == there[:, :-1]).all(axis=0).any():
            return None
    order = order[first.start : first.stop]
    number = first.stop - first.start
    if not len(order) or (len(order) < number and not first.fewer):
        return None
    out = []
    for t, name, absent in zip(asked.types, first.slices, first.absent, strict=True):
        filled = np.zeros(t.sizes, natural(t.dtype))
        _put(filled, answer[name][order])
        if absent is not None:
            filled[len(order) :] = absent
        out.append(filled)
    return out


def _added(products: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> NDArray[np.int64] | None:
    """The sum of products of whole numbers; None where it may not fit, which is then found as it is for files."""
    most = sum(np.abs(x.astype(np.float64)) * np.abs(w.astype(np.float64)) for x, w in products)
    if not (np.asarray(most) < _FITS).all():
        return None
    return np.asarray(sum(x * w for x, w in products))


def _numbered(codes: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The number of each row's values, from 0 in their order."""
    _, number = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)
    return number.reshape(-1).astype(np.int64)


def _put(filled: NDArray[Any], values: NDArray[Any]) -> None:
    """Values at the front, the first of them behind."""
    if filled.ndim > 1:  # of a text that was known to be shorter the last words are empty
        filled = filled[:, : values.shape[1]]
        values = values[:, : filled.shape[1]]
    filled[: len(values)] = values
    filled[len(values) :] = values[0]


def _buckets(asked: Question, answer: Values) -> tuple[NDArray[Any], ...]:
    out = []
    for at, t in enumerate(asked.types):
        filled = np.zeros(t.sizes, natural(t.dtype))
        filled[answer["b"]] = answer[f"g{at}"]
        out.append(filled)
    return tuple(out)
