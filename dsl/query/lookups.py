"""Rows of one relation looked up from another by equal keys.

For: `lookup`, `matches`, `Keys`; `bounded` for keys that repeat on both sides.
Leaves to others: which side looks up which (`joins`), sub-queries (`attach`), the operations
(`mpc.circuits.relational_*`).

A key that is missing equals nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dsl.convert import unify
from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.plan import Column
from dsl.query.relation import Context, Part, emit, full, packed, shown, unpacked
from dsl.source import Span
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import Dim

__all__ = ["Found", "Keys", "bounded", "keys_of", "lookup", "matches", "split", "stacked"]


class Keys(NamedTuple):
    """The columns of a key and which rows have one: visible, nothing missing."""

    columns: list[Array]
    there: Value


class Found(NamedTuple):
    """For the rows of one part: whether there is a row with their key, and its columns, zero where there is none."""

    matched: Value
    columns: dict[Column, Array]


def keys_of(ctx: Context, part: Part, nodes: Sequence[Node]) -> Keys:
    """The key of every row of a part."""
    columns = [column_of(rows_of(ctx, part), node) for node in nodes]
    there = shown(ctx, part)
    for column in columns:
        if column.valid is not None:
            there = column.valid if part.visible is None and there.is_const else there & column.valid
    return Keys(columns, there)


def _alike(ctx: Context, sides: Sequence[Keys], span: Span) -> list[Keys]:
    """Keys of one type on all sides."""
    out: list[list[Array]] = [[] for _ in sides]
    for columns in zip(*(side.columns for side in sides), strict=True):
        arrays, _ = unify(ctx.w, columns, span, counting=True)
        for side, array in zip(out, arrays, strict=True):
            side.append(array)
    return [Keys(columns, side.there) for columns, side in zip(out, sides, strict=True)]


def stacked(ctx: Context, sides: Sequence[Keys]) -> Keys:
    """Keys of all parts, one below the other."""
    if len(sides) == 1:
        return sides[0]
    columns = [
        replace(arrays[0], value=emit(ctx, "concat", *(a.value for a in arrays), axis=0))
        for arrays in zip(*(side.columns for side in sides), strict=True)
    ]
    return Keys(columns, emit(ctx, "concat", *(side.there for side in sides), axis=0))


def lookup(
    ctx: Context, left: Part, left_keys: Keys, columns: Sequence[Column], right: Sequence[Keys], span: Span
) -> list[Found]:
    """What each row of the right parts finds in `left`, whose keys are unique, of its columns."""
    here, *there = _alike(ctx, [left_keys, *right], span)
    all_right = stacked(ctx, there)
    arrays = [full(left.columns[c], left.rows) for c in columns]
    payload = packed(arrays)
    matched, *values = ctx.w.builder.emit_many(
        "lookup_rows",
        *(a.value for a in here.columns),
        here.there,
        *payload,
        *(a.value for a in all_right.columns),
        all_right.there,
        keys=len(here.columns),
        payload=len(payload),
    )
    return [
        Found(mask, dict(zip(columns, unpacked(arrays, found), strict=True)))
        for mask, *found in zip(*(split(v, [k.there.shape[0] for k in right]) for v in (matched, *values)), strict=True)
    ]


def matches(ctx: Context, left_keys: Keys, right: Sequence[Keys], span: Span) -> list[Value]:
    """Whether each row of the right parts has a key that some left row has."""
    here, *there = _alike(ctx, [left_keys, *right], span)
    all_right = stacked(ctx, there)
    operands = [*(a.value for a in here.columns), here.there, *(a.value for a in all_right.columns), all_right.there]
    matched = emit(ctx, "match_rows", *operands, keys=len(here.columns))
    return split(matched, [k.there.shape[0] for k in right])


def split(value: Value, rows: Sequence[Dim]) -> list[Value]:
    """A column of several parts as theirs."""
    if len(rows) == 1:
        return [value]
    out = []
    start: Dim = 0
    for n in rows:
        parts = ((start, start + n, 1), *((0, d, 1) for d in value.shape[1:]))
        out.append(value.builder.emit("slice", value, parts=parts))
        start = start + n
    return out


def bounded(ctx: Context, left: Part, left_keys: Keys, right: Part, right_keys: Keys, rows: int, span: Span) -> Part:
    """All pairs of a left and a right row with equal keys, in so many rows; a check that they fit."""
    here, there = _alike(ctx, [left_keys, right_keys], span)
    sides = [(c, full(a, part.rows)) for part in (left, right) for c, a in part.columns.items()]
    arrays = [a for _, a in sides]
    lefts = packed(arrays[: len(left.columns)])
    rights = packed(arrays[len(left.columns) :])
    visible, *values, over = ctx.w.builder.emit_many(
        "join_rows",
        *(a.value for a in here.columns),
        here.there,
        *lefts,
        *(a.value for a in there.columns),
        there.there,
        *rights,
        keys=len(here.columns),
        left=len(lefts),
        right=len(rights),
        rows=rows,
    )
    ctx.check(over, "a join has more rows than its bound", span)
    out = unpacked(arrays, values)
    return Part(rows, {c: a for (c, _), a in zip(sides, out, strict=True)}, visible)
