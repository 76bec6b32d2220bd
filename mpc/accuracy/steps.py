"""Quotients: one, one of a sum by the number of its rows, and one in two steps, the whole part first.

A mean of rows is no less exact than each of them, however many there are; by its sum's error alone it would be, where a
group may be a single row.  So a sum over rows bears which rows (`Weight`), and their number too.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.accuracy.table import DOUBLE, Claim, Known, Unknown, Use, Weight, going_in
from mpc.circuit import Node
from mpc.circuits.relational_columns import moved_from
from mpc.op import Interval, find

__all__ = ["PUBLIC", "least", "masked", "nearest", "quotient", "root", "two_steps"]

PUBLIC, SECRET = 2.0**-29, 2.0**-22
"""What a quotient is off by, relative to it: by a public divisor, and by a secret one."""


def least(known: Interval, *, whole: bool) -> float:
    """The least magnitude in an interval, without 0 where the numbers are whole: a quotient by 0 is 0 by definition."""
    if known.lo <= 0 <= known.hi:
        return 1.0 if whole else 0.0
    return min(abs(known.lo), abs(known.hi))


def _whole(u: Use, index: int) -> bool:
    """Whether the numbers of a node are whole by its type, perhaps as `fixed`."""
    node = u.circuit[index]
    while node.op in ("to_fixed", "reshape", "broadcast_to", "slice"):
        node = u.circuit[node.src[0]]
    return node.type.dtype.kind != "fixed"


def quotient(u: Use, x: Known, y: Known, at: Sequence[int], rest: float | None = None) -> Claim:
    """x / y of the nodes `at`.

    rest: the largest magnitude of what `div` itself computes, where that is known by its making.  Raises Unknown.
    """
    record, divisor = find("div"), u.circuit[at[1]]
    public = divisor.op == "const" and not divisor.type.shape
    dividend = u.circuit[at[0]]
    one = dividend.op == "const" and bool((dividend["value"].array == 1).all())  # then it is `reciprocal`
    relative = 4 * DOUBLE if u.floats else PUBLIC if public else record.relative if one else SECRET
    own = 0.0 if u.floats else record.tolerance * u.rough
    assert x.error is not None
    assert y.error is not None
    below = 0.0 if public and divisor.type.public else y.error  # a public divisor is inverted as it is
    whole = y.error == 0 and _whole(u, at[1])
    rows, number = x.weight, y.weight
    among = rows is not None and number is not None and rows.rows == number.rows and number.number and y.error == 0
    if among and rows is not None and rows.range is not None:
        mean = Interval(min(rows.range.lo, 0.0), max(rows.range.hi, 0.0))
        error = rows.each + rows.more + own + relative * (mean.magnitude if rest is None else rest)
        return Claim(error, range=Interval(mean.lo - error, mean.hi + error))
    if y.range is None and not whole:
        raise Unknown(y.open) if y.open else u.unknown("nothing is known of the range of the divisor")
    m = 1.0 if y.range is None else least(y.range, whole=whole)
    if m == 0:
        raise u.unknown("the divisor may be 0, or as near to it as one likes")
    if x.range is None:
        if rest is None or below:
            raise Unknown(x.open) if x.open else u.unknown("nothing is known of the range of the dividend")
        return Claim(x.error / m + own + relative * rest)
    size = x.range.magnitude / m
    error = (x.error + size * below) / m + own + relative * (size if rest is None else rest)
    return Claim(error, range=Interval(-size - error, size + error))


def two_steps(u: Use) -> Claim | None:
    """floor(x / y) + (x mod y) / y: what the two steps are off by cancels."""
    whole, part = (_before_cast(u, i) for i in u.node.src)
    rest = _divided(u, part)
    if whole.op != "floordiv" or rest is None or rest.op != "mod" or rest.src != whole.src:
        return None
    x, y = (u.values[i][0] if u.clear else going_in(u.values[i][0], u.circuit[i]) for i in whole.src)
    if x.error is None or y.error is None:
        return None
    return quotient(u, x, y, whole.src, rest=1.0)


def nearest(u: Use) -> Claim | None:
    """The unit nearest to x / y, as floor((2 x units + y) / 2 y)."""
    below = u.circuit[u.node.src[0]]
    above, twice = (u.circuit[i] for i in below.src) if below.op == "floordiv" else (below, below)
    units = u.circuit[above.src[0]] if above.op == "add" else above
    if (above.op, units.op, twice.op) != ("add", "mul", "mul") or twice.src[0] != above.src[1]:
        return None
    at = (units.src[0], above.src[1])
    x, y = (u.values[i][0] for i in at)
    return None if x.error is None or y.error is None else quotient(u, x, y, at, rest=1.0)


def _divided(u: Use, part: Node) -> Node | None:
    """What is divided by its own divisor: by `div`, or as r in the nearest unit, floor((2 r + y) / 2 y)."""
    if part.op == "div":
        rest = u.circuit[part.src[0]]
        return rest if rest.op == "mod" and rest.src[1] == part.src[1] else None
    for op in ("of_units", "floordiv", "add", "mul"):
        if part.op != op:
            return None
        part = u.circuit[part.src[0]]
    return part


def _before_cast(u: Use, index: int) -> Node:
    node = u.circuit[index]
    while node.op == "to_fixed":
        node = u.circuit[node.src[0]]
    return node


# -- which rows --------------------------------------------------------------------------------


def root(u: Use, index: int) -> tuple[int, ...]:
    """The node whose rows these are, and what moved them."""
    moved: list[int] = []
    while True:
        node = u.circuit[index]
        if node.op == "item":
            came = moved_from(u.circuit[node.src[0]], node["index"])
            if came is None:
                break
            moved.append(node.src[0])
            index = u.circuit[node.src[0]].src[came]
        elif node.op == "and" and (other := _beside_true(u, node)) is not None:
            index = other
        else:
            break
    return (index, *moved)


def _beside_true(u: Use, node: Node) -> int | None:
    for k in (0, 1):
        one = u.circuit[node.src[k]]
        if one.op == "const" and one["value"].array.all():
            return node.src[1 - k]
    return None


def masked(u: Use, index: int, among: tuple[object, ...], known: Known) -> Weight:
    """The rows of a column that are added up: those that a mask lets in, of a truth value where it holds, else all.

    What a mask keeps out is 0, and no error.
    """
    at, *moved = root(u, index)
    count = True
    while u.circuit[at].op in ("units", "to_fixed"):
        count = count and u.circuit[at].op == "to_fixed"
        at, *before = root(u, u.circuit[at].src[0])
        moved = [*before, *moved]
    node = u.circuit[at]
    mask = None
    if node.op == "select" and u.circuit[node.src[2]].op == "const" and not u.circuit[node.src[2]]["value"].array.any():
        mask, count = node.src[0], False
    elif node.op == "mul":
        inner = (i for i in node.src if u.circuit[i].op == "to_int")
        mask, count = next((u.circuit[i].src[0] for i in inner), None), False
    elif node.op == "to_int":
        mask = node.src[0]
    elif node.type.dtype.kind == "bool":
        mask = at
    else:
        count = False
    which = ("all",) if mask is None else (*root(u, mask), *moved)
    return Weight(frozenset([(*among, *which)]), known.error or 0.0, known.range, number=count)
