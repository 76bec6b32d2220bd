"""Moving elements: nothing is lost."""

from __future__ import annotations

import math

from mpc.accuracy.table import Claim, Use, rule
from mpc.op import Interval

__all__: list[str] = []


@rule("reshape", "broadcast_to")
def _alike(u: Use) -> Claim:
    return Claim(u.error(0), weight=u.src[0].weight)


@rule("slice")
def _slice(u: Use) -> Claim:
    weight, parts = u.src[0].weight, u.node["parts"]
    if weight is not None:  # with what is sliced likewise it still goes together
        weight = weight._replace(rows=frozenset((*r, parts) for r in weight.rows))
    return Claim(u.error(0), weight=weight)


@rule("transpose", "open", "variable", "carried", "shuffle", "keep", "wrapping")
def _moved(u: Use) -> float:
    return u.error(0)


@rule("within")
def _within(u: Use) -> Claim:
    """What is computed is said to lie there; what is exact lies near it."""
    lo, hi, e = u.node["lo"], u.node["hi"], u.error(0)
    known = Interval(-math.inf, math.inf) if lo is None else Interval(lo - e, hi + e)
    return Claim(e, range=known, of=0)


@rule("concat")
def _concat(u: Use) -> float:
    return max(u.errors)


@rule("update", "dynamic_update")
def _update(u: Use) -> float:
    return max(u.error(0), u.error(1) + _coarser(u, 1))


def _coarser(u: Use, k: int) -> float:
    """A unit where a number goes into an array of fewer fraction bits."""
    fewer = not u.clear and u.nodes[k].type.dtype.frac > u.node.type.dtype.frac
    return u.unit if fewer else 0.0
