"""Discrete Laplace and Gaussian laws on the whole numbers, as thresholds for uniform 64-bit words.

For: `Laplace` and `Gaussian`: what a sampler compares random words with, how it puts the outcomes together, how far
that is from the exact law, and the same sampler in the clear (`draw`).
Leaves to others: sampling on shares (`circuits.noise`), how much noise is needed (`dsl.privacy`).

Whole numbers alone, because the low digits of noise in floating point betray what it hides [Mironov, "On significance
of the least significant bits for differential privacy", CCS 2012].  Both laws are made of single comparisons of
uniform words with public numbers, which is a short circuit of truth values [as Dwork, Kenthapadi, McSherry, Mironov,
Naor, "Our data, ourselves", EUROCRYPT 2006, section 4].  Thresholds are computed in decimals of 60 digits, so that
every party has the same.

**Laplace**, P(x) ~ exp(-|x| / scale): the difference of two geometric numbers, whose binary digits are independent,
digit j being 1 with probability 1 / (1 + exp(2^j / scale)).

**Gaussian**, P(x) ~ exp(-x^2 / (2 variance)) [Canonne, Kamath, Steinke, "The discrete Gaussian for differential
privacy", NeurIPS 2020]: up to a variance of 256 by inversion, a magnitude's word being compared with the cumulated
probabilities, and a sign; a larger one is x + k y of two independent ones of variance v / (1 + k^2) [Micciancio,
Walter, "Gaussian sampling over the integers", CRYPTO 2017, section 4.2], as often as needed.  Given x + k y = z, y is
Gaussian of variance v / (1 + k^2)^2 around some centre; its sums over shifted whole numbers differ by less than 2^-67
where that is 1.55^2 or more (Poisson summation), which is the condition on k.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["MOST", "WORD", "Gaussian", "Laplace", "law"]

WORD: Final = 64
"""Bits of a uniform word."""

MOST: Final = 56
"""Noise stays below 2^MOST in magnitude, so that it fits a number, and its sums on the way do; a law that would not is
refused."""

Words = npt.NDArray[np.uint64]
Source = Callable[[tuple[int, ...]], Words]
"""Uniform words of a shape."""


def _threshold(p: Decimal) -> int:
    """The limit below which a word lies with probability p, to the nearest of 2^-64."""
    return int((p * (1 << WORD)).to_integral_value(ROUND_HALF_EVEN))


def _decimal(x: Fraction) -> Decimal:
    return Decimal(x.numerator) / Decimal(x.denominator)


def uniform(shape: tuple[int, ...]) -> Words:
    """Words from the system's own source."""
    n = math.prod(shape)
    return np.frombuffer(secrets.token_bytes(8 * n), np.uint64).reshape(shape)


@dataclass(frozen=True)
class Laplace:
    """The discrete Laplace law of a scale, in units: a variance of 2 a / (1 - a)^2, a = exp(-1 / scale)."""

    scale: Fraction

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """For each digit of a geometric number, lowest first: it is 1 where a word is below this.

        As many digits as the probability of any higher one is below 2^-64.  ValueError if that is too many.
        """
        digits = max(1, math.ceil(math.log2(WORD * math.log(2) * self.scale)))
        if digits > MOST:
            raise ValueError(f"Laplace noise of scale {float(self.scale):.3g} units does not fit")
        with localcontext(Context(prec=60)):
            found = []
            for j in range(digits):
                a = (-_decimal(Fraction(1 << j) / self.scale)).exp()
                found.append(_threshold(a / (1 + a)))
        return tuple(found)

    @property
    def bound(self) -> int:
        """No number drawn is larger in magnitude."""
        return (1 << len(self.limits)) - 1

    @property
    def deviation(self) -> float:
        """At most the total variation distance between what is drawn and the exact law."""
        return float(2 * (len(self.limits) * 2.0 ** -(WORD + 1) + 2.0**-WORD))

    def draw(self, shape: tuple[int, ...], source: Source = uniform) -> npt.NDArray[np.int64]:
        """Numbers of the law, int64."""
        words = source((*shape, 2, len(self.limits)))
        digits = words < np.array(self.limits, np.uint64)
        both = digits @ (1 << np.arange(len(self.limits), dtype=np.int64))
        return np.asarray(both[..., 0] - both[..., 1], np.int64)


@dataclass(frozen=True)
class Gaussian:
    """The discrete Gaussian law of a variance parameter, in squared units."""

    variance: Fraction

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], Fraction]:
        """The factors k, outermost first, and the variance of the numbers that are drawn by inversion."""
        v, factors = self.variance, []
        if v >= 1 << 2 * (MOST - 6):
            raise ValueError(f"Gaussian noise of deviation {math.sqrt(v):.3g} units does not fit")
        while v > 256:
            # The largest k with (1 + k^2) 1.55 <= sqrt(v).
            k = math.isqrt(math.isqrt(math.floor(v / Fraction(155, 100) ** 2)) - 1)
            factors.append(k)
            v /= 1 + k * k
        return tuple(factors), v

    @property
    def weights(self) -> tuple[int, ...]:
        """With which factor each of the numbers drawn by inversion counts."""
        out = [1]
        for k in self.levels[0]:
            out = [w * f for w in out for f in (1, k)]
        return tuple(out)

    @cached_property
    def limits(self) -> tuple[int, ...]:
        """A magnitude is how many of these a word is not below: cumulated probabilities, up to 9.6 deviations."""
        variance = self.levels[1]
        largest = math.ceil(9.6 * math.sqrt(variance))
        with localcontext(Context(prec=60)):
            mass = [(-_decimal(Fraction(x * x) / (2 * variance))).exp() for x in range(largest + 1)]
            total = mass[0] + 2 * sum(mass[1:])
            below, found = Decimal(0), []
            for x, m in enumerate(mass[:-1]):
                below += m if x == 0 else 2 * m
                found.append(_threshold(below / total))
        return tuple(c for c in found if c < 1 << WORD)

    @property
    def bound(self) -> int:
        """No number drawn is larger in magnitude."""
        return max(1, len(self.limits)) * sum(self.weights)

    @property
    def deviation(self) -> float:
        """At most the total variation distance between what is drawn and the exact law."""
        many = len(self.weights)
        return float(many * ((len(self.limits) + 1) * 2.0**-WORD + 2.0**-65) + (many - 1) * 2.0**-65)

    def draw(self, shape: tuple[int, ...], source: Source = uniform) -> npt.NDArray[np.int64]:
        """Numbers of the law, int64."""
        weights = np.array(self.weights, np.int64)
        words = source((*shape, len(weights), 2))
        size = np.searchsorted(np.array(self.limits, np.uint64), words[..., 0], side="right")
        negative = (words[..., 1] & np.uint64(1)).astype(bool)
        return np.asarray(np.where(negative, -size, size) @ weights, np.int64)


def law(kind: str, parameter: tuple[int, int]) -> Laplace | Gaussian:
    """The law that a circuit names. parameter: scale or variance, as numerator and denominator."""
    value = Fraction(*parameter)
    return Laplace(value) if kind == "laplace" else Gaussian(value)
