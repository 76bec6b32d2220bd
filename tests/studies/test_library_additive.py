"""The library over the additive protocol: what it gives in the clear, to the tolerances of its texts."""

from __future__ import annotations

import numpy as np
import pytest
from library_run import clear, grid, shared, split

pytestmark = pytest.mark.slow

HEAD = """
input xa: fixed[n, 3] from a
input xb: fixed[n, 3] from b
input y: fixed[n] from c
X = xa + xb
"""

BODIES = {
    "ridge": ("m = ml.ridge(X, y)\nreveal m.weights to all as r", 2.0**-11),
    "r2": ("reveal ml.r2(X[:, 0], y) to all as r", 2.0**-11),
    "logistic": ("m = ml.logistic_regression(X, y > 0, epochs=1, rate=0.5)\nreveal m.weights to all as r", 2.0**-8),
    "kmeans": ("m = ml.kmeans(X, start=X[:2], iterations=2)\nreveal m.centres to all as r", 2.0**-12),
    "auc": ("reveal ml.auc(X[:, 0], y > 0) to all as r", 2.0**-14),
    "moments": ("reveal concat(stats.variance(X), stats.correlation(X)[0]) to all as r", 2.0**-12),
    "t-test": ("t = stats.t_test(X[:, 0], X[:, 1])\nreveal [t.statistic, t.p_value] to all as r", 2.0**-9),
}


@pytest.mark.parametrize("name", BODIES)
def test_over_the_additive_protocol(name: str) -> None:
    rng = np.random.default_rng(5)
    x = grid(rng.normal(size=(60, 3)))
    y = grid(x @ [1.0, -1.0, 0.5] + rng.normal(size=60))
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    body, tolerance = BODIES[name]

    want, got = clear(HEAD + body, data), shared(HEAD + body, data, "additive")

    np.testing.assert_allclose(got["r"], want["r"], atol=tolerance)
