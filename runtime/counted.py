"""What may be told of an owner's tables in databases: how many rows conditions keep, how many groups there are.

For: `counted`, `databases`.
Leaves to others: conditions in SQL (`sources.conditions`), telling the others (`session`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from dsl.inputs import Told
from dsl.outputs import Elaborated
from mpc.circuit import Circuit, reachable
from runtime.sources import Held
from runtime.sources.conditions import Conditions
from runtime.sources.groupings import grouping
from runtime.sources.parts import NotInSQLError

__all__ = ["Database", "counted", "databases"]


class Database(NamedTuple):
    """The tables of one owner that stand in one database, by name, and conditions on them."""

    held: Mapping[str, Held]
    conditions: Conditions


def databases(held: Mapping[str, Held], circuit: Circuit) -> list[Database]:
    """An owner's tables by database.  circuit: the study's."""
    together: dict[int, dict[str, Held]] = {}
    for name, one in held.items():
        together.setdefault(id(one.connection), {})[name] = one
    return [_database(some, circuit) for some in together.values()]


def _database(held: Mapping[str, Held], circuit: Circuit) -> Database:
    some = next(iter(held.values()))
    told = {
        n["scan"]: Told(n.type.sizes[0], n["told"])
        for _, n in circuit
        if n.op == "input" and n["party"] == some.spec.party and n["name"] in held and n.get("told") is not None
    }
    stands = {name: one.stands for name, one in held.items()}
    return Database(held, Conditions(circuit, some.dialect, stands, told))


def counted(held: Mapping[str, Held], study: Elaborated) -> dict[str, dict[int, Told]]:
    """By table and place of a scan in the study's text, how many rows its conditions keep, where that may be known.

    Of the conditions on one scan those that the database can judge; of what stands in the text once but is scanned
    under different conditions nothing.  What looks at other tables is told where of these too numbers may be known.
    And by table and place of a select, how many groups it makes of rows that the owner alone sees.
    """
    pairs = dict.fromkeys(study.scans)
    single = {place: scan for place, scan in pairs if sum(place == p for p, _ in pairs) == 1}
    out: dict[str, dict[int, Told]] = {}
    for database in databases(held, study.circuit):
        for name, one in database.held.items():
            told = {scan: _told(database, name, scan) for scan in single.values()} if one.tells else {}
            out[name] = {place: found for place, scan in single.items() if (found := told.get(scan)) is not None}
        for place, number in study.groups:
            if sum(place == p for p, _ in study.groups) == 1:
                names, groups = _groups(database, number)
                for name in names:
                    out[name][place] = Told(groups, ())
    return out


def _groups(database: Database, operator: int) -> tuple[frozenset[str], int]:
    """How many groups there are of rows that the owner alone sees, and of which tables; of none where there is nothing
    to tell.  operator: the number of the operator of a plan that makes them.
    """
    frames = database.conditions.frames
    party = next(iter(database.held.values())).spec.party
    for index, node in frames.circuit:
        mine = node.op == "group_rows" and node.types[0].seen_by == frozenset([party])
        if mine and node.origin is not None and node.origin.operator == operator and frames.dialect.stable:
            below = (frames.circuit.nodes[i] for i in reachable(frames.circuit, [index]))
            names = frozenset(n["name"] for n in below if n.op == "input")
            if names <= database.held.keys() and all(database.held[name].tells for name in names):
                with suppress(NotInSQLError):
                    number = next(iter(database.held.values())).groups(grouping(frames, index).statement())
                    return (names, number) if number else (frozenset(), 0)
    return frozenset(), 0


def _told(database: Database, name: str, scan: int) -> Told | None:
    """How many rows of a scan of the table are kept; None where there is nothing to tell."""
    conditions, one = database.conditions, database.held[name]

    def may(at: int) -> bool:
        looked_at = conditions.tables_of(name, scan, [at])
        return all(database.held[other].tells for other in looked_at if other in database.held)

    where = conditions.of(name, scan)
    at = [i for i in where.by if i >= 0 and may(i)]  # which joins there are first may depend on sizes
    where = where if len(at) == len(where.by) else conditions.of(name, scan, at)
    return Told(one.number(where), tuple(where.by)) if where.by else None
