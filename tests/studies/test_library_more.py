"""Poisson regression, networks, naive Bayes, neighbours and components against scikit-learn and float64.

Tolerances are those that the functions' texts state; of a network, what rounding adds up to over some tens of steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import clear, grid, shared, split
from sklearn.datasets import load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import PoissonRegressor
from sklearn.naive_bayes import GaussianNB

pytestmark = pytest.mark.slow

Floats = Any

HEAD = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
input y: {kind}[n] from c
X = xa + xb
"""


def scaled(x: Floats) -> Floats:
    return grid((x - x.mean(axis=0)) / x.std(axis=0))


def both(body: str, x: Floats, y: Floats, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(in the clear, on shares)."""
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    text = HEAD.format(d=x.shape[1], kind=kind) + body
    return clear(text, data), shared(text, data)


@pytest.mark.parametrize(("load", "alpha"), [(load_diabetes, 0.1), (load_linnerud, 0.01)], ids=["diabetes", "linnerud"])
def test_poisson_regression(load: Any, alpha: float) -> None:
    x = load().data
    x, y = scaled(x), load().target.reshape(len(x), -1)[:, 0]
    want = PoissonRegressor(alpha=alpha, tol=1e-9, solver="newton-cholesky").fit(x, y)
    body = f"""
m = ml.poisson_regression(X, y, alpha={alpha})
reveal m.weights to all as weights
reveal m.intercept to all as intercept
reveal ml.predict(m, X) to all as guess
"""
    plain, got = both(body, x, y, "fixed")

    for found, tolerance in ((plain, 2.0**-14), (got, 2.0**-12)):
        np.testing.assert_allclose(found["weights"], want.coef_, atol=tolerance)
        np.testing.assert_allclose(found["intercept"], want.intercept_, atol=tolerance)
        np.testing.assert_allclose(found["guess"], want.predict(x), rtol=10 * tolerance)


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_naive_bayes(load: Any) -> None:
    x, y = load(return_X_y=True)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    model = GaussianNB().fit(z, y)
    model.var_ = model.var_ + 0.001
    body = """
m = ml.naive_bayes(X, y, classes=3)
reveal m.centres to all as centres
reveal m.sizes to all as sizes
reveal ml.predict(m, X) to all as classes
reveal ml.predict_proba(m, X) to all as chances
"""
    plain, got = both(body, grid(x), y, "int")

    centres = np.array([x[y == k].mean(axis=0) for k in range(3)])
    for found, tolerance in ((plain, 2.0**-12), (got, 2.0**-8)):
        np.testing.assert_allclose(found["centres"], centres, rtol=1e-5, atol=2.0**-13)
        assert list(found["sizes"]) == list(np.bincount(y))
        np.testing.assert_allclose(found["chances"], model.predict_proba(z), atol=tolerance)
        assert (found["classes"] == model.predict(z)).all()


def test_naive_bayes_of_two_classes() -> None:
    x, y = load_wine(return_X_y=True)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    model = GaussianNB().fit(z, y == 1)
    model.var_ = model.var_ + 0.001
    body = """
m = ml.naive_bayes(X, y)
reveal ml.predict(m, X) to all as classes
reveal ml.predict_proba(m, X) to all as chances
"""
    _, got = both(body, grid(x), y == 1, "bool")

    np.testing.assert_allclose(got["chances"], model.predict_proba(z)[:, 1], atol=2.0**-8)
    assert np.mean(got["classes"] == model.predict(z)) > 0.99


def neighbours(train: Floats, test: Floats, k: int) -> Floats:
    """Which rows vote: as near as the last of k, ties and all."""
    distance = ((test[:, None] - train) ** 2).sum(axis=2)
    return distance <= np.sort(distance, axis=1)[:, k - 1 : k] + 1e-3


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_nearest_neighbours(load: Any) -> None:
    x, y = load(return_X_y=True)
    x = np.round(scaled(x) * 16) / 16
    near = neighbours(x[::2], x[1::2], 5)
    votes = near @ np.eye(3)[y[::2]]
    body = """
m = ml.knn(X[::2], y[::2], classes=3)
r = ml.knn(X[::2], y[::2], n_neighbors=5, classes=0)
b = ml.knn(X[::2], y[::2] == 1)
reveal ml.predict(m, X[1::2]) to all as classes
reveal ml.predict_proba(m, X[1::2]) to all as chances
reveal ml.predict(r, X[1::2]) to all as means
reveal ml.predict(b, X[1::2]) to all as ones
"""
    plain, got = both(body, x, y, "int")

    many = near.sum(axis=1)
    for found in (plain, got):
        assert (found["classes"] == votes.argmax(axis=1)).all()
        np.testing.assert_allclose(found["chances"], votes / many[:, None], atol=2.0**-14)
        np.testing.assert_allclose(found["means"], near @ y[::2] / many, atol=2.0**-14)
        assert (found["ones"] == (2 * votes[:, 1] > many)).all()


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_components(load: Any) -> None:
    x = grid(load().data) if load is load_iris else scaled(load().data)
    model = PCA(2).fit(x)
    body = """
m = ml.pca(X, n_components=2)
reveal m.components to all as components
reveal m.variances to all as variances
reveal ml.predict(m, X) to all as coordinates
"""
    plain, got = both(body, x, load().target, "int")

    for found in (plain, got):
        np.testing.assert_allclose(found["components"], model.components_, atol=2.0**-10)
        np.testing.assert_allclose(found["variances"], model.explained_variance_, rtol=2.0**-10)
        np.testing.assert_allclose(found["coordinates"], model.transform(x), atol=2.0**-8)


def network(x: Floats, y: Floats, start: dict[str, Any], *, classes: int, epochs: int, rate: float) -> Floats:
    """The outputs of the same training in float64, with batches of 32, momentum 0.9 and alpha 0.001."""
    p = {"W1": start["w1"], "b1": np.zeros(8), "W2": start["w2"], "b2": np.zeros(start["w2"].shape[1])}
    v = {k: np.zeros_like(w) for k, w in p.items()}

    def output(x: Floats) -> Floats:
        return np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]

    for _ in range(epochs):
        for i in range(0, len(x), 32):
            xb, yb = x[i : i + 32], y[i : i + 32]
            z = xb @ p["W1"] + p["b1"]
            h, o = np.maximum(z, 0), output(xb)
            link = {0: lambda o: o, 2: lambda o: 1 / (1 + np.exp(-o))}.get(
                classes, lambda o: np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
            )
            off = (link(o) - yb) / len(xb)
            back = off @ p["W2"].T * (z > 0)
            grads = {"W1": xb.T @ back, "b1": back.sum(axis=0), "W2": h.T @ off, "b2": off.sum(axis=0)}
            for k in p:
                v[k] = 0.9 * v[k] - rate * (grads[k] + (0.001 * p[k] if k[0] == "W" else 0))
            for k in p:
                p[k] = p[k] + v[k]
    return output(x)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_networks(classes: int) -> None:
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    x, y = scaled(x)[order], y[order]
    target = {0: x[:, 3:], 2: (y == 1)[:, None], 3: np.eye(3)[y]}[classes]
    given = {0: x[:, 3], 2: y == 1, 3: y}[classes]
    kind = {0: "fixed", 2: "bool", 3: "int"}[classes]
    outputs = max(classes, 1) if classes != 2 else 1
    starts = f"""
reveal randn((3, 8), seed=5) * sqrt(2.0 / 3) to all as w1
reveal randn((8, {outputs}), seed=6) * sqrt(2.0 / 8) to all as w2
"""
    body = f"""
Z = X[:, :3]
m = ml.mlp(Z, y, hidden=8, classes={classes}, alpha=0.001, epochs=3, rate=0.05, seed=5)
reveal ml.predict(m, Z) to all as guess
{"" if classes == 0 else "reveal ml.predict_proba(m, Z) to all as chances"}
"""
    plain, got = both(starts + body, x, given, kind)

    want = network(x[:, :3], target.astype(float), plain, classes=classes, epochs=3, rate=0.05)
    for found, tolerance in ((plain, 1e-3), (got, 0.01)):
        if classes == 0:
            np.testing.assert_allclose(found["guess"], want[:, 0], atol=tolerance)
        elif classes == 2:
            np.testing.assert_allclose(found["chances"], 1 / (1 + np.exp(-want[:, 0])), atol=tolerance)
            assert np.mean(found["guess"] == (want[:, 0] > 0)) > 0.98
        else:
            chances = np.exp(want) / np.exp(want).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(found["chances"], chances, atol=tolerance)
            assert np.mean(found["guess"] == want.argmax(axis=1)) > 0.98
