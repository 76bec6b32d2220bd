"""From one surface type to another, and several values brought to one type.

For: `to_fixed`, `to_int`, `convert`, `unify`, masks of missing values, `choose` (the value-wise `if`).
Leaves to others: arithmetic and comparison (`operators`).

A literal such as `1.05` is a `fixed`, but remembers how it was written (`Array.exact`): beside a `decimal` it counts as
the decimal that it is, so that money stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from dsl.masks import only_rows
from dsl.source import Span
from dsl.stypes import BOOLEAN, FIXED, INTEGER, TEXT_BYTES, SType, common, decimal, text_words
from dsl.values import Array, Record, Table, Text, Tuple, Unset, Val, describe, rebuild
from dsl.walker import Walker
from mpc.circuit import Array as NDArray
from mpc.circuit import Value
from mpc.types import BOOL, INT, Shape, TypeRuleError, broadcast_shapes

__all__ = [
    "both_valid",
    "certain",
    "choose",
    "convert",
    "encode_text",
    "exact_decimal",
    "spread",
    "text_array",
    "to_fixed",
    "to_int",
    "unify",
    "word_index",
    "zeros_like",
]

MAX_PLACES = 18
"""10^18 is the largest power of ten that a 64-bit number holds."""


def to_fixed(w: Walker, a: Array) -> Array:
    """As `fixed`; a decimal is divided by its unit."""
    if a.stype.kind == "fixed":
        return a
    value = w.builder.emit("to_fixed", a.value, frac=w.frac)
    if a.stype.places:
        if a.value.is_const:
            value = w.builder.const(a.value.constant / 10.0**a.stype.places, w.fixed)
        else:
            value = w.builder.emit("div", value, w.builder.const(10.0**a.stype.places, w.fixed))
    return replace(a, value=value, stype=FIXED.optional(a.stype.nullable), exact=None)


def to_int(a: Array) -> Array:
    """A truth value as 0 or 1; other types as they are."""
    if a.stype.kind != "bool":
        return a
    return replace(a, value=a.value.to_int(), stype=INTEGER.optional(a.stype.nullable))


def scale(w: Walker, a: Array, places: int) -> Array:
    """An `int` or `decimal` with so many places, which are at least its own."""
    more = places - a.stype.places
    stype = decimal(places).optional(a.stype.nullable)
    if not more:
        return replace(a, stype=stype)
    factor = w.builder.const(np.int64(10**more), INT)
    return replace(a, value=w.builder.emit("mul", a.value, factor), stype=stype, exact=None)


def exact_decimal(w: Walker, a: Array) -> Array:
    """A literal as the decimal that was written; anything else as it is."""
    if a.exact is None or a.stype.kind != "fixed":
        return a
    exponent = a.exact.normalize().as_tuple().exponent
    places = max(0, -exponent) if isinstance(exponent, int) else 0
    units = a.exact.scaleb(places)
    if places > MAX_PLACES or abs(units) >= 2**63:
        return a
    return Array(w.builder.const(np.int64(int(units)), INT), decimal(places))


def convert(w: Walker, a: Array, stype: SType) -> Array:
    """`a` in a type that `common` found, or that holds it; its mask stays."""
    kind = stype.kind
    if kind == "fixed":
        return to_fixed(w, to_int(a))
    if kind == "decimal":
        return scale(w, to_int(a), stype.places)
    if kind == "int":
        return to_int(a)
    if kind == "text" and a.stype.kind == "enum":
        return _spelt(w, a, stype)
    if kind == "text" and stype.length != a.stype.length:
        return replace(a, value=_longer(w, a.value, text_words(stype.length)), stype=stype)
    return a


def _spelt(w: Walker, a: Array, stype: SType) -> Array:
    """The words of an enum as texts."""
    words = [encode_text(word, text_words(stype.length)) for word in a.stype.words]
    table = w.builder.const(np.stack([word for word in words if word is not None]), INT)
    value = w.builder.emit("take", table, a.value, axis=0)
    return replace(a, value=value, stype=stype.optional(a.stype.nullable), exact=None)


def _longer(w: Walker, value: Value, words: int) -> Value:
    have = value.shape[-1]
    assert isinstance(have, int)
    if have >= words:
        return value
    rest = w.builder.const(np.zeros((1,) * (value.ndim - 1) + (words - have,), np.int64), INT)
    rest = rest.broadcast_to((*value.shape[:-1], words - have))
    return w.builder.emit("concat", value, rest, axis=value.ndim - 1)


def unify(w: Walker, arrays: Sequence[Array], span: Span, *, counting: bool = False) -> tuple[list[Array], SType]:
    """All in one type, and that type (with `?` when one may be missing). counting: truth values count as 0 and 1
    beside numbers. An error at `span` when there is none."""
    if any(a.stype.kind == "decimal" for a in arrays):
        arrays = [exact_decimal(w, a) for a in arrays]
    if counting and len({a.stype.kind for a in arrays}) > 1:
        arrays = [to_int(a) for a in arrays]
    stype = arrays[0].stype
    for other in arrays[1:]:
        found = common(stype, other.stype)
        if found is None:
            w.fail("E0301", f"{stype} and {other.stype} do not go together", span, f"{stype} beside {other.stype}")
        stype = found
    return [convert(w, a, stype) for a in arrays], stype


def stacked(w: Walker, arrays: Sequence[Array], span: Span) -> Array:
    """Full arrays of one shape as one array with an axis more, in front."""
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        label = ", ".join(dict.fromkeys(describe(a) for a in arrays))
        w.fail("E0302", "the parts of an array have one shape", span, label)
    arrays, stype = unify(w, [w.full(a, span) for a in arrays], span, counting=True)
    parts = [a.value.reshape((1, *a.value.shape)) for a in arrays]
    return Array(parts[0] if len(parts) == 1 else w.builder.emit("concat", *parts, axis=0), stype)


# ------------------------------------------------------------------------------------------- masks


def spread(mask: Value | None, shape: Shape) -> Value | None:
    """A mask of the whole shape."""
    return None if mask is None else mask.broadcast_to(shape)


def both_valid(arrays: Sequence[Array], shape: Shape) -> tuple[Value | None, bool]:
    """The mask of what is made of all of them, of `shape`, and whether it may come from invisible rows."""
    mask: Value | None = None
    for a in arrays:
        if a.valid is not None:
            mask = a.valid if mask is None or mask.index == a.valid.index else mask & a.valid
    return spread(mask, shape), any(a.padded for a in arrays)


# -------------------------------------------------------------------------------------------- text


def encode_text(text: str, words: int) -> NDArray | None:
    """A text as the whole numbers of a `text(n)`; None when it is too long."""
    data = text.encode()
    if len(data) > words * TEXT_BYTES:
        return None
    data = data.ljust(words * TEXT_BYTES, b"\0")
    parts = [data[i : i + TEXT_BYTES] for i in range(0, len(data), TEXT_BYTES)]
    return np.array([int.from_bytes(p, "big") for p in parts], np.int64)


def text_array(w: Walker, text: str) -> Array:
    """A text of the study as a public `text(n)` of its own length."""
    length = max(1, len(text.encode()))
    words = encode_text(text, text_words(length))
    assert words is not None
    return Array(w.builder.const(words, INT), SType("text", length=length))


def word_index(w: Walker, text: str, stype: SType, span: Span) -> Array:
    """A word of an enum as a value of it; E0301 when it is none."""
    if text not in stype.words:
        listed = ", ".join(map(repr, stype.words))
        lower = {word.lower(): word for word in stype.words}
        near = [lower[n] for n in get_close_matches(text.lower(), lower, n=1)]
        helps = [f"there is `'{near[0]}'`"] if near else []
        w.fail("E0301", f"'{text}' is no word of this enum", span, f"the words are {listed}", helps=helps)
    return Array(w.builder.const(np.int64(stype.words.index(text)), INT), stype.optional(False))


# ------------------------------------------------------------------------------------------ choice


def choose(w: Walker, condition: Array, a: Val, b: Val, span: Span) -> Val:
    """`a` where `condition`, else `b`, part by part; both are of one kind and shapes that go together."""
    match a, b:
        case Text(x), Text(y):
            return a if x == y else choose(w, condition, text_array(w, x), text_array(w, y), span)
        case Array(stype=stype), Text(text):
            return choose(w, condition, a, _text_as(w, text, stype, span), span)
        case Text(text), Array(stype=stype):
            return choose(w, condition, _text_as(w, text, stype, span), b, span)
        case Array(), Array():
            return _choose_array(w, condition, a, b, span)
        case Tuple(x), Tuple(y) if len(x) == len(y):
            return Tuple(tuple(choose(w, condition, p, q, span) for p, q in zip(x, y, strict=True)))
        case Record(fields=x), Record(fields=y) if list(x) == list(y):
            return replace(a, fields={name: choose(w, condition, x[name], y[name], span) for name in x})
        case Unset(), _:
            return a
        case _, Unset():
            return b
        case Table(), Table():
            pass
        case _ if a == b:
            return a
    return w.fail("E0301", f"{describe(a)} and {describe(b)} cannot be chosen between by a value", span)


def _text_as(w: Walker, text: str, stype: SType, span: Span) -> Array:
    if stype.kind == "enum":
        return word_index(w, text, stype, span)
    if stype.kind == "text":
        return text_array(w, text)
    return w.fail("E0301", f"{stype} and a text do not go together", span)


def certain(condition: Array) -> Array:
    """A condition as SQL's `case when` and Python's `if` take it: one that is missing does not hold.

    Of a column with invisible rows it stays as it is: of those nothing is to be said."""
    if condition.valid is None or condition.padded:
        return condition
    return Array(condition.value & condition.valid, BOOLEAN)


def _choose_array(w: Walker, condition: Array, a: Array, b: Array, span: Span) -> Array:
    condition = only_rows(w, certain(condition), span)
    (x, y), stype = unify(w, [a, b], span)
    c = condition.value
    if stype.kind == "text" and c.ndim:
        c = c.reshape((*c.shape, 1))
    value = w.builder.emit("select", c, x.value, y.value)
    valid = None
    shape = broadcast_shapes(condition.shape, x.shape, y.shape)
    if x.valid is not None or y.valid is not None:
        true = w.builder.const(np.bool_(True), BOOL)
        masks = [true if a.valid is None else a.valid for a in (x, y)]
        # Two columns of a table lack the same rows, whichever is taken.
        same = masks[0].index == masks[1].index
        valid = (masks[0] if same else w.builder.emit("select", condition.value, *masks)).broadcast_to(shape)
    if condition.valid is not None:
        decided = condition.valid.broadcast_to(shape)
        valid = decided if valid is None or valid.index == decided.index else valid & decided
    return Array(value, stype, valid, x.padded or y.padded or condition.padded)


def zeros_like(w: Walker, val: Val) -> Val | None:
    """Zeros of the same kind and shapes; None where that has no sense. `val` may belong to a loop's body."""
    from dsl.values import leaves

    if not isinstance(val, Array | Tuple | Record):
        return None
    zeros = []
    for leaf in leaves(val):
        zero = np.zeros((), np.float64 if leaf.dtype.kind == "fixed" else np.int64)
        try:
            zeros.append(w.builder.const(zero, leaf.dtype).broadcast_to(leaf.shape))
        except TypeRuleError:
            return None
    return rebuild(val, zeros)
