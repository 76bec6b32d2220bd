"""Groups that are looked up by their keys: one order of both sides' rows, with the results that DuckDB has."""

from __future__ import annotations

import pytest
from evaluate import bindings_of, run_study
from query_nested import nested_query
from query_run import ADDITIVE, REP3, run_shared
from query_tables import Tables, same, study
from test_query_duckdb import agrees, expected

from dsl.elaborate import elaborate
from dsl.parse import parse
from mpc.circuit import reachable
from mpc.circuits import relational_lookup
from mpc.places import Places

GATHERED = (
    "select s.id, n, x from s, (select g, count(*) as n, sum(v) as x from t group by g) p where p.g = s.id "
    "order by s.id",
    "select s.id, x + 1 as y, n from s left join (select g, min(d) as x, count(v) as n from t group by g) p "
    "on p.g = s.id order by s.id",
    "select id from s where id in (select g from t group by g having count(*) > 1 and max(d) > 2) order by id",
    "select id from s where g < (select count(v) from t where t.g = s.id) order by id",
    "select id, (select sum(d) from t where t.g = s.g) as x, (select avg(v) from t where t.g = s.g) as y from s "
    "order by id",
    "with p as (select g, k, max(v) as x, min(v) as y from t group by g, k) "
    "select s.id, x, y from s join p on p.k = s.k and p.g = s.g where x > y or s.v > 0 order by s.id",
    "select id from t where exists (select 1 as one from t as o where o.g = t.g and o.d <> t.d) order by id",
    "select id from s where not exists (select 1 as one from t where s.g = t.g and t.d > s.d) order by id",
    "select s.id, sum(t.v) as x, count(*) as n from t, s where t.g = s.id group by s.id order by s.id",
    "select s.k, sum(t.d) as x, count(t.v) as n, max(t.d) as m from t, s where t.g = s.id and s.v > 0 group by s.k "
    "order by s.k",
    "select s.id, count(t.v) as n, sum(t.d) as x, max(t.v) as m from s left join t on t.g = s.id and t.b group by s.id "
    "order by s.id",
    "select s.k, count(t.v) as n, sum(t.v) as x from s left join t on t.g = s.id where t.g is null or s.v > 0 "
    "group by s.k order by s.k",
    "select s.id, n from s, (select g as a, count(*) as n from t where d > 1 group by g) p "
    "where p.a = s.id and n > s.g order by s.id",
)
"""Of which groups are looked up, or are eager groups of what is joined."""

APART = (
    "select t.id, n from t, (select s.g, count(*) as n from s group by s.g) p where p.g = t.id order by t.id",
    "select s.id, n from s, (select t.g, t.k, count(*) as n from t group by t.g, t.k) p where p.g = s.id and p.n > 1 "
    "and p.k = 'p' order by s.id, n",
    "select s.id, count(*) as n, count(t.v) as m from s left join t on t.g = s.id group by s.id order by s.id",
    "select s.id, count(t.v) as n from s left join t on t.g = s.id where t.d > 1 or t.d is null group by s.id "
    "order by s.id",
    "select s.id, x from s, (select t.g, max(t.t) as x from t group by t.g) p where p.g = s.id order by s.id",
)
"""Whose rows one party sees, that are looked up by some of their keys, or of which a text is the largest."""


def gathers(query: str, tables: Tables) -> int:
    """How many look-ups work out groups, of what the result needs."""
    parsed = parse(study(query))
    circuit = elaborate(parsed, bindings_of(parsed, tables.data(), {})).circuit
    needed = reachable(circuit, {i for i, node in circuit if node.op in ("reveal", "open")})
    return sum(circuit.nodes[i].op == "gather_rows" for i in needed)


@pytest.mark.parametrize("query", GATHERED)
def test_groups_are_gathered(query: str) -> None:
    tables = Tables.of(7)
    assert gathers(query, tables) == (2 if "avg" in query else 1)
    agrees(query, tables, run_study(study(query), tables.data())["q"], 1e-3)


@pytest.mark.parametrize("query", APART)
def test_what_is_grouped_apart(query: str) -> None:
    tables = Tables.of(7)
    assert gathers(query, tables) == 0
    agrees(query, tables, run_study(study(query), tables.data())["q"], 1e-3)


@pytest.fixture
def sorting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows are put in order too, in place of comparing all with all."""
    monkeypatch.setattr(relational_lookup, "PAIRS", 0)


@pytest.mark.slow
@pytest.mark.parametrize(("query", "places"), [(q, ADDITIVE if at % 2 else REP3) for at, q in enumerate(GATHERED)])
def test_on_shares(query: str, places: Places, sorting: None) -> None:
    tables = Tables.of(8)
    agrees(query, tables, run_shared(study(query), tables.data(), places)["q"], 4e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_any_queries_in_order(seed: int, sorting: None) -> None:
    tables, query, places = Tables.of(seed + 50), nested_query(seed), ADDITIVE if seed % 2 else REP3
    rows = [tuple(row.values()) for row in run_shared(study(query.text), tables.data(), places)["q"]]
    assert same(rows, expected(query.text, tables), ordered=query.ordered, tolerance=4e-3), query.text
