"""Surface types: what the study's author sees, over the three element types that circuits know.

For: `SType`, its names in messages, its element type in a circuit, and what two types become together.
Leaves to others: shapes and viewers, which are those of the circuit's value (`mpc.types`).

    int, fixed, bool   themselves
    decimal(d)         a whole number of units 10^-d
    date               a whole number of days since 1970-01-01
    enum(…)            the whole number of the word, from 0, in the order that was declared
    key                a whole number: the keyed 64-bit hash
    text(n)            ceil(n / 7) whole numbers along one further, last axis: 7 bytes each, the first byte highest,
                       filled up with zero bytes (so whole numbers are in the order of the bytes)
    T?                 as T, beside a truth value that says whether it is there
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

from mpc.types import BOOL, INT, DType, Fixed

__all__ = [
    "BOOLEAN",
    "DATE",
    "DATE_RANGE",
    "EPOCH",
    "FIXED",
    "INTEGER",
    "TEXT_BYTES",
    "Kind",
    "SType",
    "common",
    "decimal",
    "text_words",
]

Kind = Literal["int", "fixed", "bool", "decimal", "date", "enum", "text", "key"]

EPOCH: Final = date(1970, 1, 1)
DATE_RANGE: Final = ((date.min - EPOCH).days, (date.max - EPOCH).days)
TEXT_BYTES: Final = 7
"""Bytes of a text in one whole number."""


@dataclass(frozen=True, slots=True)
class SType:
    """A surface type of one element. places: of `decimal`; words: of `enum`; length: bytes of `text`."""

    kind: Kind
    places: int = 0
    words: tuple[str, ...] = ()
    length: int = 0
    nullable: bool = False

    def dtype(self, frac: int) -> DType:
        """The element type in a circuit, `fixed` having `frac` fraction bits."""
        if self.kind == "fixed":
            return Fixed(frac)
        return BOOL if self.kind == "bool" else INT

    @property
    def numeric(self) -> bool:
        """Whether one can count with it: `int`, `fixed`, `decimal`, and `bool` as 0 or 1."""
        return self.kind in {"int", "fixed", "decimal", "bool"}

    @property
    def ordered(self) -> bool:
        """Whether `<` is defined."""
        return self.kind not in {"key", "text"}

    @property
    def example(self) -> str:
        """A value of this type as a study writes it."""
        match self.kind:
            case "bool":
                return "false"
            case "date":
                return f"date '{EPOCH}'"
            case "enum":
                return repr(self.words[0])
            case "text":
                return "''"
            case _:
                return "0"

    def optional(self, nullable: bool = True) -> SType:
        """This type, with or without `?`."""
        return replace(self, nullable=nullable)

    def __str__(self) -> str:
        match self.kind:
            case "decimal":
                name = f"decimal({self.places})"
            case "enum":
                name = f"enum({', '.join(map(repr, self.words))})"
            case "text":
                name = f"text({self.length})"
            case _:
                name = self.kind
        return name + ("?" if self.nullable else "")


INTEGER: Final = SType("int")
FIXED: Final = SType("fixed")
BOOLEAN: Final = SType("bool")
DATE: Final = SType("date")


def decimal(places: int) -> SType:
    """`decimal(places)`, and `int` for no places."""
    return SType("decimal", places) if places else INTEGER


def text_words(length: int) -> int:
    """How many whole numbers hold a text of `length` bytes."""
    return max(1, -(-length // TEXT_BYTES))


def common(left: SType, right: SType) -> SType | None:
    """The type in which both can stand side by side without loss, None when there is none.

    `int` beside `decimal(d)` is `decimal(d)`, decimals take the larger number of places, any of them beside `fixed` is
    `fixed`. An `enum` beside a text or other words is a text. A truth value stands beside truth values alone.
    """
    nullable = left.nullable or right.nullable
    a, b = left.optional(False), right.optional(False)
    if a == b:
        return a.optional(nullable)
    kinds = {a.kind, b.kind}
    if kinds <= {"int", "decimal"}:
        return decimal(max(a.places, b.places)).optional(nullable)
    if kinds <= {"int", "decimal", "fixed"}:
        return FIXED.optional(nullable)
    if kinds <= {"text", "enum"}:
        longest = max(len(word.encode()) for word in ("", *a.words, *b.words))
        return SType("text", length=max(a.length, b.length, longest, 1), nullable=nullable)
    return None
