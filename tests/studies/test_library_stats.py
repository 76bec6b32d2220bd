"""The library's statistics against NumPy and SciPy.

Tolerances are those that the functions' texts state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from library_run import clear, grid, shared, split
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

pytestmark = pytest.mark.slow

TEXT = """
input xa: fixed[n, {d}] from a
input xb: fixed[n, {d}] from b
X = xa + xb
x = X[:, 0]
reveal stats.mean(X, axis=0) to all as mean
reveal stats.variance(X) to all as variance
reveal stats.std(x, ddof=0) to all as std
reveal stats.covariance(X) to all as covariance
reveal stats.covariance(x, X[:, 1], ddof=0) to all as covariance_of_two
reveal stats.correlation(X) to all as correlation
reveal stats.correlation(x, X[:, 1]) to all as correlation_of_two
reveal stats.quantile(X, 0.3) to all as quantile
reveal stats.median(x) to all as median
reveal stats.histogram(x, {edges}) to all as histogram
"""

SETS = {"iris": load_iris().data, "wine": load_wine().data[:, [4, 12, 0]]}


@pytest.mark.parametrize("name", SETS)
def test_moments_order_and_counts(name: str) -> None:
    x = grid(SETS[name])
    edges = [float(v) for v in grid(np.linspace(x[:, 0].min(), x[:, 0].max(), 6))]
    two = np.cov(x[:, :2].T, ddof=0)[0, 1]
    spread = np.outer(x.std(axis=0), x.std(axis=0))
    want = {
        "mean": (x.mean(axis=0), 2.0**-15),
        "variance": (x.var(axis=0, ddof=1), 2.0**-13 * x.var(axis=0) + 2.0**-15),
        "std": (x[:, 0].std(), 2.0**-14 * x[:, 0].std() + 2.0**-15),
        "covariance": (np.cov(x.T), 2.0**-13 * spread + 2.0**-14),
        "covariance_of_two": (two, 2.0**-13 * spread[0, 1] + 2.0**-14),
        "correlation": (np.corrcoef(x.T), 2.0**-12),
        "correlation_of_two": (np.corrcoef(x[:, :2].T)[0, 1], 2.0**-12),
        "quantile": (np.quantile(x, 0.3, axis=0), 2.0**-15 * np.ptp(x, axis=0)),
        "median": (np.median(x[:, 0]), 2.0**-15),
        "histogram": (np.histogram(x[:, 0], edges)[0], 0),
    }
    xa, xb = split(x)
    data = {"a": {"xa": xa}, "b": {"xb": xb}}
    text = TEXT.format(d=x.shape[1], edges=edges)

    plain, got = clear(text, data), shared(text, data)

    for key, (exact, tolerance) in want.items():
        assert (np.abs(plain[key] - exact) <= 1e-4 * np.abs(exact) + 1e-9).all(), key
        assert (np.abs(got[key] - exact) <= tolerance).all(), (key, got[key], exact)


def test_a_constant_has_no_deviation_and_no_correlation() -> None:
    x = np.stack([np.full(20, 3.25), np.arange(20.0)], axis=1)
    xa, xb = split(x)
    text = TEXT.format(d=2, edges=[3.0, 3.25, 4.0])

    got = shared(text, {"a": {"xa": xa}, "b": {"xb": xb}})

    assert got["variance"][0] == got["std"] == got["covariance_of_two"] == got["correlation_of_two"] == 0
    assert list(got["histogram"]) == [0, 20]


TESTS = """
input xa: fixed[n] from a
input xb: fixed[n] from b
input ya: fixed[m] from a
input yb: fixed[m] from c
t = stats.t_test(xa + xb, ya + yb)
w = stats.t_test(xa + xb, ya + yb, equal_var=false)
reveal [t.statistic, t.degrees, t.p_value] to all as student
reveal [w.statistic, w.degrees, w.p_value] to all as welch
"""


@pytest.mark.parametrize(("n", "m", "shift"), [(5, 4, 1.0), (12, 30, 0.8), (200, 150, 0.15), (300, 90, 5.0)])
def test_t_tests(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    x, y = grid(rng.normal(size=n) * 3), grid(rng.normal(size=m) + shift)
    compared(x, y)


@pytest.mark.parametrize(("load", "column"), [(load_iris, 1), (load_wine, 0), (load_wine, 12), (load_breast_cancer, 9)])
def test_t_tests_of_real_samples(load: Any, column: int) -> None:
    """Of two kinds of iris, wine and tumour: widths, alcohol, proline by the hundreds, dimensions near 0.06."""
    data, kind = load(return_X_y=True)
    compared(grid(data[kind == 0, column]), grid(data[kind == 1, column]))


def compared(x: Any, y: Any) -> None:
    """Both tests of two samples against scipy's."""
    (xa, xb), (ya, yb) = split(x), split(y)
    data = {"a": {"xa": xa, "ya": ya}, "b": {"xb": xb}, "c": {"yb": yb}}

    plain, got = clear(TESTS, data), shared(TESTS, data)

    for name, equal in (("student", True), ("welch", False)):
        t, p, degrees = (lambda r: (r.statistic, r.pvalue, r.df))(stats.ttest_ind(x, y, equal_var=equal))
        for found, exact, near in ((plain[name], 1e-4, 0.001), (got[name], 1.0, 0.002)):
            assert abs(found[0] - t) <= exact * (2.0**-9 * abs(t) + 2.0**-12)
            assert abs(found[1] - degrees) <= exact * 2.0**-10 * degrees + 1e-3
            assert abs(found[2] - p) <= (0.002 if degrees < 10 else near)


COUNTS = """
input ga: int[r, c] from a
input gb: int[r, c] from b
q = stats.chi_squared(ga + gb)
u = stats.chi_squared((ga + gb)[0])
v = stats.chi_squared((ga + gb)[0], expected={expected})
reveal q.degrees to all as degrees
reveal [q.statistic, q.p_value] to all as independence
reveal [u.statistic, u.p_value] to all as uniform
reveal [v.statistic, v.p_value] to all as given
"""


@pytest.mark.parametrize("shape", [(2, 2), (2, 3), (3, 4), (4, 3), (5, 6)])
def test_chi_squared(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    counted(rng.poisson(np.outer(rng.uniform(20, 60, shape[0]), rng.uniform(0.5, 1.5, shape[1]))))


@pytest.mark.parametrize(
    ("load", "column", "parts"), [(load_wine, 2, 3), (load_wine, 9, 4), (load_breast_cancer, 9, 3)]
)
def test_chi_squared_of_real_counts(load: Any, column: int, parts: int) -> None:
    """Kinds of wine and tumour by quantiles of what was measured, near independence and far from it."""
    data, kind = load(return_X_y=True)
    part = np.searchsorted(np.quantile(data[:, column], np.arange(1, parts) / parts), data[:, column])
    table = np.zeros((kind.max() + 1, parts), np.int64)
    np.add.at(table, (kind, part), 1)
    counted(table + (table == 0))


def counted(table: Any) -> None:
    """Tests of a table, and of its first row, against scipy's."""
    shape = table.shape
    share = np.linspace(1, 2, shape[1])
    expected = [float(v) for v in grid(share / share.sum() * table[0].sum())]
    of_table = stats.chi2_contingency(table, correction=False)
    of_row = stats.chisquare(table[0])
    of_given = stats.chisquare(table[0], np.array(expected) * table[0].sum() / sum(expected))
    cells = shape[1] - 1
    want: dict[str, Any] = {
        "independence": (of_table, (shape[0] - 1) * cells),
        "uniform": (of_row, cells),
        "given": (of_given, cells),
    }
    ga, gb = split(table)
    data = {"a": {"ga": ga}, "b": {"gb": gb}}
    text = COUNTS.format(expected=expected)

    plain, got = clear(text, data), shared(text, data)

    assert got["degrees"] == (shape[0] - 1) * (shape[1] - 1)
    for name, (result, degrees) in want.items():
        for found in (plain[name], got[name]):
            assert abs(found[0] - result.statistic) <= 2.0**-10 * result.statistic + table.size * 2.0**-12
            # With one degree the chance is steep at 0: a few units of the statistic are a part of the tolerance.
            near = found[0] + np.array([4.0, -4.0]) * 2.0**-16
            least, most = stats.chi2.sf(np.maximum(near, 0), degrees)
            assert least - 2.0**-9 <= found[1] <= most + 2.0**-9
