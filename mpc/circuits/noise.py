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

    A number of Laplace's law takes 126 ANDs for each of twice as many thresholds as the scale has digits, and six more.
    One of Gauss's is made of 1 to 16 numbers (8 for a deviation of 2^20 units) of about 80 thresholds, each of these
    taking 288 ANDs and 30 for each threshold.
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
    reached = ~_below_each(b.random_bits((n, WORD)), limits)
    values = np.arange(len(limits) + 1)
    width = max(1, len(limits).bit_length())
    digits = (values[:, None] >> np.arange(width)) & 1
    changes = b.encode(b.const(-(digits[1:] ^ digits[:-1]).astype(np.int64)), 0, 1)  # one signed bit: 0 or -1
    return b.parity(b.product("matmul", b.narrow(reached, 1), changes, 0, INT))


def _below(words: Value, limits: Sequence[int]) -> Value:
    """[word < limit]: words (n, m, 64) of random bits, lowest first, against a limit each.  6 rounds, 126 ANDs."""
    b = low(words)
    bits = b.const(_digits(limits, 1).astype(np.bool_))
    return _decided(~words & bits, ~(words ^ bits))


def _below_each(words: Value, limits: Sequence[int]) -> Value:
    """[word < limit]: words (n, 64) of random bits, lowest first, against each of m limits, (n, m).

    Of each four digits of the word, all 16 values are told apart once: from these flags every limit picks whether its
    own four are equal, and whether they are above, without a message.  6 rounds, 288 ANDs and 30 for each limit.
    """
    b = low(words)
    n, four = words.type.sizes[0], WORD // 4
    equal = _told_apart(words.reshape((n, four, 4)))
    above = [b.const(np.zeros((n, four, 1), np.bool_))]
    for v in range(15):
        above.append(above[-1] ^ _part(equal, 2, v, 1))
    digits = _digits(limits, 4)
    places = b.const((digits + 16 * np.arange(four)).reshape(-1))
    sides = [
        b.emit("take", x.reshape((n, 16 * four)), places, axis=1).reshape((n, len(limits), four))
        for x in (b.emit("concat", *above, axis=2), equal)
    ]
    return _decided(*sides)


def _told_apart(x: Value) -> Value:
    """Of groups of four digits (n, m, 4), lowest first, which of 16 values each has: (n, m, 16).  2 rounds, 18 ANDs."""
    b = low(x)
    n, m, _ = x.type.sizes
    one, two = (_part(x, 2, first, 2, 2) for first in (0, 1))  # (n, m, 2): of each pair the lower, and the higher
    both = one & two
    pairs = [~(one ^ two ^ both), one ^ both, two ^ both, both]
    values = b.emit("concat", *(v.reshape((n, m, 2, 1)) for v in pairs), axis=3)
    lower, upper = (_part(values, 2, k, 1) for k in (0, 1))
    return (upper.reshape((n, m, 4, 1)) & lower.reshape((n, m, 1, 4))).reshape((n, m, 16))


def _digits(limits: Sequence[int], width: int) -> Array:
    """The digits of limits (m,) in base 2^width, lowest first: int64 (m, 64 / width)."""
    array = np.array(limits, np.uint64)[:, None] >> np.arange(0, WORD, width, dtype=np.uint64)
    return (array & np.uint64((1 << width) - 1)).astype(np.int64)


def _decided(less: Value, same: Value) -> Value:
    """Whether a word is below, from whether its digits (n, m, digits), lowest first, are below and the same.

    Two neighbours are put together at a time, the upper one deciding where it is not the same.
    """
    while less.type.sizes[-1] > 1:
        (lower, upper), (same_below, same_above) = (
            [_part(x, 2, first, x.type.sizes[2] // 2, 2) for first in (0, 1)] for x in (less, same)
        )
        less = upper ^ (same_above & lower)
        same = same_above & same_below
    return less.reshape(less.shape[:-1])


def _part(x: Value, axis: int, first: int, many: int, step: int = 1) -> Value:
    """`many` entries along an axis, every `step`th from `first` on."""
    whole = [(0, d, 1) for d in x.type.sizes]
    whole[axis] = (first, min(first + many * step, x.type.sizes[axis]), step)
    return low(x).emit("slice", x, parts=tuple(whole))
