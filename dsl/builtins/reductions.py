"""Over an axis or all elements: sum mean min max argmin argmax cumsum sort sort_by top_k accuracy.

Missing values are left out of `sum`, `mean`, `min` and `max`, as in SQL; the others need all of them. Invisible rows of
a table do not count in these and in `cumsum`; for an order, or a place in it, rows are put together first. `min` and
`max` of one argument reduce it, of several take the least or largest element by element; of truth values they are one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dsl.builtins.arguments import axis_of, numeric
from dsl.builtins.table import CallSite, builtin
from dsl.convert import both_valid, to_fixed, to_int, unify
from dsl.masks import emptied, left_rows, only_rows
from dsl.operators import compare
from dsl.source import Span
from dsl.stypes import BOOLEAN, FIXED, INTEGER
from dsl.values import Array, Val, describe
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import Dim, Size, size_of

__all__ = ["mean_of", "sum_of"]


def _flat(a: Array) -> Array:
    """The elements in a row."""
    if len(a.shape) <= 1:
        return a
    size = size_of(a.shape)
    valid = None if a.valid is None else a.valid.reshape((size,))
    return replace(a, value=a.value.reshape((size,)), valid=valid, exact=None)


def _elements(a: Array, axis: int | None) -> Dim:
    return size_of(a.shape) if axis is None else a.shape[axis]


def _filled(a: Array) -> Array:
    """All elements, whatever stands where there are none."""
    return replace(a, valid=None, padded=False, exact=None)


def _in_those(a: Array, rows: Value) -> Array:
    return replace(a, valid=rows, padded=True)


def sum_of(w: Walker, a: Array, axis: int | None) -> Array:
    """The sum over an axis (None: over all); missing values are left out."""
    a = to_int(a)
    left = left_rows(w, a, axis, w.span)
    if left is not None:
        return _in_those(sum_of(w, _filled(a), axis), left)
    value = a.value
    if a.valid is not None:
        zero = w.builder.const(np.zeros(()), value.dtype)
        value = w.builder.emit("select", a.valid, value, zero)
    if a.shape:
        value = w.builder.emit("sum", value, axis=axis, keepdims=False)
    return Array(value, a.stype.optional(False))


def mean_of(w: Walker, a: Array, axis: int | None) -> Array:
    """The mean over an axis (None: over all), of the values that are there."""
    if not a.shape:
        return to_fixed(w, to_int(a))
    left = left_rows(w, a, axis, w.span)
    if left is not None:
        return _in_those(mean_of(w, _filled(a), axis), left)
    if a.valid is not None:
        total = to_fixed(w, sum_of(w, a, axis))
        count = w.builder.emit("sum", a.valid.to_int(), axis=axis, keepdims=False)
        return Array(w.builder.emit("div", total.value, w.builder.emit("to_fixed", count, frac=w.frac)), FIXED)
    many = _elements(a, axis)
    if many == 0:
        w.fail("E0502", "the mean of nothing", w.span, describe(a))
    if a.stype.kind == "fixed":
        return Array(w.builder.emit("mean", a.value, axis=axis, keepdims=False), FIXED)
    total = sum_of(w, a, axis)
    whole = w.builder.emit("to_fixed", total.value, frac=w.frac)
    divisor = w.builder.emit("to_fixed", w.region.dim(many * 10**a.stype.places), frac=w.frac)
    return Array(w.builder.emit("div", whole, divisor), FIXED)


@builtin("sum")
def sum_(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """The sum; of truth values how many are true."""
    a = numeric(w, x, site.of("x"), full=False)
    return sum_of(w, a, axis_of(w, site, axis, len(a.shape)))


@builtin("mean")
def mean(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """The mean; of truth values the share of true ones."""
    a = numeric(w, x, site.of("x"), full=False)
    return mean_of(w, a, axis_of(w, site, axis, len(a.shape)))


@builtin("cumsum")
def cumsum(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """Running sums along an axis; of all elements in a row when not said."""
    a = to_int(only_rows(w, numeric(w, x, site.of("x"), full=False), site.of("x")))
    at = axis_of(w, site, axis, len(a.shape))
    if at is None:
        a, at = _flat(a), 0
    return a.with_value(w.builder.emit("cumsum", emptied(w, a).value, axis=at))


# ------------------------------------------------------------------------------------------ extremes


def _ordered(w: Walker, val: Val, span: Span, *, full: bool = True) -> Array:
    a = w.array(val, span)
    a = w.full(a, span) if full else a
    if not a.stype.ordered:
        w.fail("E0301", f"{a.stype} has no order", span, describe(a))
    return a


def _extreme(w: Walker, site: CallSite, name: str, values: tuple[Val, ...], axis: Val | None) -> Val:
    if not values:
        return w.error("E0205", f"`{name}` needs a value", site.span)
    arrays = [_ordered(w, v, s, full=False) for v, s in zip(values, site.items, strict=True)]
    if len(arrays) > 1:
        if axis is not None:
            return w.error("E0205", f"`{name}` of several values has no axis", site.of("axis"))
        return _pairwise(w, site, name, [only_rows(w, a, s) for a, s in zip(arrays, site.items, strict=True)])
    (a,) = arrays
    at = axis_of(w, site, axis, len(a.shape))
    if not a.shape:
        return only_rows(w, a, site.items[0])
    left = left_rows(w, a, at, site.span)
    a = a if left is None else _filled(only_rows(w, a, site.items[0]))
    if at is None:
        a, at = _flat(a), 0
    if a.shape[at] == 0:
        return w.error("E0302", f"the {name} of nothing", site.span, describe(a))
    out = _extreme_truth(w, name, a, at) if a.stype.kind == "bool" else _extreme_number(w, name, a, at)
    return out if left is None else _in_those(out, left)


def _extreme_truth(w: Walker, name: str, a: Array, axis: int) -> Array:
    """The largest truth value says whether any is true, the least whether all are; false without any."""
    b, zero = w.builder, w.integer(0).value
    told = emptied(w, a if name == "max" else a.with_value(~a.value))
    none = b.emit("eq", b.emit("sum", told.value.to_int(), axis=axis, keepdims=False), zero)
    if name == "max":
        return Array(~none, BOOLEAN)
    if a.valid is None:
        return Array(none, BOOLEAN)
    nobody = b.emit("eq", b.emit("sum", a.valid.to_int(), axis=axis, keepdims=False), zero)
    return Array(none & ~nobody, BOOLEAN)


def _extreme_number(w: Walker, name: str, a: Array, axis: int) -> Array:
    """Of the values that are there; 0 without any. The others take the opposite extreme of all, so that the values keep
    the range that is declared for them."""
    b = w.builder
    if a.valid is None:
        return _filled(a).with_value(b.emit(name, a.value, axis=axis, keepdims=False))
    x = emptied(w, a)
    other = b.emit("min" if name == "max" else "max", x.value, axis=axis, keepdims=True)
    value = b.emit(name, b.emit("select", a.valid, x.value, other), axis=axis, keepdims=False)
    return replace(x, value=value, stype=a.stype.optional(False))


def _pairwise(w: Walker, site: CallSite, name: str, arrays: list[Array]) -> Val:
    ops = {a.value.node.op for a in arrays}
    if "size" in ops and ops <= {"size", "const"} and not any(a.shape for a in arrays):
        return Array(w.region.dim(Size.named(w.text(site.span))), INTEGER)
    parts, stype = unify(w, arrays, site.span, counting=True)
    value = parts[0].value
    truth = stype.kind == "bool"
    for other in parts[1:]:
        if truth:
            value = value | other.value if name == "max" else value & other.value
        else:
            value = w.builder.emit("maximum" if name == "max" else "minimum", value, other.value)
    valid, padded = both_valid(parts, value.shape)
    return Array(value, stype, valid, padded)


@builtin("max")
def max_(w: Walker, site: CallSite, *values: Val, axis: Val | None = None) -> Val:
    """The largest over an axis or all; of several values, element by element."""
    return _extreme(w, site, "max", values, axis)


@builtin("min")
def min_(w: Walker, site: CallSite, *values: Val, axis: Val | None = None) -> Val:
    """The least over an axis or all; of several values, element by element."""
    return _extreme(w, site, "min", values, axis)


def _place(w: Walker, site: CallSite, name: str, x: Val, axis: Val | None) -> Val:
    a = to_int(_ordered(w, x, site.of("x")))
    if not a.shape:
        return w.error("E0302", f"`{name}` needs an array", site.of("x"), describe(a))
    at = axis_of(w, site, axis, len(a.shape))
    if at is None:
        a, at = _flat(a), 0
    if a.shape[at] == 0:
        return w.error("E0302", f"the place of the {name[3:]} of nothing", site.span, describe(a))
    return Array(w.builder.emit(name, a.value, axis=at), INTEGER)


@builtin("argmax")
def argmax(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """The place of the largest, the first of several."""
    return _place(w, site, "argmax", x, axis)


@builtin("argmin")
def argmin(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """The place of the least, the first of several."""
    return _place(w, site, "argmin", x, axis)


# ------------------------------------------------------------------------------------------- sorting


@builtin("sort")
def sort(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """In ascending order along an axis, the last when not said."""
    a = _ordered(w, x, site.of("x"))
    if not a.shape:
        return w.error("E0302", "a single value has no order", site.of("x"), describe(a))
    at = axis_of(w, site, axis, len(a.shape), len(a.shape) - 1)
    return _as_was(w, a, w.builder.emit("sort", to_int(a).value, axis=at))


def _as_was(w: Walker, a: Array, value: Value) -> Array:
    """What was computed of `a` as whole numbers, truth values again where it had those."""
    return a.with_value(~w.builder.emit("eq", value, w.integer(0).value) if a.stype.kind == "bool" else value)


@builtin("sort_by")
def sort_by(w: Walker, site: CallSite, x: Val, key: Val) -> Val:
    """The rows of x in ascending order of a key each; equal keys keep their order."""
    a = w.full(w.array(x, site.of("x")), site.of("x"))
    k = to_int(_ordered(w, key, site.of("key")))
    if len(k.shape) != 1 or not a.shape or a.shape[0] != k.shape[0]:
        return w.error("E0302", "a key for each row", site.of("key"), f"{describe(k)} for {describe(a)}")
    return a.with_value(sorted_rows(w, k.value, a.value)[0])


def sorted_rows(w: Walker, key: Value, *values: Value) -> tuple[Value, ...]:
    """The rows of all values in ascending, stable order of the key."""
    return tuple(w.builder.emit("sort_by", v, key) for v in values)


@builtin("top_k")
def top_k(w: Walker, site: CallSite, x: Val, k: Val) -> Val:
    """The k largest along the last axis, the largest first."""
    a = _ordered(w, x, site.of("x"))
    many = w.number(k, site.of("k"), "how many there are")
    if not a.shape or (isinstance(a.shape[-1], int) and not 0 <= many <= a.shape[-1]):
        return w.error("E0306", f"there are no {many} elements", site.of("k"), describe(a))
    return _as_was(w, a, w.builder.emit("top_k", to_int(a).value, k=many))


@builtin("accuracy")
def accuracy(w: Walker, site: CallSite, a: Val, b: Val) -> Val:
    """The share of equal entries."""
    same = compare(w, "==", a, b, site.span)
    if not isinstance(same, Array):
        raise Reported
    return mean_of(w, same, None)
