"""Built-in functions in the clear, against NumPy."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from evaluate import run, run_study
from query_run import run_shared

from dsl.builtins.normal import normal, uniform
from runtime import api

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
Y = RNG.normal(size=(4, 3))
K = RNG.integers(-9, 10, size=(4, 3))
DATA = {"p": {"X_": X, "I_": K}, "q": {"Y": Y, "z": 0.0, "j": 0}}
HEAD = """party p, q
input X_: fixed[4, 3] from p
input I_: int[4, 3] from p
input Y: fixed[4, 3] from q
input z: fixed from q
input j: int from q
X = X_ + z
I = I_ + j
"""


def value(expression: str, before: str = "") -> Any:
    return run_study(f"{HEAD}{before}reveal {expression} to all as result\n", DATA)["result"]


def softmax(x: npt.NDArray[Any], axis: int = -1) -> npt.NDArray[Any]:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("sum(X)", X.sum()),
        ("sum(X, axis=0)", X.sum(0)),
        ("sum(I, axis=-1)", K.sum(1)),
        ("mean(X, axis=1)", X.mean(1)),
        ("mean(I)", K.mean()),
        ("mean(I, axis=0)", K.mean(0)),
        ("mean(X > 0)", (X > 0).mean()),
        ("max(X, axis=0)", X.max(0)),
        ("min(I)", K.min()),
        ("max(X, Y)", np.maximum(X, Y)),
        ("min(I, 3)", np.minimum(K, 3)),
        ("argmax(X, axis=1)", X.argmax(1)),
        ("argmin(I)", K.argmin()),
        ("sort(X)", np.sort(X)),
        ("sort(I, axis=0)", np.sort(K, axis=0)),
        ("sort_by(X, Y[:, 0])", X[np.argsort(Y[:, 0])]),
        ("top_k(X[:, 0], 2)", np.sort(X[:, 0])[::-1][:2]),
        ("cumsum(I, axis=0)", np.cumsum(K, 0)),
        ("cumsum(I)", np.cumsum(K)),
        ("dot(X[0], Y[0])", X[0] @ Y[0]),
        ("X @ Y.T", X @ Y.T),
        ("outer(X[0], Y[1])", np.outer(X[0], Y[1])),
        ("clip(X, -0.5, 0.5)", X.clip(-0.5, 0.5)),
        ("clip(I, 0, 4)", K.clip(0, 4)),
        ("clip(X, Y, 1)", np.minimum(np.maximum(X, Y), 1)),
        ("abs(I)", np.abs(K)),
        ("sign(X)", np.sign(X)),
        ("floor(X)", np.floor(X)),
        ("round(X)", np.round(X)),
        ("round(X, 2)", np.round(X, 2)),
        ("X * (1.0, 2.0, 3.0)", X * (1.0, 2.0, 3.0)),
        ("(1, 2, 3) - X", (1, 2, 3) - X),
        ("X > (0, 1, 2)", X > (0, 1, 2)),
        ("X @ (1, 0, 1)", X @ (1, 0, 1)),
        ("max((1, 3, 2))", np.max((1, 3, 2))),
        ("[(1, 2), (3, 4)]", np.array([(1, 2), (3, 4)])),
        ("round(X * 100, places=-1)", np.round(X * 100, -1)),
        ("round([0.125, -0.375, 2.5], 2)", np.array([0.12, -0.38, 2.5])),
        ("round(I * 25, -2)", np.round(K * 25, -2)),
        ("round([15, 25, -15, -25, 26], -1)", np.array([20, 20, -20, -20, 30])),
        ("round(I, 2)", K),
        ("square(X)", X**2),
        ("relu(X)", np.maximum(X, 0)),
        ("exp(X)", np.exp(X)),
        ("log(abs(X) + 1)", np.log(np.abs(X) + 1)),
        ("sqrt(abs(X))", np.sqrt(np.abs(X))),
        ("rsqrt(abs(X) + 1)", 1 / np.sqrt(np.abs(X) + 1)),
        ("reciprocal(abs(X) + 1)", 1 / (np.abs(X) + 1)),
        ("sigmoid(X)", 1 / (1 + np.exp(-X))),
        ("tanh(X)", np.tanh(X)),
        ("softmax(X)", softmax(X)),
        ("softmax(X, axis=0)", softmax(X, 0)),
        ("log_softmax(X)", np.log(softmax(X))),
        ("concat(X, Y)", np.concatenate([X, Y])),
        ("concat(X, I, axis=1)", np.concatenate([X, K], axis=1)),
        ("concat((X[0], Y[0]))", np.concatenate([X[0], Y[0]])),
        ("stack(X[0], Y[0], axis=1)", np.stack([X[0], Y[0]], axis=1)),
        ("stack(z, 1, 2.5)", np.array([0, 1, 2.5])),
        ("reshape(X, (2, -1))", X.reshape(2, -1)),
        ("reshape(X, 12)", X.reshape(12)),
        ("transpose(reshape(X, (2, 2, 3)), (0, 2, 1))", X.reshape(2, 2, 3).transpose(0, 2, 1)),
        ("eye(3)", np.eye(3)),
        ("full((2, 2), 7)", np.full((2, 2), 7)),
        ("ones(3) * 2", np.full(3, 2.0)),
        ("arange(0, 1.0, 0.25)", np.arange(0, 1, 0.25)),
        ("one_hot(abs(I[0]) % 3, 3)", np.eye(3, dtype=int)[np.abs(K[0]) % 3]),
        ("accuracy(X > 0, Y > 0)", ((X > 0) == (Y > 0)).mean()),
        ("squared_error(X, Y)", (X - Y) ** 2),
        ("X ** 3", X**3),
        ("X ** -2", X**-2.0),
        ("abs(X) / abs(Y)", np.abs(X) / np.abs(Y)),
        ("I // 4", K // 4),
        ("I % 4", K % 4),
    ],
)
def test_against_numpy(expression: str, expected: Any) -> None:
    result = np.asarray(value(expression))
    assert result.dtype.kind == np.asarray(expected).dtype.kind
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


def test_shuffle_keeps_the_rows() -> None:
    np.testing.assert_allclose(np.sort(np.asarray(value("shuffle(X)")), axis=0), np.sort(X, axis=0))


def test_cross_entropy_of_probabilities() -> None:
    y = np.array([1, 0, 1, 0])
    z = X[:, 0]
    expected = np.log1p(np.exp(z)) - y * z
    np.testing.assert_allclose(value("cross_entropy(sigmoid(X[:, 0]), [1, 0, 1, 0])"), expected, rtol=1e-9)
    before = "p_ = sigmoid(X[:, 0]) + 0.0 * z\n"
    np.testing.assert_allclose(value("cross_entropy(p_, [1, 0, 1, 0])", before), expected, rtol=1e-9)
    rows = np.eye(3)[[0, 2, 1, 1]]
    expected = -(rows * np.log(softmax(X))).sum(1)
    before = "t = one_hot([0, 2, 1, 1], 3)\n"
    np.testing.assert_allclose(value("cross_entropy(softmax(X), t)", before), expected, rtol=1e-9)
    np.testing.assert_allclose(value("cross_entropy(softmax(X) * 1.0, t)", before), expected, rtol=1e-6)


def test_extremes_and_orders_of_truth_values_are_truth_values() -> None:
    assert value("max(X > 1)") is True
    assert value("min(X > -9)") is True
    assert value("min(X > 0, axis=0)") == (X > 0).min(0).tolist()
    assert value("max(X > 1, axis=1)") == (X > 1).max(1).tolist()
    assert value("max(X > 0, Y > 0)") == ((X > 0) | (Y > 0)).tolist()
    assert value("min(X > 0, Y > 0, I > 0)") == ((X > 0) & (Y > 0) & (K > 0)).tolist()
    assert value("sort(X > 0)") == np.sort(X > 0).tolist()
    assert value("top_k(X > 0, 2)") == np.sort(X > 0)[:, :0:-1].tolist()
    assert value("1 if max(X > 1) and not min(Y > 0) else 0") == 1


def test_cross_entropy_far_from_the_truth_stays_right() -> None:
    result = value("cross_entropy(sigmoid(stack(z - 40, z + 40)), [true, true])")
    np.testing.assert_allclose(result, [40, 0], atol=1e-9)
    result = value("cross_entropy(stack(z, z + 1), [true, true])")
    np.testing.assert_allclose(result, [-np.log(2.0**-15), 0], atol=1e-4)


def test_standardize_of_columns_of_any_size() -> None:
    n = 500
    columns = np.stack(
        [
            RNG.normal(size=n),
            RNG.normal(50_000, 9_000, size=n),
            RNG.normal(3e8, 1e7, size=n),
            RNG.normal(5, 0.01, size=n),
            RNG.integers(0, 2, size=n) * 1.0,
            np.full(n, 12_345.678),
            np.zeros(n),
            RNG.exponential(100, size=n),
        ],
        axis=1,
    )
    text = "party p, q\ninput A: fixed[n, 8] from p\ninput z: fixed from q\nreveal standardize(A + z) to all as S\n"
    result = np.asarray(run_study(text, {"p": {"A": columns}, "q": {"z": 0}})["S"])
    deviation = columns.std(axis=0)
    expected = (columns - columns.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1)
    expected[:, [5, 6]] = 0
    np.testing.assert_allclose(result, expected, atol=1e-6)


def test_standardize_squares_nothing_large() -> None:
    text = "party p, q\ninput A: fixed[50, 1] from p\ninput z: fixed from q\nreveal standardize(A + z) to all as S\n"
    data = {"p": {"A": RNG.normal(0, 1e9, size=(50, 1))}, "q": {"z": 0}}
    done, values = run(text, data)
    (square,) = [i for i, node in done.circuit if node.op == "square"]
    assert np.abs(values[done.circuit.nodes[square].src[0]]).max() < 64


@pytest.mark.parametrize("limit", [8, 100_000])
def test_columns_are_scaled_whatever_ranges_are_declared(limit: int) -> None:
    text = f"import ml\nparty a, b, c\ninput A: fixed in -{limit}..{limit}[n, 1] from a\n"
    text += f"input B: fixed in -{limit}..{limit}[m, 1] from b\nX = concat(A, B)\n"
    text += "reveal sum(standardize(X) ** 2), ml.linear_regression(X, X[:, 0]).weights to all as S, w\n"
    few = np.zeros((60, 1))
    few[0] = 8  # as far from the others as one of 100 can be: about 10 deviations
    got = run_shared(text, {"a": {"A": few}, "b": {"B": np.zeros((40, 1))}})
    assert got["S"] == pytest.approx(100, abs=0.1)
    assert got["w"] == pytest.approx([1], abs=0.001)


def test_parts_of_dates() -> None:
    days = RNG.integers(-719_162, 2_932_896, size=200).tolist()
    days += [-719_162, 2_932_896, 0, -1, 11_016, 11_017]
    text = "party p\ninput d: date[n] from p\nreveal year(d), month(d), day(d) to p as y, m, d_\n"
    result = run_study(text, {"p": {"d": days}})
    dates = [datetime.date.fromordinal(d + 719_163) for d in days]
    assert result["y"] == [d.year for d in dates]
    assert result["m"] == [d.month for d in dates]
    assert result["d_"] == [d.day for d in dates]
    expected = {
        "quarter": [(d.month + 2) // 3 for d in dates],
        "dow": [d.isoweekday() % 7 for d in dates],
        "isodow": [d.isoweekday() for d in dates],
        "doy": [d.timetuple().tm_yday for d in dates],
        "week": [d.isocalendar().week for d in dates],
    }
    for part, numbers in expected.items():
        line = f"reveal extract({part} from d) to p as r\n"
        assert run_study(f"party p\ninput d: date[n] from p\n{line}", {"p": {"d": days}})["r"] == numbers, part


def test_normal_numbers_are_those_of_the_distribution() -> None:
    from statistics import NormalDist

    p = np.array([1e-15, 1e-9, 0.001, 0.02, 0.074, 0.076, 0.3, 0.5, 0.7, 0.93, 0.999, 1 - 1e-12])
    exact = [NormalDist().inv_cdf(x) for x in p]
    np.testing.assert_allclose(normal(p), exact, rtol=1e-12, atol=1e-14)
    x = normal(uniform(1, 100_000))
    assert abs(x.mean()) < 0.01
    assert abs(x.std() - 1) < 0.01
    assert abs((x > 1).mean() - 0.1587) < 0.004


def test_randn_is_the_same_everywhere() -> None:
    text = "party p\na = randn((2, 2), seed=1)\nb = randn(2, seed=-3)\nreveal a, b to p\n"
    result = run_study(text)
    assert result["a"] == [[-0.955322265625, -1.6813812255859375], [-0.4767303466796875, -0.4128875732421875]]
    assert all(v * 2**16 == int(v * 2**16) for v in result["b"])


def test_matrix_of_a_table() -> None:
    text = """party p, q
table t from p:
    a: int
    b: bool
    c: fixed
    d: enum('x', 'y')
M = matrix(t, a, b, c)
N = matrix(t, d, a)
A = matrix(t)
reveal M, N, A to q
"""
    columns = {"a": [3, 4], "b": [True, False], "c": [0.5, 1.5], "d": [1, 0]}
    result = run_study(text, {"p": {"t": columns}})
    assert result["M"] == [[3, 1, 0.5], [4, 0, 1.5]]
    assert result["N"] == [[1, 3], [0, 4]]
    assert result["A"] == [[3, 1, 0.5], [4, 0, 1.5]]


def test_a_whole_number_from_a_fixed_one_is_an_index() -> None:
    text = """party p, q, r
input x: fixed[n] from p
input y: fixed[n] from q
reveal int(x + y) to all as whole
reveal [10, 20, 30][int(round(x[0] + y[0]))] to all as item
"""
    x = np.array([1.75, -1.75, 3.0, -3.0, 0.25, -0.25, 4097.5])
    data = {"p": {"x": x - 1}, "q": {"y": np.ones(7)}, "r": {}}

    for got in (run_study(text, data), api.simulate_sync(api.compile(text), data)["p"]):
        assert np.asarray(got["whole"]).tolist() == [1, -1, 3, -3, 0, 0, 4097]
        assert got["item"] == 30
