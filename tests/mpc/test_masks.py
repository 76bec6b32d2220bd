"""Operands of several matrix products are masked once: the same values, fewer bytes, nothing but uniform messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import runtime as parley
from dsl.compile import Compiler
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.circuit import Array, Circuit
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.places import Places
from mpc.protocol import Step
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule
from mpc.simulate import pair_keys
from mpc.types import Layout

PLACES = Places(("a", "b"), ("c",), "dealer")
ROWS, COLUMNS = 96, 20
HEAD = "party a, b, c\ninput X: fixed in -2..2[n, d] from a\ninput y: fixed in -2..2[n] from b\nw = zeros(d)\n"

STUDIES = {
    "over a loop": "for i in range(4):\n    w = w - 0.002 * (X.T @ (X @ w - y))\n",
    "there and back": "w = w - 0.002 * (X.T @ (X @ w - y))\nw = w - 0.002 * (X.T @ (X @ w - y))\n",
    "batches over epochs": (
        "for i in range(3):\n    for xb, yb in batches(X, y, size=32):\n"
        "        w = w - 0.002 * (xb.T @ (xb @ w - yb))\n"
    ),
    "rows by the index of a loop": (
        "for i in range(3):\n    for k in range(0, 64, 2):\n        xb = X[k:k + 32]\n"
        "        w = w - 0.0002 * (xb.T @ (xb @ w - y[k:k + 32]))\n"
    ),
}


def expected(name: str, x: Array, y: Array) -> Array:
    w = np.zeros(COLUMNS)

    def step(xb: Array, yb: Array, rate: float) -> None:
        w[...] = w - rate * (xb.T @ (xb @ w - yb))

    if name == "rows by the index of a loop":
        for k in [*range(0, 64, 2)] * 3:
            step(x[k : k + 32], y[k : k + 32], 0.0002)
    elif name == "batches over epochs":
        for k in [0, 32, 64] * 3:
            step(x[k : k + 32], y[k : k + 32], 0.002)
    else:
        for _ in range(4 if name == "over a loop" else 2):
            step(x, y, 0.002)
    return w


def timetable(study: str) -> Schedule:
    sizes = Bindings(sizes={"n": ROWS, "d": COLUMNS})
    return Compiler(parse(HEAD + study + "reveal w to c\n"), sizes, PLACES, SCHEMES["additive"]).stage().schedule


def data() -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    return np.round(rng.uniform(-2, 2, (ROWS, COLUMNS)), 3), np.round(rng.uniform(-2, 2, ROWS), 3)


def masked(circuit: Circuit, times: int = 1) -> int:
    """Elements of matrices that are masked in a run."""
    total = 0
    for _, node in circuit:
        if isinstance(node.get("body"), Circuit):
            total += masked(node["body"], times * node["count"])
        elif node.op == "mask" and len(node.type.sizes) > 1:
            total += times * int(np.prod(node.type.sizes))
    return total


@pytest.mark.parametrize("name", STUDIES)
def test_the_matrix_is_masked_once(name: str) -> None:
    assert masked(timetable(STUDIES[name]).circuit) == ROWS * COLUMNS


@pytest.mark.parametrize("name", STUDIES)
def test_values_are_those_of_the_definition(name: str) -> None:
    x, y = data()
    study = parley.compile(HEAD + STUDIES[name] + "reveal w to c\n", protocol="additive", preprocessing="dealer")

    got = parley.simulate_sync(study, {"a": {"X": x}, "b": {"y": y}})

    np.testing.assert_allclose(got["c"]["w"], expected(name, x, y), atol=5e-3)


@pytest.mark.parametrize("name", STUDIES)
def test_a_run_sends_what_was_declared_and_nothing_that_is_not_uniform(name: str) -> None:
    plan = timetable(STUDIES[name])
    keys = pair_keys(4)
    x, y = np.zeros((ROWS, COLUMNS)), np.zeros(ROWS)
    given = {"a": {("X", ""): x}, "b": {("y", ""): y}}
    engines = [Engine(plan, PLACES.seat(i, keys[i]), given.get(name, {})) for i, name in enumerate(PLACES.names)]
    sent: list[Array] = []

    def heard(step: Step[Any]) -> Step[Any]:
        got = None
        while True:
            try:
                exchange = next(step) if got is None else step.send(got)
            except StopIteration as stop:
                return stop.value
            sent.extend(np.array(a).reshape(-1).view(np.uint8) for arrays in exchange.send.values() for a in arrays)
            got = yield exchange

    reports, measured = lockstep([heard(e.run()) for e in engines])

    # What the receiver of the result is sent is the result in shares; all counts as uniform, and is counted whole.
    assert reports[PLACES.names.index("c")].outputs["w", ""].tolist() == pytest.approx([0.0] * COLUMNS, abs=1e-3)
    assert measured.total == {link: n for link, n in plan.links.items() if n}
    for octets in (a for a in sent if a.size >= 4096):
        counts = np.bincount(octets, minlength=256)
        assert float(((counts - octets.size / 256) ** 2 / (octets.size / 256)).sum()) < 450


def test_other_protocols_see_no_masks() -> None:
    sizes = Bindings(sizes={"n": ROWS, "d": COLUMNS})
    study = parse(HEAD + STUDIES["over a loop"] + "reveal w to c\n")
    circuit = Compiler(study, sizes, Places(("a", "b", "c")), SCHEMES["rep3"]).stage().schedule.circuit

    assert masked(circuit) == 0
    assert all(t.layout is not Layout.MASKED for _, node in circuit for t in node.types)
