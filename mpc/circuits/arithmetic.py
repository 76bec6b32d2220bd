"""Sums, products, comparisons, logic and casts: what `lower` maps straight onto protocol primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs
from mpc.op import Interval, Op, Signature, boolean, numeric, register, widened
from mpc.types import (
    BOOL,
    INT,
    DType,
    Fixed,
    Shape,
    ShapeError,
    Size,
    Type,
    TypeRuleError,
    broadcast_shapes,
    shape_text,
)

__all__ = ["matmul_shape", "reduced_shape", "wide_products"]

Bounds = Sequence[Interval | None]


def add_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """[a, b] + [c, d]."""
    x, y = bounds
    return None if x is None or y is None else Interval(x.lo + y.lo, x.hi + y.hi)


def sub_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """[a, b] - [c, d]."""
    x, y = bounds
    return None if x is None or y is None else Interval(x.lo - y.hi, x.hi - y.lo)


def mul_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """[a, b] * [c, d], with a unit of rounding for fixed point."""
    x, y = bounds
    if x is None or y is None:
        return None
    corners = [x.lo * y.lo, x.lo * y.hi, x.hi * y.lo, x.hi * y.hi]
    fracs = [t.dtype.frac for t in types if t.dtype.kind == "fixed"]
    # A unit for the truncation, and half a unit of each factor that was not on the grid (a public one).
    slack = 2.0 ** -max(fracs) * (1 + 0.5 * (x.magnitude + y.magnitude)) if fracs else 0
    return Interval(min(corners) - slack, max(corners) + slack)


def matmul_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:
    """As many products as the inner dimension has."""
    inner = types[0].shape[-1]
    product = mul_bound(bounds, types, attrs)
    if product is None or isinstance(inner, Size):
        return None
    return Interval(product.lo * inner, product.hi * inner)


def neg_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """-[a, b]."""
    (x,) = bounds
    return None if x is None else Interval(-x.hi, -x.lo)


def select_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """Either side."""
    _, x, y = bounds
    return None if x is None or y is None else Interval(min(x.lo, y.lo), max(x.hi, y.hi))


def keep_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """That of the first operand."""
    return bounds[0]


def bit_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    """0 or 1."""
    return Interval(0, 1)


def sum_bound(bounds: Bounds, types: Sequence[Type], attrs: Attrs) -> Interval | None:
    """As many times the operand's as elements are added."""
    (x,) = bounds
    shape = types[0].shape
    axis = attrs["axis"]
    n: Any = 1
    for dim in shape if axis is None else (shape[axis],):
        n = n * dim
    if x is None or isinstance(n, Size):
        return None
    return Interval(x.lo * n, x.hi * n)


def product(types: Sequence[Type], attrs: Attrs) -> Signature:
    """Numbers, or a number and a truth value read as 0 or 1."""
    return numeric(types, attrs)


def matmul_shape(x: Shape, y: Shape) -> Shape:
    """NumPy's rule for `@`."""
    if not x or not y:
        raise ShapeError("@ needs arrays, not single values")
    left = x if len(x) > 1 else (1, *x)
    right = y if len(y) > 1 else (*y, 1)
    if left[-1] != right[-2]:
        raise ShapeError(f"@ of {shape_text(x)} and {shape_text(y)}: the inner sizes {left[-1]} and {right[-2]} differ")
    batch = broadcast_shapes(left[:-2], right[:-2])
    rows = (left[-2],) if len(x) > 1 else ()
    columns = (right[-1],) if len(y) > 1 else ()
    return (*batch, *rows, *columns)


def _matmul(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    dtype, _ = numeric([t.with_(shape=()) for t in types], {})
    return dtype, matmul_shape(types[0].shape, types[1].shape)


def _compare(types: Sequence[Type], attrs: Attrs) -> Signature:
    return BOOL, numeric(types, attrs)[1]


def _equal(types: Sequence[Type], attrs: Attrs) -> Signature:
    if all(t.dtype == BOOL for t in types):
        return boolean(types, attrs)
    return _compare(types, attrs)


def _select(types: Sequence[Type], attrs: Attrs) -> Signature:
    condition, x, y = types
    if condition.dtype != BOOL:
        raise TypeRuleError(f"a choice needs a truth value, not {condition.dtype}")
    if x.dtype == BOOL and y.dtype == BOOL:
        dtype: DType = BOOL
    else:
        dtype, _ = numeric([x.with_(shape=()), y.with_(shape=())], attrs)
    return dtype, broadcast_shapes(condition.shape, x.shape, y.shape)


def _to_int(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    if types[0].dtype.kind == "fixed":
        raise TypeRuleError("a fixed-point number becomes whole by floor() or round()")
    return INT, types[0].shape


def _to_fixed(types: Sequence[Type], attrs: Attrs) -> Signature:
    return Fixed(attrs["frac"]), types[0].shape


def reduced_shape(shape: Shape, axis: int | None, keepdims: bool) -> Shape:
    """The shape after a reduction over `axis` (None: over all)."""
    if axis is None:
        return tuple(1 for _ in shape) if keepdims else ()
    if not 0 <= axis < len(shape):
        raise ShapeError(f"axis {axis} of an array with {len(shape)} axes")
    return (*shape[:axis], *((1,) if keepdims else ()), *shape[axis + 1 :])


def _sum(types: Sequence[Type], attrs: Attrs) -> Signature:
    (x,) = types
    if x.dtype == BOOL:
        raise TypeRuleError("truth values are counted as whole numbers: sum(to_int)")
    return x.dtype, reduced_shape(x.shape, attrs["axis"], attrs["keepdims"])


def _select_ref(c: Array, x: Array, y: Array) -> Array:
    return np.where(c, x, y)


def _to_fixed_ref(x: Array, *, frac: int) -> Array:
    return np.rint(x.astype(np.float64) * 2.0**frac) / 2.0**frac


def _sum_ref(x: Array, *, axis: int | None, keepdims: bool) -> Array:
    return np.sum(x, axis=axis, keepdims=keepdims)


def _matmul_ref(x: Array, y: Array) -> Array:
    return np.asarray(np.matmul(x, y))


PRIMES = (524287, 524269, 524261, 524257, 524243)
"""Of 19 bits each: a number below 2^94 that is 0 modulo all of them is 0."""


def wide_products(x: Array, y: Array) -> Array:
    """x @ y in floating point, of whole numbers within 2^61; where it is infinite it is beyond 64 bits.

    Where terms are so large that rounding them says nothing of their sum, the sum modulo 2^64 is compared with the sum
    modulo other numbers: both are the same number if it fits, and differ by a multiple of 2^64 if it does not.
    """
    a, b, n = x.astype(np.float64), y.astype(np.float64), x.shape[-1]
    out = np.asarray(np.matmul(a, b))
    vague = np.asarray(np.matmul(np.abs(a), np.abs(b))) * (n + 2) >= 2.0**112
    if not vague.any() or x.dtype.kind == "f" or y.dtype.kind == "f":
        return out
    wrapped = _matmul_ref(x, y)
    same = np.full(out.shape, n < 1 << 25)  # sums of longer products of remainders might wrap themselves
    for p in PRIMES:
        same &= np.matmul(x % p, y % p) % p == wrapped % p
    return np.where(vague, np.where(same, wrapped.astype(np.float64), np.inf), out)


register(Op(name="add", infer=numeric, ref=np.add, bound=add_bound, wide=widened(np.add), doc="x + y"))
register(Op(name="sub", infer=numeric, ref=np.subtract, bound=sub_bound, wide=widened(np.subtract), doc="x - y"))
register(Op(name="neg", infer=numeric, ref=np.negative, bound=neg_bound, wide=widened(np.negative), doc="-x"))
register(
    Op(
        name="mul",
        infer=product,
        ref=np.multiply,
        bound=mul_bound,
        wide=widened(np.multiply),
        tolerance=2.0**-15,
        domain=((-(2.0**14), 2.0**14), (-(2.0**14), 2.0**14)),
        doc="x * y; exact for whole numbers, within one unit 2^-16 for fixed point while |x*y| < 2^30",
    )
)
register(
    Op(
        name="matmul",
        infer=_matmul,
        ref=_matmul_ref,
        bound=matmul_bound,
        wide=wide_products,
        tolerance=2.0**-15,
        doc="x @ y; truncated once for each element of the result, while |x @ y| < 2^30",
    )
)
register(Op(name="lt", infer=_compare, ref=np.less, doc="x < y, exact"))
register(Op(name="eq", infer=_equal, ref=np.equal, doc="x == y, exact"))
register(Op(name="and", infer=boolean, ref=np.logical_and, doc="both"))
register(Op(name="or", infer=boolean, ref=np.logical_or, doc="either"))
register(Op(name="xor", infer=boolean, ref=np.logical_xor, doc="exactly one"))
register(Op(name="not", infer=boolean, ref=np.logical_not, doc="not x"))
register(Op(name="select", infer=_select, ref=_select_ref, bound=select_bound, doc="x where c, else y"))
register(Op(name="to_int", infer=_to_int, ref=lambda x: x.astype(np.int64), bound=keep_bound, doc="0 or 1"))
register(
    Op(
        name="to_fixed",
        infer=_to_fixed,
        ref=_to_fixed_ref,
        bound=keep_bound,
        doc="a whole number or truth value as fixed point; other fraction bits",
    )
)
register(
    Op(
        name="sum",
        infer=_sum,
        ref=_sum_ref,
        bound=sum_bound,
        wide=widened(_sum_ref),
        doc="sum over an axis or over all",
    )
)
