"""Operations that derivatives are made of: slopes and losses as exact as they say, and comparisons made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from ops import ROUNDINGS, Case, hold, hold_bound, in_the_clear, on_scheme
from order_run import PLACES, agree, run, study
from test_ops_numeric import between, fixed, whole

from mpc.circuit import Array, Builder, Value
from mpc.grad import gradient
from mpc.lower import lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule, schedule


def cases(n: int) -> list[Case]:
    wide, numbers, near = fixed(n), whole(n), between(-6, 6, n)
    corners = np.concatenate([[0.0, 0.0, -1.0, 2.5], between(-3, 3, n)])
    return [
        *(Case(op, (x,)) for op in ("relu_slope", "abs_slope") for x in (wide, numbers, corners)),
        *(Case(op, (corners,), ((-3, 3),), name="range") for op in ("relu_slope", "abs_slope")),
        Case("clip_slope", (corners,), attrs={"lo": -1.0, "hi": 2.5}),
        Case("clip_slope", (corners,), ((-3, 3),), attrs={"lo": -5.0, "hi": 1.0}),
        Case("clip_slope", (wide,), attrs={"lo": 0.0}),
        Case("second_larger", (wide, fixed(n, seed=1))),
        Case("second_larger", (numbers, whole(n, seed=1))),
        Case("second_larger", (corners, np.array(2.5)), public=(1,)),
        Case("gelu_slope", (np.concatenate([near, wide]),)),
        *(
            Case("gelu_slope", (between(lo, hi, n),), ((lo, hi),), name=f"{lo}..{hi}")
            for lo, hi in ((-6, 6), (0, 3), (5, 9))
        ),
        Case("softplus", (np.concatenate([between(-20, 20, n), fixed(n, high=45)]),)),
        Case("softplus", (between(-8, 8, n),), ((-8, 8),), name="range"),
        Case("variable", (wide,)),
        Case("variable", (numbers,), ((-(2**63), 2**63 - 1),)),
        Case("wrapping", (numbers,), ((-(2**63), 2**63 - 1),)),
    ]


@pytest.mark.parametrize("case", cases(8_000), ids=str)
def test_accuracy(case: Case) -> None:
    for rounding in ROUNDINGS:
        got = in_the_clear(case, rounding)

        hold(case, got)
        if case.ranges:
            hold_bound(case, got)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("case", cases(50), ids=str)
def test_schemes(case: Case, where: str) -> None:
    hold(case, on_scheme(case, where))


# -- sharing -----------------------------------------------------------------------------------


def timetable(compute: Callable[[Builder, Sequence[Value]], Sequence[Value]], arrays: Sequence[Array]) -> Schedule:
    circuit, _ = study(compute, arrays)
    return schedule(lower(circuit, PLACES["rep3"].nodes).circuit, Places(("a", "b", "c")), SCHEMES["rep3"])


def compared(table: Schedule) -> int:
    """How many numbers are compared with 0."""
    return sum(int(np.prod(node.type.sizes)) for _, node in table.circuit if node.op == "ltz")


SHARING = {
    "relu": ("relu", {}, 1),
    "abs": ("abs", {}, 1),
    "clip": ("clip", {"lo": -1.0, "hi": 1.0}, 1),
    "maximum": ("maximum", {}, 2),
    "minimum": ("minimum", {}, 2),
    "max": ("max", {"axis": 1, "keepdims": False}, 1),
}


@pytest.mark.parametrize("name", SHARING)
def test_the_way_back_compares_nothing_again(name: str) -> None:
    op, attrs, operands = SHARING[name]
    arrays = [between(-3, 3, 60, seed=i).reshape(10, 6) for i in range(operands)]

    def forward(b: Builder, xs: Sequence[Value]) -> list[Value]:
        return [b.emit("square", b.emit(op, *xs, **attrs)).sum()]

    def both(b: Builder, xs: Sequence[Value]) -> list[Value]:
        y = forward(b, xs)[0]
        return [y, *gradient(b, y, xs)]

    assert compared(timetable(both, arrays)) == compared(timetable(forward, arrays)) > 0


def test_relu_costs_its_slope_one_product_more() -> None:
    arrays = [between(-3, 3, 600), between(-3, 3, 600, seed=1)]

    def forward(b: Builder, xs: Sequence[Value]) -> list[Value]:
        return [(b.emit("relu", xs[0]) * xs[1]).sum()]

    def both(b: Builder, xs: Sequence[Value]) -> list[Value]:
        y = forward(b, xs)[0]
        return [y, *gradient(b, y, xs[:1])]

    more = sum(timetable(both, arrays).links.values()) - sum(timetable(forward, arrays).links.values())
    product, opening = 24, 24

    assert more == 600 * (product + opening)


def logistic(b: Builder, xs: Sequence[Value]) -> list[Value]:
    X, y, w, c = xs
    z = X @ w + c
    return gradient(b, b.emit("mean", b.emit("softplus", z) - y * z, axis=None, keepdims=False), [w, c])


def logistic_arrays(rows: int) -> list[Array]:
    rng = np.random.default_rng(3)
    return [
        np.rint(rng.normal(size=(rows, 5)) * 2**16) / 2**16,
        rng.integers(0, 2, rows),
        np.array([0.5, -1.0, 0.25, 2.0, 0.0]),
        np.array(0.125),
    ]


def test_logistic_loss_needs_no_logarithm_on_the_way_back() -> None:
    """Sharing, product, sigmoid, product (in whose truncation the mean is), opening."""
    table = timetable(logistic, logistic_arrays(128))

    assert not any(node.op == "leading" for _, node in table.circuit)
    assert table.rounds == 1 + 3 + 11 + 3 + 1


@pytest.mark.parametrize("where", PLACES)
def test_logistic_gradient_on_a_scheme(where: str) -> None:
    done = run(logistic, logistic_arrays(100), where)

    for wanted, got in zip(done.wanted, done.got, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2.0**-11)


def test_a_loop_backwards_on_a_scheme() -> None:
    """The tape, read in reverse, by shares."""

    def compute(b: Builder, xs: Sequence[Value]) -> list[Value]:
        x, w = xs
        body = Builder()
        at = body.append("param", (), {"index": 0}, Builder().const(0).type)
        state = body.append("param", (), {"index": 1}, x.type)
        factor = body.append("param", (), {"index": 2}, w.type)
        after = state * factor + at.to_fixed() * 0.25
        attrs = {"body": body.finish([after]), "count": 3, "carried": 1, "start": 1, "step": 2}
        (out,) = b.items(b.append("loop", (x, w), attrs, [x.type], pure=False))
        return gradient(b, out.sum(), [x, w])

    done = run(compute, [np.array([1.0, -0.5]), np.array([0.5, 1.5])])

    x, w = np.array([1.0, -0.5]), np.array([0.5, 1.5])
    np.testing.assert_allclose(done.wanted[0], w**3)
    np.testing.assert_allclose(done.wanted[1], 3 * w**2 * x + 2 * w * 0.25 + 0.75)
    for wanted, got in zip(done.wanted, done.got, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2.0**-12)


def test_exact_choices_have_exact_gradients() -> None:
    def compute(b: Builder, xs: Sequence[Value]) -> list[Value]:
        y = (b.emit("relu", xs[0]) + b.emit("abs", xs[0]) + b.emit("maximum", xs[0], xs[1])).sum()
        return gradient(b, y, xs)

    agree(compute, [np.array([0.0, -1.0, 2.0, 0.5]), np.array([0.0, 1.0, 1.0, 0.5])])
