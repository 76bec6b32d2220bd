"""Rows that a query dropped, and those that fill a table up, never count: a result is that of the visible rows, or the
study is refused with what to write instead.

Models are held against those of the visible rows alone, within what rounding makes different when sums have more zeros.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import HEAD

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from runtime import api

TABLES = """
table t from a rows <= 20:
    u: fixed
    v: fixed
    k: bool
table s from b:
    u: fixed
    v: fixed
    k: bool
query q:
    select u, v, k from s where u > 0
"""

REFUSED = [
    "sort(T.u)",
    "sort_by(T.u, T.v)",
    "top_k(T.u, 1)",
    "argmax(T.u)",
    "clip_norm(T.u, 1.0)",
    "softmax(T.u)",
    "outer(T.u, T.v)",
    "matrix(T, u, v) @ transpose(matrix(T, u, v))",
    "sum(reshape(T.u, (len(T.u), 1)) * T.v, axis=1)",
    "max(reshape(T.u, (len(T.u), 1)) * T.v, axis=1)",
    "(reshape(T.u, (len(T.u), 1)) * T.v) @ T.v",
    "ml.pca(reshape(T.u, (len(T.u), 1)) * T.v)",
    "T.u[0] + sum(shuffle(T.u))",
    "ml.ridge(matrix(T, u), T.v, sample_weight=sort(T.u))",
]


@pytest.mark.parametrize("table", ["t", "q"])
@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_all_rows_says_to_put_them_together(table: str, call: str) -> None:
    with pytest.raises(StudyError, match="E0311") as error:
        elaborate(parse(f"{HEAD}{TABLES}reveal {call.replace('T', table)} to all as r\n"), Bindings(), check=True)

    assert "compact(t)" in str(error.value) or f"compact({table})" in str(error.value)


REDUCED = """
reveal [sum(T.u), mean(T.u), mean(T.k)] to all as sums
reveal [stats.mean(T.u * T.v), accuracy(T.u > T.v, T.k)] to all as means
reveal stats.histogram(T.u, [0.0, 1.0, 2.0, 4.0]) to all as counts
"""


@pytest.mark.parametrize("compacted", [False, True])
def test_sums_means_and_counts_are_those_of_visible_rows(compacted: bool) -> None:
    rng = np.random.default_rng(6)
    u, v = (np.round(rng.normal(size=30) * 256) / 256 for _ in range(2))
    k, on = rng.random(30) < 0.5, u > 0
    names = "p = compact(q)\n" if compacted else "p = q\n"
    columns: dict[str, Any] = {"u": u, "v": v, "k": k}
    text = HEAD + TABLES[TABLES.index("table s") :] + names + REDUCED.replace("T.", "p.")

    got = api.simulate_sync(api.compile(text), {"a": {}, "b": {"s": columns}, "c": {}})["c"]

    told = np.concatenate([np.ravel(x) for name in ("sums", "means", "counts") for x in [got[name]]]).astype(float)
    want = [u[on].sum(), u[on].mean(), k[on].mean(), (u * v)[on].mean(), np.mean((u > v)[on] == k[on])]
    np.testing.assert_allclose(told, [*want, *np.histogram(u[on], [0, 1, 2, 4])[0]], atol=2.0**-14)


def test_of_rows_and_columns_rows_stay_invisible() -> None:
    """Sums along rows are of rows, so a mean of them is of visible rows; the same for what is stacked."""
    rng = np.random.default_rng(7)
    columns: dict[str, Any] = {c: np.round(rng.normal(size=12) * 256) / 256 for c in "uv"}
    text = f"""{HEAD}{TABLES}
reveal mean(sum(matrix(q, u, v), axis=1)) to all as rows
reveal sum(matrix(q, u, v), axis=0) to all as columns
reveal mean(mean(stack(q.u, q.v, axis=1), axis=1)) to all as stacked
reveal mean(matrix(q, u, v)[:, 1]) to all as second
reveal sum((q.u > 0 and arange(len(q.u)) >= 0) * 1) to all as counted
"""
    text = text.replace(TABLES[: TABLES.index("table s")], "")
    brought = {"a": {}, "b": {"s": columns | {"k": columns["u"] > 0}}, "c": {}}

    got = api.simulate_sync(api.compile(text), brought)["a"]

    on = columns["u"] > 0
    u, v = columns["u"][on], columns["v"][on]
    np.testing.assert_allclose(got["rows"], np.mean(u + v), atol=2.0**-14)
    np.testing.assert_allclose(got["columns"], [u.sum(), v.sum()], atol=2.0**-14)
    np.testing.assert_allclose(got["stacked"], np.mean(u + v) / 2, atol=2.0**-14)
    np.testing.assert_allclose(got["second"], v.mean(), atol=2.0**-14)
    assert got["counted"] == on.sum()


@pytest.mark.parametrize("call", ["ml.ridge(matrix(t, u), t.v)", "ml.kmeans(matrix(t, v), n_clusters=2)"])
def test_a_missing_value_is_no_invisible_row(call: str) -> None:
    text = f"{HEAD}table t from a rows <= 9:\n    u: fixed\n    v: fixed?\nreveal {call} to all as r\n"

    with pytest.raises(StudyError, match="E0311"):
        elaborate(parse(text), Bindings(), check=True)


SPLIT = """
table l from a{bound}:
    i: key unique
    u: fixed
    v: fixed
table r from b{bound}:
    i: key unique
    w: fixed
    k: bool
    c: int in 0..2
query q:
    select u, v, w, k, c, u + v - w as goal, c as n from l join r on l.i = r.i{where}
p = {taken}
X = matrix(p, u, v, w)
Z = standardize(matrix(p, u, v, w))
"""

MODELS = {
    "standardize": ("", "sum(square(Z), axis=0)", 2.0**-7),  # 39 rows by factors right to 2^-15, on both sides
    "ridge": ("m = ml.ridge(X, p.goal + 3 * p.k, alpha=0.5)", "concat(m.weights, stack(m.intercept))", 2.0**-12),
    "linear": ("m = ml.linear_regression(X, p.goal + 3 * p.k)", "concat(m.weights, m.standard_errors)", 2.0**-10),
    "newton": ("m = ml.logistic_regression(Z, p.k, solver='newton', C=0.5)", "m.weights", 2.0**-9),
    "penalised newton": ("m = ml.logistic_regression(Z, p.k, solver='newton', alpha=0.1)", "m.weights", 2.0**-9),
    "descent": ("m = ml.logistic_regression(Z, p.k, epochs=4, rate=1.0, batch=100)", "m.weights", 2.0**-10),
    "softmax": ("m = ml.logistic_regression(Z, p.c, classes=3, epochs=4, rate=1.0, batch=100)", "m.weights", 2.0**-10),
    "poisson": ("m = ml.poisson_regression(Z, p.c, alpha=0.1)", "concat(m.weights, stack(m.intercept))", 2.0**-10),
    "mlp": ("m = ml.mlp(Z, p.k, hidden=4, epochs=4, batch=100)", "m.hidden_weights", 2.0**-9),
    "mlp of three": ("m = ml.mlp(Z, p.c, classes=3, hidden=4, epochs=4, batch=100)", "m.weights", 2.0**-9),
    "mlp of numbers": ("m = ml.mlp(Z, p.goal, classes=0, hidden=4, epochs=4, batch=100)", "m.weights", 2.0**-9),
    "adam": ("m = ml.mlp(Z, p.k, hidden=4, epochs=3, batch=100, solver='adam', rate=0.01)", "m.weights", 2.0**-8),
    "cnn": (
        "m = ml.cnn(reshape(matrix(p, u, v, w, u), (len(p.u), 1, 2, 2)), p.k, filters=2, epochs=4, batch=100)",
        "concat(m.weights[:, 0], m.filter_intercept)",
        2.0**-9,
    ),
    "cnn of three": (
        "m = ml.cnn(reshape(Z, (len(p.u), 3, 1, 1)), p.c, pool_size=1, filters=2, classes=3, epochs=4, batch=100)\n"
        "h = accuracy(ml.predict(m, reshape(Z, (len(p.u), 3, 1, 1))), p.c)",
        "concat(m.weights[0], stack(h))",
        2.0**-9,
    ),
    "kmeans": ("m = ml.kmeans(X, n_clusters=3)", "concat(reshape(m.centres, (9,)), m.sizes)", 2.0**-11),
    "pca": ("m = ml.pca(X)", "concat(reshape(m.components, (6,)), m.variances)", 2.0**-9),
    "naive bayes": ("m = ml.naive_bayes(X, p.c, classes=3)", "concat(m.prior, reshape(m.centres, (9,)))", 2.0**-9),
    "tree": ("m = ml.decision_tree(X, p.k, max_depth=2)", "concat(m.thresholds, m.values[:, 0])", 2.0**-12),
    "tree of numbers": ("m = ml.decision_tree(X, p.goal, max_depth=2, classes=0)", "m.values[:, 0]", 2.0**-9),
    "boosting": ("m = ml.gradient_boosting(X, p.k, n_estimators=2, max_depth=2)", "m.values[:, 0]", 2.0**-10),
    "boosting of three": (
        "m = ml.gradient_boosting(X, p.c, classes=3, n_estimators=2, max_depth=2)",
        "concat(m.values[:, 0], m.centre)",
        2.0**-9,
    ),
    "neighbours": (
        "m = ml.knn(X, p.k, n_neighbors=3)",
        "stack(accuracy(ml.predict(m, X), p.k), mean(ml.predict_proba(m, X)))",
        2.0**-13,
    ),
    "measures": (
        "m = ml.decision_tree(X, p.k, max_depth=2)\ns = ml.predict_proba(m, X)",
        "stack(accuracy(s > 0.5, p.k), ml.auc(s, p.k), ml.r2(s, p.k * 1.0), mean(s))",
        2.0**-10,
    ),
    "confusion": ("", "ml.confusion(p.c, p.w > 0, n=3)", 0.0),
}


def _brought(seed: int = 3, n: int = 60) -> dict[str, dict[str, dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    u, v, w = (np.round(rng.normal(size=n) * 256) / 256 for _ in range(3))
    u[0], v[1], w[2] = 5, 5, -6  # k-means begins at rows that are clearly furthest
    k = u + v + 0.5 * rng.normal(size=n) > 0
    c = (w > 0).astype(int) + (u > 0.5)
    i = np.arange(n)
    order = rng.permutation(n)
    return {
        "a": {"l": {"i": i, "u": u, "v": v}},
        "b": {"r": {"i": i[order], "w": w[order], "k": k[order], "c": c[order]}},
        "c": {},
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_models_are_those_of_the_visible_rows(name: str) -> None:
    """The same of rows that are all there, rows behind a join of padded tables with a condition, and compacted ones."""
    lines, shown, tolerance = MODELS[name]
    everything = _brought()
    kept = np.asarray(everything["a"]["l"]["v"]) > -0.5
    few = {
        "a": {"l": {c: x[kept] for c, x in everything["a"]["l"].items()}},
        "b": {"r": {c: x[kept[everything["b"]["r"]["i"]]] for c, x in everything["b"]["r"].items()}},
        "c": {},
    }
    bound = " rows <= 80"
    cases = [
        (SPLIT.format(bound="", where="", taken="compact(q)"), few),
        (SPLIT.format(bound=bound, where=" where v > -0.5", taken="q"), everything),
        (SPLIT.format(bound=bound, where=" where v > -0.5", taken="compact(q)"), everything),
    ]

    got = [
        api.simulate_sync(api.compile(f"{HEAD}{text}{lines}\nreveal {shown} to all as r\n"), data, limit=120)["c"]["r"]
        for text, data in cases
    ]

    np.testing.assert_allclose(got[1], got[0], atol=tolerance)
    np.testing.assert_allclose(got[2], got[0], atol=tolerance)


@pytest.mark.slow
def test_a_forest_knows_nothing_of_rows_that_do_not_count() -> None:
    text = f"""{HEAD}
input X: fixed[n, 3] from a
input y: bool[n] from b
input on: bool[n] from c
m = ml.random_forest(X, y, n_estimators=3, max_depth=2, sample_weight=on)
reveal m.values[:, 0] to all as values
reveal accuracy(ml.predict(m, X), y) to all as share
"""
    rng = np.random.default_rng(5)
    x, on = np.round(rng.normal(size=(60, 3)) * 256) / 256, rng.random(60) < 0.6
    y = x[:, 0] > 0
    other = x.copy()
    other[~on] = 90
    study = api.compile(text)

    got = [
        api.simulate_sync(study, {"a": {"X": rows}, "b": {"y": truth}, "c": {"on": on}}, limit=120)["a"]
        for rows, truth in ((x, y), (other, y ^ ~on))
    ]

    np.testing.assert_allclose(got[0]["values"], got[1]["values"], atol=2.0**-14)
    assert got[0]["share"] > 0.8


def test_ranks_of_many_rows_are_those_that_count() -> None:
    text = f"""{HEAD}
input s: fixed[n] from a
input y: bool[n] from b
input on: bool[n] from c
reveal ml.auc(s, y, sample_weight=on) to all as r
"""
    rng = np.random.default_rng(8)
    s, y, on = np.round(rng.normal(size=1100) * 8) / 8, rng.random(1100) < 0.4, rng.random(1100) < 0.7
    s[y] += 0.5
    above = s[on & y][:, None] - s[on & ~y]

    got = api.simulate_sync(api.compile(text), {"a": {"s": s}, "b": {"y": y}, "c": {"on": on}}, limit=120)["a"]

    np.testing.assert_allclose(got["r"], np.mean((above > 0) + 0.5 * (above == 0)), atol=2.0**-14)
