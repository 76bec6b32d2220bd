"""Functions of one number or of a row: the largest slope on the range times the operand's error, and their own."""

from __future__ import annotations

import math

from mpc.accuracy.steps import least
from mpc.accuracy.table import DOUBLE, Claim, Use, rule
from mpc.op import Interval, find

__all__: list[str] = []

SLOPES = {"sigmoid": 0.25, "tanh": 1.0, "gelu": 1.13, "gelu_slope": 0.8, "softplus": 1.0}
"""The largest slopes."""


@rule("sigmoid", "tanh")
def _rising(u: Use) -> Claim:
    """Between its values at the ends of the range."""
    own = 4 * DOUBLE if u.clear else u.own()
    ref, known = find(u.node.op).ref, u.src[0].range
    between = None
    if known is not None and ref is not None:
        between = Interval(float(ref(known.lo)) - 2 * own, float(ref(known.hi)) + 2 * own)
    return Claim(SLOPES[u.node.op] * u.error(0) + own, range=between)


@rule("gelu", "gelu_slope", "softplus")
def _smooth(u: Use) -> float:
    return SLOPES[u.node.op] * u.error(0) + u.own()


@rule("softmax", "log_softmax")
def _softmax(u: Use) -> float:
    """d softmax_i = s_i (d_i - sum s_j d_j), at most s_i (1 - s_i) 2 e; that of the logarithm is at most 2 e."""
    if u.clear:
        return (0.5 if u.node.op == "softmax" else 2.0) * u.error(0) + _double(u)
    return (0.5 if u.node.op == "softmax" else 2.0) * u.error(0) + u.own()


def _double(u: Use) -> float:
    """Rounding of a softmax in the clear."""
    n = u.count(u.node["axis"])
    size = 1.0 if u.node.op == "softmax" else 2 * u.size(0) + math.log(max(n, 1)) + 1
    return (n + 4) * size * DOUBLE


@rule("exp")
def _exp(u: Use) -> float:
    known = u.range(0)
    if known.hi > (700 if u.clear else 31):
        raise u.unknown(f"the exponential may be of a number as large as {known.hi:.6g}")
    return math.exp(known.hi) * u.error(0) + u.own()


@rule("log")
def _log(u: Use) -> float:
    lo = u.range(0).lo
    if lo < (0 if u.clear else 2.0**-16) or lo <= 0:
        raise u.unknown("the argument of log may be 0, or as near to it as one likes")
    return u.error(0) / lo + (u.rounding(4) if u.clear else u.own())


@rule("sqrt")
def _sqrt(u: Use) -> float:
    known, e = u.range(0), u.error(0)
    if known.lo < 0:
        raise u.unknown("the argument of sqrt may be below 0")
    slope = math.inf if known.lo == 0 else 0.5 / math.sqrt(known.lo)
    return min(slope * e if e else 0.0, math.sqrt(e)) + u.own()


@rule("rsqrt")
def _rsqrt(u: Use) -> float:
    lo = u.range(0).lo
    if lo <= 0 or (lo < 2.0**-16 and not u.clear):
        raise u.unknown("the argument of rsqrt may be 0, or as near to it as one likes")
    return 0.5 / math.sqrt(lo) / lo * u.error(0) + u.own()


@rule("reciprocal")
def _reciprocal(u: Use) -> float:
    return _inverse(u)[1]


def _inverse(u: Use) -> tuple[float, float]:
    """The largest magnitude of 1/x, and its largest error.  Raises Unknown."""
    whole = u.nodes[0].type.dtype.kind == "int" and u.error(0) == 0
    m = 1.0 if whole and u.src[0].range is None else least(u.range(0), whole=whole)
    if m == 0:
        raise u.unknown("the divisor may be 0, or as near to it as one likes")
    record = find("reciprocal")
    own = 4 * DOUBLE / m if u.clear else record.tolerance * u.rough + record.relative / m
    return 1 / m, u.error(0) / (m * m) + own


@rule("power")
def _power(u: Use) -> float:
    """By the products that it is computed by."""
    n: int = u.node["n"]
    if u.node.type.dtype.kind == "int" and u.error(0) == 0:
        return 0.0
    size, error = _inverse(u) if n < 0 else (u.size(0), u.error(0))
    unit = 0.0 if u.clear else u.unit
    n, done = abs(n), None
    while n:
        if n & 1:
            done = (size, error) if done is None else _times(done, (size, error), unit)
        n >>= 1
        size, error = _times((size, error), (size, error), unit) if n else (size, error)
    return (0.0 if done is None else done[1]) + u.rounding(2 * abs(u.node["n"]))


def _times(x: tuple[float, float], y: tuple[float, float], unit: float) -> tuple[float, float]:
    if x[0] * y[0] > 2.0**200:
        return math.inf, math.inf
    return x[0] * y[0], x[0] * y[1] + y[0] * x[1] + x[1] * y[1] + unit


# -- exact choices -----------------------------------------------------------------------------


@rule("abs", "relu")
def _keep(u: Use) -> float:
    return u.error(0)


@rule("maximum", "minimum")
def _either(u: Use) -> float:
    return max(u.errors)


@rule("clip")
def _clip(u: Use) -> float:
    ends = [e * 2.0**u.node.type.dtype.frac for e in (u.node.get("lo"), u.node.get("hi")) if e is not None]
    on_grid = u.clear or all(e == round(e) for e in ends)
    return u.error(0) + (0.0 if on_grid else u.unit / 2)


@rule("sign", "abs_slope", "relu_slope", "clip_slope")
def _jump(u: Use) -> Claim:
    ends = [u.node.get(k) for k in ("lo", "hi")] if u.node.op == "clip_slope" else []
    off = 0.0 if u.clear or not any(ends) else u.unit / 2
    return Claim(0.0, near=u.src[0].unit * u.error(0) + off)


# -- whole numbers -----------------------------------------------------------------------------


@rule("floor", "ceil", "round")
def _rounded(u: Use) -> float:
    """A number that is off may be on the other side of where its whole part changes."""
    return _steps(u.error(0))


@rule("round_to")
def _rounded_to(u: Use) -> float:
    """The same at multiples of 10^-places, and the grid has few of these."""
    places: int = u.node["places"]
    return _steps(u.error(0) * 10.0**places) / 10.0**places + (0.0 if u.clear or places < 0 else u.unit / 2)


def _steps(error: float) -> float:
    return math.floor(error) + 1.0 if error else 0.0


@rule("floordiv")
def _floordiv(u: Use) -> float:
    return _steps(_off(u)) if any(u.errors) else 0.0


@rule("mod")
def _mod(u: Use) -> float:
    if any(u.errors):
        raise u.unknown("a remainder of a number that has an error may be off by the whole divisor")
    return u.rounding(2)


def _off(u: Use) -> float:
    """What a quotient is off by the errors of its operands."""
    m = _divisor(u)
    return (u.error(0) + (u.size(0) / m * u.error(1) if u.error(1) else 0.0)) / m


def _divisor(u: Use) -> float:
    m = least(u.range(1), whole=u.error(1) == 0 and u.nodes[1].type.dtype.kind == "int")
    if m == 0:
        raise u.unknown("the divisor may be 0, or as near to it as one likes")
    return m
