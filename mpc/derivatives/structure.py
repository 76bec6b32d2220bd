"""Moving elements: the adjoint moves back, and what was read several times is added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Builder, Value
from mpc.derivatives.adjoint import Adjoint, zeros
from mpc.derivatives.table import Use, rule
from mpc.types import INT, DType, Fixed, Shape, size_of

__all__: list[str] = []


def _nothing(u: Use, shape: Shape = ()) -> Value:
    """Zeros of the result's element type."""
    return zeros(u.builder, _dtype(u.out.dtype), shape)


def _dtype(dtype: DType) -> DType:
    return dtype if dtype.kind == "fixed" else Fixed()


def _as_result(u: Use, g: Value) -> Value:
    """An adjoint as the result's element type, to be put into an array of that."""
    return g.to_fixed(_dtype(u.out.dtype).frac)


@rule("reshape")
def _reshape(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.reshaped(u.x.shape)]


@rule("within")
def _within(u: Use) -> Sequence[Adjoint | None]:
    return [u.g]


@rule("broadcast_to")
def _broadcast_to(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.sum_to(u.x.shape)]


@rule("transpose")
def _transpose(u: Use) -> Sequence[Adjoint | None]:
    axes = u.attr("axes")
    back = tuple(axes.index(i) for i in range(len(axes)))
    return [u.g.map(lambda g: g.transpose(back))]


@rule("slice")
def _slice(u: Use) -> Sequence[Adjoint | None]:
    whole, parts = _nothing(u, u.x.shape), u.attr("parts")
    return [u.g.map(lambda g: u.builder.emit("update", whole, _as_result(u, g), parts=parts))]


@rule("dynamic_slice")
def _dynamic_slice(u: Use) -> Sequence[Adjoint | None]:
    x, start = u.src
    whole, axis = _nothing(u, x.shape), u.attr("axis")
    return [u.g.map(lambda g: u.builder.emit("dynamic_update", whole, _as_result(u, g), start, axis=axis))]


@rule("update")
def _update(u: Use) -> Sequence[Adjoint | None]:
    _, v = u.src
    parts = u.attr("parts")
    kept = u.g.map(lambda g: u.builder.emit("update", _as_result(u, g), _nothing(u), parts=parts))
    new = u.g.map(lambda g: u.builder.emit("slice", g, parts=parts))
    return [kept if u.needs[0] else None, new.sum_to(v.shape) if u.needs[1] else None]


@rule("dynamic_update")
def _dynamic_update(u: Use) -> Sequence[Adjoint | None]:
    _, v, start = u.src
    axis = u.attr("axis")
    emit = u.builder.emit
    none = _nothing(u, v.shape)
    kept = u.g.map(lambda g: emit("dynamic_update", _as_result(u, g), none, start, axis=axis))
    new = u.g.map(lambda g: emit("dynamic_slice", g, start, axis=axis, length=v.shape[axis]))
    return [kept if u.needs[0] else None, new if u.needs[1] else None]


@rule("concat")
def _concat(u: Use) -> Sequence[Adjoint | None]:
    axis, at = u.attr("axis"), 0
    out: list[Adjoint | None] = []
    for v, needed in zip(u.src, u.needs, strict=True):
        parts: list[Any] = [(0, d, 1) for d in v.shape]
        parts[axis] = (at, at + v.shape[axis], 1)
        at = parts[axis][1]
        out.append(_piece(u, tuple(parts), v.shape) if needed else None)
    return out


def _piece(u: Use, parts: tuple[Any, ...], shape: Shape) -> Adjoint:
    if u.g.single:
        return u.g.reshaped(shape)
    return u.g.map(lambda g: u.builder.emit("slice", g, parts=parts))


# -- elements by index -------------------------------------------------------------------------


@rule("take")
def _take(u: Use) -> Sequence[Adjoint | None]:
    """Row index[i] of the result gets what row i has."""
    x, index = u.src
    axis: int = u.attr("axis")
    k, n = index.ndim, x.shape[axis]
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    to_front = (*range(axis, axis + k), *range(axis), *range(axis + k, len(u.out.shape)))
    to_place = (*range(1, axis + 1), 0, *range(axis + 1, x.ndim))

    def back(g: Value) -> Value:
        rows = g.transpose(to_front).reshape((size_of(index.shape), size_of(rest)))
        flat = index.reshape((size_of(index.shape),))
        return _gathered(u.builder, rows, flat, n).reshape((n, *rest)).transpose(to_place)

    return [u.g.map(back)]


def _gathered(b: Builder, rows: Value, index: Value, n: Any) -> Value:
    """Rows added up by index: (m, w) -> (n, w)."""
    if index.is_const and isinstance(n, int):
        return _by_known(b, rows, index.constant, n)
    hot = b.emit("one_hot", index, n=n)
    return hot.transpose((1, 0)) @ rows


def _by_known(b: Builder, rows: Value, index: np.ndarray[Any, Any], n: int) -> Value:
    """By differences of running sums over the rows in the order of the index: local on shares, whatever the sizes."""
    ends = np.cumsum(np.bincount(index, minlength=n))
    order = b.const(np.argsort(index, kind="stable"), INT)
    ordered = b.emit("take", rows, order, axis=0)
    none = zeros(b, _dtype(rows.dtype), (1, rows.shape[1]))
    sums = b.emit("concat", none, b.emit("cumsum", ordered, axis=0), axis=0)
    upto = b.emit("take", sums, b.const(ends, INT), axis=0)
    before = b.emit("take", sums, b.const(ends - np.bincount(index, minlength=n), INT), axis=0)
    return upto - before
