"""Which rows of an array are there: masks of columns and matrices, seen as masks of rows.

For: `same_along`, `as_made`, `only_rows`, `row_mask`, `in_rows`, `emptied`, `left_rows`, `factors`, `reshaped`,
`without_axis`.
Leaves to others: masks of element-wise operations (`convert`), where masks come from (`parts`).

What is made row by row is invisible where a row is. What adds up rows leaves invisible ones out: a sum, a mean, and a
product of matrices along its inner axis. Where neither is clear, as in `X @ X.T`, E0311 asks for `compact`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import numpy as np

from dsl.source import Span
from dsl.values import Array, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import Shape

__all__ = [
    "as_made",
    "emptied",
    "factors",
    "in_rows",
    "left_rows",
    "only_rows",
    "reshaped",
    "row_mask",
    "same_along",
    "several",
    "without_axis",
]


def same_along(mask: Value) -> frozenset[int]:
    """Axes along which a mask does not vary, as far as it shows from how it was made."""
    node, ndim = mask.node, mask.ndim
    found = {k for k, dim in enumerate(mask.shape) if dim == 1}
    sources = [Value(mask.builder, i) for i in node.src]
    if mask.is_const and (mask.constant.all() or not mask.constant.any()):
        found |= set(range(ndim))
    elif node.op in {"broadcast_to", "and", "select"}:
        found |= frozenset.intersection(*(_same_when_broadcast(s, ndim) for s in sources))
    elif node.op == "transpose":
        inner = same_along(sources[0])
        found |= {k for k, axis in enumerate(node["axes"]) if axis in inner}
    elif node.op in {"slice", "dynamic_slice"}:
        found |= same_along(sources[0])
    return frozenset(found)


def as_made(mask: Value, made: Value) -> Value:
    """A mask with the contents of `made`, as a loop's result has them; that it does not vary along some axes shows."""
    axes = same_along(made)
    if all(mask.shape[k] == 1 for k in axes):
        return mask
    parts = tuple((0, 1 if k in axes else dim, 1) for k, dim in enumerate(mask.shape))
    return mask.builder.emit("slice", mask, parts=parts).broadcast_to(mask.shape)


def _same_when_broadcast(source: Value, ndim: int) -> frozenset[int]:
    """`same_along` of a mask that is broadcast to so many axes."""
    new = ndim - source.ndim
    return frozenset(range(new)) | {new + k for k in same_along(source)}


def only_rows(w: Walker, a: Array, span: Span) -> Array:
    """`a`, which may lack rows, but no value within one: E0311."""
    return a if a.padded and not a.stype.nullable else w.full(replace(a, padded=False), span)


def emptied(w: Walker, a: Array) -> Array:
    """`a` with zeros where nothing is."""
    if a.valid is None:
        return a
    value = w.builder.emit("select", a.valid, a.value, w.builder.const(np.zeros(()), a.value.dtype))
    return replace(a, value=value, valid=None, padded=False, exact=None)


def row_mask(w: Walker, a: Array) -> Value | None:
    """Which rows are there, a truth value for each place of the first axis: those of which all elements are. E0311 when
    there are rows along another axis too."""
    if a.valid is None or not a.shape:
        return a.valid
    mask, b = a.valid, w.builder
    for axis in range(mask.ndim - 1, 0, -1):
        if axis in same_along(mask):
            mask = without_axis(mask, axis)
        elif _rows_along(mask, axis):
            several(w, a, w.span)
        else:
            mask = b.emit("eq", b.emit("sum", (~mask).to_int(), axis=axis, keepdims=False), w.integer(0).value)
    return mask


def _rows_along(mask: Value, axis: int) -> bool:
    """Whether a mask varies along an axis because rows are along it, not because columns of several tables are."""
    node = mask.node
    sources = [Value(mask.builder, i) for i in node.src]
    if axis in same_along(mask):
        return False
    match node.op:
        case "concat":
            return node["axis"] != axis or any(_rows_along(s, axis) for s in sources)
        case "broadcast_to" | "and" | "select":
            return any(_rows_along(s, at) for s in sources if (at := axis - mask.ndim + s.ndim) >= 0)
        case "transpose":
            return _rows_along(sources[0], node["axes"][axis])
        case "slice" | "dynamic_slice":
            return _rows_along(sources[0], axis)
    return True


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
    return several(w, a, span)


def several(w: Walker, a: Array, span: Span) -> NoReturn:
    """E0311 for an array of which rows are along several axes."""
    _together(w, "rows may be invisible along several axes of this array", a, span)


def unfilled(w: Walker, a: Array, span: Span) -> NoReturn:
    """E0311 for an array that must have all its elements, and may lack some."""
    if a.padded:
        _together(w, "some rows of this column may be invisible", a, span)
    take = f"say what to take instead: `coalesce({w.text(span)}, {a.stype.example})`"
    leave = "or let the query leave such rows out: where … is not null"
    # Helps of the library's text are not shown; the label says it for the study's.
    first = "first leave out what is missing, `where x is not null`, or take `coalesce(x, 0)`"
    label = first if w.in_library else f"{a.stype}"
    w.fail("E0311", "a value may be missing here", span, label, helps=[take, leave])


def _together(w: Walker, message: str, a: Array, span: Span) -> NoReturn:
    table, dot, column = w.text(span).partition(".")
    name = table if dot and f"{table}{column}".isidentifier() else "t"
    helps = [f"put the visible rows together first: `compact({name})`, which opens how many they are"]
    label = "first put the visible rows together, `compact(t)`" if w.in_library else describe(a)
    w.fail("E0311", message, span, label, helps=helps)


def factors(w: Walker, a: Array, b: Array, span: Span) -> tuple[Array, Array, Callable[[Array], Array]]:
    """What `a @ b` is made of where rows may be invisible: both with all elements, and what marks the product's rows.

    Rows along the inner axis are left out of its sums; those along an outer axis are the product's. E0311 when they are
    along both, or along an outer axis of each.
    """
    arrays = [x if x.valid is None else only_rows(w, x, span) for x in (a, b)]
    if max(len(a.shape), len(b.shape)) > 2:
        several(w, a if b.valid is None else b, span)
    marks: list[tuple[Value, int]] = []
    whole = []
    for place, x in enumerate(arrays):
        outer = _outer_rows(w, x, place, span)
        whole.append(emptied(w, x) if outer is None else replace(x, valid=None, padded=False, exact=None))
        if outer is not None:
            marks.append((outer, place))
    if len(marks) > 1:
        several(w, b, span)

    def mark(product: Array) -> Array:
        for mask, place in marks:
            axis = 0 if place == 0 else len(product.shape) - 1
            shape = tuple(d if k == axis else 1 for k, d in enumerate(product.shape))
            product = replace(product, valid=mask.reshape(shape).broadcast_to(product.shape), padded=True)
        return product

    return whole[0], whole[1], mark


def _outer_rows(w: Walker, x: Array, place: int, span: Span) -> Value | None:
    """Which rows are there along a factor's outer axis; None when they are along its inner one, or all there.
    place: 0 for the left factor, 1 for the right one."""
    if x.valid is None or len(x.shape) == 1:
        return None
    same = same_along(x.valid)
    if 1 - place in same:
        return without_axis(x.valid, 1 - place) if place not in same or x.shape[place] == 1 else None
    return None if place in same else several(w, x, span)


def without_axis(mask: Value, axis: int) -> Value:
    """The mask of an axis less, along which it does not vary."""
    node = mask.node
    source = Value(mask.builder, node.src[0]) if node.op == "broadcast_to" else mask
    shape = (*mask.shape[:axis], *mask.shape[axis + 1 :])
    if node.op == "broadcast_to" and source.ndim == mask.ndim and source.shape[axis] == 1:
        return source.reshape((*source.shape[:axis], *source.shape[axis + 1 :])).broadcast_to(shape)
    parts = tuple((0, 1 if k == axis else dim, 1) for k, dim in enumerate(mask.shape))
    return mask.builder.emit("slice", mask, parts=parts).reshape(shape)
