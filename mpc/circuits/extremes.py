"""The largest and smallest along an axis, and where they are: exact, over the whole of every type.

A tournament of groups.  Within a group all pairs are compared at once; an element wins if it beats every other, of
equal ones the first, so that exactly one wins, and the winners' selection bits pick value and place.  A group of two is
the usual tree of maxima; larger groups make more comparisons in fewer rounds, and a level that has few elements left
can afford larger ones [Valiant, SIAM J. Comput. 4(3), 1975: maximum in log log n steps].  The group sizes follow from
the number of elements by the figures of `estimate`, so `max` and `argmax` of one array make the same comparisons, and
where a study asks for both they are made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.arithmetic import keep_bound
from mpc.circuits.axes import as_rows, reduced
from mpc.circuits.estimate import Work
from mpc.circuits.ordering import Keys, Places, all_of, at_all, keys, less, less_work
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import INT, Dim, Shape, Type, size_of

__all__ = ["argmax", "argmin", "groups", "largest", "smallest"]

SIZES = (2, 3, 4, 5, 6, 8, 11, 16, 23, 32, 45, 64)
"""Group sizes that are considered, beside one group of all that is left when that is not above ALL."""

ALL = 256


@cache
def groups(n: int, rows: int, width: int, at: int) -> tuple[int, ...]:
    """The group sizes, level by level, that find the extreme of n elements of `width` bits in each of `rows` rows.

    at: what a round counts in bytes.
    """
    return _plan(n, rows, width, at)[1]


@cache
def _plan(n: int, rows: int, width: int, at: int) -> tuple[float, tuple[int, ...]]:
    if n <= 1:
        return 0.0, ()
    best: tuple[float, tuple[int, ...]] | None = None
    for wanted in (*(size for size in SIZES if size < n), *((n,) if n <= ALL else ())):
        count = -(-n // wanted)
        size = -(-n // count)
        here = _level_work(size, less_work(width)).times(rows * count).weight(at)
        rest, sizes = _plan(count, rows, width, at)
        if best is None or here + rest < best[0]:
            best = here + rest, (size, *sizes)
    assert best is not None
    return best


def _level_work(size: int, comparison: Work) -> Work:
    """One group of `size`."""
    pairs, others = size * (size - 1) // 2, size - 1
    beats = Work(estimate.depth(others), estimate.AND.bytes * others * (others - 1))
    pick = estimate.TO_RING.times(others).then(estimate.MUL)
    return comparison.times(pairs).then(beats).then(pick)


def _tournament(x: Value, largest: bool) -> tuple[Value, Value]:
    """x (rows, n), n > 0: the extreme of each row, and its first place; both (rows,)."""
    b = low(x)
    rows, n = x.type.sizes
    field = keys(x)
    plan = groups(n, rows, field.width, b.round_bytes)
    place: Value | None = None
    for level, size in enumerate(plan):
        field, place = _level(field, place, size, largest, last=level == len(plan) - 1)
    if place is None:
        place = b.shared(b.const(np.zeros((rows, 1), np.int64)))
    value = b.know(field.x.reshape((rows,)), b.range(x))
    return value, b.know(place.reshape((rows,)), Interval(0, n - 1))


def _level(field: Keys, place: Value | None, size: int, largest: bool, *, last: bool) -> tuple[Keys, Value]:
    """Groups of `size` neighbours of (rows, n) become one each: (rows, n / size), rounded up.

    The last group is filled up by its last element, which as a later equal never wins.
    """
    b = low(field.x)
    n = field.x.type.sizes[1]
    count = -(-n // size)
    member = np.minimum(np.arange(count * size).reshape(count, size), n - 1)
    picks = b.emit("to_int", _beats_all(field, member, largest))
    value = _pick(field.x, member, picks)
    if place is None:
        # The places of a group follow one another, so the winner's is the first and its own within the group.
        within = b.emit("matmul", picks, b.const(np.arange(1, size)))
        place = within + b.const(member[:, 0])
    else:
        place = _pick(place, member, picks)
    negative = None
    if field.negative is not None and not last:
        # The largest is negative if all are; the smallest, if any is.
        each = field.at(member).negative
        assert each is not None
        negative = all_of(each) if largest else ~all_of(~each)
    return Keys(value, negative, field.width), place


def _beats_all(field: Keys, member: Places, largest: bool) -> Value:
    """Of each group's members but the first, whether it wins: BITS (rows, count, size - 1)."""
    b = low(field.x)
    rows = field.x.type.sizes[0]
    count, size = member.shape
    first, second = np.triu_indices(size, 1)
    left, right = field.at(member[:, first]), field.at(member[:, second])
    later = less(left, right) if largest else less(right, left)
    if size == 2:
        return later
    both = b.emit("concat", later, ~later, axis=2)
    number = np.zeros((size, size), np.int64)
    number[first, second] = np.arange(len(first)) + len(first)
    number[second, first] = np.arange(len(first))
    others = np.array([[j for j in range(size) if j != i] for i in range(1, size)])
    beaten = number[np.arange(1, size)[:, None], others]
    return all_of(at_all(both, beaten)).reshape((rows, count, size - 1))


def _pick(x: Value, member: Places, picks: Value) -> Value:
    """Of each group of x (rows, n) the one that is picked, (rows, count): the first where none of the others is."""
    b = low(x)
    rows = x.type.sizes[0]
    count, size = member.shape
    first = at_all(x, member[:, 0])
    others = at_all(x, member[:, 1:])
    step = b.on_shares("sub", (others, first.reshape((rows, count, 1))), {}, x.dtype, others.shape)
    row = picks.reshape((rows, count, 1, size - 1))
    column = step.reshape((rows, count, size - 1, 1))
    step = b.product("mul" if size == 2 else "matmul", row, column, 0, x.dtype).reshape((rows, count))
    return b.on_shares("add", (first, step), {}, x.dtype, step.shape)


# -- the operations ----------------------------------------------------------------------------


def _value(name: str) -> Any:
    def infer(types: Sequence[Type], attrs: Attrs) -> Signature:
        return reduced(name, types, attrs)

    return infer


def _place(name: str) -> Any:
    def infer(types: Sequence[Type], attrs: Attrs) -> Signature:
        return INT, reduced(name, types, attrs)[1]

    return infer


def _place_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    axis = attrs["axis"]
    n: Dim = size_of(types[0].shape) if axis is None else types[0].shape[axis]
    return Interval(0, n - 1) if isinstance(n, int) else None


def _shape(x: Value, axis: int | None, keepdims: bool) -> Shape:
    if axis is None:
        return (1,) * x.ndim if keepdims else ()
    return (*x.shape[:axis], *((1,) if keepdims else ()), *x.shape[axis + 1 :])


def _max_ref(x: Array, *, axis: int | None, keepdims: bool = False) -> Array:
    return np.asarray(np.max(x, axis=axis, keepdims=keepdims))


def _min_ref(x: Array, *, axis: int | None, keepdims: bool = False) -> Array:
    return np.asarray(np.min(x, axis=axis, keepdims=keepdims))


def _argmax_ref(x: Array, *, axis: int | None) -> Array:
    return np.asarray(np.argmax(x, axis=axis))


def _argmin_ref(x: Array, *, axis: int | None) -> Array:
    return np.asarray(np.argmin(x, axis=axis))


@op("max", infer=_value("max"), ref=_max_ref, bound=keep_bound)
def largest(x: Value, *, axis: int | None, keepdims: bool = False) -> Value:
    """The largest along an axis, or of all; exact."""
    return _tournament(as_rows(x, axis), largest=True)[0].reshape(_shape(x, axis, keepdims))


@op("min", infer=_value("min"), ref=_min_ref, bound=keep_bound)
def smallest(x: Value, *, axis: int | None, keepdims: bool = False) -> Value:
    """The smallest along an axis, or of all; exact."""
    return _tournament(as_rows(x, axis), largest=False)[0].reshape(_shape(x, axis, keepdims))


@op("argmax", infer=_place("argmax"), ref=_argmax_ref, bound=_place_bound)
def argmax(x: Value, *, axis: int | None) -> Value:
    """Where the largest is, the first of equal ones; among all elements in their order when axis is None."""
    return _tournament(as_rows(x, axis), largest=True)[1].reshape(_shape(x, axis, False))


@op("argmin", infer=_place("argmin"), ref=_argmin_ref, bound=_place_bound)
def argmin(x: Value, *, axis: int | None) -> Value:
    """Where the smallest is, the first of equal ones; among all elements in their order when axis is None."""
    return _tournament(as_rows(x, axis), largest=False)[1].reshape(_shape(x, axis, False))
