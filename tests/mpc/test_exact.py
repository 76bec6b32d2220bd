"""Whole numbers computed in the clear: as Python has them, or known not to fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.circuit import Array, Builder, Value
from mpc.circuits.relational_group import group_rows, group_totals
from mpc.exact import ELEMENTWISE, MOVES, Ranges, Unfit, certain, compute
from mpc.op import OverflowsError, catalogue
from mpc.plain import evaluate, outputs
from mpc.types import BOOL, INT, Fixed, Type

LEAST, MOST = -(2**63), 2**63 - 1
A = frozenset("a")

SMALL, ENDS = st.integers(-4, 4), st.integers(0, 3).flatmap(lambda k: st.sampled_from([LEAST + k, MOST - k]))
POWERS = st.builds(
    lambda k, d, s: max(LEAST, min(MOST, s * 2**k + d)), st.integers(0, 63), SMALL, st.sampled_from([1, -1])
)
NUMBER = st.one_of(SMALL, ENDS, POWERS, st.integers(LEAST, MOST))
NUMBERS = st.lists(NUMBER, min_size=1, max_size=6)
PAIRS = st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=6)


def once(op: str, *arrays: Array, **attrs: Any) -> Any:
    """What one owner gets of an operation: an array or `Unfit`, or a tuple."""
    b = Builder()
    kinds = {"b": BOOL, "i": INT, "f": Fixed()}
    src = [
        b.append("input", (), {"party": "a", "name": f"x{i}"}, Type(kinds[x.dtype.kind], x.shape, A), pure=False)
        for i, x in enumerate(arrays)
    ]
    out = b.emit(op, *src, **attrs)
    return compute(b.finish(), out.index, arrays)


def parts(value: Any) -> tuple[list[int], list[bool]]:
    """The entries, and which of them did not fit."""
    if isinstance(value, Unfit):
        return value.array.reshape(-1).tolist(), value.where.reshape(-1).tolist()
    return value.reshape(-1).tolist(), [False] * value.size


def hold(value: Any, exact: Sequence[int]) -> None:
    """Each entry is the exact number, or said not to fit because that number does not."""
    got, lost = parts(value)
    assert len(got) == len(exact)
    for g, bad, e in zip(got, lost, exact, strict=True):
        assert bad == (not LEAST <= e <= MOST), (g, e)
        assert bad or g == e


def ints(values: Sequence[int]) -> Array:
    return np.array(values, np.int64)


TWO: dict[str, Callable[[int, int], int]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "floordiv": lambda x, y: x // y if y else 0,
    "mod": lambda x, y: x % y if y else 0,
    "maximum": max,
}
ONE: dict[str, Callable[[int], int]] = {"neg": lambda x: -x, "abs": abs, "square": lambda x: x * x}


@pytest.mark.parametrize("op", TWO)
@settings(max_examples=300)
@given(pairs=PAIRS)
@pytest.mark.slow
def test_two_operands(op: str, pairs: list[tuple[int, int]]) -> None:
    xs, ys = zip(*pairs, strict=True)
    hold(once(op, ints(xs), ints(ys)), [TWO[op](x, y) for x, y in pairs])


@pytest.mark.parametrize("op", ONE)
@settings(max_examples=100)
@given(xs=NUMBERS)
def test_one_operand(op: str, xs: list[int]) -> None:
    hold(once(op, ints(xs)), [ONE[op](x) for x in xs])


@settings(max_examples=200)
@given(xs=NUMBERS, n=st.integers(0, 64))
def test_powers(xs: list[int], n: int) -> None:
    hold(once("power", ints(xs), n=n), [x**n for x in xs])


@settings(max_examples=300)
@given(xs=st.lists(NUMBER, min_size=1, max_size=40))
def test_sums(xs: list[int]) -> None:
    hold(once("sum", ints(xs), axis=0, keepdims=False), [sum(xs)])
    hold(once("sum", ints([*xs, *xs]).reshape(2, -1), axis=0, keepdims=True), [2 * x for x in xs])
    hold(once("cumsum", ints(xs), axis=0), [sum(xs[: i + 1]) for i in range(len(xs))])


@settings(max_examples=400)
@given(pairs=st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=8))
def test_products_of_arrays(pairs: list[tuple[int, int]]) -> None:
    """Of large terms that cancel too."""
    xs, ys = (list(side) for side in zip(*pairs, strict=True))
    hold(once("dot", ints(xs), ints(ys)), [sum(x * y for x, y in pairs)])
    hold(once("outer", ints(xs), ints(ys)), [x * y for x in xs for y in ys])
    turned = ints([*xs, *(min(-x, MOST) for x in xs)])
    exact = sum(x * y + min(-x, MOST) * y for x, y in pairs)
    hold(once("matmul", turned.reshape(1, -1), ints([*ys, *ys]).reshape(-1, 1)), [exact])


@settings(max_examples=200)
@given(rows=st.lists(st.tuples(st.booleans(), st.booleans(), NUMBER), min_size=1, max_size=9))
def test_sums_of_groups(rows: list[tuple[bool, bool, int]]) -> None:
    """Whatever stands behind the groups, or wraps on the way."""
    rows = sorted(rows, key=lambda r: not r[1])  # invisible rows come last
    new, visible, x = (np.array(side) for side in zip(*rows, strict=True))
    x = ints(x.tolist())
    new[0] = True
    (totals,) = once("group_totals", new, x)
    start = [max(k for k in range(i + 1) if new[k]) for i in range(len(x))]
    sums = {s: sum(int(v) for v, t in zip(x, start, strict=True) if t == s) for s in start}
    hold(totals, [sums[s] for s in start])
    (running,) = once("running_sums", new, x)
    hold(running, [sum(map(int, x[s : i + 1])) for i, s in enumerate(start)])
    there, added = once("group_rows", new, visible, x, how=("sum",))
    exact = [
        sum(int(v) for v, t, shown in zip(x, start, visible, strict=True) if t == s and shown)
        for s in sorted({s for s, shown in zip(start, visible, strict=True) if shown})
    ]
    got, lost = parts(added)
    n = int(there.sum())
    hold(Unfit(ints(got[:n]), np.array(lost[:n]), OverflowsError("", A, None)) if n else ints([]), exact)
    assert not any(lost[n:])
    counts, sums_ = once("bucket_sums", ints([0, 1] * len(x))[: len(x)], visible, x, n=2)
    hold(sums_, [sum(int(v) for v, shown in list(zip(x, visible, strict=True))[k::2] if shown) for k in (0, 1)])
    assert counts.sum() == visible.sum()


@settings(max_examples=200)
@given(xs=st.lists(st.floats(-(2.0**60), 2.0**60), min_size=1, max_size=5))
def test_units_of_floats(xs: list[float]) -> None:
    hold(once("units", np.array(xs), frac=16), [round(x * 65536) for x in xs])


@pytest.mark.parametrize("x", [np.nan, np.inf, -np.inf])
def test_units_of_what_is_no_number(x: float) -> None:
    assert parts(once("units", np.array([1.0, x]), frac=16))[1] == [False, True]


def test_a_mean_is_right_or_its_sum_does_not_fit() -> None:
    assert once("mean", ints([2**62, 2**61]), axis=None) == 3 * 2.0**60
    assert once("mean", ints([MOST, LEAST]), axis=None) == -0.5
    assert parts(once("mean", ints([MOST, MOST]), axis=None))[1] == [True]


def test_rows_of_zeros_fit() -> None:
    zeros = np.zeros(1000, np.int64)
    for op in TWO:
        assert parts(once(op, zeros, zeros))[1] == [False] * 1000


# -- what depends on it ------------------------------------------------------------------------


def told(study: Callable[[Builder, Value], Value], x: Sequence[int]) -> Array:
    """What a study in the clear reveals."""
    b = Builder()
    value = b.append("input", (), {"party": "a", "name": "x"}, Type(INT, (len(x),), A), pure=False)
    out = study(b, value)
    b.append("reveal", (out,), {"to": None, "name": "y", "column": ""}, out.type, pure=False)
    circuit = b.finish()
    return outputs(circuit, evaluate(circuit, {("a", "x", ""): ints(x)}))["y", ""]


BIG = 2**40


def test_only_what_is_used_is_an_error() -> None:
    small = lambda b, x: x < 100  # noqa: E731
    chosen = told(lambda b, x: b.emit("select", small(b, x), x * x, b.const(0)), [3, BIG])
    assert chosen.tolist() == [9, 0]
    assert told(lambda b, x: (x * x)[:1], [3, BIG]).tolist() == [9]
    assert told(lambda b, x: small(b, x) & (x * x < 10), [3, BIG]).tolist() == [True, False]
    assert told(lambda b, x: ~small(b, x) | (x * x < 10), [3, BIG]).tolist() == [True, True]
    with pytest.raises(OverflowsError):
        told(lambda b, x: x * x, [3, BIG])
    with pytest.raises(OverflowsError):
        told(lambda b, x: b.emit("select", small(b, x), b.const(0), x * x), [3, BIG])
    with pytest.raises(OverflowsError):
        told(lambda b, x: x * x < 10, [3, BIG])
    with pytest.raises(OverflowsError):
        told(lambda b, x: (x * x).to_fixed(), [3, BIG])
    with pytest.raises(OverflowsError):
        told(lambda b, x: b.emit("sort", x * x, axis=0), [3, BIG])


def moved(b: Builder, x: Value, at: int) -> Value:
    order = b.emit("sub", b.const(0), x)
    _, rows = b.emit_many("sort_rows", order, x * x, keys=1, descending=(False,))
    return rows[at : at + 1]


def test_rows_that_are_moved_take_it_along() -> None:
    assert told(lambda b, x: moved(b, x, 1), [3, BIG]).tolist() == [9]
    with pytest.raises(OverflowsError):
        told(lambda b, x: moved(b, x, 0), [3, BIG])


def test_rows_that_are_shuffled_take_it_along() -> None:
    def study(b: Builder, x: Value) -> Value:
        small, rows = b.emit_many("shuffle_rows", x < 100, x * x)
        return b.emit_many("front_rows", small, rows)[1][:3]

    assert sorted(told(study, [BIG, 2, 3, BIG, 4]).tolist()) == [4, 9, 16]
    with pytest.raises(OverflowsError):
        told(study, [BIG, 2, 3, BIG])


def test_what_is_known_of_operations_is_of_some_that_there_are() -> None:
    assert catalogue().keys() >= ELEMENTWISE | MOVES.keys()


def test_ranges_that_are_remembered_are_those_of_the_arrays() -> None:
    """Long arrays are measured once, and anew where what follows from operands shows too little."""
    x = np.arange(1 << 17, dtype=np.int64)
    ranges, b = Ranges(), Builder()
    value = b.append("input", (), {"party": "a", "name": "x"}, Type(INT, x.shape, A), pure=False)
    nothing = value - value
    large, beyond = nothing * value, value * value
    circuit = b.finish()
    less = compute(circuit, nothing.index, [x, x], ranges)
    assert ranges.of(less) == (-(x.size - 1), x.size - 1)
    assert not compute(circuit, large.index, [less, x << 40], ranges).any()
    assert ranges.of(less) == (0, 0)
    last = compute(circuit, beyond.index, [x << 40, x], ranges)
    assert isinstance(last, Unfit)
    assert last.where.tolist() == [k * k << 40 > MOST for k in range(x.size)]


def test_sums_of_groups_of_rows_that_fit() -> None:
    def study(b: Builder, x: Value, at: int) -> Value:
        new = b.const([True, True, False])
        return group_totals(new, x * x)[0][at : at + 1]

    assert told(lambda b, x: study(b, x, 2), [BIG, 3, 4]).tolist() == [25]
    with pytest.raises(OverflowsError):
        told(lambda b, x: study(b, x, 0), [BIG, 3, 4])

    def rows(b: Builder, x: Value, how: str, at: int) -> Value:
        new, seen = b.const([True, True, False]), b.const([True, True, True])
        return group_rows(new, seen, x * x, how=(how,))[1][at : at + 1]

    assert told(lambda b, x: rows(b, x, "last", 1), [BIG, 3, 4]).tolist() == [16]
    with pytest.raises(OverflowsError):
        told(lambda b, x: rows(b, x, "last", 0), [BIG, 3, 4])


def test_the_error_says_where_it_was_computed() -> None:
    b = Builder()
    x = b.append("input", (), {"party": "a", "name": "x"}, Type(INT, (2,), A), pure=False)
    from mpc.circuit import Origin

    with b.at(Origin("s", 3, 7)):
        product = x * x
    later = product + 1
    circuit = b.finish()
    arrays = ints([3, BIG])
    first = compute(circuit, product.index, [arrays, arrays])
    with pytest.raises(OverflowsError) as caught:
        certain(compute(circuit, later.index, [first, np.asarray(1)]))
    assert (caught.value.op, caught.value.viewers, caught.value.origin) == ("mul", A, Origin("s", 3, 7))


def test_numbers_that_are_meant_to_wrap() -> None:
    def spread(b: Builder, x: Value) -> Value:
        w = b.emit("wrapping", x)
        return (w * x).sum(axis=0) - b.emit("wrapping", x[0] + 2) * (x[0] + 2) - x[0] * w[0] + 0

    low = 2**61
    exact = low**2 + (low + 1) ** 2 - (low + 2) ** 2 - low**2
    assert told(spread, [low, low + 1]).item() == (exact + 2**63) % 2**64 - 2**63
    with pytest.raises(OverflowsError):
        told(lambda b, x: (x * x).sum(axis=0), [low, low + 1])
