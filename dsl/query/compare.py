"""Comparisons in queries: of texts by their bytes, of dates with dates that are written as texts, of all else by value.

For: `compared`, `greatest`.
Leaves to others: the comparison of numbers (`dsl.operators`), of texts (`texts`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from dsl.operators import compare, invert
from dsl.query import texts
from dsl.query.choices import Result, alike, choose
from dsl.query.relation import Context
from dsl.source import Span
from dsl.stypes import BOOLEAN
from dsl.values import Array, Text, Val

__all__ = ["compared", "greatest"]


def compared(ctx: Context, op: str, left: Val, right: Val, span: Span) -> Val:
    """`left op right`."""
    if isinstance(left, Array) and isinstance(right, Array):
        left, right = texts.side_by_side(ctx, [left, right])
    kinds = {a.stype.kind for a in (left, right) if isinstance(a, Array)}
    if op in {"<", "<=", ">", ">="} and kinds == {"text"}:
        return texts.ordered(ctx, op, left, right, span)
    left, right = (_dated(ctx, a, b) for a, b in ((left, right), (right, left)))
    if op in {"==", "!="}:
        for part, text in ((left, right), (right, left)):
            same = texts.part_is(ctx, part, text.text) if isinstance(part, Array) and isinstance(text, Text) else None
            if same is not None:
                return same if op == "==" else invert(ctx.w, same, span)
    return compare(ctx.w, op, left, right, span)


def _dated(ctx: Context, val: Val, other: Val) -> Val:
    """A text beside a date as the date that it says."""
    if isinstance(val, Text) and isinstance(other, Array) and other.stype.kind == "date":
        return texts.date_of(ctx.w, val.text) or val
    return val


def greatest(ctx: Context, results: Sequence[Result], which: Literal["greatest", "least"], span: Span) -> Array | None:
    """The greatest, or least, of the values that are there; missing where none is, None when none can be."""
    values = alike(ctx, results, span)
    if values is None:
        return None
    out = values[0]
    for value in values[1:]:
        better = cast(Array, compared(ctx, ">" if which == "greatest" else "<", value, out, span)).value
        if value.valid is not None:
            better = better & value.valid
        if out.valid is not None:
            better = better | (~out.valid if value.valid is None else ~out.valid & value.valid)
        out = choose(ctx, Array(better, BOOLEAN), value, out)
    return out
