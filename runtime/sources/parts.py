"""The forms in which values stand in SQL.

For: `Number`, `Truth`, `Text`, `Key`, `Part`; `column`; `NotInSQLError`.
Leaves to others: what a column is in SQL (`columns`), expressions (`expressions`).
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

from dsl.inputs import ColumnSpec
from mpc.circuit import Node
from runtime.sources.columns import Native
from runtime.sources.dialects import Dialect
from runtime.sources.text import FIXED_LIMIT

__all__ = ["Key", "NotInSQLError", "Number", "Part", "Text", "Truth", "column"]


class NotInSQLError(Exception):
    """SQL might not say the same."""


class Number(NamedTuple):
    """A whole number between low and high, or (neither known) a float of at most `size`. day, words: of a date, an
    enum. long: it has 64 bits in SQL, where fewer might not do to compute with it.
    """

    sql: str
    low: int | None = None
    high: int | None = None
    day: str | None = None
    words: tuple[str, tuple[str, ...]] | None = None
    constant: int | None = None
    size: float = math.inf
    long: bool = False


class Truth(NamedTuple):
    """A truth value."""

    sql: str


class Text(NamedTuple):
    """A text that compares byte by byte, of at most so many bytes."""

    sql: str
    length: int


class Key(NamedTuple):
    """An identifier as the table has it, null where it is missing. family: within one, equal is what hashes alike."""

    sql: str
    family: str


Part: TypeAlias = "Number | Truth | Text | Key"


def column(node: Node, spec: ColumnSpec, native: Native, dialect: Dialect) -> Part:
    """A column of a table, which an `input` node brings.  Raises NotInSQLError."""
    if node["column"].endswith("?"):
        return Truth(f"(not ({native.missing}))")
    if spec.kind == "text" and native.text is not None:
        return Text(native.text, spec.length)
    if spec.kind == "enum" and native.text is not None:
        cases = " ".join(f"when {native.text} = {dialect.constant(w)} then {i}" for i, w in enumerate(spec.words))
        return Number(f"(case {cases} else 0 end)", 0, len(spec.words) - 1, words=(native.text, spec.words))
    if spec.kind == "key" and native.family:
        return Key(native.same, native.family)
    if native.value is None:
        raise NotInSQLError
    if spec.kind == "bool":
        return Truth(f"({native.value})")
    known = node["range"]
    if spec.kind == "fixed":
        return Number(native.value, size=FIXED_LIMIT if known is None else max(map(abs, known)))
    low, high = native.bounds
    if known is not None:
        low, high = max(low, int(known[0])), min(high, int(known[1]))
    return Number(native.value, low, high, day=native.day, long=spec.kind != "date")
