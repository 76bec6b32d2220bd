"""Operations of queries and on texts: values are moved, counted and added up exactly; keys are compared.

What decides where rows go (keys, flags) bears on all results, a column on its own alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpc.accuracy.steps import masked
from mpc.accuracy.table import DOUBLE, Claim, Reason, Unknown, Use, Weight, rule
from mpc.circuits.relational_columns import gathered
from mpc.op import Interval

__all__: list[str] = []

Several = list[Claim | Reason]


@rule("text_less", "text_like", "text_cut", "text_trim", "text_concat", "text_case", "text_length", "text_place")
def _text(u: Use) -> float:
    """Texts are whole numbers."""
    return max(u.errors)


@rule("row_number")
def _number(u: Use) -> float:
    return u.error(0)


def _apart(u: Use, keys: Sequence[int]) -> float:
    """How near keys may lie for it to go wrong when they are compared with one another: both are off.  Raises Unknown.

    Flags among them, and conditions of what they are made from, count too.
    """
    return max((max(2 * u.error(k), u.src[k].near) for k in keys), default=0.0)


def _these(u: Use, operands: Sequence[int], near: float) -> Several:
    """Operands, moved."""
    return [_one(u, k, near) for k in operands]


def _one(u: Use, k: int, near: float) -> Claim | Reason:
    try:
        return Claim(u.error(k), near, of=k)
    except Unknown as unknown:
        return unknown.reason


@rule("group_starts", "duplicates", "match_rows")
def _starts(u: Use) -> Claim:
    return Claim(0.0, _apart(u, range(len(u.src))))


@rule("sort_rows")
def _sorted(u: Use) -> Several:
    """What a row is put behind depends on its keys.  Of the keys themselves, sorted numbers are as exact as before,
    unless a more important one is not."""
    keys = u.node["keys"]
    alone = [_one(u, k, _apart(u, range(k))) for k in range(keys)]
    return [*alone, *_these(u, range(keys, len(u.src)), _apart(u, range(keys)))]


@rule("shuffle_rows")
def _shuffled(u: Use) -> Several:
    return _these(u, range(len(u.src)), 0.0)


@rule("front_rows")
def _front(u: Use) -> Several:
    return _these(u, range(len(u.src)), _apart(u, [0]))


@rule("copy_down", "group_last", "running_extremes")
def _down(u: Use) -> Several:
    return _these(u, range(1, len(u.src)), _apart(u, [0]))


@rule("expand_rows")
def _expanded(u: Use) -> Several:
    near = _apart(u, [0])
    taken = Claim(0.0, near, Interval(0, u.node["rows"]), of=0)
    return [taken, taken, *_these(u, range(1, len(u.src)), near), taken]


@rule("lookup_rows")
def _lookup(u: Use) -> Several:
    payload = range(u.node["keys"] + 1, u.node["keys"] + 1 + u.node["payload"])
    return _joined(u, payload)


@rule("join_rows")
def _join(u: Use) -> Several:
    keys, left = u.node["keys"], u.node["left"]
    there = keys + 1 + left
    out = _joined(u, [*range(keys + 1, there), *range(there + keys + 1, len(u.src))])
    return [*out, out[0]]


def _joined(u: Use, payload: Sequence[int]) -> Several:
    """Which rows there are, and the operands that are moved; the others are keys and flags."""
    near = _apart(u, [k for k in range(len(u.src)) if k not in payload])
    return [Claim(0.0, near, Interval(0, 1), of=0), *_these(u, payload, near)]


# -- sums of groups ----------------------------------------------------------------------------


def _sum(u: Use, k: int, near: float) -> Claim | Reason:
    """A group's sum of operand k: no group has more rows than there are."""
    try:
        weight = masked(u, u.node.src[k], (u.index,), u.src[k])
        floats = u.clear and u.nodes[k].type.dtype.kind == "fixed"
        n = u.count(0) if u.error(k) or floats else 0
        own = n * n * u.size(k) * DOUBLE if floats else 0.0
        return Claim(n * u.error(k) + own, near, _added(u, u.src[k].range), weight._replace(more=own), of=k)
    except Unknown as unknown:
        return unknown.reason


def _added(u: Use, known: Interval | None) -> Interval:
    n = u.nodes[0].type.shape[0]
    if known is None or not isinstance(n, int):
        return Interval(-math.inf, math.inf)
    return Interval(min(known.lo * n, 0.0), max(known.hi * n, 0.0))


def _size(u: Use, near: float) -> Claim:
    """The number of rows of a group."""
    weight = Weight(frozenset([(u.index, "all")]), 0.0, Interval(0, 1), number=True)
    return Claim(0.0, near, _added(u, Interval(0, 1)), weight, of=0)


@rule("group_rows")
def _groups(u: Use) -> Several:
    near = _apart(u, [0, 1])
    out: Several = [Claim(0.0, near, Interval(0, 1), of=0)]
    k = 2
    for how in u.node["how"]:
        if how == "size":
            out.append(_size(u, near))
            continue
        out.append(_sum(u, k, near) if how == "sum" else _one(u, k, near))
        k += 1
    return out


@rule("gather_rows")
def _gathered(u: Use) -> Several:
    columns = gathered(u.node)
    others = [k for k in range(len(u.src)) if k not in columns]
    near = _apart(u, others)
    out: Several = [_size(u, near)]
    for k, how in zip(columns, u.node["how"], strict=True):
        out.append(_sum(u, k, near) if how == "sum" else _one(u, k, near))
    return out


@rule("group_totals")
def _totals(u: Use) -> Several:
    near = _apart(u, [0])
    return [_sum(u, k, near) for k in range(1, len(u.src))]


@rule("running_sums")
def _running(u: Use) -> Several:
    """Of some rows of a group; what they are the mean of is not followed."""
    found = _totals(u)
    return [one._replace(weight=None) if isinstance(one, Claim) else one for one in found]


@rule("bucket_sums")
def _buckets(u: Use) -> Several:
    near = _apart(u, [0, 1])
    return [_size(u, near), *(_sum(u, k, near) for k in range(2, len(u.src)))]
