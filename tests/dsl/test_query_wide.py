"""SQL that analysts write, against DuckDB on the same rows: in the clear and on shares."""

from __future__ import annotations

import re
from typing import Any

import pytest
from evaluate import run_study
from query_run import ADDITIVE, REP3, run_shared
from query_tables import Tables, same, study
from query_wide import wide_query
from test_query_duckdb import expected

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

AGGREGATES = (
    "select count(*) filter (where v > 3) as n, sum(d) filter (where b) as x, avg(v) filter (where g > 1) as a, "
    "min(t) filter (where b) as m from t",
    "select g, count(*) filter (where v > 3) as n, sum(d) filter (where b and v > 2) as x, count(distinct v) filter"
    " (where b) as c, median(v) filter (where b) as m from t group by g",
    "select k, count(*) filter (where v > 3) as n, max(v) filter (where not b) as x from t group by k having "
    "count(*) filter (where b) > 0",
    "select k, bool_and(b) as x, bool_or(v > 5) as y, bool_and(v > 0) as z from t group by k",
    "select g, bool_and(v > 0) filter (where b) as x, bool_or(f > 5) as y from t group by g",
    "select var_pop(v) as a, stddev_pop(d) as x, var_samp(f) as c, stddev_samp(v) as e, stddev_pop(f) as y from t",
    "select g, var_pop(v) as a, stddev_pop(d) as x, var_samp(f) as c, stddev_samp(v) as e, var_pop(f) as y from t "
    "group by g",
    "select var_pop(v) as a, stddev_pop(f) as x, bool_and(b) as y from t where id = 3",
    "select g, any_value(g) as n from t group by g",
    "select sum(d) as x from t having count(*) > 3",
    "select count(*) as n from t having count(*) filter (where b) > 300",
)

QUANTIFIED = (
    "select id from t where v > any (select v from s)",
    "select id from t where v >= all (select v from s where v is not null)",
    "select id from t where v < all (select v from s where g = t.g)",
    "select id, v > any (select v from s) as x, v < some (select v from s where s.g = t.g) as y, v <> all (select v"
    " from s where b) as z from t",
    "select id, v <> any (select v from s) as x, v = all (select g from s where s.g = t.g) as y, v = any (select v "
    "from s) as z from t",
    "select id, v <= any (select v from s where s.d < t.d) as x, v > all (select v from u where u.d < t.d and v is "
    "not null) as y from t",
    "select id, v > all (select v from s where g > 100) as x, v > any (select v from s where g > 100) as y from t",
    "select id from t where d > all (select avg(d) from s group by g)",
    "select g, sum(v) as x from t group by g having sum(v) > any (select v from s where s.g = t.g)",
    "select id, t >= all (select t from s) as x, t < any (select t from s where s.g = t.g) as y from t",
)

WINDOWS = (
    "select id, row_number() over (order by d, id) as r from t",
    "select id, row_number() over (partition by g order by d, id) as r, rank() over (partition by g order by v) as "
    "k, dense_rank() over (partition by g order by v) as e from t",
    "select id, rank() over (order by v desc) as a, dense_rank() over (order by k nulls first, b) as c from t",
    "select id, sum(v) over (partition by g) as a, count(v) over (partition by g) as c, avg(v) over (partition by "
    "g) as e, min(v) over (partition by g) as lo, max(v) over (partition by g) as hi, count(*) over (partition by "
    "g) as n from t",
    "select id, sum(v) over (partition by g order by k) as a, count(v) over (partition by g order by k) as c, "
    "avg(d) over (partition by g order by k) as e, min(f) over (partition by g order by k) as lo, max(v) over "
    "(partition by g order by k) as hi, count(*) over (partition by g order by k) as n from t",
    "select id, sum(f) over (order by day, id) as a, sum(d) over (order by g) as c, count(*) over (order by g desc)"
    " as n from t where b",
    "select id, sum(d) over () as a, count(*) over () as n, max(f) over () as m, avg(v) over () as e from t where v"
    " > 3",
    "select id, sum(d) over () as a, count(*) over () as n from t",
    "select id, sum(v) over (order by d, id rows between unbounded preceding and current row) as a, min(v) over "
    "(partition by b order by d, id rows unbounded preceding) as m from t",
    "select id, sum(v) over (order by d rows between unbounded preceding and unbounded following) as a, max(v) over"
    " (order by d range between unbounded preceding and current row) as m from t",
    "select id, lag(v) over (order by id) as a, lead(v) over (order by id) as c, lag(t, 2) over (partition by g "
    "order by d, id) as e, lead(k, 3, 'p') over (order by id) as f, lag(d, 1, 0) over (partition by b order by id) "
    "as h from t",
    "select id, lag(v, 5) over (partition by b order by id) as a, lead(v, 6, g) over (order by id) as c, lead(v, 5)"
    " over (partition by b order by id) as e, lag(v, 0) over (order by id) as h, lag(v, 30) over (order by id) as j"
    " from t where g > 0",
    "select id, first_value(t) over (partition by g order by d, id) as a, last_value(v) over (partition by g order "
    "by d, id) as c, last_value(k) over (partition by g order by id rows between unbounded preceding and unbounded "
    "following) as e from t",
    "select g, sum(v) as s, rank() over (order by sum(v) desc) as r, sum(sum(d)) over (order by g) as x, sum(d) / "
    "sum(sum(d)) over () as y from t group by g",
    "select k, count(*) as n, rank() over (order by count(*) desc) as r from t group by k having count(*) > 1",
    "select id, v from (select id, v, row_number() over (partition by g order by d desc, id) as r from t) as x "
    "where r = 1",
    "select s.id, x.d from s left join (select g, d, row_number() over (partition by g order by d desc, id) as r "
    "from t) as x on s.g = x.g and x.r = 1 bounded 100",
    "select id, v - avg(v) over (partition by g) as x from t where v is not null order by x, id",
    "select id, rank() over (order by v, id) as r from t order by rank() over (order by v, id), id limit 4",
    "select distinct g, count(*) over (partition by g) as n from t",
    "select id, count(*) filter (where b) over (partition by g) as n, sum(v) filter (where b) over (partition by g "
    "order by d) as x, count(distinct v) as c from t group by id, b, g, v, d",
    "select id, count(*) filter (where b) over (partition by g) as n, sum(v) filter (where b) over (partition by g "
    "order by d) as x, bool_or(v > 5) over (partition by g) as o, stddev_pop(v) over (partition by g) as sp, "
    "variance(d) over (partition by k) as vd from t",
    "select t.id, s.v, sum(t.d) over (partition by s.id order by t.id) as x, row_number() over (partition by s.k "
    "order by t.id) as r from t join s on t.g = s.id",
    "select t.id, s.v, sum(t.d) over (partition by s.t order by t.id) as x from t left join s on t.g = s.id",
    "select id, case when rank() over (order by d) <= 3 then 'top' else 'no' end as x from t",
    "select count(*) as n from (select id, rank() over (order by d) as r from t) as x where r <= 3",
    "select s.id, sum(d) over (partition by s.t) as x, max(b) over (partition by s.g) as m, min(k) over (partition "
    "by s.b) as q from s",
    "select s.id, rank() over (partition by b order by t) as x, lag(t, 1, 'zz') over (order by id) as m from s",
    "select id, min(day) over (partition by g order by id) as x, max(b) over (order by id) as y, sum(g * d) over "
    "(partition by extract(year from day)) as z from u",
    "select id, sum(v) over (partition by g + 1, b order by d + 1) as x from t",
    "select id from t where id in (select first_value(id) over (partition by g order by id) from t)",
    "select id, (select max(r) from (select rank() over (order by v) as r from s) as z) as m from t",
    "select id, sum(v) over (partition by g) as x from t union all select id, rank() over (order by id) from s",
    "select id, sum(v) over (order by d, id rows between 2 preceding and current row) as a, avg(d) over (partition "
    "by g order by d, id rows 1 preceding) as c, count(*) over (partition by b order by id rows between 6 preceding"
    " and current row) as n from t",
    "select id, sum(f) over (partition by g order by id rows between 0 preceding and current row) as a, count(k) "
    "over (order by id rows between 90 preceding and current row) as c, stddev_pop(v) over (order by id rows "
    "between 3 preceding and current row) as e from t where b",
)

TIED = (
    "select id from t where exists (select v from s where s.g = t.g group by v having count(*) > 1)",
    "select id from t where not exists (select g from u where u.g = t.g group by g having sum(v) > 3)",
    "select id, v in (select max(v) from s where s.g = t.g group by k) as x, v not in (select v from s where s.g = "
    "t.g group by v having count(*) > 0) as y from t",
    "select id, (select v from s where s.g = t.g order by s.d desc, s.id limit 1) as x from t",
    "select id, (select t from s where s.g = t.g and s.b = t.b order by s.d, s.id limit 1 offset 1) as x from t",
    "select id, v in (select v from s where s.g = t.g order by d, id limit 2) as x, g not in (select v from u where"
    " u.g = t.g order by d, id limit 3 offset 1) as y from t",
    "select id from t where exists (select v from s where s.g = t.g offset 1)",
    "select id from t where v in (select v from s where s.g = t.g union select g from u where u.b and u.g = t.g)",
    "select id from t where exists (select v from s where s.g = t.g and s.b intersect select v from u where u.g = t.g)",
    "select id from t where exists (select v from s where s.g = t.g except select v from u where u.g = t.g)",
    "select id, v > all (select v from s where s.g = t.g group by v) as x, v < any (select max(v) from s where s.g "
    "= t.g group by b) as y from t",
    "select id, (select x from (select g as y, max(d) as x from s group by g) as z where z.y = t.g) as m from t",
    "select id, (select max(d) from s where s.g = t.g group by g) as m from t",
    "select id, (select distinct g from s where s.g = t.g) as m from t",
    "select id from t where v in (select distinct v from s where s.g = t.g)",
    "select id from t where v in (select rank() over (order by d) from s where s.g = t.g)",
    "select g, count(*) as n, (select v from s where s.g = o.g order by d, id limit 1) as x from t as o group by g",
    "select g, count(*) as n from t as o group by g having exists (select b from s where s.g = o.g group by b "
    "having count(*) >= 1)",
    "select id from t where v in (select max(v) from s where s.g = t.g)",
    "select id, v in (select count(*) from s where s.g = t.g) as x, v not in (select sum(v) from s where s.g = t.g)"
    " as y, exists (select count(*) from s where s.g = t.g) as z from t",
    "select id, v > any (select sum(v) from s where s.g = t.g) as x, v = all (select min(v) from s where s.g = t.g)"
    " as y from t",
    "select s.id, x.d from s left join (select g, d, row_number() over (partition by g order by d desc, id) as r "
    "from t) as x on s.g = x.g and x.r = 1",
    "select s.id, x.d from s join (select g, d from (select g, d, row_number() over (partition by g order by d "
    "desc, id) as r from t) as y where r = 1) as x on s.g = x.g",
    "select s.id, x.d from s left join (select g, b, d from (select g, b, d, row_number() over (partition by g, b "
    "order by d desc, id) as r from t) as y where r = 1) as x on s.g = x.g and s.b = x.b",
    "select sum(case when v > (select avg(v) from s) then d end) as x from t",
    "select g, sum(case when v in (select v from s where s.g = t.g) then 1 else 0 end) as x, count(*) filter (where"
    " exists (select 1 as y from s where s.id = t.v)) as n, max(v) > (select max(v) from s where s.g = t.g) as y "
    "from t group by g",
    "select g, sum((select max(d) from s where s.g = t.v)) as x from t group by g having sum(v) > (select avg(v) "
    "from s)",
    "select t.g, count(*) filter (where s.v > any (select v from u where u.g = t.g)) as n from t left join s on t.g"
    " = s.id group by t.g",
    "select k, rank() over (order by sum(v) filter (where v > (select avg(v) from s)), k) as r from t group by k",
    "select g, sum(v) over (order by (select max(v) from s where s.g = t.g), id) as x, sum((select max(v) from s "
    "where s.g = t.g)) over (partition by b) as y from t",
)

QUERIES = (*JOINS, *SETS, *AGGREGATES, *QUANTIFIED, *WINDOWS, *TIED)
RANDOM = range(90)


def agrees(query: str, tables: Tables, rows: list[dict[str, Any]], tolerance: float) -> None:
    """Whether DuckDB has the same rows; in the same order, where the query as a whole has one."""
    outside, before = query, ""
    while outside != before:
        outside, before = re.sub(r"\([^()]*\)", "", outside), outside
    got, want = [tuple(row.values()) for row in rows], expected(query, tables)
    assert same(got, want, ordered="order by" in outside, tolerance=tolerance), f"{query}\n{got}\n{want}"


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
@pytest.mark.slow
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
