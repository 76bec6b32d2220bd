"""A query that is used twice scans its tables once; other conditions are another scan."""

from __future__ import annotations

import pytest

from dsl.compile import Compiler
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.places import Places
from mpc.protocols import SCHEMES

HEAD = """party a, b, c
param least: int = 5

table t from a, b:
    k: int in 0..9
    v: int in 0..100

"""
TWICE = """query q:
    with large as (select k, sum(v) as v from t where v > {first} group by k)
    select x.k, x.v from large x, (select max(v) as top from large) y where x.v = y.top
reveal q to c
"""
TWO = """query one:
    select k, sum(v) as v from t where v > {first} group by k
query two:
    select k, sum(v) as v from t where v > {second} group by k
query q:
    select one.k, one.v + two.v as v from one join two on one.k = two.k
reveal q to c
"""


def cost(text: str) -> tuple[int, int]:
    """Scans with conditions, and bytes sent."""
    bindings = Bindings(rows={("a", "t"): 40, ("b", "t"): 40})
    stage = Compiler(parse(HEAD + text), bindings, Places(("a", "b", "c")), SCHEMES["rep3"]).stage()
    circuit = stage.elaborated.circuit
    scans = {node["scan"] for _, node in circuit if node.op == "keep"}
    return len(scans), sum(stage.schedule.sent().values())


def test_a_query_used_twice_scans_once() -> None:
    assert cost(TWICE.format(first=5))[0] == 1


@pytest.mark.parametrize(("second", "scans"), [("5", 1), ("4 + 1", 1), ("least", 1), ("6", 2), ("v / 2", 2)])
def test_the_same_conditions_are_the_same_scan(second: str, scans: int) -> None:
    assert cost(TWO.format(first=5, second=second))[0] == scans


def test_the_same_scan_is_computed_and_sent_once() -> None:
    same, other = cost(TWO.format(first=5, second=5))[1], cost(TWO.format(first=5, second=6))[1]

    assert same < 0.9 * other
