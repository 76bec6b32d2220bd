"""Whole-number arithmetic on the ring units of shares: what approximations are written in.

A fixed-point share read as whole units (`units`) carries no scale: each algorithm keeps its own account of the fraction
bits and of the room below 2^62 (a product before its truncation, and whatever is truncated, stays below that).
Operands may also be clear public whole numbers, or Python's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.circuit import Value
from mpc.lowerer import low
from mpc.op import Interval
from mpc.types import INT, Fixed, Layout, broadcast_shapes

__all__ = [
    "as_fixed",
    "bit",
    "dot",
    "entry",
    "linear",
    "mul",
    "plain_units",
    "share_units",
    "spread",
    "times",
    "trunc",
    "units",
    "weigh",
]


def units(x: Value) -> Value:
    """The ring units of a share as whole numbers; what is known of its range comes along."""
    b = low(x)
    known = b.range(x)
    scale = 2.0**x.dtype.frac
    out = b.view(x, INT)
    return out if known is None else b.know(out, Interval(known.lo * scale, known.hi * scale))


def plain_units(x: Value) -> tuple[Value, int]:
    """Units of a share and their fraction bits; of a whole number that was made fixed point, the number itself."""
    b, node, frac = low(x), x.node, x.dtype.frac
    if node.op == "mul_clear" and frac:
        number, factor = (Value(b, i) for i in node.src)
        while factor.node.op in ("reshape", "encode"):
            factor = Value(b, factor.node.src[0])
        if number.dtype == INT and factor.is_const and factor.dtype == INT and (factor.constant == 1 << frac).all():
            return number, 0
    return units(x), frac


def share_units(x: Value, frac: int) -> Value:
    """A share or a public value as shared whole units at `frac` fraction bits."""
    b = low(x)
    return units(b.scaled(b.shared(x), frac))


def as_fixed(x: Value, frac: int) -> Value:
    """Units read as fixed point with `frac` fraction bits."""
    return low(x).view(x, Fixed(frac))


def mul(x: Value | int, y: Value | int, m: int = 0) -> Value:
    """x * y / 2^m; at least one is a share.  Two shares on rep3: 1 round and 192 bit, with m > 0 3 and 240 or more."""
    if isinstance(x, int):
        x, y = y, x
    assert isinstance(x, Value)
    b = low(x)
    if m < 0:
        return trunc(mul(x, y), m)
    if isinstance(y, int):
        if y == 1:
            return trunc(x, m)
        y = b.const(np.asarray(y, np.int64))
    x, y = (b.encode(v, 0) if v.type.layout is Layout.CLEAR else v for v in (x, y))
    return b.product("mul", x, y, m, INT)


def times(x: Value, factor: int) -> Value:
    """x times a public whole number, without a message."""
    return mul(x, factor)


def trunc(x: Value, m: int) -> Value:
    """x / 2^m to a neighbour (2 rounds); for m < 0 exactly x * 2^-m, without a message."""
    return times(x, 1 << -m) if m < 0 else low(x).trunc(x, m, INT)


def linear(terms: Sequence[tuple[Value, int]], constant: int = 0) -> Value:
    """The sum of multiples of shares and of a constant, without a message."""
    out: Value | None = None
    for x, factor in terms:
        if factor:
            part = times(x, factor)
            out = part if out is None else out + part
    assert out is not None
    return out + constant if constant else out


def spread(*values: Value) -> tuple[Value, ...]:
    """The values in their common shape."""
    shape = broadcast_shapes(*(v.shape for v in values))
    return tuple(v.broadcast_to(shape) for v in values)


def dot(xs: Sequence[Value], ys: Sequence[Value], m: int = 0) -> Value:
    """The sum of x * y over pairs of shares, / 2^m: the bytes of one product on rep3, however many pairs."""
    if len(xs) == 1:
        return mul(xs[0], ys[0], m)
    together = spread(*xs, *ys)
    b, shape = low(xs[0]), together[0].shape
    rows = b.emit("concat", *(v.reshape((*shape, 1, 1)) for v in together[: len(xs)]), axis=len(shape) + 1)
    columns = b.emit("concat", *(v.reshape((*shape, 1, 1)) for v in together[len(xs) :]), axis=len(shape))
    return b.product("matmul", rows, columns, m, INT).reshape(shape)


def bit(x: Value) -> Value:
    """A shared truth value as 0 or 1."""
    return x.to_int()


def weigh(bits: Sequence[Value], weights: Sequence[int], constant: int = 0) -> Value:
    """A constant and a weighted sum of shared truth values of one shape, which it brings to the ring: 2 rounds.

    Sums of the same truth values become one step (`mpc.passes.weigh`), on rep3 64 bits for each truth value and 128 for
    each sum: so one that does not matter is best given with weight 0.
    """
    attrs = {"weights": tuple((w,) for w in weights)}
    out = entry(low(bits[0]).on_shares("weigh", bits, attrs, INT, (*bits[0].shape, 1)), 0)
    return out + constant if constant else out


def entry(x: Value, i: int) -> Value:
    """Entry i of the last axis."""
    return x[(*(slice(None),) * (x.ndim - 1), i)]
