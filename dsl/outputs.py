"""What elaborating a study gives: the circuit, its results with their surface types, and where a stage ends.

For: `Elaborated`, `Output`, `OutputColumn`.
Leaves to others: making them (`elaborate`), rendering results (`runtime.results`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dsl.diagnostics import Diagnostic
from dsl.planned import Planned
from dsl.source import Span
from dsl.stored import StorePlan
from dsl.stypes import SType
from mpc.circuit import Circuit
from mpc.types import Shape

__all__ = ["Elaborated", "Output", "OutputColumn"]


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """One array that is revealed. name: the column, '' for what is no table. node: index of its `reveal` node in the
    circuit. valid: that of its mask (False: the value is missing, `null`), None when nothing is missing."""

    name: str
    stype: SType
    node: int
    valid: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One revealed name.

    receivers: who learns it, None for all parties. columns: one, named '', for a number or array; the columns in order
    for a table. visible: index of the `reveal` node that says which rows of a table exist, None: all of them.
    shape: as the study sees it (a table: its rows, the invisible ones too). kind: what a record is (`ridge
    regression`), `tuple` for values side by side within one; `parts` are then its fields by name, and there are no
    columns.
    """

    name: str
    receivers: tuple[str, ...] | None
    table: bool
    columns: tuple[OutputColumn, ...]
    shape: Shape
    visible: int | None = None
    span: Span = Span(0, 0)  # noqa: RUF009 - a constant
    kind: str = ""
    parts: tuple[Output, ...] = ()

    def nodes(self) -> Iterator[int]:
        """The indices of all its `reveal` nodes."""
        for column in self.columns:
            yield column.node
            if column.valid is not None:
                yield column.valid
        if self.visible is not None:
            yield self.visible
        for part in self.parts:
            yield from part.nodes()


@dataclass(frozen=True, slots=True)
class Elaborated:
    """A study as a circuit.

    circuit: its surface circuit; `input` nodes are what parties bring, `reveal` nodes what they learn,
    `circuit.results` the latter in order. outputs: what the reveals mean. needs: the index of the public value that
    must be known for the walk to go on (walk again with it appended to `known`), None when the circuit is the whole
    study. live: the indices of the values that later stages may use. abstract: sizes are symbolic, the circuit is for
    reading only.
    """

    circuit: Circuit
    outputs: tuple[Output, ...]
    parties: tuple[str, ...]
    needs: int | None = None
    live: tuple[int, ...] = ()
    abstract: bool = False
    warnings: tuple[Diagnostic, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    """What the study's names stand for, as text."""
    stores: tuple[StorePlan, ...] = ()
    """What it stores for later studies."""
    plans: tuple[Planned, ...] = ()
    """How its queries are carried out."""
    scans: tuple[tuple[int, int], ...] = ()
    """Where in the text those scans of tables stand that have rows of their own, each with its number."""
    groups: tuple[tuple[int, int], ...] = ()
    """Where in the text groups are asked for, each with the number of their operator."""
    told_groups: tuple[tuple[str, str, int], ...] = ()
    """Of which of them a party tells how many there are: party, table that they are of, place."""
