"""`randn`: normal numbers from a seed, public and the same at every party.

Bits are SHA-256 in counter mode. A number is made of 53 of them by the inverse of the normal distribution (Wichura,
Algorithm AS 241, routine PPND16), which is evaluated in float64 with additions, products, quotients and square roots
alone, the logarithm of the tails included: IEEE 754 rounds these in one way, so that all machines agree to the last
bit. The result is then rounded to the grid of `fixed`.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from dsl.builtins.arguments import shape_of
from dsl.builtins.table import CallSite, builtin
from dsl.stypes import FIXED
from dsl.values import Array, Val
from dsl.walker import Walker
from mpc.types import Size

__all__ = ["normal", "uniform"]

Floats = npt.NDArray[np.float64]

MAX_NUMBERS = 1 << 24

A = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
B = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
C = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
D = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)
E = (
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
)
F = (
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)
LN2 = 0.6931471805599453


def uniform(seed: int, count: int) -> Floats:
    """`count` numbers in (0, 1), each an odd multiple of 2^-54."""
    head = b"parley randn" + seed.to_bytes(16, "little", signed=True)
    blocks = [hashlib.sha256(head + k.to_bytes(8, "little")).digest() for k in range(-(-count // 4))]
    words = np.frombuffer(b"".join(blocks), "<u8")[:count] >> np.uint64(11)
    return (words.astype(np.float64) + 0.5) * 2.0**-53


def _polynomial(coefficients: tuple[float, ...], x: Floats) -> Floats:
    out = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out = out * x + c
    return out


def _log(x: Floats) -> Floats:
    """The natural logarithm of x > 0, by its odd series in (m - 1) / (m + 1)."""
    m, e = np.frexp(x)
    low = m < 0.7071067811865476
    m, e = np.where(low, m * 2.0, m), np.where(low, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    series = _polynomial(tuple(2.0 / (2 * k + 1) for k in range(12)), s * s)
    return series * s + e.astype(np.float64) * LN2


def normal(p: Floats) -> Floats:
    """The inverse of the normal distribution function, for p in (0, 1)."""
    q = p - 0.5
    r = 0.180625 - q * q
    centre = q * _polynomial(A, r) / _polynomial(B, r)
    tail = np.sqrt(-_log(np.minimum(p, 1.0 - p)))
    near, far = tail - 1.6, tail - 5.0
    outer = np.where(
        tail <= 5.0, _polynomial(C, near) / _polynomial(D, near), _polynomial(E, far) / _polynomial(F, far)
    )
    return np.where(np.abs(q) <= 0.425, centre, np.where(q < 0, -outer, outer))


@builtin("randn")
def randn(w: Walker, site: CallSite, shape: Val, seed: Val) -> Val:
    """Normal numbers of mean 0 and deviation 1; the same seed gives the same numbers."""
    dims = shape_of(w, shape, site.of("shape"))
    number = w.number(seed, site.of("seed"), "a seed")
    if any(isinstance(d, Size) for d in dims):
        return Array(w.builder.const(0.0, w.fixed).broadcast_to(dims), FIXED)
    sizes = tuple(d for d in dims if isinstance(d, int))
    count = int(np.prod(sizes, dtype=object)) if sizes else 1
    if count > MAX_NUMBERS:
        return w.error("E0901", f"more than {MAX_NUMBERS} random numbers at once", site.span)
    return w.const(_rounded(normal(uniform(number, count)), w.frac).reshape(sizes), FIXED)


def _rounded(x: npt.NDArray[Any], frac: int) -> npt.NDArray[Any]:
    return np.round(x * 2.0**frac) * 2.0**-frac
