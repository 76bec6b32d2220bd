"""What a study asks of each party: the inputs and tables that it must bring, and the sizes that follow from them.

For: `requirements` (read by the loading of data), `Bindings` (what is known of a job's data and parameters before it
runs) and `bind`, which makes sure that one letter stands for one size.
Leaves to others: reading files (`runtime.sources`), the types of everything computed (`elaborate`).

Sizes in a study are whole numbers, parameters, sums and products of these, or a letter (a name declared nowhere else),
which the data bind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, cast

from dsl import syntax
from dsl.params import ParamValue, param_values, whole_number
from dsl.source import Span
from dsl.stored import Stored

__all__ = ["Bindings", "ColumnSpec", "InputSpec", "Kind", "Told", "parties_of", "requirements"]

NOWHERE = Span(0, 0)

Kind = Literal["int", "fixed", "bool", "date", "enum", "decimal", "text", "key"]


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One column of a table, or the elements of an array input.

    kind, places (of `decimal`), words (of `enum`), length (bytes of `text`): the type. nullable: declared with `?`.
    unique: no value twice among all rows of all owners. range: both ends included, in the type's own units (a `fixed`
    or `decimal` as numbers), None when none was declared. computed: nothing that an owner brings, but what a database
    worked out of it, which may lie beyond what an owner may bring.
    """

    name: str
    kind: Kind
    places: int = 0
    words: tuple[str, ...] = ()
    length: int = 0
    nullable: bool = False
    unique: bool = False
    range: tuple[float, float] | None = None
    span: Span = NOWHERE
    computed: bool = False


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One thing that one party brings.

    table: a table with `columns`; otherwise an array whose elements are `columns[0]` (named ''), of `shape`: a number
    or the letter that the data bind. A table's rows are at most `max_rows` (None: as many as there are, and public).
    unique_together: columns whose combination occurs once. parts: how many owners put this table together.
    """

    party: str
    name: str
    table: bool
    columns: tuple[ColumnSpec, ...]
    shape: tuple[int | str, ...] = ()
    max_rows: int | None = None
    unique_together: tuple[tuple[str, ...], ...] = ()
    parts: int = 1
    span: Span = NOWHERE


class Told(NamedTuple):
    """How many rows of a table some conditions on one scan of it keep. at: the conditions, by number; none for groups
    of the table, of which it is how many there are."""

    rows: int
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bindings:
    """What is known of a job before it runs, the same at every party.

    sizes: each letter's size. rows: rows of each owner's part of each table, by (party, table); for a table declared
    with `rows <= n` nothing is needed. params: settings that override the study's defaults, as text or as values.
    frac: fraction bits of `fixed`. kept: what owners tell of rows that conditions keep, by (party, table, place of the
    scan in the text), and of groups, by the place of the select. stored: what is known of the values that the study
    loads, by name. What is missing
    stays symbolic: the study can be checked but not run.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    params: Mapping[str, str | bool | int | float] = field(default_factory=dict)
    frac: int = 16
    stored: Mapping[str, Stored] = field(default_factory=dict)
    kept: Mapping[tuple[str, str, int], Told] = field(default_factory=dict)


def parties_of(study: syntax.Study) -> tuple[str, ...]:
    """The study's parties, in the order of the text."""
    return tuple(name.text for s in study.body if isinstance(s, syntax.Party) for name in s.names)


def column_spec(name: str, type_: syntax.TypeExpression, *, unique: bool = False, span: Span) -> ColumnSpec:
    """The column called `name` of the type that was written."""
    arguments = type_.arguments
    bounds = type_.bounds
    return ColumnSpec(
        name=name,
        kind=cast(Kind, type_.name),
        places=int(arguments[0]) if type_.name == "decimal" and arguments else 0,
        words=tuple(str(w) for w in arguments) if type_.name == "enum" else (),
        length=int(arguments[0]) if type_.name == "text" and arguments else 0,
        nullable=type_.optional,
        unique=unique,
        range=None if bounds is None else (_number(bounds.low), _number(bounds.high)),
        span=span,
    )


def _number(bound: object) -> float:
    return bound if isinstance(bound, int) else float(str(bound))


def requirements(study: syntax.Study, params: Mapping[str, str | bool | int | float] | None = None) -> list[InputSpec]:
    """All inputs and tables of `study`, one entry for each owner, in the order of the text.

    params: overrides of the study's parameters, for those that decide a size. A size or bound that cannot be worked
    out here (`elaborate` says what is wrong with it) is given as its text.
    """
    values = param_values(study, params or {})
    specs: list[InputSpec] = []
    for statement in study.body:
        if isinstance(statement, syntax.Input):
            specs.append(_array(statement, values, study))
        elif isinstance(statement, syntax.Table):
            specs += _table(statement, values)
    return specs


def _array(statement: syntax.Input, values: Mapping[str, ParamValue], study: syntax.Study) -> InputSpec:
    shape: list[int | str] = []
    for size in statement.type.shape:
        number = whole_number(size, values)
        if number is not None:
            shape.append(number)
        else:
            shape.append(size.id if isinstance(size, syntax.Name) else study.source.excerpt(size.span))
    name = statement.name.text
    column = column_spec("", statement.type, span=statement.type.span)
    return InputSpec(statement.party.text, name, False, (column,), tuple(shape), span=statement.span)


def _table(statement: syntax.Table, values: Mapping[str, ParamValue]) -> list[InputSpec]:
    columns = tuple(column_spec(c.name.text, c.type, unique=c.unique, span=c.span) for c in statement.columns)
    together = tuple(tuple(c.text for c in u.columns) for u in statement.uniques)
    rows = None if statement.rows is None else whole_number(statement.rows, values)
    owners = statement.parties
    return [
        InputSpec(
            party=owner.text,
            name=statement.name.text,
            table=True,
            columns=columns,
            max_rows=rows,
            unique_together=together,
            parts=len(owners),
            span=statement.span,
        )
        for owner in owners
    ]
