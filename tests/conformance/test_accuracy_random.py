"""Error bounds of whole computations hold: random ones over the operations that are computed with, on random ranges."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from lowered_run import evaluate
from order_run import PLACES
from test_accuracy import Given, Operands, f, made, off

from mpc.circuit import Builder, Value
from mpc.lower import lower
from mpc.passes import optimise

ROWS = (20, 30)
SIZE = ROWS[0] * ROWS[1]
FACTORS = (0.1, -0.37, 3.3, 0.5, 2.0, -1.0, 7.77, 0.001, 100.3, 1.0)
RANGES = ((-1, 1), (0, 10), (-100, 100), (-3.3, 0.7), (5, 6))

Step = Callable[[Builder, Value, Value, float], Value]


def _mean(b: Builder, x: Value, _y: Value, _c: float) -> Value:
    return b.emit("mean", x.reshape(ROWS), axis=1).reshape((ROWS[0], 1)).broadcast_to(ROWS).reshape((SIZE,))


def _matmul(b: Builder, x: Value, _y: Value, c: float) -> Value:
    weights = np.random.default_rng(int(1000 * abs(c))).normal(size=(ROWS[1], ROWS[1]))
    return (x.reshape(ROWS) @ b.const(weights)).reshape((SIZE,))


STEPS: tuple[Step, ...] = (
    lambda b, x, y, c: x + y,
    lambda b, x, y, c: x - y,
    lambda b, x, y, c: x * y,
    lambda b, x, y, c: x * c,
    lambda b, x, y, c: x * c * 0.3,
    lambda b, x, y, c: x * (2 * c) * 4.1 * -2.2,
    lambda b, x, y, c: b.emit("square", x),
    lambda b, x, y, c: b.emit("sigmoid", x),
    lambda b, x, y, c: b.emit("tanh", x),
    lambda b, x, y, c: b.emit("gelu", x),
    lambda b, x, y, c: b.emit("relu", x),
    lambda b, x, y, c: b.emit("maximum", x, y),
    lambda b, x, y, c: b.emit("div", x, b.emit("square", y) + 0.5),
    lambda b, x, y, c: b.emit("div", x, b.const(c)),
    lambda b, x, y, c: b.emit("reciprocal", b.emit("relu", x) + 0.4),
    lambda b, x, y, c: b.emit("exp", b.emit("clip", x, lo=-3.3, hi=2.1)),
    lambda b, x, y, c: b.emit("sqrt", b.emit("abs", x) + 0.25),
    lambda b, x, y, c: b.emit("log", b.emit("abs", x) + 0.3),
    lambda b, x, y, c: b.emit("power", b.emit("clip", x, lo=-1.5, hi=1.5), n=3),
    _mean,
    _matmul,
)


def computation(seed: int) -> Given:
    rng = random.Random(seed)
    chosen = [(rng.choice(STEPS), rng.random(), rng.random(), rng.choice(FACTORS)) for _ in range(rng.randint(2, 8))]

    def compute(b: Builder, v: Operands) -> Value:
        values = list(v)
        for step, first, second, factor in chosen:
            x, y = (values[int(r * len(values))] for r in (first, second))
            values.append(step(b, x, y, factor))
        return values[-1]

    return Given(str(seed), compute, tuple(f(*rng.choice(RANGES)) for _ in range(2)))


@pytest.mark.parametrize("seeds", [range(k, k + 20) for k in range(0, 160, 20)], ids=lambda r: str(r.start))
def test_bounds_of_random_computations_hold(seeds: range) -> None:
    bounded = 0
    for seed in seeds:
        s = made(computation(seed), SIZE, seed)
        if s.known.error is None:
            continue
        bounded += 1
        lowered = optimise(lower(s.circuit, PLACES["rep3"].nodes).circuit)
        flat = {key: a for mine in s.inputs.values() for key, a in mine.items()}
        for rounding in ("chance", "down", "up"):
            worst = off(s, evaluate(lowered, flat, rounding)["out0"])
            assert worst <= s.known.error * (1 + 1e-6) + 1e-10, (seed, rounding, s.circuit.text())

    assert bounded > len(seeds) // 2
