"""Parts of texts, texts joined, letters in one case, how many characters: of secret texts as of clear ones.

For: `text_cut`, `text_trim`, `text_concat`, `text_case`, `text_length`, `text_place`.
Leaves to others: how texts are held, their order, patterns (`texts`).

Where a character begins, where a text ends and which bytes are spaces are found on the bytes' bits.  What moves, moves
as numbers: with the bytes b_j of a text and, for every place D, the words W_D of the bytes from D on (sums of the b_j),
the text from a secret place on is sum_D [place = D] W_D: one scalar product a word, whatever the number of places.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.ordering import all_of, at_all
from mpc.circuits.relational_columns import stacked
from mpc.circuits.texts import WORD, bytes_of, ever, standing, text_type, words_of
from mpc.lowerer import is_share, low
from mpc.op import Interval, Signature, op
from mpc.types import INT, Type, broadcast_shapes

__all__ = ["text_case", "text_concat", "text_cut", "text_length", "text_place", "text_trim"]

SPACE = 0x20
FULL = Interval(0, 2.0 ** (8 * WORD) - 1)
"""All that a word of a text may be."""


def _words(length: int) -> int:
    """Words that hold so many bytes."""
    return max(1, -(-length // WORD))


def _word_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return FULL


def _resized(types: Sequence[Type], attrs: Attrs) -> Signature:
    for t in types:
        text_type(t)
    return INT, (*broadcast_shapes(*(t.shape[:-1] for t in types)), _words(attrs["bytes"]))


# -- in the clear ------------------------------------------------------------------------------


def _begins(data: Any) -> Any:
    """Which bytes are the first of a character; those after the end too."""
    return (data & 0xC0) != 0x80


def _packed(data: Any, kept: Any, length: int) -> Array:
    """The bytes (..., n) that are kept, one after another, as texts of so many bytes."""
    rows = data.reshape(-1, data.shape[-1])
    kept = (kept & (data != 0)).reshape(rows.shape)
    order = np.argsort(~kept, axis=1, kind="stable")
    size = _words(length) * WORD
    out = np.zeros((len(rows), size), np.uint8)
    width = min(size, rows.shape[1])
    out[:, :width] = np.take_along_axis(np.where(kept, rows, 0), order, axis=1)[:, :width]
    return words_of(out).reshape(*data.shape[:-1], size // WORD)


def _cut_ref(x: Array, *, start: int, stop: int | None, bytes: int) -> Array:
    data = bytes_of(x)
    number = np.cumsum(_begins(data), axis=-1) - 1
    return _packed(data, (number >= start) & (number < (data.shape[-1] if stop is None else stop)), bytes)


def _trim_ref(x: Array, *, left: bool, right: bool, bytes: int) -> Array:
    data = bytes_of(x)
    solid = (data != 0) & (data != SPACE)
    kept = np.ones_like(solid)
    if left:
        kept &= np.logical_or.accumulate(solid, axis=-1)
    if right:
        kept &= np.logical_or.accumulate(solid[..., ::-1], axis=-1)[..., ::-1]
    return _packed(data, kept, bytes)


def _concat_ref(x: Array, y: Array, *, bytes: int) -> Array:
    lead = np.broadcast_shapes(x.shape[:-1], y.shape[:-1])
    data = np.concatenate([np.broadcast_to(bytes_of(v), (*lead, v.shape[-1] * WORD)) for v in (x, y)], axis=-1)
    return _packed(data, np.True_, bytes)


def _case_ref(x: Array, *, upper: bool) -> Array:
    first = ord("a") if upper else ord("A")
    data = bytes_of(x)
    return words_of(np.where((data >= first) & (data < first + 26), data ^ SPACE, data))


def _length_ref(x: Array) -> Array:
    data = bytes_of(x)
    return np.asarray(np.sum(_begins(data) & (data != 0), axis=-1, dtype=np.int64))


# -- bytes on shares ---------------------------------------------------------------------------


def _bits(x: Value) -> Value:
    """(rows, bytes, 8): the bits of texts (rows, words), the highest of each byte first."""
    rows, words = x.type.sizes
    return low(x).bits(low(x).shared(x), 8 * WORD)[:, :, ::-1].reshape((rows, words * WORD, 8))


def _within(data: Value) -> Value:
    """(rows, bytes): bytes 10…, which go on with a character."""
    return data[:, :, 0] & ~data[:, :, 1]


def _numbers(x: Value) -> Value:
    """(rows, bytes): the bytes of texts (rows, words) as numbers, from the words without their lower bytes."""
    b = low(x)
    rows, words = x.type.sizes
    tops = []
    for k in range(1, WORD):
        step = 8 * (WORD - k)
        if is_share(x):
            top = b.shift(x, step, 8 * WORD + 1, INT)
        else:
            top = b.emit("floordiv", x, b.const(np.int64(1 << step), INT))
        tops.append(b.know(top, Interval(0, 2.0 ** (8 * k) - 1)))
    parts = [tops[0]]
    for above, here in zip(tops, [*tops[1:], b.know(x, FULL)], strict=True):
        parts.append(b.know(here - above * 256, Interval(0, 255)))
    shown = [p.reshape((rows, words, 1)) for p in parts]
    return b.know(b.emit("concat", *shown, axis=2).reshape((rows, words * WORD)), Interval(0, 255))


def _places(numbers: Value, before: int, after: int) -> Value:
    """(rows, before + bytes + after - 6): the word that begins at each place, from `before` bytes before the first."""
    b = low(numbers)
    rows, size = numbers.type.sizes
    zeros = [b.const(np.zeros((rows, n), np.int64), INT) for n in (before, after)]
    data = b.emit("concat", *(v for v in (zeros[0], numbers, zeros[1]) if v.type.sizes[1]), axis=1)
    data, count = b.know(data, Interval(0, 255)), before + size + after - (WORD - 1)
    out = data[:, WORD - 1 : WORD - 1 + count]
    for k in range(WORD - 1):
        out = out + data[:, k : k + count] * (1 << (8 * (WORD - 1 - k)))
    return b.know(out, FULL)


def _chosen(which: Value, words: Value) -> Value:
    """(rows, words): sum_D which[:, D] words[:, D]; one number at most of `which` is 1, the others are 0."""
    b = low(which)
    rows, places, count = words.type.sizes
    if rows == 0:
        return b.shared(b.const(np.zeros((0, count), np.int64), INT))
    if not is_share(words):
        words = b.encode(words, 0)
    product = b.product("matmul", which.reshape((rows, 1, places)), words, 0, INT)
    return b.know(product.reshape((rows, count)), FULL)


def _from(numbers: Value, which: Value | None, first: int, count: int) -> Value:
    """(rows, count): words of the bytes from place `first` + D on, where which[:, D] is 1; None: from `first`."""
    size = numbers.type.sizes[1]
    places = 1 if which is None else which.type.sizes[1]
    all_words = _places(numbers, 0, max(first + places - 1 + count * WORD - size, 0))
    at = first + np.arange(places)[:, None] + WORD * np.arange(count)
    if which is None:
        return at_all(all_words, at[0])
    return _chosen(which, at_all(all_words, at))


def _steps(flags: Value) -> Value:
    """(rows, n): 1 at the first of flags that never fall again, as numbers."""
    rows, n = flags.type.sizes
    before = stacked([low(flags).shared(low(flags).const(np.zeros((rows, 1), np.bool_))), flags[:, : n - 1]])
    return (flags ^ before).to_int()


def _flat(x: Value) -> Value:
    """(rows, words)."""
    return x.reshape((math.prod(x.type.sizes[:-1]), x.type.sizes[-1]))


# -- operations --------------------------------------------------------------------------------


@op("text_cut", infer=_resized, ref=_cut_ref, bound=_word_bound)
def text_cut(x: Value, *, start: int, stop: int | None, bytes: int) -> Value:
    """Characters start … stop - 1 of texts (..., words), counted from 0, in a text of so many bytes.

    Byte j belongs to character [number of first bytes up to j] - 1: for certain before `start` where j < start, and
    after it where j >= 4 start, so that only bytes between are compared; the same holds for `stop`.
    On rep3 a text of 14 bytes: its first two characters 18 rounds, 1.6 kB; the third to the fifth 19 rounds, 2.2 kB.
    """
    b, lead, flat = low(x), x.type.sizes[:-1], _flat(x)
    if stop is not None:
        flat = flat[:, : _words(4 * stop)]
    rows, size = flat.type.sizes[0], flat.type.sizes[1] * WORD
    count = _words(bytes)
    if stop is not None and stop >= size:
        stop = None
    if start >= size or (stop is not None and stop <= start):
        return b.shared(b.const(np.zeros((*lead, count), np.int64), INT))
    begun = None
    if start or stop is not None:
        seen = min(4 * max(start, stop or 0), size)
        begun = b.emit("cumsum", (~_within(_bits(flat)[:, :seen])).to_int(), axis=1)
        begun = b.know(begun, Interval(0, size))
    numbers = _numbers(flat)
    if begun is not None and stop is not None:
        end = min(4 * stop, size)
        kept = (~(b.const(np.int64(stop), INT) < begun[:, stop:end])).to_int()
        numbers = b.emit("concat", numbers[:, :stop], numbers[:, stop:end] * kept, axis=1)
    if begun is None or not start:
        return _from(numbers, None, 0, count).reshape((*lead, count))
    end = min(4 * start, size)
    flags = b.const(np.int64(start), INT) < begun[:, start:end]
    if end < size:  # there a character begins in any case
        flags = stacked([flags, b.shared(b.const(np.ones((rows, 1), np.bool_)))])
    return _from(numbers, _steps(flags), start, count).reshape((*lead, count))


@op("text_trim", infer=_resized, ref=_trim_ref, bound=_word_bound)
def text_trim(x: Value, *, left: bool, right: bool, bytes: int) -> Value:
    """Texts (..., words) of so many bytes without spaces at the left end, at the right one, or both.

    On rep3 a text of 14 bytes, both: 20 rounds, 2.3 kB.
    """
    lead, flat, count = x.type.sizes[:-1], _flat(x), _words(bytes)
    data = _bits(flat)
    some, other = ~all_of(~data), ~all_of(~(data ^ low(x).const(_SPACE_BITS)))
    solid = some & other
    numbers = _numbers(flat)
    if right:
        numbers = numbers * ever(solid[:, ::-1])[:, ::-1].to_int()
    if not left:
        return _from(numbers, None, 0, count).reshape((*lead, count))
    return _from(numbers, _steps(ever(solid)), 0, count).reshape((*lead, count))


_SPACE_BITS = np.unpackbits(np.array([SPACE], np.uint8)).astype(np.bool_)


@op("text_concat", infer=_resized, ref=_concat_ref, bound=_word_bound)
def text_concat(x: Value, y: Value, *, bytes: int) -> Value:
    """x and, where it ends, y: texts (..., words), in a text of so many bytes, which hold both.

    On rep3 two of 14 bytes: 14 rounds, 1.7 kB; one of the study in front of one of 14 bytes: 10 rounds, 0.9 kB.
    """
    b = low(x)
    lead = broadcast_shapes(x.shape[:-1], y.shape[:-1])
    count = _words(bytes)
    first, second = (_flat(v.broadcast_to((*lead, v.shape[-1]))) for v in (x, y))
    numbers = _numbers(second)
    length = _one_length(x)
    if length is not None:
        zeros = b.const(np.zeros((numbers.type.sizes[0], length), np.int64), INT)
        moved = _from(b.emit("concat", zeros, numbers, axis=1) if length else numbers, None, 0, count)
    else:
        moved = _chosen(_ends(first), _behind(numbers, first.type.sizes[1] * WORD, count))
    words = first.type.sizes[1]
    if words > count:
        first = first[:, :count]
    elif words < count:
        rest = b.const(np.zeros((first.type.sizes[0], count - words), np.int64), INT)
        first = b.emit("concat", first, rest, axis=1)
    return b.know(b.know(first, FULL) + moved, FULL).reshape((*lead, count))


def _one_length(x: Value) -> int | None:
    """How many bytes all texts of a public constant have; None where they differ or are not known."""
    if not x.is_const:
        return None
    lengths = np.unique(np.count_nonzero(bytes_of(x.constant), axis=-1))
    return int(lengths[0]) if len(lengths) == 1 else None


def _ends(x: Value) -> Value:
    """(rows, bytes + 1): 1 at the place where each text ends."""
    rows = x.type.sizes[0]
    b = low(x)
    empty = stacked([all_of(~_bits(x)), b.shared(b.const(np.ones((rows, 1), np.bool_)))])
    return _steps(empty)


def _behind(numbers: Value, most: int, count: int) -> Value:
    """(rows, most + 1, count): the words of the bytes behind 0 … most others."""
    size = numbers.type.sizes[1]
    all_words = _places(numbers, most, max(count * WORD - size, 0))
    return at_all(all_words, most - np.arange(most + 1)[:, None] + WORD * np.arange(count))


def _same_text(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    text_type(types[0])
    return INT, types[0].shape


@op("text_case", infer=_same_text, ref=_case_ref, bound=_word_bound)
def text_case(x: Value, *, upper: bool) -> Value:
    """Texts (..., words) with the letters a … z as A … Z, or the other way; other letters stay as they are.

    A byte 011….. (or 010…..) whose lower five bits are 1 to 26 is a letter, and its third bit is turned.
    On rep3 a text of 14 bytes: 15 rounds, 0.6 kB.
    """
    b, flat = low(x), _flat(x)
    rows, words = flat.type.sizes
    data = _bits(flat)
    lower = [data[:, :, k] for k in range(3, 8)]
    # Above 26 = 11010: 11011 and 111...
    above = lower[0] & lower[1] & (lower[2] | (lower[3] & lower[4]))
    within = ~all_of(~data[:, :, 3:]) & ~above
    high = ~data[:, :, 0] & data[:, :, 1] & (data[:, :, 2] if upper else ~data[:, :, 2])
    weights = np.array([SPACE << (8 * (WORD - 1 - k)) for k in range(WORD)], np.int64)
    letters = (within & high).to_int().reshape((rows, words, WORD)) * b.const(weights, INT)
    change = b.emit("sum", letters, axis=2, keepdims=False)
    text = b.know(flat, FULL)
    return b.know(text - change if upper else text + change, FULL).reshape(x.shape)


def _lengths(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    text_type(types[0])
    return INT, types[0].shape[:-1]


def _length_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return Interval(0, float(types[0].shape[-1]) * WORD)  # type: ignore[arg-type]


@op("text_length", infer=_lengths, ref=_length_ref, bound=_length_bound)
def text_length(x: Value) -> Value:
    """How many characters texts (..., words) have.  On rep3 a text of 14 bytes: 14 rounds, 0.6 kB."""
    data = _bits(_flat(x))
    some = ~all_of(~data)
    first = some & ~_within(data)
    return low(x).emit("sum", first.to_int(), axis=1, keepdims=False).reshape(x.shape[:-1])


def _place_ref(x: Array, *, piece: str) -> Array:
    rows = bytes_of(x).reshape(-1, x.shape[-1] * WORD)
    kinds, which = np.unique(rows, axis=0, return_inverse=True)
    places = [bytes(row).rstrip(b"\0").decode("utf-8", "replace").find(piece) + 1 for row in kinds]
    return np.array(places, np.int64)[which.reshape(-1)].reshape(x.shape[:-1])


@op("text_place", infer=_lengths, ref=_place_ref, bound=_length_bound)
def text_place(x: Value, *, piece: str) -> Value:
    """The character, from 1, at which a piece of one or more stands first in texts (..., words); 0 where nowhere.

    In texts that have the piece, 1 and the number of characters that begin before it.  On rep3 a text of 14 bytes: 22
    rounds, 0.6 kB.
    """
    b, data, letters = low(x), _bits(_flat(x)), piece.encode()
    if len(letters) > data.type.sizes[1]:
        return b.emit("text_length", x) * 0
    reached = ever(standing(data, letters))
    places = reached.type.sizes[1]
    found = reached[:, -1:]
    before = ~_within(data)[:, :places] & ~reached & stacked([found] * places)
    total = b.emit("sum", stacked([before, found]).to_int(), axis=1, keepdims=False)
    return total.reshape(x.shape[:-1])
