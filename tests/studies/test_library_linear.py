"""Least squares and its measures against scikit-learn, on data of different scales.

Tolerances are those that the functions' texts state, in deviations where they are relative: `fixed` has 16 fraction
bits, and a column of deviation 0.05 has 3,000 steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import clear, grid, shared, split
from sklearn.datasets import load_diabetes, load_linnerud
from sklearn.linear_model import LinearRegression, Ridge

pytestmark = pytest.mark.slow

TEXT = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
input y: fixed[n] from c
X = xa + xb
m = ml.ridge(X, y, alpha={alpha})
l = ml.linear_regression(X, y)
reveal m.weights to all as ridge
reveal m.intercept to all as ridge_intercept
reveal l.weights to all as least
reveal l.standard_errors to all as errors
reveal ml.r2(ml.predict(m, X), y) to all as r2
"""

SETS = {
    "diabetes": (lambda: load_diabetes(return_X_y=True, scaled=False), 4.42),
    "diabetes scaled": (lambda: load_diabetes(return_X_y=True), 0.1),
    "linnerud": (lambda: (load_linnerud().data, load_linnerud().target[:, 0] * 1000), 1.0),
}


def reference(x: Any, y: Any, alpha: float) -> dict[str, Any]:
    n, d = x.shape
    ridge, least = Ridge(alpha).fit(x, y), LinearRegression().fit(x, y)
    residuals = y - least.predict(x)
    centred = x - x.mean(axis=0)
    errors = np.sqrt(np.diag(np.linalg.inv(centred.T @ centred)) * (residuals @ residuals) / (n - d - 1))
    return {
        "ridge": ridge.coef_,
        "ridge_intercept": ridge.intercept_,
        "least": least.coef_,
        "errors": errors,
        "r2": ridge.score(x, y),
    }


@pytest.mark.parametrize("name", SETS)
def test_least_squares(name: str) -> None:
    load, alpha = SETS[name]
    x, y = map(grid, load())
    want = reference(x, y, alpha)
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    text = TEXT.format(d=x.shape[1], alpha=alpha)

    plain, got = clear(text, data), shared(text, data)

    unit = y.std() / x.std(axis=0)
    for key in want:
        np.testing.assert_allclose(plain[key], want[key], rtol=1e-9, err_msg=key)
    for key in ("ridge", "least"):
        off = np.abs(got[key] - want[key])
        assert (off <= 2.0**-13 * unit + 2.0**-15).all(), (key, off / unit)
    np.testing.assert_allclose(got["errors"], want["errors"], rtol=0.01, atol=2.0**-15)
    assert abs(got["r2"] - want["r2"]) <= 2.0**-13
    means = 2.0**-13 * (unit @ np.abs(x.mean(axis=0))) + 2.0**-15 * np.abs(want["ridge"]).sum()
    assert abs(got["ridge_intercept"] - want["ridge_intercept"]) <= means + 2.0**-14


def test_a_constant_column_has_no_weight() -> None:
    rng = np.random.default_rng(1)
    x = grid(rng.normal(size=(60, 3)) * [1000.0, 0.01, 1.0])
    x[:, 2] = 7
    y = grid(x[:, 0] / 100 + 50 * x[:, 1] + rng.normal(size=60))
    want = LinearRegression().fit(x, y).coef_
    xa, xb = split(x)

    text = TEXT.format(d=3, alpha=0.5).replace("reveal l.standard_errors to all as errors\n", "")
    got = shared(text, {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}})

    assert got["least"][2] == 0
    np.testing.assert_allclose(got["least"][:2], want[:2], rtol=1e-3, atol=2.0**-15)


def test_many_columns() -> None:
    rng = np.random.default_rng(2)
    x = grid(rng.normal(size=(300, 40)) @ np.linalg.cholesky(0.5 * np.eye(40) + 0.5))
    y = grid(x @ rng.normal(size=40) + rng.normal(size=300))
    want = Ridge(2.0).fit(x, y).coef_
    xa, xb = split(x)
    text = TEXT.format(d=40, alpha=2.0)
    text = text[: text.index("l =")] + "reveal m.weights to all as ridge\n"

    got = shared(text, {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}})

    np.testing.assert_allclose(got["ridge"], want, atol=2.0**-12)


WEIGHED = """
input xa: fixed[n, 3] from a
input xb: fixed[n, 3] from b
input y: fixed[n] from c
input on: bool[n] from b
X = xa + xb
m = ml.ridge(X, y, alpha=2.0, sample_weight=on)
l = ml.linear_regression(X, y, sample_weight=on)
k = ml.kmeans(X, start=[[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], iterations=3, sample_weight=on)
g = ml.logistic_regression(X, y > 0, epochs=2, rate=0.5, batch=30, sample_weight=on)
reveal m.weights to all as ridge
reveal m.intercept to all as intercept
reveal l.standard_errors to all as errors
reveal k.centres to all as centres
reveal k.sizes to all as sizes
reveal g.weights to all as logistic
"""


def test_rows_that_do_not_count() -> None:
    rng = np.random.default_rng(4)
    x, on = grid(rng.normal(size=(90, 3))), np.arange(90) % 3 > 0
    y = grid(x @ [1.0, -2.0, 0.5] + 3 + rng.normal(size=90))
    x[~on], y[~on] = 50, -70
    want = reference(x[on], y[on], 2.0)
    near = (((x[on][:, None] - [[-1.0, 0, 0], [1.0, 0, 0]]) ** 2).sum(axis=2)).argmin(axis=1)
    for _ in range(2):
        centres = np.stack([x[on][near == k].mean(axis=0) for k in (0, 1)])
        near = ((x[on][:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    centres = np.stack([x[on][near == k].mean(axis=0) for k in (0, 1)])
    a, w = np.c_[x, np.ones(90)], np.zeros(4)
    for _ in range(2):
        for i in range(0, 90, 30):
            off = 1 / (1 + np.exp(-(a[i : i + 30] @ w))) - (y[i : i + 30] > 0)
            w = w - 0.5 * (a[i : i + 30].T @ (off * on[i : i + 30]) / 20 + 0.0001 * w * [1, 1, 1, 0])
    xa, xb = split(x)

    got = shared(WEIGHED, {"a": {"xa": xa}, "b": {"xb": xb, "on": on}, "c": {"y": y}})

    np.testing.assert_allclose(got["ridge"], want["ridge"], atol=2.0**-11)
    np.testing.assert_allclose(got["intercept"], want["ridge_intercept"], atol=2.0**-11)
    np.testing.assert_allclose(got["errors"], want["errors"], rtol=0.01)
    np.testing.assert_allclose(got["centres"], centres, atol=2.0**-13)
    assert list(got["sizes"]) == list(np.bincount(near))
    np.testing.assert_allclose(got["logistic"], w[:3], atol=0.01)
