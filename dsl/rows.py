"""Rows of a table moved together: shuffled, or the visible ones brought to the front.

For: `shuffled`, `front`.
Leaves to others: what is opened of them (`reveals`, `builtins.tables`).

Columns of whole numbers, truth values and masks travel as one matrix, those of fixed point as another, so that a table
costs two moves and not one for each column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dsl.values import Table, leaves, rebuild
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import BOOL, INT, Dim, Size

__all__ = ["front", "shuffled"]


def front(w: Walker, table: Table) -> Table:
    """The visible rows first, in their order."""
    assert table.visible is not None
    key = (~table.visible).to_int()
    return _moved(table, [_sorted(w, p, key) for p in _packed(w, table)])


def shuffled(w: Walker, table: Table) -> Table:
    """The rows in an order that no party knows, if no party sees all of the table."""
    whole, *rest = _packed(w, table)
    rows = whole.shape[0]
    if not rest:
        return _moved(table, [w.builder.emit("shuffle", whole)])
    # The matrix that is shuffled takes the rows' old places along; their order then says where each row has gone.
    places = w.builder.emit("concat", whole, _count(w, rows).reshape((rows, 1)), axis=1)
    moved = w.builder.emit("shuffle", places)
    width = whole.shape[1]
    assert isinstance(width, int)
    old = _cut(w, moved, width, width + 1).reshape((rows,))
    goes = w.builder.emit("sort_by", _count(w, rows), old)
    return _moved(table, [_cut(w, moved, 0, width), *(_sorted(w, r, goes) for r in rest)])


def _count(w: Walker, rows: Dim) -> Value:
    if isinstance(rows, Size):  # checked without data: only the type matters
        return w.builder.const(np.int64(0), INT).broadcast_to((rows,))
    return w.builder.const(np.arange(rows), INT)


def _sorted(w: Walker, rows: Value, key: Value) -> Value:
    return w.builder.emit("sort_by", rows, key)


def _cut(w: Walker, x: Value, start: int, stop: int) -> Value:
    return w.builder.emit("slice", x, parts=((0, x.shape[0], 1), (start, stop, 1)))


def _kinds(values: Sequence[Value]) -> tuple[list[int], list[int]]:
    whole = [i for i, v in enumerate(values) if v.dtype.kind != "fixed"]
    return whole, [i for i, v in enumerate(values) if v.dtype.kind == "fixed"]


def _width(value: Value) -> int:
    words = value.shape[1] if value.ndim == 2 else 1
    assert isinstance(words, int)
    return words


def _packed(w: Walker, table: Table) -> list[Value]:
    values = list(leaves(table))
    packed = []
    for group in _kinds(values):
        parts = [values[i].to_int() if values[i].dtype == BOOL else values[i] for i in group]
        wide = [p.reshape((p.shape[0], _width(p))) for p in parts]
        if wide:
            packed.append(wide[0] if len(wide) == 1 else w.builder.emit("concat", *wide, axis=1))
    return packed


def _moved(table: Table, packed: Sequence[Value]) -> Table:
    """The table whose leaves are in `packed`, in the order of `_packed`."""
    values = list(leaves(table))
    out: list[Value] = list(values)
    groups = [group for group in _kinds(values) if group]
    for matrix, group in zip(packed, groups, strict=True):
        at = 0
        for i in group:
            width = _width(values[i])
            part = matrix.builder.emit("slice", matrix, parts=((0, matrix.shape[0], 1), (at, at + width, 1)))
            part = part.reshape(values[i].shape)
            out[i] = part.equals(1) if values[i].dtype == BOOL else part
            at += width
    moved = rebuild(table, out)
    assert isinstance(moved, Table)
    return moved
