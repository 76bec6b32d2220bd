"""Groups whose number is public and small: a sum for each of n buckets, without a sort.

For: `bucket_sums`.  Leaves to others: groups by any key (`relational_group`), one-hot rows (`one_hot`).

The bits of a row's bucket are cut in two, and each half becomes a one-hot row, of a and of c flags.  A bucket's sum is
an entry of the product of two matrices, the first half's flags times the values, and the second half's flags: a + c
flags a row become ring elements in place of a * c, and the product sends what its result holds, a * c sums.  Eleven
rounds with three replicated nodes for 256 buckets, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.one_hot import spread_bits
from mpc.circuits.ordering import all_of
from mpc.circuits.relational_columns import Packed, flag_column, ring_column, rows_of, stacked, sum_range, zeros
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


@op("bucket_sums", infer=_infer, ref=_ref)
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
    packed = Packed.of(b, numbers)
    values = 0 if packed.numbers is None else packed.numbers.type.sizes[1]
    first, second = _halves(b, b.shared(bucket), visible, n, values)
    a, c = first.type.sizes[1], second.type.sizes[1]
    weighed = first
    if packed.numbers is not None:
        each = b.product("mul", first.reshape((rows, a, 1)), packed.numbers.reshape((rows, 1, values)), 0, INT)
        weighed = stacked([first, each.reshape((rows, a * values))])
    sums = b.product("matmul", second.transpose((1, 0)), weighed, 0, INT)
    counts = b.know(sums[:, :a].reshape((a * c,))[:n], Interval(0, rows))
    if packed.numbers is None:
        return [counts]
    added = Packed(sums[:, a:].reshape((c * a, values))[:n], None, tuple(p.unknown() for p in packed.places)).columns()
    return [counts, *(b.know(v, sum_range(b, x, rows)) for v, x in zip(added, numbers, strict=True))]


def _halves(b: Lowerer, bucket: Value, visible: Value, n: int, values: int) -> tuple[Value, Value]:
    """One-hot rows, (rows, a) for the low bits and (rows, c) for the high ones; the first 0 if hidden."""
    k = estimate.depth(n)
    known = b.range(bucket)
    inside = known is not None and known.lo >= 0 and known.hi < 1 << k
    rows = bucket.type.sizes[0]
    shown = b.shared(visible)
    width = k if inside else min(max(b.width(bucket), k + 1), 64)
    bits = b.bits(bucket, width) if width else b.shared(b.const(np.zeros((rows, 0), np.bool_)))
    if not inside:
        shown = shown & all_of(~bits[:, k:])
    cut = _cut(k, n, values)
    first = spread_bits(bits[:, :cut]) & shown.reshape((rows, 1))
    second = spread_bits(bits[:, cut:k])[:, : -(-n >> cut)]
    return b.emit("to_int", first), b.shared(b.emit("to_int", second))


def _cut(k: int, n: int, values: int) -> int:
    """How many of k bits the first half has: a flag of it costs a product with each value besides."""
    return min(range(k + 1), key=lambda cut: (1 << cut) * (1 + values) - (-n >> cut))
