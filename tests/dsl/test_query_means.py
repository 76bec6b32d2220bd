"""Equal means of exact numbers are equal on shares too: rows stand in the order of exact means, ties among them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from query_run import ADDITIVE, REP3, run_shared

from mpc.places import Places

TYPES = {"int": 1, "int in -50..50": 1, "decimal(3)": 1000}
GROUPS, EACH = 24, 6


def data(unit: int) -> tuple[dict[str, Any], dict[int, Fraction]]:
    """Groups of 1 to 6 rows over two owners, of which many have the same mean; and the means."""
    rng = np.random.default_rng(1)
    keys = np.repeat(np.arange(GROUPS), np.arange(GROUPS) % EACH + 1)
    values = rng.integers(-2, 3, len(keys)) * rng.choice([unit // 4 or 1, unit // 2 or 1], len(keys))
    order = rng.permutation(len(keys))
    keys, values = keys[order], values[order]
    means = {int(k): Fraction(int(values[keys == k].sum()), int((keys == k).sum()) * unit) for k in set(keys.tolist())}
    half = len(keys) // 2
    return {
        p: {"t": {"k": keys[at], "v": values[at]}} for p, at in (("a", slice(half)), ("b", slice(half, None)))
    }, means


@pytest.mark.slow
@pytest.mark.parametrize("places", [REP3, ADDITIVE])
@pytest.mark.parametrize("kind", TYPES)
def test_rows_in_the_order_of_means(kind: str, places: Places) -> None:
    brought, means = data(TYPES[kind])
    text = f"""party a, b, c
table t from a, b:
    k: int
    v: {kind}
query q:
    select k, avg(v) as m from t group by k
query by_mean:
    select k, m from q order by m desc, k
query same:
    select count(distinct m) as different, max(m) as most from q
query mean_of_all:
    select count(*) as n from q where m >= (select avg(v) from t)
reveal by_mean, same, mean_of_all to all
"""
    found = run_shared(text, {**brought, "c": {}}, places)
    order = sorted(means, key=lambda k: (-means[k], k))
    assert [row["k"] for row in found["by_mean"]] == order
    for row in found["by_mean"]:
        assert abs(Fraction(row["m"]) - means[row["k"]]) <= Fraction(1, 2**17)
    assert found["same"][0]["different"] == len(set(means.values()))


def test_a_mean_beside_a_number_of_the_study() -> None:
    """0.1 and 0.3 are no numbers of `fixed`; as means of decimals they are theirs."""
    cents = {"a": [10, 30, 20], "b": [10, 30, 0]}
    brought = {p: {"t": {"k": np.array([1, 2, 3]), "v": np.array(v)}} for p, v in cents.items()}
    text = """party a, b, c
table t from a, b:
    k: int
    v: decimal(2)
query q:
    select k, avg(v) as m from t group by k having avg(v) in (0.1, 0.3) order by k
reveal q to all
"""
    found = run_shared(text, {**brought, "c": {}})["q"]
    assert [row["k"] for row in found] == [1, 2, 3]
    assert [round(Decimal(row["m"]), 4) for row in found] == [Decimal("0.1"), Decimal("0.3"), Decimal("0.1")]
