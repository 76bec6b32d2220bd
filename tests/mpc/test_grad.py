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
from mpc.grad import NotDifferentiable, gradient
from mpc.op import catalogue
from mpc.plain import evaluate
from mpc.types import BOOL, EVERYONE, INT, NOBODY, Fixed, Type, TypeRuleError

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
    "carried": (emit("carried"), [X]),
    "wrapping": (emit("wrapping"), [X]),
    "sum": (emit("sum", axis=1, keepdims=False), [X]),
    "sum of all, kept": (emit("sum", axis=None, keepdims=True), [X]),
    "mean": (emit("mean", axis=0, keepdims=False), [X]),
    "mean of all": (emit("mean", axis=None, keepdims=False), [X]),
    "cumsum": (emit("cumsum", axis=1), [X]),
    "reshape": (emit("reshape", shape=(2, 6)), [X]),
    "within": (emit("within", lo=-8.0, hi=8.0), [X]),
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

    records = catalogue().items()
    topics = ("mpc.circuits.relational", "mpc.circuits.text")
    queries = {n for n, r in records if r.expand and r.expand.__module__.startswith(topics)}

    assert set(catalogue()) - set.union(*sets) <= queries
    assert sum(map(len, sets)) == len(set.union(*sets))


SHAPES = st.sampled_from([(), (1,), (3,), (2, 1), (2, 3), (1, 3), (4, 2, 3), (4, 1, 1), (1, 2, 1)])


@settings(max_examples=60)
@given(SHAPES, SHAPES, st.sampled_from(["add", "sub", "mul", "div", "maximum"]), st.booleans())
def test_broadcasting_is_undone(x: tuple[int, ...], y: tuple[int, ...], op: str, weighted: bool) -> None:
    arrays = [numbers(*x), numbers(*y, seed=2, low=0.5, high=1.9)]

    check(emit(op), arrays, 3 if weighted else None)


@settings(max_examples=40)
@given(SHAPES, SHAPES, SHAPES)
def test_products_of_what_spreads_differently(x: tuple[int, ...], y: tuple[int, ...], z: tuple[int, ...]) -> None:
    def build(a: Value, b: Value, c: Value) -> Value:
        return (a * b) * c + a * c

    check(build, [numbers(*x), numbers(*y, seed=2), numbers(*z, seed=3)])


# -- composites --------------------------------------------------------------------------------


def test_logistic_regression_is_the_closed_form() -> None:
    rows, w, c, y = numbers(40, 3), numbers(3, seed=2), np.array(0.5), (numbers(40, seed=3) > 0).astype(np.int64)

    def loss(X: Value, w: Value, c: Value, y: Value) -> Value:
        z = X @ w + c
        return X.builder.emit("mean", X.builder.emit("softplus", z) - y * z, axis=None, keepdims=False)

    _, dw, dc, _ = gradients(loss, [rows, w, c, y], None)

    error = 1 / (1 + np.exp(-(rows @ w + c))) - y
    np.testing.assert_allclose(dw, rows.T @ error / 40, rtol=1e-12)
    np.testing.assert_allclose(dc, error.mean(), rtol=1e-12)


def perceptron(X: Value, W: Value, b: Value, V: Value, c: Value, Y: Value) -> Value:
    e = X.builder.emit
    logs = e("log_softmax", e("relu", X @ W + b) @ V + c, axis=1)
    return e("mean", -(Y * logs).sum(1), axis=None, keepdims=False)


def test_two_layers_are_the_formulas() -> None:
    X, W, b, V, c = numbers(20, 3), numbers(3, 6, seed=2), numbers(6, seed=3), numbers(6, 4, seed=4), numbers(4, seed=5)
    Y = np.eye(4, dtype=np.int64)[np.arange(20) % 4]

    _, dW, db, dV, dc, _ = gradients(perceptron, [X, W, b, V, c, Y], None)

    hidden = X @ W + b
    out = np.maximum(hidden, 0) @ V + c
    e = np.exp(out - out.max(1, keepdims=True))
    d = (e / e.sum(1, keepdims=True) - Y) / 20
    back = d @ V.T * (hidden > 0)
    for found, wanted in ((dW, X.T @ back), (db, back.sum(0)), (dV, np.maximum(hidden, 0).T @ d), (dc, d.sum(0))):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


def test_public_factors_wait_until_the_gradient_is_whole() -> None:
    b, xs, y = scalar(lambda X, w: (X @ w) * 0.125 * 3.0, [numbers(40, 3), numbers(3, seed=2)], None)
    before = len(b.nodes)

    gradient(b, y, xs[1:])

    products = [node for node in b.nodes[before:] if node.op == "mul"]
    assert [node.type.shape for node in products] == [(3,)]


def test_a_product_that_is_summed_is_an_inner_product() -> None:
    b, xs, y = scalar(emit("mul"), [numbers(40, 3), numbers(3, seed=2)], None)
    b2, xs2, y2 = scalar(lambda x, s: x.builder.emit("square", x * s), [numbers(40, 3), numbers(3, seed=2)], None)
    before, before2 = len(b.nodes), len(b2.nodes)

    gradient(b, y, xs[1:])
    gradient(b2, y2, xs2[1:])

    assert not any(node.op in ("mul", "matmul") for node in b.nodes[before:])
    assert [node.op for node in b2.nodes[before2:] if node.op in ("mul", "matmul")] == ["matmul", "mul"]


@pytest.mark.parametrize(
    "name", ["exp", "log", "sqrt", "sigmoid", "tanh", "gelu", "softplus", "softmax", "div", "power"]
)
def test_second_derivative(name: str) -> None:
    build, arrays = CASES[name]

    def slope(*xs: Value) -> Value:
        out = build(*xs)
        weights = out.builder.const(np.random.default_rng(9).normal(size=out.type.sizes))
        return gradient(out.builder, (out * weights).sum(), [xs[0]])[0]

    check(slope, arrays)


# -- loops -------------------------------------------------------------------------------------


def repeat(
    starts: Sequence[Value],
    invariants: Sequence[Value],
    step: Callable[[Value, list[Value], list[Value]], list[Value]],
    count: int,
    start: int = 0,
    by: int = 1,
) -> tuple[Value, ...]:
    """A rolled loop: step(index, carried, invariants) gives what is carried on."""
    b = starts[0].builder
    body = Builder()
    params = [body.append("param", (), {"index": 0}, Type(INT))]
    params += [body.append("param", (), {"index": i}, v.type) for i, v in enumerate([*starts, *invariants], 1)]
    carried = params[1 : len(starts) + 1]
    results = step(params[0], carried, params[len(starts) + 1 :])
    attrs = {"body": body.finish(results), "count": count, "carried": len(starts), "start": start, "step": by}
    return b.items(b.append("loop", [*starts, *invariants], attrs, [v.type for v in starts], pure=False))


def squashed(index: Value, carried: list[Value], invariants: list[Value]) -> list[Value]:
    """x <- tanh(x w + 0.1 i); total <- total + sum(x^2) w_0; kept <- kept."""
    (x, total, kept), (w,) = carried, invariants
    e = index.builder.emit
    after = e("tanh", x * w + index.to_fixed() * 0.1)
    return [after, total + e("square", after).sum() * w[0], kept]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_loop(count: int) -> None:
    def build(x: Value, total: Value, kept: Value, w: Value) -> Value:
        out = repeat([x, total, kept], [w], squashed, count, start=3, by=-2)
        return out[0].sum() * 0.5 + out[1] + out[2].sum() * out[0].sum()

    check(build, [numbers(2, 3), np.array(0.25), numbers(2, seed=3), numbers(3, seed=2)], None)


def test_loop_keeps_only_what_the_way_back_reads() -> None:
    b, xs, y = scalar(
        lambda x, total, kept, w: repeat([x, total, kept], [w], squashed, 4)[1],
        [numbers(2, 3), np.array(0.25), numbers(2, seed=3), numbers(3, seed=2)],
        None,
    )

    gradient(b, y, xs)

    tape, back = [node for node in b.nodes if node.op == "loop"][1:]
    assert [t.shape for t in tape.outs[3:]] == [(4, 2, 3)]
    assert [t.shape for t in back.outs] == [(), (2, 3), (3,)]


def test_loop_in_a_loop() -> None:
    def inner(index: Value, carried: list[Value], invariants: list[Value]) -> list[Value]:
        (x,), (w, k) = carried, invariants
        return [index.builder.emit("sigmoid", x * w) + k.to_fixed() * 0.1 * x]

    def outer(index: Value, carried: list[Value], invariants: list[Value]) -> list[Value]:
        x, w = carried
        (x2,) = repeat([x], [w, index], inner, 3)
        return [x2, w * x2 * 0.5 + invariants[0]]

    def build(x: Value, w: Value, v: Value) -> Value:
        return repeat([x, w], [v], outer, 4)[0]

    check(build, [numbers(3), numbers(3, seed=2), numbers(3, seed=4)])


def test_second_derivative_of_a_loop() -> None:
    def build(x: Value, w: Value) -> Value:
        out = repeat([x], [w], lambda i, c, v: [i.builder.emit("tanh", c[0] * v[0])], 3)[0]
        return gradient(x.builder, (out * out).sum(), [w])[0]

    check(build, [numbers(3), numbers(3, seed=2)])


def test_loop_over_rows() -> None:
    def step(index: Value, carried: list[Value], invariants: list[Value]) -> list[Value]:
        row = index.builder.emit("dynamic_slice", invariants[0], index, axis=0, length=1).reshape((3,))
        return [carried[0] * 0.5 + row * carried[0] + row]

    check(lambda x, rows: repeat([x], [rows], step, 4)[0], [numbers(3), numbers(4, 3, seed=2)])


def test_viewers_of_a_loops_adjoints_are_those_of_what_they_are_made_of() -> None:
    b = Builder()
    own = b.append(
        "input", (), {"party": "a", "name": "0", "column": ""}, Type(Fixed(), (3,), frozenset({"a"})), pure=False
    )
    hidden = secret(b, "1", numbers(3))
    start = b.append("variable", (own,), {}, own.type)
    (out,) = repeat([start], [hidden], lambda i, c, v: [c[0] * 0.5], 3)
    mixed = repeat([hidden], [own], lambda i, c, v: [c[0] * v[0]], 3)[0]

    d_own, d_mixed = *gradient(b, out.sum(), [own]), *gradient(b, mixed.sum(), [own])

    assert d_own.type.seen_by != NOBODY
    assert d_mixed.type.seen_by == NOBODY


# -- what there is none of ---------------------------------------------------------------------


def test_what_does_not_matter_has_zeros() -> None:
    b, (_, z), y = scalar(lambda x, z: x, [X, X])

    (found,) = gradient(b, y, [z])

    assert found.is_const
    assert found.shape == (3, 4)
    assert not found.constant.any()


@pytest.mark.parametrize(
    ("build", "op"),
    [
        (lambda x: (x > 0).to_int().to_fixed(), "lt"),
        (lambda x: x.builder.emit("floor", x), "floor"),
        (lambda x: x.builder.emit("argmax", x, axis=1).to_fixed(), "argmax"),
        (lambda x: x.builder.emit("sort", x, axis=1), "sort"),
        (lambda x: x.builder.emit("shuffle", x) * x, "shuffle"),
        (lambda x: repeat([x], [], lambda i, c, v: [i.builder.emit("round", c[0]) + 1.0], 3)[0], "round"),
    ],
)
def test_not_differentiable(build: Build, op: str) -> None:
    b, xs, y = scalar(build, [X])

    with pytest.raises(NotDifferentiable) as caught:
        gradient(b, y, xs)

    assert caught.value.op == op
    assert caught.value.reason


def test_constant_pieces_beside_smooth_ones_count_nothing() -> None:
    (found,) = gradients(lambda x: x * (x > 0).to_int() + x.builder.emit("floor", x), [apart(3, 4)], None)

    np.testing.assert_array_equal(found, apart(3, 4) > 0)


def test_slopes_at_corners() -> None:
    at = np.array([0.0, -1.0, 1.0])

    (relu,) = gradients(emit("relu"), [at], None)
    (absolute,) = gradients(emit("abs"), [at], None)
    (clip,) = gradients(emit("clip", lo=-1.0, hi=1.0), [at], None)
    first, second = gradients(emit("maximum"), [at, at], None)
    (largest,) = gradients(emit("max", axis=None, keepdims=False), [np.array([1.0, 2.0, 2.0])], None)

    np.testing.assert_array_equal(relu, [0, 0, 1])
    np.testing.assert_array_equal(absolute, [0, -1, 1])
    np.testing.assert_array_equal(clip, [1, 1, 1])
    np.testing.assert_array_equal(first, [1, 1, 1])
    np.testing.assert_array_equal(second, [0, 0, 0])
    np.testing.assert_array_equal(largest, [0, 1, 0])


def test_what_has_no_gradient() -> None:
    b = Builder()
    whole, row, other = secret(b, "0", np.array([1])), secret(b, "1", X), secret(Builder(), "2", np.array(1.0))

    for y, x in ((row, row), (whole.sum(), row), (row.sum(), whole), (row.sum(), other)):
        with pytest.raises(TypeRuleError):
            gradient(b, y, [x])
