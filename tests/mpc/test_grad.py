"""Derivatives: each rule against central differences of the plain definition, and what lowering makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.circuit import Array, Builder, Value
from mpc.derivatives import NOT_DIFFERENTIABLE, PIECEWISE_CONSTANT, RULES
from mpc.grad import gradient
from mpc.op import catalogue
from mpc.plain import evaluate
from mpc.types import BOOL, EVERYONE, INT, NOBODY, Fixed, Type

Build = Callable[..., Value]
STEP = 1e-5


def secret(b: Builder, name: str, array: Array) -> Value:
    kinds = {"b": BOOL, "i": INT, "f": Fixed()}
    start = array.dtype.kind == "i" and not array.shape  # where rows begin is public
    t = Type(kinds[array.dtype.kind], array.shape, EVERYONE if start else NOBODY)
    return b.append("input", (), {"party": "a", "name": name, "column": ""}, t, pure=False)


def keyed(arrays: Sequence[Array]) -> dict[tuple[str, str, str], Array]:
    return {("a", str(i), ""): a for i, a in enumerate(arrays)}


def scalar(build: Build, arrays: Sequence[Array], weights: int | None = 7) -> tuple[Builder, list[Value], Value]:
    """A circuit: sum(build(inputs) * weights), weights None meaning 1."""
    b = Builder()
    xs = [secret(b, str(i), np.asarray(a)) for i, a in enumerate(arrays)]
    out = build(*xs)
    if weights is not None:
        out = out * b.const(np.random.default_rng(weights).normal(size=out.type.sizes))
    return b, xs, out.sum() if out.shape else out


def numeric_gradient(build: Build, arrays: Sequence[Array], at: int, weights: int | None = 7) -> Array:
    b, _, y = scalar(build, arrays, weights)
    circuit = b.finish([y])
    out = np.zeros(arrays[at].shape)
    for place in np.ndindex(*arrays[at].shape):
        ends = []
        for step in (STEP, -STEP):
            moved = np.array(arrays[at])
            moved[place] += step
            given_ = [moved if i == at else a for i, a in enumerate(arrays)]
            ends.append(float(evaluate(circuit, keyed(given_))[y.index]))
        out[place] = (ends[0] - ends[1]) / (2 * STEP)
    return out


def gradients(build: Build, arrays: Sequence[Array], weights: int | None = 7) -> list[Array | None]:
    b, xs, y = scalar(build, arrays, weights)
    fixed = [x for x in xs if x.dtype.kind == "fixed"]
    made = dict(zip([x.index for x in fixed], gradient(b, y, fixed), strict=True))
    values = evaluate(b.finish(list(made.values())), keyed(arrays))
    for x in fixed:
        assert made[x.index].type == x.type or made[x.index].type.public
    return [values[made[x.index].index] if x.index in made else None for x in xs]


def check(build: Build, arrays: Sequence[Array], weights: int | None = 7) -> None:
    for at, found in enumerate(gradients(build, arrays, weights)):
        if found is not None:
            expected = numeric_gradient(build, arrays, at, weights)

            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def numbers(*shape: int, seed: int = 1, low: float = -2.0, high: float = 2.0) -> Array:
    return np.asarray(np.random.default_rng(seed).uniform(low, high, shape))


def apart(*shape: int, seed: int = 1) -> Array:
    """Distinct numbers, away from 0 and from one another."""
    n = int(np.prod(shape, dtype=int))
    order = np.random.default_rng(seed).permutation(n)
    return np.asarray((order - n / 2 + 0.25) * 0.3).reshape(shape)


def emit(name: str, *attr_free: Any, **attrs: Any) -> Build:
    return lambda *xs: xs[0].builder.emit(name, *xs, **attrs)


X = numbers(3, 4)
POSITIVE = numbers(3, 4, low=0.3, high=3.0)
INDEX = np.array([2, 0, 2, 1])

CASES: dict[str, tuple[Build, list[Array]]] = {
    "add": (emit("add"), [X, numbers(4, seed=2)]),
    "sub": (emit("sub"), [numbers(3, 1), numbers(1, 4, seed=2)]),
    "neg": (emit("neg"), [X]),
    "mul": (emit("mul"), [X, numbers(3, 4, seed=2)]),
    "mul of int": (emit("mul"), [X, np.array([1, -2, 3, 0])]),
    "matmul": (emit("matmul"), [X, numbers(4, 2, seed=2)]),
    "matmul of matrix and vector": (emit("matmul"), [X, numbers(4, seed=2)]),
    "matmul of vector and matrix": (emit("matmul"), [numbers(3), numbers(3, 2, seed=2)]),
    "matmul of vectors": (emit("matmul"), [numbers(3), numbers(3, seed=2)]),
    "matmul of many": (emit("matmul"), [numbers(2, 3, 4), numbers(2, 4, 2, seed=2)]),
    "matmul of many by one": (emit("matmul"), [numbers(2, 3, 4), numbers(4, 2, seed=2)]),
    "dot": (emit("dot"), [numbers(5), numbers(5, seed=2)]),
    "outer": (emit("outer"), [numbers(3), numbers(4, seed=2)]),
    "select": (emit("select"), [np.array([True, False, True]), numbers(2, 3), numbers(3, seed=2)]),
    "open": (emit("open"), [X]),
    "variable": (emit("variable"), [X]),
    "sum": (emit("sum", axis=1, keepdims=False), [X]),
    "sum of all, kept": (emit("sum", axis=None, keepdims=True), [X]),
    "mean": (emit("mean", axis=0, keepdims=False), [X]),
    "mean of all": (emit("mean", axis=None, keepdims=False), [X]),
    "cumsum": (emit("cumsum", axis=1), [X]),
    "reshape": (emit("reshape", shape=(2, 6)), [X]),
    "broadcast_to": (emit("broadcast_to", shape=(5, 3, 4)), [numbers(3, 1)]),
    "transpose": (emit("transpose", axes=(2, 0, 1)), [numbers(2, 3, 4)]),
    "slice": (emit("slice", parts=((0, 3, 2), (3, 0, -1))), [X]),
    "dynamic_slice": (emit("dynamic_slice", axis=1, length=2), [X, np.array(1)]),
    "update": (emit("update", parts=((0, 3, 2), (1, 3, 1))), [X, numbers(1, 2, seed=2)]),
    "dynamic_update": (emit("dynamic_update", axis=0), [X, numbers(2, 4, seed=2), np.array(1)]),
    "concat": (emit("concat", axis=1), [X, numbers(3, 1, seed=2), numbers(3, 2, seed=3)]),
    "take": (emit("take", axis=1), [X, INDEX]),
    "take of known places": (lambda x: x.builder.emit("take", x, x.builder.const(INDEX), axis=0), [numbers(3, 2, 2)]),
    "take of many axes": (emit("take", axis=1), [numbers(2, 3, 2), INDEX.reshape(2, 2)]),
    "exp": (emit("exp"), [X]),
    "log": (emit("log"), [POSITIVE]),
    "sqrt": (emit("sqrt"), [POSITIVE]),
    "rsqrt": (emit("rsqrt"), [POSITIVE]),
    "reciprocal": (emit("reciprocal"), [POSITIVE]),
    "div": (emit("div"), [numbers(4), POSITIVE]),
    "div by a number": (lambda x: x.builder.emit("div", x, x.builder.const(-3.0)), [X]),
    "mod": (emit("mod"), [numbers(3, 4, low=-9.0, high=9.0), numbers(4, low=2.0, high=3.0, seed=5)]),
    "square": (emit("square"), [X]),
    "power": (emit("power", n=3), [X]),
    "power 2": (emit("power", n=2), [X]),
    "power 1": (emit("power", n=1), [X]),
    "power -2": (emit("power", n=-2), [POSITIVE]),
    "sigmoid": (emit("sigmoid"), [X]),
    "tanh": (emit("tanh"), [X]),
    "gelu": (emit("gelu"), [X]),
    "gelu_slope": (emit("gelu_slope"), [X]),
    "softplus": (emit("softplus"), [X]),
    "softmax": (emit("softmax", axis=1), [X]),
    "softmax of the first axis": (emit("softmax", axis=0), [X]),
    "log_softmax": (emit("log_softmax", axis=1), [X]),
    "relu": (emit("relu"), [apart(3, 4)]),
    "abs": (emit("abs"), [apart(3, 4)]),
    "clip": (emit("clip", lo=-0.5, hi=0.5), [apart(3, 4)]),
    "clip from below": (emit("clip", lo=0.0, hi=None), [apart(3, 4)]),
    "maximum": (emit("maximum"), [apart(3, 4), apart(4, seed=3) + 0.05]),
    "minimum": (emit("minimum"), [apart(3, 4), apart(4, seed=3) + 0.05]),
    "max": (emit("max", axis=1, keepdims=False), [apart(3, 4)]),
    "max of all": (emit("max", axis=None, keepdims=False), [apart(3, 4)]),
    "min": (emit("min", axis=0, keepdims=True), [apart(3, 4, 2)]),
}


@pytest.mark.parametrize("name", CASES)
def test_rule_agrees_with_central_differences(name: str) -> None:
    build, arrays = CASES[name]

    check(build, arrays)


@pytest.mark.parametrize("name", CASES)
def test_rule_takes_the_adjoint_of_a_sum_unspread(name: str) -> None:
    build, arrays = CASES[name]

    check(build, arrays, weights=None)


def test_a_cast_passes_the_adjoint_on() -> None:
    (found,) = gradients(lambda x: x.to_fixed(20), [X], weights=7)

    np.testing.assert_array_equal(found, np.random.default_rng(7).normal(size=X.shape))


def test_every_rule_has_a_case() -> None:
    assert {name.split(" ")[0] for name in CASES} | {"to_fixed"} == set(RULES)


def test_every_operation_has_a_rule_or_a_reason() -> None:
    sets = [set(RULES), set(PIECEWISE_CONSTANT), set(NOT_DIFFERENTIABLE)]

    assert set(catalogue()) - set.union(*sets) == set()
    assert sum(map(len, sets)) == len(set.union(*sets))


SHAPES = st.sampled_from([(), (1,), (3,), (2, 1), (2, 3), (1, 3), (4, 2, 3), (4, 1, 1), (1, 2, 1)])


@settings(max_examples=60, deadline=None)
@given(SHAPES, SHAPES, st.sampled_from(["add", "sub", "mul", "div", "maximum"]), st.booleans())
def test_broadcasting_is_undone(x: tuple[int, ...], y: tuple[int, ...], op: str, weighted: bool) -> None:
    arrays = [numbers(*x), numbers(*y, seed=2, low=0.5, high=1.9)]

    check(emit(op), arrays, 3 if weighted else None)


@settings(max_examples=40, deadline=None)
@given(SHAPES, SHAPES, SHAPES)
def test_products_of_what_spreads_differently(x: tuple[int, ...], y: tuple[int, ...], z: tuple[int, ...]) -> None:
    def build(a: Value, b: Value, c: Value) -> Value:
        return (a * b) * c + a * c

    check(build, [numbers(*x), numbers(*y, seed=2), numbers(*z, seed=3)])
