"""Sums, smallest and largest values, of a group or of all rows, as an owner's database works them out.

For: `added`, `extreme`; `totals` (of all rows), `total` (one as a value of a statement); `shown` (a value as a
statement gives it).
Leaves to others: what rows there are (`frames`, `placed`), groups (`groupings`), asking (`pushed`).

What is added up is whole numbers: a `fixed` as whole numbers of its last place, as the circuit has it, so that a sum is
the same in any order; one that is no 64-bit number ends the job with the database's own error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runtime.sources.dialects import Dialect
from runtime.sources.frames import Frames, Rows
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Text, Truth
from runtime.sources.placed import Placed

__all__ = ["LEAST", "MOST", "added", "extreme", "shown", "total", "totals"]

LEAST, MOST = -(2**63), 2**63 - 1


def shown(part: Part, dialect: Dialect) -> str:
    """A value as this program reads it."""
    match part:
        case Text():
            return dialect.shown.format(part.sql)
        case Key() if part.family == "text":
            return dialect.shown.format(part.sql)
    return part.sql


def added(rows: Rows | Placed, index: int) -> Number:
    """The sum of a node.  Raises NotInSQLError."""
    part = rows.expressions.value(index)
    if isinstance(part, Truth):
        part = Number(f"case when {part.sql} then 1 else 0 end", 0, 1)
    if not isinstance(part, Number) or part.low is None or part.high is None:
        raise NotInSQLError
    size = rows.frames.circuit.nodes[index].type.shape[0]
    low, high = (part.low * size, part.high * size) if isinstance(size, int) else (LEAST, MOST)
    added = rows.frames.dialect.total.format(part.sql, rows.frames.dialect.long)
    return Number(added, max(min(low, 0), LEAST), min(max(high, 0), MOST), long=True)


def extreme(which: str, value: Part, dialect: Dialect, where: str = "") -> Part:
    """Of the rows for which `where` holds; some value of the same type where it holds for none."""
    chosen = f"case when {where} then {value.sql} end" if where else value.sql
    match value:
        case Number():
            low = None if value.low is None else min(value.low, 0)
            high = None if value.high is None else max(value.high, 0)
            found = Number(f"{which}({chosen})", low, high, size=value.size, long=value.long)
            return found._replace(sql=f"coalesce({found.sql}, 0)") if where else found
        case Text():
            empty = dialect.constant("")
            return Text(f"coalesce({which}({chosen}), {empty})" if where else f"{which}({chosen})", value.length)
    raise NotInSQLError


def totals(frames: Frames, nodes: Sequence[int]) -> str:
    """A statement for sums, smallest and largest values of all rows of one frame: g0, g1, …, null of no rows.

    Raises NotInSQLError.
    """
    frame = frames.of(frames.circuit.nodes[nodes[0]].src[0])
    if frame is None:
        raise NotInSQLError
    rows = Rows(frames, frame)
    listed = ", ".join(f"{shown(_total(frames, rows, i), frames.dialect)} as g{at}" for at, i in enumerate(nodes))
    return f"select {listed} from {rows.source}"


def total(frames: Frames, index: int, names: Iterator[int]) -> Number:
    """A sum of all rows of one frame, within a statement about others.  Raises NotInSQLError."""
    frame = frames.of(frames.circuit.nodes[index].src[0])
    if frame is None:
        raise NotInSQLError
    rows = Rows(frames, frame, names)
    part = _total(frames, rows, index)
    if not isinstance(part, Number):
        raise NotInSQLError
    return part._replace(sql=f"(select {part.sql} from {rows.source})")


def _total(frames: Frames, rows: Rows, index: int) -> Part:
    node = frames.circuit.nodes[index]
    (operand,) = node.src
    if node["axis"] != 0 or frames.circuit.nodes[operand].type.ndim != 1:
        raise NotInSQLError
    if frames.padded(rows.frame) and not _masked(frames, operand):
        raise NotInSQLError
    if node.op == "sum":
        part = added(rows, operand)
        return part._replace(sql=f"case when count(*) = 0 then 0 else {part.sql} end")
    value = rows.expressions.value(operand)
    if not isinstance(value, Number):
        raise NotInSQLError
    return extreme(node.op, value, frames.dialect)


def _masked(frames: Frames, index: int) -> bool:
    """Whether rows that stand for nothing have the value that rows without one have."""
    node = frames.circuit.nodes[index]
    return node.op in ("select", "to_int") and frames.present(node.src[0])
