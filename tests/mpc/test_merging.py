"""Merging of runs: the networks are right for every two lengths, and as small as is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.bitrows import BitRows
from mpc.bitslice import unslice
from mpc.circuit import Array
from mpc.merging import Network, merged, network, sizes
from mpc.protocol import Exchange, Step


def through(made: Network, x: Array) -> Array:
    """Numbers after all comparators, in the order that is said to be ascending."""
    x = x.copy()
    for low, high in made.stages:
        assert len(np.unique(np.concatenate([low, high]))) == 2 * len(low)
        x[low], x[high] = np.minimum(x[low], x[high]), np.maximum(x[low], x[high])
    return x[made.order]


@pytest.mark.parametrize("n", range(10))
@pytest.mark.parametrize("m", range(10))
def test_all_runs_of_zeros_and_ones(n: int, m: int) -> None:
    """Which is all that there is to test of a network [Knuth, TAOCP 3, section 5.3.4, theorem Z]."""
    made = network((n, m))
    for zeros in range(n + 1):
        for others in range(m + 1):
            runs = np.concatenate([np.arange(n) >= zeros, np.arange(m) >= others]).astype(np.int64)
            assert (np.diff(through(made, runs)) >= 0).all()


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6), st.integers(0, 1 << 32))
@settings(max_examples=60)
def test_any_runs(runs: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).permutation(sum(runs))
    sides = [np.sort(part) for part in np.split(x, np.cumsum(runs)[:-1])]
    np.testing.assert_array_equal(through(network(tuple(runs)), np.concatenate(sides)), np.arange(sum(runs)))


@pytest.mark.parametrize("n", [1, 2, 64, 1000, 4096])
def test_two_equal_runs_take_half_a_comparison_a_row_and_stage(n: int) -> None:
    made = network((n, n))
    stages = math.ceil(math.log2(n)) + 1
    assert len(made.stages) == stages
    assert sum(sizes((n, n))) <= n * stages - n + 1


def test_one_row_is_put_among_others_at_a_comparison_each() -> None:
    assert sum(sizes((1000, 1))) == 1000


def test_a_run_alone_is_in_order() -> None:
    assert not network((7,)).stages
    assert not network((0, 7, 0)).stages


@pytest.mark.parametrize("width", [3, 40, 64, 90, 130])
def test_rows_of_any_width(width: int) -> None:
    """In the clear: one share, and a comparison by the numbers themselves."""
    rng = np.random.default_rng(width)
    runs = (5, 1, 2) if width == 3 else (70, 3, 64)
    bits = rng.integers(0, 2, (sum(runs), width), np.uint8)
    low = min(width, 62)
    bits[:, :low] = rng.permutation(sum(runs))[:, None] >> np.arange(low) & 1
    bits[:, low:] = 0
    for at, end in zip(np.cumsum([0, *runs]), np.cumsum(runs), strict=False):
        bits[at:end] = bits[at:end][np.lexsort(bits[at:end].T)]

    def swap(use: int, x: Array, y: Array, n: int) -> Step[Array]:
        yield Exchange({}, {})
        turned = unslice(y[0, 2:], n) < unslice(x[0, 2:], n) if width <= 62 else np.zeros(n, np.bool_)
        if width > 62:
            turned = unslice(y[0, 2:64], n) < unslice(x[0, 2:64], n)
        mask = np.zeros(64 * x.shape[2], np.uint8)
        mask[:n] = turned
        words = np.packbits(mask, bitorder="little").view(np.uint64)
        return np.asarray((x ^ y)[:, 2:] & words)

    step = merged(bits[None], width + 2, swap, 0, runs)
    try:
        while True:
            next(step)
    except StopIteration as stop:
        np.testing.assert_array_equal(stop.value[0], bits[np.lexsort(bits.T)])


def test_rows_are_found_and_changed_where_they_are() -> None:
    rng = np.random.default_rng(4)
    bits = rng.integers(0, 2, (2, 200, 70), np.uint8)
    rows = BitRows(bits, 72)
    places = rng.permutation(200)[:90]
    np.testing.assert_array_equal(rows.bits(places), bits[:, places])
    at = rows.at(places)
    assert not at[:, :2].any()
    rows.turn(places, at[:, 2:])
    expected = bits.copy()
    expected[:, places] = 0
    np.testing.assert_array_equal(rows.bits(np.arange(200)), expected)
