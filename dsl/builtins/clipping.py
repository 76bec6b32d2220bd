"""Bounding how much one owner's update weighs: clip_norm."""

from __future__ import annotations

import math
from dataclasses import replace

from dsl.builtins.arguments import numeric
from dsl.builtins.table import CallSite, builtin
from dsl.convert import to_fixed, to_int
from dsl.privacy.lineage import Clipped
from dsl.privacy.rowwise import owners_of, size
from dsl.source import Span
from dsl.values import Array, Record, Tuple, Val, leaves, rebuild
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import Dim, size_of

__all__: list[str] = []


@builtin("clip_norm")
def clip_norm(w: Walker, site: CallSite, g: Val, c: Val) -> Val:
    """`g * min(1, c / norm)`, where norm is the L2 norm of all numbers of g: an array, or a tuple of arrays, which are
    shortened together [Abadi et al., "Deep learning with differential privacy", CCS 2016, algorithm 1].

    c: public, above 0; norm below 2^13 c. What is not longer than c stays as it is, exactly, where norm^2 is further
    than d 2^-15 c^2 from c^2, d being how many numbers there are. What is longer gets the norm c, within 2^-13 of
    itself, and each number another 2^-15.
    """
    val = _fixed(w, g, site.of("g"))
    limit = _limit(w, c, site.of("c"))
    b = w.builder
    parts = [v.reshape((size_of(v.shape),)) for v in leaves(val)]
    flat = parts[0] if len(parts) == 1 else b.emit("concat", *parts, axis=0)
    one = b.const(1.0, w.fixed)
    total = _squared(w, flat, limit)
    longer = one < total
    # The first factor may have few places, the second has all, because the norm is near c by then.
    flat = _times(w, flat, longer, total)
    flat = _times(w, flat, longer, _squared(w, flat, limit))
    found: list[Value] = []
    at: Dim = 0
    for v in leaves(val):
        many = size_of(v.shape)
        found.append(b.emit("slice", flat, parts=((at, at + many, 1),)).reshape(v.shape))
        at = at + many
    _note(w, val, found, limit)
    return rebuild(val, found)


def _note(w: Walker, val: Val, found: list[Value], limit: float) -> None:
    """For noise: how long the result can be, rounding included, and what it derives from."""
    many = sum(size(v) for v in found)
    norm = limit * max(1 + 2.0**-13, math.sqrt(1 + many * 2.0**-15)) + math.sqrt(many) * 2.0**-15
    mark = Clipped(norm, frozenset().union(*(owners_of(w.region, v) for v in leaves(val))))
    w.clipped.update({(v.builder, v.index): mark for v in found})


def _fixed(w: Walker, val: Val, span: Span) -> Val:
    """`val` with all its numbers `fixed`."""
    match val:
        case Tuple(items) if items:
            return Tuple(tuple(_fixed(w, item, span) for item in items))
        case Record():
            return w.fail("E0301", "expected an array or a tuple of arrays", span, val.kind)
    a = to_fixed(w, to_int(numeric(w, val, span)))
    return replace(a, exact=None)


def _limit(w: Walker, c: Val, span: Span) -> float:
    a: Array = to_fixed(w, to_int(numeric(w, c, span)))
    if a.shape:
        w.fail("E0301", "a norm's limit is a single number", span)
    limit = float(w.concrete(a.value, span, "how long an array may be").constant)
    if limit <= 0:
        w.fail("E0301", "a norm's limit is above 0", span, f"{limit:g}")
    return limit


def _squared(w: Walker, flat: Value, limit: float) -> Value:
    """The square of norm / limit: one sum of products, rounded once."""
    b = w.builder
    scaled = b.emit("div", flat, b.const(limit, w.fixed))
    row, column = scaled.reshape((1, flat.shape[0])), scaled.reshape((flat.shape[0], 1))
    return b.emit("matmul", row, column).reshape(())


def _times(w: Walker, flat: Value, longer: Value, total: Value) -> Value:
    """flat / sqrt(total) where it is longer."""
    b = w.builder
    one = b.const(1.0, w.fixed)
    factor = b.emit("rsqrt", b.emit("select", longer, total, one))
    return b.emit("mul", flat, b.emit("select", longer, factor, one))
