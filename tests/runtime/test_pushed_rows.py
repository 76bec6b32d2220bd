"""Rows that conditions with look-ups drop do not leave an owner's database; the results are those of whole tables."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pushed_tables import DATA, KINDS, T, U, fill, study_of

from dsl.elaborate import elaborate
from dsl.inputs import Bindings, requirements
from dsl.parse import parse
from network.memory import memory_mesh
from runtime.api import compile as compiled
from runtime.inputs import FileInputs
from runtime.results import to_json
from runtime.session import Session
from runtime.sources import load, parse_database

duckdb = pytest.importorskip("duckdb")

pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit")  # sessions compile in threads

PARTIES = ("a", "b", "c")
BOUNDS = (("table t from a:", "table t from a rows <= 20:"), ("table o from a:", "table o from a rows <= 7:"))
WITH_U = "from t join u on t.cust = u.cust"
QUERIES = {
    "in": f"select k, amount, w {WITH_U} where t.cust in (select cust from o where region < 200)",
    "in, missing": f"select k, amount, w {WITH_U} where number in (select cust from o) or k > 2",
    "not in": f"select k, amount, w {WITH_U} where t.cust not in (select cust from o where region > 3) and k < 3",
    "exists": f"select name, amount, w {WITH_U} where exists (select * from o where o.label = t.name and region < 200)",
    "not exists": f"select name, w {WITH_U} where not exists (select * from o where o.label = t.name) and not flag",
    "scalar": f"select k, amount, w {WITH_U} where number < (select max(region) from o where o.cust = t.cust)",
    "of groups": f"select k, w {WITH_U} where amount > (select min(amount) from t)",
    "two": f"select k, w {WITH_U} where exists (select * from o where o.label = t.note) "
    "and exists (select * from o where o.id = t.id)",
    "twice": "select x.k as k, n, w from (select k, max(w) as w from t join u on t.cust = u.cust where "
    "exists (select * from o where o.label = t.name) group by k) x join (select k, count(*) as n from t "
    "where exists (select * from o where o.id = t.id) group by k) y on x.k = y.k",
    "join": "select name, amount, region, w from t join o on t.cust = o.cust join u on t.cust = u.cust where k < 3",
    "join, all rows": "select label, number, w from t join o on t.cust = o.cust join u on t.cust = u.cust",
    "join by two": "select name, region, w from t join o on t.cust = o.cust and t.id = o.id join u on o.cust = u.cust",
    "left join": "select name, region, label, w from t left join o on t.cust = o.cust and region > 3 "
    "join u on t.cust = u.cust where flag",
    "full join": "select name, label, w from t full join o on t.cust = o.cust and t.id = o.id "
    "join u on t.cust = u.cust where k > 1",
    "looked up": "select region, sum(w) as w, count(*) as n from t join o on t.cust = o.cust "
    "join u on t.cust = u.cust group by region",
    "grouped": "select x.k as k, n, low, w from (select k, count(*) as n, min(number) as low from t where flag "
    "group by k) x join u on x.k = u.cust",
    "grouped join": "select r, n, w from (select region as r, min(o.cust) as c, count(distinct k) as n "
    "from t join o on t.cust = o.cust group by region) x join u on x.c = u.cust",
    "distinct": "select name, w from (select distinct name, cust from t where k > 0) x join u on x.cust = u.cust",
    "groups of groups": "select m, count(*) as n from (select cust, count(*) as m from t group by cust) x group by m",
    "groups alone": "select cust, word, sum(amount) as s, max(note) as last from t "
    "group by cust, word having count(*) > 1",
    "rows alone": "select name, region, opened from t join o on t.cust = o.cust where opened < when",
    "all rows alone": "select name, region, opened from t join o on t.cust = o.cust",
}
"""Queries whose rows meet another owner's, or are revealed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    for kind in ("duckdb", "sqlite"):
        db: Any = duckdb.connect(str(folder / "t.duckdb")) if kind == "duckdb" else sqlite3.connect(folder / "t.sqlite")
        for table, columns in zip(("t", "o"), KINDS[kind], strict=True):
            db.execute(f"create table {table} ({columns})")
        db.close()
    (folder / "b").mkdir()
    (folder / "b" / "u.csv").write_text("cust,w\n" + "".join(f"{i},{i + 3}\n" for i in range(-1, 3)))
    return folder


def filled(folder: Path, kind: str, data: Any, tail: str = "") -> dict[tuple[str, str], Any]:
    db: Any = duckdb.connect(str(folder / "t.duckdb")) if kind == "duckdb" else sqlite3.connect(folder / "t.sqlite")
    fill(db.execute, lambda _: "?", kind, data)
    if kind == "sqlite":
        db.commit()
    db.close()
    file = folder / f"t.{kind}"
    return {("a", table): parse_database(f"{kind}:{file}?table={table}{tail}") for table in ("t", "o")}


class Whole(FileInputs):
    """Loads tables of databases as it does files."""

    def _shape(self, spec: Any) -> tuple[int, ...]:
        one = self._loaded[spec.name] = load(spec, self._find(spec))
        return one.shape


class Watched(FileInputs):
    """Keeps what was fetched."""

    fetched: Any = None

    def close(self) -> None:
        if self._held:
            self.fetched = {name: list(held.fetched) for name, held in self._held.items()}
        FileInputs.close(self)


def results(text: Path, inputs: Any) -> list[str]:
    """What c learns, in any order."""
    job = compiled(text, protocol="rep3", nodes=PARTIES).job

    async def all_of_them() -> Any:
        mesh = memory_mesh(PARTIES)
        return await asyncio.gather(*(Session(replace(job), n, mesh[n], inputs[n], 60.0).run() for n in PARTIES))

    done = {one.me: one for one in asyncio.run(all_of_them())}
    return sorted(map(str, to_json(done["c"].outputs)["q"]))


def held_to_whole_tables(query: str, folder: Path, places: Any, changes: tuple[tuple[str, str], ...] = ()) -> None:
    text = folder / "s.parley"
    text.write_text(study_of(QUERIES[query], changes))
    kinds = {"whole": Whole, "held": FileInputs}
    found = {
        how: results(text, {me: (kind if me == "a" else FileInputs)(me, folder, places) for me in PARTIES})
        for how, kind in kinds.items()
    }
    assert found["held"] == found["whole"]


FEW = settings(
    max_examples=3, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize("query", QUERIES)
@FEW
@given(data=DATA)
def test_results_are_those_of_whole_tables(query: str, kind: str, folder: Path, data: Any) -> None:
    held_to_whole_tables(query, folder, filled(folder, kind, data))


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
@FEW
@given(data=DATA)
def test_rows_that_stand_for_nothing_are_never_seen(query: str, folder: Path, data: Any) -> None:
    held_to_whole_tables(query, folder, filled(folder, "sqlite", data), BOUNDS)


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
@FEW
@given(data=DATA)
def test_known_numbers_of_rows_change_no_result(query: str, folder: Path, data: Any) -> None:
    held_to_whole_tables(query, folder, filled(folder, "duckdb", data, "&counts=public"))


DAY = date(2020, 5, 1)
ROWS = [
    (i, i % 5, i % 4, "open", "ab", "ab" if i < 3 else "b", i, i, 0.5, 0.1, DAY, None, True, i, i) for i in range(T)
]
OTHERS = [
    (i, i, 70 * i, label, date(2020, 1 + 3 * i, 1) if i < 4 else DAY)
    for i, label in enumerate(["ab", "c", "d", "e", "f"])
]
"""Of t three rows have a name that is a label; of o three have a region below 200, and two are older."""


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
@pytest.mark.parametrize(
    ("query", "fetched"),
    [
        ("exists", {"t": [(3, ("cust", "name", "amount"))], "o": []}),
        ("in", {"t": [(8, ("cust", "k", "amount"))], "o": []}),
        ("not in", {"t": [(3, ("cust", "k", "amount"))], "o": []}),
        ("rows alone", {"t": [(6, ("name", "#0", "#1"))], "o": []}),
        ("all rows alone", {"t": [(T, ("cust", "name"))], "o": [(U, ("cust", "region", "opened"))]}),
        ("join by two", {"t": [(5, ("name", "#0", "#1"))], "o": []}),
    ],
)
def test_only_rows_that_conditions_keep_are_fetched(query: str, fetched: Any, kind: str, folder: Path) -> None:
    places = filled(folder, kind, (ROWS, OTHERS))
    text = folder / "s.parley"
    text.write_text(study_of(QUERIES[query]))
    inputs = {me: Watched(me, folder, places) for me in PARTIES}
    results(text, inputs)
    assert inputs["a"].fetched == fetched


def test_how_many_rows_a_look_up_keeps_is_told_where_both_tables_owners_let_it_be(folder: Path) -> None:
    places = filled(folder, "duckdb", (ROWS, OTHERS), "&counts=public")
    hidden = {**places, ("a", "o"): parse_database(f"duckdb:{folder / 't.duckdb'}?table=o")}
    text = study_of(QUERIES["exists"])
    tree = parse(text, "s")
    for given_places, told in ((places, {"t": [3], "o": [3]}), (hidden, {})):
        inputs = FileInputs("a", folder, given_places)
        inputs.shapes([s for s in requirements(tree) if s.party == "a"])
        found = inputs.counts(elaborate(tree, Bindings(), check=True))
        inputs.close()
        assert {name: [one.rows for one in places.values()] for name, places in found.items()} == told


@pytest.mark.parametrize(("least", "told"), [(0, {3}), (3, {3}), (4, set())])
def test_how_many_groups_there_are_is_told_unless_they_are_too_few(least: int, told: set[int], folder: Path) -> None:
    places = filled(folder, "duckdb", (ROWS, OTHERS), "&counts=public")
    groups = "select number // 4 as g, min(cust) as cust, count(*) as n from t group by g"
    tree = parse(study_of(f"select x.cust as cust, n, w from ({groups}) x join u on x.cust = u.cust"), "s")
    inputs = FileInputs("a", folder, places, least=least)
    inputs.shapes([s for s in requirements(tree) if s.party == "a"])
    found = inputs.counts(elaborate(tree, Bindings(), check=True))
    inputs.close()
    assert {one.rows for one in found.get("t", {}).values() if not one.at} == told
