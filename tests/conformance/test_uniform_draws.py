"""That uneven draws are told from even ones."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from uniform_draws import CERTAIN, SUSPICIOUS, Sample, assert_uniform, chance

EVEN = np.full(6, 1 / 6)
UNEVEN = np.array([1.8, 0.2, 1, 1, 1, 1]) / 6


def draws(chances: np.ndarray, sizes: list[int]) -> list[Sample]:
    rng = np.random.default_rng(len(sizes))
    return [(Counter(rng.choice(6, sizes[-1], p=chances).tolist()), 6)]


def test_uneven_draws_are_found_and_drawn_again_first() -> None:
    sizes: list[int] = []
    with pytest.raises(AssertionError):
        assert_uniform(lambda n: sizes.append(n) or draws(UNEVEN, sizes), 240)  # type: ignore[func-returns-value]
    assert sizes == [240, 960]


def test_a_kind_that_never_comes_is_found() -> None:
    assert chance(Counter(dict.fromkeys(range(5), 48)), 6) < SUSPICIOUS
    assert chance(Counter(dict.fromkeys(range(5), 192)), 6) < CERTAIN


def test_draws_that_are_uneven_by_chance_once_pass() -> None:
    sizes: list[int] = []
    assert_uniform(lambda n: sizes.append(n) or draws(UNEVEN if n == 240 else EVEN, sizes), 240)  # type: ignore[func-returns-value]
    assert sizes == [240, 960]
