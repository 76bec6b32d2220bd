"""What one stage needs of a party's tables that stay in databases: groups and totals, columns, and rows that are kept.

For: `brought`, `Asked` and `asked` (the statements, for `parley check --plan`).
Leaves to others: what is said in SQL (`sources.pushed`, `sources.held`), computing the rest (`mpc.engine`).

From what is shared or opened one goes back through the nodes that the owner alone sees.  Where a database can give a
group's or a total's value, it is asked for that, and nothing behind it is needed; where it cannot, one goes on, down to
the columns.  Nothing is asked that would follow from columns which are fetched in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Circuit, Node, reachable
from mpc.engine import InputKey, alone, keep_key, node_key, own_key
from mpc.schedule import Schedule
from runtime.sources import Held, Kept
from runtime.sources.expressions import NotInSQLError
from runtime.sources.frames import Frames
from runtime.sources.pushed import ASKED, Question, question, totals

__all__ = ["Asked", "asked", "brought", "padded"]


class Asked(NamedTuple):
    """What a database is asked: the node of the timetable that it is for, and the statement."""

    node: int
    table: str
    statement: str


def brought(
    party: str,
    held: Mapping[str, Held],
    salt: bytes | None,
    circuit: Circuit,
    timetable: Schedule,
    there: Mapping[InputKey, Array],
) -> tuple[dict[InputKey, Array], dict[InputKey, Any]]:
    """What a stage needs of tables beside what is `there`, and, for this stage alone, the results of nodes.

    circuit: the stage as the study has it, which has conditions that are told of.  Raises DataError.
    """
    own = _Own(party, held, circuit, timetable)
    results: dict[int, Any] = {}
    while True:
        questions, needed = own.choose(results)
        open_ = [q for q in questions if not set(q.nodes) <= results.keys()]
        if not open_:
            break
        for one in open_:
            found = one.results(own.ask(one, salt))
            if found is None:
                own.refused.update(one.nodes)
            else:
                results |= found
    given = {node_key(i): value for i, value in results.items() if i in needed}
    return own.columns(needed, salt, there), given


def asked(party: str, held: Mapping[str, Held], circuit: Circuit, timetable: Schedule) -> list[Asked]:
    """The statements in place of groups and totals, and those for rows under conditions."""
    own = _Own(party, held, circuit, timetable)
    questions, needed = own.choose({})
    out = [Asked(q.nodes[0], own.owner(q).spec.name, q.statement) for q in questions]
    nodes = timetable.circuit.nodes
    for name, one in held.items():
        for scan, columns in own.scanned(name, needed, {}).items():
            if columns:
                first = min(i for i in needed if nodes[i].op == "input" and nodes[i].get("scan") == scan)
                out.append(Asked(first, name, one.statement(_named(columns), own.conditions[name, scan])))
    return sorted(out)


@dataclass(slots=True)
class _Own:
    """A party's part of a stage. conditions: of each table's scans, those that its database can judge, in SQL."""

    party: str
    held: Mapping[str, Held]
    circuit: Circuit
    timetable: Schedule
    refused: set[int] = field(default_factory=set)
    conditions: dict[tuple[str, int], dict[int, str]] = field(init=False)
    _told: dict[tuple[str, int], tuple[int, ...]] = field(init=False)
    _own: frozenset[int] = field(init=False)
    _frames: list[tuple[Frames, Held]] = field(init=False)
    _questions: dict[int, Question | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = self.timetable.circuit.nodes
        self._own = alone(self.timetable, self.party)
        mine = [n for n in nodes if n.op == "input" and n["party"] == self.party and n["name"] in self.held]
        self._told = {(n["name"], n["scan"]): n["told"] for n in mine if n.get("told") is not None}
        keeps = [(n["name"], n["scan"]) for i, n in enumerate(nodes) if n.op == "keep" and i in self._own]
        self.conditions = {}
        for name, scan in dict.fromkeys([*self._told, *keeps]):
            if name in self.held:
                sql = self.held[name].conditions(self.circuit, scan, self._told.get((name, scan)))
                if sql:
                    self.conditions[name, scan] = sql
        together: dict[int, list[Held]] = {}
        for one in self.held.values():
            together.setdefault(id(one.connection), []).append(one)
        self._frames = [(self._frame(some), some[0]) for some in together.values()]

    def _frame(self, some: Sequence[Held]) -> Frames:
        names = {one.spec.name: one.stands for one in some}
        told = {scan: " and ".join(self.conditions[n, scan].values()) for n, scan in self._told if n in names}
        return Frames(self.timetable.circuit, some[0].dialect, names, told)

    def owner(self, one: Question) -> Held:
        """A table of the database that is asked."""
        return next(held for frames, held in self._frames if frames is self._where(one.nodes[0]))

    def _where(self, index: int) -> Frames | None:
        for frames, _ in self._frames:
            with suppress(NotInSQLError):
                question(frames, index)
                return frames
        return None

    def ask(self, one: Question, salt: bytes | None) -> dict[str, Array]:
        """The answer.  Raises DataError."""
        return self.owner(one).answer(one.statement, one.columns, salt)

    # -- what is needed --------------------------------------------------------------------------

    def choose(self, known: Collection[int]) -> tuple[list[Question], set[int]]:
        """What databases are asked, and the nodes that are then worked out or brought."""
        nodes = self.timetable.circuit.nodes
        said = {i for i in self._own if nodes[i].op == "keep" and self._said(nodes[i])}
        needed = self._back(said)
        cuts = {i for i in needed if i in self._own and i not in said and self._question(i) is not None}
        if not cuts:
            return [], needed
        needed = self._back(said | cuts)
        cuts &= needed
        # What only needs columns that are fetched in any case is worked out here.
        fetched = {i for i in self._back(said | cuts) if nodes[i].op == "input"}
        idle = {i for i in cuts if i not in known and self._inputs(i) <= fetched}
        needed = self._back(said | (cuts - idle))
        return self._asked(cuts - idle), needed

    def _said(self, keep: Node) -> bool:
        return keep["at"] in self.conditions.get((keep["name"], keep["scan"]), {})

    def _back(self, stop: Collection[int]) -> set[int]:
        roots = {*range(len(self.timetable.circuit))} - self._own | {*self.timetable.circuit.results}
        return reachable(self.timetable.circuit, roots, stop=stop)

    def _inputs(self, index: int) -> set[int]:
        circuit = self.timetable.circuit
        return {i for i in reachable(circuit, [index]) if circuit.nodes[i].op == "input"}

    def _question(self, index: int) -> Question | None:
        if self.timetable.circuit.nodes[index].op not in ASKED or index in self.refused:
            return None
        if index not in self._questions:
            self._questions[index] = None
            for frames, _ in self._frames:
                with suppress(NotInSQLError):
                    self._questions[index] = question(frames, index)
                    break
        return self._questions[index]

    def _asked(self, cuts: Iterable[int]) -> list[Question]:
        """The questions, of totals of the same rows one."""
        out: list[Question] = []
        nodes = self.timetable.circuit.nodes
        single = sorted(cuts)
        sums = [i for i in single if nodes[i].op in ("sum", "min", "max")]
        out += [q for i in single if i not in sums and (q := self._question(i)) is not None]
        for frames, _ in self._frames:
            out += totals(frames, [i for i in sums if self._where(i) is frames])
        return out

    # -- columns and rows ------------------------------------------------------------------------

    def scanned(self, name: str, needed: Collection[int], there: Collection[InputKey]) -> dict[int, dict[str, Node]]:
        """Of each scan under conditions, the columns that are not there."""
        own: dict[int, dict[str, Node]] = {scan: {} for table, scan in self.conditions if table == name}
        for node in self._columns(name, needed):
            scan = node.get("scan")
            if scan in own and own_key(name, node["column"], scan) not in there:
                own[scan][node["column"]] = node
        return own

    def _columns(self, name: str, needed: Collection[int]) -> list[Node]:
        nodes = self.timetable.circuit.nodes
        found = [nodes[i] for i in sorted(needed) if nodes[i].op == "input"]
        return [n for n in found if n["party"] == self.party and n["name"] == name]

    def columns(
        self, needed: Collection[int], salt: bytes | None, there: Mapping[InputKey, Array]
    ) -> dict[InputKey, Array]:
        """Columns whole, and of scans under conditions the rows that they keep, beside what is there."""
        nodes = self.timetable.circuit.nodes
        out: dict[InputKey, Array] = {}
        for name, held in self.held.items():
            whole: dict[str, None] = {}
            for node in self._columns(name, needed):
                if (name, node.get("scan")) not in self.conditions and (name, node["column"]) not in there:
                    whole[node["column"]] = None
            if whole:
                out |= _keyed(name, padded(held.whole(_named(whole), salt), held.rows, held.spec.max_rows))
            masks = {(nodes[i]["name"], nodes[i]["scan"]) for i in needed if nodes[i].op == "keep"}
            for scan, columns in self.scanned(name, needed, there).items():
                conditions = self.conditions[name, scan]
                asked = (name, scan) in masks and (name, scan) not in self._told
                if columns or (asked and any(keep_key(name, scan, at) not in there for at in conditions)):
                    out |= _scanned(held, scan, held.kept(_named(columns), conditions, salt), columns)
        return out


def padded(columns: Mapping[str, Array], rows: int, bound: int | None) -> dict[str, Array]:
    """The columns of a whole table, filled up where it is declared with `rows <= n`; `#rows` says which rows exist."""
    if bound is None:
        return dict(columns)
    return {name: _filled(values, bound) for name, values in columns.items()} | {"#rows": np.arange(bound) < rows}


def _filled(values: Array, rows: int) -> Array:
    filled = np.zeros((rows, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled


def _keyed(name: str, columns: Mapping[str, Array]) -> dict[InputKey, Array]:
    return {(name, column): values for column, values in columns.items()}


def _named(columns: Iterable[str]) -> list[str]:
    """The table's columns among a circuit's, which has masks besides."""
    return list(dict.fromkeys(c.removesuffix("?") for c in columns if c != "#rows"))


def _scanned(held: Held, scan: int, kept: Kept, wanted: Mapping[str, Node]) -> dict[InputKey, Array]:
    """The rows of one scan, and behind them its first row again and again up to the size that all know."""
    name = held.spec.name
    size = held.rows if held.spec.max_rows is None else held.spec.max_rows
    there = np.arange(size) < kept.number
    out: dict[InputKey, Array] = {keep_key(name, scan, at): there for at in kept.at}
    columns = {**kept.columns, "#rows": there[: kept.number]}
    for column, node in wanted.items():
        values, limits = columns[column], node["range"]
        filled = np.zeros((node.type.sizes[0], *values.shape[1:]), values.dtype)
        filled[: kept.number] = values
        if kept.number:
            filled[kept.number :] = values[0]
        elif limits is not None:
            filled[:] = min(max(0, limits[0]), limits[1])
        out[own_key(name, column, scan)] = filled
    return out
