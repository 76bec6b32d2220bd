"""`cast(x as type)`.

For: `cast`.
Leaves to others: which words name a type (`dsl.build_query`), the conversions that need no asking (`dsl.convert`).

A number becomes another kind of number, the nearest there is; a truth value 0 or 1; a word of an enum a text; a text of
the study what it says.  What a secret text says is for its owner to read, who does so where the column is declared.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import cast as typed

import numpy as np

from dsl import syntax
from dsl.convert import MAX_PLACES, convert, exact_decimal, text_array, to_fixed, to_int
from dsl.query import texts
from dsl.query.choices import Missing, Result
from dsl.query.functions import rounded
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import BOOLEAN, DATE, FIXED, INTEGER, SType, decimal, text_words
from dsl.values import Array, Text, Val, describe
from mpc.types import BOOL, INT

__all__ = ["cast"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_TRUTHS = {"true": True, "false": False}


def cast(ctx: Context, result: Result, e: syntax.Cast) -> Array:
    """A value as one of another type."""
    if e.kind == "decimal" and not 0 <= typed(int, e.size) <= MAX_PLACES:
        ctx.w.fail("E0301", f"a decimal has up to {MAX_PLACES} places", e.span)
    if isinstance(result, Missing):
        return _missing(ctx, e)
    if isinstance(result, Text):
        return _said(ctx, result.text, e)
    a = ctx.w.array(result, e.value.span, "a value of one row")
    if e.kind == "text":
        return _text(ctx, a, e)
    if e.kind == a.stype.kind == "date":
        return a
    if e.kind == "date" or not a.stype.numeric:
        _refused(ctx, a, e)
    return _number(ctx, a, e)


def _missing(ctx: Context, e: syntax.Cast) -> Array:
    stypes = {"int": INTEGER, "fixed": FIXED, "bool": BOOLEAN, "date": DATE, "decimal": decimal(e.size or 0)}
    stype = stypes.get(e.kind, SType("text", length=e.size or 1))
    shape = (text_words(stype.length),) if stype.kind == "text" else ()
    zero = ctx.w.builder.const(np.zeros(shape), stype.dtype(ctx.w.frac))
    return Array(zero, stype.optional(), ctx.w.builder.const(np.bool_(False), BOOL))


def _number(ctx: Context, a: Array, e: syntax.Cast) -> Array:
    w, nullable = ctx.w, a.stype.nullable
    match e.kind:
        case "bool":
            if a.stype.kind == "bool":
                return a
            zero = w.builder.const(np.zeros(()), a.value.dtype)
            return Array(~a.value.equals(zero), BOOLEAN.optional(nullable), a.valid)
        case "fixed":
            return to_fixed(w, to_int(a))
        case "decimal":
            places = typed(int, e.size)
            a = exact_decimal(w, to_int(a))
            a = rounded(ctx, a, places)
            return convert(w, a, decimal(places).optional(nullable)) if places else a
    a = exact_decimal(w, to_int(a))
    if a.stype.kind != "fixed":
        return rounded(ctx, a, 0)
    units = emit(ctx, "units", emit(ctx, "round", a.value), frac=a.value.dtype.frac)
    unit = w.builder.const(np.int64(1 << a.value.dtype.frac), INT)
    return Array(emit(ctx, "floordiv", units, unit), INTEGER.optional(nullable), a.valid)


def _text(ctx: Context, a: Array, e: syntax.Cast) -> Array:
    if a.stype.kind == "bool":
        a = texts.by_number(ctx, a.with_value(a.value.to_int()), ["false", "true"])
    elif a.stype.kind == "enum":
        a = texts.by_number(ctx, a, a.stype.words)
    if a.stype.kind != "text":
        _refused(ctx, a, e)
    if e.size is not None and e.size < a.stype.length:
        helps = [f"`substring(x, 1, {e.size})` is its beginning"]
        ctx.w.fail("E0301", f"{a.stype} may be longer than {e.size} bytes", e.span, helps=helps)
    return a if e.size is None else convert(ctx.w, a, SType("text", length=e.size, nullable=a.stype.nullable))


def _said(ctx: Context, text: str, e: syntax.Cast) -> Array:
    """What a text of the study says."""
    found: Array | None = None
    match e.kind:
        case "text":
            return _text(ctx, text_array(ctx.w, text), e)
        case "date":
            found = texts.date_of(ctx.w, text)
        case "bool" if text.lower() in _TRUTHS:
            found = ctx.w.const(_TRUTHS[text.lower()], BOOLEAN)
        case "int" | "fixed" | "decimal" if _NUMBER.fullmatch(text):
            number = Decimal(text)
            a = ctx.w.const(float(number), FIXED)
            found = _number(ctx, exact_decimal(ctx.w, Array(a.value, FIXED, exact=number)), e)
    if found is None:
        ctx.w.fail("E0301", f"'{text}' is no {e.kind}", e.value.span)
    return found


def _refused(ctx: Context, val: Val, e: syntax.Cast) -> None:
    span: Span = e.value.span
    helps = []
    if isinstance(val, Array) and val.stype.kind in {"text", "enum"}:
        helps = [f"declare the column as `{e.kind}`: its owner then reads it"]
    ctx.w.fail("E0301", f"{describe(val)} is not cast to `{e.kind}`", span, helps=helps)
