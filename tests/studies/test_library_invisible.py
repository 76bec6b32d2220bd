"""Rows that a query dropped, and those that fill a table up, never count: a result is that of the visible rows, or the
study is refused with what to write instead.
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
    "ml.ridge(matrix(T, u), T.v)",
    "ml.linear_regression(stack(T.u, T.u, axis=1), T.v)",
    "ml.poisson_regression(stack(T.u, T.v, axis=1), T.u)",
    "ml.logistic_regression(stack(T.u, T.v, axis=1), T.k)",
    "ml.logistic_regression(stack(T.u, T.v, axis=1), T.k, sample_weight=T.k)",
    "ml.mlp(stack(T.u, T.v, axis=1), T.k)",
    "ml.kmeans(stack(T.u, T.v, axis=1), n_clusters=2)",
    "ml.naive_bayes(stack(T.u, T.v, axis=1), T.k)",
    "ml.knn(stack(T.u, T.v, axis=1), T.k)",
    "ml.pca(stack(T.u, T.v, axis=1))",
    "ml.decision_tree(stack(T.u, T.v, axis=1), T.k)",
    "ml.random_forest(stack(T.u, T.v, axis=1), T.k)",
    "ml.gradient_boosting(stack(T.u, T.v, axis=1), T.k)",
    "ml.auc(T.u, T.k)",
    "ml.confusion(T.k, T.k)",
    "ml.r2(T.u, T.v)",
    "ml.r2(T.u, zeros(len(T.u)))",
    "stats.variance(T.u)",
    "stats.std(T.u)",
    "stats.median(T.u)",
    "stats.quantile(T.u, 0.3)",
    "stats.covariance(T.u, T.v)",
    "stats.correlation(T.u, T.v)",
    "stats.t_test(T.u, T.v)",
    "stats.chi_squared(T.u)",
    "standardize(T.u)",
    "max(T.u)",
    "sort(T.u)",
    "argmax(T.u)",
    "cumsum(T.u)",
    "T.u @ T.v",
    "clip_norm(T.u, 1.0)",
]


@pytest.mark.parametrize("table", ["t", "q"])
@pytest.mark.parametrize("call", REFUSED)
def test_what_needs_all_rows_says_to_put_them_together(table: str, call: str) -> None:
    with pytest.raises(StudyError, match="E0311") as error:
        elaborate(parse(f"{HEAD}{TABLES}reveal {call.replace('T', table)} to all as r\n"), Bindings(), check=True)

    assert "compact(t)" in str(error.value)


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
