"""`clip_norm` in the clear, on shares and under `grad`, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evaluate import run_study

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from runtime import api

HEAD = """party p, q, r
input up: fixed[n] from p
input uq: fixed[n] from q
input v: fixed[2, 2] from r
u = up + uq
"""
BOTH = "a, b = clip_norm((u, v), {limit})\nreveal a, b to all\nreveal clip_norm(u, {limit}) to all as alone\n"


def given(size: float) -> tuple[Any, Any, dict[str, dict[str, Any]]]:
    grid = np.round(np.array([1.0, 2.0, -1.0, 0.5, 1.0, 0.0, 2.0]) * size * 65536) / 65536
    u, v = grid[:3], grid[3:].reshape(2, 2)
    return u, v, {"p": {"up": u - 1}, "q": {"uq": np.ones(3)}, "r": {"v": v}}


@pytest.mark.parametrize("limit", [0.25, 1.0, 12.0])
@pytest.mark.parametrize("size", [0.001, 0.1, 1.0, 20.0, 500.0])
def test_the_joint_norm_is_bounded(size: float, limit: float) -> None:
    u, v, data = given(size)
    text = HEAD + BOTH.format(limit=limit)
    norm = np.sqrt((u**2).sum() + (v**2).sum())
    joint, alone = min(1.0, limit / norm), min(1.0, limit / np.linalg.norm(u))

    plain = run_study(text, data)
    got = api.simulate_sync(api.compile(text), data)["p"]

    for found, tolerance in ((plain, 1e-9), (got, 2.0**-15 + limit * 2.0**-13)):
        np.testing.assert_allclose(found["a"], u * joint, atol=tolerance)
        np.testing.assert_allclose(found["b"], v * joint, atol=tolerance)
        np.testing.assert_allclose(found["alone"], u * alone, atol=tolerance)
    if norm < 0.9 * limit:
        np.testing.assert_array_equal(got["a"], u)
        np.testing.assert_array_equal(got["b"], v)


def test_nothing_stays_nothing() -> None:
    _, _, data = given(0.0)

    got = api.simulate_sync(api.compile(HEAD + BOTH.format(limit=1.0)), data)["p"]

    np.testing.assert_array_equal(got["a"], np.zeros(3))


@pytest.mark.parametrize("size", [0.1, 3.0])
def test_it_has_a_derivative(size: float) -> None:
    u, _, data = given(size)
    text = HEAD + "def f(u):\n    return sum(clip_norm(u, 1.0) * [1.0, 2.0, 3.0])\nreveal grad(f(u), u) to all as d\n"
    weights, norm = np.array([1.0, 2.0, 3.0]), np.linalg.norm(u)
    want = weights if norm <= 1 else weights / norm - u * (u @ weights) / norm**3

    np.testing.assert_allclose(run_study(text, data)["d"], want, atol=1e-9)
    np.testing.assert_allclose(api.simulate_sync(api.compile(text), data)["p"]["d"], want, atol=2.0**-9)


@pytest.mark.parametrize("call", ["clip_norm(u, 0)", "clip_norm(u, -1.0)", "clip_norm(u, u)", "clip_norm(u, sum(u))"])
def test_a_limit_is_one_public_positive_number(call: str) -> None:
    with pytest.raises(StudyError):
        elaborate(parse(HEAD + f"reveal {call} to all as x\n"), Bindings({"n": 3}))


def test_the_number_of_elements_may_be_unknown() -> None:
    done = elaborate(parse(HEAD + BOTH.format(limit=1.0)), Bindings(), check=True)

    assert [o.name for o in done.outputs] == ["a", "b", "alone"]
