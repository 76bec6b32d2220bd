"""Rows that others look up, beside these, as LEFT JOIN.

For: `Join`, `equal`, `or_zero`, `named`.
Leaves to others: which rows these are (`frames`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpc.circuit import Node
from runtime.sources.dialects import Dialect
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Text, Truth

if TYPE_CHECKING:
    from runtime.sources.frames import Rows

__all__ = ["Join", "equal", "named", "or_zero"]


@dataclass(slots=True)
class Join:
    """Rows beside others, of which each has one at most. there: which rows are looked up. parts: their columns."""

    name: str
    rows: Rows
    node: Node
    there: str
    on: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def hit(self) -> Truth:
        """Whether there is a row."""
        return Truth(f"({self.name}.hit is not null)")

    def payload(self, item: Node) -> int:
        """The node that an item of the look-up brings."""
        return int(self.node.src[self.node["keys"] + item["index"]])

    def column(self, part: Part) -> Part:
        """A column of the rows that are looked up, null where there is none."""
        if part.sql not in self.parts:
            self.parts.append(part.sql)
        return named(part, f"{self.name}.c{self.parts.index(part.sql)}")

    def sql(self) -> str:
        """What stands in FROM."""
        once = "distinct " if self.node.op == "match_rows" else ""
        listed = ", ".join(f"{part} as c{i}" for i, part in enumerate(self.parts))
        select = f"select {once}{listed}, 1 as hit from {self.rows.source} where {self.there}"
        return f"left join ({select}) as {self.name} on {' and '.join(self.on)}"


def named(part: Part, name: str) -> Part:
    """The same value as a column of other rows."""
    if isinstance(part, Number):
        return part._replace(sql=name, day=None, words=None, constant=None)
    return part._replace(sql=name)


def equal(a: Part, b: Part) -> str:
    """That two keys are equal.  Raises NotInSQLError."""
    match a, b:
        case (Number(), Number()) if a.low is not None and b.low is not None:
            return f"{a.sql} = {b.sql}"
        case (Key(), Key()) if a.family == b.family:
            return f"{a.sql} = {b.sql}"
        case (Text(), Text()) | (Truth(), Truth()):
            return f"{a.sql} = {b.sql}"
    raise NotInSQLError


def or_zero(part: Part, dialect: Dialect) -> Part:
    """What was looked up, zero where nothing was found."""
    match part:
        case Number():
            low = None if part.low is None else min(part.low, 0)
            high = None if part.high is None else max(part.high, 0)
            return part._replace(sql=f"coalesce({part.sql}, 0)", low=low, high=high)
        case Truth():
            return Truth(f"coalesce({part.sql}, (1 = 0))")
        case Text():
            return part._replace(sql=f"coalesce({part.sql}, {dialect.constant('')})")
    return part
