"""Declared ranges are no reason for a function of the library to refuse data that it computes with otherwise.

What is made of columns on the way (scaled, chosen, at the place of rows that do not count) has bounds that intervals
alone do not see.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import HEAD

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.lower import lower
from runtime import api

INPUTS = """
input X: fixed[300, 3]{within} from a
input y: fixed[300]{within} from b
input t: bool[300] from c
"""

QUICK = [
    "ml.decision_tree(X, t, sample_weight=t).values",
    "ml.r2(y, X[:, 0], sample_weight=t)",
    "ml.r2(y, X[:, 0])",
]
SLOW = [
    "ml.linear_regression(X, y, sample_weight=t).weights",
    "ml.ridge(X, y, sample_weight=t).weights",
    "ml.logistic_regression(X, t, epochs=2, sample_weight=t).weights",
    "ml.logistic_regression(X, t, solver='newton', sample_weight=t).weights",
    "ml.poisson_regression(X, abs(y), sample_weight=t).weights",
    "ml.mlp(X, t, epochs=2, sample_weight=t).weights",
    "ml.kmeans(X, n_clusters=2, sample_weight=t).centres",
    "ml.pca(X, sample_weight=t).components",
    "ml.decision_tree(X, y, classes=0, sample_weight=t).values",
    "ml.random_forest(X, t, n_estimators=2, sample_weight=t).values",
    "ml.gradient_boosting(X, t, n_estimators=2, sample_weight=t).values",
    "ml.gradient_boosting(X, y, classes=0, n_estimators=2, sample_weight=t).values",
    "ml.naive_bayes(X, t, sample_weight=t).means",
    "ml.auc(y, t, sample_weight=t)",
    "stats.t_test(y, X[:, 0]).p_value",
    "stats.correlation(X)",
    "stats.quantile(y, 0.3)",
]


@pytest.mark.parametrize("call", [*QUICK, *(pytest.param(c, marks=pytest.mark.slow) for c in SLOW)])
def test_ranges_refuse_nothing(call: str) -> None:
    text = HEAD + INPUTS.format(within=" in -300..300") + f"reveal {call} to all as r\n"
    lower(elaborate(parse(text, "s"), Bindings()).circuit, ("a", "b", "c"))


def _got(call: str, within: str) -> Any:
    rng = np.random.default_rng(6)
    x = np.round(rng.normal(size=(300, 3)) * 256) / 256
    y = np.round((x[:, 0] + 0.3 * rng.normal(size=300)) * 256) / 256
    data = {"a": {"X": x}, "b": {"y": y}, "c": {"t": rng.random(300) < 0.6}}
    text = HEAD + INPUTS.format(within=within) + f"reveal {call} to all as r\n"
    return np.asarray(api.simulate_sync(api.compile(text), data, limit=120)["a"]["r"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "call", ["ml.r2(X[:, 0], y, sample_weight=t)", "ml.decision_tree(X, y > 0, sample_weight=t).thresholds"]
)
def test_ranges_change_nothing(call: str) -> None:
    np.testing.assert_allclose(_got(call, " in -300..300"), _got(call, ""), atol=2.0**-12)
