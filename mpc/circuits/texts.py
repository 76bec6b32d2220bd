"""Texts as rows of whole numbers, seven bytes each, the first highest, zero bytes at the end: order, patterns.

For: `text_less`, `text_like`; and for others the bytes of texts: `bytes_of`, `words_of`, what
they begin with (`standing`), and patterns: `pieces_of`, `expression_of`.
Leaves to others: equality, which is that of the numbers; parts and what else makes texts of texts (`text_parts`).

UTF-8 keeps the order of characters in that of bytes, and a character's bytes occur nowhere within others: so order and
patterns of `%` are those of bytes.  A pattern with `_` needs to know where characters begin.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.ordering import all_of
from mpc.circuits.relational_columns import stacked
from mpc.lowerer import low
from mpc.op import Signature, op
from mpc.types import BOOL, INT, ShapeError, Type, TypeRuleError, broadcast_shapes

__all__ = [
    "WORD",
    "Piece",
    "bytes_of",
    "ever",
    "expression_of",
    "pieces_of",
    "standing",
    "text_less",
    "text_like",
    "text_type",
    "words_of",
]

WORD = 7
"""Bytes of a text in one whole number."""


def text_type(t: Type) -> None:
    """TypeRuleError for what is no array of texts."""
    if t.dtype != INT or t.ndim == 0 or not isinstance(t.shape[-1], int):
        raise TypeRuleError("a text is a row of whole numbers")


def bytes_of(x: Array) -> Any:
    """(..., words) as (..., 7 words) bytes."""
    eight = np.ascontiguousarray(x, ">i8").view(np.uint8).reshape(*x.shape, 8)
    return np.ascontiguousarray(eight[..., 1:]).reshape(*x.shape[:-1], x.shape[-1] * WORD)


def words_of(data: Any) -> Array:
    """The inverse of `bytes_of`."""
    seven = data.reshape(*data.shape[:-1], data.shape[-1] // WORD, WORD)
    eight = np.zeros((*seven.shape[:-1], 8), np.uint8)
    eight[..., 1:] = seven
    return eight.view(">i8").reshape(seven.shape[:-1]).astype(np.int64)


# -- order -------------------------------------------------------------------------------------


def _less(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    for t in types:
        text_type(t)
    if types[0].shape[-1] != types[1].shape[-1]:
        raise ShapeError("texts of two lengths")
    return BOOL, broadcast_shapes(types[0].shape[:-1], types[1].shape[:-1])


def _less_ref(x: Array, y: Array) -> Array:
    less = np.zeros(np.broadcast_shapes(x.shape[:-1], y.shape[:-1]), np.bool_)
    for k in reversed(range(x.shape[-1])):
        less = (x[..., k] < y[..., k]) | ((x[..., k] == y[..., k]) & less)
    return less


@op("text_less", infer=_less, ref=_less_ref)
def text_less(x: Value, y: Value) -> Value:
    """x < y in the order of bytes; texts (..., words) of equal length.  All words are compared side by side."""
    less, same = x < y, x.equals(y)
    words = less.type.sizes[-1]
    lead = (slice(None),) * (less.ndim - 1)
    out = less[(*lead, words - 1)]
    for k in reversed(range(words - 1)):
        out = less[(*lead, k)] ^ (same[(*lead, k)] & out)
    return out


# -- patterns ----------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A part of a pattern: `%` (any text) or `_` (a character) where wild, else letters."""

    text: str
    wild: bool = False


def pieces_of(pattern: str, escape: str = "") -> list[Piece]:
    """A pattern's parts; the character after `escape` is itself. ValueError where none follows."""
    pieces: list[Piece] = []
    letters, characters = "", iter(pattern)
    for c in characters:
        if c == escape:
            c = next(characters, "")
            if not c:
                raise ValueError("nothing follows the last escape")
        elif c in "%_":
            pieces += [Piece(letters), Piece(c, True)] if letters else [Piece(c, True)]
            letters = ""
            continue
        letters += c
    return [*pieces, Piece(letters)] if letters else pieces


def expression_of(pieces: Sequence[Piece]) -> re.Pattern[str]:
    """The regular expression that texts like a pattern match in full."""
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild[p.text] if p.wild else re.escape(p.text) for p in pieces), re.DOTALL)


def _like(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    text_type(types[0])
    return BOOL, types[0].shape[:-1]


def _like_ref(x: Array, *, pattern: str, escape: str = "") -> Array:
    expression = expression_of(pieces_of(pattern, escape))
    rows = bytes_of(x).reshape(-1, x.shape[-1] * WORD)
    kinds, which = np.unique(rows, axis=0, return_inverse=True)
    texts = [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in kinds]
    found = np.array([expression.fullmatch(t) is not None for t in texts], np.bool_)
    return found[which.reshape(-1)].reshape(x.shape[:-1])


@op("text_like", infer=_like, ref=_like_ref)
def text_like(x: Value, *, pattern: str, escape: str = "") -> Value:
    """Whether texts (..., words) are like a pattern, in which `%` is any text and `_` one character, and either is
    itself behind `escape`.

    The pieces between `%` are found from left to right: at each place, whether a piece stands there after a place where
    the piece before it has ended.  A conjunction a bit of every piece at every place.
    """
    b = low(x)
    words = x.type.sizes[-1]
    rows = math.prod(x.type.sizes[:-1])
    size = words * WORD
    bits = b.bits(x.reshape((rows, words)), 8 * WORD)
    # Lowest bit and last byte first: turned round, so that byte j has bits 8 j … 8 j + 7, highest first.
    data = bits[:, :, ::-1].reshape((rows, size, 8))
    parts = pieces_of(pattern, escape)
    if Piece("_", True) in parts:
        return _by_characters(data, parts).reshape(x.shape[:-1])
    pieces = [b""]
    for part in parts:
        pieces += [b""] if part.wild else []
        pieces[-1] += b"" if part.wild else part.text.encode()
    if sum(map(len, pieces)) > size:
        return b.shared(b.const(np.zeros(x.type.sizes[:-1], np.bool_)))
    ended = standing(data, pieces[0])[:, :1]
    place = len(pieces[0])
    if len(pieces) == 1:
        return (ended[:, 0] & _empty(data, place)).reshape(x.shape[:-1])
    # `after[:, j]`: all pieces so far are found in the first j bytes; only j = place … size can be.
    after = stacked([ended] * (size + 1 - place))
    for piece in pieces[1:-1]:
        if piece:
            here = standing(data, piece)[:, place:] & after[:, : size + 1 - place - len(piece)]
            after = ever(here)
            place += len(piece)
    last = pieces[-1]
    if not last:
        return after[:, -1].reshape(x.shape[:-1])
    ends = stacked([_empty(data, j).reshape((rows, 1)) for j in range(place + len(last), size + 1)])
    here = standing(data, last)[:, place:] & after[:, : size + 1 - place - len(last)] & ends
    return (~all_of(~here)).reshape(x.shape[:-1])


def _by_characters(data: Value, parts: Sequence[Piece]) -> Value:
    """(rows,): whether texts are like a pattern with `_`, part after part of it.

    `at[:, j]`: the parts so far may end before byte j.  A part of letters goes on by its bytes, `_` by the one to four
    of the character that begins there, so a conjunction a byte of the text and a length.
    """
    b = low(data)
    rows, size, _ = data.type.sizes

    def nothing(n: int) -> Value:
        return b.shared(b.const(np.zeros((rows, n), np.bool_)))

    within = data[:, :, 0] & ~data[:, :, 1]  # bytes 10…: not the first of a character
    some = ~all_of(~data)
    longer = [some ^ within]  # a character of at least so many bytes begins here
    for k in range(1, 4):
        longer.append(longer[-1][:, :-1] & within[:, k:])
    lengths = [longer[k] ^ stacked([longer[k + 1], nothing(1)]) for k in range(3)] + [longer[3]]
    at = stacked([~nothing(1), nothing(size)])
    for part in parts:
        if part.wild and part.text == "%":
            at = ever(at)
        elif part.wild:
            # At most one character ends at a place, so that sums are disjunctions.
            ends = [stacked([nothing(k), at[:, :-k] & c]) for k, c in enumerate(lengths, start=1)]
            at = ends[0] ^ ends[1] ^ ends[2] ^ ends[3]
        else:
            piece = part.text.encode()
            if len(piece) > size:
                return nothing(1)[:, 0]
            at = stacked([nothing(len(piece)), at[:, : -len(piece)] & standing(data, piece)])
    ended = stacked([~some, ~nothing(1)])
    return ~all_of(~(at & ended))


def standing(data: Value, piece: bytes) -> Value:
    """(rows, size + 1 - len(piece)): whether the bytes from each place on are the piece."""
    b = low(data)
    rows, size, _ = data.type.sizes
    places = size + 1 - len(piece)
    if not piece:
        return b.shared(b.const(np.ones((rows, places), np.bool_)))
    wanted = np.unpackbits(np.frombuffer(piece, np.uint8)).astype(np.bool_).reshape(len(piece), 8)
    columns = []
    for k, byte in enumerate(wanted):
        same = data[:, k : k + places] ^ b.const(~byte)
        columns.append(same)
    return all_of(stacked(columns, axis=2))


def _empty(data: Value, place: int) -> Value:
    """(rows,): whether the text ends before byte `place`."""
    rows, size, _ = data.type.sizes
    b = low(data)
    if place >= size:
        return b.shared(b.const(np.ones(rows, np.bool_)))
    return all_of(~data[:, place, :])


def ever(x: Value) -> Value:
    """(rows, n): whether any of the flags up to each place holds; log2 n rounds."""
    n = x.type.sizes[1]
    step = 1
    while step < n:
        x = stacked([x[:, :step], x[:, step:] | x[:, :-step]])
        step *= 2
    return x
