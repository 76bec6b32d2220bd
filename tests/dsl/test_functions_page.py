"""The page of functions names all of them, is as the records are, and what it says of those made of several is so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from functions_page import EXACT, MADE, SAME, page

from dsl.builtins import BUILTINS, SPECIALS
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.circuit import Array
from mpc.op import find
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.simulate import simulate

PAGE = Path(__file__).parents[2] / "docs" / "functions.md"


def test_the_page_is_current(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--rewrite-golden"):
        PAGE.write_text(page())

    assert PAGE.read_text() == page()


def test_every_function_is_exact_has_a_record_or_is_made_of_such() -> None:
    for name in {n for n in [*BUILTINS, *SPECIALS] if not n.startswith("_")} - set(EXACT) - set(MADE):
        assert find(SAME.get(name, name)).ref is not None


def learned(line: str, x: Array, y: Array) -> Array:
    """What a learns of secret x and y, on shares."""
    text = f"""party a, b, c
input x: fixed[{", ".join("nm"[: x.ndim])}] from a
input y: fixed[{", ".join("kl"[: y.ndim])}] from b
input zero: int in 0..0 from c
reveal {line} to a as r
"""
    sizes = dict(zip("nmkl", (*x.shape, *(2 - x.ndim) * (0,), *y.shape), strict=False))
    done = elaborate(parse(text, "s.parley"), Bindings(sizes), [])
    inputs = {"a": {("x", ""): x}, "b": {("y", ""): y}, "c": {("zero", ""): np.zeros((), np.int64)}}
    return simulate(done.circuit, inputs, SCHEMES["rep3"], Places(("a", "b", "c"))).reports["a"].outputs["r", ""]


def grid(x: Array) -> Array:
    return np.rint(x * 2**16) / 2**16


RNG = np.random.default_rng(4)
COLUMNS = [
    scale * columns / columns.std(axis=0)
    for scale in (2.0**-4, 1.0, 1000.0)
    for columns in (
        RNG.normal(size=(300, 2)),
        RNG.uniform(0, 1, (300, 2)),
        np.concatenate([np.full((1, 2), 8.0), RNG.normal(size=(299, 2)) * 0.1]),
        (RNG.random((300, 2)) < 0.1) * 1.0,
    )
]


@pytest.mark.parametrize("columns", COLUMNS, ids=range(len(COLUMNS)))
def test_standardize(columns: Array) -> None:
    x = grid(columns)
    exact = (x - x.mean(axis=0)) / x.std(axis=0)
    got = learned("standardize(x + zero)", x, np.zeros(2))

    # The mean is off by less than a unit, which is 2^-12 of the least deviation, and each product by one more of 2^-16.
    assert (np.abs(got - exact) <= 2.0**-12 * (1.5 + np.abs(exact))).all()


def test_cross_entropy() -> None:
    z, y = grid(RNG.uniform(-12, 12, 500)), (RNG.random(500) < 0.5) * 1.0
    exact = np.logaddexp(0, z) - y * z
    assert np.abs(learned("cross_entropy(sigmoid(x + zero), y)", z, y) - exact).max() <= 2.0**-12

    p = grid(RNG.uniform(0.001, 0.999, 500))
    exact = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert np.abs(learned("cross_entropy(x + zero, y)", p, y) - exact).max() <= 2.0**-12

    z, hot = grid(RNG.uniform(-6, 6, (60, 5))), np.eye(5)[RNG.integers(0, 5, 60)]
    d = z - z.max(axis=1, keepdims=True)
    exact = -(hot * (d - np.log(np.exp(d).sum(axis=1, keepdims=True)))).sum(axis=1)
    assert np.abs(learned("cross_entropy(softmax(x + zero, axis=1), y)", z, hot) - exact).max() <= 5 * 2.0**-13


def test_squared_error_and_accuracy() -> None:
    x, y = grid(RNG.uniform(-100, 100, 500)), grid(RNG.uniform(-100, 100, 500))
    assert np.abs(learned("squared_error(x, y)", x, y) - (x - y) ** 2).max() <= 2.0**-15
    assert abs(learned("accuracy(x > 0, y > 0)", x, y) - np.mean((x > 0) == (y > 0))) <= 2.0**-15
