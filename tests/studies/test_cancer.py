"""Training on shares reaches what the same algorithm reaches in NumPy, over either protocol."""

from __future__ import annotations

import numpy as np
import pytest
from studies_run import DEALER, EXAMPLES, read, run

STUDY = EXAMPLES / "cancer" / "study.parley"
DATA = EXAMPLES / "cancer" / "data"
TRAIN, BATCH, EPOCHS, RATE, PENALTY = 455, 65, 5, 1.0, 0.001


def in_the_clear() -> tuple[float, np.ndarray, float]:
    """(accuracy, weights, intercept) of the study's algorithm in float64."""
    hospitals = ("north", "centre", "south")
    x = np.concatenate([read(DATA / h / f"X_{h}.csv") for h in hospitals])
    y = np.concatenate([read(DATA / h / f"y_{h}.csv") for h in hospitals])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    w, b = np.zeros(30), 0.0
    for _ in range(EPOCHS):
        for start in range(0, TRAIN, BATCH):
            xb, yb = x[start : start + BATCH], y[start : start + BATCH]
            error = 1 / (1 + np.exp(-(xb @ w + b))) - yb
            w = w - RATE * (xb.T @ error / BATCH + PENALTY * w)
            b = b - RATE * error.mean()
    return float(np.mean((x[TRAIN:] @ w + b > 0) == (y[TRAIN:] > 0))), w, b


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--protocol", "rep3"), DEALER], ids=["rep3", "additive"])
def test_three_hospitals_learn_what_one_would(options: tuple[str, ...]) -> None:
    accuracy, w, b = in_the_clear()
    outputs = run(STUDY, DATA, *options)["outputs"]
    assert set(outputs) == {"north", "centre", "south"}
    for learned in outputs.values():
        assert abs(learned["accuracy"] - accuracy) <= 0.005
        np.testing.assert_allclose(learned["w"], w, atol=0.02)
        assert abs(learned["b"] - b) <= 0.02


def test_in_the_clear_it_is_the_same_study() -> None:
    accuracy, w, _ = in_the_clear()
    learned = run(STUDY, DATA, "--plain")["outputs"]["centre"]
    assert abs(learned["accuracy"] - accuracy) <= 0.005
    np.testing.assert_allclose(learned["w"], w, atol=0.02)
