"""Rows of a table moved together: shuffled, or the visible ones brought to the front.

For: `shuffled`, `front`, `by_contents`.
Leaves to others: what is opened of them (`reveals`, `builtins.tables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl.values import Table, leaves, rebuild
from dsl.walker import Walker
from mpc.circuit import Value

__all__ = ["by_contents", "front", "shuffled"]


def front(w: Walker, table: Table) -> Table:
    """The visible rows first, in their order."""
    assert table.visible is not None
    _, *moved = w.builder.emit_many("front_rows", table.visible, *leaves(table))
    return _rebuilt(table, moved)


def shuffled(w: Walker, table: Table) -> Table:
    """The rows in an order that no party knows, if no party sees all of the table."""
    return _rebuilt(table, w.builder.emit_many("shuffle_rows", *leaves(table)))


def by_contents(w: Walker, table: Table) -> Table:
    """The visible rows first, in the order of what they hold."""
    values = list(leaves(table))
    hidden = [] if table.visible is None else [~table.visible]
    keys = [*hidden, *values]
    moved = w.builder.emit_many("sort_rows", *keys, keys=len(keys), descending=(False,) * len(keys))
    return _rebuilt(table, moved[len(hidden) :])


def _rebuilt(table: Table, moved: Sequence[Value]) -> Table:
    out = rebuild(table, list(moved))
    assert isinstance(out, Table)
    return replace(out, lineage=table.lineage)
