"""Bringing the axis of a reduction or a sort to the end, the others together: algorithms then see rows of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpc.circuit import Attrs, Value
from mpc.circuits.arithmetic import reduced_shape
from mpc.op import numeric
from mpc.types import DType, Shape, ShapeError, Type, shape_text, size_of

__all__ = ["as_rows", "from_rows", "nonempty", "reduced"]


def as_rows(x: Value, axis: int | None) -> Value:
    """x as (rows, n), n along `axis`; one row of all elements when None."""
    if axis is None:
        return x.reshape((1, math.prod(x.type.sizes)))
    order = (*(a for a in range(x.ndim) if a != axis), axis)
    moved = x.transpose(order)
    n = x.type.sizes[axis]
    return moved.reshape((math.prod(moved.type.sizes[:-1]), n))


def from_rows(rows: Value, shape: Sequence[int], axis: int) -> Value:
    """Back from `as_rows` to an array whose shape was `shape`; along `axis` it may have another length by now."""
    others = [d for a, d in enumerate(shape) if a != axis]
    out = rows.reshape((*others, rows.type.sizes[-1]))
    return out.transpose((*range(axis), len(others), *range(axis, len(others))))


def nonempty(what: str, t: Type, axis: int | None) -> None:
    """ShapeError where `what` would be taken of no element at all."""
    dim = size_of(t.shape) if axis is None else t.shape[axis]
    if isinstance(dim, int) and dim == 0:
        raise ShapeError(f"{what} of nothing: {shape_text(t.shape)}" + ("" if axis is None else f" along axis {axis}"))


def reduced(what: str, types: Sequence[Type], attrs: Attrs) -> tuple[DType, Shape]:
    """Element type of a number, and the shape after a reduction that needs an element."""
    dtype, shape = numeric(types, attrs)
    out = reduced_shape(shape, attrs["axis"], attrs.get("keepdims", False))
    nonempty(what, types[0], attrs["axis"])
    return dtype, out
