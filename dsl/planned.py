"""How queries are carried out: a tree of relational operators for each, recorded while the circuit is built.

For: `Operator`, `Planned`, `Plans` (what is recorded during one walk).
Leaves to others: recording (`dsl.query.relation`), what each operator costs (`runtime.plans`).

A node of the circuit bears the number of the operator that it belongs to in its origin, so that rounds and bytes of a
timetable can be told apart by operators as they are by lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from dsl.source import Span
from mpc.types import Dim, Viewers

__all__ = ["Kind", "Operator", "Piece", "Planned", "Plans"]

Kind: TypeAlias = Literal[
    "scan", "filter", "project", "rank", "join", "left join", "full join", "attach", "value", "group", "distinct",
    "sort", "limit", "union", "window", "check",
]  # fmt: skip


class Piece(NamedTuple):
    """Rows of a relation. rows: a public size. viewers: who sees all of them. exact: no row is invisible padding."""

    rows: Dim
    viewers: Viewers
    exact: bool


@dataclass(slots=True, eq=False)
class Operator:
    """One relational operator.

    number: from 1, different for all operators of a study. text: what it does, in the study's words. inputs: whose rows
    it takes. how: the way it is done, where there are several. parts: rows and viewers of each part of its result (what
    several owners bring stays in parts for as long as it can).
    """

    number: int
    kind: Kind
    text: str
    inputs: tuple[Operator, ...]
    span: Span
    how: str = ""
    parts: tuple[Piece, ...] = ()

    @property
    def rows(self) -> Dim:
        """All rows of the result."""
        total: Dim = 0
        for part in self.parts:
            total = total + part.rows
        return total

    def walk(self) -> Iterator[Operator]:
        """This operator and all below."""
        yield self
        for one in self.inputs:
            yield from one.walk()


@dataclass(frozen=True, slots=True)
class Planned:
    """A query of the study. root: whose rows are its result. others: sub-queries of one row that expressions use, and
    what is checked before there is a result."""

    name: str
    span: Span
    root: Operator
    others: tuple[Operator, ...] = ()

    def operators(self) -> Iterator[Operator]:
        """All its operators, each once."""
        seen: set[int] = set()
        for top in (self.root, *self.others):
            for one in top.walk():
                if one.number not in seen:
                    seen.add(one.number)
                    yield one


@dataclass(slots=True)
class Plans:
    """The queries of one walk. current: the number of the operator being built, 0 for none. scans: where in the text
    those scans stand that have rows of their own (see `dsl.query.scan`), and selects whose groups an owner may
    count, by number."""

    count: int = 0
    current: int = 0
    queries: list[Planned] = field(default_factory=list)
    scans: dict[int, int] = field(default_factory=dict)
