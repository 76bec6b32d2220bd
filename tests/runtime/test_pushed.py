"""Tables that stay in their owner's database: the same results, and only what is needed leaves it."""

import asyncio
import sqlite3
import statistics
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsl.elaborate import elaborate
from dsl.inputs import Bindings, InputSpec, requirements
from dsl.parse import parse
from network.memory import memory_mesh
from runtime.api import compile as compiled
from runtime.check import check_study
from runtime.counted import databases
from runtime.errors import DataError, PartyFailed
from runtime.inputs import FileInputs
from runtime.results import to_json
from runtime.session import Session
from runtime.sources import Database, Held, hold, parse_database
from runtime.sources.conditions import Where
from runtime.supply import told_by

duckdb = pytest.importorskip("duckdb")

PARTIES = ("a", "b", "c")
TABLES = """
party a, b, c

table t from a{bound}:
    id:     key unique
    k:      int in 2..9
    when:   date
    since:  date?
    amount: decimal(2)
    income: fixed
    word:   enum('open', 'shut', "it's")
    maybe:  enum('x', 'y')?
    note:   text(20)?
    name:   text(12)
    flag:   bool
    number: int?
table u from b:
    id: key unique
    w:  int in 0..10
"""
NOTES = ["Axxb1", "axb", "", "Abbb2", "zzz", "abc", "xéb3", "x%_", "AxBb*", "a[b]", "it's", None]
NAMES = ["Ana", "ana", "ANA", "Zoë", "éa", "a_b", "a%b", "back\\slash"]
KINDS = {
    "duckdb": 'id bigint, k integer, "when" date, since date, amount decimal(10,2), income double, word varchar, '
    "maybe enum('x', 'y'), note varchar collate nocase, name varchar collate nocase, flag boolean, number bigint",
    "sqlite": 'id integer, k integer, "when" text, since text, amount integer, income real, word text, maybe text, '
    "note text collate nocase, name text collate nocase, flag integer, number integer",
}
COLUMNS = ("id", "k", "when", "since", "amount", "income", "word", "maybe", "note", "name", "flag", "number")
CONDITIONS = [
    "k = 3",
    "k in (3, 4, 7) and not flag",
    "k between 3 and 5 or number > 2",
    "number is null",
    "number is not null and number <> 4",
    "not (number > 3)",
    "coalesce(number, 5) = 5",
    "when >= date '2020-06-01' and when < date '2021-06-01'",
    "since < date '2020-06-01'",
    "not (since < date '2020-06-01')",
    "extract(year from when) = 2020",
    "when + interval '30' day > date '2021-01-15'",
    "amount > 2.5",
    "amount * 2 < 3 and amount <> -1.5",
    "amount - k < 0",
    "income > 0.1",
    "income <= 0.1",
    "income = k",
    "word = 'open'",
    "word <> 'it''s'",
    "word in ('shut', 'it''s')",
    "maybe = 'y' or maybe is null",
    "not (maybe = 'y')",
    "note like 'a%'",
    "note like '%b_'",
    "note not like '%x%'",
    "note like 'x\\%%' or note like 'a[%'",
    "note = 'abc' or note = 'Abbb2' or note = ''",
    "note <> 'abc'",
    "note < 'a'",
    "name = 'ana'",
    "name >= 'a' and name < 'back'",
    "name like '_na'",
    "name like 'back\\%'",
    "case when flag then k > 4 else k < 4 end",
    "(flag or k > 7) and (number > 1 or note like '%b%')",
    "k > 100",
]


def rows(count: int = 300) -> list[dict[str, Any]]:
    random = np.random.default_rng(7)

    def pick(values: list[Any]) -> Any:
        return values[int(random.integers(len(values)))]

    def day() -> date:
        return date(2019, 6, 1) + timedelta(days=int(random.integers(900)))

    return [
        {
            "id": i,
            "k": int(random.integers(2, 10)),
            "when": day(),
            "since": pick([None, day()]),
            "amount": int(random.integers(-5, 15)),
            "income": pick([0.1, 0.5, -2.25, 3.0, 7.0, 1e6]),
            "word": pick(["open", "shut", "it's"]),
            "maybe": pick(["x", "y", None]),
            "note": pick(NOTES),
            "name": pick(NAMES),
            "flag": pick([True, False]),
            "number": pick([None, 0, 1, 2, 3, 4, 2**62]),
        }
        for i in range(count)
    ]


def write(folder: Path, given: list[dict[str, Any]]) -> None:
    """The tables as CSV files and in a database of each kind."""
    for party in PARTIES:
        (folder / party).mkdir()
    lines = [",".join(COLUMNS), *(",".join(cell(row[c]) for c in COLUMNS) for row in given)]
    (folder / "a" / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "b" / "u.csv").write_text("id,w\n" + "".join(f"{i},{i % 11}\n" for i in range(0, 400, 2)))
    values = [[row[c] for c in COLUMNS] for row in given]
    marks = ", ".join("?" * len(COLUMNS))
    with duckdb.connect(str(folder / "t.duckdb")) as db:
        db.execute(f"create table t ({KINDS['duckdb']})")
        db.executemany(f"insert into t values ({marks})", values)
    with sqlite3.connect(folder / "t.sqlite") as lite:
        lite.execute(f"create table t ({KINDS['sqlite']})")
        lite.execute("create index by_k on t (k)")
        lite.executemany(f"insert into t values ({marks})", [[plain(v) for v in row] for row in values])
    lite.close()


def cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return f'"{value}"' if isinstance(value, str) else "" if value is None else str(value)


def plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else int(value) if isinstance(value, bool) else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pushed")
    write(directory, rows())
    return directory


def database(folder: Path, kind: str) -> Database:
    return parse_database(f"{kind}:{folder / f't.{kind}'}?table=t")


class Run:
    """A study over memory channels, a's table from a file or a database."""

    def __init__(self, folder: Path, tmp_path: Path, text: str, kind: str | None) -> None:
        study = tmp_path / "s.parley"
        study.write_text(text, encoding="utf-8")
        self.job = compiled(study, protocol="rep3", nodes=PARTIES).job
        bound = {} if kind is None else {("a", "t"): database(folder, kind)}
        self.inputs = {name: FileInputs(name, folder, bound) for name in PARTIES}

    async def _all(self) -> list[Any]:
        mesh = memory_mesh(PARTIES)
        sessions = [Session(replace(self.job), n, mesh[n], self.inputs[n], 60.0) for n in PARTIES]
        return await asyncio.gather(*(s.run() for s in sessions))

    def outputs(self) -> Mapping[str, Any]:
        done = asyncio.run(self._all())
        self.cost = [(one.delays, one.bytes_sent) for one in done]
        return {one.me: to_json(one.outputs) for one in done}


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """The rows and columns of each time that a held table was asked for any."""
    found: list[tuple[int, tuple[str, ...]]] = []
    close = Held.close

    def closed(self: Held) -> None:
        found.extend(self.fetched)
        close(self)

    monkeypatch.setattr(Held, "close", closed)
    return found


def study(condition: str, bound: str = "", picked: str = "k, sum(amount) as s, sum(w) as w, count(*) as n") -> str:
    return (
        TABLES.format(bound=bound)
        + f"query q:\n    select {picked}\n    from t join u on t.id = u.id\n    where {condition}\n    group by k\n"
        + "reveal q to c\n"
    )


def unordered(found: Mapping[str, Any]) -> list[str]:
    return sorted(map(str, found["c"]["q"]))


# -- conditions one by one: what SQL keeps is what NumPy keeps ---------------------------------------------


def circuit(text: str, count: int) -> Any:
    tree = parse(text, "s")
    bound = Bindings(rows={("a", "t"): count, ("b", "u"): 200})
    return elaborate(tree, bound).circuit, {s.name: s for s in requirements(tree)}


def numpy_keeps(nodes: Any, folder: Path, spec: InputSpec) -> list[int]:
    """The rows that all `keep` conditions keep, in the clear."""
    from mpc import plain as clear

    inputs = FileInputs("a", folder)
    inputs.shapes([spec])
    arrays = {("a", *key): value for key, value in inputs.arrays(bytes(32)).items()}
    wanted = [i for i, node in nodes if node.op == "keep"]
    values = clear.evaluate(nodes, arrays, wanted)
    return np.flatnonzero(np.logical_and.reduce([values[i] for i in wanted])).tolist()


def where(held: Held, nodes: Any, scan: int) -> Where:
    """The conditions on one scan that the database is asked."""
    (one,) = databases({held.spec.name: held}, nodes)
    return one.conditions.of(held.spec.name, scan)


NOT_IN_SQL = {"income = k": "duckdb sqlite", "extract(year from when) = 2020": "duckdb sqlite"}
"""Conditions that no database is asked: their arithmetic is no whole numbers', or might not round alike."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition", CONDITIONS)
def test_sql_keeps_the_rows_that_numpy_keeps(condition: str, kind: str, folder: Path) -> None:
    nodes, specs = circuit(study(condition), len(rows()))
    held = hold(database(folder, kind), specs["t"], lambda _: None)
    assert held is not None
    try:
        (scan,) = {n["scan"] for _, n in nodes if n.op == "keep"}
        asked = where(held, nodes, scan)
        if condition not in NOT_IN_SQL:
            assert len(asked.by) == sum(n.op == "keep" for _, n in nodes), "a condition was not told to the database"
        expected = numpy_keeps(nodes, folder, specs["t"])
        if len(asked.by) == sum(n.op == "keep" for _, n in nodes):
            kept = held.kept(["name", "k", "when"], asked, None)
            assert kept.number == len(expected)
            given = rows()
            assert kept.columns["k"].tolist() == [given[i]["k"] for i in expected]
    finally:
        held.close()


# -- whole studies -----------------------------------------------------------------------------------------

TWICE = """
query q:
    with large as (select k, sum(amount) as s from t where k > 3 and note like '%b%' group by k)
    select large.k, s, w, n
    from large join (select k, count(*) as n, max(w) as w from t join u on t.id = u.id where k > 3 group by k) m
      on large.k = m.k
    where s > (select min(s) as least from large)
reveal q to c
"""
MIDDLE = """
query q:
    select k, median(number) as m, percentile(amount, 0.9) as p, median(income) as i, count(*) as n
    from t where note like '%b%' group by k
reveal q to c
query r:
    select median(income) as m, percentile(number, 0.25) as p from t
reveal r to c
"""
FIRST = """
query q:
    select word, amount, note, number from t where flag and k < 6 order by amount desc, note limit 7 offset 2
reveal q to c
query r:
    select sum(w) as w, count(*) as n from (select id, amount from t order by number desc, amount limit 5) x
    join u on x.id = u.id
reveal r to c
query few:
    select name, sum(amount) as s from t where name < 'B' group by name order by s desc limit 5
reveal few to c
"""
UNION = """
query q:
    select word, count(*) as n, sum(amount) as s from
        (select word, amount from t where flag union all select maybe as word, 0.25 as amount from t where k > 4) x
    group by word
reveal q to c
query r:
    select name from t where k < 3 union select note as name from t where note like '%b%'
reveal r to c
query m:
    select count(*) as n, max(v) as v from (select k as v from t union all select extract(year from when) as v from t
    union all select 7 as v from t where flag) x
reveal m to c
"""
COMPUTED = (
    "k, sum(case when note like 'A%' and name <> 'ana' or note = 'zzz' then 1 else 0 end) as n, "
    "sum(case when t.when > since then amount else 0 end) as s, max(extract(year from t.when)) as y"
)
STUDIES = [
    TABLES.format(bound="") + TWICE,
    study("not flag and when >= date '2020-01-01' and note like '%b%'"),
    study("extract(year from when) = 2020 and k < 6", picked="k, count(*) as n, min(number) as m"),
    study("k > 100"),
    study("name like '_na'", bound=" rows <= 500"),
    study("k < 5 or number > 2", picked="k, sum(case when note like 'A%' then 1 else 0 end) as n"),
    study("1 = 1", picked="k, max(w) as n"),
    study("flag", picked=COMPUTED),
    study("1 = 1", picked=COMPUTED),
    study("k > 100", picked=COMPUTED),
    study("flag", picked=COMPUTED, bound=" rows <= 500"),
    study("1 = 1", picked=COMPUTED, bound=" rows <= 500"),
    TABLES.format(bound="") + UNION,
    TABLES.format(bound=" rows <= 500") + UNION,
    TABLES.format(bound="") + FIRST,
    TABLES.format(bound=" rows <= 500") + FIRST,
    TABLES.format(bound="") + MIDDLE,
    TABLES.format(bound=" rows <= 500") + MIDDLE,
]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", STUDIES, ids=range(len(STUDIES)))
def test_results_and_costs_are_those_of_files(text: str, kind: str, folder: Path, tmp_path: Path) -> None:
    file, base = Run(folder, tmp_path, text, None), Run(folder, tmp_path, text, kind)
    assert unordered(file.outputs()) == unordered(base.outputs())
    assert file.cost == base.cost


STAGES = (
    TABLES.format(bound="")
    + """
query q:
    select k, income, w from t join u on t.id = u.id where k < 6 and name <> 'ana'
query again:
    select k, income from q where k > 3
rows = compact(q)
x = matrix(rows, income, w)
reveal x to c
reveal sum(rows.k) to c as k
query other:
    select count(*) as n from t where name like 'a%'
reveal other to c
reveal again to c
"""
)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_ones_in_later_stages(kind: str, folder: Path, tmp_path: Path) -> None:
    file, base = Run(folder, tmp_path, STAGES, None).outputs(), Run(folder, tmp_path, STAGES, kind).outputs()
    assert sorted(file["c"]["x"]) == sorted(base["c"]["x"])
    assert file["c"]["k"] == base["c"]["k"]
    assert file["c"]["other"] == base["c"]["other"]
    assert sorted(map(str, file["c"]["again"])) == sorted(map(str, base["c"]["again"]))


# -- what leaves the database ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_columns_that_are_not_needed_stay(kind: str, folder: Path, tmp_path: Path, fetched: Any) -> None:
    Run(folder, tmp_path, study("flag and name = 'ana' and when > date '2020-01-01'"), kind).outputs()
    keeps = sum(r["flag"] and r["name"] == "ana" and r["when"] > date(2020, 1, 1) for r in rows())
    assert fetched == [(keeps, ("id", "k", "amount"))]
    assert 0 < keeps < 30


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition", ["flag", "1 = 1"])
def test_what_a_database_computes_is_fetched_in_place_of_its_columns(
    condition: str, kind: str, folder: Path, tmp_path: Path, fetched: Any
) -> None:
    Run(folder, tmp_path, study(condition, picked=COMPUTED), kind).outputs()
    ((number, columns),) = fetched
    assert number == (sum(r["flag"] for r in rows()) if condition == "flag" else len(rows()))
    assert {c for c in columns if c[0] != "#"} == {"id", "k"}
    assert len(columns) == 5


def test_a_count_needs_no_column(folder: Path, tmp_path: Path, fetched: Any) -> None:
    text = TABLES.format(bound="") + "query q:\n    select count(*) as n from t where flag\nreveal q to c\n"
    assert Run(folder, tmp_path, text, "duckdb").outputs()["c"]["q"] == [{"n": sum(r["flag"] for r in rows())}]
    assert fetched == []


@pytest.mark.parametrize("kind", KINDS)
def test_of_quantiles_no_row_leaves_the_database(kind: str, folder: Path, tmp_path: Path, fetched: Any) -> None:
    found = Run(folder, tmp_path, TABLES.format(bound="") + MIDDLE, kind).outputs()["c"]
    expected = {
        k: statistics.median(some)
        for k in range(2, 10)
        if (
            some := [
                r["number"] for r in rows() if r["k"] == k and "b" in (r["note"] or "") and r["number"] is not None
            ]
        )
    }
    assert {r["k"]: r["m"] for r in found["q"] if r["m"] is not None} == expected
    assert found["r"][0]["m"] == pytest.approx(statistics.median(r["income"] for r in rows()), abs=2**-16)
    assert fetched == []


@pytest.mark.parametrize("kind", KINDS)
def test_first_rows_alone_leave_the_database(kind: str, folder: Path, tmp_path: Path, fetched: Any) -> None:
    found = Run(folder, tmp_path, TABLES.format(bound="") + FIRST, kind).outputs()["c"]
    kept = sorted((r for r in rows() if r["flag"] and r["k"] < 6), key=lambda r: -r["amount"])
    assert [r["amount"] for r in found["q"]] == [r["amount"] for r in kept[2:9]]
    assert found["r"][0]["n"] <= 5
    assert fetched == []


def test_a_query_over_a_query_is_asked_by_its_own_conditions_alone(folder: Path, tmp_path: Path, fetched: Any) -> None:
    text = TABLES.format(bound="") + (
        "query q:\n    select k, amount from t where k < 6\n"
        "query r:\n    select sum(amount) as s from q where k > 3\n"
        "query v:\n    select sum(amount) as s from t where k > 3 and k < 6\n"
        "reveal q to c\nreveal r to c\nreveal v to c\n"
    )
    found = Run(folder, tmp_path, text, "duckdb").outputs()["c"]
    assert found["r"] == found["v"] == [{"s": pytest.approx(sum(r["amount"] for r in rows() if 3 < r["k"] < 6))}]
    # Of the sums, which the database adds up, no row leaves it.
    assert fetched == [(sum(r["k"] < 6 for r in rows()), ("k", "amount"))]


# -- declarations ------------------------------------------------------------------------------------------

WRONG = [
    ("update t set k = 10 where id = 3", "E0407", "k"),
    ("update t set k = null where id = 3", "E0404", "k"),
    ("update t set word = 'Open' where id = 3", "E0408", "word"),
    ("update t set word = '' where id = 3", "E0404", "word"),
    ("update t set note = 'a text of more than twenty bytes' where id = 3", "E0409", "note"),
    ("update t set income = 1e20 where id = 3", "E0406", "income"),
    ("update t set id = 2 where id = 3", "E0410", "id"),
]
WRONG_DUCKDB = [("update t set \"when\" = 'infinity' where id = 3", "E0403", "when")]
WRONG_SQLITE = [
    ("update t set \"when\" = '2020-02-30' where id = 3", "E0403", "when"),
    ("update t set flag = 2 where id = 3", "E0403", "flag"),
    ("update t set number = 'many' where id = 3", "E0403", "number"),
]
CASES = [(kind, *one) for kind, more in (("duckdb", WRONG_DUCKDB), ("sqlite", WRONG_SQLITE)) for one in WRONG + more]


@pytest.mark.parametrize(("kind", "statement", "code", "column"), CASES)
def test_what_is_declared_is_checked_of_columns_that_no_query_reads(
    kind: str, statement: str, code: str, column: str, tmp_path: Path
) -> None:
    write(tmp_path, rows(20))
    connect: Callable[[str], Any] = duckdb.connect if kind == "duckdb" else sqlite3.connect
    connection = connect(str(tmp_path / f"t.{kind}"))
    connection.execute(statement)
    connection.commit()
    connection.close()
    _, specs = circuit(study("flag"), 20)
    with pytest.raises(DataError) as caught:
        hold(database(tmp_path, kind), specs["t"], lambda _: None)
    fault = caught.value.faults[0]
    assert (fault.code, fault.row, fault.column) == (code, 4, column)
    assert "table t" in fault.file


def test_a_column_of_another_type_is_loaded_as_ever(tmp_path: Path) -> None:
    write(tmp_path, rows(20))
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        db.execute("alter table t alter amount type varchar")
    _, specs = circuit(study("flag"), 20)
    assert hold(database(tmp_path, "duckdb"), specs["t"], lambda _: None) is None


def test_a_table_that_changes_ends_the_job(tmp_path: Path) -> None:
    write(tmp_path, rows(20))
    _, specs = circuit(study("flag"), 20)
    held = hold(database(tmp_path, "sqlite"), specs["t"], lambda _: None)
    assert held is not None
    with sqlite3.connect(tmp_path / "t.sqlite") as other:
        other.execute("update t set k = 4")
    other.close()
    with pytest.raises(DataError, match="changed") as caught:
        held.whole(["k"], None)
    held.close()
    assert caught.value.faults[0].code == "E0414"
    assert "table t" in caught.value.faults[0].file


# -- the event loop ----------------------------------------------------------------------------------------


class Slow(FileInputs):
    """Waits, within the database's turn, until the loop has done something else."""

    turned: threading.Event

    def shapes(self, specs: Any) -> Any:
        assert self.turned.wait(30), "the loop stood still"
        return FileInputs.shapes(self, specs)


def test_a_slow_database_does_not_stop_the_loop(folder: Path, tmp_path: Path) -> None:
    run = Run(folder, tmp_path, study("flag"), "duckdb")
    slow = Slow("a", folder, {("a", "t"): database(folder, "duckdb")})
    slow.turned = threading.Event()
    run.inputs["a"] = slow

    async def both() -> None:
        job = asyncio.ensure_future(run._all())
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_later(0.05, slow.turned.set)
        await job

    asyncio.run(both())


def test_a_job_that_ends_ends_what_is_asked_of_a_database(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "t.duckdb")) as db:
        db.execute("create table t (id bigint)")
    endless = "select range as id from range(100000000000000) where hash(range) % 7 = 3"
    place = parse_database(f"duckdb:{tmp_path / 't.duckdb'}?query={endless}")
    spec = requirements(parse("party a\ntable t from a:\n    id: int\n", "s"))[0]
    asking = threading.Event()

    class Watched(FileInputs):
        def _watch(self, source: Any) -> None:
            FileInputs._watch(self, source)
            asking.set()

    inputs = Watched("a", None, {("a", "t"): place})
    ended: list[BaseException] = []

    def ask() -> None:
        try:
            inputs.shapes([spec])
        except DataError as error:
            ended.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    assert asking.wait(30)
    for _ in range(600):  # an interrupt between two statements ends neither
        inputs.close()
        thread.join(0.05)
        if not thread.is_alive():
            break
    assert not thread.is_alive()
    assert "t` of a" in str(ended[0])
    assert "InterruptException" in str(ended[0])


# -- numbers of rows that may be known ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", STUDIES[:6], ids=range(6))
def test_known_numbers_of_rows_change_the_cost_alone(text: str, kind: str, folder: Path, tmp_path: Path) -> None:
    hidden, known = Run(folder, tmp_path, text, kind), Run(folder, tmp_path, text, kind)
    place = parse_database(f"{kind}:{folder / f't.{kind}'}?table=t&counts=public")
    known.inputs = {name: FileInputs(name, folder, {("a", "t"): place}) for name in PARTIES}
    assert unordered(hidden.outputs()) == unordered(known.outputs())
    sent = [sum(n for _, n in run.cost) for run in (hidden, known)]
    assert sent[1] < sent[0]


def test_fewer_rows_than_the_policy_allows_are_not_told(folder: Path) -> None:
    place = parse_database(f"duckdb:{folder / 't.duckdb'}?table=t&counts=public")
    tree = parse(study("k < 4"), "s")
    abstract, specs = elaborate(tree, Bindings(), check=True), {s.name: s for s in requirements(tree)}
    keeps = sum(r["k"] < 4 for r in rows())
    for least, told in ((keeps, True), (keeps + 1, False)):
        inputs = FileInputs("a", folder, {("a", "t"): place}, least=least)
        inputs.shapes([specs["t"]])
        found = list(inputs.counts(abstract).get("t", {}).values())
        inputs.close()
        assert found == ([(keeps, (0,))] if told else [])


def test_what_a_party_tells_is_held_to_what_it_brings() -> None:
    specs = [InputSpec("a", "t", True, ())]
    assert told_by({"a": {"t": [[17, 3, [0]]]}, "b": {}}, specs) == {("a", "t", 17): (3, (0,))}
    for wrong in ({"u": [[17, 3, [0]]]}, {"t": [[17, -3, [0]]]}, {"t": [[17, 3, [True]]]}, {"t": [[17]]}, [1], 5, None):
        with pytest.raises(PartyFailed, match="a"):
            told_by({"a": wrong}, specs)


def test_known_numbers_of_rows_are_among_the_disclosures(folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "s.parley"
    text.write_text(study("k < 6 and name = 'ana'"), encoding="utf-8")
    job = compiled(text, protocol="rep3", nodes=PARTIES).job
    for tail, told in (("", False), ("&counts=public", True)):
        place = parse_database(f"duckdb:{folder / 't.duckdb'}?table=t{tail}")
        report = check_study(job, folder, {("a", "t"): place}, [])
        sizes = [(d.name, d.receivers, d.sources) for d in report.disclosures if d.kind == "size"]
        kept = ("rows of t at a that conditions on it keep", PARTIES, ("a's `t`",))
        assert (kept in sizes) == told
