"""Sums, products, quotients, choices, comparisons and conversions."""

from __future__ import annotations

import math

from mpc.accuracy.steps import masked, nearest, quotient, two_steps
from mpc.accuracy.table import Claim, Known, Unknown, Use, Weight, rule
from mpc.circuit import Array
from mpc.lowerer import ROOM
from mpc.op import Interval
from mpc.rules import FINEST

__all__ = ["times"]


@rule("add")
def _add(u: Use) -> Claim:
    whole = two_steps(u)
    if whole is not None:
        return whole
    x, y = (s.weight for s in u.src)
    weight = None
    if x is not None and y is not None and not x.rows & y.rows:
        both = None if x.range is None or y.range is None else _hull(x.range, y.range)
        more = x.more + y.more + u.rounding()
        weight = Weight(x.rows | y.rows, max(x.each, y.each), both, more, x.number and y.number)
    return Claim(sum(u.errors) + u.rounding(), weight=weight)


def _hull(x: Interval, y: Interval) -> Interval:
    return Interval(min(x.lo, y.lo), max(x.hi, y.hi))


@rule("sub")
def _sub(u: Use) -> float:
    return sum(u.errors) + u.rounding()


@rule("neg")
def _neg(u: Use) -> float:
    return u.error(0)


@rule("sum")
def _sum(u: Use) -> Claim:
    weight = masked(u, u.node.src[0], ("sum",), u.src[0]) if len(u.nodes[0].type.shape) == 1 else None
    if u.error(0) == 0 and not u.floats:
        return Claim(0.0, weight=weight)
    n = u.count(u.node["axis"])
    own = u.rounding(n)
    return Claim(n * u.error(0) + own, weight=None if weight is None else weight._replace(more=own))


@rule("cumsum")
def _cumsum(u: Use) -> float:
    if u.error(0) == 0 and not u.floats:
        return 0.0
    n = u.count(u.node["axis"])
    return n * u.error(0) + u.rounding(n)


@rule("mean")
def _mean(u: Use) -> float:
    return u.error(0) + (u.rounding(u.count(u.node["axis"]) + 1) if u.clear else 2 * u.unit)


# -- products ----------------------------------------------------------------------------------


def times(u: Use, errors: tuple[float, float], at: tuple[int, int] = (0, 1)) -> float:
    """What the errors of two factors, of operands `at`, make of their product.  Raises Unknown."""
    x, y = errors
    return (u.size(at[0]) * y if y else 0.0) + (u.size(at[1]) * x if x else 0.0) + x * y


def encoded(u: Use, value: Array, share: Known, frac: int, terms: int = 1) -> tuple[int, float]:
    """A constant that a share of `frac` fraction bits is multiplied by, encoded as `mpc.rules` does: so many of
    its own fraction bits at most, and half a unit where it is not exact with those."""
    plain = u.node.type.dtype.frac
    largest = float(abs(value).max()) if value.size else 0.0
    size = math.ceil(math.log2(max(largest, 2.0**-30)))
    most = min(plain + max(0, -size), FINEST)
    for bits in (0, plain, most):  # none, no more than the result, more
        scaled = value * 2.0**bits
        if (scaled == scaled.round()).all():
            return bits, 0.0
    bits = plain
    if share.seen is not None:
        units = max(math.ceil(share.seen.magnitude * 2.0**frac), 1).bit_length()
        bits = max(plain, min(ROOM - 1 - units - size - (terms - 1).bit_length(), FINEST))
        bits = bits if u.firm else min(bits, most)
    return bits, 2.0 ** -(bits + 1)


def _sides(u: Use, terms: int) -> tuple[int, tuple[float, float]]:
    """Of a product on shares: its fraction bits before the truncation, and the errors of the factors as they go in."""
    total, errors = 0, []
    for k, node in enumerate(u.nodes):
        frac = node.type.dtype.frac
        if node.op == "const" and node.type.dtype.kind == "fixed":
            frac, off = encoded(u, node["value"].array, u.src[1 - k], u.nodes[1 - k].type.dtype.frac, terms)
            errors.append(off)
        else:
            errors.append(u.error(k))
        total += frac
    return total, (errors[0], errors[1])


def _product(u: Use, terms: int) -> float:
    _no_steps(u)
    if u.clear:
        return terms * times(u, (u.error(0), u.error(1))) + u.rounding(terms)
    frac, errors = _sides(u, terms)
    return terms * times(u, errors) + (u.unit if frac > u.node.type.dtype.frac else 0.0)


def _no_steps(u: Use) -> None:
    """Raises Unknown where numbers that were made whole, and may be off by a step, are multiplied with more than flags.

    A variance does so, and its steps cancel: a bound that does not know it would be beyond all that can be.
    """
    for k, s in enumerate(u.src):
        other = u.src[1 - k].range
        flag = other is not None and other.magnitude <= 1
        whole = u.node.type.dtype.kind == "int" and s.unit == 1
        if whole and u.error(k) >= 1 and not flag and not any(n.op == "const" for n in u.nodes):
            raise u.unknown("whole numbers are multiplied that may be off by a step")


@rule("mul")
def _mul(u: Use) -> Claim:
    if not u.clear and (single := _by_number(u)) is not None:
        return single
    known = u.ranges[0]
    square = u.node.src[0] == u.node.src[1] and known is not None and known.lo < 0
    return Claim(_product(u, 1), range=Interval(0.0, known.hi) if square and known is not None else None)


def _by_number(u: Use) -> Claim | None:
    """A fixed-point share times one public number: several such factors go into one product."""
    k = next((k for k in (0, 1) if u.nodes[k].op == "const" and not u.nodes[k].type.shape), None)
    if k is None or not u.nodes[1 - k].type.secret or u.nodes[1 - k].type.dtype != u.node.type.dtype:
        return None
    if u.node.type.dtype.kind != "fixed":
        return None
    at, factor = u.node.src[1 - k], u.nodes[k]["value"].array
    at, earlier = u.factors.get(at, (at, 1.0))
    share, factor = u.values[at][0], factor * earlier
    bits, off = encoded(u, factor, share, u.node.type.dtype.frac)
    u.factors[u.index] = at, float(factor)
    assert share.error is not None
    error = abs(float(factor)) * share.error + (u.unit if bits else 0.0)
    if off:
        if share.range is None:
            raise Unknown(share.open) if share.open else u.unknown("nothing is known of a range")
        error += off * (share.range.magnitude + share.error)
    return Claim(error)


@rule("square")
def _square(u: Use) -> Claim:
    known, x = u.ranges[0], u.error(0)
    error = times(u, (x, x), (0, 0)) + (u.rounding() if u.clear else u.unit)
    return Claim(error, range=Interval(0.0, known.hi) if known is not None and known.lo < 0 else None)


@rule("matmul", "dot")
def _matmul(u: Use) -> float:
    if u.node.type.dtype.kind == "int" and not any(u.errors):
        return 0.0
    return _product(u, u.count(len(u.nodes[0].type.shape) - 1))


@rule("outer")
def _outer(u: Use) -> float:
    return _product(u, 1)


# -- quotients ---------------------------------------------------------------------------------


@rule("div")
def _div(u: Use) -> Claim:
    x, y = u.node.src
    rest = 1.0 if u.circuit[x].op == "mod" and u.circuit[x].src[1] == y else None
    return quotient(u, u.src[0], u.src[1], (x, y), rest)


# -- choices and comparisons -------------------------------------------------------------------


@rule("lt", "eq", "second_larger")
def _compare(u: Use) -> Claim:
    off = [s.unit * e for s, e in zip(u.src, u.errors, strict=True)]
    for k in (0, 1):
        if u.node.op == "lt" and u.nodes[k].op == "const" and u.nodes[1 - k].type.dtype.kind == "int":
            off[k] = 0.0  # made whole before anything is compared
    return Claim(0.0, near=sum(off))


@rule("and", "or", "xor", "not", "to_int")
def _logic(u: Use) -> float:
    return max(u.errors)


@rule("select")
def _select(u: Use) -> float:
    return max(u.errors[1:])


@rule("to_fixed")
def _to_fixed(u: Use) -> Claim:
    more = u.nodes[0].type.dtype.frac > u.node.type.dtype.frac
    # In the clear a number is rounded to the grid here.
    own = u.unit / 2 if u.clear and u.nodes[0].type.dtype.kind == "fixed" else u.unit if more else 0.0
    weight = u.src[0].weight
    return Claim(u.error(0) + own, weight=None if weight is None else weight._replace(more=weight.more + own))


@rule("units")
def _units(u: Use) -> float:
    """See also `Known.unit`."""
    return u.error(0) * math.ldexp(1.0, u.node["frac"]) + (0.5 if u.clear and not u.src[0].grid else 0.0)


@rule("of_units")
def _of_units(u: Use) -> Claim:
    found = nearest(u)
    if found is not None:
        return found
    weight, unit = u.src[0].weight, u.unit
    if weight is not None:
        known = None if weight.range is None else Interval(weight.range.lo * unit, weight.range.hi * unit)
        weight = Weight(weight.rows, weight.each * unit, known, weight.more * unit)
    return Claim(u.error(0) * unit, weight=weight)


@rule("noise")
def _noise(u: Use) -> float:  # noqa: ARG001
    """Noise is what it is: a result has the errors of what else goes into it."""
    return 0.0
