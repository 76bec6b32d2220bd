"""Convolutional networks of the library against the same training written with NumPy in float64, on scikit-learn's
digits: after a few epochs chances differ by what rounding to 2^-16 and the sigmoid's 2^-12 add up to, below 0.002.

How far that is depends on the training more than on the rounding. A sum before a rectifier that is within a unit of 0
in exact arithmetic may fall on the other side on shares, so that its row counts or not, and large steps go on from
there to other weights: with a rate of 0.2 and a momentum of 0.8 one sum of 3e-6 in the 18th step, of one image, ends in
chances that are 0.03 apart, always the same way, as are those of float64 with `alpha` 0.1 % less. So training here
takes steps for which NumPy's own, with its velocities rounded at random, stays within half of the tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import clear, shared, split
from sklearn.datasets import load_digits

pytestmark = pytest.mark.slow

Floats = Any


def windows(x: Floats) -> Floats:
    """(images, rows, columns, 9): what a filter of 3 x 3 sees at each place, zeros around."""
    wide = np.pad(x, [(0, 0), (1, 1), (1, 1)])
    return np.stack([wide[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3)], axis=3)


def maps(p: list[Floats], x: Floats) -> tuple[Floats, Floats]:
    """(sums before rectifying, pooled rows)."""
    z = windows(x) @ p[0].T + p[1]
    n, height, width, filters = z.shape
    h = np.maximum(z, 0).reshape(n, height // 2, 2, width // 2, 2, filters).mean(axis=(2, 4))
    return z, h.transpose(0, 3, 1, 2).reshape(n, -1)


def chances(p: list[Floats], x: Floats, classes: int) -> Floats:
    o = maps(p, x)[1] @ p[2] + p[3]
    if classes == 2:
        return 1 / (1 + np.exp(-o))
    e = np.exp(o - o.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def trained(
    x: Floats,
    y: Floats,
    p: list[Floats],
    classes: int,
    epochs: int,
    on: Floats,
    drawn: np.random.Generator | None = None,
) -> list[Floats]:
    """on: which rows count; drawn: rounds each step's velocities to a neighbour on the grid of 2^-16, as truncation on
    shares does."""
    v = [np.zeros_like(w) for w in p]
    for _ in range(epochs):
        for i in range(0, len(x), 40):
            counts = on[i : i + 40]
            xb, yb = x[i : i + 40][counts], y[i : i + 40][counts]
            z, h = maps(p, xb)
            off = (chances(p, xb, classes) - yb) / len(xb)
            back = (off @ p[2].T).reshape(len(xb), len(p[1]), 4, 4).transpose(0, 2, 3, 1) / 4
            back = np.repeat(np.repeat(back, 2, axis=1), 2, axis=2) * (z > 0)
            g = [np.einsum("nhwf,nhwk->fk", back, windows(xb)), back.sum(axis=(0, 1, 2)), h.T @ off, off.sum(axis=0)]
            penalty = [0.001 * p[0], 0, 0.001 * p[2], 0]
            v = [0.5 * a - 0.1 * (b + c) for a, b, c in zip(v, g, penalty, strict=True)]
            if drawn is not None:
                v = [np.floor(a * 65536 + drawn.random(a.shape)) / 65536 for a in v]
            p = [a + b for a, b in zip(p, v, strict=True)]
    return p


TEXT = """
input xa: fixed[n, 1, 8, 8] from a
input xb: fixed[n, 1, 8, 8] from b
input y: {kind}[n] from c
X = xa + xb
m = ml.cnn(X[:{train}], y[:{train}], filters=4, classes={classes}, epochs={epochs}, rate=0.1, batch=40, momentum=0.5,
    alpha=0.001, seed=3{more})
reveal randn((4, 1, 3, 3), seed=3) * sqrt(2.0 / 9) to all as filters
reveal randn((64, {outputs}), seed=4) * sqrt(2.0 / 64) to all as weights
reveal ml.predict(m, X) to all as said
reveal ml.predict_proba(m, X) to all as chances
"""


@pytest.mark.parametrize(("classes", "epochs", "weighed"), [(2, 5, False), (10, 5, False), (10, 3, True)])
def test_it_learns_digits_as_numpy_does(classes: int, epochs: int, weighed: bool) -> None:
    x, digits = load_digits(return_X_y=True)
    x, digits = x[:500].reshape(-1, 8, 8) / 16, digits[:500]
    y = digits % 2 if classes == 2 else digits
    train, outputs = 380, 1 if classes == 2 else 10
    target = y[:, None] * 1.0 if classes == 2 else np.eye(10)[y]
    xa, xb = split(x[:, None])
    kind = "bool" if classes == 2 else "int"
    on = np.random.default_rng(1).random(train) < 0.8 if weighed else np.ones(train, np.bool_)
    more = f", sample_weight=on[:{train}]" if weighed else ""
    text = TEXT.format(kind=kind, train=train, classes=classes, epochs=epochs, outputs=outputs, more=more)
    data = {"a": {"xa": xa}, "b": {"xb": xb}, "c": {"y": y == 1 if classes == 2 else y}}
    if weighed:
        text = "input on: bool[n] from c\n" + text
        data["c"]["on"] = np.concatenate([on, np.zeros(len(x) - train, np.bool_)])

    plain, got = clear(text, data), shared(text, data)

    start = [plain["filters"].reshape(4, 9), np.zeros(4), plain["weights"], np.zeros(outputs)]
    p = trained(x[:train], target[:train], start, classes, epochs, on)
    want = chances(p, x, classes)
    rounded = trained(x[:train], target[:train], start, classes, epochs, on, np.random.default_rng(0))
    np.testing.assert_allclose(chances(rounded, x, classes), want, atol=0.001)
    # One rounding a step moves chances by up to 0.0008, where a sum falls on the other side of 0; shares have some ten.
    for found, tolerance in ((plain, 1e-9), (got, 0.005)):
        told = found["chances"][:, None] if classes == 2 else found["chances"]
        np.testing.assert_allclose(told, want, atol=tolerance)
        by_two = np.sort(np.concatenate([want, 1 - want], axis=1) if classes == 2 else want, axis=1)
        best = want[:, 0] > 0.5 if classes == 2 else want.argmax(axis=1)
        clear_cut = by_two[:, -1] - by_two[:, -2] > 2 * tolerance
        assert clear_cut.mean() > 0.8
        assert (found["said"] == best)[clear_cut].all()
    # As yet far from what it can learn, which the example shows, but further from guessing.
    assert np.mean(got["said"][train:] == y[train:]) >= (0.7 if classes == 2 else 0.5)
