"""Extremes, sorting, shuffling, secret positions and means: against NumPy, on every scheme, at their declared cost."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from order_run import PLACES, agree, private, run, study
from uniform_draws import Sample, assert_uniform

from mpc.circuit import Array, Builder, Circuit, Value
from mpc.circuits import extremes
from mpc.circuits.aggregate import mean
from mpc.circuits.extremes import argmax, argmin, groups, largest, smallest
from mpc.circuits.moving import inverse_order, reorder, shuffle
from mpc.circuits.one_hot import one_hot
from mpc.circuits.ordering import WIDE
from mpc.circuits.radix import digits, radix
from mpc.circuits.sort import argsort, sort, sort_by, top_k
from mpc.engine import Engine
from mpc.link import NEAR
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.lowerer import Lowerer
from mpc.op import OutsideError, find
from mpc.protocols import SCHEMES
from mpc.schedule import schedule
from mpc.simulate import pair_keys, simulate
from mpc.types import BOOL, INT, Fixed, ShapeError, Size, Type, TypeRuleError, count

ENDS = np.iinfo(np.int64)
FIXED_END = 2.0**45
MANY = 700
"""So many elements are sorted by digits, whatever their width."""

everywhere = pytest.mark.parametrize("where", list(PLACES))
few = settings(max_examples=12)


def integers(rng: np.random.Generator, *shape: int, ends: bool = True) -> Array:
    """Whole numbers over the whole type, with both ends and some equal ones among them."""
    x = rng.integers(ENDS.min, ENDS.max, shape, np.int64, endpoint=True)
    if ends and x.size > 3:
        x.flat[:4] = [ENDS.max, ENDS.min, x.flat[-1], ENDS.min]
        rng.shuffle(x.reshape(-1))
    return x


def fixed(rng: np.random.Generator, *shape: int, end: float = FIXED_END) -> Array:
    """Numbers on the grid of 16 fraction bits."""
    return np.rint(rng.uniform(-end, end, shape) * 2**16) / 2**16


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    n = int(np.prod(shape))
    kind = draw(st.sampled_from(["int", "small", "fixed", "near"]))
    element: st.SearchStrategy[Any] = {
        "int": st.integers(ENDS.min, ENDS.max) | st.sampled_from([ENDS.min, ENDS.max, 0, -1]),
        "small": st.integers(-2, 2),
        "fixed": st.integers(-(2**61), 2**61).map(lambda units: float(np.rint(units / 2.0**10) / 2.0**6)),
        "near": st.integers(-2, 2).map(lambda units: units / 2.0**16),
    }[kind]
    dtype = np.int64 if kind in ("int", "small") else np.float64
    return np.array(draw(st.lists(element, min_size=n, max_size=n)), dtype).reshape(shape)


# -- extremes ----------------------------------------------------------------------------------


@everywhere
@few
@given(x=arrays(), data=st.data())
def test_extremes_along_any_axis(where: str, x: Array, data: st.DataObject) -> None:
    axis = data.draw(st.none() | st.integers(0, x.ndim - 1))
    keep = data.draw(st.booleans())

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        pair = [largest(v[0], axis=axis, keepdims=keep), smallest(v[0], axis=axis, keepdims=keep)]
        return [*pair, argmax(v[0], axis=axis), argmin(v[0], axis=axis)]

    got = agree(compute, [x], where).got
    np.testing.assert_array_equal(got[0], np.max(x, axis=axis, keepdims=keep))
    np.testing.assert_array_equal(got[3], np.argmin(x, axis=axis))


@pytest.mark.parametrize("n", [2, 3, 17, 100, 257, 1000])
@pytest.mark.parametrize("kind", ["int", "fixed", "ties"])
def test_extremes_of_longer_arrays(n: int, kind: str) -> None:
    rng = np.random.default_rng(n)
    x = {"int": integers(rng, n), "fixed": fixed(rng, n), "ties": rng.integers(0, 3, n)}[kind]
    agree(lambda b, v: [f(v[0], axis=0) for f in (largest, smallest, argmax, argmin)], [x])


@pytest.mark.parametrize("within", [(-5, 5), (10**12, 10**12 + 200), (ENDS.min, ENDS.max), (ENDS.min, 0), (7, 7)])
def test_extremes_within_a_declared_range(within: tuple[int, int]) -> None:
    x = np.random.default_rng(3).integers(*within, 40, np.int64, endpoint=True)
    x[:2] = within
    known = agree(lambda b, v: [largest(v[0], axis=0), argmin(v[0], axis=0)], [x], ranges=[within])
    unknown = run(lambda b, v: [largest(v[0], axis=0), argmin(v[0], axis=0)], [x])
    assert known.bytes <= unknown.bytes


def test_a_declared_range_makes_comparisons_cheaper() -> None:
    x = np.arange(64) % 5
    known = agree(lambda b, v: [largest(v[0], axis=0)], [x], ranges=[(0, 7)])
    assert known.bytes < run(lambda b, v: [largest(v[0], axis=0)], [x]).bytes / 3


def comparisons(compute: Any, *arrays: Array) -> int:
    """How many signs are taken in all."""
    circuit = lower(study(compute, list(arrays))[0], ("a", "b", "c")).circuit
    return sum(count(node.type.shape) for _, node in circuit if node.op == "ltz")


def test_largest_and_its_place_share_their_comparisons() -> None:
    x = np.arange(30.0)
    alone = comparisons(lambda b, v: [largest(v[0], axis=0)], x)
    assert comparisons(lambda b, v: [largest(v[0], axis=0), argmax(v[0], axis=0)], x) == alone


def test_few_elements_take_one_comparison_in_depth() -> None:
    x = np.arange(10.0)
    one = run(lambda b, v: [v[0] < 3.0], [x]).rounds
    assert run(lambda b, v: [largest(v[0], axis=0)], [x]).rounds <= one + 7


@pytest.mark.parametrize(("n", "rows"), [(1, 1), (2, 1), (9, 1), (1000, 1), (10**6, 1), (10, 10**5), (300, 7)])
def test_groups_leave_one(n: int, rows: int) -> None:
    left = n
    for size in groups(n, rows, WIDE, NEAR):
        assert 2 <= size <= max(extremes.ALL, *extremes.SIZES)
        left = -(-left // size)
    assert left == 1


def test_many_rows_prefer_few_comparisons() -> None:
    assert groups(8, 1, 64, NEAR) == (8,)
    assert groups(8, 10**6, 64, NEAR)[0] == 2


# -- sorting -----------------------------------------------------------------------------------


@everywhere
@few
@given(x=arrays(), data=st.data())
def test_sorting_along_any_axis(where: str, x: Array, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, x.ndim - 1))
    k = data.draw(st.integers(0, x.shape[-1]))

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [sort(v[0], axis=axis), argsort(v[0], axis=axis), top_k(v[0], k=k)]

    got = agree(compute, [x], where).got
    np.testing.assert_array_equal(got[0], np.sort(x, axis=axis))
    np.testing.assert_array_equal(got[2], np.sort(x)[..., ::-1][..., :k])


def used(compute: Any, arrays: Sequence[Array], ranges: Any = None) -> Counter[str]:
    circuit = lower(study(compute, arrays, ranges)[0], ("a", "b", "c")).circuit
    return Counter(node.op for _, node in circuit)


@everywhere
@pytest.mark.parametrize("kind", ["int", "fixed", "bool", "ties"])
def test_radix_sort(where: str, kind: str) -> None:
    rng = np.random.default_rng(5)
    n = MANY
    x = {
        "int": integers(rng, n),
        "fixed": fixed(rng, n),
        "bool": rng.integers(0, 2, n).astype(bool),
        "ties": rng.integers(-2, 3, n),
    }[kind]

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [sort(v[0], axis=0), argsort(v[0], axis=0)]

    assert used(compute, [x])["ltz"] == 0
    agree(compute, [x], where)


@pytest.mark.parametrize("within", [(0, 1), (0, 7), (-3, 4), (-128, 127), (10**15, 10**15 + 5), (9, 9), (0, 2**40)])
@pytest.mark.parametrize("n", [2, 20, 300])
def test_sorting_within_a_declared_range(within: tuple[int, int], n: int) -> None:
    x = np.random.default_rng(n).integers(*within, n, np.int64, endpoint=True)
    x[:2] = within
    agree(lambda b, v: [sort(v[0], axis=0), argsort(v[0], axis=0)], [x], ranges=[within])


@pytest.mark.parametrize("within", [(-1.0, 1.0), (0.0, 2.0**-16), (-1000.5, -1000.25)])
def test_sorting_fixed_within_a_declared_range(within: tuple[float, float]) -> None:
    rng = np.random.default_rng(2)
    x = np.rint(rng.uniform(*within, 90) * 2**16) / 2**16
    x[:2] = within
    agree(lambda b, v: [sort(v[0], axis=0), argsort(v[0], axis=0)], [x], ranges=[within])


def test_many_rows_are_sorted_each_for_itself_by_digits() -> None:
    x = np.random.default_rng(4).integers(0, 4, (6, 200))

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [sort(v[0], axis=1), sort(v[0], axis=0), argsort(v[0], axis=1)]

    agree(compute, [x], ranges=[(0, 3)])


@everywhere
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", ["int", "fixed", "bool", "narrow"])
def test_rows_by_their_keys(where: str, key: str, descending: bool) -> None:
    rng = np.random.default_rng(11)
    n = 40
    keys, within = {
        "int": (integers(rng, n), None),
        "fixed": (fixed(rng, n, end=2), None),
        "bool": (rng.integers(0, 2, n).astype(bool), None),
        "narrow": (rng.integers(0, 6, n), (0, 5)),
    }[key]
    columns = [integers(rng, n), fixed(rng, n, 3), rng.integers(0, 2, (n, 5)).astype(bool)]

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [sort_by(x, v[0], descending=descending) for x in v[1:]]

    got = agree(compute, [keys, *columns], where, [within, None, None, None]).got
    order = np.argsort(-keys if key != "bool" and key != "int" else keys, kind="stable")
    if descending and key in ("fixed", "narrow"):
        np.testing.assert_array_equal(got[0], columns[0][order])


@pytest.mark.parametrize(("within", "back"), [((0, 63), True), (None, False)])
def test_wide_rows_travel_once(within: tuple[int, int] | None, back: bool) -> None:
    """By radix sort their numbers are sorted in their stead, and fetch them at the end; compared rows move first."""
    rng = np.random.default_rng(6)
    keys, rows = rng.integers(0, 64, MANY), fixed(rng, MANY, 80)

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [sort_by(v[1], v[0])]

    agree(compute, [keys, rows], ranges=[within, None])
    lowered = lower(study(compute, [keys, rows], [within, None])[0], ("a", "b", "c")).circuit
    moves = [node for _, node in lowered if node.op == "permute" and node.type.shape == (MANY, 80)]
    assert [node["inverse"] for node in moves] == [back]


def test_narrow_rows_travel_themselves() -> None:
    keys, flags = np.arange(MANY) % 64, np.arange(MANY) % 3 == 0
    counted = used(lambda b, v: [sort_by(v[1], v[0])], [keys, flags], [(0, 63), None])
    assert counted["open"] == len(digits(6, 3)) + 1


def test_public_keys_cost_nothing() -> None:
    x, keys = np.arange(6.0), np.array([3, 1, 2, 1, 0, 3])
    plain = run(lambda b, v: [v[0]], [x])
    outcome = agree(lambda b, v: [b.emit("sort_by", v[0], b.const(keys))], [x])
    assert (outcome.rounds, outcome.bytes) == (plain.rounds, plain.bytes)


def test_public_rows_by_secret_keys() -> None:
    keys = np.array([3, 1, 2, 1, 0, 3])
    agree(lambda b, v: [b.emit("sort_by", b.const(np.arange(12).reshape(6, 2)), v[0])], [keys])


@pytest.mark.parametrize(("n", "k"), [(50, 1), (50, 50), (300, 3), (3000, 5), (3000, 40), (2000, 1500)])
def test_the_largest_of_many(n: int, k: int) -> None:
    rng = np.random.default_rng(n + k)
    agree(lambda b, v: [top_k(v[0], k=k)], [integers(rng, n)])


def test_few_of_many_cost_less_than_sorting() -> None:
    x = np.random.default_rng(1).permutation(4000)
    whole = run(lambda b, v: [sort(v[0], axis=0)], [x])
    top = agree(lambda b, v: [top_k(v[0], k=4)], [x])
    assert top.bytes < whole.bytes
    assert top.rounds < whole.rounds


def test_equal_elements_and_single_ones() -> None:
    for x in (np.zeros(30, np.int64), np.full((4, 1), 2.5), np.array([7])):
        agree(lambda b, v: [sort(v[0], axis=0), argsort(v[0], axis=0), largest(v[0], axis=0)], [x])


@pytest.mark.parametrize("width", range(1, 65))
def test_digits_make_up_the_key(width: int) -> None:
    assert sum(digits(width, 3)) == width
    assert set(digits(width, 3)) <= {1, 2, 3}


# -- what is opened ----------------------------------------------------------------------------


def lowered_study(compute: Any, x: Array) -> tuple[Circuit, dict[str, dict[tuple[str, str], Array]]]:
    circuit, inputs = study(compute, [x])
    return lower(circuit, PLACES["rep3"].nodes).circuit, inputs


def opened_orders(
    lowered: Circuit, inputs: dict[str, dict[tuple[str, str], Array]], runs: int
) -> list[list[tuple[int, ...]]]:
    """For every order that the nodes open inside: what it was, run by run."""
    places = PLACES["rep3"]
    at = tuple(node.src[0] for _, node in lowered if node.op == "inverse_order")
    assert all(lowered.nodes[i].op == "decode" for i in at)
    at += tuple(i for i, node in lowered if node.op == "order")
    assert at
    timetable = schedule(replace(lowered, results=at), places, SCHEMES["rep3"])
    seen: list[list[tuple[int, ...]]] = [[] for _ in at]
    for _ in range(runs):
        keys = pair_keys(3)
        engines = [
            Engine(timetable, places.seat(i, keys[i]), inputs.get(name, {})) for i, name in enumerate(places.names)
        ]
        reports, _ = lockstep([e.run() for e in engines])
        for orders, i in zip(seen, at, strict=True):
            orders.append(tuple(reports[1].kept[i].tolist()))
    return seen


def counted(orders: Sequence[tuple[int, ...]]) -> Sample:
    """How often each order of three rows came."""
    found = Counter(orders)
    assert set(found) <= THREE
    return found, len(THREE)


THREE = set(itertools.permutations(range(3)))


@pytest.mark.parametrize("x", [np.array([1, 2, 3]), np.array([5, 5, -9])])
@pytest.mark.slow
def test_opened_ranks_are_uniform(x: Array) -> None:
    lowered = lowered_study(lambda b, v: [sort(v[0], axis=0)], x)
    assert_uniform(lambda n: [counted(orders) for orders in opened_orders(*lowered, n)], 240)


@pytest.mark.parametrize("x", [np.array([0, 0, 1]), np.array([1, 0, 0]), np.array([1, 1, 1])])
@pytest.mark.slow
def test_orders_opened_by_comparisons_are_uniform(x: Array) -> None:
    lowered = lowered_study(lambda b, v: [sort_by(v[0], v[0].equals(1))], x)
    assert_uniform(lambda n: [counted(orders) for orders in opened_orders(*lowered, n)], 240)


@pytest.mark.slow
def test_orders_of_several_turns_are_uniform_together() -> None:
    b = Lowerer(PLACES["rep3"].nodes)
    x = np.array([3, 61, 7])
    key = b.shared(private(b, "a", "x", x))
    (out,) = radix(b.bits(key, 6), 1, [key])
    b.append("reveal", (b.deliver(out, None),), {"name": "out", "to": None}, Type(INT, (3,)), pure=False)
    circuit = b.finish()

    def draw(n: int) -> list[Sample]:
        first, second = opened_orders(circuit, {"a": {("x", ""): x}}, n)
        return [counted(first), counted(second), (Counter(zip(first, second, strict=True)), len(THREE) ** 2)]

    assert_uniform(draw, 400)


# -- shuffling ---------------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.bool_])
def test_shuffling_keeps_the_rows(where: str, dtype: Any) -> None:
    x = (np.arange(40).reshape(20, 2) % 7).astype(dtype)
    outcome = run(lambda b, v: [shuffle(v[0])], [x], where)
    for done in (outcome.got[0], outcome.wanted[0]):
        assert Counter(map(tuple, done.tolist())) == Counter(map(tuple, x.tolist()))


def test_two_shuffles_differ() -> None:
    x = np.arange(30)
    first, second = run(lambda b, v: [shuffle(v[0]), shuffle(v[0])], [x]).got
    assert not np.array_equal(first, second)
    assert sorted(first) == sorted(second) == x.tolist()


def test_shuffled_orders_are_uniform() -> None:
    def draw(n: int) -> list[Sample]:
        return [counted([tuple(run(lambda b, v: [shuffle(v[0])], [x]).got[0].tolist()) for _ in range(n)])]

    x = np.arange(3)
    assert_uniform(draw, 240)


def test_a_shuffle_in_the_clear_is_the_same_for_all_who_see_it() -> None:
    ref = find("shuffle").ref
    assert ref is not None
    x = np.arange(100)
    np.testing.assert_array_equal(ref(x), ref(x))
    assert sorted(ref(x)) == x.tolist()


@everywhere
def test_secret_orders(where: str) -> None:
    rng = np.random.default_rng(12)
    keys, rows, flags = integers(rng, 20), fixed(rng, 20, 3), rng.integers(0, 2, 20).astype(bool)

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        order = argsort(v[0], axis=0)
        public = b.emit("reorder", b.const(np.arange(20)), order)
        return [reorder(v[1], order), reorder(v[2], order), inverse_order(order), public]

    got = agree(compute, [keys, rows, flags], where).got
    np.testing.assert_array_equal(got[0], rows[np.argsort(keys, kind="stable")])
    np.testing.assert_array_equal(got[2], np.argsort(np.argsort(keys, kind="stable")))


def test_public_orders_cost_nothing() -> None:
    x = np.arange(6.0)
    plain = run(lambda b, v: [v[0]], [x])
    outcome = agree(lambda b, v: [b.emit("reorder", v[0], b.const(np.arange(6)[::-1]))], [x])
    assert (outcome.rounds, outcome.bytes) == (plain.rounds, plain.bytes)


# -- secret positions --------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 16, 70])
@pytest.mark.parametrize("known", [False, True])
def test_one_hot_rows(where: str, n: int, known: bool) -> None:
    x = np.arange(-3, n + 4).reshape(1, -1)
    if not known:
        x[0, :2] = [ENDS.min, ENDS.max]
    within = (int(x.min()), int(x.max())) if known else None
    agree(lambda b, v: [one_hot(v[0], n=n)], [x], where, [within])


@pytest.mark.parametrize("n", [1, 2, 6, 33])
def test_one_hot_rows_of_positions_that_are_surely_inside(n: int) -> None:
    x = np.arange(n)
    got = agree(lambda b, v: [one_hot(v[0], n=n)], [x], ranges=[(0, n - 1)]).got
    np.testing.assert_array_equal(got[0], np.eye(n))


@everywhere
@pytest.mark.parametrize("n", [1, 5, 31, 32, 100])
def test_elements_at_secret_places(where: str, n: int) -> None:
    rng = np.random.default_rng(n)
    tables = [integers(rng, n, 3), fixed(rng, 2, n), rng.integers(0, 2, n).astype(bool), fixed(rng, 2, n, 2)]
    index = rng.integers(0, n, (2, 3))

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        at = v[-1]
        public = b.emit("take", b.const(np.arange(n) * 0.5), at, axis=0)
        return [b.emit("take", x, at, axis=axis) for x, axis in zip(v[:-1], (0, 1, 0, 1), strict=True)] + [public]

    agree(compute, [*tables, index], where)
    agree(compute, [*tables, index], where, [None, (-FIXED_END, FIXED_END), None, None, (0, n - 1)])


@pytest.mark.parametrize("n", [4, 40, 64])
def test_a_secret_place_outside_gives_zero(n: int) -> None:
    def at(index: Array, within: tuple[int, int] | None) -> Array:
        circuit, inputs = study(
            lambda b, v: [b.emit("take", v[0], v[1], axis=0)], [np.arange(1, n + 1), index], [(1, n), within]
        )
        return simulate(circuit, inputs, SCHEMES["rep3"], PLACES["rep3"]).reports["a"].outputs["out0", ""]

    anywhere = np.array([-1, n, n - 1, ENDS.min, ENDS.max, 1 << n.bit_length()])
    np.testing.assert_array_equal(at(anywhere, None), [0, 0, n, 0, 0, 0])
    near = np.array([-1, -n, 0, n - 1])
    np.testing.assert_array_equal(at(near, (-n, n - 1)), [0, 0, 1, n])
    np.testing.assert_array_equal(at(near + 1, (1 - n, n)), [1, 0, 2, 0])
    agree(lambda b, v: [b.emit("take", v[0], v[1], axis=0)], [np.arange(1, n + 1), anywhere])


@everywhere
@pytest.mark.parametrize("n", [1, 6, 40])
def test_places_count_from_the_end(where: str, n: int) -> None:
    rng = np.random.default_rng(n)
    index = np.concatenate([[-n, -1, 0, n - 1], rng.integers(-n, n, 4)])

    def at(b: Builder, v: Sequence[Value], *, checked: bool = True) -> list[Value]:
        place = b.emit("place", v[1], n=n, checked=checked)
        return [place, b.emit("take", v[0], place, axis=0)]

    table = np.arange(1, n + 1)
    for within in (None, (-n, n - 1)):
        agree(at, [table, index], where, [None, within])
    agree(at, [table, np.abs(index) % n], where, [None, (0, n - 1)])
    outside = np.array([-n - 1, n, ENDS.min, ENDS.max])
    agree(partial(at, checked=False), [table, outside], where)


def test_what_is_taken_of_an_index_is_said() -> None:
    def noted(within: tuple[int, int] | None) -> list[str]:
        circuit, _ = study(lambda b, v: [b.emit("place", v[0], n=4, checked=True)], [np.zeros(2, np.int64)], [within])
        return [a.text for a in lower(circuit, ("a", "b", "c")).assumptions]

    assert noted(None) == noted((-5, 3)) == noted((0, 4)) == ["the index is in -4..3"]
    assert noted((-4, 3)) == noted((0, 3)) == []


def test_an_index_outside_is_refused_where_it_is_seen() -> None:
    place = find("place").ref
    assert place is not None
    for index in (-5, 4):
        with pytest.raises(OutsideError, match="axis of 4 elements"):
            place(np.array([0, index]), n=4, checked=True)
    assert place(np.array([-5, 4]), n=4, checked=False).tolist() == [-1, 4]


def test_a_long_axis_needs_few_ring_elements() -> None:
    table, index = np.arange(10_000), np.array([1234])
    alone = run(lambda b, v: [v[0]], [table]).bytes
    assert agree(lambda b, v: [b.emit("take", v[0], v[1], axis=0)], [table, index]).bytes - alone < 20_000


# -- means and products ------------------------------------------------------------------------


@everywhere
@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 100, 1000])
@pytest.mark.parametrize("end", [2.0**-10, 1.0, 1000.0, 2.0**30])
def test_means_are_close(where: str, n: int, end: float) -> None:
    rng = np.random.default_rng(n)
    x, whole = fixed(rng, n, end=end), rng.integers(-int(end) - 1, int(end) + 1, n)
    x[: n // 2] = end
    for ranges in (None, [(-end, end), (-int(end) - 1, int(end) + 1)]):
        outcome = run(lambda b, v: [mean(y, axis=0) for y in v], [x, whole], where, ranges)
        for wanted, got in zip(outcome.wanted, outcome.got, strict=True):
            assert abs(wanted - got) <= 2.0**-15


def test_means_of_long_sums_are_close() -> None:
    n = 100_003
    x = np.full(n, 2.0**44 / n)
    x = np.floor(x * 2**16) / 2**16
    whole = np.full(n, (1 << 60) // n - 1)
    outcome = run(lambda b, v: [mean(y, axis=0) for y in v], [x, whole])
    assert abs(outcome.got[0] - x[0]) <= 2.0**-15
    # Beside 2^43, a float64 has fewer than 16 fraction bits.
    assert outcome.got[1] == pytest.approx(whole[0], rel=2.0**-52)


def test_means_along_axes() -> None:
    x = fixed(np.random.default_rng(0), 3, 4, 5, end=100)
    for axis, keep in itertools.product([None, 0, 1, 2], [False, True]):
        outcome = run(lambda b, v, a=axis, k=keep: [mean(v[0], axis=a, keepdims=k)], [x])  # type: ignore[misc]
        np.testing.assert_allclose(outcome.got[0], np.mean(x, axis=axis, keepdims=keep), rtol=0, atol=2.0**-15)


@everywhere
def test_inner_and_outer_products(where: str) -> None:
    rng = np.random.default_rng(8)
    x, y, m, k = fixed(rng, 9, end=50), fixed(rng, 9, end=50), rng.integers(-99, 99, 9), rng.integers(-99, 99, 4)

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        return [b.emit("dot", v[0], v[1]), b.emit("outer", v[0], v[1]), b.emit("outer", v[2], v[3])]

    outcome = run(compute, [x, y, m, k], where)
    for wanted, got in zip(outcome.wanted, outcome.got, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=2.0**-15)


# -- type rules --------------------------------------------------------------------------------


def signature(name: str, *types: Type, **attrs: Any) -> Any:
    return find(name).infer(types, attrs)


def test_nothing_has_no_largest_element() -> None:
    for name in ("max", "min", "argmax", "argmin", "mean"):
        with pytest.raises(ShapeError, match="of nothing"):
            signature(name, Type(INT, (3, 0)), axis=1)
        with pytest.raises(ShapeError, match="of nothing"):
            signature(name, Type(INT, (3, 0)), axis=None)
        with pytest.raises(ShapeError, match="axis 2"):
            signature(name, Type(INT, (3, 4)), axis=2)
        with pytest.raises(TypeRuleError, match="numbers"):
            signature(name, Type(BOOL, (3,)), axis=0)
        assert signature(name, Type(INT, (3, 0)), axis=0)[1] == (0,)


def test_sizes_may_be_unknown() -> None:
    n = Size.named("n")
    x = Type(Fixed(), (n, 3))
    assert signature("max", x, axis=0) == (Fixed(), (3,))
    assert signature("argmin", x, axis=1) == (INT, (n,))
    assert signature("mean", x, axis=0, keepdims=True) == (Fixed(), (1, 3))
    assert signature("sort", x, axis=0) == (Fixed(), (n, 3))
    assert signature("top_k", Type(INT, (n,)), k=5) == (INT, (5,))
    assert signature("sort_by", x, Type(BOOL, (n,))) == (Fixed(), (n, 3))
    assert signature("one_hot", Type(INT, (n,)), n=4) == (INT, (n, 4))
    assert signature("outer", Type(INT, (n,)), Type(INT, (2,))) == (INT, (n, 2))


@pytest.mark.parametrize(
    ("name", "types", "attrs"),
    [
        ("top_k", [Type(INT, (3,))], {"k": 4}),
        ("top_k", [Type(INT, ())], {"k": 1}),
        ("top_k", [Type(BOOL, (3,))], {"k": 1}),
        ("sort", [Type(INT, (3,))], {"axis": 1}),
        ("sort_by", [Type(INT, (3,)), Type(INT, (4,))], {}),
        ("sort_by", [Type(INT, (3,)), Type(INT, (3, 1))], {}),
        ("one_hot", [Type(Fixed(), (3,))], {"n": 2}),
        ("one_hot", [Type(INT, (3,))], {"n": -1}),
        ("shuffle", [Type(INT, ())], {}),
        ("reorder", [Type(INT, (3,)), Type(INT, (4,))], {}),
        ("reorder", [Type(INT, (3,)), Type(BOOL, (3,))], {}),
        ("inverse_order", [Type(INT, (3, 1))], {}),
        ("dot", [Type(INT, (3,)), Type(INT, (4,))], {}),
        ("outer", [Type(INT, (3, 1)), Type(INT, (4,))], {}),
    ],
)
def test_wrong_operands_are_refused(name: str, types: Sequence[Type], attrs: dict[str, Any]) -> None:
    with pytest.raises(TypeRuleError):
        signature(name, *types, **attrs)


def test_an_order_that_is_none_is_refused() -> None:
    ref = find("inverse_order").ref
    assert ref is not None
    np.testing.assert_array_equal(ref(np.array([2, 0, 1])), [1, 2, 0])
    for bad in ([0, 3, 1], [0, -1, 1], [0, 0, 1]):
        with pytest.raises(ValueError, match="an order names"):
            ref(np.array(bad))


def test_no_elements_at_all() -> None:
    x = np.zeros((0, 3))
    agree(lambda b, v: [sort(v[0], axis=0), sort(v[0], axis=1), largest(v[0], axis=1), shuffle(v[0])], [x])


def test_in_a_loop() -> None:
    """Each iteration sorts a carried array and takes off its largest element from a carried sum."""
    x = np.array([5, -2, 9, 9])

    def compute(b: Builder, v: Sequence[Value]) -> list[Value]:
        start = [v[0], v[0].sum()]
        body = Builder()
        body.append("param", (), {"index": 0}, Type(INT))
        y, total = (body.append("param", (), {"index": i + 1}, w.type) for i, w in enumerate(start))
        after = [sort(-y, axis=0) + argmax(y, axis=0), total - largest(y, axis=0)]
        attrs = {"body": body.finish(after), "carried": 2, "start": 0, "step": 1, "count": 3}
        return list(b.items(b.append("loop", start, attrs, [w.type for w in start], pure=False)))

    agree(compute, [x])
