"""Rows of several sets one below the other, as UNION ALL.

For: `Stacked`.
Leaves to others: which rows these are (`frames`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mpc.circuit import Node
from runtime.sources.dialects import Dialect
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Text, Truth

if TYPE_CHECKING:
    from runtime.sources.frames import Rows

__all__ = ["Stacked"]


@dataclass(slots=True)
class Stacked:
    """The rows of `parts`. name: of all of them together. columns: each as SQL of every part."""

    name: str
    parts: Sequence[Rows]
    columns: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def place(self) -> str:
        """What stands in FROM, for the columns that have been made."""
        selects = []
        for at, rows in enumerate(self.parts):
            listed = ", ".join(f"{column[at]} as c{i}" for i, column in enumerate(self.columns)) or "1 as c0"
            selects.append(f"select {listed} from {rows.source}")
        return f"({' union all '.join(selects)})"

    def column(self, node: Node) -> Part:
        """A `concat` of a column of each part.  Raises NotInSQLError."""
        found = [_part(rows, i) for rows, i in zip(self.parts, node.src, strict=True)]
        dialect = self.parts[0].frames.dialect
        sqls = tuple(_whole(part, dialect) for part in found)
        if sqls not in self.columns:
            self.columns.append(sqls)
        return _alike(found, f"{self.name}.c{self.columns.index(sqls)}")


def _part(rows: Rows, index: int) -> Part:
    node = rows.frames.circuit.nodes[index]
    if node.op == "const" and node.type.ndim == 1:
        values = node["value"].array
        if values.dtype.kind == "i" and values.size and (values == values[0]).all():
            value = int(np.int64(values[0]))
            return Number(f"({value})", value, value)
    return rows.expressions.value(index)


def _whole(part: Part, dialect: Dialect) -> str:
    """Whole numbers of 64 bits, so that all parts have one type."""
    if isinstance(part, Number) and part.low is not None and not part.long:
        return f"cast({part.sql} as {dialect.long})"
    return part.sql


def _alike(parts: Sequence[Part], sql: str) -> Part:
    """The column that has all of them."""
    numbers = [p for p in parts if isinstance(p, Number)]
    if len(numbers) == len(parts):
        lows, highs = [p.low for p in numbers if p.low is not None], [p.high for p in numbers if p.high is not None]
        if not lows:
            return Number(sql, size=max(p.size for p in numbers))
        if len(lows) == len(highs) == len(parts):
            return Number(sql, min(lows), max(highs), long=True)
    if all(isinstance(p, Truth) for p in parts):
        return Truth(sql)
    if all(isinstance(p, Text) for p in parts):
        return Text(sql, max(p.length for p in parts if isinstance(p, Text)))
    families = {p.family for p in parts if isinstance(p, Key)}
    if all(isinstance(p, Key) for p in parts) and len(families) == 1:
        return Key(sql, families.pop())
    raise NotInSQLError
