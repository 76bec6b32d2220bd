"""The smaller examples, their parties as processes over TLS, against NumPy on their data put together."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from studies_run import DEALER, EXAMPLES, read, run

Array = NDArray[np.float64]


@pytest.mark.slow
def test_salaries_are_as_in_one_payroll() -> None:
    folder = EXAMPLES / "salaries"
    employers = ("acme", "bolt", "corda")
    pay = np.concatenate([read(folder / "data" / e / f"pay_{e}.csv") for e in employers])
    woman = np.concatenate([read(folder / "data" / e / f"woman_{e}.csv") for e in employers]) > 0
    women, men = pay[woman].mean(), pay[~woman].mean()

    outputs = run(folder / "study.parley", folder / "data")["outputs"]

    assert outputs["institute"]["women"] == pytest.approx(women, rel=1e-5)
    assert outputs["institute"]["men"] == pytest.approx(men, rel=1e-5)
    assert outputs["institute"]["gap_at_the_top"] == pay[~woman].max() - pay[woman].max()
    for employer in employers:
        assert set(outputs[employer]) == {"gap_in_percent"}
        assert outputs[employer]["gap_in_percent"] == pytest.approx(100 * (men - women) / men, abs=0.01)


def fit(w: Array, x: Array, y: Array) -> Array:
    for _ in range(5):
        w = w - 0.5 * (x.T @ (1 / (1 + np.exp(-(x @ w))) - y)) / len(y)
    return w


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--protocol", "rep3"), DEALER], ids=["rep3", "additive"])
def test_averaged_models_are_those_of_numpy(options: tuple[str, ...]) -> None:
    hospitals = ("north", "centre", "south")
    data = EXAMPLES / "cancer" / "data"
    y = {h: read(data / h / f"y_{h}.csv") for h in hospitals}
    x = {h: read(data / h / f"X_{h}.csv") for h in hospitals}
    z = {h: (m - m.mean(axis=0)) / m.std(axis=0) for h, m in x.items()}
    w = np.zeros(30)
    for _ in range(10):
        w = np.mean([fit(w, z[h], y[h]) for h in hospitals], axis=0)
    right = sum(int(((z[h] @ w > 0) == (y[h] > 0)).sum()) for h in hospitals)

    outputs = run(EXAMPLES / "federated" / "study.parley", data, *options)["outputs"]

    for hospital in hospitals:
        np.testing.assert_allclose(outputs[hospital]["w"], w, atol=2e-3)
        assert abs(outputs[hospital]["right"] - right) <= 1


@pytest.mark.slow
def test_a_network_scores_columns_of_two_parties() -> None:
    folder = EXAMPLES / "credit_score"
    bank = {name: read(folder / "data" / "bank" / f"{name}.csv") for name in ("account", "W1", "b1", "W2", "b2")}
    x = np.concatenate([bank["account"], read(folder / "data" / "bureau" / "history.csv")], axis=1)
    score = np.maximum(x @ bank["W1"] + bank["b1"], 0) @ bank["W2"] + bank["b2"]

    answer = run(folder / "study.parley", folder / "data", *DEALER)

    passes = np.array(answer["outputs"]["bank"]["passes"])
    clear = np.abs(score) > 1e-2  # beside the threshold, rounding may decide
    assert clear.mean() > 0.98
    np.testing.assert_array_equal(passes[clear], score[clear] > 0)
    assert answer["outputs"]["bureau"] == {"number_passed": int(passes.sum())}
    assert answer["stats"]["protocol"] == "additive"
