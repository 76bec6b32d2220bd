"""Missing values outside queries: what leaves them out, and what they decide, as in SQL."""

from __future__ import annotations

from typing import Any

import pytest

from runtime import api

TABLES = """party a, b, c
table t from a:
    v: fixed?
    k: int in 0..9?
    p: bool?
table u from b:
    v: fixed?
    k: int in 0..9?
    p: bool?
"""
DATA = {
    "a": {"t": {"v": [1.5, None, 3.0], "k": [2, 3, None], "p": [True, None, False]}},
    "b": {"u": {"v": [None, None, -2.5], "k": [7, 1, 0], "p": [True, True, None]}},
}


def run_shared(text: str, data: Any, protocol: str = "rep3") -> Any:
    preprocessing = "dealer" if protocol == "additive" else None
    return api.simulate_sync(api.compile(text, protocol=protocol, preprocessing=preprocessing), data)["a"]


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_extremes_leave_missing_values_out(protocol: str) -> None:
    text = f"""{TABLES}
reveal max(t.k), min(t.k), max(u.v), min(t.v - u.v) to all as most, least, negative, both
reveal max(t.k + u.k), min(t.k + u.k) to all as largest, smallest
reveal max(t.p), min(t.p), max(t.p and u.p), min(t.p or u.p), min(u.p) to all as any, every, any_both, all_one, all_u
"""
    got = run_shared(text, DATA, protocol)
    assert (got["most"], got["least"], got["negative"], got["both"]) == (3, 2, -2.5, 5.5)
    assert (got["largest"], got["smallest"]) == (9, 4)
    truths = [bool(got[name]) for name in ("any", "every", "any_both", "all_one", "all_u")]
    assert truths == [True, False, True, True, True]


def test_extremes_of_nothing_but_missing_values_are_zero() -> None:
    data = {"a": {"t": {"v": [None], "k": [None], "p": [None]}}, "b": DATA["b"]}
    got = run_shared(f"{TABLES}reveal max(t.v), min(t.k), max(t.p), min(t.p) to all as v, k, p, q\n", data)
    assert [got[name] for name in "vkpq"] == [0, 0, False, False]


@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_a_condition_that_is_missing_does_not_hold(protocol: str) -> None:
    text = f"""{TABLES}
reveal 1 if t.k + u.k > 3 else 0 to all as chosen
x = 0
if t.v[1] > 1 or u.v[1] > 1:
    x = 1
elif not t.p[1] and u.p[2]:
    x = 2
elif u.v[2] < 0:
    x = 3
reveal x to all
"""
    got = run_shared(text, DATA, protocol)
    assert got["chosen"].tolist() == [1, 1, 0]
    assert got["x"] == 3


def test_a_condition_of_invisible_rows_stays_one_of_them() -> None:
    text = f"""{TABLES}
query q:
    select v, coalesce(k, 0) as k from t where k > 2
reveal sum(5 if q.k > 0 else 7) to all as s
"""
    assert run_shared(text, DATA)["s"] == 5
