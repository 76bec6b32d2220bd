"""A session among parties in one process: agreement, results, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import runtime as parley
from dsl.diagnostics import StudyError
from mpc.places import Places
from network import Channel, FrameError, PeerLost, cut, memory_mesh
from runtime.errors import DataError, Disagreement, PartyFailed
from runtime.inputs import ArrayInputs
from runtime.job import Job
from runtime.session import Finished, Session

STUDY = """party a, b, c
param times: int = 3
input x: fixed[n] from a
input y: fixed[n] from b
z = x
for i in range(times):
    z = z * y
reveal sum(z) to all as total
"""

X, Y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, -1.0])
INPUTS: dict[str, dict[str, Any]] = {"a": {"x": X}, "b": {"y": Y}, "c": {}}


def job(**changes: Any) -> Job:
    return replace(Job(STUDY, "s.parley", ("a", "b", "c"), ("a", "b", "c"), "rep3"), **changes)


async def run(
    jobs: Mapping[str, Job], mesh: Mapping[str, Mapping[str, Channel]], limit: float = 60.0
) -> dict[str, Any]:
    """Each party's `Finished`, or the error with which its session ended."""

    async def one(name: str) -> Finished:
        return await Session(jobs[name], name, mesh[name], ArrayInputs(name, INPUTS.get(name, {})), limit).run()

    ended = await asyncio.gather(*(one(name) for name in jobs), return_exceptions=True)
    return dict(zip(jobs, ended, strict=True))


async def test_all_learn_the_same() -> None:
    ended = await run(dict.fromkeys("abc", job()), memory_mesh("abc"))

    for name in "abc":
        (output,) = ended[name].outputs
        assert output.values == pytest.approx(np.sum(X * Y**3), abs=1e-3)
        assert ended[name].traffic.rounds > 0


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"study": STUDY.replace("sum(z)", "sum(x)")}, "study"),
        ({"params": {"times": "4"}}, "parameters"),
        ({"protocol": "additive"}, "protocol"),
        ({"frac": 20}, "fraction bits"),
        ({"version": "9.9"}, "version"),
        ({"nodes": ("b", "a", "c")}, "parties"),
    ],
)
async def test_a_difference_is_named(changes: dict[str, Any], part: str) -> None:
    common = job()
    jobs = {"a": common, "b": common, "c": replace(common, **changes)}

    ended = await run(jobs, memory_mesh("abc"))

    assert isinstance(ended["a"], Disagreement)
    assert (ended["a"].peer, ended["a"].part) == ("c", part)
    assert isinstance(ended["c"], Disagreement | PeerLost)


async def test_a_party_with_wrong_data_ends_the_job_for_all() -> None:
    async def bad(name: str, mesh: Mapping[str, Mapping[str, Channel]], the_job: Job) -> Finished:
        given = {"x": np.array([1.0, np.nan, 2.0])} if name == "a" else INPUTS[name]
        return await Session(the_job, name, mesh[name], ArrayInputs(name, given), 60.0).run()

    mesh, common = memory_mesh("abc"), job()
    ended = await asyncio.gather(*(bad(name, mesh, common) for name in "abc"), return_exceptions=True)

    assert isinstance(ended[0], DataError)
    for other in ended[1:]:
        assert isinstance(other, PeerLost)
        assert "a ended the job" in str(other)
        assert "nan" not in str(other).lower()


async def test_an_owner_whose_whole_number_does_not_fit_ends_the_job_for_all_with_the_line() -> None:
    study = "party a, b, c\ninput k: int[n] from a\ny = k * k\nreveal sum(y) to b as s\n"
    mesh, common = memory_mesh("abc"), job(study=study, params={})
    given = {"a": {"k": np.array([3, 2**32])}}

    async def one(name: str) -> Finished:
        return await Session(common, name, mesh[name], ArrayInputs(name, given.get(name, {})), 60.0).run()

    ended = await asyncio.gather(*(one(name) for name in "abc"), return_exceptions=True)

    assert isinstance(ended[0], StudyError)
    assert "a product of a does not fit into 64 bits" in str(ended[0])
    for other in ended[1:]:
        assert isinstance(other, PeerLost)
        assert f"a ended the job: E0418 in its study or data at {common.name}:3:5" in str(other)


async def test_a_link_that_is_cut_in_mid_run() -> None:
    mesh = memory_mesh("abc")
    cut(mesh["b"]["a"], after=8)

    ended = await run(dict.fromkeys("abc", job(params={"times": "50"})), mesh)

    assert all(isinstance(e, PeerLost) for e in ended.values())
    assert "b" in str(ended["a"])


class Liar(Channel):
    """Passes everything on to a real channel, and lengthens one frame."""

    def __init__(self, inner: Channel, which: int) -> None:
        self._inner = inner
        self._left = which
        self.peer = inner.peer

    def write(self, buffers: Any) -> None:
        self._left -= 1
        self._inner.write([*buffers, b"12345678"] if self._left == 0 else buffers)

    @property
    def limit(self) -> int:
        return self._inner.limit

    @limit.setter
    def limit(self, value: int) -> None:
        self._inner.limit = value

    async def drain(self) -> None:
        await self._inner.drain()

    async def flush(self) -> None:
        await self._inner.flush()

    async def receive(self, timeout: float | None = None) -> memoryview:  # noqa: ASYNC109
        return await self._inner.receive(timeout)

    def poll(self) -> memoryview | None:
        return self._inner.poll()

    def set_receiver(self, callback: Any) -> None:
        self._inner.set_receiver(callback)

    def close(self, reason: str = "") -> None:
        self._inner.close(reason)

    def abort(self) -> None:
        self._inner.abort()


async def test_a_frame_of_another_size_ends_the_job_with_its_place() -> None:
    mesh = memory_mesh("abc")
    mesh["b"]["a"] = Liar(mesh["b"]["a"], 8)

    ended = await run(dict.fromkeys("abc", job(params={"times": "50"})), mesh)

    assert isinstance(ended["a"], FrameError)
    text = str(ended["a"])
    assert "b" in text
    assert "s.parley:7" in text
    assert "expected" in text


async def test_a_control_message_that_is_none() -> None:
    mesh = memory_mesh("abc")
    mesh["c"]["a"].write([b"\x00\x01"])

    ended = await run({"a": job(), "b": job()}, mesh, 2.0)  # b waits for c in vain

    assert isinstance(ended["a"], PartyFailed)
    assert ended["a"].party == "c"


def test_keys_differ_between_runs_so_shares_do() -> None:
    study = parley.compile(STUDY)
    first = parley.simulate_sync(study, {"a": {"x": X}, "b": {"y": Y}})
    second = parley.simulate_sync(study, {"a": {"x": X}, "b": {"y": Y}})
    assert first["c"]["total"] == pytest.approx(second["c"]["total"], abs=1e-3)


def test_places() -> None:
    places = Places(("a", "b"), ("z",), "dealer")
    assert places.names == ("a", "b", "dealer", "z")
    assert places.of(None) == (0, 1, 3)
    assert places.seat(1).dealer == 2
