"""What one stage needs of a party's tables that stay in databases: groups and totals, columns, and rows that are kept.

For: `brought`, `Asked` and `asked` (the statements, for `parley check --plan`).
Leaves to others: what is said in SQL (`sources.pushed`, `sources.held`), computing the rest (`mpc.engine`).

From what is shared or opened one goes back through the nodes that the owner alone sees.  Where a database can give a
group's or a total's value, it is asked for that, and nothing behind it is needed; where it cannot, one goes on, down to
the columns.  Nothing is asked that would follow from columns which are fetched in any case.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Circuit, Node, reachable
from mpc.engine import InputKey, alone, keep_key, node_key, own_key
from mpc.schedule import Schedule
from runtime.computed import Computed, computed
from runtime.counted import databases
from runtime.sources import Given, Held, Kept
from runtime.sources.conditions import EVERY_ROW, Where
from runtime.sources.frames import TOTALS, Frame, Frames
from runtime.sources.parts import NotInSQLError
from runtime.sources.pushed import ASKED, Question, column_of, question, together
from runtime.sources.totals import shown

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
    given: dict[InputKey, Any] = {node_key(i): value for i, value in results.items() if i in needed}
    return own.columns(needed, salt, there, given), given


def asked(party: str, held: Mapping[str, Held], circuit: Circuit, timetable: Schedule) -> list[Asked]:
    """The statements in place of groups and totals, and those for rows under conditions."""
    own = _Own(party, held, circuit, timetable)
    questions, needed = own.choose({})
    out = [Asked(q.nodes[0], own.found(q).held.spec.name, q.statement) for q in questions]
    nodes = timetable.circuit.nodes
    extra, needed = own.computed(needed, {})
    for name, one in held.items():
        for scan, columns in own.scanned(name, needed, {}).items():
            more = extra.get((name, scan))
            parts = {} if more is None else more.parts
            if (columns and scan is not None) or parts:
                inputs = [i for i in needed if nodes[i].op == "input" and nodes[i].get("scan") == scan]
                where = own.conditions.get((name, scan), EVERY_ROW)
                statement = one.statement(_named(columns), where, _given(more, one))
                out.append(Asked(min([*parts, *inputs]), name, statement))
    return sorted(out)


class _Found(NamedTuple):
    """A question, the largest table that it is about, and the others."""

    question: Question
    frames: Frames
    held: Held
    beside: tuple[str, ...]


@dataclass(slots=True)
class _Own:
    """A party's part of a stage. conditions: of each table's scans, those that its database can judge, in SQL."""

    party: str
    held: Mapping[str, Held]
    circuit: Circuit
    timetable: Schedule
    refused: set[int] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    conditions: dict[tuple[str, int | None], Where] = field(init=False)
    _stop: set[int] = field(default_factory=set)
    _told: dict[tuple[str, int | None], None] = field(init=False)
    _own: frozenset[int] = field(init=False)
    _frames: list[tuple[Frames, Mapping[str, Held]]] = field(init=False)
    _found: dict[int, _Found | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        nodes = self.timetable.circuit.nodes
        self._own = alone(self.timetable, self.party)
        mine = [n for n in nodes if n.op == "input" and n["party"] == self.party and n["name"] in self.held]
        self._told = dict.fromkeys((n["name"], n["scan"]) for n in mine if n.get("told") is not None)
        keeps = [(n["name"], n["scan"]) for i, n in enumerate(nodes) if n.op == "keep" and i in self._own]
        self.conditions, self._frames = {}, []
        for database in databases(self.held, self.circuit):
            known = database.conditions
            frames = Frames(self.timetable.circuit, known.dialect, known.tables, known.place)
            self._frames.append((frames, database.held))
            for name, scan in dict.fromkeys([*self._told, *keeps]):
                if name in known.tables:
                    where = known.of(name, scan)
                    if where.by:
                        self.conditions[name, scan] = where

    def found(self, one: Question) -> _Found:
        """The tables of a question."""
        found = self._found[one.nodes[0]]
        assert found is not None
        return found

    def ask(self, one: Question, salt: bytes | None) -> dict[str, Array]:
        """The answer.  Raises DataError."""
        found = self.found(one)
        most = one.types[0].sizes[0] if one.grouped else None
        return found.held.answer(one.statement, one.columns, salt, found.beside, most)

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
        return keep["at"] in self.conditions.get((keep["name"], keep["scan"]), EVERY_ROW).by

    def _back(self, stop: Collection[int]) -> set[int]:
        self._stop = set(stop)
        return reachable(self.timetable.circuit, self._roots(), stop=stop)

    def _roots(self) -> set[int]:
        return {*range(len(self.timetable.circuit))} - self._own | {*self.timetable.circuit.results}

    def _inputs(self, index: int) -> set[int]:
        circuit = self.timetable.circuit
        return {i for i in reachable(circuit, [index]) if circuit.nodes[i].op == "input"}

    def _question(self, index: int) -> _Found | None:
        if self.timetable.circuit.nodes[index].op not in ASKED or index in self.refused:
            return None
        if index not in self._found:
            self._found[index] = None
            for frames, held in self._frames:
                with suppress(NotInSQLError):
                    asked_for = question(frames, index)
                    names = {self.timetable.circuit.nodes[i]["name"] for i in self._inputs(index)}
                    largest, *others = sorted((held[n] for n in names), key=lambda one: (-one.rows, one.spec.name))
                    beside = tuple(one.spec.name for one in others)
                    self._found[index] = _Found(asked_for, frames, largest, beside)
                    break
        return self._found[index]

    def _asked(self, cuts: Iterable[int]) -> list[Question]:
        """The questions, of totals and of first rows of the same rows one."""
        found = {i: one for i in sorted(cuts) if (one := self._question(i)) is not None}
        some = [i for i in found if self.timetable.circuit.nodes[i].op in {"slice", *TOTALS}]
        out = [one.question for i, one in found.items() if i not in some]
        for frames, _ in self._frames:
            out += together(frames, [i for i in some if found[i].frames is frames])
        return out

    # -- columns and rows ------------------------------------------------------------------------

    def scanned(
        self, name: str, needed: Collection[int], there: Collection[InputKey]
    ) -> dict[int | None, dict[str, Node]]:
        """Of each scan under conditions, and (None) of all rows, the columns that are not there."""
        own: dict[int | None, dict[str, Node]] = {None: {}}
        own |= {scan: {} for table, scan in self.conditions if table == name}
        for node in self._columns(name, needed):
            if not self._has(node, there):
                scan = node.get("scan")
                own[scan if scan in own else None][node["column"]] = node
        return own

    def _has(self, node: Node, there: Collection[InputKey]) -> bool:
        """Whether a column is there already."""
        name, column, scan = node["name"], node["column"], node.get("scan")
        return ((name, column) if (name, scan) not in self.conditions else own_key(name, column, scan)) in there

    def computed(
        self, needed: set[int], there: Collection[InputKey]
    ) -> tuple[dict[tuple[str, int | None], Computed], set[int]]:
        """What databases compute row by row, by table and scan, and the nodes that are then needed."""
        nodes = self.timetable.circuit.nodes
        found: list[Computed] = []

        def back(more: Collection[int]) -> set[int]:
            return reachable(self.timetable.circuit, self._roots(), stop={*more, *self._stop})

        for frames, _ in self._frames:
            if frames.dialect.stable:
                used = [nodes[i] for i in sorted(needed) if nodes[i].op == "input" and nodes[i]["party"] == self.party]
                scans = [
                    Frame(n["name"], n.get("scan"))
                    for n in used
                    if n["name"] in frames.tables and (n["name"], n.get("scan")) not in self._told
                    and n["name"] not in self.whole
                    and (n.get("scan") is None or (n["name"], n["scan"]) in self.conditions)
                ]  # fmt: skip
                free = {one: self.conditions.get((one.table, one.at), EVERY_ROW).names for one in scans}
                own, has = self._own, lambda node: self._has(node, there)
                found += computed(frames, free, needed, own, back, has)
        return {(one.table, one.scan): one for one in found}, back({i for one in found for i in one.parts})

    def _columns(self, name: str, needed: Collection[int]) -> list[Node]:
        nodes = self.timetable.circuit.nodes
        found = [nodes[i] for i in sorted(needed) if nodes[i].op == "input"]
        return [n for n in found if n["party"] == self.party and n["name"] == name]

    def columns(
        self, needed: set[int], salt: bytes | None, there: Mapping[InputKey, Array], given: dict[InputKey, Any]
    ) -> dict[InputKey, Array]:
        """Columns whole, and of scans under conditions the rows that they keep, beside what is there; to what is given,
        what databases computed of these rows.
        """
        nodes = self.timetable.circuit.nodes
        while True:
            extra, used = self.computed(needed, there)
            out: dict[InputKey, Array] = {}
            results: dict[InputKey, Any] = {}
            for name, held in self.held.items():
                masks = {nodes[i]["scan"] for i in used if nodes[i].op == "keep" and nodes[i]["name"] == name}
                for scan, columns in self.scanned(name, used, there).items():
                    where, more = self.conditions.get((name, scan), EVERY_ROW), extra.get((name, scan))
                    parts = {} if more is None else more.parts
                    unsaid = scan is not None and any(keep_key(name, scan, at) not in there for at in where.by)
                    asked = scan in masks and (name, scan) not in self._told and unsaid
                    if columns or parts or asked:
                        kept = held.kept(_named(columns), where, salt, _given(more, held))
                        if parts and not kept.number:
                            self.whole.add(name)  # of no row nothing is computed
                        out |= _scanned(held, scan, kept, columns)
                        results |= _computed(kept, {i: nodes[i] for i in parts})
            if not any(table in self.whole for table, _ in extra):
                given |= results
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


def _given(more: Computed | None, held: Held) -> Given:
    """What is computed, as columns #0, #1, … of a statement."""
    if more is None:
        return Given()
    parts = enumerate(more.parts.values())
    return Given([(column_of(f"#{i}", part), shown(part, held.dialect)) for i, part in parts], more.joins)


def _computed(kept: Kept, nodes: Mapping[int, Node]) -> dict[InputKey, Any]:
    """The nodes that were computed, by their keys."""
    out: dict[InputKey, Any] = {}
    for at, (index, node) in enumerate(nodes.items()):
        values = kept.columns[f"#{at}"]
        filled = np.zeros(node.type.sizes, values.dtype)
        if kept.number:
            part = filled[:, : values.shape[1]] if filled.ndim > 1 else filled
            part[: kept.number], part[kept.number :] = values, values[0]
            out[node_key(index)] = filled
    return out


def _scanned(held: Held, scan: int | None, kept: Kept, wanted: Mapping[str, Node]) -> dict[InputKey, Array]:
    """The rows of one scan, and behind them its first row again and again up to the size that all know; all rows as
    they are, and zeros behind them.
    """
    name = held.spec.name
    if scan is None:
        found = {c: values for c, values in kept.columns.items() if c[0] != "#"}
        return _keyed(name, padded(found, held.rows, held.spec.max_rows))
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
