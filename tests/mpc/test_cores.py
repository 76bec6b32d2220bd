"""Kernels in parts, on several cores, give what they give on one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from mpc import bitslice, ring
from mpc.cores import in_parts, use_cores
from mpc.prg import Prg

N = (1 << 20) + 37


@pytest.fixture(params=[2, 3])
def cores(request: pytest.FixtureRequest) -> Iterator[int]:
    use_cores(request.param)
    yield request.param
    use_cores(1)


def test_every_unit_is_done_once(cores: int) -> None:
    for n in (0, 1, 7, 8, 100):
        done = np.zeros(n, np.int64)

        def work(first: int, last: int, done: np.ndarray = done) -> None:
            done[first:last] += 1

        in_parts(work, n, 4)
        assert done.tolist() == [1] * n


def test_parts_run_at_the_same_time(cores: int) -> None:
    together = threading.Barrier(cores)

    in_parts(lambda _first, _last: together.wait(60) and None, cores, 1)  # no part ends before all have begun

    assert not together.broken


def test_few_units_are_one_part(cores: int) -> None:
    ranges: list[tuple[int, int]] = []

    in_parts(lambda first, last: ranges.append((first, last)), 7, 4)

    assert ranges == [(0, 7)]


def test_what_fails_in_a_part_fails_in_the_whole(cores: int) -> None:
    def work(first: int, last: int) -> None:
        if last == 10:
            raise IndexError("the last part")

    with pytest.raises(IndexError, match="the last part"):
        in_parts(work, 10, 1)


def test_kernels_agree_with_one_core(cores: int) -> None:
    def everything() -> list[np.ndarray]:
        prg = Prg(bytes(range(16)))
        x, y = prg.cursor(3).words((N,)), prg.cursor(4, 5).words((N,))
        rows = bitslice.slice_bits(x, 17)
        both = np.stack([rows, rows[::-1]])
        return [
            x,
            y,
            ring.mul_cross(x, y, y, x),
            ring.and_cross(x, y, x, x),
            ring.beaver(x, y, x, y, x),
            ring.muladd(x[:, None][:, :1], y[None, :3], x[:, None]),
            rows,
            bitslice.slice_bits(np.stack([x, y]), 64),
            bitslice.unslice(both, N),
        ]

    many = everything()
    use_cores(1)
    one = everything()

    for a, b in zip(many, one, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_core_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="one core or more"):
        use_cores(0)
