"""Error bounds hold, and say something: every operation with numbers that are not on the grid, over the ends of their
ranges and between, in the clear with truncations rounded every way, and on shares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from lowered_run import evaluate
from order_run import PLACES, Range, private, study

from mpc.accuracy import Known, accuracy
from mpc.accuracy.table import RULES
from mpc.circuit import Array, Builder, Circuit, Value
from mpc.lower import lower
from mpc.op import catalogue
from mpc.passes import optimise
from mpc.plain import evaluate as plain
from mpc.plain import outputs
from mpc.protocols import SCHEMES
from mpc.simulate import simulate
from mpc.types import BOOL, INT, Fixed, Type

Operands = Sequence[Value]


class Given(NamedTuple):
    """A computation, and what its operands are: numbers with fraction between lo and hi, whole ones, truth values."""

    name: str
    compute: Callable[[Builder, Operands], Value]
    operands: tuple[tuple[str, float, float], ...]
    loose: float = 64.0
    """How many times the largest error measured the bound may be."""
    columns: int = 0
    """Operands have so many columns; 0: none."""


def f(lo: float, hi: float) -> tuple[str, float, float]:
    return "fixed", lo, hi


def i(lo: float, hi: float) -> tuple[str, float, float]:
    return "int", lo, hi


B = ("bool", 0.0, 1.0)


def emit(op: str, **attrs: Any) -> Callable[[Builder, Operands], Value]:
    return lambda b, v: b.emit(op, *v, **attrs)


def by(op: str, number: Any, *, left: bool = False) -> Callable[[Builder, Operands], Value]:
    """With a public number, or array, on the right."""

    def compute(b: Builder, v: Operands) -> Value:
        c = b.const(np.asarray(number))
        return b.emit(op, *((c, v[0]) if left else (v[0], c)))

    return compute


WEIGHTS = np.random.default_rng(3).normal(size=(6, 3))

GIVEN = [
    Given("add", emit("add"), (f(-10, 10), f(-10, 10))),
    Given("sub", emit("sub"), (f(-10, 10), f(-10, 10))),
    Given("neg", emit("neg"), (f(-10, 10),)),
    Given("mul", emit("mul"), (f(-10, 10), f(-3, 3))),
    Given("mul-far", emit("mul"), (f(-3000, 3000), f(-3000, 3000))),
    Given("mul-whole", emit("mul"), (f(-10, 10), i(-50, 50))),
    Given("mul-public", by("mul", 0.1), (f(-100, 100),)),
    Given("mul-public-large", by("mul", 3.3), (f(-1000, 1000),)),
    Given("mul-public-half", by("mul", 0.5), (f(-1000, 1000),)),
    Given("mul-public-whole", by("mul", 3.0), (f(-1000, 1000),)),
    Given("mul-public-array", by("mul", [0.3, 7.7, -0.001] * 2), (f(-1000, 1000),), columns=6),
    Given("mul-public-twice", lambda b, v: v[0] * 4.1 * 0.124, (f(-1000, 1000),)),
    Given("matmul", lambda b, v: v[0] @ v[1].transpose((1, 0)), (f(-3, 3), f(-3, 3)), columns=6),
    Given("matmul-public", by("matmul", WEIGHTS), (f(-3, 3),), columns=6),
    Given("matmul-whole", lambda b, v: v[0] @ v[1].transpose((1, 0)), (f(-3, 3), i(-3, 3)), columns=6),
    Given("dot", lambda b, v: b.emit("dot", v[0][0], v[1][0]), (f(-3, 3), f(-3, 3)), columns=6),
    Given("outer", lambda b, v: b.emit("outer", v[0][:, 0], v[1][:, 0]), (f(-3, 3), f(-3, 3)), columns=1),
    Given("square", emit("square"), (f(-50, 50),)),
    Given("power", emit("power", n=5), (f(-2, 2),)),
    Given("power-inverse", emit("power", n=-3), (f(0.5, 2),)),
    Given("sum", emit("sum", axis=1, keepdims=False), (f(-3, 3),), columns=6),
    Given("cumsum", emit("cumsum", axis=1), (f(-3, 3),), columns=6),
    Given("mean", emit("mean", axis=1), (f(-3, 3),), columns=6),
    Given("mean-whole", emit("mean", axis=1), (i(-3, 3),), columns=6),
    Given("div", emit("div"), (f(-100, 100), f(0.5, 4))),
    Given("div-whole", lambda b, v: b.emit("div", v[0].to_fixed(16), v[1]), (i(-1000, 1000), i(1, 50))),
    Given("div-far", emit("div"), (f(-1e6, 1e6), f(1, 4))),
    Given("div-public", by("div", 3.7), (f(-100, 100),)),
    Given("div-public-far", by("div", 3.7), (f(-1e7, 1e7),), loose=256),
    Given("div-of-one", by("div", 1.0, left=True), (f(0.25, 4),)),
    Given("reciprocal", emit("reciprocal"), (f(0.25, 4),)),
    Given("reciprocal-whole", emit("reciprocal"), (i(-9, 9),)),
    Given("exp", emit("exp"), (f(-2, 3),)),
    Given("exp-far", emit("exp"), (f(-20, 12),)),
    Given("log", emit("log"), (f(0.1, 100),)),
    Given("sqrt", emit("sqrt"), (f(0.1, 100),)),
    Given("sqrt-of-0", emit("sqrt"), (f(0, 100),), loose=256),
    Given("rsqrt", emit("rsqrt"), (f(0.1, 100),)),
    Given("sigmoid", emit("sigmoid"), (f(-12, 12),)),
    Given("tanh", emit("tanh"), (f(-6, 6),)),
    Given("gelu", emit("gelu"), (f(-6, 6),)),
    Given("gelu_slope", emit("gelu_slope"), (f(-6, 6),)),
    Given("softplus", emit("softplus"), (f(-10, 10),)),
    Given("softmax", emit("softmax", axis=1), (f(-3, 3),), columns=6),
    Given("log_softmax", emit("log_softmax", axis=1), (f(-3, 3),), columns=6),
    Given("abs", emit("abs"), (f(-10, 10),)),
    Given("relu", emit("relu"), (f(-10, 10),)),
    Given("maximum", emit("maximum"), (f(-10, 10), f(-10, 10))),
    Given("minimum", emit("minimum"), (f(-10, 10), f(-10, 10))),
    Given("clip", emit("clip", lo=-0.3, hi=1.1), (f(-10, 10),)),
    Given("select", emit("select"), (B, f(-10, 10), f(-10, 10))),
    Given("to_fixed", lambda b, v: v[0].to_fixed(12), (f(-10, 10),)),
    Given("floor", emit("floor"), (f(-10, 10),)),
    Given("ceil", emit("ceil"), (f(-10, 10),)),
    Given("round", emit("round"), (f(-10, 10),)),
    Given("round_to", emit("round_to", places=2), (f(-10, 10),)),
    Given("round_to-tens", emit("round_to", places=-1), (f(-100, 100),), loose=np.inf),
    Given("floordiv", emit("floordiv"), (f(-10, 10), f(1, 1.5))),
    Given("units", emit("units", frac=16), (f(-10, 10),), loose=np.inf),
    Given("of_units", emit("of_units", frac=16), (i(-9, 9),)),
    Given("concat", emit("concat", axis=0), (f(-10, 10), f(-3, 3))),
    Given("reshape", lambda b, v: v[0].reshape((v[0].type.sizes[0], 1)), (f(-10, 10),)),
    Given("variable", emit("variable"), (f(-10, 10),)),
    Given("wrapping", emit("wrapping"), (f(-10, 10),)),
    Given("within", emit("within", lo=-10.0, hi=10.0), (f(-10, 10),)),
    Given("two-steps", lambda b, v: _two_steps(b, *v), (f(-1e4, 1e4), i(1, 50))),
    Given("polynomial", lambda b, v: (v[0] * v[0] + v[1] * 0.3) * v[0] - v[1], (f(-3, 3), f(-3, 3)), loose=256),
    Given("layer", lambda b, v: b.emit("sigmoid", b.emit("relu", v[0] @ b.const(WEIGHTS))), (f(-3, 3),), columns=6),
    Given("loss", lambda b, v: b.emit("log", b.emit("sigmoid", v[0])), (f(-3, 3),), loose=256),
]

PLACED = [
    Given("max", emit("max", axis=1, keepdims=False), (f(-3, 3),), columns=6),
    Given("min", emit("min", axis=1, keepdims=False), (f(-3, 3),), columns=6),
    Given("sort", emit("sort", axis=1), (f(-3, 3),), columns=6),
    Given("top_k", emit("top_k", k=2), (f(-3, 3),), columns=6),
    Given("take", lambda b, v: b.emit("take", v[0], v[1][:3], axis=0), (f(-9, 9), i(0, 39))),
    Given("update", lambda b, v: b.emit("update", v[0], v[1][:1], parts=((0, 1, 1),)), (f(-10, 10), f(-10, 10))),
    Given("dynamic_slice", lambda b, v: b.emit("dynamic_slice", v[0], b.const(3), axis=0, length=5), (f(-9, 9),)),
    Given("group_totals", lambda b, v: _totals(b, v), (B, f(0, 10)), loose=1e9),
    Given("running_sums", lambda b, v: b.items(b.emit("running_sums", *v))[0], (B, f(0, 10)), loose=1e9),
    Given("group_last", lambda b, v: b.items(b.emit("group_last", *v))[0], (B, f(0, 10))),
    Given("bucket_sums", lambda b, v: _buckets(b, v, 1), (i(0, 3), f(0, 10)), loose=1e9),
    Given("bucket_means", lambda b, v: _means(b, v), (i(0, 3), f(1, 10))),
    Given("weighed_means", lambda b, v: _weighed(b, v), (i(0, 1), f(1, 10), i(1, 3)), loose=1000),
    Given("group_means", lambda b, v: _group_means(b, v), (i(0, 3), f(1, 10))),
]


def _two_steps(b: Builder, x: Value, n: Value) -> Value:
    n = n.to_fixed(16)
    return b.emit("floordiv", x, n) + b.emit("div", b.emit("mod", x, n), n)


def _totals(b: Builder, v: Operands) -> Value:
    return b.items(b.emit("group_totals", *v))[0]


def _buckets(b: Builder, v: Operands, which: int) -> Value:
    bucket, x = v
    everything = b.const(np.ones(bucket.type.sizes, np.bool_))
    return b.items(b.emit("bucket_sums", bucket, everything, x, n=4))[which]


def _weighed(b: Builder, v: Operands) -> Value:
    """Of some rows the sum of one column by that of another, which is no number of rows."""
    some, x, k = v
    zero, of_k = b.const(0.0), b.const(0)
    totals = [b.emit("select", some.equals(1), c, z).sum() for c, z in ((x, zero), (k, of_k))]
    return b.emit("div", totals[0], totals[1].to_fixed(16))


def _means(b: Builder, v: Operands) -> Value:
    return _two_steps(b, _buckets(b, v, 1), _buckets(b, v, 0))


def _group_means(b: Builder, v: Operands) -> Value:
    key, x = v
    n = key.type.sizes[0]
    keys, xs = b.items(b.emit("sort_rows", key, x, keys=1, descending=(False,)))
    new = b.emit("group_starts", keys)
    everything = b.const(np.ones(n, np.bool_))
    _, sums, sizes = b.items(b.emit("group_rows", new, everything, xs, how=("sum", "size")))
    return b.emit("div", sums[:4], sizes.to_fixed(16)[:4])


def numbers(kind: str, lo: float, hi: float, shape: tuple[int, ...], rng: np.random.Generator, special: bool) -> Array:
    """Both ends among them; those with fraction are not on the grid.  special: near to whole numbers."""
    if kind == "bool":
        return rng.random(shape) < 0.5
    if kind == "int":
        x: Array = rng.integers(int(lo), int(hi), shape, endpoint=True)
    else:
        x = rng.uniform(lo, hi, shape)
    if kind == "fixed" and special:
        x.flat[4] = max(np.floor(hi) - 2.0**-18, lo)  # goes to the other side of a whole number, and of a half
        x.flat[5] = max(np.floor(hi) - 0.5 - 2.0**-18, lo)
        x.flat[6] = max(np.floor(hi) - 1 + 2.0**-18, lo)
    x.flat[0], x.flat[1] = lo, hi
    if x.shape[0] > 3:
        x[2] = hi
        x[3] = lo
    return x


class Study(NamedTuple):
    """A circuit with its inputs, what it is exactly, and what is known of that."""

    circuit: Circuit
    inputs: dict[str, dict[tuple[str, str], Array]]
    exact: Array
    known: Known


def made(g: Given, n: int, seed: int = 0, *, special: bool = True) -> Study:
    rng = np.random.default_rng(seed)
    shape = (n, g.columns) if g.columns else (n,)
    arrays = [numbers(*o, shape, rng, special) for o in g.operands]
    ranges: list[Range] = [None if kind == "bool" else (lo, hi) for kind, lo, hi in g.operands]
    circuit, inputs = study(lambda b, v: [g.compute(b, v)], arrays, ranges)
    values = plain(circuit, {(p, *key): a for p, mine in inputs.items() for key, a in mine.items()})
    known = accuracy(circuit)
    index = next(k for k, node in circuit if node.op == "reveal")
    return Study(circuit, inputs, outputs(circuit, values)["out0", ""], known[index][0])


def off(s: Study, got: Array) -> float:
    return float(np.abs(got.astype(np.float64) - s.exact).max())


@pytest.mark.parametrize("g", GIVEN, ids=lambda g: g.name)
def test_bounds_hold_however_truncations_round_and_are_not_loose(g: Given) -> None:
    s = made(g, 40 if g.columns else 3000)
    flat = {key: a for mine in s.inputs.values() for key, a in mine.items()}
    lowered = optimise(lower(s.circuit, PLACES["rep3"].nodes).circuit)
    worst = max(off(s, evaluate(lowered, flat, r)["out0"]) for r in ("chance", "down", "up"))

    assert s.known.error is not None, s.known.why
    assert s.known.near == 0
    assert worst <= s.known.error * (1 + 1e-6) + 1e-12
    assert s.known.error <= g.loose * max(worst, 1e-300)


@pytest.mark.parametrize("frac", [8, 12, 20, 24])
@pytest.mark.slow
def test_bounds_hold_with_other_fraction_bits(frac: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"b": BOOL, "i": INT, "f": Fixed(frac)}
    monkeypatch.setattr("order_run.dtype_of", lambda array: kinds[array.dtype.kind])
    for g in GIVEN:
        if g.name in {"mul-far", "units", "of_units", "to_fixed"} or (g.name == "loss" and frac == 8):
            continue  # does not fit, or says its own fraction bits; the logarithm of 0
        s = made(g, 40 if g.columns else 1000)
        flat = {key: a for mine in s.inputs.values() for key, a in mine.items()}
        lowered = optimise(lower(s.circuit, PLACES["rep3"].nodes).circuit)
        assert s.known.error is not None, (g.name, s.known.why)
        for rounding in ("chance", "down", "up"):
            assert off(s, evaluate(lowered, flat, rounding)["out0"]) <= s.known.error * (1 + 1e-6), g.name


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("g", [*GIVEN, *PLACED], ids=lambda g: g.name)
def test_bounds_hold_on_shares(g: Given, where: str) -> None:
    s = made(g, 40)
    done = simulate(s.circuit, s.inputs, SCHEMES[where.split("-")[0]], PLACES[where])
    worst = off(s, done.reports["a"].outputs["out0", ""])

    assert s.known.error is not None, s.known.why
    assert worst <= s.known.error * (1 + 1e-6) + 1e-12
    if g in PLACED:
        assert s.known.error <= g.loose * max(worst, 1e-300)


COMPARED = [
    Given("lt", emit("lt"), (f(-1, 1), f(-1, 1))),
    Given("eq", emit("eq"), (f(-1, 1), f(-1, 1))),
    Given("lt-public", by("lt", 0.3), (f(-1, 1),)),
    Given("lt-computed", lambda b, v: v[0] * v[0] < v[1], (f(-1, 1), f(0, 1))),
    Given("sign", emit("sign"), (f(-1, 1),)),
    Given("relu_slope", emit("relu_slope"), (f(-1, 1),)),
    Given("abs_slope", emit("abs_slope"), (f(-1, 1),)),
    Given("clip_slope", emit("clip_slope", lo=-0.5, hi=0.5), (f(-1, 1),)),
    Given("second_larger", emit("second_larger"), (f(-1, 1), f(-1, 1))),
    Given("argmax", emit("argmax", axis=1), (f(-1, 1),), columns=6),
    Given("argsort", emit("argsort", axis=1), (f(-1, 1),), columns=6),
    Given("not", lambda b, v: ~(v[0] < 0.25) & (v[0] < 0.5), (f(-1, 1),)),
    Given("counted", lambda b, v: (v[0] < 0.3).to_int().sum(), (f(-1, 1),)),
]


@pytest.mark.parametrize("g", COMPARED, ids=lambda g: g.name)
def test_comparisons_are_right_unless_what_is_compared_is_nearly_equal(g: Given) -> None:
    s = made(g, 40, seed=5, special=False)
    got = simulate(s.circuit, s.inputs, SCHEMES["rep3"], PLACES["rep3"]).reports["a"].outputs["out0", ""]

    assert s.known.error == 0
    assert 2.0**-17 <= s.known.near <= 2.0**-14
    if g.columns:  # the ends are there twice, as near to equal as can be
        got, wanted = got[4:], s.exact[4:]
    else:
        wanted = s.exact
    np.testing.assert_array_equal(got, wanted)


def test_a_comparison_does_go_wrong_within_what_is_said() -> None:
    g = Given("lt", emit("lt"), (f(-1, 1), f(-1, 1)))
    s = made(g, 4000)
    x = s.inputs["a"]["x0", ""]
    s.inputs["a"]["x1", ""] = x + 0.9 * s.known.near
    got = simulate(s.circuit, s.inputs, SCHEMES["rep3"], PLACES["rep3"]).reports["a"].outputs["out0", ""]

    assert not got.all()  # all are less

    s.inputs["a"]["x1", ""] = x + 1.001 * s.known.near
    got = simulate(s.circuit, s.inputs, SCHEMES["rep3"], PLACES["rep3"]).reports["a"].outputs["out0", ""]

    assert got.all()


def test_numbers_in_the_clear_are_as_exact_as_double_precision() -> None:
    rng = np.random.default_rng(8)
    b = Builder()
    x, y = (private(b, "a", name, np.zeros(50), (-1e6, 1e6)) for name in "xy")
    total = ((x * y - x) * y + 0.1).sum()
    b.append("reveal", (total,), {"name": "out", "to": None}, total.type.seen(None), pure=False)
    circuit = b.finish()
    arrays = {("a", "x", ""): rng.uniform(-1e6, 1e6, 50), ("a", "y", ""): rng.uniform(-1e6, 1e6, 50)}
    got = Fraction(float(outputs(circuit, plain(circuit, arrays))["out", ""]))
    pairs = [(Fraction(p), Fraction(q)) for p, q in zip(*arrays.values(), strict=True)]
    exact = sum(((p * q - p) * q + Fraction(0.1) for p, q in pairs), Fraction(0))
    known = accuracy(circuit)[-1][0]

    assert known.error is not None
    assert 0 < abs(got - exact) <= known.error < 2.0**-40 * 50e18


def counting(b: Builder, x: Value, passes: int, step: float) -> Value:
    """x, to which its own multiple is added so many times."""
    body = Builder()
    t = x.type
    params = [body.append("param", (), {"index": k}, p) for k, p in enumerate([Type(INT), t, t])]
    after = params[1] + params[2] * step
    attrs = {"body": body.finish([after]), "carried": 1, "start": 0, "step": 1, "count": passes}
    return b.items(b.append("loop", (x, x), attrs, [t], pure=False))[0]


@pytest.mark.parametrize("passes", [1, 7, 40])
def test_a_loop_is_walked_pass_by_pass(passes: int) -> None:
    g = Given("loop", lambda b, v: counting(b, v[0], passes, 0.3), (f(-3, 3),))
    s = made(g, 40)
    worst = off(s, simulate(s.circuit, s.inputs, SCHEMES["rep3"], PLACES["rep3"]).reports["a"].outputs["out0", ""])

    assert s.known.error is not None
    assert worst <= s.known.error <= 8 * worst


@pytest.mark.slow
def test_a_loop_of_more_passes_than_are_worth_walking_has_no_bound() -> None:
    s = made(Given("loop", lambda b, v: counting(b, v[0], 100_000, 0.3), (f(-3, 3),)), 40)

    assert s.known.error is None
    assert s.known.why is not None
    assert "100000 passes" in s.known.why.text


def test_what_is_computed_without_a_declared_range_says_which_is_missing() -> None:
    b = Builder()
    x = private(b, "a", "x", np.zeros(3))
    y = private(b, "b", "y", np.zeros(3), (0, 1))
    known = {}
    for name, v in (("sum", x + y), ("product", x * y), ("larger", x < y)):
        b.append("reveal", (v,), {"name": name, "to": None}, v.type.seen(None), pure=False)
        known[name] = accuracy(b.finish())[-1][0]

    assert known["sum"].error == 2.0**-16
    assert known["product"].error is None
    assert known["product"].why is not None
    assert known["product"].why.text == "no range is declared for `x`"
    assert known["larger"] == replace(known["larger"], error=0.0, near=2.0**-16)


def test_a_remainder_of_what_has_an_error_has_no_bound() -> None:
    s = made(Given("mod", emit("mod"), (f(-100, 100), f(1, 1.5))), 40)

    assert s.known.why is not None
    assert "off by the whole divisor" in s.known.why.text


def test_every_operation_has_a_rule() -> None:
    assert set(RULES) == set(catalogue())


def test_whole_numbers_and_truth_values_are_exact() -> None:
    g = Given("whole", lambda b, v: (v[0] * v[1] + v[2].to_int()).sum(), (i(-9, 9), i(-9, 9), B))
    s = made(g, 40)

    assert s.known.error == 0
    assert s.known.near == 0
