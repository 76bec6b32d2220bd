"""Polynomials on shares: few rounds, one truncation at the end, every power only as fine as it must be.

`Polynomial` is sum c_i z^i, i <= 2k, on -1 <= z <= 1, as A(z) + z^k B(z) with A of degree k and B without a constant
[Paterson, Stockmeyer, SIAM J. Comput. 2(1), 1973]: k - 1 products for the powers and one for z^k B, in
1 + ceil(log2 k) levels.  A power z^i enters with small coefficients, so it needs fewer fraction bits than z; and the
coefficients of B are rounded to what fits beside it, the others having been fitted after that rounding.

The coefficients are minimax fits (linear programming on 1,500 Chebyshev nodes, the error then measured on 100,001
points); the error that each states is that of the exact polynomial with the coefficients as written.
"""

from __future__ import annotations

from typing import NamedTuple

from mpc.circuit import Value
from mpc.circuits.units import linear, mul, trunc

__all__ = ["EXP2", "LOG", "RECIPROCAL", "RECIPROCAL_START", "RSQRT", "SQRT", "Polynomial", "evaluate"]


class Polynomial(NamedTuple):
    """Coefficients c_0..c_2k, fraction bits of z^1..z^k, and those of the block B."""

    coefficients: tuple[float, ...]
    fracs: tuple[int, ...]
    block: int

    @property
    def raw(self) -> int:
        """Fraction bits of the sum before its truncation."""
        return self.fracs[-1] + self.block


def evaluate(p: Polynomial, z: Value, out: int, *, plus: Value | None = None) -> Value:
    """p(z) + plus at `out` fraction bits; z has fracs[0] of them, `plus` has p.raw.

    3 + 3 ceil(log2 k) rounds; on rep3 about 290 bits for each of the k - 1 powers and 450 for the last product.
    """
    powers = [z]
    for i in range(2, len(p.fracs) + 1):
        low_, high = powers[i // 2 - 1], powers[i - i // 2 - 1]
        bits = p.fracs[i // 2 - 1] + p.fracs[i - i // 2 - 1]
        powers.append(mul(low_, high, bits - p.fracs[i - 1]))
    k = len(powers)

    def scaled(first: int, at: int) -> list[tuple[Value, int]]:
        return [(powers[i], round(p.coefficients[first + i] * 2.0 ** (at - p.fracs[i]))) for i in range(k)]

    block = linear(scaled(k + 1, p.block))
    rest = linear(scaled(1, p.raw), round(p.coefficients[0] * 2.0**p.raw))
    total = mul(powers[-1], block) + rest
    return trunc(total if plus is None else total + plus, p.raw - out)


# In u = (z + 3) / 4, 1/2 <= u <= 1, that is z = 4u - 3.

RECIPROCAL = Polynomial(
    (
        1.3333333289983451,
        -0.44444173565826156,
        0.14814727289868146,
        -0.04942208807473888,
        0.016473987961133526,
        -0.005344390869140625,
        0.001781463623046875,
        -0.0007915496826171875,
        0.0002638697624206543,
    ),
    (24, 22, 20, 17),
    42,
)
"""1/u; relative error 2^-21.72."""

RECIPROCAL_START = Polynomial(
    (1.333338565928412, -0.44248229212274903, 0.1474808578915994, -0.05706787109375, 0.019030630588531494),
    (28, 15),
    42,
)
"""1/u, to begin a Newton step with; relative error 2^-11.70."""

RSQRT = Polynomial(
    (
        1.1547005407673099,
        -0.19244948082807983,
        0.04811229332148029,
        -0.013371551546020032,
        0.003901049934971629,
        -0.0011463165283203125,
        0.00034809112548828125,
        -0.00013935565948486328,
        4.4792890548706055e-05,
    ),
    (24, 22, 20, 16),
    43,
)
"""1/sqrt(u); relative error 2^-23.91."""

SQRT = Polynomial(
    (
        0.8660256020096166,
        0.14433828293803835,
        -0.01203055820260931,
        0.0019986523509942147,
        -0.0004119873046875,
        0.00010967254638671875,
        -2.9474496841430664e-05,
    ),
    (24, 20, 17),
    42,
)
"""sqrt(u); relative error 2^-21.81."""

LOG = Polynomial(
    (
        -0.28768235047251506,
        0.3333408724403163,
        -0.05556147135603222,
        0.012281782488363471,
        -0.0030517578125,
        0.000949859619140625,
        -0.000278472900390625,
    ),
    (22, 20, 18),
    38,
)
"""ln(u); absolute error 2^-19.31."""

EXP2 = Polynomial(
    (1.4142127063567664, 0.49011205139804026, 0.08494002853470649, 0.009883880615234375, 0.0008459091186523438),
    (22, 20),
    40,
)
"""2^t for 0 <= t <= 1, z = 2t - 1; relative error 2^-18.49."""
