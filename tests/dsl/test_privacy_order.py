"""Groups in the order of their keys, which noise goes through: all of them are shown, and the order says nothing."""

from __future__ import annotations

import numpy as np
import pytest

import runtime as parley
from dsl.diagnostics import StudyError
from runtime import api

HEAD = """party a, b, c
table t from a, b:
    id: key unique
    g: enum('x', 'y', 'z')
    v: bool
    k: int
    m: enum('p', 'q')?
"""
REVEAL = "reveal q to c with laplace(epsilon=100)\n"


def part(start: int) -> dict[str, list[object]]:
    rows = range(start, start + 12)
    return {
        "id": list(rows),
        "g": ["xy"[i % 3 % 2] for i in rows],
        "v": [i % 2 == 0 for i in rows],
        "k": list(rows),
        "m": ["p" if i % 2 else None for i in rows],
    }


DATA = {"a": {"t": part(0)}, "b": {"t": part(12)}}
COUNTS = {("x", False): 8, ("x", True): 8, ("y", False): 4, ("y", True): 4, ("z", False): 0, ("z", True): 0}


def learned(query: str, protocol: str = "rep3") -> list[tuple[object, ...]]:
    preprocessing = "dealer" if protocol == "additive" else None
    study = api.compile(f"{HEAD}query q:\n    {query}\n{REVEAL}", protocol=protocol, preprocessing=preprocessing)
    table = api.simulate_sync(study, DATA)["c"]["q"]
    return list(zip(*(np.asarray(column).tolist() for column in table.values()), strict=True))


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_groups_are_shown_in_the_order_of_their_keys(protocol: str) -> None:
    got = learned("select g, v, count(*) as n from t group by g, v order by v desc, g", protocol)
    assert got == [(g, v, COUNTS[g, v]) for v in (True, False) for g in "xyz"]


def test_a_key_that_is_not_shown_may_order() -> None:
    assert learned("select count(*) as n from t group by g order by g desc") == [(0,), (8,), (16,)]


def test_the_order_costs_nothing() -> None:
    costs = []
    head = "party a, b, c\ntable t from a, b:\n    g: enum('x', 'y', 'z')\n"
    for order in ("", " order by g desc"):
        text = f"{head}query q:\n    select g, count(*) as n from t group by g{order}\n{REVEAL}"
        cost = parley.compile(text, sizes={"a:t": 40, "b:t": 40}).report().cost
        costs.append((cost.rounds, cost.bytes_sent))
    assert costs[0] == costs[1]


@pytest.mark.parametrize(
    "query",
    [
        "select g, count(*) as n from t group by g order by n",
        "select g, count(*) as n from t group by g order by g limit 2",
        "select k, count(*) as n from t group by k order by k",
        "select m, count(*) as n from t group by m order by m",
        "select distinct g from t order by g",
    ],
)
def test_an_order_that_shows_what_rows_hold_is_refused(query: str) -> None:
    with pytest.raises(StudyError, match="E0701"):
        api.compile(f"{HEAD}query q:\n    {query}\n{REVEAL}", sizes={"a:t": 40, "b:t": 40}).report()
