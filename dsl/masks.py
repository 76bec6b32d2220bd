"""Which rows of an array are there: masks of columns and matrices, seen as masks of rows.

For: `same_along`, `row_mask`, `in_rows`, `left_rows`, `reshaped`, `without_axis`.
Leaves to others: masks of element-wise operations (`convert`), where masks come from (`parts`).
"""

from __future__ import annotations

from dataclasses import replace

from dsl.source import Span
from dsl.values import Array, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import Shape

__all__ = ["in_rows", "left_rows", "reshaped", "row_mask", "same_along", "without_axis"]


def same_along(mask: Value) -> frozenset[int]:
    """Axes along which a mask does not vary, as far as it shows from how it was made."""
    node, ndim = mask.node, mask.ndim
    found = {k for k, dim in enumerate(mask.shape) if dim == 1}
    if node.op == "broadcast_to":
        source = Value(mask.builder, node.src[0])
        new = ndim - source.ndim
        found |= set(range(new)) | {new + k for k in same_along(source)}
    elif node.op == "transpose":
        inner = same_along(Value(mask.builder, node.src[0]))
        found |= {k for k, axis in enumerate(node["axes"]) if axis in inner}
    elif node.op == "slice":
        found |= same_along(Value(mask.builder, node.src[0]))
    elif node.op == "and":
        a, b = (same_along(Value(mask.builder, i).broadcast_to(mask.shape)) for i in node.src)
        found |= a & b
    return frozenset(found)


def row_mask(w: Walker, a: Array) -> Value | None:
    """Which rows are there, a truth value for each place of the first axis: those of which all elements are."""
    if a.valid is None or not a.shape:
        return a.valid
    mask, b = a.valid, w.builder
    for axis in range(mask.ndim - 1, 0, -1):
        if axis in same_along(mask):
            mask = without_axis(mask, axis)
        else:
            mask = b.emit("eq", b.emit("sum", (~mask).to_int(), axis=axis, keepdims=False), w.integer(0).value)
    return mask


def in_rows(a: Array, mask: Value) -> Array:
    """`a`, of whose rows only those of a mask are there."""
    shape = (a.shape[0], *(1 for _ in a.shape[1:]))
    valid = mask.reshape(shape).broadcast_to(a.shape)
    return replace(a, valid=valid if a.valid is None else a.valid & valid, padded=True, exact=None)


def reshaped(mask: Value, shape: Shape) -> Value:
    """A mask of the same elements in another shape: one of rows stays so where the first axis stays."""
    if not mask.shape or not shape or mask.shape[0] != shape[0] or not same_along(mask) >= set(range(1, mask.ndim)):
        return mask.reshape(shape)
    while mask.ndim > 1:
        mask = without_axis(mask, mask.ndim - 1)
    return mask.reshape((shape[0], *(1 for _ in shape[1:]))).broadcast_to(shape)


def left_rows(w: Walker, a: Array, axis: int | None, span: Span) -> Value | None:
    """The mask of what an axis of an array with invisible rows is reduced to (axis None: all of it, a single value).

    None when rows were along that axis, so that only the visible ones count. E0311 when rows are along both that axis
    and another.
    """
    if not a.padded or a.valid is None or axis is None or len(a.shape) < 2:
        return None
    same = same_along(a.valid)
    if axis in same:
        return without_axis(a.valid, axis)
    if same >= set(range(len(a.shape))) - {axis}:
        return None
    helps = ["put the visible rows together first: `compact(t)`, which opens how many they are"]
    label = "first put the visible rows together, `compact(t)`" if w.in_library else describe(a)
    return w.fail("E0311", "rows may be invisible along several axes of this array", span, label, helps=helps)


def without_axis(mask: Value, axis: int) -> Value:
    """The mask of an axis less, along which it does not vary."""
    node = mask.node
    source = Value(mask.builder, node.src[0]) if node.op == "broadcast_to" else mask
    shape = (*mask.shape[:axis], *mask.shape[axis + 1 :])
    if node.op == "broadcast_to" and source.ndim == mask.ndim and source.shape[axis] == 1:
        return source.reshape((*source.shape[:axis], *source.shape[axis + 1 :])).broadcast_to(shape)
    parts = tuple((0, 1 if k == axis else dim, 1) for k, dim in enumerate(mask.shape))
    return mask.builder.emit("slice", mask, parts=parts).reshape(shape)
