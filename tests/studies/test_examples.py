"""The smaller examples, their parties as processes over TLS, against NumPy on their data put together."""

from __future__ import annotations

import csv

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


def clipped_update(w: Array, x: Array, y: Array, limit: float) -> Array:
    """Five steps on columns of which the last is 1, shortened to the limit."""
    change = fit(w, x, y) - w
    return change * min(1.0, limit / float(np.linalg.norm(change)))


@pytest.mark.slow
def test_updates_are_no_longer_than_agreed() -> None:
    hospitals = ("north", "centre", "south")
    data = EXAMPLES / "cancer" / "data"
    y = {h: read(data / h / f"y_{h}.csv") for h in hospitals}
    x = {h: read(data / h / f"X_{h}.csv") for h in hospitals}
    z = {h: np.c_[(m - m.mean(axis=0)) / m.std(axis=0), np.ones(len(m))] for h, m in x.items()}
    w = np.zeros(31)
    for _ in range(10):
        w = w + np.mean([clipped_update(w, z[h], y[h], 0.25) for h in hospitals], axis=0)
    right = sum(int(((z[h] @ w > 0) == (y[h] > 0)).sum()) for h in hospitals)

    outputs = run(EXAMPLES / "federated_clipped" / "study.parley", data)["outputs"]

    for hospital in hospitals:
        np.testing.assert_allclose(outputs[hospital]["w"], w[:30], atol=2e-3)
        assert outputs[hospital]["b"] == pytest.approx(w[30], abs=2e-3)
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


@pytest.mark.slow
def test_the_compilers_gradient_trains_like_numpy() -> None:
    data = EXAMPLES / "cancer" / "data"
    hospitals = ("north", "centre", "south")
    y = np.concatenate([read(data / h / f"y_{h}.csv") for h in hospitals])
    x = np.concatenate([read(data / h / f"X_{h}.csv") for h in hospitals])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    w, b = np.zeros(30), 0.0
    for _ in range(5):
        for i in range(0, 455, 65):
            xb, yb = x[i : i + 65], y[i : i + 65]
            error = 1 / (1 + np.exp(-(xb @ w + b))) - yb
            w, b = w - (xb.T @ error / 65 + 0.001 * w), b - error.mean()

    outputs = run(EXAMPLES / "loss" / "study.parley", data)["outputs"]["north"]

    # Thirty-five steps, each with the error of a sigmoid (2^-12) and of a few roundings.
    np.testing.assert_allclose(outputs["w"], w, atol=0.01)
    assert outputs["b"] == pytest.approx(b, abs=0.01)
    assert outputs["accuracy"] == pytest.approx(np.mean((x[455:] @ w + b > 0) == y[455:]), abs=0.005 + 1 / 114)


@pytest.mark.slow
def test_a_network_learns_digits() -> None:
    folder = EXAMPLES / "perceptron"
    outputs = run(folder / "study.parley", folder / "data")["outputs"]
    assert outputs["helper"]["accuracy"] >= 0.85


@pytest.mark.slow
def test_a_convolutional_network_learns_digits() -> None:
    outputs = run(EXAMPLES / "convolution" / "study.parley", EXAMPLES / "perceptron" / "data")["outputs"]
    assert outputs["helper"]["accuracy"] >= 0.91


@pytest.mark.slow
def test_a_regression_is_that_of_least_squares() -> None:
    data = EXAMPLES / "ridge" / "data"
    x = np.concatenate([read(data / "clinic" / "body.csv"), read(data / "laboratory" / "blood.csv")], axis=1)
    y = read(data / "register" / "progress.csv")
    design = np.column_stack([x, np.ones(len(y))])
    found, *_ = np.linalg.lstsq(design, y, rcond=None)
    left = y - design @ found
    sigma = left @ left / (len(y) - 11)
    errors = np.sqrt(sigma * np.diag(np.linalg.inv(design.T @ design)))[:10]

    outputs = run(EXAMPLES / "ridge" / "study.parley", data)["outputs"]

    np.testing.assert_allclose(outputs["clinic"]["weights"], found[:10], atol=2e-4)
    np.testing.assert_allclose(outputs["clinic"]["standard_errors"], errors, rtol=0.01)
    assert outputs["register"]["explained"] == pytest.approx(1 - left @ left / (y @ y), abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--protocol", "rep3"), DEALER], ids=["rep3", "additive"])
def test_a_query_is_that_of_plain_python(options: tuple[str, ...]) -> None:
    data = EXAMPLES / "incomes" / "data"
    rows = []
    for bank in ("north_bank", "south_bank"):
        with (data / bank / "accounts.csv").open(encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    kept = [r for r in rows if r["closed"] == "false" and r["opened"] >= "2015-01-01"]
    expected = []
    for region in ("north", "south", "east", "west"):
        incomes = [float(r["income"]) for r in kept if r["region"] == region]
        if len(incomes) >= 10:
            expected.append((region, len(incomes), float(np.mean(incomes)), max(incomes)))
    customers = [r["customer"] for r in rows]
    twice = len(customers) - len(set(customers))

    outputs = run(EXAMPLES / "incomes" / "study.parley", data, *options)["outputs"]["regulator"]

    assert [(r["region"], r["n"]) for r in outputs["by_region"]] == [(r, n) for r, n, _, _ in expected]
    for row, (_, _, mean, highest) in zip(outputs["by_region"], expected, strict=True):
        assert row["income"] == pytest.approx(mean, rel=1e-6)
        assert row["highest"] == highest
    assert outputs["shared"] == [{"people": twice}]
