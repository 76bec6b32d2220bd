"""Columns and parts by name, and values opened in mid-study.

For: `column`, `missing` (the error for a name that is not there), `opened`.
Leaves to others: making tables (`declarations`), revealing to some parties (`reveals`).
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from dsl.source import Span
from dsl.values import Array, Nothing, Record, Table, Tuple, Unknown, Val, describe
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import EVERYONE

__all__ = ["column", "missing", "open_value", "opened"]


def column(w: Walker, table: Table, name: str, span: Span) -> Array:
    """A column as an array; in a table with invisible rows these count as missing."""
    if name not in table.columns:
        missing(w, f"`{table.name}` has no column `{name}`", name, list(table.columns), span)
        raise Reported
    array = table.columns[name]
    if table.visible is None:
        return array
    valid = table.visible if array.valid is None else array.valid & table.visible
    return replace(array, valid=valid, padded=True)


def missing(w: Walker, message: str, name: str, names: list[str], span: Span) -> Unknown:
    """An error for a name that is not among `names`."""
    near = get_close_matches(name, names, n=1)
    return w.error(
        "E0207",
        message,
        span,
        f"there are {', '.join(names)}" if names else "",
        helps=[f"there is `{n}`" for n in near],
    )


def opened(w: Walker, val: Val, span: Span) -> Val:
    """`val`, seen by everyone from here on."""
    match val:
        case Array() if val.stype.kind == "key":
            return w.error("E0309", "a key is never revealed", span)
        case Array():
            w.full(val, span)
            return val if val.public else replace(val, value=open_value(w, val.value))
        case Tuple(items):
            # Each for itself: a key among them stays closed, and what stands under a missing value too.
            return Tuple(tuple(opened(w, item, span) for item in items))
        case Record():
            return replace(val, fields={name: opened(w, field, span) for name, field in val.fields.items()})
        case Nothing():
            return w.error("E0301", "there is nothing to open", span)
    return w.error(
        "E0301",
        f"{describe(val)} cannot be opened",
        span,
        helps=["open how many rows there are: `compact(q)`"] if isinstance(val, Table) else [],
    )


def open_value(w: Walker, value: Value) -> Value:
    """A node that opens `value` to everyone."""
    return w.builder.append("open", (value,), {}, value.type.seen(EVERYONE), pure=False)
