"""Which rows of a table a scan's conditions keep, as an owner's database judges them.

For: `Conditions`, `Where`.
Leaves to others: expressions (`expressions`), what is looked up (`frames`), asking (`held`).

A condition may look up rows of other tables in the same database (`in`, `exists`, a join that drops what it does not
find): these stand beside the rows in FROM, of which each row has one at most.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from dsl.inputs import Told
from mpc.circuit import Circuit, reachable
from runtime.sources.dialects import Dialect
from runtime.sources.frames import OWN, Frame, Frames, Rows, Stands
from runtime.sources.parts import NotInSQLError

__all__ = ["EVERY_ROW", "Conditions", "Where"]


class Where(NamedTuple):
    """What is asked of rows `r0`. by: conditions, by number, in SQL. joins: what they look up, after FROM.
    names: numbers from here on are in no name that is used."""

    by: Mapping[int, str]
    joins: str = ""
    names: int = 1

    @property
    def clause(self) -> str:
        """All of it, after what follows FROM; empty for every row."""
        return f" where {' and '.join(self.by.values())}" if self.by else ""


EVERY_ROW = Where({})


@dataclass(slots=True)
class Conditions:
    """Those on the scans of one owner's tables in one database.

    circuit: the study's, which has conditions that are told of too. told: by a scan's number, the conditions of which
    all parties know how many rows they keep, and how many.
    """

    circuit: Circuit
    dialect: Dialect
    tables: Mapping[str, Stands]
    told: Mapping[int, Told] = field(default_factory=dict)
    frames: Frames = field(init=False)
    _places: dict[int, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frames = Frames(self.circuit, self.dialect, self.tables, self.place)

    def of(self, name: str, scan: int, at: Collection[int] | None = None) -> Where:
        """The conditions on one scan that the database can judge; at: of these alone, for a scan that is told of those
        that are told."""
        told = self.told.get(scan)
        if told is not None:
            if not told.rows:  # in a circuit without rows some conditions are not to be seen any more
                return Where(dict.fromkeys(told.at, "(1 = 0)"))
            at = told.at
        spec, names = self.tables[name].spec, count()
        rows = Rows(self.frames, Frame(name, scan), names, whole=True)
        by: dict[int, str] = {}
        for _, node in self.circuit:
            mine = node.op == "keep" and node.type.seen_by == frozenset([spec.party])
            if mine and node["name"] == name and node["scan"] == scan and (at is None or node["at"] in at):
                with suppress(NotInSQLError):
                    by[node["at"]] = rows.expressions.truth(node.src[0])
        return Where(by, rows.joined, next(names))

    def place(self, scan: int) -> str | None:
        """What stands in FROM for the rows of a scan of which is told how many there are; None for any other.

        Raises NotInSQLError.
        """
        if scan not in self.told:
            return None
        if scan not in self._places:
            name = next(n["name"] for _, n in self.circuit if n.op == "input" and n.get("scan") == scan)
            where = self.of(name, scan)
            if where.by.keys() != {*self.told[scan].at}:
                raise NotInSQLError
            rows = f"{self.tables[name].place} as {OWN} {where.joins}".rstrip()
            self._places[scan] = f"(select {OWN}.* from {rows}{where.clause})"
        return self._places[scan]

    def tables_of(self, name: str, scan: int, at: Collection[int]) -> frozenset[str]:
        """The owner's tables that conditions on a scan look at, beside its own."""
        nodes = self.circuit.nodes
        tops = [
            i for i, n in self.circuit if n.op == "keep" and (n["name"], n["scan"]) == (name, scan) and n["at"] in at
        ]
        return frozenset(nodes[i]["name"] for i in reachable(self.circuit, tops) if nodes[i].op == "input") - {name}
