"""Orders, extremes and places: values are as exact as the operand; a place is right unless two are nearly equal."""

from __future__ import annotations

from mpc.accuracy.table import Claim, Use, rule

__all__: list[str] = []


@rule("max", "min", "sort", "top_k")
def _values(u: Use) -> float:
    """The k-th largest of numbers that are off by up to e is off by up to e, whichever it is."""
    return u.error(0)


@rule("argmax", "argmin", "argsort")
def _places(u: Use) -> Claim:
    return Claim(0.0, near=2 * u.error(0))


@rule("sort_by")
def _by_key(u: Use) -> Claim:
    return Claim(u.error(0), near=2 * u.error(1))


@rule("reorder", "take", "dynamic_slice")
def _at(u: Use) -> float:
    """What is taken from a wrong place may be anything that the array holds."""
    if u.error(1) == 0:
        return u.error(0)
    known = u.range(0)
    return known.hi - min(known.lo, 0.0)


@rule("inverse_order", "one_hot", "place", "digits", "run")
def _of_place(u: Use) -> float:
    if u.error(0) == 0:
        return 0.0
    if u.node.op not in ("inverse_order", "place"):
        return 1.0
    raise u.unknown("a place is computed from a number that has an error")
