"""The tasks: each a study, its data from `default_rng(7)`, and the same in NumPy.

What is secret at the start is secret here too: where a task has one input, two parties bring parts of it, so that
nobody could compute in the clear.  `PARTIES` stands for the names of the parties: three for rep3, two for additive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGE", "TASKS", "Data", "Task"]

Data = Mapping[tuple[str, str], Any]
"""An array, or a table (its columns, or one of Arrow), by (party, name)."""

Rng = np.random.Generator


@dataclass(frozen=True, slots=True)
class Task:
    """One task.  error: from the data and what the party `reader` learned, the largest error against the same in the
    clear."""

    name: str
    study: str
    data: Callable[[Rng], Data]
    error: Callable[[Data, Mapping[str, Any]], float]
    reader: str = "a"


def _furthest(name: str, reference: Callable[[Data], NDArray[Any]]) -> Callable[[Data, Mapping[str, Any]], float]:
    def error(data: Data, learned: Mapping[str, Any]) -> float:
        return float(np.max(np.abs(np.asarray(learned[name], np.float64) - reference(data)), initial=0.0))

    return error


# -- one operation on whole arrays -----------------------------------------------------------------


def _pairs(study: str, n: int, low: float, high: float, *, least: float | None = None) -> tuple[str, Any]:
    """x from a and y from b, uniform; y at least `least`."""
    text = f"party PARTIES\ninput x: fixed[n] from a\ninput y: fixed[n] from b\nz = {study}\nreveal z to a\n"

    def data(rng: Rng) -> Data:
        x = rng.uniform(low, high, n)
        return {("a", "x"): x, ("b", "y"): rng.uniform(low if least is None else least, high, n)}

    return text, data


def _one(study: str, n: int, low: float, high: float) -> tuple[str, Any]:
    """x = u + v, u from a and v from b."""
    text = f"party PARTIES\ninput u: fixed[n] from a\ninput v: fixed[n] from b\nx = u + v\nz = {study}\nreveal z to a\n"

    def data(rng: Rng) -> Data:
        x = _grid(rng.uniform(low, high, n))
        v = _grid(rng.uniform(-1, 1, n))
        return {("a", "u"): x - v, ("b", "v"): v}

    return text, data


def _grid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Numbers that 16 fraction bits hold exactly."""
    return np.round(x * 2**16) / 2**16


def _x(d: Data) -> NDArray[np.float64]:
    return np.asarray(d["a", "u"] + d["b", "v"])


def _mul() -> Task:
    text, data = _pairs("x * y", 1_000_000, -100, 100)
    return Task("mul-1m", text, data, _furthest("z", lambda d: _grid(d["a", "x"]) * _grid(d["b", "y"])))


def _cmp() -> Task:
    text, data = _pairs("x < y", 1_000_000, -100, 100)
    return Task("cmp-1m", text, data, _furthest("z", lambda d: _grid(d["a", "x"]) < _grid(d["b", "y"])))


def _vector() -> Task:
    """50,000,000 comparisons, added up: what a party needs in memory."""
    text = (
        "party PARTIES\ninput x: fixed in -100..100[n] from a\ninput y: fixed in -100..100[n] from b\n"
        "z = sum(x < y)\nreveal z to a\n"
    )

    def data(rng: Rng) -> Data:
        return {("a", "x"): rng.uniform(-100, 100, 50_000_000), ("b", "y"): rng.uniform(-100, 100, 50_000_000)}

    def smaller(d: Data) -> NDArray[Any]:
        return np.asarray(np.count_nonzero(_grid(d["a", "x"]) < _grid(d["b", "y"])))

    return Task("cmp-50m", text, data, _furthest("z", smaller))


def _div() -> Task:
    text, data = _pairs("x / y", 100_000, -100, 100, least=0.5)
    return Task("div-100k", text, data, _furthest("z", lambda d: _grid(d["a", "x"]) / _grid(d["b", "y"])))


def _sigmoid() -> Task:
    text, data = _one("sigmoid(x)", 100_000, -8, 8)
    return Task("sigmoid-100k", text, data, _furthest("z", lambda d: 1 / (1 + np.exp(-_x(d)))))


def _exp() -> Task:
    text, data = _one("exp(x)", 100_000, -4, 4)
    return Task("exp-100k", text, data, _furthest("z", lambda d: np.exp(_x(d))))


def _matmul(n: int) -> Task:
    text = "party PARTIES\ninput x: fixed[n, n] from a\ninput y: fixed[n, n] from b\nz = x @ y\nreveal z to a\n"

    def data(rng: Rng) -> Data:
        return {("a", "x"): rng.uniform(-1, 1, (n, n)), ("b", "y"): rng.uniform(-1, 1, (n, n))}

    return Task(f"matmul-{n}", text, data, _furthest("z", lambda d: _grid(d["a", "x"]) @ _grid(d["b", "y"])))


CHAIN = """party PARTIES
input u: fixed from a
input v: fixed from b
x = u + v
z = x
for i in range(1000):
    z = z * x
reveal z to a
"""


def _chain() -> Task:
    def data(rng: Rng) -> Data:
        x = _grid(rng.uniform(0.9990, 0.9999, ()))
        return {("a", "u"): x - 0.25, ("b", "v"): np.float64(0.25)}

    return Task("chain-1k", CHAIN, data, _furthest("z", lambda d: _x(d) ** 1001))


def _sort(name: str, kind: str, bits: int, n: int) -> Task:
    """Numbers that nobody sees: what parties see they would put in order at home, and merge."""
    study = (
        f"party PARTIES\ninput u: {kind}[n] from a\ninput v: int in 0..0[n] from b\n"
        "x = u + v\nz = sort(x)\nreveal z to a\n"
    )

    def data(rng: Rng) -> Data:
        return {("a", "u"): rng.integers(0, 1 << bits, n), ("b", "v"): np.zeros(n, np.int64)}

    return Task(name, study, data, _furthest("z", lambda d: np.sort(d["a", "u"])))


def _merge(name: str, kind: str, bits: int, n: int) -> Task:
    """Numbers of two parties, half of them each."""
    study = (
        f"party PARTIES\ninput u: {kind}[n] from a\ninput v: {kind}[m] from b\nz = sort(concat(u, v))\nreveal z to a\n"
    )

    def data(rng: Rng) -> Data:
        x = rng.integers(0, 1 << bits, n)
        return {("a", "u"): x[: n // 2], ("b", "v"): x[n // 2 :]}

    return Task(name, study, data, _furthest("z", lambda d: np.sort(np.concatenate([d["a", "u"], d["b", "v"]]))))


# -- training --------------------------------------------------------------------------------------

LOGREG = """party PARTIES
input X: fixed[n, 100] from a
input y: fixed[n] from b
w = zeros(100)
b = 0.0
for epoch in range(5):
    for xb, yb in batches(X, y, size=128):
        e = sigmoid(xb @ w + b) - yb
        w -= (xb.T @ e) * 0.00390625
        b -= sum(e) * 0.00390625
reveal w to a
reveal b to a
"""


def _logreg() -> Task:
    n, d = 9_984, 100  # the whole batches of 10,000 rows: 78 an epoch

    def data(rng: Rng) -> Data:
        X = rng.normal(0, 1, (n, d))
        y = X @ rng.normal(0, 1, d) + rng.normal(0, 1, n) > 0
        return {("a", "X"): X, ("b", "y"): y.astype(np.float64)}

    def error(given: Data, learned: Mapping[str, Any]) -> float:
        X, y = given["a", "X"], given["b", "y"]
        w, b = np.zeros(d), 0.0
        for _ in range(5):
            for i in range(0, n, 128):
                e = 1 / (1 + np.exp(-(X[i : i + 128] @ w + b))) - y[i : i + 128]
                w, b = w - X[i : i + 128].T @ e / 256, b - e.sum() / 256
        return float(max(np.abs(np.asarray(learned["w"]) - w).max(), abs(learned["b"] - b)))

    return Task("logreg", LOGREG, data, error)


MLP = """party PARTIES
input X: fixed[n, 784] from a
input Y: fixed[n, 10] from a
input V1: fixed[784, 128] from b
input V2: fixed[128, 128] from b
input V3: fixed[128, 10] from b
W1 = V1
W2 = V2
W3 = V3
b1 = zeros(128)
b2 = zeros(128)
b3 = zeros(10)
for xb, yb in batches(X, Y, size=128):
    a1 = xb @ W1 + b1
    h1 = relu(a1)
    a2 = h1 @ W2 + b2
    h2 = relu(a2)
    d3 = (softmax(h2 @ W3 + b3) - yb) * 0.0078125
    d2 = (d3 @ W3.T) * (a2 > 0)
    d1 = (d2 @ W2.T) * (a1 > 0)
    W3 -= (h2.T @ d3) * 0.125
    W2 -= (h1.T @ d2) * 0.125
    W1 -= (xb.T @ d1) * 0.125
    b3 -= sum(d3, axis=0) * 0.125
    b2 -= sum(d2, axis=0) * 0.125
    b1 -= sum(d1, axis=0) * 0.125
reveal W1 to a
reveal W2 to a
reveal W3 to a
"""


def _mlp_reference(given: Data) -> list[NDArray[np.float64]]:
    W = [given["b", f"V{i}"] for i in (1, 2, 3)]
    b = [np.zeros(128), np.zeros(128), np.zeros(10)]
    for i in range(0, 1280, 128):
        x, y = given["a", "X"][i : i + 128], given["a", "Y"][i : i + 128]
        a1 = x @ W[0] + b[0]
        h1 = np.maximum(a1, 0)
        a2 = h1 @ W[1] + b[1]
        h2 = np.maximum(a2, 0)
        p = np.exp(h2 @ W[2] + b[2])
        d3 = (p / p.sum(axis=1, keepdims=True) - y) / 128
        d2 = (d3 @ W[2].T) * (a2 > 0)
        d1 = (d2 @ W[1].T) * (a1 > 0)
        slopes = [(x.T @ d1, d1), (h1.T @ d2, d2), (h2.T @ d3, d3)]
        W = [w - g / 8 for w, (g, _) in zip(W, slopes, strict=True)]
        b = [c - d.sum(axis=0) / 8 for c, (_, d) in zip(b, slopes, strict=True)]
    return W


def _mlp() -> Task:
    def data(rng: Rng) -> Data:
        X = rng.uniform(0, 1, (1280, 784)) * (rng.uniform(0, 1, (1280, 784)) < 0.2)
        labels = rng.integers(0, 10, 1280)
        sizes = ((784, 128), (128, 128), (128, 10))
        weights = {("b", f"V{i + 1}"): rng.normal(0, (2 / s[0]) ** 0.5, s) for i, s in enumerate(sizes)}
        return {("a", "X"): X, ("a", "Y"): np.eye(10)[labels], **weights}

    def error(given: Data, learned: Mapping[str, Any]) -> float:
        expected = _mlp_reference(given)
        return max(float(np.abs(np.asarray(learned[f"W{i + 1}"]) - w).max()) for i, w in enumerate(expected))

    return Task("mlp", MLP, data, error)


# -- queries ---------------------------------------------------------------------------------------

# Of rows of their own, owners would sum what they can before anything is shared: so each key is one party's number plus
# another's.
GROUPBY = """party PARTIES
table t from a:
    k: int in 0..254
    v: int in 0..1000000
table s from b:
    step: int in 0..1
query secret_rows:
    select k + (select max(step) from s) as k, v from t
query q:
    select k, sum(v) as total, count(*) as n from secret_rows group by k
reveal q to a
"""

JOIN = """party PARTIES
table left_rows from a:
    id: int unique
    x: int in 0..1000
table right_rows from b:
    id: int unique
    y: int in 0..1000
query q:
    select sum(x * y) as total from left_rows join right_rows on left_rows.id = right_rows.id
reveal q to a
"""


def _groupby() -> Task:
    def data(rng: Rng) -> Data:
        rows = {"k": rng.integers(0, 255, 100_000), "v": rng.integers(0, 1_000_000, 100_000)}
        return {("a", "t"): rows, ("b", "s"): {"step": np.ones(1, np.int64)}}

    def error(given: Data, learned: Mapping[str, Any]) -> float:
        k, v = given["a", "t"]["k"] + 1, given["a", "t"]["v"]
        expected = np.stack([np.bincount(k, v, 256), np.bincount(k, minlength=256)])
        found = np.zeros((2, 256))
        for row in learned["q"]:
            found[:, row["k"]] = row["total"], row["n"]
        return float(np.abs(found - expected).max())

    return Task("groupby-100k", GROUPBY, data, error)


def _join(name: str, n: int) -> Task:
    def data(rng: Rng) -> Data:
        keys = rng.choice(1 << 30, n * 3 // 2, replace=False, shuffle=False)
        mine, theirs = rng.permutation(keys)[:n], rng.permutation(keys)[:n]
        return {
            ("a", "left_rows"): {"id": mine, "x": rng.integers(0, 1001, n)},
            ("b", "right_rows"): {"id": theirs, "y": rng.integers(0, 1001, n)},
        }

    def error(given: Data, learned: Mapping[str, Any]) -> float:
        left, right = given["a", "left_rows"], given["b", "right_rows"]
        other = dict(zip(right["id"].tolist(), right["y"].tolist(), strict=True))
        total = sum(x * other.get(key, 0) for key, x in zip(left["id"].tolist(), left["x"].tolist(), strict=True))
        return float(abs(learned["q"][0]["total"] - total))

    return Task(name, JOIN, data, error)


CNN = """party PARTIES
import ml
input X: fixed in 0..1[n, 1, 28, 28] from a
input y: int in 0..9[n] from b
model = ml.cnn(X, y, filters=8, classes=10, epochs=1, rate=0.2, batch=128, momentum=0.8)
reveal ml.predict(model, X[:128]) to a as said
"""


def _cnn() -> Task:
    """A convolutional network, ten steps of 128 pictures.  Its error is the share of 128 pictures named wrongly."""

    def data(rng: Rng) -> Data:
        y = rng.integers(0, 10, 1280)
        shown = rng.uniform(0, 1, (10, 1, 28, 28))[y]
        return {("a", "X"): np.clip(shown + rng.normal(0, 0.1, shown.shape), 0, 1), ("b", "y"): y}

    return Task("cnn", CNN, data, lambda d, got: float(np.mean(np.asarray(got["said"]) != d["b", "y"][:128])))


BOOSTING = """party PARTIES
import ml
input X: fixed in -10..10[n, 20] from a
input y: bool[n] from b
model = ml.gradient_boosting(X, y, n_estimators=10, max_depth=4)
reveal ml.predict(model, X) to a as said
"""


def _boosting() -> Task:
    """10,000 rows, ten trees of depth 4.  Its error is the share of rows told wrongly."""

    def data(rng: Rng) -> Data:
        X = rng.normal(0, 1, (10_000, 20))
        y = X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(0, 0.3, 10_000) > 0
        return {("a", "X"): X, ("b", "y"): y}

    return Task("boosting", BOOSTING, data, lambda d, got: float(np.mean(np.asarray(got["said"]) != d["b", "y"])))


def _named(*tasks: Task) -> Mapping[str, Task]:
    return {task.name: task for task in tasks}


TASKS = _named(
    _mul(),
    _matmul(512),
    _matmul(1024),
    _cmp(),
    _chain(),
    _merge("merge-64k", "int", 62, 65_536),
    _sort("sort-64k", "int", 62, 65_536),
    _sort("sort-64k-31", f"int in 0..{(1 << 31) - 1}", 31, 65_536),
    _logreg(),
    _mlp(),
    _cnn(),
    _boosting(),
    _groupby(),
    _join("join-10k", 10_000),
    _div(),
    _sigmoid(),
    _exp(),
)

LARGE = _named(
    _vector(),
    _sort("sort-1m-31", f"int in 0..{(1 << 31) - 1}", 31, 1_000_000),
    _sort("sort-1m", "int", 62, 1_000_000),
    _merge("merge-1m", "int", 62, 1_000_000),
    _join("join-100k", 100_000),
)
"""Vectors and tables of a size at which an engine either works or does not."""
