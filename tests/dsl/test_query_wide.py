"""SQL that analysts write, against DuckDB on the same rows: in the clear and on shares."""

from __future__ import annotations

import pytest
from evaluate import run_study
from query_run import ADDITIVE, REP3, run_shared
from query_tables import Tables, study
from query_wide import wide_query
from test_query_duckdb import agrees

from mpc.places import Places

JOINS = (
    "select t.id, s.v from t cross join s",
    "select t.id, s.v from t cross join s join u on u.id = s.g",
    "select id, t.v, s.v as w from t join s using (id)",
    "select * from t join s using (id)",
    "select id, t.v, s.v as w from t left join s using (id)",
    "select id, t.v, s.v as w from t right join s using (id)",
    "select id, t.v, s.v as w from t full join s using (id)",
    "select id, g, t.v, s.v as w from t full outer join s using (id, g)",
    "select * from s full join u using (id)",
    "select s.id, u.id as i from s full join u on s.g = u.id",
    "select s.id, u.id as i from s full join u on s.id = u.g",
    "select t.id, s.id as i, s.v, t.v as w from t full join s on t.g = s.id and t.v > s.v",
    "select t.id, s.id as i, s.v, t.v as w from s full join t on t.g = s.id and t.v > 3",
    "select t.id, s.id as i, s.v, t.v as w from s full join t on t.g = s.id and s.b",
    "select t.id, s.id as i, s.v, t.v as w from s full join t on t.g = s.g and s.v > 2 bounded 200",
    "select t.id, s.id as i, s.v, t.v as w from s full join t on t.g < s.g and s.v > 2 bounded 200",
    "select t.id, s.id as i from s right join t on t.g = s.id",
    "select t.id, s.id as i from s right outer join t on t.g = s.id and t.v > 3",
    "select t.id, s.id as i from s right join t on t.g = s.v bounded 100",
    "select t.id, s.id as i from s inner join t on t.g = s.id",
    "select t.id, s.id as i from s left outer join t on t.g = s.id where coalesce(t.v, 4) > 3",
    "select a.g, count(*) as n, sum(t.v) as x from (select g, sum(v) as v from s group by g) as a full join t on "
    "t.g = a.g group by a.g",
    "select s.id, coalesce(z.y, 1) as q, z.y from s full join (select id as i, coalesce(v, 7) as y from u) as z on "
    "s.g = z.i where z.y > 1 or z.y is null",
    "select id, x.y from s full join (select id, coalesce(v, 7) as y from u) as x using (id)",
    "select z.n, t.id from (select id, coalesce(v, 7) as n from u) as z right join t on t.g = z.id",
    "select s.id, z.n from s left join ((select id, coalesce(v, 7) as n from u) as z join t on t.g = z.id) on s.id "
    "= z.id bounded 300",
    "select s.id, u.id as i from s full join u on s.id = u.id where exists (select * from t where t.g = s.g)",
    "select s.id, u.id as i, (select max(v) from t where t.g = s.g) as m, (select count(*) from t where t.v = u.v) "
    "as c from s full join u on s.id = u.g",
    "select k, g, count(*) as n from (select k, g from s) as x natural join (select k as k, id as g from u) as y "
    "group by k, g",
    "select id, x.b, y.d from (select id, b from s) as x natural left join (select id, d from u) as y",
    "select u.k, count(*) as n, sum(s.d) as x from u full join s on u.id = s.id group by u.k",
    "select s.t, count(*) as n, sum(u.d) as x from u full join s on u.id = s.g group by s.t order by s.t, n",
)

SETS = (
    "select g, k from t intersect select g, k from s",
    "select g, k from t except select g, k from s",
    "select k, v from t except select k, v from u",
    "select k, v from t intersect select k, v from u",
    "select t, b from t except select k, b from s",
    "select g from t union select g from s intersect select v from u",
    "select g from t except select g from s union all select v from u",
    "select g from t except select v from s intersect select v from u",
    "(select g from t) intersect (select v from s where b)",
    "(select g from t) except select v from s union distinct select v from u where b",
    "select v from t except (select v from s union select g from u)",
    "select k, b from t intersect select k, b from s order by k, b",
    "select k, b from t except select k, b from s where v > 3 order by 1 desc nulls first, 2 limit 3",
    "select d, f from t except select v, f from s",
    "select g, count(*) as n from (select g, k from t except select g, k from u) as z group by g",
    "select id from t where g in (select g from s intersect select g from u)",
    "select id from t where g in (select id from s except select g from u)",
    "select id from t where exists (select v from s except select v from t)",
    "select count(*) as n from ((select g from t) intersect select v from u) as x",
    "with a as (select id, g from t intersect select id, g from t) select a.id from a, s where a.g = s.id",
    "select id from t intersect select id from t",
    "select * from t except select * from t where b",
)

QUERIES = (*JOINS, *SETS)
RANDOM = range(90)


@pytest.mark.parametrize("seed", [0, pytest.param(5, marks=pytest.mark.slow)])
@pytest.mark.parametrize("query", QUERIES)
def test_in_the_clear(query: str, seed: int) -> None:
    tables = Tables.of(seed)
    agrees(query, tables, run_study(study(query), tables.data())["q"], 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_on_replicated_shares(query: str) -> None:
    tables = Tables.of(2)
    agrees(query, tables, run_shared(study(query), tables.data(), REP3)["q"], 4e-3)


@pytest.mark.parametrize("query", QUERIES[1::4])
def test_on_additive_shares(query: str) -> None:
    tables = Tables.of(3)
    agrees(query, tables, run_shared(study(query), tables.data(), ADDITIVE)["q"], 4e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", RANDOM)
def test_random_queries_in_the_clear(seed: int) -> None:
    tables, query = Tables.of(seed), wide_query(seed)
    agrees(query, tables, run_study(study(query), tables.data())["q"], 1e-3)


@pytest.mark.parametrize(("seed", "places"), [(seed, ADDITIVE if seed % 2 else REP3) for seed in RANDOM[::9]])
def test_random_queries_on_shares(seed: int, places: Places) -> None:
    tables, query = Tables.of(seed + 100), wide_query(seed)
    agrees(query, tables, run_shared(study(query), tables.data(), places)["q"], 4e-3)
