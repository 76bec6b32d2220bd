"""Texts in queries: `like`, their order, what makes texts of texts, and dates written as texts.

For: `like`, `in_lower_case`, `ordered`, `substring`, `joined`, `upper`, `lower`, `trimmed`, `length`, `place`,
`by_number`, `date_of`.
Leaves to others: equality (`dsl.operators`), the operations themselves (`mpc.circuits.texts`, `text_parts`).

A word of an enum is a text too: what is done to it is done to the listed words.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from dsl.convert import encode_text, text_array, unify
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import BOOLEAN, DATE, EPOCH, INTEGER, SType, text_words
from dsl.values import Array, Text, Val, describe
from mpc.circuit import Value
from mpc.circuits.texts import Piece, expression_of
from mpc.types import BOOL, INT

if TYPE_CHECKING:
    from dsl.walker import Walker

__all__ = [
    "as_text",
    "by_number",
    "date_of",
    "in_lower_case",
    "joined",
    "length",
    "like",
    "lower",
    "ordered",
    "part_is",
    "place",
    "side_by_side",
    "substring",
    "trimmed",
    "trimmed_left",
    "trimmed_right",
    "upper",
]

Change: TypeAlias = "Callable[[str], str]"


def date_of(w: Walker, text: str) -> Array | None:
    """The date that a text is; None when it is none."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return None
    return w.const((day - EPOCH).days, DATE)


def like(ctx: Context, val: Val, pieces: Sequence[Piece], span: Span) -> Val:
    """`val like` a pattern."""
    w = ctx.w
    expression = expression_of(pieces)
    if isinstance(val, Text):
        return w.const(bool(expression.fullmatch(val.text)), BOOLEAN)
    a = w.array(val, span, "a text")
    if a.stype.kind == "enum":
        value: Value = w.builder.const(np.bool_(False), BOOL).broadcast_to(a.shape)
        for number, word in enumerate(a.stype.words):
            if expression.fullmatch(word):
                value = value | a.value.equals(number)
        return Array(value, BOOLEAN.optional(a.stype.nullable), a.valid)
    if a.stype.kind != "text":
        return w.error("E0301", "`like` is for texts", span, describe(a))
    attrs = {"pattern": "".join(p.text for p in pieces)}
    if any(not p.wild and set(p.text) & {"%", "_"} for p in pieces):
        attrs = {"pattern": "".join(p.text if p.wild else _ESCAPED.sub(r"\\\g<0>", p.text) for p in pieces)}
        attrs["escape"] = "\\"
    return Array(emit(ctx, "text_like", a.value, **attrs), BOOLEAN.optional(a.stype.nullable), a.valid)


_ESCAPED: Final = re.compile(r"[%_\\]")


def in_lower_case(pieces: Sequence[Piece]) -> list[Piece]:
    """A pattern for what `lower` gives."""
    return [p._replace(text=p.text.translate(TO_LOWER)) for p in pieces]


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


# --------------------------------------------------------------------------------- texts of texts


def by_number(ctx: Context, a: Array, words: Sequence[str]) -> Array:
    """The text of each number 0, 1, …."""
    length = max(1, *(len(word.encode()) for word in words))
    table = np.array([encode_text(word, text_words(length)) for word in words], np.int64)
    value = emit(ctx, "take", ctx.w.builder.const(table, INT), a.value, axis=0)
    return Array(value, SType("text", length=length, nullable=a.stype.nullable), a.valid)


def as_text(ctx: Context, a: Array) -> Array:
    """The words of an enum as texts; other values as they are."""
    return by_number(ctx, a, a.stype.words) if a.stype.kind == "enum" else a


def side_by_side(ctx: Context, arrays: Sequence[Array]) -> list[Array]:
    """Words of one enum as they are; where they stand beside texts, or beside another enum's, all as texts."""
    kinds = {a.stype.kind for a in arrays}
    if kinds <= {"enum", "text"} and len({a.stype.words for a in arrays}) > 1:
        return [as_text(ctx, a) for a in arrays]
    return list(arrays)


def _changed(ctx: Context, val: Val, span: Span, what: str, word: Change, op: str, most: int = 0, **attrs: Any) -> Val:
    """A text after a change: `word` is what it does to one in the clear, `op` the operation that does it to columns,
    which gives texts of up to `most` bytes, or of as many as there were."""
    w = ctx.w
    if isinstance(val, Text):
        return Text(word(val.text))
    a = w.array(val, span, "a text")
    if a.stype.kind == "enum":
        return by_number(ctx, a, [word(x) for x in a.stype.words])
    if a.stype.kind != "text":
        return w.error("E0301", f"`{what}` is for texts", span, describe(a))
    length = min(a.stype.length, most) if most else a.stype.length
    if op != "text_case":
        attrs["bytes"] = length
    value = emit(ctx, op, a.value, **attrs)
    return Array(value, SType("text", length=length, nullable=a.stype.nullable), a.valid)


def substring(ctx: Context, vals: Sequence[Val], spans: Sequence[Span]) -> Val:
    """`substring(x, start, length)`: characters from the start-th, counted from 1."""
    w = ctx.w
    first = w.number(vals[1], spans[1], "the first character")
    length = None if len(vals) == 2 else w.number(vals[2], spans[2], "the number of characters")
    if length is not None and length < 0:
        return w.error("E0301", "a text has no negative length", spans[2])
    start = max(first - 1, 0)
    stop = None if length is None else max(first - 1 + length, start)
    kept = 0
    if isinstance(vals[0], Array) and vals[0].stype.kind == "text":
        kept = max(vals[0].stype.length - start, 1)
        kept = kept if stop is None else max(min(kept, 4 * (stop - start)), 1)
    return _changed(
        ctx, vals[0], spans[0], "substring", lambda t: t[start:stop], "text_cut", kept, start=start, stop=stop
    )


def part_is(ctx: Context, part: Array, text: str) -> Array | None:
    """Whether a part of a text is a text of the study, by a pattern, which costs a fraction of the part: `substring(x,
    2, 3) = 'abc'` is `x like '_abc%'`.  None for what is no part, or where no pattern says it."""
    node = part.value.node
    if node.op != "text_cut" or not text or set(text) & {"%", "_"}:
        return None
    start, stop = int(node["start"]), node["stop"]
    wanted = None if stop is None else stop - start
    if wanted is not None and len(text) > wanted:
        return None
    pattern = "_" * start + text + "%" * (len(text) == wanted)
    whole = Value(part.value.builder, node.src[0])
    return Array(emit(ctx, "text_like", whole, pattern=pattern), BOOLEAN.optional(part.stype.nullable), part.valid)


LOWER: Final = "".join(map(chr, range(ord("a"), ord("z") + 1)))
TO_UPPER: Final = str.maketrans(LOWER, LOWER.upper())
TO_LOWER: Final = str.maketrans(LOWER.upper(), LOWER)


def upper(ctx: Context, val: Val, span: Span) -> Val:
    """`upper(x)`: the letters a to z as A to Z."""
    return _changed(ctx, val, span, "upper", lambda t: t.translate(TO_UPPER), "text_case", upper=True)


def lower(ctx: Context, val: Val, span: Span) -> Val:
    """`lower(x)`: the letters A to Z as a to z."""
    return _changed(ctx, val, span, "lower", lambda t: t.translate(TO_LOWER), "text_case", upper=False)


def trimmed(ctx: Context, val: Val, span: Span) -> Val:
    """`trim(x)`: without spaces at either end."""
    return _changed(ctx, val, span, "trim", lambda t: t.strip(" "), "text_trim", left=True, right=True)


def trimmed_left(ctx: Context, val: Val, span: Span) -> Val:
    """`ltrim(x)`."""
    return _changed(ctx, val, span, "ltrim", lambda t: t.lstrip(" "), "text_trim", left=True, right=False)


def trimmed_right(ctx: Context, val: Val, span: Span) -> Val:
    """`rtrim(x)`."""
    return _changed(ctx, val, span, "rtrim", lambda t: t.rstrip(" "), "text_trim", left=False, right=True)


def length(ctx: Context, val: Val, span: Span) -> Val:
    """`length(x)`: how many characters."""
    w = ctx.w
    if isinstance(val, Text):
        return w.const(len(val.text), INTEGER)
    a = w.array(val, span, "a text")
    stype = INTEGER.optional(a.stype.nullable)
    if a.stype.kind == "enum":
        table = w.builder.const(np.array([len(word) for word in a.stype.words], np.int64), INT)
        return Array(emit(ctx, "take", table, a.value, axis=0), stype, a.valid)
    if a.stype.kind != "text":
        return w.error("E0301", "`length` is for texts", span, describe(a))
    return Array(emit(ctx, "text_length", a.value), stype, a.valid)


def place(ctx: Context, vals: Sequence[Val], spans: Sequence[Span]) -> Val:
    """`strpos(x, piece)`: the character, from 1, at which a text of the study is found first; 0 where it is not."""
    w, (val, piece) = ctx.w, vals
    if not isinstance(piece, Text):
        return w.error("E0901", "what is looked for is a text of the study", spans[1], describe(piece))
    if isinstance(val, Text):
        return w.const(val.text.find(piece.text) + 1, INTEGER)
    a = w.array(val, spans[0], "a text")
    stype = INTEGER.optional(a.stype.nullable)
    if a.stype.kind == "enum":
        found = np.array([word.find(piece.text) + 1 for word in a.stype.words], np.int64)
        return Array(emit(ctx, "take", w.builder.const(found, INT), a.value, axis=0), stype, a.valid)
    if a.stype.kind != "text":
        return w.error("E0301", "`strpos` is for texts", spans[0], describe(a))
    if not piece.text:
        return Array(emit(ctx, "text_length", a.value) * 0 + 1, stype, a.valid)
    return Array(emit(ctx, "text_place", a.value, piece=piece.text), stype, a.valid)


def joined(ctx: Context, left: Val, right: Val, span: Span) -> Val:
    """`left || right`."""
    w = ctx.w
    if isinstance(left, Text) and isinstance(right, Text):
        return Text(left.text + right.text)
    arrays = []
    for val in (left, right):
        a = as_text(ctx, text_array(w, val.text) if isinstance(val, Text) else w.array(val, span, "a text"))
        if a.stype.kind != "text":
            return w.error("E0301", "`||` joins texts", span, describe(a))
        arrays.append(a)
    a, b = arrays
    size = a.stype.length + b.stype.length
    value = emit(ctx, "text_concat", a.value, b.value, bytes=size)
    valid = a.valid if b.valid is None else b.valid if a.valid is None else a.valid & b.valid
    if valid is not None:
        valid = valid.broadcast_to(value.shape[:-1])
    return Array(value, SType("text", length=size, nullable=valid is not None), valid)
