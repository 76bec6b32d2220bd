"""Division, rounding, powers, choices, approximations: over their stated domains, as exact as their records say.

Accuracy is measured on the lowered circuit in the clear, with many points of all magnitudes and truncations rounded by
chance, always down and always up; then each operation runs on every scheme with fewer points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ops import ROUNDINGS, Case, hold, hold_bound, in_the_clear, lowered, on_scheme, timetable
from order_run import PLACES, Range, study

from mpc.circuit import Array, Builder, Value
from mpc.lower import RangeOverflowError, lower
from mpc.op import find
from mpc.types import NOBODY, Fixed, Type, TypeRuleError

UNIT = 2.0**-16
BINARY = ("maximum", "minimum", "div", "floordiv", "mod")
ENDS = np.iinfo(np.int64)


def grid(x: Array) -> Array:
    return np.rint(np.asarray(x, np.float64) / UNIT) * UNIT


def fixed(n: int, low: float = -16, high: float = 46, seed: int = 0, signed: bool = True) -> Array:
    """Fixed-point numbers of all magnitudes 2^low..2^high, with the ends, 0 and powers of two among them."""
    rng = np.random.default_rng(seed)
    x = 2.0 ** rng.uniform(low, high, n)
    powers = 2.0 ** np.arange(np.ceil(low), high)
    special = np.concatenate([powers, powers + UNIT, powers - UNIT, [2.0**high - UNIT]])
    special = special[(special >= 2.0**low) & (special < 2.0**high)]
    x[: special.size] = special[:n]
    x = np.minimum(np.maximum(grid(x), UNIT), grid(np.asarray(2.0**high)) - UNIT)
    return x * rng.choice([-1.0, 1.0], n) if signed else x


def between(low: float, high: float, n: int, seed: int = 0) -> Array:
    """Fixed-point numbers spread evenly, both ends included."""
    x = grid(np.random.default_rng(seed).uniform(low, high, n))
    x[:2] = grid(np.array([low, high]))[:n]
    return x


def whole(n: int, bits: int = 63, seed: int = 0) -> Array:
    """Whole numbers of all magnitudes below 2^bits, with the ends and the neighbours of 0."""
    rng = np.random.default_rng(seed)
    x = rng.integers(ENDS.min, ENDS.max, n, endpoint=True) >> rng.integers(63 - bits, 63, n)
    low, high = -(1 << bits), (1 << bits) - 1
    special = np.array([0, 1, -1, 2, -2, high, high - 1, low + 1, low if bits == 63 else low + 1])
    x[: special.size] = special[:n]
    return np.maximum(x, low + (bits < 63))


def quotients(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Dividends and divisors of all magnitudes with |x / y| < 2^30."""
    rng = np.random.default_rng(seed)
    y = fixed(n, seed=seed + 1)
    q = 2.0 ** rng.uniform(-20, 30, n) * rng.choice([-1.0, 1.0], n)
    x = grid(np.clip(q * y, -(2.0**46) + 1, 2.0**46 - 1))
    keep = np.abs(x) < np.abs(y) * 2.0**30
    return x[keep], y[keep]


def near_multiples(x: Array, y: Array) -> Array:
    """Numbers at, just below and just above multiples of y."""
    with np.errstate(over="ignore"):
        at = x // np.where(y == 0, 1, y) * y
        return np.asarray(at + np.resize(np.array([-1, 0, 1]), x.shape))


def near_halves(step: float, n: int) -> Array:
    """Numbers half-way between multiples of a step, where the grid has them, and their neighbours."""
    at = grid((np.arange(-n, n)[:n] + 0.5) * step)
    return np.clip(np.concatenate([at - UNIT, at, at + UNIT]), -(2.0**45), 2.0**45)


def numeric_cases(n: int) -> list[Case]:
    """Every operation over all that its record promises; n points each."""
    wide, numbers, positive = fixed(n), whole(n), fixed(n, signed=False)
    narrow, over = between(-20, 20, n), (-20.0, 20.0)
    some, other = whole(n, 20, 3), whole(n, 20, 4)
    x, y = quotients(n)
    count = np.abs(whole(n, 20, 5)) + 1
    parts = whole(n, 62, 6)
    long = whole(n, 63, 7)
    half = near_multiples(long, parts)
    cases = [Case(op, (a,)) for op in ("abs", "sign", "relu", "floor", "ceil", "round") for a in (wide, numbers)]
    cases += [
        Case(op, (narrow,), (over,), name="range")
        for op in ("abs", "sign", "relu", "floor", "ceil", "round", "sigmoid", "tanh", "gelu", "exp")
    ]
    cases += [Case("round", (grid(np.arange(-200, 200) / 8),), name="ties")]
    cases += [Case("round", (np.arange(-200, 200) / 2,), ((-100, 100),), name="ties-range")]
    for places in (-12, -3, -1, 1, 2, 3, 4, 5, 12):
        points = np.concatenate([fixed(n, high=36), near_halves(10.0**-places, n)])
        cases.append(Case("round_to", (points,), attrs={"places": places}, name=f"{places}"))
    cases.append(Case("round_to", (between(-20, 20, n),), (over,), attrs={"places": 2}, name="range"))
    for op in ("maximum", "minimum"):
        cases += [
            Case(op, (wide, fixed(n, seed=1))),
            Case(op, (numbers, whole(n, 63, 1))),
            Case(op, (some, narrow)),
            Case(op, (some, other), ((-(2**20), 2**20), (-(2**20), 2**20)), name="range"),
            Case(op, (wide, np.array(1.5)), public=(1,), name="public"),
        ]
    cases += [
        Case("clip", (wide,), attrs={"lo": -1.0, "hi": 2.5}),
        Case("clip", (wide,), attrs={"lo": 0.0}),
        Case("clip", (numbers,), attrs={"lo": -5, "hi": 2**40}),
        Case("clip", (narrow,), (over,), attrs={"lo": -30.0, "hi": 0.1}),
        Case("square", (fixed(n, high=15),)),
        Case("square", (whole(n, 15),)),
        *(Case("power", (between(-2, 2, n),), attrs={"n": k}) for k in (0, 1, 2, 3, 5, 8)),
        *(Case("power", (between(0.25, 2, n),), attrs={"n": k}) for k in (-1, -2, -3)),
        Case("power", (np.resize(np.arange(-2, 3), n),), attrs={"n": 31}),
        Case("reciprocal", (wide,)),
        Case("reciprocal", (np.where(some == 0, 1, some),)),
        Case("reciprocal", (between(1, 1.99, n),), ((1, 1.99),), name="one-place"),
        Case("reciprocal", (between(1, 1000, n),), ((1, 1000),), name="range"),
        Case("div", (x, y)),
        Case("div", (fixed(n, high=14), np.full(n, UNIT)), name="least"),
        Case("div", (np.ones(n), wide), public=(0,), name="one-by"),
        Case("div", (np.array(5), positive), public=(0,), name="five-by"),
        Case("div", (some, np.where(other == 0, 1, other))),
        Case("div", (fixed(n, high=29), count), (None, (1, 2**20)), name="count"),
        Case("floordiv", (long, parts)),
        Case("mod", (long, parts)),
        Case("floordiv", (half, parts), name="multiples"),
        Case("mod", (half, parts), name="multiples"),
        Case("floordiv", (long, count), (None, (1, 2**20)), name="count"),
        Case("floordiv", (long, np.maximum(np.abs(parts), 2**50)), (None, (2**50, 2**62 - 1)), name="large"),
        Case("mod", (some, other), ((-(2.0**20), 2.0**20),) * 2, name="range"),
        Case("floordiv", (some, np.abs(other) + 8), ((-(2.0**20), 2.0**20), (8, 2.0**20 + 8)), name="brief"),
        Case("floordiv", (x, y)),
        Case("mod", (x, y)),
        Case("exp", (between(-14, 31, n),)),
        Case("exp", (np.concatenate([fixed(n, high=45) * 0 - fixed(n, signed=False), fixed(n, high=4)]),), name="far"),
        Case("exp", (np.resize(np.arange(-40, 31), n),)),
        *(
            Case("exp", (between(lo, hi, n),), ((lo, hi),), name=f"{lo}..{hi}")
            for lo, hi in ((-30, -12), (-30, -10), (-30, -8), (-12, -5), (-5, -4), (20, 31))
        ),
        Case("log", (positive,)),
        Case("log", (count,)),
        Case("log", (between(1, 1024, n),), ((1, 1024),), name="range"),
        Case("sqrt", (np.concatenate([[0.0], positive]),)),
        Case("sqrt", (np.concatenate([[0], count]),)),
        Case("sqrt", (between(0, 1024, n),), ((0, 1024),), name="range"),
        Case("rsqrt", (positive,)),
        Case("rsqrt", (count,)),
        Case("rsqrt", (between(0.001, 64, n),), ((0.0009, 64),), name="range"),
    ]
    for op in ("sigmoid", "tanh", "gelu"):
        cases += [Case(op, (np.concatenate([between(-12, 12, n), fixed(n, high=45)]),)), Case(op, (whole(n, 40),))]
        cases += [
            Case(op, (between(lo, hi, n),), ((lo, hi),), name=f"{lo}..{hi}")
            for lo, hi in ((-3, 3), (0, 3), (-3, 12), (-12, 0), (10, 20), (-20, -10))
        ]
    for op in ("softmax", "log_softmax"):
        rows = grid(np.random.default_rng(8).normal(0, 4, (max(n // 40, 2), 10)))
        rows[0] *= 2.0**20
        rows[1] = 3.0
        cases += [Case(op, (rows,), attrs={"axis": 1}), Case(op, (rows.T[:3].copy(),), attrs={"axis": 0})]
        cases += [Case(op, (np.resize(np.arange(-6, 7), (5, 3)),), ((-6, 6),), attrs={"axis": 1})]
    return cases


def constant_cases(n: int) -> list[Case]:
    """Public divisors."""
    cases = []
    for d in (1, 2, 3, 7, 10, -1, -3, -8, -10, 1000, 2**20, 10**9 + 7, 2**40 + 1, 3 * 2**50, 2**61 + 5, 2**62):
        x = near_multiples(whole(n), np.full(n, d))
        cases += [Case(op, (x, np.array(d)), public=(1,), name=str(d)) for op in ("floordiv", "mod") if d < 2**62]
    for d in (2, 3, 7, -10, 1000, 10**6 + 3, 2**29 - 1):
        x = np.clip(near_multiples(whole(n, 29), np.full(n, d)), -(2**29), 2**29)
        within = ((-(2.0**29), 2.0**29), None)
        cases += [Case(op, (x, np.array(d)), within, (1,), name=f"{d}-range") for op in ("floordiv", "mod")]
    for value in (1.0, 3.0, 0.1, 7.0, -10.0, 1e6, 0.25, 8.0, -8.0, UNIT, 12345.678, 2.0**40 + 1):
        d = grid(np.asarray(value))
        x = fixed(n, high=min(46, 30 + np.log2(abs(d))))
        cases += [Case("div", (x, d), public=(1,), name=str(value))]
        x = between(-(2.0**13), 2.0**13, n)
        cases += [Case("div", (x, d), ((-(2.0**13), 2.0**13), None), (1,), name=f"{value}-range")]
    cases += [
        Case("floordiv", (fixed(n, high=40), np.array(0.375)), public=(1,), name="fraction"),
        Case("mod", (fixed(n, high=40), np.array(-0.375)), public=(1,), name="fraction"),
        Case("div", (whole(n, 29), np.array(7)), public=(1,), name="whole"),
        Case("div", (fixed(n, high=29), np.resize(np.arange(1, 9), n)), public=(1,), name="array"),
        Case("div", (fixed(n, high=14), fixed(n, high=16, seed=2)), public=(1,), name="uneven"),
        Case("floordiv", (whole(n, 62), np.resize(np.arange(1, 9), n)), public=(1,), name="array"),
    ]
    return cases


@pytest.mark.parametrize("case", numeric_cases(20_000) + constant_cases(5_000), ids=str)
def test_accuracy(case: Case) -> None:
    for rounding in ROUNDINGS:
        hold(case, in_the_clear(case, rounding))


@pytest.mark.parametrize("case", [c for c in numeric_cases(3_000) if c.ranges], ids=str)
def test_bounds(case: Case) -> None:
    if case.record.bound is None:
        assert case.op == "log_softmax"
        return
    for rounding in ROUNDINGS:
        hold_bound(case, in_the_clear(case, rounding))


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("case", numeric_cases(80), ids=str)
def test_schemes(case: Case, where: str) -> None:
    hold(case, on_scheme(case, where))


@pytest.mark.parametrize("case", constant_cases(40), ids=str)
def test_public_divisors_on_a_scheme(case: Case) -> None:
    hold(case, on_scheme(case, "rep3"))


POWERS = np.array([s * 2**k + d for k in range(62) for s in (1, -1) for d in (-1, 0, 1)], np.int64)
POWERS = POWERS[(POWERS != 0) & (np.abs(POWERS) < 2**62)]


@pytest.mark.parametrize("where", ["rep3", "additive-2"])
@pytest.mark.parametrize("kind", ["whole", "fixed"])
@pytest.mark.parametrize("op", ["div", "floordiv", "reciprocal"])
def test_divisors_at_and_beside_every_power_of_two(op: str, kind: str, where: str) -> None:
    """Of both signs: where a highest place, or one that is told a place lower, is easiest missed by one."""
    y = POWERS if kind == "whole" else POWERS[np.abs(POWERS) < 2**52] * UNIT
    near = np.clip(y * np.resize([1.0, -0.75, 2.0**25], y.shape), -(2.0**45), 2.0**45)
    x = whole(y.size) if op == "floordiv" and kind == "whole" else grid(near)
    case = Case(op, (y,) if op == "reciprocal" else (x, y))
    for got in (in_the_clear(case, "up"), on_scheme(case, where)):
        allowed = case.record.tolerance + case.record.relative * np.abs(case.wanted())
        assert np.all(np.abs(got - case.wanted()) <= allowed)


class Opened(Case):
    """The operation on a second operand that is opened during the run."""

    def compute(self, b: Builder, secret: Sequence[Value]) -> list[Value]:
        return [b.emit(self.op, secret[0], b.emit("open", secret[1]))]


@pytest.mark.parametrize("within", [None, (-8.0, -0.5), (0.25, 100.0), (-8.0, 100.0)], ids=str)
@pytest.mark.parametrize("op", BINARY)
def test_an_operand_opened_in_mid_study(op: str, within: tuple[float, float] | None) -> None:
    y = between(*(within or (1.0, 50.0)), 600, 3)
    y[y == 0] = 1.0
    for x, range_ in ((between(-1000, 1000, 600), (-1000.0, 1000.0)), (fixed(600, high=27), None)):
        case = Opened(op, (x, y), (range_, within))
        for rounding in ROUNDINGS:
            hold(case, in_the_clear(case, rounding))
        hold(case, on_scheme(case, "rep3"))


# -- shapes ------------------------------------------------------------------------------------

UNARY = ("abs", "sign", "relu", "floor", "ceil", "round", "square", "reciprocal", "exp", "log", "sqrt", "rsqrt")


@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 0, 3), (2, 3, 4)], ids=str)
@pytest.mark.parametrize("op", [*UNARY, "sigmoid", "tanh", "gelu"])
def test_shapes(op: str, shape: tuple[int, ...]) -> None:
    hold(Case(op, (np.full(shape, 1.625),)), in_the_clear(Case(op, (np.full(shape, 1.625),))))


@pytest.mark.parametrize("pair", [((), ()), ((), (3,)), ((3, 1), (1, 4)), ((0,), ()), ((2, 3), (3,))], ids=str)
@pytest.mark.parametrize("op", BINARY)
def test_broadcasting(op: str, pair: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    for public in ((), (1,)):
        for one, other in ((7.5, 2.25), (7, 2)):
            case = Case(op, (np.full(pair[0], one), np.full(pair[1], other)), public=public)
            hold(case, in_the_clear(case))


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_rows_without_elements(op: str) -> None:
    case = Case(op, (np.zeros((0, 4)),), attrs={"axis": 1})

    assert in_the_clear(case).shape == (0, 4)


# -- what has no value -------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["div", "floordiv", "mod"])
@pytest.mark.parametrize("kind", [np.int64, np.float64])
def test_division_by_zero_gives_zero(op: str, kind: Any) -> None:
    x = np.arange(-50, 50).astype(kind)
    for ranges in (None, ((-50, 50), (-3, 3)), ((-50, 50), (0, 3))):
        case = Case(op, (x, np.zeros(100, kind)), ranges)
        for rounding in ROUNDINGS:
            assert not in_the_clear(case, rounding).any()


def test_the_reciprocal_of_zero_is_zero() -> None:
    for ranges in (None, ((-5, 5),), ((0, 5),)):
        assert not in_the_clear(Case("reciprocal", (np.zeros(9),), ranges)).any()


# -- sharing, cost, refusals -------------------------------------------------------------------


class Both(Case):
    """The operation, and another on the same operands."""

    def compute(self, b: Builder, secret: Sequence[Value]) -> list[Value]:
        other = {"maximum": "minimum", "mod": "floordiv"}[self.op]
        return [b.emit(op, *secret) for op in (self.op, other)]


def test_maximum_and_minimum_compare_once() -> None:
    for kind in (Case, Both):
        circuit, _ = lowered(kind("maximum", (fixed(5), fixed(5, seed=1))))
        assert [node.op for node in circuit.nodes].count("ltz") == 1


def test_quotient_and_remainder_share_their_work() -> None:
    arrays = (whole(400), whole(400, 62))
    one, both = (sum(timetable(kind("mod", arrays)).links.values()) for kind in (Case, Both))

    assert one < both < 1.05 * one


N = 4_000
COSTS = [
    (Case("abs", (fixed(N),)), 11, 0.9),
    (Case("sign", (fixed(N),)), 10, 1.2),
    (Case("maximum", (fixed(N), fixed(N))), 11, 0.9),
    (Case("clip", (fixed(N),), attrs={"lo": -1.0, "hi": 1.0}), 11, 1.7),
    (Case("floor", (fixed(N),)), 8, 0.4),
    (Case("round", (fixed(N),)), 8, 0.7),
    (Case("round_to", (fixed(N),), attrs={"places": 2}), 35, 1.8),
    (Case("round_to", (fixed(N),), attrs={"places": -2}), 32, 2.8),
    (Case("reciprocal", (fixed(N),)), 34, 4.9),
    (Case("div", (fixed(N), fixed(N))), 36, 6.1),
    (Case("floordiv", (whole(N), whole(N, 62))), 63, 12.2),
    (Case("exp", (between(-5, 5, N),)), 22, 3.9),
    (Case("log", (fixed(N),)), 31, 4.0),
    (Case("sqrt", (fixed(N),)), 34, 5.0),
    (Case("rsqrt", (fixed(N),)), 34, 5.3),
    (Case("sigmoid", (fixed(N),)), 11, 4.1),
    (Case("sigmoid", (between(-8, 8, N),), ((-8, 8),), name="range"), 10, 2.3),
    (Case("gelu", (fixed(N),)), 11, 4.1),
]


@pytest.mark.parametrize(("case", "rounds", "kilobits"), COSTS, ids=lambda v: str(v))
def test_cost_on_rep3(case: Case, rounds: int, kilobits: float) -> None:
    table = timetable(case)
    moved = [i for i, node in table.circuit if node.op in ("share", "open")]
    bits = 8 * (sum(table.links.values()) - sum(sum(table.traffic(i).values()) for i in moved)) / N

    assert table.rounds == rounds + 2
    assert round(bits / 1000, 1) == kilobits


def _emit(op: str, kind: Type, **attrs: Any) -> None:
    b = Builder()
    b.emit(op, b.append("input", (), {"party": "a", "name": "x"}, kind, pure=False), **attrs)


@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("clip", {"lo": 2.0, "hi": 1.0}),
        ("clip", {"lo": True}),
        ("power", {"n": 0.5}),
        ("power", {"n": 65}),
        ("softmax", {"axis": 1}),
        ("round_to", {"places": 0}),
    ],
)
def test_attributes_that_make_no_sense(op: str, attrs: dict[str, Any]) -> None:
    with pytest.raises(TypeRuleError):
        _emit(op, Type(Fixed(), (3,), NOBODY), **attrs)


def test_a_known_overflow_is_refused() -> None:
    for case in (
        Case("exp", (np.zeros(1),), ((0, 50),)),
        Case("div", (np.zeros(1), np.ones(1)), ((-(2.0**20), 2.0**20), (UNIT, 1))),
    ):
        with pytest.raises(RangeOverflowError):
            lowered(case)


def test_what_is_not_known_is_said() -> None:
    case = Case("div", (np.zeros(1), np.ones(1)))
    circuit, _ = study(case.compute, case.secret, None)
    said = {(a.op, a.limit_bits) for a in lower(circuit, ("a", "b", "c")).assumptions}

    assert said == {("the quotient", 30), ("the divisor", 62), ("the divisor is not 0", None)}


@pytest.mark.parametrize(
    ("op", "beside", "bad", "good", "said"),
    [
        ("sqrt", None, (-1.0, 9.0), (0.0, 9.0), "the argument of sqrt is not below 0"),
        ("rsqrt", None, (0.0, 9.0), (0.5, 9.0), "the argument of rsqrt is above 0"),
        ("log", None, (0.0, 9.0), (UNIT, 9.0), "the argument of log is above 0"),
        ("reciprocal", None, (-1.0, 9.0), (-9.0, -1.0), "the divisor is not 0"),
        ("div", (0.0, 1.0), (0.0, 9.0), (1.0, 9.0), "the divisor is not 0"),
        ("floordiv", (0.0, 1.0), (-1.0, 9.0), (-9.0, -1.0), "the divisor is not 0"),
        ("mod", (0.0, 1.0), (0.0, 9.0), (1.0, 9.0), "the divisor is not 0"),
    ],
)
def test_where_an_operation_has_no_result_is_said(op: str, beside: Range, bad: Range, good: Range, said: str) -> None:
    def texts(*ranges: Range) -> set[str]:
        case = Case(op, tuple(np.ones(1) for _ in ranges), ranges)
        circuit, _ = study(case.compute, case.secret, case.ranges)
        return {a.text for a in lower(circuit, ("a", "b", "c")).assumptions}

    before = () if beside is None else (beside,)
    assert said in texts(*before, bad)
    assert texts(*before, good) == set()


# -- one by one --------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(ENDS.min, ENDS.max), st.integers(-(2**62) + 1, 2**62 - 1)), min_size=1, max_size=20)
)
def test_floor_division_is_pythons(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(v, np.int64) for v in zip(*pairs, strict=True))
    quotient, remainder = in_the_clear(Case("floordiv", (x, y))), in_the_clear(Case("mod", (x, y)))

    for a, b, q, r in zip(x.tolist(), y.tolist(), quotient.tolist(), remainder.tolist(), strict=True):
        exact = divmod(a, b) if b else (0, 0)
        assert (q, r) == ((exact[0] + 2**63) % 2**64 - 2**63, exact[1])


def test_the_record_of_every_numeric_operation_is_complete() -> None:
    for op in {c.op for c in numeric_cases(10)}:
        record = find(op)
        assert len(record.doc) > 40
        if record.tolerance:
            assert record.domain or op == "clip"
