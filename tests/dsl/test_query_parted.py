"""Owners group their own rows first where that makes them fewer: the same results, from fewer rows."""

import numpy as np
import pytest
from evaluate import run_study
from query_run import run_shared

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

TABLES = """
party a, b, c

table t from a, b:
    shop:  int in 0..299
    kind:  enum('x', 'y')
    wide:  int
    v:     int in 0..100
    maybe: int in -50..50?
    d:     decimal(2) in 0..1000
    f:     fixed in -100..100
"""
ROWS = {"a": 420, "b": 400}
QUERIES = {
    "measures": "select shop, count(*) as n, count(maybe) as m, sum(maybe) as s, min(v) as low, max(f) as high, "
    "avg(d) as d, sum(f) as f from t where v > 20 group by shop order by shop",
    "no measure": "select distinct shop from t where v < 50 order by shop",
    "having": "select shop, sum(d) as s from t group by shop having count(*) > 5 order by s desc, shop",
    "computed": "select shop + 1 as next, sum(v * v) as s from t group by shop + 1 order by next",
}
NOT_FIRST = {
    "wide": "select wide, count(*) as n from t group by wide",
    "many": "select shop, kind, count(*) as n from t group by shop, kind",
    "median": "select shop, median(v) as m from t group by shop",
}
"""Where the keys' values are not few, or a measure is not one of parts'."""


def study(query: str) -> str:
    return TABLES + f"query q:\n    {query}\nreveal q to c\n"


def data() -> dict[str, dict[str, dict[str, np.ndarray]]]:
    random = np.random.default_rng(5)

    def table(rows: int) -> dict[str, np.ndarray]:
        there = random.random(rows) < 0.7
        return {
            "shop": random.integers(0, 60, rows) * 5, "kind": random.integers(0, 2, rows),
            "wide": random.integers(0, 5, rows), "v": random.integers(0, 101, rows),
            "maybe": np.where(there, random.integers(-50, 51, rows), 0), "maybe?": there,
            "d": random.integers(0, 100001, rows), "f": np.round(random.uniform(-100, 100, rows), 3),
        }  # fmt: skip

    return {party: {"t": table(rows)} for party, rows in ROWS.items()}


def grouped_by(query: str) -> list[tuple[int, frozenset[str] | None]]:
    """The rows that are grouped by sorting, and by whom."""
    bound = Bindings(rows={(party, "t"): rows for party, rows in ROWS.items()})
    circuit = elaborate(parse(study(query)), bound).circuit
    return [(circuit.nodes[n.src[0]].type.shape[0], n.type.seen_by) for _, n in circuit if n.op == "group_rows"]


@pytest.mark.parametrize("query", QUERIES)
def test_each_owner_groups_its_rows_first(query: str) -> None:
    found = grouped_by(QUERIES[query])
    assert set(found) == {(420, frozenset("a")), (400, frozenset("b")), (600, frozenset())}


@pytest.mark.parametrize("query", NOT_FIRST)
def test_rows_are_grouped_together_where_they_would_not_be_fewer(query: str) -> None:
    assert all(viewers == frozenset() for _, viewers in grouped_by(NOT_FIRST[query]))


@pytest.mark.parametrize("query", QUERIES)
def test_the_groups_are_those_of_all_rows(query: str) -> None:
    brought = data()
    whole = {party: {"t": {name: values[:0] for name, values in brought[party]["t"].items()}} for party in ("a", "b")}
    whole["a"]["t"] = {name: np.concatenate([brought[p]["t"][name] for p in ("a", "b")]) for name in whole["a"]["t"]}
    parted, together = (run_study(study(QUERIES[query]), one)["q"] for one in (brought, whole))
    shared = run_shared(study(QUERIES[query]), brought)["q"]
    near = [{k: pytest.approx(v, abs=2**-9) for k, v in row.items()} for row in parted]  # `fixed` is rounded
    assert near == together
    assert near == shared
    assert len(parted) > 5
