"""Studies that use the library are checked before their data are there: sizes are symbols then."""

from __future__ import annotations

import pytest
from library_run import HEAD

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

INPUTS = """
input X: fixed[n, 4] from a
input Z: fixed[n, d] from a
input y: fixed[n] from b
input t: bool[n] from c
input k: int[n] from c
input P: fixed[n, 1, 6, 6] from a
input g: int[3, 4] from c
"""

LINES = [
    "m = ml.ridge(X, y, alpha=0.5)\nreveal m.weights to all as w",
    "m = ml.linear_regression(X, y)\nreveal m.standard_errors to all as w",
    "m = ml.ridge(Z, y)\nreveal ml.r2(ml.predict(m, Z), y) to all as w",
    "m = ml.logistic_regression(X, t, epochs=2, batch=16)\nreveal ml.auc(ml.predict_proba(m, X), t) to all as w",
    "m = ml.logistic_regression(X, k, epochs=2, classes=3)\nreveal ml.confusion(ml.predict(m, X), k, n=3) to all as w",
    "m = ml.logistic_regression(Z, t, solver='newton', C=0.5)\nreveal ml.predict(m, Z) to all as w",
    "m = ml.logistic_regression(X, t, epochs=2, sample_weight=t)\nreveal ml.predict(m, X) to all as w",
    "m = ml.mlp(X, k, classes=3, epochs=2, sample_weight=t)\nreveal ml.predict(m, X) to all as w",
    "m = ml.gradient_boosting(X[:60], t[:60], sample_weight=t[:60])\nreveal ml.predict(m, X) to all as w",
    "m = ml.kmeans(X, start=X[:3])\nreveal m.centres to all as w",
    "m = ml.kmeans(X, n_clusters=3)\nreveal m.centres to all as w",
    "m = ml.poisson_regression(X, y)\nreveal ml.predict(m, X) to all as w",
    "m = ml.mlp(X, k, classes=3, epochs=2)\nreveal ml.predict_proba(m, X) to all as w",
    "m = ml.mlp(X, y, classes=0, epochs=2)\nreveal ml.predict(m, X) to all as w",
    "m = ml.mlp(Z, k, hidden=(6, 5), classes=3, epochs=2, solver='adam')\nreveal ml.predict(m, Z) to all as w",
    "m = ml.cnn(P, t, filters=2, epochs=2)\nreveal ml.predict(m, P) to all as w",
    "m = ml.cnn(P, k, filters=2, classes=3, epochs=2, sample_weight=t)\nreveal ml.predict(m, P) to all as w",
    "m = ml.naive_bayes(X, t)\nreveal ml.predict(m, X) to all as w",
    "m = ml.knn(X[:60], k[:60], classes=3)\nreveal ml.predict(m, X) to all as w",
    "m = ml.pca(X)\nreveal ml.predict(m, X) to all as w",
    "reveal ml.ridge(X, y, sample_weight=t) to all as w",
    "reveal stats.correlation(X) to all as w",
    "reveal stats.covariance(X[:, 0], y) to all as w",
    "reveal stats.variance(X) to all as w",
    "reveal stats.median(y) to all as w",
    "reveal stats.histogram(y, [0.0, 1.0, 2.0]) to all as w",
    "reveal stats.t_test(y, X[:, 0]).p_value to all as w",
    "reveal stats.chi_squared(g).p_value to all as w",
]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_sizes_may_be_unknown(line: str) -> None:
    done = elaborate(parse(HEAD + INPUTS + line), Bindings(), check=True)

    assert done.abstract
    assert [o.name for o in done.outputs] == ["w"]
