"""Groups whose number is public and small: a sum for each of n buckets, without a sort.

For: `bucket_sums`.  Leaves to others: groups by any key (`relational_group`), one-hot rows (`one_hot`).

The bits of a row's bucket are cut in two, and each half becomes a one-hot row, of a and of c flags.  A bucket's sum is
an entry of the product of two matrices, the first half's flags times the values, and the second half's flags: a + c
flags a row become ring elements in place of a * c, and the product sends what its result holds, a * c sums.  The last
flag of a row, and the last value of the first half's, is what the others leave over.

All of it is done in the narrowest ring that holds the sums, by what is known of the columns' ranges (`widen`).  With
three replicated nodes, 256 buckets and a value a row: 12 rounds, whatever the number of rows, and 45 ring elements a
row from each party.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.one_hot import spread_bits
from mpc.circuits.ordering import all_of
from mpc.circuits.relational_columns import Packed, flag_column, minus, ring_column, rows_of, stacked, sum_range, zeros
from mpc.circuits.widen import ring_of, widen
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, ShapeError, Type, TypeRuleError, shape_text

__all__ = ["bucket_sums"]


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    bucket, visible, *columns = types
    if bucket.dtype != INT or bucket.ndim != 1:
        raise TypeRuleError(f"a bucket is one whole number for each row, not {bucket.dtype} {shape_text(bucket.shape)}")
    flag_column("which rows are visible", visible)
    rows_of(types)
    n = attrs["n"]
    if n < 1:
        raise ShapeError(f"{n} buckets")
    kinds = [INT, *(INT if t.dtype == BOOL else t.dtype for t in columns)]
    return [(d, (n, *t.shape[1:])) for d, t in zip(kinds, [bucket, *columns], strict=True)]


def _ref(bucket: Array, visible: Array, *columns: Array, n: int) -> tuple[Array, ...]:
    inside = visible & (bucket >= 0) & (bucket < n)
    out = []
    for x in (np.ones(len(bucket), np.int64), *columns):
        numbers = x.astype(np.int64) if x.dtype == np.bool_ else x
        sums = np.zeros((n, *x.shape[1:]), numbers.dtype)
        np.add.at(sums, bucket[inside], numbers[inside])
        out.append(sums)
    return tuple(out)


def _wide(bucket: Array, visible: Array, *columns: Array, n: int) -> tuple[Array, ...]:
    return _ref(bucket, visible, *(c.astype(np.float64) for c in columns), n=n)


@op("bucket_sums", infer=_infer, ref=_ref, wide=_wide)
def bucket_sums(bucket: Value, visible: Value, *columns: Value, n: int) -> Any:
    """How many visible rows each of n buckets has, and the sum of each column over them.

    Operands: `bucket` (rows,), whole numbers, of which those outside 0..n-1 count nowhere; `visible` (rows,);
    columns, of truth values how many hold.  Returns the counts (n,), then each column's sums (n, ...), in the order
    of the buckets.
    """
    b = low(bucket)
    rows = bucket.type.sizes[0]
    numbers = [ring_column(b, c) for c in columns]
    if rows == 0:
        return [b.shared(b.const(np.zeros(n, np.int64))), *(zeros(c, n) for c in numbers)]
    ranges = [sum_range(b, x, rows) for x in numbers]
    counted = Interval(0, rows)
    units = _hull([counted, *(_units(x, r) for x, r in zip(numbers, ranges, strict=True))])
    ring = 64 if units is None else min(ring_of(units), 64)
    packed = Packed.of(b, numbers)
    values = 0 if packed.numbers is None else packed.numbers.type.sizes[1]
    first, shown, second = _halves(b, b.shared(bucket), visible, n, values)
    (a, _), (c, _) = first.type.sizes, second.type.sizes
    left = _in_ring(b, first, shown, ring)
    right = _in_ring(b, second, b.const(np.ones(rows, np.bool_)) if c == 1 << (c - 1).bit_length() else None, ring)
    weighed = left if packed.numbers is None else stacked([left, _weighed(b, left, packed.numbers, shown)], axis=0)
    sums = b.product("matmul", right, weighed.transpose((1, 0)), 0, INT)
    whole = widen(sums, units) if units is not None and ring < 64 else sums
    counts = b.know(whole[:, :a].reshape((c * a,))[:n], counted)
    if packed.numbers is None:
        return [counts]
    table = whole[:, a:].reshape((c, values, a)).transpose((0, 2, 1)).reshape((c * a, values))[:n]
    added = Packed(table, None, tuple(p.unknown() for p in packed.places)).columns()
    return [counts, *map(b.know, added, ranges)]


def _units(x: Value, known: Interval | None) -> Interval | None:
    """A range in ring units."""
    scale = 2.0**x.dtype.frac
    return None if known is None else Interval(known.lo * scale, known.hi * scale)


def _hull(ranges: Sequence[Interval | None]) -> Interval | None:
    """What holds them all; None where one is not known."""
    known = [r for r in ranges if r is not None]
    if len(known) < len(ranges):
        return None
    return Interval(min(r.lo for r in known), max(r.hi for r in known))


def _in_ring(b: Lowerer, flags: Value, total: Value | None, ring: int) -> Value:
    """Truth values (w, rows) as ring elements; all but the last, where it is public how many of a row's are set.

    total: (rows,), whether one is set, where that is known.
    """
    w, rows = flags.type.sizes
    if total is None or not total.type.public:
        return b.narrow(flags, ring)
    whole = b.narrow(total.to_int(), ring).reshape((1, rows))
    if w == 1:
        return whole
    some = b.narrow(flags[: w - 1], ring)
    return stacked([some, minus(whole, some.sum(axis=0, keepdims=True))], axis=0)


def _weighed(b: Lowerer, flags: Value, numbers: Value, total: Value) -> Value:
    """(a, rows) flags times (rows, w) numbers, (w * a, rows); with all but the last flag where `total` is public."""
    (a, rows), w = flags.type.sizes, numbers.type.sizes[1]
    ring = flags.dtype.bits
    numbers = b.narrow(numbers, ring).transpose((1, 0)).reshape((w, 1, rows))
    if not total.type.public:
        return b.product("mul", flags.reshape((1, a, rows)), numbers, 0, INT).reshape((w * a, rows))
    shown = b.product("mul", numbers, b.encode(total.to_int().reshape((1, 1, rows)), 0, ring), 0, INT)
    if a > 1:
        some = b.product("mul", flags[: a - 1].reshape((1, a - 1, rows)), numbers, 0, INT)
        shown = stacked([some, minus(shown, some.sum(axis=1, keepdims=True))])
    return shown.reshape((w * a, rows))


def _halves(b: Lowerer, bucket: Value, visible: Value, n: int, values: int) -> tuple[Value, Value, Value]:
    """One-hot flags, (a, rows) for the low bits, 0 where a row does not count, and (c, rows) for the high ones.

    Between them, (rows,), which rows count at all.
    """
    k = estimate.depth(n)
    known = b.range(bucket)
    inside = known is not None and known.lo >= 0 and known.hi < 1 << k
    rows = bucket.type.sizes[0]
    width = k if inside else min(max(b.width(bucket), k + 1), 64)
    # Bit by bit, so that what is done to a flag is done to a long stretch of memory.
    bits = b.bits(bucket, width).transpose((1, 0)) if width else b.shared(b.const(np.zeros((0, rows), np.bool_)))
    shown = visible if visible.type.public else b.shared(visible)
    if not inside:
        shown = all_of(~bits[k:].transpose((1, 0))) & shown
    cut = _cut(k, n, values)
    first = spread_bits(bits[:cut], 0) & shown.reshape((1, rows))
    return b.shared(first), shown, b.shared(spread_bits(bits[cut:k], 0))[: -(-n >> cut)]


def _cut(k: int, n: int, values: int) -> int:
    """How many of k bits the first half has: a flag of it costs a product with each value besides."""
    return min(range(k + 1), key=lambda cut: (1 << cut) * (1 + values) - (-n >> cut))
