"""What arguments of built-in functions have in common: numbers, axes, shapes.

For: `numeric`, `axis_of`, `shape_of`, `typed`.
Leaves to others: the functions.
"""

from __future__ import annotations

from dsl.builtins.table import CallSite
from dsl.source import Span
from dsl.stypes import BOOLEAN, FIXED, INTEGER, SType
from dsl.values import Array, Tuple, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import Dim, Shape

__all__ = ["axis_of", "flag", "numeric", "shape_of", "typed"]


def numeric(w: Walker, val: Val, span: Span, *, full: bool = True) -> Array:
    """A number or an array of numbers (truth values count). full: all elements must be there."""
    a = w.array(val, span)
    if not a.stype.numeric:
        w.fail("E0301", "expected numbers", span, describe(a))
    return w.full(a, span) if full else a


def axis_of(w: Walker, site: CallSite, val: Val | None, ndim: int, default: int | None = None) -> int | None:
    """The argument `axis` from 0 up, or `default` when it was left out."""
    if val is None:
        return default
    axis = w.number(val, site.of("axis"), "an axis")
    if not -ndim <= axis < ndim:
        many = f"{ndim} axes" if ndim != 1 else "one axis"
        w.fail(
            "E0306", f"there is no axis {axis}", site.of("axis"), f"the array has {many}" if ndim else "a single value"
        )
    return axis + ndim if axis < 0 else axis


def shape_of(w: Walker, val: Val, span: Span, least: int = 0) -> Shape:
    """A size or a tuple of sizes, each at least `least`."""
    items = val.items if isinstance(val, Tuple) else (val,)
    dims: list[Dim] = []
    for item in items:
        if isinstance(item, Array) and item.value.is_const and item.value.ndim == 1:
            dims += [int(d) for d in item.value.constant]
        else:
            dims.append(w.whole(item, span, "a size"))
    for dim in dims:
        if isinstance(dim, int) and dim < least:
            w.fail("E0301", "a size is not below 0", span, f"{dim}")
    return tuple(dims)


def flag(w: Walker, val: Val | None, span: Span, default: bool = False) -> bool:
    """A public truth value."""
    if val is None:
        return default
    a = w.array(val, span, "true or false")
    if a.stype.kind != "bool" or a.shape:
        w.fail("E0301", "expected true or false", span, describe(a))
    return bool(w.concrete(a.value, span, "a setting").constant)


def typed(value: Value, like: SType | None = None) -> Array:
    """A value with the surface type of its element type; `like` where it has the same element type as that."""
    kind = value.dtype.kind
    stype = FIXED if kind == "fixed" else BOOLEAN if kind == "bool" else INTEGER
    if like is not None and kind == "int" and like.kind not in {"fixed", "bool"}:
        stype = like
    return Array(value, stype.optional(False))
