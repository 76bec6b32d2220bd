"""Convolution and pooling: in the clear against sums written out, on shares, and their derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from evaluate import run_study

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from runtime import api

Floats = npt.NDArray[np.float64]

RNG = np.random.default_rng(8)
X = np.round(RNG.normal(size=(3, 2, 7, 6)) * 65536) / 65536
K = np.round(RNG.normal(size=(4, 2, 3, 2)) * 65536) / 65536
HEAD = """party p, q, r
input Xp: fixed[n, 2, 7, 6] from p
input Xq: fixed[n, 2, 7, 6] from q
input K: fixed[4, 2, 3, 2] from q
X = Xp + Xq
"""
DATA = {"p": {"Xp": X - 1}, "q": {"Xq": np.ones_like(X), "K": K}}


def convolved(x: Floats, k: Floats, stride: int, padding: int) -> Floats:
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    rows, columns = ((x.shape[i] - k.shape[i]) // stride + 1 for i in (2, 3))
    out = np.zeros((len(x), len(k), rows, columns))
    for image, pixels in enumerate(x):
        for filter_, weights in enumerate(k):
            for i in range(rows):
                for j in range(columns):
                    part = pixels[:, stride * i : stride * i + k.shape[2], stride * j : stride * j + k.shape[3]]
                    out[image, filter_, i, j] = np.sum(part * weights)
    return out


def pooled(x: Floats, size: int, stride: int, how: Any) -> Floats:
    rows, columns = ((x.shape[i] - size) // stride + 1 for i in (2, 3))
    out = np.zeros((*x.shape[:2], rows, columns))
    for i in range(rows):
        for j in range(columns):
            part = x[:, :, stride * i : stride * i + size, stride * j : stride * j + size]
            out[:, :, i, j] = how(part, axis=(2, 3))
    return out


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("conv2d(X, K)", convolved(X, K, 1, 0)),
        ("conv2d(X, K, stride=2)", convolved(X, K, 2, 0)),
        ("conv2d(X, K, padding=1)", convolved(X, K, 1, 1)),
        ("conv2d(X, K, stride=3, padding=2)", convolved(X, K, 3, 2)),
        ("conv2d(floor(X), floor(K))", convolved(np.floor(X), np.floor(K), 1, 0)),
        ("max_pool(X, 2)", pooled(X, 2, 2, np.max)),
        ("max_pool(X, 3, stride=1)", pooled(X, 3, 1, np.max)),
        ("max_pool(X, 6)", pooled(X, 6, 6, np.max)),
        ("avg_pool(X, 2)", pooled(X, 2, 2, np.mean)),
        ("avg_pool(X, 3, stride=2)", pooled(X, 3, 2, np.mean)),
        ("max_pool(relu(conv2d(X, K)), 2)", pooled(np.maximum(convolved(X, K, 1, 0), 0), 2, 2, np.max)),
    ],
)
def test_in_the_clear(expression: str, expected: Floats) -> None:
    result = np.asarray(run_study(f"{HEAD}reveal {expression} to all as result\n", DATA)["result"])

    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, atol=1e-9)


def test_on_shares() -> None:
    text = HEAD + (
        "reveal conv2d(X, K, stride=2, padding=1) to all as c\n"
        "reveal max_pool(X, 3, stride=2) to all as m\nreveal avg_pool(X, 3) to all as a\n"
    )

    got = api.simulate_sync(api.compile(text), DATA)["p"]

    np.testing.assert_allclose(got["c"], convolved(X, K, 2, 1), atol=2.0**-16)
    np.testing.assert_array_equal(got["m"], pooled(X, 3, 2, np.max))
    np.testing.assert_allclose(got["a"], pooled(X, 3, 3, np.mean), atol=2.0**-15)


@pytest.mark.parametrize(
    "layer", ["conv2d(x, k, stride=2, padding=1)", "max_pool(conv2d(x, k), 2)", "avg_pool(conv2d(x, k), 3)"]
)
def test_derivatives(layer: str) -> None:
    text = f"""party p, q, r
input x: fixed[2, 2, 6, 5] from p
input k: fixed[3, 2, 3, 3] from q
def loss(x, k):
    return mean(square({layer}))
reveal loss(x, k) to all as loss
"""
    both = "dx, dk = grad(loss(x, k), (x, k))\nreveal dx, dk to all\n"
    x, k = RNG.normal(size=(2, 2, 6, 5)), RNG.normal(size=(3, 2, 3, 3))

    def loss(x: Floats, k: Floats) -> float:
        return float(run_study(text, {"p": {"x": x}, "q": {"k": k}})["loss"])

    got = run_study(text + both, {"p": {"x": x}, "q": {"k": k}})
    for at in [(0, 0, 0, 0), (1, 1, 3, 2), (1, 0, 5, 4)]:
        step = np.zeros_like(x)
        step[at] = 1e-5
        assert np.asarray(got["dx"])[at] == pytest.approx((loss(x + step, k) - loss(x - step, k)) / 2e-5, abs=1e-7)
    for at in [(0, 0, 0, 0), (2, 1, 2, 1)]:
        step = np.zeros_like(k)
        step[at] = 1e-5
        assert np.asarray(got["dk"])[at] == pytest.approx((loss(x, k + step) - loss(x, k - step)) / 2e-5, abs=1e-7)


def test_the_number_of_images_may_be_unknown() -> None:
    text = HEAD + "reveal max_pool(conv2d(X, K, padding=1), 2) to all as y\n"

    (output,) = elaborate(parse(text), Bindings(), check=True).outputs

    assert output.name == "y"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("conv2d(X, K[:, :1])", "four axes"),
        ("conv2d(X[0], K)", "four axes"),
        ("conv2d(X[:, :, :2], K)", "larger than the image"),
        ("conv2d(X, K, stride=0)", "1 at least"),
        ("conv2d(X, K, padding=-1)", "0 at least"),
        ("max_pool(X, 7)", "larger than the image"),
        ("avg_pool(X, 0)", "1 at least"),
    ],
)
def test_what_does_not_fit_is_an_error(expression: str, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        run_study(f"{HEAD}reveal {expression} to all as result\n", DATA)
