"""Narrow rings: every primitive that works in them, for every scheme and width; what lowering and `spec` refuse.

`Run.step` compares what is sent with the declared cost in every round, and checks the dtype of what comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from conformance_run import Run, Setup
from conformance_table import truths, words
from order_run import PLACES, private

from mpc.circuit import Array, Circuit, Node, Value
from mpc.circuits.widen import ring_of, widen
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.lowerer import Lowerer
from mpc.matmul import matmul
from mpc.op import Interval
from mpc.passes import optimise
from mpc.protocols import SCHEMES
from mpc.ring import EncodingError, dtype_for
from mpc.schedule import schedule
from mpc.simulate import pair_keys
from mpc.spec import SpecError, check
from mpc.types import BOOL, INT, NOBODY, Layout, Narrow, Type

WIDTHS = (2, 8, 11, 16, 18, 32, 37)

Shape = tuple[int, ...]


def ring(width: int, shape: Shape) -> Type:
    return Type(Narrow(width), shape, NOBODY, Layout.ARITH)


def low(x: Array, width: int) -> Array:
    return (x & np.uint64((1 << width) - 1)).astype(dtype_for(width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("pair", [((), ()), ((0,), (0,)), ((70_003,), (70_003,)), ((5, 1), (1, 7))], ids=str)
def test_products(run: Run, width: int, pair: tuple[Shape, Shape]) -> None:
    rng = np.random.default_rng(1)
    x, y = (words(rng, s) for s in pair)
    out = run.step(
        "mul", run.share(x).narrow(width), run.share(y, 1).narrow(width), out=ring(width, np.broadcast_shapes(*pair))
    )
    narrow = run.cost.total
    np.testing.assert_array_equal(run.plain(out), low(x * y, width))
    run.step("mul", run.share(x), run.share(y), out=Type(INT, np.broadcast_shapes(*pair), NOBODY, Layout.ARITH))
    assert narrow.keys() == run.cost.total.keys()
    for link, n in run.cost.total.items():
        assert n * width / 64 <= narrow[link] <= n * width / 64 + 2  # of each array, whole bytes


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "pair", [((3, 4), (4, 5)), ((200, 1, 7), (200, 7, 1)), ((0, 4), (4, 5)), ((150, 140), (140, 160))], ids=str
)
def test_matrix_products(run: Run, width: int, pair: tuple[Shape, Shape]) -> None:
    rng = np.random.default_rng(2)
    x, y = (words(rng, s) for s in pair)
    want = low(np.asarray(x @ y), width)
    np.testing.assert_array_equal(low(matmul(low(x, width), low(y, width)), width), want)
    out = run.step("matmul", run.share(x).narrow(width), run.share(y, 1).narrow(width), out=ring(width, want.shape))
    np.testing.assert_array_equal(run.plain(out), want)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", [(), (0,), (65,), (70_003,), (3, 4)], ids=str)
def test_truth_values_become_numbers(run: Run, width: int, shape: Shape) -> None:
    x = truths(np.random.default_rng(3), shape)
    out = run.step("b2a", run.share(x), out=ring(width, shape), width=width)
    np.testing.assert_array_equal(run.plain(out), x.astype(dtype_for(width)))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", [(0,), (1,), (300,), (9, 2), (4, 0)], ids=str)
def test_rows_move_and_come_back(run: Run, width: int, shape: Shape) -> None:
    value = words(np.random.default_rng(4), shape)
    handles, x = run.permutation(shape[0]), run.share(value).narrow(width)
    places = run.share(np.arange(shape[0], dtype=np.uint64), 1)
    order = run.plain(run.permute(handles, places, inverse=False)).astype(np.int64)
    moved = run.permute(handles, x, inverse=False)
    np.testing.assert_array_equal(run.plain(moved), low(value, width)[order])
    np.testing.assert_array_equal(run.plain(run.permute(handles, moved, inverse=True)), low(value, width))


@pytest.mark.parametrize("width", WIDTHS)
def test_opening_to_nodes_and_clients(run: Run, setup: Setup, width: int) -> None:
    value = words(np.random.default_rng(5), (41,))
    x = run.share(value).narrow(width)
    for to in [(0,), (1,), tuple(range(setup.nodes)), setup.clients]:
        for place, got in enumerate(run.open(x, to)):
            assert (got is None) == (place not in to)
            if got is not None:
                assert got.dtype == dtype_for(width)
                np.testing.assert_array_equal(got, low(value, width))


@pytest.mark.parametrize("width", WIDTHS)
def test_constants_and_public_terms(run: Run, width: int) -> None:
    rng = np.random.default_rng(6)
    value, term = (low(words(rng, s), width) for s in ((3, 1), (1, 4)))
    parts = [p.add_clear(p.constant(value, False), term) for p in run.players]
    assert all(p.dtype == value.dtype for p in parts)
    out = run.share(words(rng, (3, 4))).narrow(width)
    out.parts = [p + q for p, q in zip(out.parts, parts, strict=True)]
    plain = run.plain(out)
    out.parts = [p - q for p, q in zip(out.parts, parts, strict=True)]
    np.testing.assert_array_equal(low(plain - run.plain(out), width), low(value + term, width))


def test_a_use_decides_every_draw(run: Run) -> None:
    x = run.share(words(np.random.default_rng(7), (64,))).narrow(32)
    parts = []
    for use in (1 << 20, 1 << 20, (1 << 20) + 16):
        fresh = Run(run.setup, run.keys)
        parts.append(fresh.step("mul", x, x, out=ring(32, (64,)), use=use).parts)
    np.testing.assert_array_equal(parts[0], parts[1])
    assert np.any(np.asarray(parts[0]) != np.asarray(parts[2]))


# -- in a circuit ------------------------------------------------------------------------------


NUMBERS = np.array([5, -7, 120, -128, 3, 0])


def opened(where: str, make: Callable[[Lowerer, Value], Value]) -> Array:
    """What the nodes see of a value made of party a's whole numbers."""
    b = Lowerer(PLACES[where].nodes)
    x = b.shared(private(b, "a", "x", NUMBERS))
    circuit = optimise(b.finish([b.open_to_nodes(make(b, x))]))
    places, scheme = PLACES[where], SCHEMES[where.split("-")[0]]
    timetable = schedule(circuit, places, scheme)
    keys = pair_keys(len(places.names))
    inputs = {"a": {("x", ""): NUMBERS}}
    engines = [Engine(timetable, places.seat(i, keys[i]), inputs.get(n, {})) for i, n in enumerate(places.names)]
    reports, measured = lockstep([e.run() for e in engines])
    assert measured.total == timetable.links
    (result,) = circuit.results
    first, second = (np.asarray(reports[i].kept[result]) for i in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == (np.bool_ if circuit.nodes[result].type.dtype == BOOL else np.int64)
    return first


def wrapped(x: Array, width: int) -> Array:
    return x << (64 - width) >> (64 - width)


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("width", [8, 11, 16, 18, 32, 37, 64])
def test_arithmetic_in_a_circuit(where: str, width: int) -> None:
    """Sums, products, structure and public numbers on either side; elements are signed, and wrap."""

    def make(b: Lowerer, x: Value) -> Value:
        y = b.narrow(x, width)
        flags = b.narrow(x < 4, width)
        z = 100 - (y * 3 + np.arange(6)) + y * flags
        table = b.emit("concat", z.reshape((6, 1)), b.const(np.full((6, 1), -1)), axis=1)
        sums = b.emit("cumsum", table, axis=0)[1:]
        return (sums @ b.const(np.array([[1, 2], [3, -4]]))).sum(axis=1)

    z = 100 - (NUMBERS * 3 + np.arange(6)) + NUMBERS * (NUMBERS < 4)
    sums = np.cumsum(np.stack([z, np.full(6, -1)], axis=1), axis=0)[1:]
    want = (sums @ np.array([[1, 2], [3, -4]])).sum(axis=1)
    np.testing.assert_array_equal(opened(where, make), wrapped(want, width))


def test_a_truth_value_is_brought_to_any_ring() -> None:
    for width in (2, 8, 18, 64):
        got = opened("rep3", lambda b, x, w=width: b.narrow(x < 4, w))  # type: ignore[misc]
        np.testing.assert_array_equal(got, NUMBERS < 4)


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("more", [0, 3, 21])
@pytest.mark.parametrize("at", [0, 1 << 40, -(1 << 61)])
def test_a_number_comes_back_from_the_ring_that_its_range_needs(where: str, at: int, more: int) -> None:
    """Both ends of the range are among the numbers; products and sums on the way may wrap."""
    units = Interval(at - 128, at + 120)
    width = ring_of(units) + more

    def make(b: Lowerer, x: Value) -> Value:
        y = b.narrow(x, width)
        half = 1 << (width - 1)
        return widen(y * 100 - y * 99 + b.const((at + half) % (2 * half) - half), units)

    assert ring_of(units) == 9
    np.testing.assert_array_equal(opened(where, make), NUMBERS + at)


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(AssertionError, match="does not come back"):
        opened("rep3", lambda b, x: widen(b.narrow(x, 8), Interval(-128, 120)))


def test_only_narrow_shares_are_lifted() -> None:
    b = Lowerer(PLACES["rep3"].nodes)
    x = b.shared(private(b, "a", "x", NUMBERS))
    lifted = b.on_shares("lift", (x,), {}, INT, x.shape)
    with pytest.raises(SpecError, match="lifted"):
        check(b.finish([b.open_to_nodes(lifted)]))


@pytest.mark.parametrize("where", sorted(PLACES))
@pytest.mark.parametrize("width", [1, 2, 18, 64])
def test_the_lowest_bit_of_any_ring(where: str, width: int) -> None:
    got = opened(where, lambda b, x: b.parity(b.narrow(x, width)))
    np.testing.assert_array_equal(got, NUMBERS % 2 == 1)


@pytest.mark.parametrize("where", sorted(PLACES))
def test_truth_values_are_numbers_modulo_two(where: str) -> None:
    """Products are conjunctions, sums are exclusive ors, and neither way costs anything."""
    flags = [NUMBERS < 4, NUMBERS % 2 == 1]

    def make(b: Lowerer, x: Value) -> Value:
        y, z = (b.narrow(f, 1) for f in (x < 4, b.parity(x)))
        return b.parity(b.emit("cumsum", y * z + y, axis=0))

    want = np.cumsum((flags[0] & flags[1]).astype(int) + flags[0]) % 2 == 1
    np.testing.assert_array_equal(opened(where, make), want)


def test_what_lowering_refuses() -> None:
    b = Lowerer(PLACES["rep3"].nodes)
    x = b.shared(private(b, "a", "x", NUMBERS))
    y = b.narrow(x, 16)
    with pytest.raises(AssertionError, match="in rings int, int16"):
        y + x
    with pytest.raises(AssertionError, match="eq in rings"):
        y.equals(3)
    with pytest.raises(AssertionError, match="cannot be brought"):
        b.narrow(y, 32)
    with pytest.raises(AssertionError, match="cannot be brought"):
        b.narrow(x.to_fixed(), 16)
    with pytest.raises(ValueError, match="1 to 64"):
        b.narrow(x, 65)
    with pytest.raises(EncodingError):
        optimise(b.finish([y + 40_000]))


def test_what_the_specification_refuses() -> None:
    narrow, wide = Type(Narrow(16), (6,), NOBODY, Layout.ARITH), Type(INT, (6,), NOBODY, Layout.ARITH)
    truth = Type(BOOL, (6,), NOBODY, Layout.BITS)
    handle = Type(INT, (6,), NOBODY, Layout.ARITH)
    starts = {
        "x": Node("param", (), (("index", 0),), narrow),
        "w": Node("param", (), (("index", 1),), wide),
        "t": Node("param", (), (("index", 2),), truth),
        "h": Node("permutation", (), (("n", 6),), handle),
    }
    nodes = tuple(starts.values())
    check(Circuit((*nodes, Node("mul", (0, 0), (), narrow), Node("narrow", (1,), (), narrow))))
    bit = replace(narrow, dtype=Narrow(1))
    check(Circuit((*nodes, Node("narrow", (2,), (), bit), Node("parity", (0,), (), truth))))
    check(Circuit((*nodes, Node("b2a", (2,), (("width", 16),), narrow), Node("permute", (3, 0), (), narrow))))
    for node in (
        Node("mul", (0, 1), (), narrow),
        Node("mul", (0, 0), (), wide),
        Node("add", (1, 1), (), narrow),
        Node("narrow", (0,), (), wide),
        Node("narrow", (2,), (), narrow),
        Node("view", (0,), (), narrow),
        Node("trunc", (0,), (("m", 4),), narrow),
        Node("ltz", (0,), (("width", 16),), truth),
        Node("b2a", (2,), (), narrow),
        Node("permute", (3, 0), (), wide),
        Node("param", (), (("index", 3),), replace(narrow, layout=Layout.CLEAR, seen_by=None)),
    ):
        with pytest.raises(SpecError):
            check(Circuit((*nodes, node)))
