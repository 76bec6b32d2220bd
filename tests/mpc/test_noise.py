"""Noise on shares: it has the law that it claims, and nobody who may be curious determines it."""

from __future__ import annotations

import itertools
import math
from decimal import Context, Decimal, localcontext
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from mpc.circuit import Builder, Circuit
from mpc.discrete import Gaussian, Laplace, law
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.places import Places
from mpc.prg import Prg, derive
from mpc.protocols import SCHEMES
from mpc.schedule import schedule
from mpc.types import INT, NOBODY, Fixed, Type

REP3 = ("rep3", Places(("a", "b", "c")))
ADDITIVE = ("additive", Places(("a", "b", "c"), (), "dealer"))
RARE = 6.1
"""Standard deviations beyond which a normal number lies with probability 1e-9."""

Numbers = npt.NDArray[np.int64]


def drawn(kind: str, parameter: tuple[int, int], n: int, setup: tuple[str, Places], keys: dict[str, int]) -> Numbers:
    """n numbers on shares. keys: seeds of pair keys that are not the usual ones, as `ab`."""
    scheme, places = SCHEMES[setup[0]], setup[1]
    names = places.names
    b = Builder()
    attrs = {"law": kind, "parameter": parameter, "shape": (n,), "frac": 0}
    noise = b.append("noise", (), attrs, Type(INT, (n,), NOBODY), pure=False)
    told = {"to": ("a",), "name": "x", "column": ""}
    b.append("reveal", (noise,), told, noise.type.seen(frozenset({"a"})), pure=False)
    timetable = schedule(scheme.prepare(lower(b.finish(), places.nodes).circuit), places, scheme)
    pairs: list[dict[int, bytes]] = [{} for _ in names]
    for i, j in itertools.combinations(range(len(names)), 2):
        seed = keys.get(names[i][0] + names[j][0], 0)
        pairs[i][j] = pairs[j][i] = derive(bytes(range(32)), i, j, seed)
    engines = [Engine(timetable, places.seat(i, pairs[i]), {}) for i in range(len(names))]
    reports, _ = lockstep([e.run() for e in engines])
    out: Numbers = reports[0].outputs["x", ""]
    return out


def masses(chosen: Laplace | Gaussian, largest: int) -> list[Decimal]:
    """The exact law from -largest to largest."""
    with localcontext(Context(prec=50)):
        exact = []
        for x in range(largest + 1):
            if isinstance(chosen, Laplace):
                power = Fraction(x) / chosen.scale
            else:
                power = Fraction(x * x) / (2 * chosen.variance)
            exact.append((-Decimal(power.numerator) / Decimal(power.denominator)).exp())
        total = exact[0] + 2 * sum(exact[1:])
        half = [m / total for m in exact]
    return half[:0:-1] + half


def far(sample: Numbers, chosen: Laplace | Gaussian) -> float:
    """Chi squared of a sample against its law, in cells of 10 expected numbers at least, as a normal deviation."""
    largest = 12 * math.ceil(math.sqrt(variance(chosen)))
    expected = np.array([float(m) for m in masses(chosen, largest)]) * len(sample)
    counts = np.bincount(np.clip(sample, -largest, largest) + largest, minlength=2 * largest + 1)
    cells = np.unique(np.floor(np.cumsum(expected) / 10), return_inverse=True)[1]
    e, c = np.bincount(cells, expected), np.bincount(cells, counts)
    freedom = len(e) - 1
    assert freedom > 3
    squared = ((c - e) ** 2 / np.maximum(e, 1)).sum()
    # Wilson and Hilferty's transformation.
    return float(((squared / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)))


def variance(chosen: Laplace | Gaussian) -> float:
    if isinstance(chosen, Gaussian):
        return float(chosen.variance)
    a = math.exp(-1 / chosen.scale)
    return 2 * a / math.expm1(-1 / chosen.scale) ** 2


LAWS = [
    ("laplace", (1, 3)),
    ("laplace", (7, 2)),
    ("laplace", (40, 1)),
    ("gaussian", (1, 2)),
    ("gaussian", (25, 1)),
    ("gaussian", (1000, 1)),
]


@pytest.mark.parametrize("setup", [REP3, ADDITIVE], ids=["rep3", "additive"])
@pytest.mark.parametrize(("kind", "parameter"), LAWS)
def test_noise_on_shares_has_its_law(setup, kind, parameter):
    sample = drawn(kind, parameter, 4000, setup, {})
    assert far(sample, law(kind, parameter)) < RARE


@pytest.mark.parametrize(("kind", "parameter"), LAWS)
def test_noise_in_the_clear_has_its_law(kind, parameter):
    chosen = law(kind, parameter)
    cursor = Prg(bytes(32)).cursor(1)
    assert far(chosen.draw((40_000,), cursor.words), chosen) < RARE


def test_another_law_is_told_apart():
    cursor = Prg(bytes(32)).cursor(1)
    sample = Gaussian(Fraction(25)).draw((20_000,), cursor.words)
    assert far(sample, Gaussian(Fraction(22))) > RARE
    assert far(sample, Laplace(Fraction(7, 2))) > RARE
    assert far(sample + 1, Gaussian(Fraction(25))) > RARE


@pytest.mark.parametrize("parameter", [(10**12, 1), (2**70, 3), (10**30, 1)])
def test_wide_gaussian_noise_has_its_moments(parameter):
    n = 3000
    cursor = Prg(bytes(32)).cursor(1)
    x = law("gaussian", parameter).draw((n,), cursor.words) / math.sqrt(Fraction(*parameter))
    assert abs(x.mean()) < RARE / math.sqrt(n)
    assert abs((x**2).mean() - 1) < RARE * math.sqrt(2 / n)
    assert abs((x**4).mean() - 3) < RARE * math.sqrt(96 / n)


def test_wide_noise_on_shares_has_its_moments():
    n = 400
    for setup in (REP3, ADDITIVE):
        x = drawn("gaussian", (10**12, 1), n, setup, {}) / 1e6
        assert abs(x.mean()) < RARE / math.sqrt(n)
        assert abs((x**2).mean() - 1) < RARE * math.sqrt(2 / n)
        y = drawn("laplace", (10**6, 1), n, setup, {}) / 1e6
        assert abs(y.mean()) < RARE * math.sqrt(2 / n)
        assert abs(np.abs(y).mean() - 1) < RARE / math.sqrt(n)


# ------------------------------------------------------------------ what thresholds come to, exactly


def by_inversion(chosen: Gaussian) -> dict[int, Fraction]:
    """What a word and a sign come to."""
    limits = [0, *chosen.limits, 1 << 64]
    out: dict[int, Fraction] = {}
    for size, (low, high) in enumerate(itertools.pairwise(limits)):
        for x in (size, -size):
            out[x] = out.get(x, Fraction(0)) + Fraction(high - low, 1 << 65)
    return out


@pytest.mark.parametrize("square", [Fraction(1, 3), Fraction(64), Fraction(256), Fraction(300)])
def test_gaussian_noise_is_as_near_to_its_law_as_it_says(square):
    chosen = Gaussian(square)
    base = by_inversion(chosen)
    made = {0: Fraction(1)}
    for weight in chosen.weights:
        new: dict[int, Fraction] = {}
        for (x, p), (y, q) in itertools.product(made.items(), base.items()):
            new[x + weight * y] = new.get(x + weight * y, Fraction(0)) + p * q
        made = new
    largest = max(made)
    with localcontext(Context(prec=50)):
        exact = masses(chosen, largest)
        parts = [made.get(x, Fraction(0)) for x in range(-largest, largest + 1)]
        away = sum(abs(Decimal(p.numerator) / Decimal(p.denominator) - e) for p, e in zip(parts, exact, strict=True))
    assert float(away) / 2 <= chosen.deviation < 2.0**-52


@pytest.mark.parametrize("scale", [Fraction(1, 5), Fraction(3), Fraction(12)])
def test_laplace_noise_is_as_near_to_its_law_as_it_says(scale):
    chosen = Laplace(scale)
    with localcontext(Context(prec=50)):
        one = [Decimal(1)]
        for limit in reversed(chosen.limits):
            p = Decimal(limit) / (1 << 64)
            one = [m * q for m in one for q in (1 - p, p)]
        largest = len(one) - 1
        both = [sum(one[i] * one[i + d] for i in range(largest + 1 - d)) for d in range(largest + 1)]
        exact = masses(chosen, largest)
        away = sum(abs(b - e) for b, e in zip(both[:0:-1] + both, exact, strict=True))
    assert float(away) / 2 <= chosen.deviation < 2.0**-57


def test_noise_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        _ = Laplace(Fraction(2**56)).limits
    with pytest.raises(ValueError, match="does not fit"):
        _ = Gaussian(Fraction(2**114)).levels


@pytest.mark.parametrize("setup", [REP3, ADDITIVE], ids=["rep3", "additive"])
def test_the_widest_noise_fits(setup):
    for chosen, kind in ((Laplace(Fraction(2**56 - 1, 45)), "laplace"), (Gaussian(Fraction(2**100 - 1)), "gaussian")):
        parameter = chosen.scale if isinstance(chosen, Laplace) else chosen.variance
        sample = drawn(kind, parameter.as_integer_ratio(), 50, setup, {})
        assert chosen.bound < 2**57
        assert np.abs(sample).max() <= chosen.bound
        assert np.abs(sample / math.sqrt(variance(chosen))).mean() > 0.3


# ------------------------------------------------------------------------------- who can know it


@pytest.mark.parametrize(("curious", "unknown"), [("a", "bc"), ("b", "ac"), ("c", "ab")])
def test_no_node_of_rep3_determines_the_noise(curious, unknown):
    """Of what fixes a node's view before the run, all is kept: the keys that it shares. The noise is another one."""
    assert curious not in unknown
    first = drawn("laplace", (100, 1), 200, REP3, {})
    second = drawn("laplace", (100, 1), 200, REP3, {unknown: 1})
    assert abs(np.corrcoef(first, second)[0, 1]) < RARE / math.sqrt(200)


@pytest.mark.parametrize("honest", "abc")
def test_no_two_of_three_additive_nodes_determine_the_noise(honest):
    """The two hold all keys but the one of the third with the dealer."""
    first = drawn("gaussian", (10000, 1), 200, ADDITIVE, {})
    second = drawn("gaussian", (10000, 1), 200, ADDITIVE, {honest + "d": 1})
    assert abs(np.corrcoef(first, second)[0, 1]) < RARE / math.sqrt(200)


def test_noise_is_drawn_anew_at_every_use():
    b = Builder()
    attrs = {"law": "laplace", "parameter": (1 << 20, 1), "shape": (1,), "frac": 16}
    one, other = (b.append("noise", (), attrs, Type(Fixed(16), (1,), NOBODY), pure=False) for _ in range(2))
    difference = one - other
    told = {"to": ("a",), "name": "x", "column": ""}
    b.append("reveal", (difference,), told, difference.type.seen(frozenset({"a"})), pure=False)
    lowered: Circuit = lower(b.finish(), ("a", "b", "c")).circuit
    assert sum(n.op == "random_bits" for n in lowered.nodes) == 2
