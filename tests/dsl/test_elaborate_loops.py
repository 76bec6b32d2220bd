"""Loops: rolled, unrolled, in stages; what they carry and how far it is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from evaluate import run, run_study

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.outputs import Elaborated
from dsl.parse import parse

PARTIES = "party p, q, r\n"
RNG = np.random.default_rng(7)


def loops(done: Elaborated) -> int:
    return sum(node.op == "loop" for _, node in done.circuit)


def train(X: npt.NDArray[Any], y: npt.NDArray[Any], epochs: int, size: int) -> tuple[npt.NDArray[Any], float]:
    w, b = np.zeros(X.shape[1]), 0.0
    for _ in range(epochs):
        for at in range(0, len(X), size):
            xb, yb = X[at : at + size], y[at : at + size]
            e = 1 / (1 + np.exp(-(xb @ w + b))) - yb
            w = w - 0.5 * (e @ xb) / len(xb)
            b -= 0.5 * e.mean()
    return w, b


TRAINING = (
    PARTIES
    + """input X: fixed[n, 3] from p
input y: bool[n] from q
param epochs: int = 5
w = zeros(3)
b = 0.0
for epoch in range(epochs):
    for xb, yb in batches(X, y, size=20):
        z = xb @ w + b
        e = sigmoid(z) - yb
        w -= 0.5 * (e @ xb) / len(yb)
        b -= 0.5 * mean(e)
reveal w, b to all
reveal epoch to r
"""
)


@pytest.mark.parametrize(("rows", "epochs"), [(103, 5), (100, 5), (103, 200), (7, 3), (20, 400)])
def test_logistic_regression_with_a_tail(rows: int, epochs: int) -> None:
    X = RNG.normal(size=(rows, 3))
    y = X @ [1, -2, 0.5] > 0
    results = run_study(TRAINING, {"p": {"X": X}, "q": {"y": y}}, {"epochs": epochs})
    w, b = train(X, y, epochs, 20)
    np.testing.assert_allclose(results["w"], w, atol=1e-9)
    np.testing.assert_allclose(results["b"], b, atol=1e-9)
    assert results["epoch"] == epochs - 1


def test_long_loops_stay_rolled() -> None:
    done, _ = run(TRAINING, {"p": {"X": np.zeros((100, 3))}, "q": {"y": np.zeros(100)}}, {"epochs": 1000})
    assert loops(done) == 1
    assert len(done.circuit) < 40


def test_short_loops_whose_passes_wait_for_one_another_stay_rolled() -> None:
    done, _ = run(TRAINING, {"p": {"X": np.zeros((40, 3))}, "q": {"y": np.zeros(40)}}, {"epochs": 3})
    assert loops(done) == 1


def test_short_loops_whose_passes_run_side_by_side_are_unrolled() -> None:
    text = (
        PARTIES + "input x: fixed[4] from p\ninput y: fixed[4] from q\ns = zeros(4)\n"
        "for i in range(4):\n    s[i] = sigmoid(x[i] * y[i])\nreveal s to all\n"
    )
    done, _ = run(text, {"p": {"x": np.zeros(4)}, "q": {"y": np.zeros(4)}})
    assert loops(done) == 0


NESTED = (
    PARTIES
    + """input x: fixed[40] from p
input y: fixed[40] from q
s = zeros(40)
t = 0.0
for i in range(40):
    p_ = x[i] * y[i] + t * 0.5
    u = p_ - s[i] + x[i - 1] * p_
    for j in range(60):
        u = u * 0.5 + x[j % 40] * 0.125 - y[39 - i] * 0.01
    s[i] = u
    s[39 - i] += 1
    t += p_ + i
reveal s, t, p_, u to all
"""
)


def test_nested_rolled_loops() -> None:
    x, y = RNG.normal(size=40), RNG.normal(size=40)
    done, _ = run(NESTED, {"p": {"x": x}, "q": {"y": y}})
    assert loops(done) == 1
    s, t = np.zeros(40), 0.0
    for i in range(40):
        p = x[i] * y[i] + t * 0.5
        u = p - s[i] + x[i - 1] * p
        for j in range(60):
            u = u * 0.5 + x[j % 40] * 0.125 - y[39 - i] * 0.01
        s[i] = u
        s[39 - i] += 1
        t += p + i
    results = run_study(NESTED, {"p": {"x": x}, "q": {"y": y}})
    np.testing.assert_allclose(results["s"], s)
    np.testing.assert_allclose([results["t"], results["p_"], results["u"]], [t, p, u])


def test_slices_that_move_with_the_loop_stay_rolled() -> None:
    text = (
        PARTIES
        + """input x: fixed[300] from p
input y: fixed[300] from q
t = 0.0
m = zeros(10)
for i in range(30):
    a = x[i * 10:i * 10 + 10]
    for k in range(100):
        m += a * y[i * 10:(i + 1) * 10] * 0.1
    t += sum(m[2:4] * a[:2])
reveal t to all
"""
    )
    x, y = RNG.normal(size=300), RNG.normal(size=300)
    done, _ = run(text, {"p": {"x": x}, "q": {"y": y}})
    assert loops(done) == 1
    m, t = np.zeros(10), 0.0
    for i in range(30):
        a = x[i * 10 : i * 10 + 10]
        m = m + 100 * 0.1 * a * y[i * 10 : i * 10 + 10]
        t += (m[2:4] * a[:2]).sum()
    assert run_study(text, {"p": {"x": x}, "q": {"y": y}})["t"] == pytest.approx(t)


def test_a_body_that_needs_its_index_is_written_out() -> None:
    text = (
        PARTIES
        + """input x: fixed[600] from p
t = 0.0
for i in range(0, 600, 3):
    if i % 2 == 0:
        t += sum(x[:i])
    elif i > 500:
        t -= x[i] ** 2
reveal t to all
"""
    )
    x = RNG.normal(size=600)
    done, _ = run(text, {"p": {"x": x}})
    assert loops(done) == 0
    expected = sum(x[:i].sum() if i % 2 == 0 else -(x[i] ** 2) if i > 500 else 0 for i in range(0, 600, 3))
    assert run_study(text, {"p": {"x": x}})["t"] == pytest.approx(expected)


def test_an_inner_body_may_need_the_outer_index_alone() -> None:
    text = (
        PARTIES
        + """input x: fixed[50] from p
t = 0.0
for i in range(4):
    for j in range(900):
        t = t * 0.5 + sum(x[:i]) + x[j % 50]
reveal t to all
"""
    )
    x = RNG.normal(size=50)
    done, _ = run(text, {"p": {"x": x}})
    assert loops(done) == 4
    t = 0.0
    for i in range(4):
        for j in range(900):
            t = t * 0.5 + x[:i].sum() + x[j % 50]
    assert run_study(text, {"p": {"x": x}})["t"] == pytest.approx(t)


def test_viewers_shrink_until_they_fit() -> None:
    text = (
        PARTIES
        + """input x: fixed from p
input y: fixed from q
a = 0.0
b = 0.0
c = 0.0
d = 0.0
for i in range(2000):
    d = d + 1.0
    c = b * 0.5
    b = a * 0.5
    a = x + a * 0.5
    if i == 5000:
        d = y
reveal a, b, c, d to r
""".replace("    if i == 5000:\n        d = y\n", "")
    )
    names = dict(elaborate(parse(text), Bindings()).names)
    assert names["a"] == names["b"] == names["c"] == "fixed, seen by p"
    assert names["d"] == "fixed, public"
    results = run_study(text, {"p": {"x": 1.0}, "q": {"y": 3.0}})
    assert results == {"a": 2.0, "b": 1.0, "c": 0.5, "d": 2000.0}


def test_names_of_a_pass() -> None:
    text = (
        PARTIES
        + """input x: fixed[23, 2] from p
input y: fixed[23] from q
w = zeros(2)
for epoch in range(200):
    for xb, yb in batches(x, y, size=10):
        z = xb @ w - yb
        w -= 0.1 * (z @ xb) / 10
v = zeros(2)
for epoch in range(200):
    for xb, yb in batches(x, y, size=10):
        z = xb @ v - yb
        v -= 0.1 * (z @ xb) / 10
reveal w, v, z to all
"""
    )
    x, y = RNG.normal(size=(23, 2)), RNG.normal(size=23)
    results = run_study(text, {"p": {"x": x}, "q": {"y": y}})
    assert results["w"] == results["v"]
    w = np.zeros(2)
    for _ in range(200):
        for at in range(0, 23, 10):
            z = x[at : at + 10] @ w - y[at : at + 10]
            w = w - 0.1 * (z @ x[at : at + 10]) / 10
    np.testing.assert_allclose(results["w"], w)
    np.testing.assert_allclose(results["z"], z)


def test_over_rows_tuples_and_backwards() -> None:
    text = (
        PARTIES
        + """input X: fixed[9, 3] from p
t = zeros(3)
for row in X:
    t = t * 0.5 + row
n = 0
for a in (1, 2, 3):
    n = n * 10 + a
for i in range(9, 0, -4):
    n = n * 10 + i
for i in range(5, 5):
    n = -1
reveal t, n to all
"""
    )
    X = RNG.normal(size=(9, 3))
    t = np.zeros(3)
    for row in X:
        t = t * 0.5 + row
    results = run_study(text, {"p": {"X": X}})
    np.testing.assert_allclose(results["t"], t)
    assert results["n"] == 123951


def test_a_stopping_test_opens_and_goes_on_in_stages() -> None:
    text = (
        PARTIES
        + """input x: fixed[6] from p
input y: fixed from q
t = y
n = 0
for i in range(6):
    t += x[i]
    n += 1
    if reveal(t > 2.0):
        t = t * 0.5
k = reveal(sum(x > 0))
z = x[:k] + t
def first(a):
    for i in range(6):
        if reveal(a[i] < 0):
            return i
    return 6
at = first(x)
reveal z, t, n, at to all
"""
    )
    x = np.array([1, 2, -3, 4, 0.5, 0.25])
    results = run_study(text, {"p": {"x": x}, "q": {"y": 0.5}})
    t = 0.5
    for v in x:
        t += v
        t = t * 0.5 if t > 2 else t
    assert results["t"] == t
    assert results["z"] == (x[:5] + t).tolist()
    assert (results["n"], results["at"]) == (6, 2)


def test_what_later_stages_use_is_alive() -> None:
    text = (
        PARTIES
        + """input x: fixed[4] from p
input y: fixed[4] from q
a = x * y
def f(u, c):
    return sum(u) * sum(c)
b = f(shuffle(x + y), x[:2] if reveal(sum(x * y) > 0) else y[:3])
reveal a, b to all
"""
    )
    done = elaborate(parse(text), Bindings())
    assert done.needs is not None
    ops = [done.circuit.nodes[i].op for i in done.live]
    assert "shuffle" in ops
    assert "mul" in ops
    assert "input" in ops


def test_returns_and_rolled_loops() -> None:
    text = (
        PARTIES
        + """input x: fixed[5] from p
def power(v, n):
    p_ = v
    for i in range(n - 1):
        p_ = p_ * v * 0.5 + v * 0.125
    return p_
def stop(v):
    t = v[0]
    for i in range(3000):
        t = t * 0.5 + v[1]
        if i == 2:
            return t
    return t
a = power(x, 900)
b = stop(x)
reveal a, b to all
"""
    )
    x = RNG.normal(size=5)
    done, _ = run(text, {"p": {"x": x}})
    assert loops(done) == 1
    p = x
    for _ in range(899):
        p = p * x * 0.5 + x * 0.125
    t = x[0]
    for _ in range(3):
        t = t * 0.5 + x[1]
    results = run_study(text, {"p": {"x": x}})
    np.testing.assert_allclose(results["a"], p)
    assert results["b"] == pytest.approx(t)
