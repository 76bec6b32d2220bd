"""Making and rearranging arrays.

For: zeros ones full eye arange range batches concat stack reshape transpose len one_hot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl.builtins.arguments import axis_of, numeric, shape_of, typed
from dsl.builtins.table import CallSite, builtin
from dsl.convert import spread, text_array, to_int, unify
from dsl.masks import only_rows, reshaped, same_along, without_axis
from dsl.source import Span
from dsl.stypes import FIXED, INTEGER
from dsl.values import Array, Batches, Range, Table, Text, Tuple, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import BOOL, INT, Dim, Shape, Size, size_of

__all__: list[str] = []

MAX_ELEMENTS = 1 << 24
"""Of an array that is written into the circuit."""


@builtin("zeros")
def zeros(w: Walker, site: CallSite, shape: Val) -> Val:
    """`fixed` zeros."""
    return Array(w.builder.const(0.0, w.fixed).broadcast_to(shape_of(w, shape, site.of("shape"))), FIXED)


@builtin("ones")
def ones(w: Walker, site: CallSite, shape: Val) -> Val:
    """`fixed` ones."""
    return Array(w.builder.const(1.0, w.fixed).broadcast_to(shape_of(w, shape, site.of("shape"))), FIXED)


@builtin("full")
def full(w: Walker, site: CallSite, shape: Val, value: Val) -> Val:
    """An array of one value, of its type."""
    a = w.full(w.array(value, site.of("value")), site.of("value"))
    return replace(a, value=a.value.broadcast_to(shape_of(w, shape, site.of("shape"))), exact=None)


@builtin("eye")
def eye(w: Walker, site: CallSite, n: Val) -> Val:
    """The identity matrix, `fixed`."""
    (size,) = shape_of(w, n, site.of("n")) or (0,)
    if isinstance(size, Size):
        return Array(w.builder.const(0.0, w.fixed).broadcast_to((size, size)), FIXED)
    _limited(w, site, size * size)
    return w.const(np.eye(size), FIXED)


def _limited(w: Walker, site: CallSite, count: float) -> None:
    if not count <= MAX_ELEMENTS:
        w.fail("E0901", f"more than {MAX_ELEMENTS} numbers of the study itself", site.span)


def _ends(w: Walker, site: CallSite, ends: Sequence[Val], name: str) -> tuple[Dim, Dim, int]:
    if not 1 <= len(ends) <= 3:
        w.fail("E0205", f"`{name}` takes (stop), (start, stop) or (start, stop, step)", site.span)
    role = "how often a loop runs" if name == "range" else "the size of an array"
    helps = []
    if name == "range":
        helps = [
            f"a public bound: `for i in range(100):`, with `i < {w.text(site.items[-1])}` in the body",
            f"open it first, if every owner agrees: `reveal({w.text(site.items[-1])})`",
        ]
    dims = [w.whole(e, s, role, helps=helps) for e, s in zip(ends, site.items, strict=True)]
    step = 1
    if len(dims) == 3:
        if isinstance(dims[2], Size) or dims[2] == 0:
            w.fail("E0301", "a step is a number other than 0", site.items[2])
        step = dims[2]
    start, stop = (0, dims[0]) if len(dims) == 1 else (dims[0], dims[1])
    return start, stop, step


@builtin("range")
def range_(w: Walker, site: CallSite, *ends: Val) -> Val:
    """What a loop runs over; the bounds are public."""
    return Range(*_ends(w, site, ends, "range"))


@builtin("arange")
def arange(w: Walker, site: CallSite, *ends: Val) -> Val:
    """The numbers from start up to and without stop: whole, or `fixed` when one of the arguments is."""
    if any(isinstance(e, Array) and e.stype.kind == "fixed" and e.value.is_const and not e.shape for e in ends):
        numbers = [float(numeric(w, e, s).value.constant) for e, s in zip(ends, site.items, strict=True)]
        start_, stop_ = (0.0, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
        step_ = numbers[2] if len(numbers) > 2 else 1.0
        if step_ == 0 or len(numbers) > 3:
            w.fail("E0301", "`arange` takes a start, a stop and a step other than 0", site.span)
        _limited(w, site, abs((stop_ - start_) / step_))
        return w.const(np.arange(start_, stop_, step_), FIXED)
    start, stop, step = _ends(w, site, ends, "arange")
    if isinstance(start, Size) or isinstance(stop, Size):
        length = stop - start if step == 1 else Size.named(w.text(site.span))
        return Array(w.builder.const(np.int64(0), INT).broadcast_to((length,)), INTEGER)
    _limited(w, site, abs((stop - start) / step))
    return w.const(np.arange(start, stop, step), INTEGER)


@builtin("batches")
def batches(w: Walker, site: CallSite, *arrays: Val, size: Val) -> Val:
    """Consecutive rows of arrays of equal length, `size` at a time, the last batch perhaps fewer. Invisible rows of a
    table have their places too, and stay invisible."""
    rows = [only_rows(w, w.array(a, s, "an array"), s) for a, s in zip(arrays, site.items, strict=True)]
    if not rows:
        w.fail("E0205", "`batches` takes arrays and `size=`", site.span)
    for a, span in zip(rows, site.items, strict=True):
        if not a.shape:
            w.fail("E0301", "expected an array", span, describe(a))
        if a.shape[0] != rows[0].shape[0]:
            label = f"{a.shape[0]} rows, the first has {rows[0].shape[0]}"
            w.fail("E0302", "batches are cut from arrays of equal length", span, label)
    many = w.number(size, site.of("size"), "the size of a batch")
    if many < 1:
        w.fail("E0301", "a batch has a row at least", site.of("size"), f"{many}")
    return Batches(tuple(rows), many)


# ----------------------------------------------------------------------------------------- joining


def _operands(w: Walker, site: CallSite, arrays: Sequence[Val]) -> list[tuple[Array, Span]]:
    """The arrays to join: several arguments, or one tuple of them; texts beside enums and texts are such values."""
    if len(arrays) == 1 and isinstance(arrays[0], Tuple):
        pairs = [(item, site.items[0]) for item in arrays[0].items]
    else:
        pairs = list(zip(arrays, site.items, strict=True))
    if not pairs:
        w.fail("E0205", "there is nothing to join", site.span)
    return [(text_array(w, v.text) if isinstance(v, Text) else w.array(v, s), s) for v, s in pairs]


def _join(w: Walker, arrays: Sequence[Array], axis: int) -> tuple[Value, Value | None]:
    value = arrays[0].value if len(arrays) == 1 else w.builder.emit("concat", *(a.value for a in arrays), axis=axis)
    if all(a.valid is None for a in arrays):
        return value, None
    true = w.builder.const(np.bool_(True), BOOL)
    masks = [spread(true if a.valid is None else a.valid, a.shape) for a in arrays]
    found = [m for m in masks if m is not None]
    if all(axis in same_along(m) for m in found):
        short = [without_axis(m, axis) for m in found]
        if len({m.index for m in short}) == 1:
            shape = value.shape[: found[0].ndim]
            one = short[0].reshape((*shape[:axis], 1, *shape[axis + 1 :]))
            return value, one.broadcast_to(shape)
    return value, found[0] if len(found) == 1 else w.builder.emit("concat", *found, axis=axis)


@builtin("concat")
def concat(w: Walker, site: CallSite, *arrays: Val, axis: Val | None = None) -> Val:
    """Arrays joined along an axis (the first when not said)."""
    operands = _operands(w, site, arrays)
    for a, span in operands:
        if not a.shape:
            w.fail(
                "E0302", "a single value cannot be joined", span, describe(a), helps=["make an array: `stack(a, b)`"]
            )
    parts, stype = unify(w, [a for a, _ in operands], site.span, counting=True)
    at = axis_of(w, site, axis, len(parts[0].shape), 0)
    assert at is not None
    value, valid = _join(w, parts, at)
    return Array(value, stype, valid, any(a.padded for a in parts))


@builtin("stack")
def stack(w: Walker, site: CallSite, *arrays: Val, axis: Val | None = None) -> Val:
    """Arrays of one shape side by side along a new axis (the first when not said)."""
    operands = _operands(w, site, arrays)
    first = operands[0][0].shape
    for a, span in operands:
        if a.shape != first:
            w.fail(
                "E0302",
                "stacked arrays have one shape",
                span,
                f"{describe(a)}, the first is {describe(operands[0][0])}",
            )
    parts, stype = unify(w, [a for a, _ in operands], site.span, counting=True)
    at = axis_of(w, site, axis, len(first) + 1, 0)
    assert at is not None
    wide = [_widened(a, at) for a in parts]
    value, valid = _join(w, wide, at)
    return Array(value, stype, valid, any(a.padded for a in parts))


def _widened(a: Array, axis: int) -> Array:
    shape = (*a.shape[:axis], 1, *a.shape[axis:])
    tail = a.value.shape[len(a.shape) :]
    valid = None if a.valid is None else a.valid.reshape(shape)
    return replace(a, value=a.value.reshape((*shape, *tail)), valid=valid, exact=None)


# ------------------------------------------------------------------------------------------ shapes


@builtin("reshape")
def reshape(w: Walker, site: CallSite, x: Val, shape: Val) -> Val:
    """The same elements in another shape; one size may be -1."""
    a = w.array(x, site.of("x"))
    wanted = shape_of(w, shape, site.of("shape"), -1)
    if -1 in wanted:
        wanted = _inferred(w, a, wanted, site.of("shape"))
    tail = a.value.shape[len(a.shape) :]
    valid = None if a.valid is None else reshaped(a.valid, wanted)
    return replace(a, value=a.value.reshape((*wanted, *tail)), valid=valid, exact=None)


def _inferred(w: Walker, a: Array, wanted: Shape, span: Span) -> Shape:
    have, known = size_of(a.shape), size_of([d for d in wanted if d != -1])
    if wanted.count(-1) > 1:
        w.fail("E0302", "one size at most is -1", span)
    if isinstance(have, Size) or isinstance(known, Size):
        return tuple(
            Size.named(f"({have}) / ({known})") if d == -1 and known != 1 else have if d == -1 else d for d in wanted
        )
    if known == 0 or have % known:
        w.fail("E0302", f"{have} elements do not fill {list(wanted)}", span)
    return tuple(have // known if d == -1 else d for d in wanted)


@builtin("transpose")
def transpose(w: Walker, site: CallSite, x: Val, axes: Val | None = None) -> Val:
    """Axes in another order, backwards when not said."""
    a = w.array(x, site.of("x"))
    ndim = len(a.shape)
    order = tuple(reversed(range(ndim)))
    if axes is not None:
        dims = shape_of(w, axes, site.of("axes"), -ndim)
        order = tuple(d + ndim if isinstance(d, int) and d < 0 else d for d in dims if isinstance(d, int))
    valid = None if a.valid is None else a.valid.transpose(order)
    full_order = (*order, ndim) if a.stype.kind == "text" else order
    return replace(a, value=a.value.transpose(full_order), valid=valid, exact=None)


@builtin("len")
def length(w: Walker, site: CallSite, x: Val) -> Val:
    """How many rows, the invisible ones too."""
    if isinstance(x, Table):
        return Array(w.region.dim(x.rows), INTEGER)
    if isinstance(x, Tuple):
        return w.integer(len(x.items))
    a = w.array(x, site.of("x"), "an array or a table")
    if not a.shape:
        w.fail("E0301", "a single value has no length", site.of("x"), describe(a))
    return Array(w.region.dim(a.shape[0]), INTEGER)


@builtin("one_hot")
def one_hot(w: Walker, site: CallSite, x: Val, n: Val | None = None) -> Val:
    """For each whole number below n (or word of an enum) a row of n with one 1."""
    a = only_rows(w, w.array(x, site.of("x")), site.of("x"))
    if a.stype.kind not in {"int", "bool", "enum"}:
        w.fail("E0301", "expected whole numbers or an enum", site.of("x"), describe(a))
    if n is None and a.stype.kind != "enum":
        w.fail("E0205", "`one_hot` needs `n`, how many numbers there are", site.span)
    many = len(a.stype.words) if n is None else w.number(n, site.of("n"), "a size")
    hot = w.builder.emit("one_hot", to_int(a).value, n=many)
    out = typed(hot.to_int() if hot.dtype == BOOL else hot)
    if a.valid is None:
        return out
    return replace(out, valid=a.valid.reshape((*a.shape, 1)).broadcast_to(out.shape), padded=True)
