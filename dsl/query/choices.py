"""Values of one type beside one another: `null` among them, the choice between two, the first that is there.

For: `NULL`, `alike`, `choose`, `first_there`.
Leaves to others: the expressions that these are the values of (`expressions`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeAlias

import numpy as np

from dsl.convert import text_array, unify, word_index
from dsl.query import texts
from dsl.query.relation import Context
from dsl.source import Span
from dsl.stypes import BOOLEAN, SType
from dsl.values import Array, Text, Val
from mpc.types import BOOL

__all__ = ["NULL", "Missing", "Result", "alike", "choose", "first_there"]


class Missing:
    """`null`, which has no type of its own."""


NULL: Final = Missing()
Result: TypeAlias = "Val | Missing"


def alike(ctx: Context, results: Sequence[Result], span: Span) -> list[Array] | None:
    """Values of one type; `null` as a missing value of it; None when all are `null`."""
    w = ctx.w
    there = [r for r in results if not isinstance(r, Missing)]
    if not there:
        return None
    known = next((r.stype for r in there if isinstance(r, Array)), None)
    if known is not None and any(isinstance(r, Text) and r.text not in known.words for r in there):
        known = known if known.kind == "date" else None  # another word than the enum's: all are texts
    arrays = iter(unify(w, texts.side_by_side(ctx, [_typed(ctx, v, known, span) for v in there]), span)[0])
    out: list[Array | None] = [None if isinstance(r, Missing) else next(arrays) for r in results]
    some = next(a for a in out if a is not None)
    blank = w.builder.const(np.zeros((1,) * (1 if some.stype.kind == "text" else 0)), some.value.dtype)
    if some.stype.kind == "text":
        blank = blank.broadcast_to(some.value.shape[-1:])
    false = w.builder.const(np.bool_(False), BOOL)
    return [Array(blank, some.stype.optional(), false) if a is None else a for a in out]


def _typed(ctx: Context, val: Val, stype: SType | None, span: Span) -> Array:
    w = ctx.w
    if isinstance(val, Text):
        if stype is not None and stype.kind == "enum":
            return word_index(w, val.text, stype, span)
        if stype is not None and stype.kind == "date":
            return texts.date_of(w, val.text) or text_array(w, val.text)
        return text_array(w, val.text)
    return w.array(val, span)


def choose(ctx: Context, condition: Array, a: Array, b: Array) -> Array:
    """`a` where the condition is true, else `b`; both are of one type."""
    w = ctx.w
    if condition.value.is_const and not condition.shape:
        return a if bool(condition.value.constant) else b
    c = condition.value
    if a.stype.kind == "text" and c.ndim:
        c = c.reshape((*c.shape, 1))
    value = w.builder.emit("select", c, a.value, b.value)
    if a.valid is None and b.valid is None:
        return Array(value, a.stype.optional(False))
    true = w.builder.const(np.bool_(True), BOOL)
    valid = w.builder.emit("select", condition.value, *(true if v is None else v for v in (a.valid, b.valid)))
    return Array(value, a.stype.optional(), valid)


def first_there(ctx: Context, values: Sequence[Array]) -> Array:
    """The first of several values of one type that is not missing."""
    out = values[-1]
    for a in reversed(values[:-1]):
        if a.valid is None:
            out = a
            continue
        here = Array(a.valid, BOOLEAN)
        chosen = choose(ctx, here, replace(a, valid=None), replace(out, valid=None))
        valid = None if out.valid is None else a.valid | out.valid
        out = replace(chosen, valid=valid, stype=chosen.stype.optional(valid is not None))
    return out
