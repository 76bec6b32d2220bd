"""Secret positions: one-hot rows, and elements at a secret index.

A position's bits become a one-hot row by products of halves, a level of conjunctions for each doubling of the bits:
about one conjunction an entry, three bits each, where comparing with every position would be an equality an entry.  For
few positions and wide numbers equalities are cheaper, and are taken.

An element at a secret index is found in two products: the array is folded to `a` rows of `b`, the index to a one-hot
row of `a` and one of `b`, so that only a + b flags become ring elements and not a * b; the first product finds the row,
the second the place in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.circuits.ordering import all_of
from mpc.lowerer import Lowerer, is_share, low
from mpc.op import Interval, OutsideError, Signature, op
from mpc.types import BOOL, INT, ShapeError, Size, Type, TypeRuleError

__all__ = ["one_hot", "place", "spread_bits", "take_secret"]


def _one_hot(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype != INT:
        raise TypeRuleError(f"a position is a whole number, not {types[0].dtype}")
    if attrs["n"] < 0:
        raise ShapeError(f"{attrs['n']} positions")
    return INT, (*types[0].shape, attrs["n"])


def _one_hot_ref(x: Array, *, n: int) -> Array:
    return np.equal(x[..., None], np.arange(n)).astype(np.int64)


def _flag(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return Interval(0, 1)


@op("one_hot", infer=_one_hot, ref=_one_hot_ref, bound=_flag)
def one_hot(x: Value, *, n: int) -> Value:
    """A row of n with 1 at position x and 0 elsewhere; all 0 where x is outside 0..n-1."""
    b = low(x)
    if n == 0 or math.prod(x.type.sizes) == 0:
        return b.shared(b.const(np.zeros((*x.type.sizes, n), np.int64)))
    return b.emit("to_int", _flags(x, n))


def _flags(x: Value, n: int) -> Value:
    """Truth values (..., n): whether x is 0, 1, …, n - 1."""
    b = low(x)
    known = b.range(x)
    inside = known is not None and known.lo >= 0 and known.hi < n
    width = estimate.depth(n) if inside else max(b.width(x), estimate.depth(n) + 1)
    elements = math.prod(x.type.sizes)
    by_bits = _decode_work(width, n).times(elements).weight(b.round_bytes)
    by_places = estimate.equal(min(width, 64)).times(elements * n).weight(b.round_bytes)
    if width == 0 or by_places <= by_bits or width > 64:
        return x.reshape((*x.shape, 1)).equals(b.const(np.arange(n)))
    bits = b.bits(x, width)
    return _decoded(bits, n)


def _decode_work(width: int, n: int) -> Work:
    levels = estimate.depth(estimate.depth(n)) + 1
    return estimate.bits(max(width, 1)).then(Work(levels, estimate.AND.bytes * 3 / 2 * n))


def _decoded(bits: Value, n: int) -> Value:
    """(..., width) -> (..., n): whether the bits, lowest first, are those of 0, 1, …, n - 1; nowhere if beyond."""
    ones = _halves(bits, estimate.depth(n))
    return _product(ones, n, bits.ndim - 1)


def _halves(bits: Value, k: int) -> list[Value]:
    """One-hot rows for the lower and the upper half of the low k bits; none where a higher bit is set."""
    width, last = bits.type.sizes[-1], bits.ndim - 1
    lead = (slice(None),) * last
    cut = k // 2
    low_half = spread_bits(bits[(*lead, slice(0, cut))], last)
    high_half = spread_bits(bits[(*lead, slice(cut, k))], last)
    if width > k:
        none = all_of(~bits[(*lead, slice(k, width))])
        high_half = high_half & none.reshape((*none.shape, 1))
    return [low_half, high_half]


def spread_bits(bits: Value, axis: int) -> Value:
    """k bits along an axis become 2^k flags, one-hot; k may be 0."""
    sizes = bits.type.sizes
    k, lead = sizes[axis], (slice(None),) * axis
    if k == 0:
        return bits.builder.const(np.ones((*sizes[:axis], 1, *sizes[axis + 1 :]), np.bool_))
    if k == 1:
        return bits.builder.emit("concat", ~bits, bits, axis=axis)
    halves = [spread_bits(bits[(*lead, part)], axis) for part in (slice(0, k // 2), slice(k // 2, k))]
    return _product(halves, 1 << k, axis)


def _product(halves: Sequence[Value], n: int, axis: int) -> Value:
    """All products of an entry of the lower half's flags with one of the upper's, the first n of them."""
    lower, upper = halves
    a, c = lower.type.sizes[axis], upper.type.sizes[axis]
    needed = min(-(-n // a), c)
    lead = (slice(None),) * axis
    before, after = lower.type.sizes[:axis], lower.type.sizes[axis + 1 :]
    upper = upper[(*lead, slice(0, needed))]
    both = upper.reshape((*before, needed, 1, *after)) & lower.reshape((*before, 1, a, *after))
    return both.reshape((*before, needed * a, *after))[(*lead, slice(0, n))]


# -- indices -----------------------------------------------------------------------------------


def _place(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    if types[0].dtype != INT:
        raise TypeRuleError(f"an index is a whole number, not {types[0].dtype}")
    return INT, types[0].shape


def _place_ref(x: Array, *, n: int, checked: bool) -> Array:
    if checked and x.size and (x.min() < -n or x.max() >= n):
        raise OutsideError(f"an index is outside an axis of {n} elements")
    return np.where(x < 0, x + n, x)


def _place_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    """What is checked is within the axis; other indices outside stay so."""
    known, n = bounds[0], attrs["n"]
    if isinstance(n, Size):
        return None
    if attrs["checked"] and not types[0].secret:
        return Interval(0, max(n - 1, 0))
    if known is None or known.lo >= 0:
        return known
    return Interval(min(known.lo + n, 0), max(known.hi, n - 1))


@op("place", infer=_place, ref=_place_ref, bound=_place_bound)
def place(x: Value, *, n: int, checked: bool) -> Value:
    """The place of an index in an axis of n elements: below zero it counts from the end.

    In the clear an index outside -n..n-1 is an OutsideError where it is `checked`, which it is not on the side of a
    choice that may not be taken; else, and where it is secret and nobody sees it, it becomes a place outside.
    """
    del checked
    b = low(x)
    known = b.range(x)
    if known is None or known.lo < -n or known.hi >= n:
        b.taken(f"the index is in {-n}..{n - 1}")
    if known is not None and known.lo >= 0:
        return x
    return b.emit("select", x < 0, x + n, x)


# -- elements at secret places -----------------------------------------------------------------

FOLD = 32
"""Axes shorter than this are not folded: one product less."""


def take_secret(x: Value, index: Value, *, axis: int) -> Value:
    """x at a secret index along an axis; an index outside gives 0."""
    b = low(index)
    n = x.type.sizes[axis]
    rest = tuple(d for a, d in enumerate(x.type.sizes) if a != axis)
    order = (axis, *(a for a in range(x.ndim) if a != axis))
    table = x.transpose(order).reshape((n, math.prod(rest)))
    flat = index.reshape((math.prod(index.type.sizes),))
    picked = _picked(b, table, flat).reshape((*index.shape, *rest))
    k = index.ndim
    back = (*range(k, k + axis), *range(k), *range(k + axis, picked.ndim))
    return picked.transpose(back)


def _picked(b: Lowerer, table: Value, index: Value) -> Value:
    """Rows of table (n, w) at index (m,): (m, w)."""
    n, w = table.type.sizes
    m = index.type.sizes[0]
    if n == 0 or m == 0 or w == 0:
        return b.shared(b.const(np.zeros((m, w)), table.dtype))
    numbers = table.to_int() if table.dtype == BOOL else table
    if n < FOLD:
        hot = b.emit("to_int", _flags(index, n))
        out = b.product("matmul", hot, _ring(b, numbers), 0, numbers.dtype)
    else:
        out = _folded(b, numbers, index)
    if table.dtype == BOOL:
        return b.bits(out, 1).reshape(out.shape)
    known = b.range(table)
    return out if known is None else b.know(out, Interval(min(known.lo, 0), max(known.hi, 0)))


def _ring(b: Lowerer, x: Value) -> Value:
    """A share as it is, a public value as ring elements."""
    return x if is_share(x) else b.encode(x, x.dtype.frac)


def _folded(b: Lowerer, numbers: Value, index: Value) -> Value:
    (n, w), m = numbers.type.sizes, index.type.sizes[0]
    known = b.range(index)
    k = estimate.depth(n)
    inside = known is not None and known.lo >= 0 and known.hi < 1 << k
    bits = b.bits(index, k if inside else min(max(b.width(index), k + 1), 64))
    lower, upper = (b.emit("to_int", half) for half in _halves(bits, k))
    a = lower.type.sizes[-1]
    c = -(-n // a)
    if n < a * c:
        zeros = b.const(np.zeros((a * c - n, w)), numbers.dtype)
        numbers = b.emit("concat", numbers, zeros, axis=0)
    folded = _ring(b, numbers.reshape((c, a * w)))
    rows = b.product("matmul", upper[:, :c], folded, 0, numbers.dtype)
    row = lower.reshape((m, 1, a))
    return b.product("matmul", row, rows.reshape((m, a, w)), 0, numbers.dtype).reshape((m, w))
