"""What nodes open inside relational operations: uniform orders, one independent of another, whatever the data."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from order_run import PLACES, private, study
from uniform_draws import Sample, assert_uniform

from mpc.circuit import Array, Circuit
from mpc.circuits.moving import row_bits, row_numbers
from mpc.circuits.radix import radix
from mpc.circuits.relational_expand import expand_rows
from mpc.circuits.relational_group import group_rows, group_totals
from mpc.circuits.relational_join import join_rows
from mpc.circuits.relational_move import copy_down, front_rows
from mpc.circuits.relational_sort import sort_rows
from mpc.circuits.relational_window import group_last, running_sums
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.lowerer import Lowerer
from mpc.protocols import SCHEMES
from mpc.schedule import schedule
from mpc.simulate import pair_keys
from mpc.types import Narrow

pytestmark = pytest.mark.slow

Opened = list[list[tuple[int, ...]]]


def opened_inside(compute: Any, arrays: Sequence[Array], runs: int) -> Opened:
    """For everything that the nodes open among themselves: what it was, run by run."""
    circuit, inputs = study(compute, arrays)
    lowered = lower(circuit, PLACES["rep3"].nodes).circuit
    nodes = frozenset(PLACES["rep3"].nodes)
    opened = [i for i, n in lowered if n.op in ("decode", "order") and n.type.seen_by == nodes]
    return kept(lowered, inputs, opened, runs)


def kept(lowered: Circuit, inputs: Any, at: Sequence[int], runs: int) -> Opened:
    """What these nodes of a lowered circuit are at party b, run by run."""
    assert at
    places = PLACES["rep3"]
    timetable = schedule(replace(lowered, results=tuple(at)), places, SCHEMES["rep3"])
    seen: Opened = [[] for _ in at]
    for _ in range(runs):
        keys = pair_keys(3)
        engines = [
            Engine(timetable, places.seat(i, keys[i]), inputs.get(name, {})) for i, name in enumerate(places.names)
        ]
        reports, _ = lockstep([e.run() for e in engines])
        for orders, i in zip(seen, at, strict=True):
            orders.append(tuple(reports[1].kept[i].tolist()))
    return seen


ORDERS = set(itertools.permutations(range(3)))


def counted(seen: Opened) -> list[Sample]:
    """How often each order of three rows came, and each pair of orders of two places."""
    assert all(set(orders) <= ORDERS for orders in seen)
    pairs = (Counter(zip(*two, strict=True)) for two in itertools.combinations(seen, 2))
    return [*((Counter(orders), len(ORDERS)) for orders in seen), *((pair, len(ORDERS) ** 2) for pair in pairs)]


THREE = np.array([4, 4, 1])
SOME, NONE, ALL = (np.array(f, np.bool_) for f in ([1, 0, 1], [0, 0, 0], [1, 1, 1]))


@pytest.mark.parametrize(
    ("compute", "arrays"),
    [
        *((lambda b, x: front_rows(*x), [f, THREE]) for f in (SOME, NONE, ALL)),
        *((lambda b, x: copy_down(*x), [f, THREE]) for f in (SOME, NONE, ALL)),
        *((lambda b, x: group_rows(*x, how=("sum",)), [f, ALL, THREE]) for f in (SOME, NONE)),
        (lambda b, x: group_totals(*x), [SOME, THREE]),
        *((lambda b, x: group_last(*x), [f, THREE]) for f in (SOME, NONE, ALL)),
        *((lambda b, x: running_sums(*x), [f, THREE]) for f in (SOME, NONE, ALL)),
        (lambda b, x: sort_rows(*x, keys=1, descending=(True,)), [THREE, SOME]),
        *((lambda b, x: expand_rows(*x, rows=3), [np.array(c), THREE]) for c in ([0, 2, 1], [0, 0, 0], [9, 0, 9])),
    ],
)
def test_opened_orders_are_uniform(compute: Any, arrays: Sequence[Array]) -> None:
    assert_uniform(lambda n: counted(opened_inside(compute, arrays, n)), 150)


@pytest.mark.parametrize("rows", [2, 4])
def test_a_join_opens_orders_alone_even_if_it_does_not_fit(rows: int) -> None:
    arrays = [np.array([1, 1]), np.ones(2, np.bool_), np.array([1, 1]), np.ones(2, np.bool_), np.arange(2)]
    seen = opened_inside(lambda b, x: join_rows(*x, keys=1, left=0, right=1, rows=rows), arrays, 4)
    left = opened_inside(
        lambda b, x: join_rows(x[0], x[1], x[4], x[2], x[3], keys=1, left=1, right=0, rows=rows), arrays, 4
    )
    for order in (o for orders in (*seen, *left) for o in orders):
        assert sorted(order) == list(range(len(order)))


def test_numbers_that_travel_beside_their_destinations_show_nothing() -> None:
    """Two digits, then the order itself: all that is opened is a uniform order, in the ring of the rows' numbers."""
    b = Lowerer(PLACES["rep3"].nodes)
    x = np.array([3, 9, 3])
    bits = b.bits(b.shared(private(b, "a", "x", x)), 8)
    (numbers,) = radix(bits, 1, [row_numbers(b, 3)])
    lowered = b.finish([b.open_to_nodes(b.permute(b.permutation(3), numbers))])
    at = [i for i, node in lowered if node.op == "decode"]
    assert {node.type.dtype for _, node in lowered if node.op == "open"} == {Narrow(row_bits(3))}

    def draw(n: int) -> list[Sample]:
        places = kept(lowered, {"a": {("x", ""): x}}, at, n)
        assert len(places) == 3
        return counted(places)

    assert_uniform(draw, 300)
