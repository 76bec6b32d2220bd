"""Poisson regression, networks, naive Bayes, neighbours and components against scikit-learn and float64.

Tolerances are those that the functions' texts state; of a network, what rounding adds up to over some tens of steps.
"""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from library_run import clear, grid, shared, split
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_linnerud, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.neural_network import MLPClassifier

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


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer])
def test_neighbours_are_scikit_learns(load: Any) -> None:
    """Where as many rows vote; rows as near as the last of five all vote here, of which scikit-learn takes some."""
    x, y = load(return_X_y=True)
    x, y = scaled(x)[:300], y[:300]
    theirs = KNeighborsClassifier(5, algorithm="brute").fit(x[::2], y[::2])
    numbers = KNeighborsRegressor(5, algorithm="brute").fit(x[::2], y[::2])
    clear_cut = neighbours(x[::2], x[1::2], 6).sum(axis=1) == 6
    clear_cut &= neighbours(x[::2], x[1::2], 5).sum(axis=1) == 5
    body = """
m = ml.knn(X[::2], y[::2], classes=3)
r = ml.knn(X[::2], y[::2], classes=0)
reveal ml.predict(m, X[1::2]) to all as classes
reveal ml.predict(r, X[1::2]) to all as means
"""
    plain, got = both(body, x, y, "int")

    assert clear_cut.mean() > 0.8
    for found in (plain, got):
        assert (found["classes"] == theirs.predict(x[1::2]))[clear_cut].all()
        np.testing.assert_allclose(found["means"][clear_cut], numbers.predict(x[1::2])[clear_cut], atol=2.0**-14)


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


def started(weights: list[Floats]) -> dict[str, Floats]:
    return {f"W{k}": w for k, w in enumerate(weights)} | {f"b{k}": np.zeros(w.shape[1]) for k, w in enumerate(weights)}


def slopes(p: dict[str, Floats], x: Floats, y: Floats, classes: int) -> tuple[Floats, dict[str, Floats]]:
    """The outputs for rows x, and the derivatives of their mean loss, alpha 0.001 among them."""
    last = len(p) // 2 - 1
    given, sums = [x], []
    for k in range(last + 1):
        sums.append(given[-1] @ p[f"W{k}"] + p[f"b{k}"])
        given.append(np.maximum(sums[-1], 0))
    o = sums[-1]
    link = {0: lambda o: o, 2: lambda o: 1 / (1 + np.exp(-o))}.get(
        classes, lambda o: np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    )
    off, g = (link(o) - y) / len(x), {}
    for k in range(last, -1, -1):
        g[f"W{k}"], g[f"b{k}"] = given[k].T @ off + 0.001 * p[f"W{k}"], off.sum(axis=0)
        off = off @ p[f"W{k}"].T * (given[k] > 0)
    return o, g


def network(x: Floats, y: Floats, p: dict[str, Floats], *, classes: int, solver: str, rate: float) -> Floats:
    """The outputs after the same training in float64: 3 epochs, batches of 32, momentum 0.9, or Adam as its paper has
    it, with epsilon 10^-5."""
    v = {k: np.zeros_like(w) for k, w in p.items()}
    m, s, t = v, v, 0
    for _ in range(3):
        for i in range(0, len(x), 32):
            _, g = slopes(p, x[i : i + 32], y[i : i + 32], classes)
            t += 1
            if solver == "sgd":
                v = {k: 0.9 * v[k] - rate * g[k] for k in p}
                p = {k: p[k] + v[k] for k in p}
            else:
                m = {k: 0.9 * m[k] + 0.1 * g[k] for k in p}
                s = {k: 0.999 * s[k] + 0.001 * g[k] ** 2 for k in p}
                root = {k: np.sqrt(s[k] / (1 - 0.999**t)) + 1e-5 for k in p}
                p = {k: p[k] - rate * m[k] / (1 - 0.9**t) / root[k] for k in p}
    return slopes(p, x, y, classes)[0]


SOLVERS = {"sgd": "rate=0.05", "adam": "rate=0.01, solver='adam'"}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("classes", "hidden"), [(0, (8,)), (0, (8, 6)), (2, (8,)), (2, (6, 5, 4)), (3, (8,)), (3, (8, 6))]
)
def test_networks(classes: int, hidden: tuple[int, ...], solver: str) -> None:
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    x, y = scaled(x)[order], y[order]
    target = {0: x[:, 3:], 2: (y == 1)[:, None], 3: np.eye(3)[y]}[classes]
    given = {0: x[:, 3], 2: y == 1, 3: y}[classes]
    kind = {0: "fixed", 2: "bool", 3: "int"}[classes]
    widths = [3, *hidden, 3 if classes == 3 else 1]
    starts = "".join(
        f"reveal randn(({a}, {b}), seed={5 + k}) * sqrt(2.0 / {a}) to all as w{k}\n"
        for k, (a, b) in enumerate(pairwise(widths))
    )
    sizes = f"hidden={hidden[0]}" if len(hidden) == 1 else f"hidden_layer_sizes={hidden}"
    body = f"""
Z = X[:, :3]
m = ml.mlp(Z, y, {sizes}, classes={classes}, alpha=0.001, epochs=3, {SOLVERS[solver]}, seed=5)
reveal ml.predict(m, Z) to all as guess
{"" if classes == 0 else "reveal ml.predict_proba(m, Z) to all as chances"}
"""
    plain, got = both(starts + body, x, given, kind)

    start = started([plain[f"w{k}"] for k in range(len(widths) - 1)])
    rate = float(SOLVERS[solver].split(",")[0].removeprefix("rate="))
    want = network(x[:, :3], target.astype(float), start, classes=classes, solver=solver, rate=rate)
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


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
def test_networks_are_as_good_as_scikit_learns(load: Any, solver: str) -> None:
    x, y = load(return_X_y=True)
    order = np.random.default_rng(1).permutation(len(y))
    x, y, train = scaled(x)[order], y[order], len(y) * 2 // 3
    classes = int(y.max()) + 1
    rate = 0.1 if solver == "sgd" else 0.01
    theirs = MLPClassifier(
        (16, 8),
        solver=solver,
        learning_rate_init=rate,
        batch_size=32,
        max_iter=10,
        nesterovs_momentum=False,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x[:train], y[:train])
    written = f"classes={classes}, epochs=10, rate={rate}, solver='{solver}'"
    body = f"""
m = ml.mlp(X[:{train}], y[:{train}], hidden_layer_sizes=(16, 8), {written})
reveal ml.predict(m, X) to all as guess
"""
    _, got = both(body, x, y, "int")

    # Of some 60 (wine) to 190 rows; both start and shuffle differently, three flasks more or fewer are no difference.
    right = np.mean(got["guess"][train:] == y[train:])
    assert right >= max(theirs.score(x[train:], y[train:]) - 0.05, 0.9)
