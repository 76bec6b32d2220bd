"""Moving elements: shapes, slices, joining, indexing.  On shares all of it is local, except a secret index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs
from mpc.circuits.arithmetic import keep_bound
from mpc.circuits.one_hot import take_secret
from mpc.op import Interval, Op, Signature, register, same, widened
from mpc.types import BOOL, INT, Fixed, ShapeError, Size, Type, TypeRuleError, broadcast_shapes, shape_text, size_of

__all__ = ["slices"]

Part = tuple[int, int, int]


def slices(parts: Sequence[Part]) -> tuple[slice, ...]:
    """(start, stop, step) triples as Python slices; a downward slice that ends before 0 reaches the start."""
    return tuple(slice(a, None if c < 0 and b < 0 else b, c) for a, b, c in parts)


def _reshape(types: Sequence[Type], attrs: Attrs) -> Signature:
    shape = attrs["shape"]
    if size_of(shape) != size_of(types[0].shape):
        raise ShapeError(f"{shape_text(types[0].shape)} does not have as many elements as {shape_text(shape)}")
    return types[0].dtype, shape


def _broadcast(types: Sequence[Type], attrs: Attrs) -> Signature:
    shape = attrs["shape"]
    if broadcast_shapes(types[0].shape, shape) != shape:
        raise ShapeError(f"{shape_text(types[0].shape)} does not spread to {shape_text(shape)}")
    return types[0].dtype, shape


def _transpose(types: Sequence[Type], attrs: Attrs) -> Signature:
    axes = attrs["axes"]
    if sorted(axes) != list(range(types[0].ndim)):
        raise ShapeError(f"axes {axes} are not an order of {types[0].ndim} axes")
    return types[0].dtype, tuple(types[0].shape[a] for a in axes)


def _slice(types: Sequence[Type], attrs: Attrs) -> Signature:
    parts, shape = attrs["parts"], types[0].shape
    if len(parts) != len(shape):
        raise ShapeError(f"{len(parts)} slices for {len(shape)} axes")
    out: list[Any] = []
    for (start, stop, step), dim in zip(parts, shape, strict=True):
        if isinstance(stop, Size) or isinstance(start, Size):
            out.append(stop - start)
        elif isinstance(dim, Size):
            out.append(len(range(start, stop, step)))
        else:
            out.append(len(range(*slice(start, None if step < 0 and stop < 0 else stop, step).indices(dim))))
    return types[0].dtype, tuple(out)


def _concat(types: Sequence[Type], attrs: Attrs) -> Signature:
    axis = attrs["axis"]
    first = types[0]
    if not 0 <= axis < max(first.ndim, 1) or any(t.ndim != first.ndim for t in types) or first.ndim == 0:
        raise ShapeError("joined arrays need the same number of axes: " + ", ".join(shape_text(t.shape) for t in types))
    for t in types[1:]:
        if t.shape[:axis] + t.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
            raise ShapeError(f"{shape_text(first.shape)} and {shape_text(t.shape)} do not join along axis {axis}")
    kinds = {t.dtype.kind for t in types}
    if kinds == {"int", "fixed"}:
        dtype = Fixed(max(t.dtype.frac for t in types))
    elif len(kinds) == 1:
        dtype = first.dtype if kinds != {"fixed"} else Fixed(max(t.dtype.frac for t in types))
    else:
        raise TypeRuleError("joined arrays need one element type, not " + " and ".join(sorted(kinds)))
    total: Any = 0
    for t in types:
        total = total + t.shape[axis]
    return dtype, (*first.shape[:axis], total, *first.shape[axis + 1 :])


def _concat_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    known = [b for b in bounds if b is not None]
    if len(known) < len(bounds):
        return None
    return Interval(min(b.lo for b in known), max(b.hi for b in known))


def _update_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    return _concat_bound(bounds[:2], types[:2], attrs)


def _take(types: Sequence[Type], attrs: Attrs) -> Signature:
    x, index = types
    axis = attrs["axis"]
    if index.dtype != INT:
        raise TypeRuleError(f"an index is a whole number, not {index.dtype}")
    if not 0 <= axis < x.ndim:
        raise ShapeError(f"axis {axis} of {shape_text(x.shape)}")
    return x.dtype, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _take_ref(x: Array, index: Array, *, axis: int) -> Array:
    n = x.shape[axis]
    inside = (index >= 0) & (index < n)
    if inside.all():
        return np.take(x, index, axis=axis)
    if not n:
        return np.zeros((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.dtype)
    there = inside.reshape((*index.shape, *(1,) * (x.ndim - axis - 1)))
    return np.where(there, np.take(x, np.where(inside, index, 0), axis=axis), np.zeros((), x.dtype))


def _dynamic_slice(types: Sequence[Type], attrs: Attrs) -> Signature:
    x, start = types
    axis = attrs["axis"]
    if start.dtype != INT or start.shape:
        raise TypeRuleError("a slice starts at one whole number")
    if start.secret:
        raise TypeRuleError("a slice cannot start at a secret place")
    return x.dtype, (*x.shape[:axis], attrs["length"], *x.shape[axis + 1 :])


def _range_at(start: Array, length: int, dim: int) -> slice:
    at = int(start)
    if at < 0 or at + length > dim:
        raise IndexError(f"rows {at} to {at + length} are outside an axis of size {dim}")
    return slice(at, at + length)


def _dynamic_slice_ref(x: Array, start: Array, *, axis: int, length: int) -> Array:
    key = (slice(None),) * axis + (_range_at(start, length, x.shape[axis]),)
    return x[key]


def _update(types: Sequence[Type], attrs: Attrs) -> Signature:
    x, v = types[:2]
    part = _slice([x], attrs)[1]
    if broadcast_shapes(v.shape, part) != part:
        raise ShapeError(f"{shape_text(v.shape)} does not fit the {shape_text(part)} that is assigned")
    return x.dtype, x.shape


def _update_ref(x: Array, v: Array, *, parts: tuple[Part, ...]) -> Array:
    out = np.array(x)
    out[slices(parts)] = v
    return out


def _dynamic_update(types: Sequence[Type], attrs: Attrs) -> Signature:
    x, v, start = types
    axis = attrs["axis"]
    if start.secret or start.shape or start.dtype != INT:
        raise TypeRuleError("the place of an assignment is one public whole number here")
    if v.shape[:axis] + v.shape[axis + 1 :] != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ShapeError(f"{shape_text(v.shape)} does not fit along axis {axis} of {shape_text(x.shape)}")
    return x.dtype, x.shape


def _dynamic_update_ref(x: Array, v: Array, start: Array, *, axis: int) -> Array:
    out = np.array(x)
    out[(slice(None),) * axis + (_range_at(start, v.shape[axis], x.shape[axis]),)] = v
    return out


def _cumsum(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype == BOOL:
        raise TypeRuleError("truth values are counted as whole numbers: cumsum(to_int)")
    if not 0 <= attrs["axis"] < types[0].ndim:
        raise ShapeError(f"axis {attrs['axis']} of {shape_text(types[0].shape)}")
    return types[0].dtype, types[0].shape


def _cumsum_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    n = types[0].shape[attrs["axis"]]
    if bounds[0] is None or isinstance(n, Size):
        return None
    return Interval(min(bounds[0].lo, bounds[0].lo * n), max(bounds[0].hi, bounds[0].hi * n))


def _concat_ref(*xs: Array, axis: int) -> Array:
    return np.concatenate(xs, axis=axis)


def _take_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:
    """That of the array, and 0, which an index outside gives."""
    known, at = bounds
    n = types[0].shape[attrs["axis"]]
    if known is None or (at is not None and not isinstance(n, Size) and at.lo >= 0 and at.hi < n):
        return known
    return Interval(min(known.lo, 0), max(known.hi, 0))


def _structural(name: str, infer: Any, ref: Any, doc: str) -> None:
    register(Op(name=name, infer=infer, ref=ref, bound=keep_bound, doc=doc))


_structural("reshape", _reshape, lambda x, *, shape: x.reshape(shape), "the same elements in another shape")
_structural("broadcast_to", _broadcast, lambda x, *, shape: np.broadcast_to(x, shape), "spread along new axes")
_structural("transpose", _transpose, lambda x, *, axes: np.transpose(x, axes), "axes in another order")
_structural("slice", _slice, lambda x, *, parts: x[slices(parts)], "a slice along every axis")
_structural("dynamic_slice", _dynamic_slice, _dynamic_slice_ref, "rows from a public place known at run time")
register(Op(name="take", infer=_take, ref=_take_ref, expand=take_secret, bound=_take_bound, doc="elements by index"))
register(Op(name="concat", infer=_concat, ref=_concat_ref, bound=_concat_bound, doc="arrays joined along an axis"))
register(Op(name="update", infer=_update, ref=_update_ref, bound=_update_bound, doc="x with a part replaced"))
register(
    Op(
        name="dynamic_update",
        infer=_dynamic_update,
        ref=_dynamic_update_ref,
        bound=_update_bound,
        doc="x with rows from a public place replaced",
    )
)
register(
    Op(
        name="cumsum",
        infer=_cumsum,
        ref=lambda x, *, axis: np.cumsum(x, axis=axis),
        bound=_cumsum_bound,
        wide=widened(lambda x, *, axis: np.cumsum(x, axis=axis)),
        doc="running sums along an axis",
    )
)
register(
    Op(name="open", infer=same, ref=lambda x: x, bound=keep_bound, pure=False, doc="opened to everyone in mid-study")
)
