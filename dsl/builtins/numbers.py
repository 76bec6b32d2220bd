"""Number by number: abs sign floor round clip exp log sqrt … softmax; and dot, outer.

A function of a value that may be missing is missing where the value is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from dsl.builtins.arguments import axis_of, numeric
from dsl.builtins.table import CallSite, builtin
from dsl.convert import both_valid, exact_decimal, to_fixed, to_int, unify
from dsl.masks import only_rows, same_along
from dsl.operators import binary
from dsl.stypes import FIXED, INTEGER, decimal
from dsl.values import Array, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import INT, size_of

__all__: list[str] = []

SMOOTH = ("exp", "log", "sqrt", "rsqrt", "sigmoid", "tanh", "gelu", "reciprocal")
"""Functions of one `fixed` number that give a `fixed` number."""


def _enter(name: str) -> None:
    def run(w: Walker, site: CallSite, x: Val) -> Val:
        a = to_fixed(w, to_int(numeric(w, x, site.of("x"), full=False)))
        return a.with_value(w.builder.emit(name, a.value))

    run.__doc__ = f"`{name}` of every number."
    builtin(name)(run)


for _name in SMOOTH:
    _enter(_name)


def _keeping(w: Walker, site: CallSite, x: Val, name: str) -> Array:
    a = to_int(numeric(w, x, site.of("x"), full=False))
    return a.with_value(w.builder.emit(name, a.value))


@builtin("abs")
def abs_(w: Walker, site: CallSite, x: Val) -> Val:
    """The absolute value, of the same type."""
    return _keeping(w, site, x, "abs")


@builtin("relu")
def relu(w: Walker, site: CallSite, x: Val) -> Val:
    """`max(x, 0)`, of the same type."""
    return _keeping(w, site, x, "relu")


@builtin("square")
def square(w: Walker, site: CallSite, x: Val) -> Val:
    """`x * x`; a decimal gets twice the places."""
    a = to_int(numeric(w, x, site.of("x"), full=False))
    if a.stype.kind == "decimal":
        return binary(w, "*", a, a, site.span)
    return a.with_value(w.builder.emit("square", a.value))


@builtin("sign")
def sign(w: Walker, site: CallSite, x: Val) -> Val:
    """-1, 0 or 1, a whole number."""
    a = to_int(numeric(w, x, site.of("x"), full=False))
    value = w.builder.emit("sign", a.value)
    kind = FIXED if value.dtype.kind == "fixed" else INTEGER
    return replace(a, value=value, stype=kind.optional(a.stype.nullable), exact=None)


@builtin("floor")
def floor(w: Walker, site: CallSite, x: Val) -> Val:
    """The largest whole number that is not larger."""
    a = to_int(numeric(w, x, site.of("x"), full=False))
    if a.stype.kind == "int":
        return a
    if a.stype.kind == "fixed":
        return a.with_value(w.builder.emit("floor", a.value))
    unit = w.builder.const(np.int64(10**a.stype.places), INT)
    return replace(a, value=w.builder.emit("floordiv", a.value, unit), stype=INTEGER.optional(a.stype.nullable))


MOST_PLACES: Final = {"fixed": 12, "decimal": 18, "int": 18}
"""Places either way: 10^-12 is far below the grid, 10^12 near the largest `fixed`, 10^18 near the largest `int`."""


@builtin("round")
def round_(w: Walker, site: CallSite, x: Val, places: Val | None = None) -> Val:
    """The nearest whole number, or multiple of 10^-places (below 0: tens, hundreds, …); of two the even one.

    Of the same type, a decimal with so many places at most. Of a `fixed` with places the number of the grid that is
    next to the multiple.
    """
    a = to_int(numeric(w, x, site.of("x"), full=False))
    to = 0 if places is None else w.number(places, site.of("places"), "the number of places")
    most = MOST_PLACES[a.stype.kind]
    if not -most <= to <= most:
        w.fail("E0301", f"`round` goes to {most} places", site.of("places"), f"{to}")
    if a.stype.kind == "fixed":
        b = w.builder
        return a.with_value(b.emit("round_to", a.value, places=to) if to else b.emit("round", a.value))
    less = a.stype.places - to
    if less <= 0:
        return a
    if less > MOST_PLACES["int"]:
        return replace(a, value=a.value * 0, stype=INTEGER.optional(a.stype.nullable), exact=None)
    value = _nearest(w, a.value, 10**less)
    if to < 0:
        value = value * 10**-to
    stype = decimal(to) if a.stype.kind == "decimal" and to > 0 else INTEGER
    return replace(a, value=value, stype=stype.optional(a.stype.nullable), exact=None)


def _nearest(w: Walker, value: Value, unit: int) -> Value:
    """Whole numbers divided by an even unit, to the nearest whole number, of two the even one.

    With value + unit/2 = 2 unit h + r and 0 <= r < 2 unit it is 2 h, and 1 more where r > unit.
    """
    up, pair = value + unit // 2, w.builder.const(np.int64(2 * unit), INT)
    return w.builder.emit("floordiv", up, pair) * 2 + (w.builder.emit("mod", up, pair) > unit).to_int()


@builtin("int")
def int_(w: Walker, site: CallSite, x: Val) -> Val:
    """A whole number, as Python's: without what is behind the point, so that it can be an index. Exact."""
    a = to_int(numeric(w, x, site.of("x"), full=False))
    if a.stype.kind == "int":
        return a
    b, value, unit = w.builder, a.value, 10**a.stype.places
    if a.stype.kind == "fixed":
        value, unit = b.emit("units", value, frac=value.dtype.frac), 1 << value.dtype.frac
    size = b.emit("floordiv", b.emit("abs", value), b.const(np.int64(unit), INT))
    whole = b.emit("select", value < 0, -size, size)
    return replace(a, value=whole, stype=INTEGER.optional(a.stype.nullable), exact=None)


# -------------------------------------------------------------------------------------------- limits


def _clip(w: Walker, site: CallSite, x: Val, lo: Val, hi: Val) -> Val:
    a = to_int(numeric(w, x, site.of("x"), full=False))
    ends = [to_int(numeric(w, v, site.of(n))) for v, n in ((lo, "lo"), (hi, "hi"))]
    if a.stype.kind == "decimal":
        ends = [exact_decimal(w, e) for e in ends]
    (b, low, high), stype = unify(w, [a, *ends], site.span)
    constants = [low.value, high.value]
    if all(v.is_const and not v.shape for v in constants):
        limits = [v.constant.item() for v in constants]
        if limits[0] > limits[1]:
            w.fail("E0301", "the lower limit is above the upper one", site.span)
        value = w.builder.emit("clip", b.value, lo=limits[0], hi=limits[1])
    else:
        value = w.builder.emit("minimum", w.builder.emit("maximum", b.value, low.value), high.value)
    valid, padded = both_valid([b], value.shape)
    return Array(value, stype, valid, padded)


@builtin("clip")
def clip(w: Walker, site: CallSite, x: Val, lo: Val, hi: Val) -> Val:
    """x where it lies within lo and hi, else the nearer of the two."""
    return _clip(w, site, x, lo, hi)


@builtin("clamp")
def clamp(w: Walker, site: CallSite, x: Val, lo: Val, hi: Val) -> Val:
    """As `clip`."""
    return _clip(w, site, x, lo, hi)


# ------------------------------------------------------------------------------------------- softmax


def _softmax(w: Walker, site: CallSite, x: Val, axis: Val | None, name: str) -> Val:
    a = to_fixed(w, to_int(only_rows(w, numeric(w, x, site.of("x"), full=False), site.of("x"))))
    if not a.shape:
        return w.error("E0302", f"`{name}` needs an array", site.of("x"), describe(a))
    at = axis_of(w, site, axis, len(a.shape), len(a.shape) - 1)
    if a.valid is not None and at not in same_along(a.valid):
        w.full(a, site.of("x"))
    return a.with_value(w.builder.emit(name, a.value, axis=at))


@builtin("softmax")
def softmax(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """`exp(x) / sum(exp(x))` along an axis, the last when not said."""
    return _softmax(w, site, x, axis, "softmax")


@builtin("log_softmax")
def log_softmax(w: Walker, site: CallSite, x: Val, axis: Val | None = None) -> Val:
    """The logarithm of `softmax`."""
    return _softmax(w, site, x, axis, "log_softmax")


# ------------------------------------------------------------------------------------------ products


@builtin("dot")
def dot(w: Walker, site: CallSite, x: Val, y: Val) -> Val:
    """The product of two vectors or matrices; of single values, their product."""
    a, b = w.array(x, site.of("x")), w.array(y, site.of("y"))
    return binary(w, "@" if a.shape and b.shape else "*", a, b, site.span)


@builtin("outer")
def outer(w: Walker, site: CallSite, x: Val, y: Val) -> Val:
    """All products of an element of x and one of y, a row for each of x."""
    a, b = numeric(w, x, site.of("x")), numeric(w, y, site.of("y"))
    column = a.with_value(a.value.reshape((size_of(a.shape), 1)))
    row = b.with_value(b.value.reshape((1, size_of(b.shape))))
    return binary(w, "@", column, row, site.span)
