"""The order by opened comparisons: right for every plan, in the rounds and the room that the plan says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.bitslice import unslice
from mpc.circuit import Array
from mpc.protocol import Exchange, ProtocolError, Step
from mpc.quicksort import UNLIKELY, Stage, batches, in_order, plan, room

WIDTH = 40


def ordered(x: Array, stages: Sequence[Stage], compared: list[int] | None = None) -> Array:
    """The places in order, by comparisons in the clear; `compared`: filled with how many there are at once."""

    def less(use: int, a: Array, b: Array, n: int) -> Step[Any]:
        if compared is not None:
            compared.append(n)
        yield Exchange({}, {})
        return unslice(a[0], n) < unslice(b[0], n)

    bits = (x[None, :, None] >> np.arange(WIDTH) & 1).astype(np.uint8)
    step = in_order(bits, WIDTH, less, 0, stages)
    try:
        while True:
            next(step)
    except StopIteration as stop:
        return np.asarray(stop.value)


@given(st.integers(1, 3000), st.sampled_from([0.0, 1.0, 1e6]), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_plan_finds_the_order(n: int, turn: float, random: Any) -> None:
    x = np.random.default_rng(random.randrange(1 << 30)).choice(1 << WIDTH, n, replace=False)
    stages, compared = plan(n, 1.0, turn), list[int]()
    np.testing.assert_array_equal(ordered(x, stages, compared), np.argsort(x))
    assert compared == list(batches(stages))


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_searches_of_any_depth_at_once(levels: int) -> None:
    rng = np.random.default_rng(levels)
    stages = [Stage(0, 63, 1, room(0, 63)), Stage(63, 900, levels, room(63, 837))]
    for _ in range(5):
        x = rng.permutation(900)
        np.testing.assert_array_equal(ordered(x, stages), np.argsort(x))


@pytest.mark.parametrize("n", [1, 2, 3, 100, 1000, 65_536, 1_000_000])
def test_a_plan_goes_from_nothing_to_all(n: int) -> None:
    for turn in (0.0, 1e3, 1e6):
        stages = plan(n, 1.0, turn)
        assert [s.before for s in stages] == [0, *(s.until for s in stages[:-1])]
        assert stages[-1].until == n
        assert all((s.before + 1).bit_count() == 1 for s in stages)


@pytest.mark.parametrize("n", [10_000, 65_536, 1_000_000])
def test_comparisons_are_about_n_log_n_where_rounds_are_cheap(n: int) -> None:
    assert sum(batches(plan(n, 1.0, 100.0))) < 1.35 * n * math.log2(n)


def test_dear_rounds_are_fewer() -> None:
    near, far = (list(batches(plan(100_000, 10.0, turn))) for turn in (1e5, 1e7))
    assert len(far) < len(near)
    assert sum(far) > sum(near)


@pytest.mark.parametrize(("before", "new"), [(3, 40), (15, 40), (31, 32), (15, 16)])
def test_the_room_is_exceeded_as_rarely_as_is_said(before: int, new: int) -> None:
    """By the exact distribution: compositions counted by how many pairs their parts make."""
    every = new * (new - 1) // 2
    ways = [[0] * (every + 1) for _ in range(new + 1)]
    ways[0][0] = 1
    for _ in range(before + 1):
        following = [[0] * (every + 1) for _ in range(new + 1)]
        for total in range(new + 1):
            for pairs, count in enumerate(ways[total]):
                if count:
                    for g in range(new - total + 1):
                        following[total + g][pairs + g * (g - 1) // 2] += count
        ways = following
    assert sum(ways[new]) == math.comb(new + before, before)
    over = sum(ways[new][room(before, new) + 1 :])
    assert over << UNLIKELY <= math.comb(new + before, before)


def test_the_room_is_little_more_than_what_comes_up() -> None:
    rng = np.random.default_rng(1)
    before, new = 65_535, 65_536
    for _ in range(20):
        gap = np.searchsorted(np.sort(rng.random(before)), rng.random(new))
        _, sizes = np.unique(gap, return_counts=True)
        pairs = int((sizes * (sizes - 1) // 2).sum())
        assert 0.8 * room(before, new) < pairs < room(before, new)


def test_too_little_room_is_an_error() -> None:
    x = np.arange(64)
    with pytest.raises(ProtocolError, match="by chance alone"):
        ordered(x, [Stage(0, 7, 1, 21), Stage(7, 64, 1, 3)])
