"""Tables in the order of several keys: all columns move at once, whatever the keys are.

For: `sort_rows`, and for other relational operations `joint_bits`, `arranged`, `order_of`, `same_as_before`.
Leaves to others: radix sort itself (`radix`), why what it opens is harmless (`moving`), sorting an array (`sort`).

All keys become one number of bits, the last key lowest: a descending key has its bits turned, a text is its words one
after another, and a declared range leaves only the bits that differ.  So a composite key costs its bits and nothing
else. Few rows are ranked by comparing all pairs of such numbers at once, bit by bit in a tree: three conjunctions a
bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.circuits.moving import row_bits, row_numbers, rows_at, scatter
from mpc.circuits.ordering import all_of, at_all
from mpc.circuits.radix import elements_of, radix, radix_work
from mpc.circuits.relational_columns import Packed, rows_of, signature, stacked
from mpc.circuits.sort import key_bits
from mpc.lowerer import low
from mpc.op import Signature, op
from mpc.types import BOOL, Type, TypeRuleError

__all__ = [
    "Order",
    "any_of",
    "arranged",
    "joint_bits",
    "key_codes",
    "order_of",
    "same_as_before",
    "sort_rows",
    "sorting_work",
]

PAIRS = 1 << 19
"""Pairs of rows above which they are not all compared at once: memory, not bytes, would be in the way."""

Codes = npt.NDArray[np.int64]


# -- keys --------------------------------------------------------------------------------------


def joint_bits(keys: Sequence[Value], descending: Sequence[bool] | None = None) -> Value:
    """Bits (n, width), lowest first, whose unsigned order is that of the keys, the first of them the most important."""
    b = low(keys[0])
    pieces: list[Value] = []
    for key, down in zip(reversed(keys), reversed(descending or [False] * len(keys)), strict=True):
        share = b.shared(key)
        n, *rest = share.type.sizes
        words = share.reshape((n, math.prod(rest)))
        for word in reversed(range(words.type.sizes[1])):
            bits = key_bits(words[:, word].reshape((1, n)))
            pieces.append(~bits if down else bits)
    return stacked(pieces)


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


def _pairs_work(n: int, width: int) -> Work:
    pairs = n * (n - 1) // 2
    compared = Work(1 + estimate.depth(width), 3 * width * estimate.AND.bytes)
    return compared.then(estimate.TO_RING.times(row_bits(n) / 64)).times(pairs)


def _ordered_work(n: int) -> Work:
    """What it costs to move n destinations or numbers, and to open them."""
    return estimate.MOVE.then(estimate.OPEN).times(n * row_bits(n) / 64)


def _travel_work(n: int, width: int, elements: float, at: int) -> tuple[Work, bool]:
    """What radix sort costs, and whether the columns travel themselves, or their rows' numbers."""
    direct = radix_work(width, n, elements, at)
    fetched = _ordered_work(n).then(estimate.MOVE.times(elements * n))
    numbered = radix_work(width, n, row_bits(n) / 64, at).then(fetched)
    return (direct, True) if direct.weight(at) <= numbered.weight(at) else (numbered, False)


def _by_pairs(n: int, width: int, other: Work, at: int) -> bool:
    pairs = _pairs_work(n, width).then(_ordered_work(n))
    return n * (n - 1) // 2 <= PAIRS and pairs.weight(at) < other.weight(at)


def sorting_work(n: int, width: int, at: int) -> Work:
    """About what it costs to find the order of n rows by keys of `width` bits, and to move a column by it.

    at: what a round counts in bytes.
    """
    start = estimate.bits(min(width, 64)).times(n * max(1, width / 64))
    if n < 2:
        return Work(0, 0)
    travel = _travel_work(n, width, 1, at)[0]
    pairs = _pairs_work(n, width).then(_ordered_work(n)).then(estimate.MOVE.times(n))
    return start.then(pairs if n * (n - 1) // 2 <= PAIRS and pairs.weight(at) < travel.weight(at) else travel)


def _ranks(bits: Value) -> Value:
    """The place of each row of (n, width): the number of rows that come before it, equal ones in their order."""
    b = low(bits)
    n = bits.type.sizes[0]
    first, second = np.triu_indices(n, 1)
    swapped = b.narrow(_less(_at(bits, second), _at(bits, first)), row_bits(n))
    signed = stacked([swapped, -swapped], axis=0)
    number = np.zeros((n, n), np.int64)
    number[first, second] = np.arange(len(first))
    number[second, first] = np.arange(len(first)) + len(first)
    others = np.array([[j for j in range(n) if j != i] for i in range(n)])
    return at_all(signed, number[np.arange(n)[:, None], others]).sum(axis=1) + b.const(np.arange(n))


def _at(bits: Value, rows: Codes) -> Value:
    return bits.builder.emit("take", bits, bits.builder.const(rows), axis=0)


def _less(x: Value, y: Value) -> Value:
    """x < y for rows of bits (m, width), lowest first: of two halves, the upper decides unless it is equal."""
    less, equal = ~x & y, ~(x ^ y)
    while less.type.sizes[1] > 1:
        width = less.type.sizes[1]
        odd = width % 2  # the lowest stands by
        low_less, high_less = less[:, odd::2], less[:, odd + 1 :: 2]
        low_equal, high_equal = equal[:, odd::2], equal[:, odd + 1 :: 2]
        joined = high_less ^ (high_equal & low_less)
        both = high_equal & low_equal
        less = stacked([less[:, :1], joined]) if odd else joined
        equal = stacked([equal[:, :1], both]) if odd else both
    return less.reshape((less.type.sizes[0],))


def arranged(bits: Value, columns: Packed) -> Packed:
    """The rows of all columns in the order of their keys' bits (n, width), equal ones as they stood."""
    n, width = bits.type.sizes
    if n < 2:
        return columns
    arrays = [a for a in (columns.numbers, columns.bits) if a is not None]
    elements = elements_of(arrays)
    at = low(bits).round_bytes
    work, direct = _travel_work(n, width, elements, at)
    if _by_pairs(n, width, work, at):
        moved = scatter(_ranks(bits), arrays)
    elif direct:
        moved = radix(bits, 1, arrays)
    else:
        return columns.each(order_of(bits).there)
    left = iter(moved)
    return columns.each(lambda _: next(left))


class Order(NamedTuple):
    """An order of rows that nobody knows, by a permutation and what was opened of the order after it."""

    handle: Value
    seen: Value
    """Row i after the permutation is row seen[i] of those that are to be put in order; in the clear at the nodes."""

    def there(self, x: Value) -> Value:
        """The rows of x in the order."""
        return low(x).permute(self.handle, rows_at(x, self.seen), inverse=True)

    def back(self, x: Value, rows: slice) -> Value:
        """Rows in the order to where they stood: those that come to stand at `rows`."""
        b = low(x)
        return rows_at(b.permute(self.handle, x), b.emit("inverse_order", self.seen)[rows])


def order_of(bits: Value) -> Order:
    """The order of the rows by their keys' bits (n, width), equal ones as they stood; n > 0.

    It is opened after a fresh permutation, with which every column goes there and back: `moving` says why that is safe.
    """
    b = low(bits)
    n, width = bits.type.sizes
    handle = b.permutation(n)
    if n > 1 and _by_pairs(n, width, _travel_work(n, width, 1, b.round_bytes)[0], b.round_bytes):
        (at,) = scatter(_ranks(bits), [row_numbers(b, n)])
    else:
        (at,) = radix(bits, 1, [row_numbers(b, n)])
    return Order(handle, b.open_to_nodes(b.permute(handle, at)))


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


def _duplicates(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    rows_of(types)
    if len(types) < 2 or types[-1].dtype != BOOL:
        raise TypeRuleError("which rows count is a truth value for each, after the keys")
    return BOOL, ()


def _duplicates_ref(*columns: Array) -> Array:
    *keys, visible = columns
    codes = np.stack(key_codes(keys), axis=1)[visible]
    return np.asarray(len(np.unique(codes, axis=0)) < len(codes))


@op("duplicates", infer=_duplicates, ref=_duplicates_ref)
def duplicates(*columns: Value) -> Value:
    """Whether any two visible rows have equal keys: a single truth value.

    Operands: the columns of the key, then which rows are visible (n,).
    """
    b = low(columns[0])
    *keys, visible = columns
    n = visible.type.sizes[0]
    if n < 2:
        return b.shared(b.const(False))
    always = visible.is_const and bool(visible.constant.all())
    bits = joint_bits(keys) if always else joint_bits([~visible, *keys], [False] * len(columns))
    packed = arranged(bits, Packed(None, bits, ()))
    assert packed.bits is not None
    same = same_as_before(packed.bits)
    return any_of(same if always else same & ~packed.bits[:, -1])
