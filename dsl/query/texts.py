"""Texts in queries: `like`, their order, `substring`, and dates written as texts.

For: `like`, `ordered`, `substring`, `date_of`.
Leaves to others: equality (`dsl.operators`), the operations themselves (`mpc.circuits.texts`).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dsl.convert import text_array, unify
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import BOOLEAN, DATE, EPOCH, SType
from dsl.values import Array, Text, Val, describe
from mpc.circuit import Value
from mpc.types import BOOL

if TYPE_CHECKING:
    from dsl.walker import Walker

__all__ = ["date_of", "like", "ordered", "substring"]


def date_of(w: Walker, text: str) -> Array | None:
    """The date that a text is; None when it is none."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return None
    return w.const((day - EPOCH).days, DATE)


def like(ctx: Context, val: Val, pattern: str, span: Span) -> Val:
    """`val like pattern`."""
    w = ctx.w
    if isinstance(val, Text):
        return w.const(bool(_expression(pattern).fullmatch(val.text)), BOOLEAN)
    a = w.array(val, span, "a text")
    if a.stype.kind == "enum":
        return _word_like(ctx, a, pattern)
    if a.stype.kind != "text":
        return w.error("E0301", "`like` is for texts", span, describe(a))
    value = emit(ctx, "text_like", a.value, pattern=pattern)
    return Array(value, BOOLEAN.optional(a.stype.nullable), a.valid)


def _expression(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(c, re.escape(c)) for c in pattern), re.DOTALL)


def _word_like(ctx: Context, a: Array, pattern: str) -> Array:
    expression = _expression(pattern)
    value: Value = ctx.w.builder.const(np.bool_(False), BOOL).broadcast_to(a.shape)
    for number, word in enumerate(a.stype.words):
        if expression.fullmatch(word):
            value = value | a.value.equals(number)
    return Array(value, BOOLEAN.optional(a.stype.nullable), a.valid)


def ordered(ctx: Context, op: str, left: Val, right: Val, span: Span) -> Val:
    """`<`, `<=`, `>`, `>=` of texts, in the order of their bytes."""
    w = ctx.w
    arrays = [text_array(w, v.text) if isinstance(v, Text) else w.array(v, span) for v in (left, right)]
    (a, b), _ = unify(w, arrays, span)
    x, y = (a.value, b.value) if op in {"<", ">="} else (b.value, a.value)
    value = emit(ctx, "text_less", x, y)
    value = ~value if op in {"<=", ">="} else value
    valid = a.valid if b.valid is None else b.valid if a.valid is None else a.valid & b.valid
    if valid is not None:
        valid = valid.broadcast_to(value.shape)
    return Array(value, BOOLEAN.optional(valid is not None), valid)


def substring(ctx: Context, vals: Sequence[Val], span: Span) -> Val:
    """`substring(x, start, length)`: characters from the start-th, counted from 1."""
    w = ctx.w
    if len(vals) not in {2, 3}:
        return w.error("E0205", "`substring` takes a text, the first character, and how many", span)
    first = w.number(vals[1], span, "the first character")
    length = None if len(vals) == 2 else w.number(vals[2], span, "the number of characters")
    if length is not None and length < 0:
        return w.error("E0301", "a text has no negative length", span)
    end = None if length is None else max(first - 1 + length, 0)
    start = max(first - 1, 0)
    if isinstance(vals[0], Text):
        return Text(vals[0].text[start:end])
    a = w.array(vals[0], span, "a text")
    if a.stype.kind != "text":
        return w.error("E0301", "`substring` is for texts", span, describe(a))
    if a.value.type.secret:
        helps = ["let the text's owner cut it: a query over its table, before any join"]
        return w.error("E0901", "`substring` of a secret text is not supported yet", span, helps=helps)
    kept = a.stype.length if end is None else min(a.stype.length, 4 * max(end - start, 0))
    value = emit(ctx, "text_cut", a.value, start=start, stop=end, bytes=max(kept, 1))
    return Array(value, SType("text", length=max(kept, 1), nullable=a.stype.nullable), a.valid)
