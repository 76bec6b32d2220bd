"""Classifiers, clusters and measures of the library against NumPy and scikit-learn.

Training is held against the same algorithm in float64: scores may differ by what rounding to 2^-16 in each step adds up
to, which stays below 0.01 over some hundred steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import clear, grid, shared, split
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, roc_auc_score

pytestmark = pytest.mark.slow

Floats = Any


def scaled(x: Floats) -> Floats:
    return grid((x - x.mean(axis=0)) / x.std(axis=0))


def mixed(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    order = np.random.default_rng(0).permutation(len(y))
    return x[order], y[order]


def descent(x: Floats, y: Floats, *, alpha: float, epochs: int, rate: float, batch: int, momentum: float) -> Floats:
    """Softmax regression in float64 (of two classes, the sigmoid of one score): weights with the intercepts below."""
    a, classes = np.c_[x, np.ones(len(x))], y.shape[1]
    w = v = np.zeros((a.shape[1], classes))
    penalty = np.r_[np.full(x.shape[1], alpha), 0][:, None]
    for _ in range(epochs):
        for i in range(0, len(a), batch):
            ab, yb = a[i : i + batch], y[i : i + batch]
            z = ab @ w
            p = 1 / (1 + np.exp(-z)) if classes == 1 else np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
            v = momentum * v - rate * (ab.T @ (p - yb) / len(ab) + penalty * w)
            w = w + v
    return w


LOGISTIC = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
input y: {kind}[n] from c
X = xa + xb
m = ml.logistic_regression(X, y, {settings}, classes={classes})
reveal m.weights to all as weights
reveal m.intercept to all as intercept
reveal ml.predict(m, X) to all as classes
reveal ml.predict_proba(m, X) to all as chances
"""


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 0.001, "epochs": 4, "rate": 0.3, "batch": 64, "momentum": 0.0},
        {"alpha": 0.01, "epochs": 3, "rate": 0.1, "batch": 50, "momentum": 0.8},
        {"alpha": 0.0, "epochs": 5, "rate": 1.0, "batch": 1000, "momentum": 0.0},
    ],
    ids=["a last batch of fewer", "momentum", "one batch"],
)
def test_logistic_regression(settings: dict[str, Any]) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    x, y = mixed(scaled(x[:, :10]), y == 1)
    x, y = x[:450], y[:450]
    want = descent(x, y[:, None].astype(float), **settings)[:, 0]
    score = x @ want[:-1] + want[-1]
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    written = ", ".join(f"{k}={v}" for k, v in settings.items())
    text = LOGISTIC.format(d=10, kind="bool", settings=written, classes=2)

    plain, got = clear(text, data), shared(text, data)

    for found, tolerance in ((plain, 1e-3), (got, 0.01)):
        np.testing.assert_allclose(found["weights"], want[:-1], atol=tolerance)
        np.testing.assert_allclose(found["intercept"], want[-1], atol=tolerance)
        np.testing.assert_allclose(found["chances"], 1 / (1 + np.exp(-score)), atol=tolerance)
        sure = np.abs(score) > 10 * tolerance
        assert (found["classes"] == (score > 0))[sure].all()


@pytest.mark.parametrize(
    ("load", "C", "scale"),
    [(load_breast_cancer, 1.0, True), (load_wine, 1.0, False), (load_iris, 10.0, False)],
    ids=["cancer", "wine", "iris"],
)
def test_newtons_method_is_scikit_learns(load: Any, C: float, scale: bool) -> None:
    """Columns of any size: those of wine have deviations from 0.1 to 315."""
    x, labels = load(return_X_y=True)
    x, y = scaled(x) if scale else grid(x), labels == 1
    want = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10).fit(x, y)
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    text = LOGISTIC.format(d=x.shape[1], kind="bool", classes=2, settings=f"solver='newton', C={C}")

    plain, got = clear(text, data), shared(text, data)

    weights = want.coef_[0] * x.std(axis=0)
    for found, tolerance in ((plain, 2.0**-10), (got, 2.0**-8)):
        most = tolerance * max(1.0, np.abs(weights).max())
        np.testing.assert_allclose(found["weights"] * x.std(axis=0), weights, atol=most)
        np.testing.assert_allclose(found["chances"], want.predict_proba(x)[:, 1], atol=tolerance)
    sure = np.abs(want.decision_function(x)) > 0.05
    np.testing.assert_array_equal(got["classes"][sure], want.predict(x)[sure])


def test_a_newton_step_that_goes_too_far_is_shortened() -> None:
    """Rows of very different sizes, as good as apart: whole steps make the loss 50 times what it is at 0."""
    rng = np.random.default_rng(1432)
    n, d, alpha = int(rng.integers(20, 80)), int(rng.integers(1, 4)), 0.001
    x = grid(rng.normal(size=(n, d)) * np.exp(rng.normal(size=(n, 1)) * rng.uniform(0, 2.5)))
    slope, scale, shift = rng.normal(size=d), rng.uniform(0.1, 5), rng.uniform(-6, 6)
    y = (x @ slope * scale + shift + rng.logistic(size=n) * rng.choice([0.1, 1])) > 0
    a, penalty = np.c_[x, np.ones(n)], np.r_[np.full(d, alpha), 0]

    def loss(u: Floats) -> float:
        return float(np.mean(np.logaddexp(0, a @ u) - y * (a @ u)) + penalty @ u**2 / 2)

    u, whole = np.zeros(d + 1), []
    for _ in range(12):
        q = 0.5 + 0.5 * np.tanh(a @ u / 2)
        hessian = a.T @ (a * (q * (1 - q) + 2.0**-12)[:, None]) / n + np.diag(penalty)
        u = u + np.linalg.solve(hessian, a.T @ (y - q) / n - penalty * u)
        whole.append(loss(u))
    want = LogisticRegression(C=1 / (alpha * n), solver="newton-cholesky", tol=1e-10, max_iter=200).fit(x, y)
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    settings = f"solver='newton', alpha={alpha}, max_iter=20"

    got = shared(LOGISTIC.format(d=d, kind="bool", classes=2, settings=settings), data)

    assert max(whole) > 10
    least = loss(np.r_[want.coef_[0], want.intercept_])
    assert loss(np.r_[got["weights"], got["intercept"]]) < least + 0.01


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_softmax_regression(load: Any) -> None:
    x, y = load(return_X_y=True)
    x, y = mixed(scaled(x), y)
    settings = {"alpha": 0.001, "epochs": 2, "rate": 0.5, "batch": 40, "momentum": 0.5}
    want = descent(x, np.eye(3)[y], **settings)
    score = x @ want[:-1] + want[-1]
    chances = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y}}
    written = ", ".join(f"{k}={v}" for k, v in settings.items())

    got = shared(LOGISTIC.format(d=x.shape[1], kind="int", settings=written, classes=3), data)

    np.testing.assert_allclose(got["weights"], want[:-1], atol=0.01)
    np.testing.assert_allclose(got["chances"], chances, atol=0.01)
    assert np.mean(got["classes"] == chances.argmax(axis=1)) > 0.98


CLUSTERS = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
X = xa + xb
m = ml.kmeans(X, start={start}, iterations={iterations})
reveal m.centres to all as centres
reveal m.sizes to all as sizes
reveal ml.predict(m, X) to all as clusters
"""


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_kmeans(load: Any) -> None:
    x = grid(load().data) if load is load_iris else scaled(load().data)
    first = x[[0, 60, 120]]
    model = KMeans(3, init=first, n_init=1, max_iter=30, tol=0, algorithm="lloyd").fit(x)
    xa, xb = split(x)
    text = CLUSTERS.format(d=x.shape[1], start="stack(X[0], X[60], X[120])", iterations=model.n_iter_)

    plain, got = (run(text, {"a": {"xa": xa}, "b": {"xb": xb}}) for run in (clear, shared))

    for found in (plain, got):
        np.testing.assert_allclose(found["centres"], model.cluster_centers_, atol=2.0**-13)
        assert list(found["sizes"]) == list(np.bincount(model.labels_))
        assert list(found["clusters"]) == list(model.labels_)


def furthest(x: Floats, on: Floats, k: int) -> Floats:
    """Rows far apart: the furthest from the mean, then each time the furthest from those chosen."""
    x = x[on]
    chosen: list[Floats] = []
    away = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    for _ in range(k):
        chosen.append(x[away.argmax()])
        away = ((x[:, None] - np.array(chosen)) ** 2).sum(axis=2).min(axis=1)
    return np.array(chosen)


FAR = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
input on: bool[n] from c
X = xa + xb
m = ml.kmeans(X, n_clusters={k}, iterations={iterations}{weight})
reveal m.centres to all as centres
reveal m.sizes to all as sizes
"""


@pytest.mark.parametrize("weighed", [False, True])
@pytest.mark.parametrize(("load", "k"), [(load_iris, 3), (load_wine, 3), (load_wine, 9)])
def test_kmeans_finds_its_own_start(load: Any, k: int, weighed: bool) -> None:
    x = grid(load().data) if load is load_iris else scaled(load().data)
    on = np.arange(len(x)) % 3 > 0 if weighed else np.ones(len(x), bool)
    if weighed:
        x[~on] = 90.0
    model = KMeans(k, init=furthest(x, on, k), n_init=1, max_iter=30, tol=0, algorithm="lloyd").fit(x[on])
    xa, xb = split(x)
    weight = ", sample_weight=on" if weighed else ""
    text = FAR.format(d=x.shape[1], k=k, iterations=model.n_iter_, weight=weight)

    plain, got = (run(text, {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"on": on}}) for run in (clear, shared))

    for found in (plain, got):
        np.testing.assert_allclose(found["centres"], model.cluster_centers_, atol=2.0**-13)
        assert list(found["sizes"]) == list(np.bincount(model.labels_))


@pytest.mark.parametrize("k", [1, 3, 9])
def test_a_centre_without_rows_stays(k: int) -> None:
    x = grid(np.random.default_rng(3).normal(size=(12, 2)))
    start = [[0.5 * i, 0.0] for i in range(k - 1)] + [[50.0, 50.0]]
    xa, xb = split(x)

    got = shared(CLUSTERS.format(d=2, start=start, iterations=2), {"a": {"xa": xa}, "b": {"xb": xb}})

    assert got["sizes"].sum() == 12
    if k > 1:
        assert got["sizes"][-1] == 0
        np.testing.assert_allclose(got["centres"][-1], [50, 50], atol=2.0**-15)
    else:
        np.testing.assert_allclose(got["centres"], [x.mean(axis=0)], atol=2.0**-14)


MEASURES = """
input sa: fixed[n] from a
input sb: fixed[n] from b
input y: bool[n] from c
s = sa + sb
reveal ml.auc(s, y) to all as auc
reveal ml.confusion(s > 0, y) to all as confusion
"""


@pytest.mark.parametrize("n", [60, pytest.param(1100, id="by sorting")])
def test_auc_and_confusion(n: int) -> None:
    rng = np.random.default_rng(n)
    score = np.round(rng.normal(size=n) * 4) / 4
    y = rng.random(n) < 0.3 + 0.1 * score
    sa, sb = split(score)

    plain, got = (run(MEASURES, {"a": {"sa": sa}, "b": {"sb": sb}, "c": {"y": y}}) for run in (clear, shared))

    for found in (plain, got):
        assert abs(found["auc"] - roc_auc_score(y, score)) <= 2.0**-15
        np.testing.assert_array_equal(found["confusion"], confusion_matrix(y, score > 0))


def test_of_one_class_there_is_no_auc() -> None:
    sa, sb = split(np.arange(8.0))

    got = shared(MEASURES, {"a": {"sa": sa}, "b": {"sb": sb}, "c": {"y": np.ones(8, bool)}})

    assert got["auc"] == 0
    assert got["confusion"].tolist() == [[0, 0], [1, 7]]
