"""What is known of a table for the privacy of what is made of it.

For: `Lineage`, `InOrder`, `Change`, `Refusal`, `lineage_of`; `Clipped` of an array whose norm is limited.
Leaves to others: finding it out for queries (`queries`), using it (`noised`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from dsl.source import Span

if TYPE_CHECKING:
    from dsl.query.plan import Block, Column
    from dsl.values import Table

__all__ = ["MIXED", "Change", "Clipped", "InOrder", "Lineage", "Owned", "Refusal", "lineage_of"]

Owned: TypeAlias = "tuple[str, str]"
"""(party, its table or array)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no finite sensitivity."""

    message: str
    span: Span | None = None
    helps: tuple[str, ...] = ()
    code: Literal["E0701", "E0901"] = "E0701"


@dataclass(frozen=True, slots=True)
class Change:
    """How far a column may move, in natural units, if one row is replaced that counts once.

    total: the sum of all its numbers' magnitudes. norm2: the square of the Euclidean norm. loose: what rounding may add
    in all where owners add up numbers with fractions.
    """

    total: Fraction
    norm2: Fraction
    loose: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class InOrder:
    """Groups without an order, and the keys that they are to be put in order by, of which True ones descend."""

    block: Block
    keys: tuple[tuple[Column, bool], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Lineage:
    """rows: for each table that a query's rows come from, how many of them vanish at most, and how many others appear,
    if one row of it is replaced; or why there is no limit. columns: of a query with aggregates, what each column is:
    a key of its groups, or a measure and how far it may move; None: it shows rows as they are. refusal: why nothing of
    this is known. unordered: the plan of groups that the query puts in the order of their keys, which noise comes
    before."""

    rows: Mapping[Owned, int | Refusal] = field(default_factory=dict)
    columns: Mapping[str, Change | Literal["key"] | Refusal] | None = None
    refusal: Refusal | None = None
    unordered: InOrder | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Clipped:
    """What `clip_norm` gives: several arrays, the norm of all together being at most `norm`. by: what it derives
    from."""

    norm: float
    by: frozenset[Owned]


MIXED: Final = Lineage(refusal=Refusal("rows may be of several tables here, passed on by a loop"))
"""Of a table of which it is not known whose rows it has."""


def lineage_of(table: Table) -> Lineage:
    """That of a table as its owners bring it, or that its query was given."""
    if table.lineage is not None:
        return table.lineage
    if table.owners:
        return Lineage({(owner, table.name): 1 for owner in table.owners})
    message = f"it is not known what `{table.name}` derives from"
    return Lineage(refusal=Refusal(message, table.span, ("put the noise on a query over the owners' tables",)))
