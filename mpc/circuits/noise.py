"""Noise that no party knows, drawn on shares.

For: `noise`, which `lower` calls for the surface operation of that name.
Leaves to others: the laws (`discrete`), how much noise there must be and where it is added (`dsl.privacy`).

All randomness is that of `random_bits`: secret truth values which no party knows, and which are uniform as long as the
protocol's threat holds (any one node of rep3, any n - 1 of additive).  So the sum is of the law itself, with the
variance of one draw, and whoever may pool what they see learns nothing of it.  No message depends on the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.discrete import WORD, Gaussian, Laplace, law
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Op, Signature, register
from mpc.types import INT, Fixed, Shape, Type, size_of

__all__ = ["noise"]


def _infer(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001 - it has no operands
    return Fixed(attrs["frac"]) if attrs["frac"] else INT, attrs["shape"]


def _ref(*, law: str, parameter: tuple[int, int], shape: tuple[int, ...], frac: int, **_: Any) -> Array:
    units = _law(law, parameter).draw(shape)
    return units / 2.0**frac if frac else units


_law = law

register(
    Op(
        name="noise",
        infer=_infer,
        ref=_ref,
        pure=False,
        doc="""Independent numbers of a discrete law on the grid of the element type, seen by nobody.

        law: `laplace` or `gaussian`; parameter: the scale, or the variance, in units of the grid, as numerator and
        denominator; shape, frac: of the result. What else it bears says what the noise is for.
        Laplace: 8 rounds; the deviation from the law is below 2^-57 (total variation, each number). Gaussian: 8
        rounds, below 2^-52. In the clear (`--plain`) the same law is drawn from the system's randomness.
        """,
    )
)


def noise(b: Lowerer, *, law: str, parameter: tuple[int, int], shape: Shape, frac: int, **_: Any) -> Value:
    """Shares of noise: see the operation's record.

    A number takes 126 ANDs for each threshold: twice as many thresholds as digits of the scale and six more for
    Laplace, 80 to 154 times a power of two (8 for a deviation of 2^20 units) for Gaussian.
    """
    chosen = _law(law, parameter)
    n = size_of(shape)
    assert isinstance(n, int)
    units = _laplace(b, chosen, n) if isinstance(chosen, Laplace) else _gaussian(b, chosen, n)
    limit = chosen.bound / 2.0**frac
    out = b.view(units, Fixed(frac) if frac else INT)
    return b.know(out.reshape(shape), Interval(-limit, limit))


def _laplace(b: Lowerer, chosen: Laplace, n: int) -> Value:
    """The difference of two geometric numbers, digit by digit: shape (n,)."""
    many = len(chosen.limits)
    words = b.random_bits((n, 2 * many, WORD))
    digits = _below(words, chosen.limits * 2)
    powers = 1 << np.arange(many, dtype=np.int64)
    return b.emit("matmul", digits.to_int(), b.const(np.concatenate([powers, -powers])))


def _gaussian(b: Lowerer, chosen: Gaussian, n: int) -> Value:
    """Weighted sums of numbers drawn by inversion: shape (n,)."""
    many = len(chosen.weights)
    size = _magnitude(b, chosen.limits, n * many)
    negative = b.random_bits((n * many, 1))
    # -m is ~m + 1: a sign turns the digits over, counts one, and is the highest digit itself.
    width = size.type.sizes[1]
    digits = b.emit("concat", size ^ negative, negative, axis=1).to_int()
    powers = np.append(1 << np.arange(width, dtype=np.int64), 1 - (1 << width))
    weights = np.outer(np.array(chosen.weights, np.int64), powers).reshape(-1)
    return b.emit("matmul", digits.reshape((n, many * (width + 1))), b.const(weights))


def _magnitude(b: Lowerer, limits: Sequence[int], n: int) -> Value:
    """How many limits a word is not below, as truth values (n, digits), lowest first.

    The flags are 1 up to that number and 0 from there on, so each digit is a sum mod 2 of those at which it changes.
    """
    words = b.random_bits((n, 1, WORD))
    reached = ~_below(words, limits)
    values = np.arange(len(limits) + 1)
    width = max(1, len(limits).bit_length())
    digits = (values[:, None] >> np.arange(width)) & 1
    changes = b.encode(b.const(-(digits[1:] ^ digits[:-1]).astype(np.int64)), 0, 1)  # one signed bit: 0 or -1
    return b.parity(b.product("matmul", b.narrow(reached, 1), changes, 0, INT))


def _below(words: Value, limits: Sequence[int]) -> Value:
    """[word < limit]: words (n, m or 1, 64) of random bits, lowest first, against m limits, (n, m).

    Comparisons of halves are put together, the upper one deciding where it is not equal: 6 rounds, 126 ANDs.
    """
    b = low(words)
    array = np.array(limits, np.uint64)
    bits = b.const(((array[:, None] >> np.arange(WORD, dtype=np.uint64)) & np.uint64(1)).astype(np.bool_))
    less, same = ~words & bits, ~(words ^ bits)
    while less.type.sizes[-1] > 1:
        (lower, upper), (same_below, same_above) = _halves(less), _halves(same)
        less = upper ^ (same_above & lower)
        same = same_above & same_below
    return less.reshape(less.shape[:-1])


def _halves(x: Value) -> tuple[Value, Value]:
    """The lower and the upper of every two neighbours along the last axis."""
    n, m, k = x.type.sizes
    parts = [((0, n, 1), (0, m, 1), (first, k, 2)) for first in (0, 1)]
    lower, upper = (low(x).emit("slice", x, parts=p) for p in parts)
    return lower, upper
