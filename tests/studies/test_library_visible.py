"""What is made of tables that still have invisible rows is what NumPy and SciPy make of the visible ones.

The rows lie behind a join of padded tables with a condition, so that which of them are there nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import scipy.stats
from library_run import HEAD

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from runtime import api

pytestmark = pytest.mark.slow

Floats = Any
Rows = Mapping[str, Floats]

JOINED = """
table l from a rows <= 40:
    i: key unique
    u: fixed
    v: fixed
table r from b rows <= 50:
    i: key unique
    k: bool
    c: int in 0..2
query q:
    select u, v, k, c from l join r on l.i = r.i where u > {least}
X = matrix(q, u, v)
w = [1.0, -2.0]
"""


def brought(n: int) -> dict[str, dict[str, dict[str, Any]]]:
    rng = np.random.default_rng(n)
    u, v = (np.round(rng.normal(size=n) * 256) / 256 for _ in range(2))
    order = rng.permutation(n)
    k, c = u + v > 0.3, (v > 0).astype(int) + (u > 0.7)
    return {
        "a": {"l": {"i": np.arange(n), "u": u, "v": v}},
        "b": {"r": {"i": order, "k": k[order], "c": c[order]}},
        "c": {},
    }


def visible(data: dict[str, dict[str, dict[str, Any]]], least: float) -> dict[str, Any]:
    """The rows that the query leaves, as NumPy's."""
    left, right = data["a"]["l"], data["b"]["r"]
    back = np.argsort(right["i"])
    on = left["u"] > least
    rows = {c: left[c][on] for c in "uv"} | {c: right[c][back][on] for c in "kc"}
    return rows | {"X": np.stack([rows["u"], rows["v"]], axis=1)}


def told(lines: str, n: int, protocol: str, least: float = 0.0) -> tuple[dict[str, Any], dict[str, Any]]:
    preprocessing = "dealer" if protocol == "additive" else None
    study = api.compile(HEAD + JOINED.format(least=least) + lines, protocol=protocol, preprocessing=preprocessing)
    data = brought(n)
    return dict(api.simulate_sync(study, data, limit=120)["a"]), visible(data, least)


def joint(values: list[Any]) -> Floats:
    return np.concatenate([np.ravel(np.asarray(v, np.float64)) for v in values])


MADE: dict[str, tuple[list[str], Callable[[Any], list[Any]], float]] = {
    "products": (
        [
            "sum(X @ w)",
            "mean(X @ w > 0)",
            "X.T @ (q.u - q.v)",
            "(q.u - q.v) @ X",
            "q.u @ q.v",
            "X.T @ X",
            "dot(q.u, q.k)",
        ],
        lambda r: [
            (r["X"] @ [1, -2]).sum(),
            np.mean(r["X"] @ [1, -2] > 0),
            r["X"].T @ (r["u"] - r["v"]),
            r["X"].T @ (r["u"] - r["v"]),
            r["u"] @ r["v"],
            r["X"].T @ r["X"],
            r["u"] @ r["k"],
        ],
        2.0**-14,
    ),
    "extremes": (
        ["max(q.v)", "min(q.v)", "max(q.v - 9)", "min(X)", "max(X, axis=0)", "sum(max(X, axis=1))", "max(cumsum(q.u))"],
        lambda r: [
            r["v"].max(),
            r["v"].min(),
            r["v"].max() - 9,
            r["X"].min(),
            r["X"].max(axis=0),
            r["X"].max(axis=1).sum(),
            r["u"].sum(),
        ],
        0.0,
    ),
    "of each row": (
        [
            "sum(max(q.u, q.v))",
            "sum(one_hot(q.c, 3), axis=0)",
            "sum(squared_error(q.u, q.v))",
            "max(q.c)",
            "max(q.k)",
            "sum(q.u if q.k else q.v)",
            "sum(X.T if q.k else 0.25, axis=1)",
        ],
        lambda r: [
            np.maximum(r["u"], r["v"]).sum(),
            np.bincount(r["c"], minlength=3),
            np.square(r["u"] - r["v"]).sum(),
            r["c"].max(),
            r["k"].max(),
            np.where(r["k"], r["u"], r["v"]).sum(),
            np.where(r["k"], r["X"].T, 0.25).sum(axis=1),
        ],
        2.0**-10,
    ),
    "losses": (
        ["mean(cross_entropy(sigmoid(q.u), q.k))", "mean(cross_entropy(softmax(X), one_hot(q.k * 1, 2)))"],
        lambda r: [
            np.mean(np.log1p(np.exp(r["u"])) - r["k"] * r["u"]),
            np.mean(np.log(np.exp(r["X"]).sum(axis=1)) - np.where(r["k"], r["v"], r["u"])),
        ],
        2.0**-10,
    ),
    "moments": (
        [
            "stats.variance(q.u)",
            "stats.variance(X, ddof=0)",
            "stats.std(q.v)",
            "stats.covariance(q.u, q.v)",
            "stats.covariance(X)",
            "stats.correlation(q.u, q.v)",
            "stats.correlation(X)",
        ],
        lambda r: [
            r["u"].var(ddof=1),
            r["X"].var(axis=0),
            r["v"].std(ddof=1),
            np.cov(r["X"].T)[0, 1],
            np.cov(r["X"].T),
            np.corrcoef(r["X"].T)[0, 1],
            np.corrcoef(r["X"].T),
        ],
        2.0**-12,
    ),
    "order": (
        [
            "stats.median(q.u)",
            "stats.median(X)",
            "stats.quantile(q.v, 0.3)",
            "stats.quantile(X, 0.9)",
            "stats.quantile(q.v, 0)",
            "stats.quantile(q.v, 1)",
            "stats.median(q.c)",
            "stats.histogram(X, [-1.0, 0.0, 1.0])",
        ],
        lambda r: [
            np.median(r["u"]),
            np.median(r["X"], axis=0),
            np.quantile(r["v"], 0.3),
            np.quantile(r["X"], 0.9, axis=0),
            r["v"].min(),
            r["v"].max(),
            np.median(r["c"]),
            np.histogram(r["X"], [-1, 0, 1])[0],
        ],
        2.0**-13,
    ),
}


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
@pytest.mark.parametrize("n", [39, 10])
@pytest.mark.parametrize("name", MADE)
def test_what_is_made_of_visible_rows_is_as_numpy_makes_it(name: str, n: int, protocol: str) -> None:
    calls, made, tolerance = MADE[name]
    lines = "".join(f"reveal {call} to all as r{i}\n" for i, call in enumerate(calls))

    found, rows = told(lines, n, protocol)

    np.testing.assert_allclose(joint([found[f"r{i}"] for i in range(len(calls))]), joint(made(rows)), atol=tolerance)


TESTED = """
t = stats.t_test(q.u, q.v)
h = stats.t_test(q.u, q.v - 0.25, equal_var=false)
o = stats.t_test(q.u, [0.5, 0.25, 1.5, 0.75, 0.125])
g = stats.chi_squared(floor(16 * q.u) + 1)
e = stats.chi_squared(floor(16 * q.u) + 1, 10 + q.k)
f = stats.chi_squared(stack(q.c + 5, floor(16 * q.u), axis=1))
"""


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
@pytest.mark.parametrize("n", [39, 12])
def test_tests_are_of_visible_rows(n: int, protocol: str) -> None:
    """Within what the functions' texts state; p-values of t-tests within 0.002 from three degrees of freedom up."""
    lines = TESTED + "".join(f"reveal [{x}.statistic, {x}.degrees, {x}.p_value] to all as {x}_\n" for x in "thogef")

    found, r = told(lines, n, protocol)

    counts = np.floor(16 * r["u"]) + 1
    wants: dict[str, tuple[float, float]] = {}
    for name, test in {
        "t": scipy.stats.ttest_ind(r["u"], r["v"]),
        "h": scipy.stats.ttest_ind(r["u"], r["v"] - 0.25, equal_var=False),
        "o": scipy.stats.ttest_ind(r["u"], [0.5, 0.25, 1.5, 0.75, 0.125]),
    }.items():
        np.testing.assert_allclose(found[f"{name}_"][0], test.statistic, rtol=2.0**-9, atol=2.0**-12)
        np.testing.assert_allclose(found[f"{name}_"][1], test.df, rtol=2.0**-10)
        np.testing.assert_allclose(found[f"{name}_"][2], test.pvalue, atol=0.002)
    table = np.stack([r["c"] + 5, counts - 1], axis=1)
    tabular = scipy.stats.chi2_contingency(table, correction=False)
    wants["g"] = (np.square(counts - counts.mean()).sum() / counts.mean(), len(counts) - 1)
    wants["e"] = (float((np.square(counts - 10 - r["k"]) / (10 + r["k"])).sum()), len(counts) - 1)
    wants["f"] = (tabular.statistic, tabular.dof)
    for name, (statistic, degrees) in wants.items():
        got = found[f"{name}_"]
        np.testing.assert_allclose(got[0], statistic, rtol=2.0**-10, atol=len(counts) * 2.0**-12)
        assert got[1] == degrees
        np.testing.assert_allclose(got[2], scipy.stats.chi2.sf(got[0], degrees), atol=2.0**-9)


TRAINED = """
z = zeros(2)
b = 0.0
for epoch in range(12):
    for xb, yb in batches(X, q.k, size=64):
        dz, db = grad(mean(cross_entropy(sigmoid(xb @ z + b), yb)), (z, b))
        z -= 0.5 * dz
        b -= 0.5 * db
s = zeros(2)
for step in range(30):
    s -= 0.01 * (X.T @ (X @ s - q.v))
V = zeros((2, 3))
for epoch in range(40):
    P = softmax(X @ V)
    off = P - one_hot(q.c, 3)
    V -= 0.01 * (X.T @ off)
W = zeros((2, 3))
for epoch in range(4):
    for xb, yb in batches(X, one_hot(q.c, 3), size=64):
        W -= 0.5 * grad(mean(cross_entropy(softmax(xb @ W), yb)), W)
reveal z, b, s, V, W to all
reveal mean(P, axis=0) to all as P_
reveal sum(square(off)) to all as off_
reveal accuracy(X @ z + b > 0, q.k) to all as share
"""


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_training_by_hand_knows_nothing_of_invisible_rows(protocol: str) -> None:
    found, r = told(TRAINED, 39, protocol)

    x, y = r["X"], r["k"]
    z, b, s, w = np.zeros(2), 0.0, np.zeros(2), np.zeros((2, 3))
    for _ in range(12):
        off = 1 / (1 + np.exp(-(x @ z + b))) - y
        z, b = z - 0.5 * x.T @ off / len(x), b - 0.5 * off.mean()
    for _ in range(30):
        s = s - 0.01 * (x.T @ (x @ s - r["v"]))
    v = np.zeros((2, 3))
    for _ in range(40):
        p = np.exp(x @ v)
        p = p / p.sum(axis=1, keepdims=True)
        off = p - np.eye(3)[r["c"]]
        v = v - 0.01 * x.T @ off
    ends = [p.mean(axis=0), np.square(off).sum()]
    for _ in range(4):
        p = np.exp(x @ w)
        w = w - 0.5 * x.T @ (p / p.sum(axis=1, keepdims=True) - np.eye(3)[r["c"]]) / len(x)
    want = joint([z, b, s, v, *ends, w, np.mean((x @ z + b > 0) == y)])
    np.testing.assert_allclose(
        joint([found[name] for name in ("z", "b", "s", "V", "P_", "off_", "W", "share")]), want, atol=2.0**-10
    )


FAR = """
table l from a rows <= 9:
    i: key unique
    n: int
    f: fixed
    m: int in -5..5
table r from b rows <= 9:
    i: key unique
query q:
    select n, f, m from l join r on l.i = r.i
reveal [max(q.n), min(q.n)] to all as n
reveal [max(q.f), min(q.f), max(q.m), min(q.m)] to all as f
"""


@pytest.mark.parametrize("end", [-1, 1])
@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_extremes_are_exact_at_the_ends_of_what_fits(protocol: str, end: int) -> None:
    n, f, m = np.array([2**63 - 9, 2**63 - 2, 2**63 - 4]), np.array([6.5e13, 7e13, 6e13]), np.array([5, 4, 3])
    study = api.compile(HEAD + FAR, protocol=protocol, preprocessing="dealer" if protocol == "additive" else None)
    left = {"i": np.arange(3), "n": end * n, "f": end * f, "m": end * m}

    got = api.simulate_sync(study, {"a": {"l": left}, "b": {"r": {"i": np.arange(3)}}, "c": {}})["c"]

    assert got["n"].tolist() == [max(end * n), min(end * n)]
    assert got["f"].tolist() == [max(end * f), min(end * f), max(end * m), min(end * m)]


BATCHED = """
input z0: fixed[2] from b
table t from a rows <= 60:
    u: fixed
    v: fixed
    k: bool
query q:
    select u, v, k from t where u > 0
z = z0
for xb, yb in batches(matrix(q, u, v), q.k, size=16):
    z -= 0.5 * grad(mean(cross_entropy(sigmoid(xb @ z), yb)), z)
reveal z to all
"""


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_a_batch_is_of_consecutive_rows_of_which_the_visible_ones_count(protocol: str) -> None:
    """The last batches have none: no gradient."""
    preprocessing = "dealer" if protocol == "additive" else None
    rng = np.random.default_rng(2)
    u, v = (np.round(rng.normal(size=30) * 256) / 256 for _ in range(2))
    k, start = u > v, np.array([0.25, -0.5])
    study = api.compile(HEAD + BATCHED, protocol=protocol, preprocessing=preprocessing)

    got = api.simulate_sync(study, {"a": {"t": {"u": u, "v": v, "k": k}}, "b": {"z0": start}, "c": {}})["c"]

    z = start
    for at in (0, 16):
        on = np.flatnonzero(u[at : at + 16] > 0) + at
        x = np.stack([u[on], v[on]], axis=1)
        z = z - 0.5 * x.T @ (1 / (1 + np.exp(-x @ z)) - k[on]) / len(on)
    np.testing.assert_allclose(got["z"], z, atol=2.0**-11)


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_where_no_row_is_visible_nothing_is_learned(protocol: str) -> None:
    lines = TRAINED + "reveal [max(q.u), mean(q.u), stats.variance(q.u), stats.median(q.v)] to all as none\n"

    found, _ = told(lines, 9, protocol, least=100)

    assert not joint([found[name] for name in ("z", "b", "s", "V", "W", "P_", "none")]).any()


@pytest.mark.parametrize(
    "lines", [*(f"reveal {c} to all as r\n" for calls, _, _ in MADE.values() for c in calls), TESTED, TRAINED]
)
def test_sizes_may_be_unknown(lines: str) -> None:
    text = JOINED.format(least=0).replace(" rows <= 40", "")

    assert elaborate(parse(HEAD + text + lines), Bindings(), check=True).abstract
