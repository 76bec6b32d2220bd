"""Sorting: exact over the whole of every type, stable, in a number of rounds that depends on shapes and types alone.

Short arrays are sorted by the ranks that all pairs give, in one comparison's rounds; longer ones by the bits of their
keys (`by_bits`), where declared ranges pay.  Which is cheaper is worked out from the numbers of rows and of bits
(`estimate`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.arithmetic import keep_bound
from mpc.circuits.axes import as_rows, from_rows
from mpc.circuits.by_bits import arranged_by, arranging_work
from mpc.circuits.by_merging import parts_of, where_seen
from mpc.circuits.estimate import Work
from mpc.circuits.moving import row_bits, scatter
from mpc.circuits.ordering import difference_width
from mpc.circuits.radix import elements_of
from mpc.circuits.ranks import ranks, ranks_work
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, ShapeError, Type, TypeRuleError, shape_text

__all__ = ["argsort", "arrange", "key_bits", "sort", "sort_by", "span_of", "top_k"]


# -- keys --------------------------------------------------------------------------------------


def span_of(key: Value) -> tuple[int, int]:
    """(offset, width): key - offset, in ring units, is a number of `width` bits without sign."""
    if key.dtype == BOOL:
        return 0, 1
    known = low(key).range(key)
    frac = key.dtype.frac
    whole = (-(1 << 63), 64) if key.dtype == INT else (-(1 << 62), 63)
    if known is None:
        return whole
    margin = 0 if key.dtype == INT else 1  # a truncation may leave a unit at either end
    least = math.floor(known.lo * 2**frac) - margin
    width = max((math.ceil(known.hi * 2**frac) + margin - least).bit_length(), 1)
    return (least, width) if width < whole[1] else whole


def key_bits(key: Value, span: tuple[int, int]) -> Value:
    """The bits of numbers of a span, lowest first, whose unsigned order is that of the numbers: (n,) -> (n, width)."""
    if key.dtype == BOOL:
        return key.reshape((*key.shape, 1))
    units = key if key.dtype == INT else key.builder.emit("units", key, frac=key.dtype.frac)
    return key.builder.emit("digits", units, offset=span[0], width=span[1])


# -- the choice --------------------------------------------------------------------------------


def _by_pairs(rows: int, n: int, width: int, columns: float) -> Work:
    total = rows * n
    bits = row_bits(total)
    moved = estimate.MOVE.times(total * (bits / 64 + columns)).then(estimate.OPEN.times(total * bits / 64))
    return ranks_work(rows, n, width, bits).then(moved)


def _by_bits(rows: int, n: int, width: int, columns: float, at: int, runs: Sequence[int] = ()) -> Work:
    start = Work(0, 0) if runs else estimate.bits(width).times(rows * n)
    return start.then(arranging_work(width, rows, n, columns, at, runs))


def _weight(rows: int, n: int, key_width: int, difference: int, columns: float, at: int) -> float:
    pairs = _by_pairs(rows, n, difference, columns).weight(at)
    return min(pairs, _by_bits(rows, n, key_width, columns, at).weight(at))


def arrange(key: Value, columns: Sequence[Value]) -> list[Value]:
    """Columns (rows * n, ...) with each run of n rows in the order of its keys: `key` is (rows, n), shared.

    Equal keys keep their order.  The columns are shares of any types.
    """
    b = low(key)
    rows, n = key.type.sizes
    total = rows * n
    if n < 2 or rows == 0:
        return list(columns)
    flat, span = key.reshape((total,)), span_of(key)
    width, elements = span[1], elements_of(columns)
    runs = [p.type.sizes[0] for (p,) in parts_of([flat]) or []] if rows == 1 else []
    numeric = key if key.dtype != BOOL else None
    difference = 2 if numeric is None else difference_width(key)
    at = b.round_bytes
    by_bits = _by_bits(rows, n, width, elements, at, runs)
    if _by_pairs(rows, n, difference, elements).weight(at) < by_bits.weight(at):
        numeric = b.emit("to_int", key) if numeric is None else numeric
        to = ranks(numeric, row_bits(total)) + b.const(np.arange(rows)[:, None] * n)
        return scatter(to.reshape((total,)), columns)
    return arranged_by(where_seen(flat, lambda x: key_bits(x, span)), rows, columns)


# -- the operations ----------------------------------------------------------------------------


def _along(types: Sequence[Type], attrs: Attrs) -> Signature:
    (x,) = types
    if not 0 <= attrs["axis"] < x.ndim:
        raise ShapeError(f"axis {attrs['axis']} of {shape_text(x.shape)}")
    return x.dtype, x.shape


def _numbers_along(types: Sequence[Type], attrs: Attrs) -> Signature:
    return INT, _along(types, attrs)[1]


def _number_bound(bounds: Any, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    n = types[0].shape[attrs["axis"]]
    return Interval(0, max(n - 1, 0)) if isinstance(n, int) else None


def _sort_ref(x: Array, *, axis: int) -> Array:
    return np.sort(x, axis=axis)


def _argsort_ref(x: Array, *, axis: int) -> Array:
    return np.argsort(x, axis=axis, kind="stable")


@op("sort", infer=_along, ref=_sort_ref, bound=keep_bound)
def sort(x: Value, *, axis: int) -> Value:
    """The elements along an axis in ascending order, exact; truth values too, false first."""
    rows = as_rows(x, axis)
    (done,) = arrange(rows, [rows.reshape((math.prod(rows.type.sizes),))])
    return from_rows(done.reshape(rows.shape), x.type.sizes, axis)


@op("argsort", infer=_numbers_along, ref=_argsort_ref, bound=_number_bound)
def argsort(x: Value, *, axis: int) -> Value:
    """The places of the elements along an axis in ascending order; equal ones in the order of their places."""
    b = low(x)
    rows = as_rows(x, axis)
    many, n = rows.type.sizes
    (done,) = arrange(rows, [b.shared(b.const(np.tile(np.arange(n), many)))])
    return from_rows(done.reshape(rows.shape), x.type.sizes, axis)


def _rows_by_key(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    x, key = types
    if key.ndim != 1:
        raise ShapeError(f"rows are sorted by a list of keys, not by {shape_text(key.shape)}")
    if x.ndim == 0 or x.shape[0] != key.shape[0]:
        raise ShapeError(f"{shape_text(x.shape)} does not have one row for each of the keys {shape_text(key.shape)}")
    return x.dtype, x.shape


def _sort_by_ref(x: Array, key: Array, *, descending: bool = False) -> Array:
    if descending:
        return np.asarray(x[::-1][np.argsort(key[::-1], kind="stable")][::-1])
    return np.asarray(x[np.argsort(key, kind="stable")])


@op("sort_by", infer=_rows_by_key, ref=_sort_by_ref, bound=keep_bound)
def sort_by(x: Value, key: Value, *, descending: bool = False) -> Value:
    """The rows of x in the order of their keys; equal keys keep their order, in either direction."""
    b = low(x)
    if descending:
        # Stable downwards is stable upwards with all rows in reverse, before and after.
        return b.emit("sort_by", x[::-1], key[::-1], descending=False)[::-1]
    if key.type.public:
        return b.emit("take", x, b.emit("argsort", key, axis=0), axis=0)
    return arrange(key.reshape((1, *key.shape)), [b.shared(x)])[0]


def _top(types: Sequence[Type], attrs: Attrs) -> Signature:
    (x,) = types
    k = attrs["k"]
    if x.dtype == BOOL:
        raise TypeRuleError("the largest of numbers are wanted, not of truth values")
    if x.ndim == 0:
        raise ShapeError("the largest of an array are wanted, not of a single value")
    n = x.shape[-1]
    if k < 0 or (isinstance(n, int) and k > n):
        raise ShapeError(f"the {k} largest of {n}")
    return x.dtype, (*x.shape[:-1], k)


def _top_ref(x: Array, *, k: int) -> Array:
    return np.sort(x, axis=-1)[..., ::-1][..., :k]


@cache
def _blocks(n: int, k: int, rows: int, width: int, difference: int, at: int) -> tuple[float, tuple[int, ...]]:
    """(weight, block sizes): blocks from each of which the k largest go on, until all that is left is sorted."""
    best = _weight(rows, n, width, difference, 1, at), tuple[int, ...]()
    size = 2 * k
    while size < n:
        count = n // size
        here = _weight(rows * count, size, width, difference, 1, at)
        if here < best[0]:
            rest, sizes = _blocks(count * k + n % size, k, rows, width, difference, at)
            if here + rest < best[0]:
                best = here + rest, (size, *sizes)
        size *= 2
    return best


@op("top_k", infer=_top, ref=_top_ref, bound=keep_bound)
def top_k(x: Value, *, k: int) -> Value:
    """The k largest along the last axis, the largest first."""
    b = low(x)
    left = as_rows(x, x.ndim - 1)
    rows, n = left.type.sizes
    if k == 0:
        return left[:, :0].reshape((*x.shape[:-1], 0))
    width, difference = span_of(x)[1], difference_width(x)
    for size in _blocks(n, k, rows, width, difference, b.round_bytes)[1]:
        n = left.type.sizes[1]
        whole = n - n % size
        blocks = left[:, :whole].reshape((rows * (whole // size), size))
        best = b.emit("sort", blocks, axis=1)[:, size - k :].reshape((rows, whole // size * k))
        left = best if whole == n else b.emit("concat", best, left[:, whole:], axis=1)
    n = left.type.sizes[1]
    return b.emit("sort", left, axis=1)[:, n - k :][:, ::-1].reshape((*x.shape[:-1], k))
