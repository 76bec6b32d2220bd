"""Every primitive with its definition in plain integers, and operands that reach the ends of its domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lowered_run import table_of

from mpc.boolean import SHAPES
from mpc.circuit import Array
from mpc.leading import Slots, digits
from mpc.types import BOOL, INT, NOBODY, Layout, Type

Shape = tuple[int, ...]
Rng = np.random.Generator


def ring(values: Array) -> Array:
    return values.astype(np.int64).view(np.uint64)


def signed(values: Array) -> Array:
    return values.view(np.int64)


def numbers(rng: Rng, shape: Shape, low: int, high: int) -> Array:
    """int64 of [low, high], of all magnitudes, with the ends, their neighbours and those of zero among them."""
    n = int(np.prod(shape))
    wide = rng.integers(low, high, n, endpoint=True)
    values = wide >> rng.integers(0, 64, n)
    ends = [v for v in (low, high, 0, -1, 1, low + 1, high - 1, low // 2, high // 2) if low <= v <= high]
    # Among few elements each call meets other ends.
    places = rng.permutation(n)[: min(len(ends), (n + 1) // 2)]
    values[places] = rng.permutation(np.array(ends, np.int64))[: len(places)]
    return values.reshape(shape)


def words(rng: Rng, shape: Shape) -> Array:
    return ring(numbers(rng, shape, -(1 << 63), (1 << 63) - 1))


def truths(rng: Rng, shape: Shape) -> Array:
    return rng.integers(0, 2, shape, dtype=np.uint8)


def factors(rng: Rng, shape: Shape, bits: int) -> list[Array]:
    """Two arrays whose products stay below 2^bits in magnitude, and come close to it."""
    limit = (1 << bits) - 1
    x = numbers(rng, shape, -(1 << 40), 1 << 40)
    rest = limit // np.maximum(np.abs(x), 1)
    y = np.where(rng.integers(0, 2, shape) == 1, rest, rng.integers(-rest, rest, endpoint=True))
    y = np.where(rng.integers(0, 2, shape) == 1, y, -y)
    return [ring(x), ring(y)]


@dataclass(frozen=True)
class Primitive:
    """One primitive with fixed attributes: operands of a shape, and what must come out of them."""

    op: str
    attrs: dict[str, Any]
    operands: Callable[[Rng, Shape], list[Array]]
    define: Callable[..., Array]
    slack: int = 0
    """The result may be larger by so much."""
    out: Callable[[Sequence[Shape]], Type] = field(default=lambda shapes: arith(np.broadcast_shapes(*shapes)))

    def __str__(self) -> str:
        return "-".join([self.op, *(f"{k}{v}" for k, v in self.attrs.items())])

    def check(self, operands: Sequence[Array], result: Array) -> None:
        want = self.define(*operands)
        if not self.slack:
            np.testing.assert_array_equal(result, want)
            return
        over = signed(result - want)
        assert np.all((over >= 0) & (over <= self.slack)), f"error {over.min()} to {over.max()}"


def arith(shape: Shape) -> Type:
    return Type(INT, tuple(shape), NOBODY, Layout.ARITH)


def bits_like(shapes: Sequence[Shape]) -> Type:
    return Type(BOOL, np.broadcast_shapes(*shapes), NOBODY, Layout.BITS)


def _along(width: int) -> Callable[[Sequence[Shape]], Type]:
    return lambda shapes: Type(BOOL, (*shapes[0], width), NOBODY, Layout.BITS)


def _bits(x: Array, width: int) -> Array:
    return (x[..., None] >> np.arange(width, dtype=np.uint64) & np.uint64(1)).astype(np.uint8)


def _low(width: int) -> Callable[[Rng, Shape], list[Array]]:
    """Signed numbers of `width` bits."""
    return lambda rng, shape: [ring(numbers(rng, shape, -(1 << (width - 1)), (1 << (width - 1)) - 1))]


def _multiples(width: int) -> Callable[[Rng, Shape], list[Array]]:
    """Ring elements of which half are 0 mod 2^width, and some miss it by one bit."""

    def draw(rng: Rng, shape: Shape) -> list[Array]:
        high = words(rng, shape) << np.uint64(width) if width < 64 else np.zeros(shape, np.uint64)
        one = np.uint64(1) << rng.integers(0, width, shape, dtype=np.uint64)
        return [np.asarray(np.where(rng.integers(0, 2, shape) == 1, high, high ^ one))]

    return draw


def _from(bottom: int, width: int) -> Callable[[Rng, Shape], list[Array]]:
    """[2^bottom, 2^width): every length of number; zero too where `bottom` is 0."""

    def draw(rng: Rng, shape: Shape) -> list[Array]:
        x = words(rng, shape) >> np.uint64(64 - width)
        x = np.asarray(x >> rng.integers(0, width, shape, dtype=np.uint64))
        return [np.maximum(x, np.uint64(1 << bottom)) if bottom else x]

    return draw


WIDTHS = (1, 2, 3, 4, 7, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64)
TRUNCATIONS = (1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 48, 60, 61)
SHIFTS = [
    (m, w) for w in (2, 3, 16, 20, 33, 48, 62, 63, 64) for m in (1, 2, 5, 8, 16, 17, 31, 32, 47, 61, 62, 63) if m < w
]


def _trunc(m: int) -> Primitive:
    top = (1 << 62) - 1
    return Primitive(
        "trunc", {"m": m}, lambda rng, s: [ring(numbers(rng, s, -top, top))], lambda x: ring(signed(x) >> m), slack=1
    )


def _mul_trunc(m: int) -> Primitive:
    return Primitive(
        "mul_trunc", {"m": m}, lambda rng, s: factors(rng, s, 62), lambda x, y: ring(signed(x * y) >> m), slack=1
    )


def _shift(m: int, w: int) -> Primitive:
    return Primitive("shift", {"m": m, "width": w}, _low(w), lambda x: ring(signed(x) >> m))


def _ltz(w: int, in_chain: bool = False) -> Primitive:
    attrs = {"width": w, "in_chain": in_chain}
    return Primitive("ltz", attrs, _low(w), lambda x: (signed(x) < 0).astype(np.uint8), out=bits_like)


def _eqz(w: int) -> Primitive:
    return Primitive(
        "eqz",
        {"width": w},
        _multiples(w),
        lambda x: (x << np.uint64(64 - w) == 0).astype(np.uint8),
        out=bits_like,
    )


def _bits_of(w: int, sparse: int = 0) -> Primitive:
    attrs = {"width": w, "sparse": sparse}
    return Primitive("bits", attrs, lambda rng, s: [words(rng, s)], lambda x: _bits(x, w), out=_along(w))


def _leading_of(slots: Slots, sparse: int = 0) -> Primitive:
    draw = _low(slots.width) if slots.signed else _from(slots.bottom, slots.width)
    attrs = {**slots._asdict(), "sparse": sparse}
    return Primitive("leading", attrs, draw, lambda x: digits(x, slots), out=_along(slots.size))


def _weigh_of(*weights: tuple[int, ...]) -> Primitive:
    def define(*bits: Array) -> Array:
        return np.asarray(np.stack(bits, axis=-1).astype(np.uint64) @ table_of(weights))

    return Primitive(
        "weigh",
        {"weights": weights},
        lambda rng, s: [truths(rng, s) for _ in weights],
        define,
        out=lambda shapes: arith((*shapes[0], len(weights[0]))),
    )


MUL = Primitive("mul", {}, lambda rng, s: [words(rng, s), words(rng, s)], lambda x, y: x * y)
AND = Primitive("and_", {}, lambda rng, s: [truths(rng, s), truths(rng, s)], lambda x, y: x & y, out=bits_like)
B2A = Primitive("b2a", {}, lambda rng, s: [truths(rng, s)], lambda x: x.astype(np.uint64))

TYPICAL = [
    MUL,
    _trunc(16),
    _mul_trunc(16),
    _shift(16, 48),
    _shift(16, 64),
    AND,
    _ltz(64),
    _ltz(17),
    _ltz(33, in_chain=True),
    _eqz(64),
    _bits_of(64),
    _bits_of(5),
    _leading_of(Slots(48)),
    _leading_of(Slots(63, signed=True), 2),
    _bits_of(20, 3),
    B2A,
    _weigh_of((1, -1), (1 << 16, 1 << 20), (-(1 << 60), 0)),
]
"""For tests over shapes, costs and messages."""

EVERY = [
    MUL,
    *map(_trunc, TRUNCATIONS),
    *map(_mul_trunc, TRUNCATIONS),
    *(_shift(m, w) for m, w in SHIFTS),
    AND,
    *(_ltz(w, in_chain) for w in WIDTHS for in_chain in (False, True)),
    *map(_eqz, WIDTHS),
    *map(_bits_of, WIDTHS),
    *(_bits_of(w, sparse) for w in (2, 3, 4, 5, 9, 31, 33, 63, 64) for sparse in range(1, len(SHAPES))),
    *(_leading_of(Slots(w)) for w in WIDTHS),
    *(_leading_of(Slots(w, signed=True)) for w in WIDTHS[1:]),
    *(_leading_of(Slots(w, w > 40, 0, above), 1) for w in (1, 3, 9, 17, 33, 61) for above in (1, 3) if w + above <= 64),
    *(_leading_of(Slots(w, False, w // 2, w % 3)) for w in (2, 9, 20, 33, 62)),
    B2A,
    _weigh_of((5,)),
    _weigh_of(*((1 << 16 * k, int(k == 1)) for k in range(4)), (-1, 0)),
]
"""All attributes that take another way somewhere."""
