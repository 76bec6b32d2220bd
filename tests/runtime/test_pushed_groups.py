"""Groups, totals and joins that an owner's database works out are those that the circuit defines."""

import asyncio
import sqlite3
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pushed_tables import DATA, KINDS, QUERIES, differences, fill
from rich.console import Console

from network.memory import memory_mesh
from runtime.api import compile as compiled
from runtime.check import check_study
from runtime.errors import DataError
from runtime.inputs import FileInputs
from runtime.plans import print_plans
from runtime.results import to_json
from runtime.session import Session
from runtime.sources import parse_database

pytestmark = pytest.mark.slow

duckdb = pytest.importorskip("duckdb")

BOUNDS = (("table t from a:", "table t from a rows <= 20:"), ("table o from a:", "table o from a rows <= 7:"))
PARTIES = ("a", "b", "c")
ALWAYS = {
    *("all rows", "totals", "computed", "different", "floats", "identifiers", "left join", "parts", "spread"),
    *("median", "medians", "median of computed", "median of groups", "first", "first of some", "first behind others"),
    *("union", "union of groups", "first of union", "quotients", "quotients of floats", "sums of floats"),
    *("first groups", "first identifiers", "first by a text", "first of totals"),
}
"""Queries that have groups whatever the data are."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    for kind in ("duckdb", "sqlite"):
        db: Any = duckdb.connect(str(folder / "t.duckdb")) if kind == "duckdb" else sqlite3.connect(folder / "t.sqlite")
        for table, columns in zip(("t", "o"), KINDS[kind], strict=True):
            db.execute(f"create table {table} ({columns})")
        db.close()
    return folder


def filled(folder: Path, kind: str, data: Any) -> dict[tuple[str, str], Any]:
    db: Any = duckdb.connect(str(folder / "t.duckdb")) if kind == "duckdb" else sqlite3.connect(folder / "t.sqlite")
    fill(db.execute, lambda _: "?", kind, data)
    if kind == "sqlite":
        db.commit()
    db.close()
    return {("a", table): parse_database(f"{kind}:{folder / f't.{kind}'}?table={table}") for table in ("t", "o")}


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize("query", QUERIES)
@settings(
    max_examples=4, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
def test_a_database_gives_what_the_circuit_says(query: str, kind: str, files: Path, data: Any) -> None:
    number, wrong = differences(QUERIES[query], FileInputs("a", None, filled(files, kind, data)))
    assert wrong == []
    assert number or query not in ALWAYS


@pytest.mark.parametrize("query", QUERIES)
@settings(
    max_examples=2, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
def test_rows_that_stand_for_nothing_count_nowhere(query: str, files: Path, data: Any) -> None:
    inputs = FileInputs("a", None, filled(files, "sqlite", data))
    assert differences(QUERIES[query], inputs, BOUNDS)[1] == []


class Watched(FileInputs):
    """Keeps what was fetched."""

    fetched: Any = None

    def close(self) -> None:
        if self._held:
            self.fetched = [one for held in self._held.values() for one in held.fetched]
        FileInputs.close(self)


ROWS = 1000
BIG = """
party a, b, c
table sales from a:
    person: int in 0..30
    price:  decimal(2) in 0..1000
    paid:   fixed in 0..1000
table people from a:
    person: int unique
    age:    int in 0..120
table limits from b:
    age:   int unique
    least: int in 0..100
query q:
    select p.age as age, sum(price) as s, count(*) as n, avg(paid) as paid
    from sales s join people p on s.person = p.person
    where price > 5 group by p.age
query r:
    select q.age as age, s, n, paid from q join limits on q.age = limits.age where n > least
reveal r to c
"""


def big(folder: Path, tail: str = "") -> dict[tuple[str, str], Any]:
    folder.mkdir(exist_ok=True)
    with duckdb.connect(str(folder / "big.duckdb")) as db:
        db.execute(
            "create table sales as select (range * 7 % 31)::integer as person, (range % 97)::decimal(6,2) as price, "
            f"(range % 89) / 8.0 as paid from range({ROWS})"
        )
        db.execute("create table people as select range::int as person, (20 + range % 9)::int as age from range(31)")
    (folder / "b").mkdir()
    (folder / "b" / "limits.csv").write_text("age,least\n" + "".join(f"{20 + i},{10 * i}\n" for i in range(9)))
    file = folder / "big.duckdb"
    return {("a", name): parse_database(f"duckdb:{file}?table={name}{tail}") for name in ("sales", "people")}


def outputs(job: Any, inputs: Any) -> list[Any]:
    async def all_of_them() -> Any:
        mesh = memory_mesh(PARTIES)
        return await asyncio.gather(*(Session(replace(job), n, mesh[n], inputs[n], 60.0).run() for n in PARTIES))

    done = {one.me: one for one in asyncio.run(all_of_them())}
    return to_json(done["c"].outputs)["r"]


@pytest.mark.parametrize("tail", ["", "&counts=public"])
def test_only_groups_leave_the_database(tail: str, tmp_path: Path) -> None:
    places = big(tmp_path, tail)
    (tmp_path / "s.parley").write_text(BIG)
    job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
    inputs = {me: Watched(me, tmp_path, places) for me in PARTIES}
    found = {row["age"]: row for row in outputs(job, inputs)}
    with duckdb.connect(str(tmp_path / "big.duckdb")) as db:
        expected = db.sql(
            "select age, sum(price)::double, count(*), avg(paid) from sales join people using (person) where price > 5 "
            "group by age having count(*) > 10 * (age - 20)"
        ).fetchall()
    assert {(r["age"], r["s"], r["n"]) for r in found.values()} == {(a, s, n) for a, s, n, _ in expected}
    assert all(abs(found[a]["paid"] - p) < 2**-10 for a, _, _, p in expected)
    assert inputs["a"].fetched == []


def test_a_true_number_of_groups_is_told_and_shared_where_it_may_be_known(tmp_path: Path) -> None:
    (tmp_path / "s.parley").write_text(BIG.replace("int in 0..120", "int"))
    job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
    hidden, known = (big(tmp_path / name, tail) for name, tail in (("x", ""), ("y", "&counts=public")))
    mixed = {**known, ("a", "people"): hidden["a", "people"]}
    found = {}
    for name, places in {"hidden": hidden, "known": known, "mixed": mixed}.items():
        data = {me: FileInputs(me, tmp_path / "x", places) for me in PARTIES}
        sizes = {d.name for d in check_study(job, tmp_path / "x", places, []).disclosures if d.kind == "size"}
        told = {f"groups of {t} at a that a query makes" for t in ("sales", "people")} & sizes
        report = check_study(job, tmp_path / "x", places, [])
        assert report.cost is not None
        found[name] = len(told), sorted(map(str, outputs(job, data))), sum(report.cost.bytes_sent.values())
    assert [found[name][0] for name in ("hidden", "known", "mixed")] == [0, 2, 0]
    assert found["hidden"][1] == found["known"][1] == found["mixed"][1]
    assert found["known"][2] < found["hidden"][2] / 2  # nine groups, where the plan knows of a thousand rows


def test_check_says_what_a_database_is_asked(tmp_path: Path) -> None:
    places = big(tmp_path)
    (tmp_path / "s.parley").write_text(BIG)
    job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
    report = check_study(job, tmp_path, places, [], plans=True)
    (one,) = report.to_json(plans=True)["plans"][0]["statements"]
    assert (one["party"], one["for"]) == ("a", "group p.age")
    assert 'from "sales" as r0 left join' in one["sql"]
    assert " group by " in one["sql"]
    assert report.plans[1].statements == ()
    console = Console(width=100, record=True, file=StringIO())
    print_plans(report, console)
    assert "a's database, for group p.age:" in console.export_text()


def test_a_sum_that_does_not_fit_ends_the_job(tmp_path: Path) -> None:
    text = (
        "party a, b, c\ntable t from a:\n    k: int\n    x: int\n"
        "query q:\n    select k, sum(x) as s from t group by k\nreveal q to c\n"
    )
    (tmp_path / "s.parley").write_text(text)
    job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        db.execute("create table t as select 1::bigint as k, 9223372036854775807 as x from range(2)")
    places = {("a", "t"): parse_database(f"duckdb:{tmp_path / 't.duckdb'}?table=t")}
    with pytest.raises(DataError, match="does not fit into 64 bits"):
        outputs(job, {me: FileInputs(me, tmp_path, places) for me in PARTIES})


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize("value", [2**60, -(2**63), 2**53 - 1])
def test_a_median_of_large_numbers_is_exact_or_ends_the_job(kind: str, value: int, tmp_path: Path) -> None:
    """Its weights of tenths do not fit beside some; which these are does not depend on where the table is."""
    text = (
        "party a, b, c\ntable t from a:\n    k: int\n    x: int\n"
        "query r:\n    select k, median(x) as m from t group by k\nreveal r to c\n"
    )
    (tmp_path / "s.parley").write_text(text)
    job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
    db: Any = duckdb.connect(str(tmp_path / "t.duckdb")) if kind == "duckdb" else sqlite3.connect(tmp_path / "t.sqlite")
    db.execute("create table t (k bigint, x bigint)" if kind == "duckdb" else "create table t (k integer, x integer)")
    db.executemany(
        "insert into t values (?, ?)", [[1, 0], [1, value], [1, value + 1], [2, 7], [2, 8], [2, 9], [2, 2**62]]
    )
    if kind == "sqlite":
        db.commit()
    db.close()
    places = {("a", "t"): parse_database(f"{kind}:{tmp_path / f't.{kind}'}?table=t")}
    data = {me: FileInputs(me, tmp_path, places) for me in PARTIES}
    if value == 2**53 - 1:
        assert sorted((row["k"], row["m"]) for row in outputs(job, data)) == [(1, value), (2, 8.5)]
    else:
        with pytest.raises(Exception, match="64 bits"):
            outputs(job, data)


def test_how_many_groups_there_are_may_be_known_where_nothing_else_is_asked_of_them(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "t.sqlite") as db:
        db.execute("create table t (k integer, x integer)")
        db.executemany("insert into t values (?, ?)", [(1, 5), (1, 7), (2, 3)])
    db.close()
    text = "party a, b, c\ntable t from a:\n    k: int\n    x: int\n"
    for query, expected in [("select median(x) as m from t", 5), ("select median(x) as m from t where k = 1", 6)]:
        (tmp_path / "s.parley").write_text(f"{text}query r:\n    {query}\nreveal r to c\n")
        job = compiled(tmp_path / "s.parley", protocol="rep3", nodes=PARTIES).job
        places = {("a", "t"): parse_database(f"sqlite:{tmp_path / 't.sqlite'}?table=t&counts=public")}
        assert outputs(job, {me: FileInputs(me, tmp_path, places) for me in PARTIES}) == [{"m": expected}]
