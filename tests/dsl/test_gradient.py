"""`grad` in studies: against closed forms and NumPy, in and out of loops, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from evaluate import run_study

from dsl.diagnostics import StudyError, render
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

Array = npt.NDArray[Any]

PARTIES = "party p, q, r\n"
BOTH = "dw, db = grad(loss(w, b, X, y), (w, b))\nreveal dw, db to all\n"
DATA = PARTIES + "input X: fixed[n, 3] from p\ninput y: bool[n] from q\n"
LOGISTIC = """
def loss(w, b, X, y):
    return mean(cross_entropy(sigmoid(X @ w + b), y))
"""
rng = np.random.default_rng(5)
X = rng.normal(size=(23, 3))
Y = X @ [1.0, -2.0, 0.5] + rng.normal(size=23) > 0
BROUGHT = {"p": {"X": X}, "q": {"y": Y}}


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z)))


def logistic(w: Array, b: float, X: Array, y: Array) -> tuple[Array, float]:
    e = sigmoid(X @ w + b) - y
    return X.T @ e / len(X), float(e.mean())


def test_logistic_regression_is_the_closed_form() -> None:
    text = DATA + LOGISTIC + "w = full(3, 0.25)\nb = 0.5\n" + BOTH

    results = run_study(text, BROUGHT)

    dw, db = logistic(np.full(3, 0.25), 0.5, X, Y)
    np.testing.assert_allclose(results["dw"], dw, rtol=1e-9)
    np.testing.assert_allclose(results["db"], db, rtol=1e-9)


@pytest.mark.parametrize("epochs", [2, 400])
def test_training_by_gradients_in_loops(epochs: int) -> None:
    text = (
        DATA
        + "param epochs: int = 1\n"
        + LOGISTIC
        + """
w = zeros(3)
b = 0.0
for epoch in range(epochs):
    for xb, yb in batches(X, y, size=8):
        dw, db = grad(loss(w, b, xb, yb), (w, b))
        w -= 0.5 * dw
        b -= 0.5 * db
reveal w, b to all
"""
    )

    results = run_study(text, BROUGHT, {"epochs": epochs})

    w, b = np.zeros(3), 0.0
    for _ in range(epochs):
        for at in range(0, 23, 8):
            dw, db = logistic(w, b, X[at : at + 8], Y[at : at + 8])
            w, b = w - 0.5 * dw, b - 0.5 * db
    np.testing.assert_allclose(results["w"], w, rtol=1e-7)
    np.testing.assert_allclose(results["b"], b, rtol=1e-7)


def test_two_layers_with_softmax() -> None:
    text = (
        PARTIES
        + """
input X: fixed[n, 3] from p
input y: int[n] from q
input U: fixed[3, 4] from r
input V: fixed[4, 5] from r
def loss(W1, b1, W2, b2, X, Y):
    return mean(cross_entropy(softmax(relu(X @ W1 + b1) @ W2 + b2), Y))
W1 = U
b1 = zeros(4)
W2 = V
b2 = zeros(5)
g1, h1, g2, h2 = grad(loss(W1, b1, W2, b2, X, one_hot(y, 5)), (W1, b1, W2, b2))
reveal g1, h1, g2, h2 to all
"""
    )
    y = rng.integers(0, 5, 23)
    U, V = rng.normal(size=(3, 4)), rng.normal(size=(4, 5))

    results = run_study(text, {"p": {"X": X}, "q": {"y": y}, "r": {"U": U, "V": V}})

    hidden = X @ U
    out = np.maximum(hidden, 0) @ V
    e = np.exp(out - out.max(1, keepdims=True))
    d = (e / e.sum(1, keepdims=True) - np.eye(5)[y]) / 23
    back = d @ V.T * (hidden > 0)
    for name, wanted in (
        ("g1", X.T @ back),
        ("h1", back.sum(0)),
        ("g2", np.maximum(hidden, 0).T @ d),
        ("h2", d.sum(0)),
    ):
        np.testing.assert_allclose(results[name], wanted, rtol=1e-9, atol=1e-12)


def test_equal_values_are_different_variables() -> None:
    text = PARTIES + "u = zeros(2)\nv = zeros(2)\ndu, dv = grad(sum(u) + 3 * sum(v), (u, v))\nreveal du, dv to all\n"

    results = run_study(text)

    assert results == {"du": [1.0, 1.0], "dv": [3.0, 3.0]}


def test_equal_arguments_are_different_variables() -> None:
    text = (
        PARTIES
        + "def f(a, b):\n    return grad(a * 2 + a * b + b * 5, (a, b))\nx, y = f(1.0, 1.0)\nreveal x, y to all\n"
    )

    assert run_study(text) == {"x": 3.0, "y": 6.0}


def test_a_loss_computed_before_counts() -> None:
    text = DATA + LOGISTIC + "w = zeros(3)\nl = loss(w, 0.0, X, y)\ndw = grad(l + sum(w * w), w)\nreveal dw to all\n"

    results = run_study(text, BROUGHT)

    np.testing.assert_allclose(results["dw"], logistic(np.zeros(3), 0.0, X, Y)[0], rtol=1e-9)


def test_the_derivative_is_total() -> None:
    text = PARTIES + "input a: fixed from p\nw = a\nv = 2 * w\ndw = grad(w * v, w)\nreveal dw to all\n"

    assert run_study(text, {"p": {"a": 3.0}}) == {"dw": 12.0}


def test_second_derivative() -> None:
    text = PARTIES + "input a: fixed from p\nx = a\nd = grad(x * x * x, x)\ne = grad(d, x)\nreveal d, e to all\n"

    assert run_study(text, {"p": {"a": 3.0}}) == {"d": 27.0, "e": 18.0}


@pytest.mark.parametrize("steps", [3, 600])
def test_a_loop_within_the_loss(steps: int) -> None:
    text = (
        PARTIES
        + """
input a: fixed[2] from p
param steps: int = 1
def run(x, w):
    total = 0.0
    for i in range(steps):
        x = tanh(x * w) + 0.01 * i
        total += sum(x) / steps
    return total
w = a
dw = grad(run(ones(2), w), w)
reveal dw to all
"""
    )
    a = np.array([0.5, -1.25])

    def loss(w: Array) -> float:
        x, total = np.ones(2), 0.0
        for i in range(steps):
            x = np.tanh(x * w) + 0.01 * i
            total += x.sum() / steps
        return total

    results = run_study(text, {"p": {"a": a}}, {"steps": steps})

    wanted = [(loss(a + d) - loss(a - d)) / 2e-5 for d in np.eye(2) * 1e-5]
    np.testing.assert_allclose(results["dw"], wanted, rtol=1e-6, atol=1e-8)


def test_by_the_parts_of_a_tuple() -> None:
    text = PARTIES + "w = (ones(2), 3.0)\nu, v = w\ndw = grad(sum(u) * v, w)\ndu, dv = dw\nreveal du, dv to all\n"

    assert run_study(text) == {"du": [3.0, 3.0], "dv": 2.0}


def test_sizes_may_be_unknown() -> None:
    text = DATA + LOGISTIC + "w = zeros(3)\nb = 0.0\n" + BOTH

    done = elaborate(parse(text), Bindings())

    assert [o.name for o in done.outputs] == ["dw", "db"]


WRONG = {
    "names": ("d = grad(sum(v * v), v * 1.0)", "by names"),
    "arguments": ("d = grad(sum(v))", "takes a scalar"),
    "array": ("d = grad(v * v, v)", "single number"),
    "int": ("d = grad(k * k, v)", "only a `fixed` number"),
    "by int": ("d = grad(v[0] * k, k)", "no derivative by int"),
    "argmax": ("d = grad(v[argmax(v)] * 0.0 + argmax(v) * 1.0, u)", "does not depend"),
    "place": ("d = grad(sum(v > 0) * 0.5, v)", "a comparison has no derivative"),
    "floor": ("d = grad(sum(floor(v)) * 0.5, v)", "`floor` has no derivative"),
    "sort": ("d = grad(sort(v)[0], v)", "`sort` has no derivative"),
    "other": ("d = grad(sum(v), u)", "does not depend on `u`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str) -> None:
    statement, words = WRONG[name]
    text = PARTIES + "input v: fixed[5] from p\ninput u: fixed[5] from p\ninput k: int from q\n" + statement

    with pytest.raises(StudyError) as caught:
        elaborate(parse(text), Bindings())

    (found,) = caught.value.diagnostics
    assert found.code in {"E0307", "E0205"}
    assert found.source is not None
    assert found.span is not None
    assert found.source.position(found.span.start).line == 5
    assert words in render(found)


def test_what_is_refused_is_shown_where_it_stands() -> None:
    text = PARTIES + "input v: fixed[5] from p\ndef loss(v):\n    return mean(0.5 * (v > 1))\nd = grad(loss(v), v)\n"

    with pytest.raises(StudyError) as caught:
        elaborate(parse(text), Bindings())

    shown = render(caught.value.diagnostics[0])
    assert "a comparison has no derivative" in shown
    assert "differentiated here" in shown
    assert "sigmoid(8 * (x - c))" in shown


def test_what_one_party_sees_it_differentiates_in_the_clear() -> None:
    """Federated learning: a step on a party's own rows from public weights is seen by that party."""
    text = PARTIES + "input X: fixed[7, 3] from p\ninput y: bool[7] from p\n" + LOGISTIC
    text += "w = zeros(3)\nfor i in range(900):\n    w -= 0.5 * grad(loss(w, 0.0, X, y), w)\nreveal w to all\n"

    done = elaborate(parse(text), Bindings())

    (reveal,) = [node for _, node in done.circuit if node.op == "reveal"]
    assert done.circuit.nodes[reveal.src[0]].type.seen_by == frozenset({"p"})
    assert any(node.op == "loop" for _, node in done.circuit)
