"""Queries in which everyone knows something that usually nobody does: conditions, columns, what joins find."""

from __future__ import annotations

import pytest
from evaluate import run_study
from query_run import run_shared
from query_tables import DECLARATIONS, Tables, same, study
from test_query_duckdb import expected

QUERIES = (
    "select distinct '' as x, g from t order by x, g",
    "select '' as x, g, min('') as lo, max('') as hi, count(distinct '') as n from t group by g, x order by x, g",
    "select k, b, '' as x, count(*) as n from t group by 1, 2, 3 order by 3, 2, 1",
    # What matched and what did not are parts of their own; only in one of them may values be missing.
    "select i.b, sum(j.g) as s, avg(j.d) as a, count(j.g) as n from s as i left join s as j on i.id = j.v group by i.b",
    "select i.b, sum(j.g - j.g) as s, min(j.t) as m from s as i left join s as j on i.id = j.v group by i.b",
    "select i.b, sum(j.g) as s from s as i left join s as j on i.id = j.v and 1 = 2 group by i.b",
)


@pytest.mark.parametrize("query", QUERIES)
def test_constants(query: str) -> None:
    tables = Tables.of(4)
    rows = run_study(study(query), tables.data())["q"]
    got = [tuple(row.values()) for row in rows]
    assert same(got, expected(query, tables), ordered="order by" in query, tolerance=1e-3), query


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["1 = 2", "known", "known and not w.b", "known or w.v > 3"])
@pytest.mark.parametrize(
    "where",
    [
        "exists (select 1 as x from w where w.id = t.g and {})",
        "g in (select g from w where {})",
        "g > (select count(*) from w where w.g = t.g and {})",
    ],
)
def test_a_query_of_a_query_with_what_everyone_knows(condition: str, where: str) -> None:
    """A query's rows are nobody's own: none of its owners says which of them such a condition drops."""
    rows, tables = "select id, g, v, b from s where v > 0", Tables.of(5)
    query = f"select id from t where {where.format(condition)}"
    text = f"{DECLARATIONS}param known: bool = true\nquery w:\n    {rows}\nquery q:\n    {query}\nreveal q to all\n"
    want = expected(f"with w as ({rows}) {query.replace('known', 'true')}", tables)
    for run in (run_study, run_shared):
        got = [tuple(row.values()) for row in run(text, tables.data())["q"]]
        assert same(got, want, ordered=False, tolerance=0.0), text


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["t", "t, k", "t, g, b", "day, g", "f, t"])
def test_the_groups_of_a_query_are_looked_up_by_a_later_one(keys: str) -> None:
    """Also where its groups were found by ranks of their keys, which their owner worked out."""
    tables, names = Tables.of(7), keys.split(", ")
    rows = f"select {keys}, max(v) as top, count(*) as n from s group by {keys}"
    on = " and ".join(f"t.{name} = w.{name}" for name in names)
    query = f"select t.id, w.top, w.n from t join w on {on} where w.n > 0"
    text = f"{DECLARATIONS}query w:\n    {rows}\nquery q:\n    {query}\nreveal q to all\n"
    got = [tuple(row.values()) for row in run_study(text, tables.data())["q"]]
    assert same(got, expected(f"with w as ({rows}) {query}", tables), ordered=False, tolerance=1e-3)
