"""What only the first rows show is looked up by them: the same rows as DuckDB's, and no columns that all carry."""

from __future__ import annotations

import pytest
from evaluate import run_study
from query_nested import nested_query
from query_run import ADDITIVE, REP3, run_shared
from query_tables import Tables, same, study
from test_query_duckdb import agrees, expected

from dsl.query import late
from dsl.query.plan import Ordered
from mpc.places import Places

QUERIES = [
    "select u.id, u.t, u.day, sum(t.v) as x from t, u where t.g = u.g and t.g = u.id group by u.id, u.t, u.day "
    "order by x desc nulls last, u.id limit 3",
    "select u.t, u.k, count(*) as n, u.id from t join u on t.g = u.id where u.b group by u.t, u.id, u.k order by n, "
    "u.id desc limit 2",
    "select t.id, s.t as st, s.k, s.v, s.day, t.d from t join s on t.g = s.id order by t.d desc, t.id, t.v limit 4",
    "select s.t, s.f, s.id, u.t as ut, u.v from s join u on s.g = u.id order by s.id limit 3 offset 2",
    "select u.t, u.v from u where u.v > 0 or u.b order by u.d, u.id limit 5",
    "select u.t, u.t as again, length(u.k) as l, u.k, u.id from u order by u.day, u.id limit 3",
    "select x.t, x.id from (select t, id, v from u order by v nulls first, id limit 4) as x where x.id > 2 "
    "order by x.id",
    "select id, (select sum(s.v) from s where s.g = u.g) as n, t, k from u order by n nulls last, id limit 6",
]


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Few rows look up too; how many tables each select that was ordered looks up."""
    found = list[int]()
    put_off = late.put_off

    def counting(plan: Ordered, wanted: object) -> tuple[Ordered, list[late.Late]]:
        changed, lates = put_off(plan, wanted)  # type: ignore[arg-type]
        found.append(len(lates))
        return changed, lates

    monkeypatch.setattr(late, "WORTH", -(1 << 60))
    monkeypatch.setattr("dsl.query.select.put_off", counting)
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_in_the_clear(query: str, looked: list[int]) -> None:
    tables = Tables.of(5)
    agrees(query, tables, run_study(study(query), tables.data())["q"], 1e-3)
    assert sum(looked) > 0


@pytest.mark.parametrize(("query", "places"), [(q, ADDITIVE if at % 2 else REP3) for at, q in enumerate(QUERIES)])
def test_on_shares(query: str, places: Places, looked: list[int]) -> None:
    tables = Tables.of(6)
    agrees(query, tables, run_shared(study(query), tables.data(), places)["q"], 4e-3)
    assert sum(looked) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_any_queries(seed: int, looked: list[int]) -> None:
    tables, query = Tables.of(seed), nested_query(seed)
    rows = [tuple(row.values()) for row in run_study(study(query.text), tables.data())["q"]]
    assert same(rows, expected(query.text, tables), ordered=query.ordered, tolerance=1e-3), query.text


@pytest.mark.parametrize(
    "query",
    [
        "select u.id, u.t from u order by u.t, u.id limit 3",  # asked for in the order
        "select u.id, u.t || 'x' as y, u.t from u order by u.id limit 3",  # computed with
        "select t.id, t.t from t order by t.id limit 3",  # nothing is unique
        "select u.t, sum(u.v) as x from u group by u.t order by x limit 3",  # a group by it
        "select distinct u.id, u.t from u order by u.id limit 3",
        "select u.id, u.t from u order by u.id",
        "select u.k, u.t from u order by u.v limit 300",  # no fewer rows
    ],
)
def test_columns_that_all_rows_need(query: str, looked: list[int]) -> None:
    tables = Tables.of(5)
    run_study(study(query), tables.data())
    assert sum(looked) == 0
