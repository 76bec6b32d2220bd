"""The example of trees over three hospitals against scikit-learn's on their patients put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from studies_run import EXAMPLES, read, run

STUDY = EXAMPLES / "boosting" / "study.parley"
DATA = EXAMPLES / "cancer" / "data"
TRAIN = 455


def theirs() -> tuple[float, float]:
    """(accuracy, area under the curve) on the patients set aside."""
    hospitals = ("north", "centre", "south")
    x = np.concatenate([read(DATA / h / f"X_{h}.csv") for h in hospitals])
    y = np.concatenate([read(DATA / h / f"y_{h}.csv") for h in hospitals]) > 0
    model = HistGradientBoostingClassifier(max_iter=10, max_depth=3, learning_rate=0.3, l2_regularization=1.0)
    chance = model.fit(x[:TRAIN], y[:TRAIN]).predict_proba(x[TRAIN:])[:, 1]
    return float(np.mean((chance > 0.5) == y[TRAIN:])), float(roc_auc_score(y[TRAIN:], chance))


def agrees(learned: dict[str, Any]) -> None:
    accuracy, auc = theirs()
    assert abs(learned["accuracy"] - accuracy) <= 0.03  # of 114 patients, three; 15 edges a measure instead of 255
    assert abs(learned["auc"] - auc) <= 0.01
    uses = np.array(learned["uses"])
    assert uses.min() >= 0
    assert 10 <= uses.sum() <= 70  # ten trees of seven nodes, of which each has one split at least


@pytest.mark.slow
def test_three_hospitals_grow_trees() -> None:
    outputs = run(STUDY, DATA)["outputs"]

    assert set(outputs) == {"north", "centre", "south"}
    assert outputs["north"] == outputs["centre"] == outputs["south"]
    agrees(outputs["north"])


@pytest.mark.slow
def test_in_the_clear_it_is_the_same_study() -> None:
    agrees(run(STUDY, DATA, "--plain")["outputs"]["south"])
