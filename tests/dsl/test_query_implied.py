"""Equalities that follow from others: what is joined by them, when, and what is not asked again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evaluate import run_study
from query_run import run_shared

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

TABLES = """party a, b, c
table line from a:
    part: int in 0..30
    supp: int in 0..9
    n: int in 0..99
table part from b:
    part: int in 0..30 unique
    size: int in 0..9
table supp from b:
    supp: int in 0..9 unique
    size: int in 0..9
table offer from b:
    part: int in 0..30
    supp: int in 0..9
    cost: int in 0..99
    unique (part, supp)
"""
JOINED = """query q:
    select l.n, p.size, s.size as other, o.cost from line l, part p, supp s, offer o
    where p.part = l.part and s.supp = l.supp and o.part = l.part and o.supp = l.supp and p.size > 2
reveal q to c
"""
ROWS = {("a", "line"): 40, ("b", "part"): 12, ("b", "supp"): 6, ("b", "offer"): 25}


def lookups(offers: int) -> list[tuple[int, int, bool]]:
    """Of every look-up: how many rows look up, by keys of how many columns, and whether one party does it."""
    rows = {**ROWS, ("b", "offer"): offers}
    done = elaborate(parse(TABLES + JOINED), Bindings(rows=rows), check=True)
    found = [n for _, n in done.circuit if n.op == "lookup_rows"]
    asking = [done.circuit.nodes[n.src[n["keys"] + 1 + n["payload"]]].type for n in found]
    return [(t.sizes[0], n["keys"], len(n.type.seen_by or ()) == 1) for n, t in zip(found, asking, strict=True)]


def data() -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(5)
    pairs = rng.permutation(120)[:25]
    return {
        "a": {"line": {"part": rng.integers(0, 20, 40), "supp": rng.integers(0, 8, 40), "n": rng.integers(0, 99, 40)}},
        "b": {
            "part": {"part": rng.permutation(20)[:12], "size": rng.integers(0, 9, 12)},
            "supp": {"supp": rng.permutation(8)[:6], "size": rng.integers(0, 9, 6)},
            "offer": {"part": pairs // 6, "supp": pairs % 6, "cost": rng.integers(0, 99, 25)},
        },
        "c": {},
    }


def expected() -> list[tuple[int, ...]]:
    d = data()
    part = dict(zip(*d["b"]["part"].values(), strict=True))
    supp = dict(zip(*d["b"]["supp"].values(), strict=True))
    offer = {(p, s): c for p, s, c in zip(*d["b"]["offer"].values(), strict=True)}
    lines = zip(*d["a"]["line"].values(), strict=True)
    met = [(p, s, n) for p, s, n in lines if p in part and s in supp and (p, s) in offer and part[p] > 2]
    return sorted((int(n), int(part[p]), int(supp[s]), int(offer[p, s])) for p, s, n in met)


def test_a_large_table_looks_up_one_that_has_looked_up_the_others():
    assert lookups(25) == [(25, 1, True), (25, 1, True), (40, 2, False)]


def test_no_look_up_is_saved_where_the_other_is_no_smaller():
    assert sorted(lookups(60)) == [(40, 1, False), (40, 1, False), (40, 2, False)]


def test_what_follows_is_not_asked_again():
    done = elaborate(parse(TABLES + JOINED), Bindings(rows=ROWS), check=True)
    assert not [n for _, n in done.circuit if n.op == "eq"]


@pytest.mark.parametrize("run", [run_study, run_shared])
def test_the_rows_are_the_same(run):
    rows = run(TABLES + JOINED, data())["q"]
    assert sorted(tuple(int(x) for x in row.values()) for row in rows) == expected()
    assert expected()
