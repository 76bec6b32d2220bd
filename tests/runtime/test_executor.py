"""The executor: steps reach their end whatever their rounds look like, and what a peer does wrong is named."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpc.circuit import Array
from mpc.protocol import Exchange, Step, Template
from network import FrameError, PeerStalled, memory_mesh
from runtime.executor import TURNS, UNSENT, Traffic, execute


def told(me: int, rounds: int, n: int, *, one_way: bool = False) -> Step[int]:
    """Each round: n words with the round's number to the other, and back; one way: from 0 to 1 alone.  Their sum."""
    total = 0
    for r in range(rounds):
        mine = np.full(n, r + me, np.uint64)
        send = {1 - me: [mine]} if not one_way or me == 0 else {}
        expect = {1 - me: [Template((n,), "<u8")]} if not one_way or me == 1 else {}
        got = yield Exchange(send, expect)
        total += sum(int(a[0][-1]) for a in got.values())
    return total


async def both(
    steps: list[Step[Any]], heavy: Callable[[int], bool] = lambda r: False, limit: float = 10.0
) -> tuple[list[Any], list[Traffic]]:
    mesh = memory_mesh(["a", "b"])
    traffic = [Traffic(), Traffic()]
    runs = [
        execute(
            step,
            {1 - i: mesh["ab"[i]]["ba"[i]]},
            traffic[i],
            limit=limit,
            place=lambda r: f"place {r}",
            heavy=heavy,
        )
        for i, step in enumerate(steps)
    ]
    return await asyncio.gather(*runs, return_exceptions=True), traffic


@pytest.mark.parametrize(("rounds", "n"), [(0, 1), (1, 1), (5 * TURNS, 3), (6, UNSENT // 8 + 1)])
async def test_rounds_of_any_number_and_size(rounds: int, n: int) -> None:
    results, traffic = await both([told(0, rounds, n), told(1, rounds, n)])

    base = rounds * (rounds - 1) // 2
    assert results == [base + rounds, base]
    assert [t.rounds for t in traffic] == [rounds, rounds]
    assert traffic[0].sent.get(1, 0) == 8 * n * rounds


async def test_a_party_that_only_sends_runs_ahead() -> None:
    rounds = 10 * TURNS

    results, _ = await both([told(0, rounds, 2, one_way=True), told(1, rounds, 2, one_way=True)])

    assert results == [0, rounds * (rounds - 1) // 2]


async def test_heavy_rounds_and_only_they_leave_the_loops_thread() -> None:
    seen: list[bool] = []

    def watched() -> Step[None]:
        for _ in range(4):
            seen.append(threading.current_thread() is threading.main_thread())
            yield Exchange({}, {})

    await both([watched(), told(1, 0, 1)], heavy=lambda r: r == 2)

    assert seen == [True, True, False, True]


async def test_a_frame_of_another_size_is_named_with_its_round() -> None:
    def liar() -> Step[None]:
        for r in range(3):
            yield Exchange({0: [np.zeros(1 + (r == 2), np.uint64)]}, {0: [Template((1,), "<u8")]})

    (error, _), _ = await both([told(0, 9, 1), liar()])

    assert isinstance(error, FrameError)
    assert "round 2, place 2: 16 bytes, 8 expected" in str(error)


async def test_a_silent_peer_is_given_up_after_the_limit() -> None:
    def silent() -> Step[None]:
        yield Exchange({}, {0: [Template((1,), "<u8")]})
        yield Exchange({}, {0: [Template((1,), "<u8")]})

    results, traffic = await both([told(0, 2, 1), silent()], limit=0.05)

    assert all(isinstance(e, PeerStalled) for e in results)
    assert traffic[0].seconds >= 0.05


async def test_an_error_of_the_step_is_the_runs() -> None:
    def broken() -> Step[Array]:
        yield Exchange({}, {})
        raise ValueError("wrong")

    (error, _), _ = await both([broken(), told(1, 0, 1)])

    assert isinstance(error, ValueError)
