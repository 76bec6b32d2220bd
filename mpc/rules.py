"""How each simple surface operation becomes primitives: one short function each.

Operands arrive shared, or public and clear; private ones have been shared by then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Value
from mpc.circuits.arithmetic import add_bound, matmul_bound, mul_bound, sub_bound, sum_bound
from mpc.lowerer import ROOM, RULES, STRUCTURAL, Lowerer, Rule, is_share
from mpc.op import Interval, numeric
from mpc.types import BOOL, INT, DType, Fixed, Layout, Shape, broadcast_shapes

__all__: list[str] = []


def _operand(b: Lowerer, x: Value, dtype: DType) -> Value:
    """A share at `dtype`'s scale, or a public value encoded at it, in its ring."""
    if is_share(x):
        return b.scaled(x, dtype.frac)
    return b.encode(x, dtype.frac, dtype.bits)


def _add(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
    _room(b, "the sum", add_bound([b.range(v) for v in src], [v.type for v in src], attrs), dtype)
    x, y = b.align(*(_operand(b, v, dtype) for v in src))
    if not is_share(x):
        x, y = y, x
    return b.on_shares("add" if is_share(y) else "add_clear", (x, y), {}, dtype, shape)


def _room(b: Lowerer, what: str, interval: Interval | None, dtype: DType) -> None:
    """A sum or difference whose range is known must fit; one that is not known is taken to fit its type."""
    if not dtype.narrow:  # what is counted in a narrow ring is meant to wrap
        b.fits(what, interval, dtype.frac, bits=63 if dtype == INT else ROOM, noted=False)


def _neg(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    return b.on_shares("neg", src, {}, dtype, shape)


def _sub(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
    _room(b, "the difference", sub_bound([b.range(v) for v in src], [v.type for v in src], attrs), dtype)
    return _minus(b, src, dtype, shape)


def _minus(b: Lowerer, src: Sequence[Value], dtype: DType, shape: Shape) -> Value:
    """x - y in the ring, with no room asked for: inside a comparison it may wrap."""
    x, y = b.align(*(_operand(b, v, dtype) for v in src))
    if is_share(x) and is_share(y):
        return b.on_shares("sub", (x, y), {}, dtype, shape)
    if is_share(x):
        return b.on_shares("sub_clear", (x, y), {}, dtype, shape)
    return b.on_shares("add_clear", (b.on_shares("neg", (y,), {}, dtype, y.shape), x), {}, dtype, shape)


FINEST = 40
"""Most fraction bits of a public factor."""


def _clear_frac(b: Lowerer, x: Value, share: Value, dtype: DType, terms: int = 1) -> int:
    """Fraction bits for a public factor: those that it has, if few; else as many as the share's range leaves room for.

    More bits make the product more exact than the grid of `dtype`; the truncation takes them off again.  A constant
    below 1 gets as many significant bits as 1 would, which needs no more room than multiplying by 1 does.
    terms: how many such products are added up.
    """
    if x.dtype.kind == "int":
        return 0
    plain = dtype.frac
    share_bits, factor = b.raw_bits(share), b.range(x)
    if factor is None:
        return plain
    size = math.ceil(math.log2(max(factor.magnitude, 2.0**-30)))
    if x.is_const:
        for frac in range(min(plain + max(0, -size), FINEST) + 1):
            scaled = x.constant * 2.0**frac
            if bool(np.all(scaled == np.rint(scaled))):
                return frac
    if share_bits is None:
        return min(plain + max(0, -size), FINEST) if x.is_const else plain
    return max(plain, min(ROOM - 1 - share_bits - size - (terms - 1).bit_length(), FINEST))


def _by_number(b: Lowerer, x: Value, y: Value, dtype: DType, shape: Shape) -> Value | None:
    """A fixed-point share times one public number.

    Factors that it was multiplied by before go into the same product: one truncation for all.  Half, a quarter, … are
    a truncation alone.
    """
    share, number = (x, y) if is_share(x) else (y, x)
    if is_share(number) or not number.is_const or number.shape or share.shape != shape or share.dtype != dtype:
        return None
    if dtype.narrow:
        return None
    factor = float(number.constant)
    share, earlier = b.factors.get(share.index, (share, 1.0))
    if earlier != 1.0:
        factor *= earlier
        number = b.const(factor, dtype)
    frac = _clear_frac(b, number, share, dtype)
    bound = mul_bound([b.range(share), Interval(factor, factor)], [share.type, number.type], {})
    b.fits("the product", bound, dtype.frac + frac)
    if abs(factor) * 2.0**frac == 1:
        raw = share if factor > 0 else b.on_shares("neg", (share,), {}, dtype, shape)
        out = b.trunc(raw, frac, dtype)
    else:
        out = b.product("mul", share, b.encode(number, frac), frac, dtype)
    b.factors[out.index] = share, factor
    return b.know(out, bound)


def _product(op: str) -> Rule:
    def rule(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
        x, y = src
        if op == "mul" and (single := _by_number(b, x, y, dtype, shape)) is not None:
            return single
        bound = (mul_bound if op == "mul" else matmul_bound)([b.range(x), b.range(y)], [x.type, y.type], attrs)
        fracs, terms = [], 1 if op == "mul" else x.type.sizes[-1]
        for v, other in ((x, y), (y, x)):
            fracs.append(v.dtype.frac if is_share(v) else _clear_frac(b, v, other, dtype, terms))
        raw_frac = sum(fracs)
        if dtype.kind == "int":
            b.fits("the product", bound, 0, bits=63)
        else:
            b.fits("the product", bound, raw_frac)
        sides = [v if is_share(v) else b.encode(v, f, dtype.bits) for v, f in zip(src, fracs, strict=True)]
        if raw_frac < dtype.frac:
            out = b.product(op, sides[0], sides[1], 0, Fixed(raw_frac) if raw_frac else INT)
            return b.scaled(b.know(out, bound), dtype.frac)
        del shape
        return b.product(op, sides[0], sides[1], raw_frac - dtype.frac, dtype)

    return rule


def _lt(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    """x < y by the sign of x - y, where that fits the ring; else by the signs of x, y and x - y."""
    x, y = _whole(src)
    d = _difference(b, x, y)
    if b.raw_bits(d) is not None or d.dtype.kind == "fixed":
        bits = b.raw_bits(d)
        if bits is None or bits < 64:
            return b.ltz(d)
    sx, sy = (_sign(b, v) for v in (x, y))
    differ = sx ^ sy
    return b.ltz(d, 64) ^ (differ & (sx ^ b.ltz(d, 64)))


def _difference(b: Lowerer, x: Value, y: Value) -> Value:
    """x - y to be compared with 0; it may wrap, and what is known of it says whether it can."""
    dtype, shape = numeric([x.type, y.type], {})
    bound = sub_bound([b.range(x), b.range(y)], [x.type, y.type], {})
    if dtype.kind == "fixed" and bound is not None:
        b.fits("a number that is compared", bound, dtype.frac, bits=ROOM + 1, noted=False)
    return b.know(_minus(b, (x, y), dtype, shape), bound)


def _whole(pair: Sequence[Value]) -> tuple[Value, Value]:
    """x < y with a constant beside whole numbers made whole: x < 2.5 is x < 3, and 2.5 < x is 2 < x."""
    x, y = pair
    for v, other, up in ((y, x, np.ceil), (x, y, np.floor)):
        if v.is_const and v.dtype.kind == "fixed" and other.dtype == INT and v.constant.size:
            c = up(v.constant)
            if np.abs(c).max() < 2.0**62:
                whole = v.builder.const(c.astype(np.int64), INT)
                return (other, whole) if v is y else (whole, other)
    return x, y


def _sign(b: Lowerer, x: Value) -> Value:
    known = b.range(x)
    if known is not None and known.lo >= 0:
        return b.const(np.zeros(x.type.sizes, np.bool_))
    return b.ltz(x) if is_share(x) else b.emit("lt", x, b.const(0))


def _eq(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    if src[0].dtype == BOOL:
        return ~(src[0] ^ src[1])
    return b.eqz(_difference(b, *src))


def _xor(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    x, y = b.align(*(v if is_share(v) else b.encode(v, 0) for v in src))
    if not is_share(x):
        x, y = y, x
    return b.on_shares("xor" if is_share(y) else "xor_clear", (x, y), {}, dtype, shape)


def _not(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    return src[0] ^ True


def _and(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    x, y = b.align(*(v if is_share(v) else b.encode(v, 0) for v in src))
    if not is_share(x):
        x, y = y, x
    return b.on_shares("and_" if is_share(y) else "and_clear", (x, y), {}, dtype, shape)


def _or(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    x, y = src
    return ~(~x & ~y)


def _select(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    c, x, y = src
    if dtype == BOOL:
        return (y ^ (c & (x ^ y))).broadcast_to(shape)
    x, y = (v if v.dtype == dtype else v.to_fixed(dtype.frac) for v in (x, y))
    # y + c * (x - y): the difference may wrap, and the sum wraps it back, so no range is asked for.
    d = _sub(b, (x, y), {}, dtype, broadcast_shapes(x.shape, y.shape)) if is_share(x) or is_share(y) else None
    chosen = b.emit("to_int", c)
    if d is None:
        d = b.encode(b.emit("sub", x, y), dtype.frac)
        step = b.product("mul", chosen, d, 0, dtype)
    else:
        step = b.product("mul", chosen if is_share(chosen) else b.encode(chosen, 0), d, 0, dtype)
    return _add(b, (y, step), {}, dtype, shape).broadcast_to(shape)


def _to_int(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
    (x,) = src
    return x if x.dtype == INT else b.on_shares("b2a", (x,), attrs, dtype, shape)


def _to_fixed(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    (x,) = src
    return b.scaled(x.to_int() if x.dtype == BOOL else x, attrs["frac"])


def _sum(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
    """Local.  Marked `roomy`, for late truncation, where its range proves that the raw sum of products fits."""
    (x,) = src
    interval = sum_bound([b.range(x)], [x.type], attrs)
    b.fits("the sum", interval, dtype.frac, bits=63 if dtype.kind == "int" else ROOM)
    node = x.node
    if node.op in ("mul_trunc", "trunc") and interval is not None:
        # Only the whole sum must fit at the raw scale: what wraps on the way wraps back.
        roomy = interval.magnitude * 2.0 ** (dtype.frac + node["m"]) <= 2.0**ROOM
        attrs = {**attrs, "roomy": True} if roomy else attrs
    return b.on_shares("sum", (x,), attrs, dtype, shape)


def _local(name: str) -> Rule:
    """Structure: the same on shares, the other operands clear."""

    def rule(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value | None:
        if name == "take" and src[1].type.layout is not Layout.CLEAR:
            return None
        arrays = 2 if name in ("update", "dynamic_update") else len(src) if name == "concat" else 1
        shares = [b.narrow(v, dtype.bits) if dtype.narrow else b.shared(v) for v in src[:arrays]]
        if dtype != BOOL:
            shares = [b.scaled(v, dtype.frac) for v in shares]
        return b.on_shares(name, [*shares, *src[arrays:]], attrs, dtype, shape)

    return rule


def _open(b: Lowerer, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:  # noqa: ARG001
    return b.deliver(src[0], None)


RULES.update(
    {
        "add": _add,
        "sub": _sub,
        "neg": _neg,
        "mul": _product("mul"),
        "matmul": _product("matmul"),
        "lt": _lt,
        "eq": _eq,
        "and": _and,
        "or": _or,
        "xor": _xor,
        "not": _not,
        "select": _select,
        "to_int": _to_int,
        "to_fixed": _to_fixed,
        "sum": _sum,
        "cumsum": _local("cumsum"),
        "open": _open,
        **{name: _local(name) for name in STRUCTURAL},
    }
)
