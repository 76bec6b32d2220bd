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

from dsl.inputs import ColumnSpec
from mpc.circuit import Array, Circuit, Node, reachable
from mpc.engine import InputKey, alone, keep_key, node_key, own_key
from mpc.schedule import Schedule
from runtime.computed import Computed, computed
from runtime.sources import Held, Kept
from runtime.sources.expressions import NotInSQLError, Part
from runtime.sources.frames import Frame, Frames
from runtime.sources.groupings import shown
from runtime.sources.pushed import ASKED, Question, column_of, question, totals

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
    out = [Asked(q.nodes[0], own.owner(q).spec.name, q.statement) for q in questions]
    nodes = timetable.circuit.nodes
    extra, needed = own.computed(needed, {})
    for name, one in held.items():
        for scan, columns in own.scanned(name, needed, {}).items():
            parts = extra.get((name, scan), {})
            listed = _listed(parts, one)
            if (columns and scan is not None) or listed:
                inputs = [i for i in needed if nodes[i].op == "input" and nodes[i].get("scan") == scan]
                statement = one.statement(_named(columns), own.conditions.get((name, scan), {}), listed)
                out.append(Asked(min([*parts, *inputs]), name, statement))
    return sorted(out)


@dataclass(slots=True)
class _Own:
    """A party's part of a stage. conditions: of each table's scans, those that its database can judge, in SQL."""

    party: str
    held: Mapping[str, Held]
    circuit: Circuit
    timetable: Schedule
    refused: set[int] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    conditions: dict[tuple[str, int | None], dict[int, str]] = field(init=False)
    _stop: set[int] = field(default_factory=set)
    _told: dict[tuple[str, int | None], tuple[int, ...]] = field(init=False)
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
        told = {
            scan: " and ".join(self.conditions[n, scan].values())
            for n, scan in self._told
            if n in names and scan is not None
        }
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
        self._stop = set(stop)
        return reachable(self.timetable.circuit, self._roots(), stop=stop)

    def _roots(self) -> set[int]:
        return {*range(len(self.timetable.circuit))} - self._own | {*self.timetable.circuit.results}

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
    ) -> tuple[dict[tuple[str, int | None], Mapping[int, Part]], set[int]]:
        """What databases compute row by row, by table and scan, and the nodes that are then needed."""
        nodes = self.timetable.circuit.nodes
        found: list[Computed] = []

        def back(more: Collection[int]) -> set[int]:
            return reachable(self.timetable.circuit, self._roots(), stop={*more, *self._stop})

        for frames, held in self._frames:
            if held.dialect.stable:
                used = [nodes[i] for i in sorted(needed) if nodes[i].op == "input" and nodes[i]["party"] == self.party]
                scans = [
                    Frame(n["name"], n.get("scan"))
                    for n in used
                    if n["name"] in frames.tables and (n["name"], n.get("scan")) not in self._told
                    and n["name"] not in self.whole
                    and (n.get("scan") is None or (n["name"], n["scan"]) in self.conditions)
                ]  # fmt: skip
                own, has = self._own, lambda node: self._has(node, there)
                found += computed(frames, dict.fromkeys(scans), needed, own, back, has)
        parts = {(one.table, one.scan): one.parts for one in found}
        return parts, back({i for one in found for i in one.parts}) if found else needed

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
                    conditions, parts = self.conditions.get((name, scan), {}), extra.get((name, scan), {})
                    unsaid = scan is not None and any(keep_key(name, scan, at) not in there for at in conditions)
                    asked = scan in masks and (name, scan) not in self._told and unsaid
                    if columns or parts or asked:
                        kept = held.kept(_named(columns), conditions, salt, _listed(parts, held))
                        if parts and not kept.number:
                            self.whole.add(name)  # of no row nothing is computed
                        out |= _scanned(held, scan, kept, columns)
                        results |= _computed(kept, {i: nodes[i] for i in parts})
            if not any(extra.get(key) and key[0] in self.whole for key in extra):
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


def _listed(parts: Mapping[int, Part], held: Held) -> list[tuple[ColumnSpec, str]]:
    """What is computed, as columns #0, #1, … of a statement."""
    return [(column_of(f"#{i}", part), shown(part, held.dialect)) for i, part in enumerate(parts.values())]


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
