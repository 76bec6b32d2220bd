"""The columns of a table as at most two arrays, so that they move as one.

For: type rules that relational operations share (`rows_of`, `signature`), packing shared columns (`Packed`), arithmetic
on packed columns that may wrap (`minus`, `stacked`, …).
Leaves to others: where rows go (`relational_sort`, `relational_move`).

A column has one row an entry of its first axis; it is whole numbers, fixed point or truth values, and a text is a
column of several whole numbers a row.  Numbers of all columns become one array (n, w) of ring elements, truth values
one array (n, t) of bits: one permutation moves them all, in the same messages.

Where sums of columns are all that is asked, truth values are numbers modulo 2, a bit each as before (`Packed.rings`).
Differences of running sums are taken in the ring, where they are exact whatever wrapped on the way; so what is known of
a range is set aside while columns are packed, and is known again of the columns that come out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mpc.circuit import Node, Value
from mpc.lowerer import ROOM, Lowerer, low
from mpc.op import Interval, Signature
from mpc.types import BOOL, INT, Dim, ShapeError, Size, Type, TypeRuleError, shape_text

__all__ = [
    "Packed",
    "always",
    "cut",
    "differences",
    "flag_column",
    "gathered",
    "minus",
    "moved_from",
    "ring_column",
    "rows_of",
    "shifted",
    "signature",
    "stacked",
    "sum_range",
    "summed_from",
    "truths",
    "zeros",
]


# -- ranges ------------------------------------------------------------------------------------


def moved_from(node: Node, index: int) -> int | None:
    """The operand whose entries, or zeros, a result of an operation on columns has; None where it has others."""
    match node.op:
        case "sort_rows" | "front_rows" | "shuffle_rows":
            return index
        case "lookup_rows" if index > 0:
            return int(node["keys"]) + index
        case "join_rows" if 0 < index <= node["left"]:
            return int(node["keys"]) + index
        case "join_rows" if node["left"] < index <= node["left"] + node["right"]:
            return 2 * int(node["keys"]) + 1 + index
    return None


def summed_from(node: Node, index: int) -> int | None:
    """The operand of which a result of an operation on groups has sums, or entries; None where it has neither."""
    match node.op:
        case "group_totals" | "running_sums" | "group_last" | "running_extremes":
            return 1 + index
        case "bucket_sums" if index > 0:
            return 1 + index
        case "gather_rows" if index > 0:
            return gathered(node)[index - 1]
        case "group_rows" if index > 0:
            how: tuple[str, ...] = node["how"]
            return None if how[index - 1] == "size" else 2 + sum(h != "size" for h in how[: index - 1])
    return None


def gathered(node: Node) -> list[int]:
    """The operands of a `gather_rows` that are combined, each in its way."""
    at, out = int(node["keys"]) + 1, []
    for how in node["how"]:
        out.append(at)
        at += 1 if how == "sum" else 2
    return out


# -- type rules --------------------------------------------------------------------------------


def rows_of(types: Sequence[Type]) -> Dim:
    """The number of rows that all columns have.  ShapeError where they differ, or where one has no rows."""
    for t in types:
        if t.ndim == 0:
            raise ShapeError("columns have rows, and a single value has none")
        if t.shape[0] != types[0].shape[0]:
            raise ShapeError(f"columns of {types[0].shape[0]} and of {t.shape[0]} rows do not go together")
    return types[0].shape[0]


def flag_column(what: str, t: Type) -> None:
    """TypeRuleError or ShapeError unless t is a list of truth values."""
    if t.dtype != BOOL:
        raise TypeRuleError(f"{what} is a truth value for each row, not {t.dtype}")
    if t.ndim != 1:
        raise ShapeError(f"{what} is one truth value for each row, not {shape_text(t.shape)}")


def always(visible: Value) -> bool:
    """Whether it is public that every row is visible."""
    return visible.is_const and bool(visible.constant.all())


def cut(n: Dim, rows: int | None) -> Dim:
    """How many of n rows are left when at most `rows` are kept."""
    if rows is None:
        return n
    if rows < 0:
        raise ShapeError(f"{rows} rows cannot be kept")
    return Size.named(f"min({n}, {rows})") if isinstance(n, Size) else min(n, rows)


def signature(t: Type, rows: Dim) -> Signature:
    """A column like t with so many rows."""
    return t.dtype, (rows, *t.shape[1:])


# -- packed columns ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a column is found among the packed ones, and what it was."""

    start: int
    width: int
    type: Type
    range: Interval | None

    def unknown(self) -> _Place:
        """The same, when nothing is known of what stands there now."""
        return replace(self, range=None)


@dataclass(frozen=True, slots=True)
class Packed:
    """Columns as one array of ring elements (n, w) and one of bits (n, t); None where there are none."""

    numbers: Value | None
    bits: Value | None
    places: tuple[_Place, ...]

    @classmethod
    def of(cls, b: Lowerer, columns: Sequence[Value]) -> Packed:
        """The columns, shared where they were not."""
        numbers: list[Value] = []
        bits: list[Value] = []
        places = []
        for column in columns:
            share = b.shared(column)
            n = share.type.sizes[0]
            width = math.prod(share.type.sizes[1:])
            to = bits if share.dtype == BOOL else numbers
            start = sum(v.type.sizes[1] for v in to)
            places.append(_Place(start, width, share.type, b.range(share)))
            ring = share if share.dtype == BOOL else b.view(share, INT)
            to.append(ring.reshape((n, width)))
        return cls(stacked(numbers) if numbers else None, stacked(bits) if bits else None, tuple(places))

    def each(self, change: Callable[[Value], Value]) -> Packed:
        """The same columns after `change`, which takes and gives arrays of rows."""
        numbers = None if self.numbers is None else change(self.numbers)
        bits = None if self.bits is None else change(self.bits)
        return Packed(numbers, bits, self.places)

    def rings(self) -> list[Value]:
        """The numbers, in Z_2^64, and the truth values, in Z_2, as far as there are any; see `of_rings`."""
        bits = [] if self.bits is None else [low(self.bits).narrow(self.bits, 1)]
        return bits if self.numbers is None else [self.numbers, *bits]

    def of_rings(self, arrays: Sequence[Value]) -> Packed:
        """The same columns from what was made of `rings`."""
        bits = None if self.bits is None else low(arrays[-1]).parity(arrays[-1])
        return Packed(None if self.numbers is None else arrays[0], bits, self.places)

    def columns(self, *, or_zero: bool = False) -> list[Value]:
        """The columns again, with their types and what was known of their ranges; or_zero: rows may be zero too."""
        out = []
        for p in self.places:
            array = self.bits if p.type.dtype == BOOL else self.numbers
            assert array is not None
            b = low(array)
            n = array.type.sizes[0]
            piece = array[:, p.start : p.start + p.width].reshape((n, *p.type.shape[1:]))
            piece = piece if p.type.dtype == BOOL else b.view(piece, p.type.dtype)
            known = p.range
            if known is not None and or_zero:
                known = Interval(min(known.lo, 0), max(known.hi, 0))
            out.append(b.know(piece, known))
        return out


# -- rows of ring elements, without ranges -----------------------------------------------------


def stacked(arrays: Sequence[Value], axis: int = 1) -> Value:
    """Shares of one element type joined along an axis."""
    if len(arrays) == 1:
        return arrays[0]
    first = arrays[0].type
    shape = list(first.sizes)
    shape[axis] = sum(v.type.sizes[axis] for v in arrays)
    return low(arrays[0]).on_shares("concat", arrays, {"axis": axis}, first.dtype, tuple(shape))


def minus(x: Value, y: Value) -> Value:
    """x - y in the ring, two shares of one shape: it may wrap."""
    return low(x).on_shares("sub", (x, y), {}, x.dtype, x.shape)


def zeros(like: Value, rows: int) -> Value:
    """Shares of so many rows of zeros, or of false, as the shared column `like` has them."""
    b = low(like)
    if like.dtype.narrow:
        return b.narrow(b.const(np.zeros((rows, *like.type.sizes[1:]), np.int64)), like.dtype.bits)
    return b.shared(b.const(np.zeros((rows, *like.type.sizes[1:])), like.dtype))


def shifted(x: Value, by: int = 1) -> Value:
    """Row i is row i - by of x, and zero where there is none; |by| is at most the number of rows."""
    n = x.type.sizes[0]
    if by >= 0:
        return stacked([zeros(x, by), x[: n - by]], axis=0)
    return stacked([x[-by:], zeros(x, -by)], axis=0)


def differences(x: Value) -> Value:
    """Every row less the one before it, the first less nothing."""
    return minus(x, shifted(x)) if x.type.sizes[0] else x


def ring_column(b: Lowerer, column: Value) -> Value:
    """A shared column of numbers: truth values as 0 and 1."""
    share = b.shared(column)
    return b.emit("to_int", share) if share.dtype == BOOL else share


def sum_range(b: Lowerer, x: Value, rows: int) -> Interval | None:
    """What a sum of up to `rows` entries of the shared column x may be.  RangeOverflowError where it may not fit."""
    known = b.range(x)
    interval = None if known is None else Interval(min(known.lo * rows, 0), max(known.hi * rows, 0))
    b.fits("the sum", interval, x.dtype.frac, bits=63 if x.dtype == INT else ROOM)
    return interval


def truths(x: Value) -> Value:
    """Ring elements 0 or 1 as truth values, without a message."""
    return low(x).parity(x)
