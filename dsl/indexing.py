"""Indices and slices, read and assigned.

For: `subscript` (`x[i]`, `X[:, 0]`, `x[2:5]`) and `stored` (the array after `x[i] = v`).
Leaves to others: what an assignment may change (`assign`).

An index that is known becomes a slice. A public one that a loop or a run gives becomes `dynamic_slice`; so does a slice
whose two ends move together (`X[i * 10:i * 10 + 10]`). A secret one is a pass over the axis (`take`, or a choice at
every place); outside the axis, which `parley check` says is taken not to be, it gives 0 and stores nothing. Negative
indices count from the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from dsl import syntax
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array, Tuple, Val, describe
from dsl.walker import NeedsConstant, Walker
from mpc.circuit import Value
from mpc.types import EVERYONE, INT, Dim, Shape, Size, Type

__all__ = ["Plan", "Window", "plan_of", "read", "stored", "subscript"]

Part = tuple[Dim, Dim, int]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows from a place that is public but not known while compiling."""

    axis: int
    start: Value
    length: int


@dataclass(frozen=True, slots=True)
class Pick:
    """Elements by an index of any visibility, or by an array of indices."""

    axis: int
    index: Value


@dataclass(slots=True)
class Plan:
    """What the indices ask for: a slice of every axis, then windows and picks, then the axes that go away."""

    shape: Shape
    parts: list[Part] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    picks: list[Pick] = field(default_factory=list)
    drop: list[int] = field(default_factory=list)


def subscript(w: Walker, e: syntax.Subscript) -> Val:
    """The value of `x[…]`."""
    val = w.evaluate_known(e.value)
    if isinstance(val, Tuple):
        return _tuple_item(w, val, e)
    if not isinstance(val, Array):
        return w.error("E0301", f"{describe(val)} has no elements by number", e.value.span)
    plan = plan_of(w, val.shape, e.indices, e.span)
    return read(w, val, plan)


def _tuple_item(w: Walker, val: Tuple, e: syntax.Subscript) -> Val:
    if len(e.indices) != 1:
        return w.error("E0301", "a tuple takes one index", e.span)
    if isinstance(e.indices[0], syntax.Slice):
        ends = (e.indices[0].start, e.indices[0].stop, e.indices[0].step)
        known = [None if x is None else w.number(w.evaluate_known(x), x.span, "a place in a tuple") for x in ends]
        if known[2] == 0:
            return w.error("E0301", "a step is a number other than 0", e.indices[0].span)
        return Tuple(val.items[slice(*known)])
    at = w.number(w.evaluate(e.indices[0]), e.indices[0].span, "a place in a tuple")
    if not -len(val.items) <= at < len(val.items):
        return w.error("E0306", f"there are {len(val.items)} values here", e.indices[0].span, f"{at}")
    return val.items[at]


# ------------------------------------------------------------------------------------- what is asked


def plan_of(w: Walker, shape: Shape, indices: Sequence[syntax.Expression | syntax.Slice], span: Span) -> Plan:
    """The plan of `indices` on an array of `shape`."""
    if len(indices) > len(shape):
        many = f"{len(shape)} axes" if len(shape) != 1 else "one axis"
        label = f"{len(indices)} indices for {many}" if shape else "this is a single value"
        w.fail("E0302", "more indices than axes", span, label)
    plan = Plan(shape)
    for axis, index in enumerate(indices):
        if isinstance(index, syntax.Slice):
            _slice(w, plan, axis, index)
        else:
            _index(w, plan, axis, w.evaluate_known(index), index.span)
    plan.parts += [(0, d, 1) for d in shape[len(indices) :]]
    if sum(p.index.ndim > 0 for p in plan.picks) > 1:
        w.fail("E0301", "one array of indices at a time", span)
    return plan


def _index(w: Walker, plan: Plan, axis: int, val: Val, span: Span) -> None:
    if isinstance(val, Tuple):
        helps = ["an index for each axis: `x[0, 1]`", "several places along one axis: `x[[0, 1]]`"]
        w.fail("E0301", "an index is a whole number", span, describe(val), helps=helps)
    array = w.full(w.array(val, span, "an index"), span)
    dim = plan.shape[axis]
    if array.stype.kind == "bool" and array.shape:
        array = _positions(w, array, dim, span)
    if array.stype.kind != "int":
        w.fail("E0301", "an index is a whole number", span, describe(array))
    value = array.value
    if array.shape:
        plan.parts.append((0, dim, 1))
        plan.picks.append(Pick(axis, _from_end(w, value, dim, span)))
    elif value.is_const or value.node.op == "size":
        plan.parts.append(_at(w, value, dim, span))
        plan.drop.append(axis)
    elif value.type.public:
        plan.parts.append((0, dim, 1))
        plan.windows.append(Window(axis, _from_end(w, value, dim, span), 1))
        plan.drop.append(axis)
    else:
        plan.parts.append((0, dim, 1))
        plan.picks.append(Pick(axis, _from_end(w, value, dim, span)))


def _at(w: Walker, value: Value, dim: Dim, span: Span) -> Part:
    at: Dim = value.node["dim"] if value.node.op == "size" else int(value.constant)
    if isinstance(at, int) and isinstance(dim, int) and not -dim <= at < dim:
        w.fail("E0306", f"the index {at} is outside", span, f"the axis has {dim} elements")
    if isinstance(at, int) and at < 0:
        at = dim + at
    return (at, at + 1, 1)


def _from_end(w: Walker, value: Value, dim: Dim, span: Span) -> Value:
    """An index or indices with those below zero counted from the end."""
    if value.is_const and isinstance(dim, int):
        array = value.constant
        if array.size and (array.min() < -dim or array.max() >= dim):
            w.fail("E0306", "an index is outside", span, f"the axis has {dim} elements")
        return w.builder.const(np.where(array < 0, array + dim, array), INT)
    limits = w.region.bounds(value) if not value.shape else None
    if limits is not None and isinstance(dim, int):
        lo, hi = limits
        if lo < -dim or hi >= dim:
            loops = w.region.loops(value)
            if loops and not loops[-1].opaque:
                raise NeedsConstant(loops[-1])
        if lo >= 0:
            return value
    return w.builder.emit("place", value, n=dim, checked=not w.tentative)


def _positions(w: Walker, mask: Array, dim: Dim, span: Span) -> Array:
    """A public mask as the positions where it is true."""
    helps = [
        "keep all and count the others as 0: `x * mask`",
        "open the mask, if every owner agrees: `x[reveal(mask)]`",
    ]
    known = w.concrete(mask.value, span, "how many elements there are", helps=helps)
    if known.node.op == "size":
        index = w.builder.append("size", (), dict(known.node.attrs), Type(INT, (Size.named(w.text(span)),), EVERYONE))
        return Array(index, INTEGER)
    if known.ndim != 1 or known.shape[0] != dim:
        w.fail("E0302", "a mask is as long as the axis that it selects from", span, describe(mask))
    return Array(w.builder.const(np.flatnonzero(known.constant), INT), INTEGER)


# ------------------------------------------------------------------------------------------ slices


def _slice(w: Walker, plan: Plan, axis: int, e: syntax.Slice) -> None:
    dim = plan.shape[axis]
    step = 1 if e.step is None else w.number(w.evaluate(e.step), e.step.span, "the step of a slice")
    if step == 0:
        w.fail("E0301", "the step of a slice is not 0", e.span)
    start = None if e.start is None else _end(w, e.start)
    stop = None if e.stop is None else _end(w, e.stop)
    if step == 1 and start is not None and stop is not None:
        length = _moving(w, start, stop, dim)
        if length is not None:
            plan.parts.append((0, dim, 1))
            plan.windows.append(Window(axis, start, length))
            return
    a = None if e.start is None or start is None else _known(w, start, e.start.span)
    b = None if e.stop is None or stop is None else _known(w, stop, e.stop.span)
    plan.parts.append(_part(w, a, b, step, dim, e.span))


def _end(w: Walker, e: syntax.Expression) -> Value:
    array = w.full(w.array(w.evaluate_known(e), e.span, "the end of a slice"), e.span)
    if array.shape or array.stype.kind not in {"int", "bool"}:
        w.fail("E0301", "the end of a slice is a whole number", e.span, describe(array))
    return array.value.to_int()


def _known(w: Walker, value: Value, span: Span) -> Dim:
    helps = [f"open it first, if every owner agrees: `reveal({w.text(span)})`"]
    known = w.concrete(value, span, "the size of a slice", helps=helps)
    size: Dim = known.node["dim"] if known.node.op == "size" else int(known.constant)
    return size


def _moving(w: Walker, start: Value, stop: Value, dim: Dim) -> int | None:
    """The length of a slice whose ends move with a loop, if it is always the same and within the axis."""
    if start.is_const or not (start.type.public and stop.type.public) or not w.region.loops(start):
        return None
    factors, constant = w.region.affine(stop - start)
    limits = w.region.bounds(start)
    if factors or constant <= 0 or limits is None or limits[0] < 0:
        return None
    if isinstance(dim, int) and limits[1] + constant > dim:
        return None
    return constant


def _part(w: Walker, start: Dim | None, stop: Dim | None, step: int, dim: Dim, span: Span) -> Part:
    if isinstance(dim, int) and not isinstance(start, Size) and not isinstance(stop, Size):
        return slice(start, stop, step).indices(dim)
    if step != 1:
        return (0, Size.named(w.text(span)), 1)
    a: Dim = 0 if start is None else start
    b: Dim = dim if stop is None else stop
    if isinstance(a, int) and a < 0:
        a = dim + a
    if isinstance(b, int) and b < 0:
        b = dim + b
    return (a, b, 1)


# ----------------------------------------------------------------------------------------- reading


def read(w: Walker, array: Array, plan: Plan) -> Array:
    """What `plan` selects of `array`."""
    value = _read(w, array.value, plan)
    valid = None if array.valid is None else _read(w, array.valid, plan)
    return replace(array, value=value, valid=valid, exact=None)


def _read(w: Walker, value: Value, plan: Plan) -> Value:
    extra = value.ndim - len(plan.shape)
    tail = value.shape[value.ndim - extra :]
    out = _cut(w, value, plan.parts + [(0, d, 1) for d in tail])
    for window in plan.windows:
        out = w.builder.emit("dynamic_slice", out, window.start, axis=window.axis, length=window.length)
    if plan.drop:
        out = out.reshape(tuple(d for axis, d in enumerate(out.shape) if axis not in plan.drop))
    for pick in reversed(plan.picks):
        axis = pick.axis - sum(d < pick.axis for d in plan.drop)
        out = w.builder.emit("take", out, pick.index, axis=axis)
    return out


def _cut(w: Walker, value: Value, parts: list[Part]) -> Value:
    whole = all(p == (0, d, 1) for p, d in zip(parts, value.shape, strict=True))
    return value if whole else w.builder.emit("slice", value, parts=tuple(parts))


# ----------------------------------------------------------------------------------------- storing


def stored(w: Walker, array: Array, plan: Plan, new: Array, span: Span) -> Array:
    """`array` with what `plan` selects replaced by `new`, which has its type; elements may be missing where its may."""
    for a in (array, new):
        if a.padded or array.valid is None:
            w.full(a, span)
    if any(p.index.ndim for p in plan.picks):
        w.fail("E0301", "one place or one slice is assigned at a time", span)
    shape = _selected(plan)
    if len(new.shape) > len(shape):
        w.fail("E0302", "more axes are assigned than selected", span, f"{describe(new)} into {list(shape)}")
    valid = array.valid
    if valid is not None:
        valid = _put(w, valid, plan, w.builder.const(np.bool_(True)) if new.valid is None else new.valid)
    return replace(array.with_value(_put(w, array.value, plan, new.value)), valid=valid)


def _put(w: Walker, target: Value, plan: Plan, value: Value) -> Value:
    """`target` with what `plan` selects replaced; the words of a text are an axis more than the plan has."""
    tail = target.shape[len(plan.shape) :]
    whole: list[Part] = [(0, d, 1) for d in tail]
    out = _store(w, target, plan.parts + whole, plan.windows, _fitted(value, plan, tail))
    return _where(w, target, out, plan.picks) if plan.picks else out


def _selected(plan: Plan) -> Shape:
    """The shape that reading the plan would give."""
    lengths = _lengths(plan)
    gone = {*plan.drop, *(p.axis for p in plan.picks)}
    return tuple(d for axis, d in enumerate(lengths) if axis not in gone)


def _lengths(plan: Plan) -> list[Dim]:
    lengths: list[Dim] = []
    for start, stop, step in plan.parts:
        if isinstance(start, Size) or isinstance(stop, Size):
            lengths.append(stop - start)
        else:
            lengths.append(len(range(start, stop, step)))
    for window in plan.windows:
        lengths[window.axis] = window.length
    return lengths


def _fitted(value: Value, plan: Plan, tail: Shape) -> Value:
    """`value` spread over what is selected, the axes that reading drops put back with one element."""
    spread = value.broadcast_to((*_selected(plan), *tail))
    lengths = _lengths(plan)
    one = {*plan.drop, *(p.axis for p in plan.picks)}
    return spread.reshape((*(1 if axis in one else d for axis, d in enumerate(lengths)), *tail))


def _store(w: Walker, target: Value, parts: list[Part], windows: list[Window], value: Value) -> Value:
    if not windows:
        return w.builder.emit("update", target, value, parts=tuple(parts))
    window, rest = windows[0], windows[1:]
    seen = w.builder.emit("dynamic_slice", target, window.start, axis=window.axis, length=window.length)
    inner = list(parts)
    inner[window.axis] = (0, window.length, 1)
    whole = not rest and all(p == (0, d, 1) for p, d in zip(inner, seen.shape, strict=True))
    new = value.broadcast_to(seen.shape) if whole else _store(w, seen, inner, rest, value)
    return w.builder.emit("dynamic_update", target, new, window.start, axis=window.axis)


def _where(w: Walker, before: Value, after: Value, picks: Sequence[Pick]) -> Value:
    """`after` at the secret place, `before` elsewhere."""
    here = _here(w, before, picks[0])
    for pick in picks[1:]:
        here = here & _here(w, before, pick)
    return w.builder.emit("select", here, after, before)


def _here(w: Walker, array: Value, pick: Pick) -> Value:
    """Whether an element is at the place along its axis: truth values that spread over the array."""
    dim = array.shape[pick.axis]
    if isinstance(dim, Size):
        return pick.index.equals(0)  # any place has the same type
    places = w.builder.const(np.arange(dim).reshape((dim,) + (1,) * (array.ndim - 1 - pick.axis)), INT)
    return places.equals(pick.index)
