"""Tables in the order of several keys: all columns move at once, whatever the keys are.

For: `sort_rows`, and for other relational operations `joint_bits`, `arranged`, `same_as_before`.
Leaves to others: how rows come into the order of bits (`by_bits`), sorting an array (`sort`).

All keys become one number of bits, the last key lowest: a descending key has its bits turned, a text is its words one
after another, and a declared range leaves only the bits that differ.  So a composite key costs its bits and nothing
else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.by_bits import arranged_by, arranging_work
from mpc.circuits.by_merging import parts_of
from mpc.circuits.estimate import Work
from mpc.circuits.ordering import all_of
from mpc.circuits.relational_columns import Packed, rows_of, signature, stacked
from mpc.circuits.sort import key_bits, span_of
from mpc.lowerer import low
from mpc.op import Signature, op
from mpc.types import BOOL, Type, TypeRuleError

__all__ = [
    "any_of",
    "arranged",
    "joint_bits",
    "key_codes",
    "same_as_before",
    "sort_rows",
    "sorting_work",
]

Codes = npt.NDArray[np.int64]


# -- keys --------------------------------------------------------------------------------------


def joint_bits(keys: Sequence[Value], descending: Sequence[bool] | None = None) -> Value:
    """Bits (n, width), lowest first, whose unsigned order is that of the keys, the first of them the most important."""
    b = low(keys[0])
    shares = [b.shared(key) for key in keys]
    spans = [span_of(share) for share in shares]
    down = descending or [False] * len(keys)
    parts = parts_of(shares)
    if parts is None:
        return _joined(shares, spans, down)
    return stacked([b.shared(_joined(part, spans, down)) for part in parts], axis=0)


def _joined(keys: Sequence[Value], spans: Sequence[tuple[int, int]], descending: Sequence[bool]) -> Value:
    pieces: list[Value] = []
    for key, span, down in zip(reversed(keys), reversed(spans), reversed(descending), strict=True):
        n, *rest = key.type.sizes
        words = key.reshape((n, math.prod(rest)))
        for word in reversed(range(words.type.sizes[1])):
            bits = key_bits(words[:, word], span)
            pieces.append(~bits if down else bits)
    return pieces[0] if len(pieces) == 1 else keys[0].builder.emit("concat", *pieces, axis=1)


def key_codes(columns: Sequence[Array], descending: Sequence[bool] | None = None) -> list[Codes]:
    """In the clear: whole numbers in the order of each column, texts by their words."""
    out = []
    for column, down in zip(columns, descending or [False] * len(columns), strict=True):
        words = column.reshape(len(column), math.prod(column.shape[1:]))
        _, code = np.unique(words, axis=0, return_inverse=True) if words.size else (0, np.zeros(len(column), np.int64))
        code = code.reshape(-1).astype(np.int64)
        out.append(-code if down else code)
    return out


# -- the order ---------------------------------------------------------------------------------


def sorting_work(n: int, width: int, at: int, runs: Sequence[int] = ()) -> Work:
    """About what it costs to find the order of n rows by keys of `width` bits, and to move a column by it.

    at: what a round counts in bytes.  runs: the rows of each party that sees their keys, if these are all.
    """
    if n < 2 or not width:
        return Work(0, 0)
    start = Work(0, 0) if runs else estimate.bits(min(width, 64)).times(n * max(1, width / 64))
    return start.then(arranging_work(width, 1, n, 1, at, runs))


def arranged(bits: Value, columns: Packed) -> Packed:
    """The rows of all columns in the order of their keys' bits (n, width), equal ones as they stood."""
    moved = iter(arranged_by(bits, 1, [a for a in (columns.numbers, columns.bits) if a is not None]))
    return columns.each(lambda _: next(moved))


def same_as_before(bits: Value) -> Value:
    """For rows of bits (n, width), n > 0: whether each equals the one before it; the first does not."""
    b = low(bits)
    n = bits.type.sizes[0]
    equal = all_of(~(bits[1:] ^ bits[:-1]))
    return b.emit("concat", b.const(np.zeros(1, np.bool_)), equal, axis=0) if n > 1 else b.shared(b.const([False]))


def any_of(flags: Value) -> Value:
    """Whether any of the truth values (n,) holds; a single value."""
    n = flags.type.sizes[0]
    return ~all_of(~flags) if n else low(flags).shared(flags.builder.const(False))


# -- the operation -----------------------------------------------------------------------------


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    n, keys, down = rows_of(types), attrs["keys"], attrs["descending"]
    if not 0 < keys <= len(types):
        raise TypeRuleError(f"{keys} keys among {len(types)} columns")
    if len(down) != keys:
        raise TypeRuleError(f"{len(down)} directions for {keys} keys")
    return [signature(t, n) for t in types]


def _ref(*columns: Array, keys: int, descending: tuple[bool, ...]) -> tuple[Array, ...]:
    order = np.lexsort(key_codes(columns[:keys], descending)[::-1])
    return tuple(c[order] for c in columns)


@op("sort_rows", infer=_infer, ref=_ref)
def sort_rows(*columns: Value, keys: int, descending: tuple[bool, ...]) -> Any:
    """The rows of all columns in the order of the first `keys` of them, the first the most important; stable.

    Columns are (n,) or (n, words), of any types; `descending` has a direction for each key.  Returns every column, keys
    too.  A truth value orders false first, so invisible rows come last with `~visible` as a first key: one bit.
    """
    b = low(columns[0])
    packed = Packed.of(b, columns)
    if columns[0].type.sizes[0] < 2:
        return packed.columns()
    return arranged(joint_bits(columns[:keys], descending), packed).columns()


def _starts(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    return BOOL, (rows_of(types),)


def _starts_ref(*keys: Array) -> Array:
    out = np.ones(len(keys[0]), np.bool_)
    if len(out) > 1:
        same = [np.all(c[1:] == c[:-1], axis=tuple(range(1, c.ndim))) for c in keys]
        out[1:] = ~np.logical_and.reduce(same)
    return out


@op("group_starts", infer=_starts, ref=_starts_ref)
def group_starts(*keys: Value) -> Value:
    """Of sorted rows, which differ from the one before in any of the columns; the first does.  Shape (n,).

    What `distinct` keeps, and what all operations on groups call `new`.
    """
    b = low(keys[0])
    n = keys[0].type.sizes[0]
    if n < 2:
        return b.shared(b.const(np.ones(n, np.bool_)))
    equal: list[Value] = []
    for key in keys:
        share = b.shared(key)
        words = share.reshape((n, math.prod(share.type.sizes[1:])))
        equal.append(words[1:].equals(words[:-1]))
    return b.emit("concat", b.const([True]), ~all_of(stacked(equal)), axis=0)
