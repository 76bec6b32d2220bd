"""Two tables of one owner for tests of what databases are asked: their columns, in each kind of database, and values.

For: `TABLES`, `KINDS`, `QUERIES`, `rows_of`, `fill`, `stage_of`, `differences`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from dsl.compile import Compiler, Stage
from dsl.inputs import Bindings, InputSpec, requirements
from dsl.parse import parse
from mpc import plain
from mpc.engine import node_key
from mpc.places import Places
from mpc.protocols import SCHEMES
from runtime.inputs import FileInputs
from runtime.owned import _Own, brought

SALT = bytes(range(32))
T, U = 12, 5
"""Rows of each table."""
TABLES = """
party a, b, c

table t from a:
    id:     key
    cust:   int?
    k:      int in 0..3
    word:   enum('open', 'shut', "it's")?
    note:   text(9)?
    name:   text(6)
    amount: decimal(2) in -1000..1000
    paid:   decimal(2)?
    income: fixed in -100000..100000
    ratio:  fixed?
    when:   date
    since:  date?
    flag:   bool
    number: int in -1000000..1000000?
    big:    int
table o from a:
    cust:   int unique
    id:     key unique
    region: int in 0..300
    label:  text(6) unique
    opened: date?
table u from b:
    cust:   int unique
    w:      int in 0..10
"""
KINDS = {
    "duckdb": (
        "id bigint, cust integer, k smallint, word varchar, note varchar collate nocase, name varchar collate nocase, "
        'amount decimal(8,2), paid decimal(8,2), income double, ratio double, "when" date, since date, flag boolean, '
        "number integer, big bigint",
        "cust integer, id bigint, region integer, label varchar collate nocase, opened date",
    ),
    "sqlite": (
        "id integer, cust integer, k integer, word text, note text collate nocase, name text collate nocase, "
        'amount integer, paid integer, income real, ratio real, "when" text, since text, flag integer, '
        "number integer, big integer",
        "cust integer, id integer, region integer, label text collate nocase, opened text",
    ),
    "postgres": (
        "id bigint, cust integer, k smallint, word text, note text, name text, amount numeric(8,2), paid numeric(8,2), "
        'income double precision, ratio double precision, "when" date, since date, flag boolean, number integer, '
        "big bigint",
        "cust integer, id bigint, region integer, label text, opened date",
    ),
}
QUERIES = {
    "by key": "select cust, count(*) as n, count(number) as m, sum(amount) as s, sum(paid) as p, min(number) as low, "
    "max(number) as high, avg(income) as i, sum(ratio) as r from t where not flag or k > 1 group by cust",
    "buckets": "select word, flag, count(*) as n, sum(number) as s, sum(income) as i, min(amount) as low "
    "from t where note like 'a%' or note is null group by word, flag",
    "totals": "select count(*) as n, count(note) as c, sum(amount) as s, sum(ratio) as r, min(number) as low, "
    "max(when) as last, max(income) as i, min(big) as b from t where k <> 2",
    "all rows": "select sum(amount) as s, max(big) as high, min(big) as low, avg(income) as i, count(*) as n from t",
    "join": "select region, sum(amount) as s, count(*) as n, max(income) as high, min(when) as first "
    "from t join o on t.cust = o.cust where k < 3 and opened < when group by region",
    "join by text": "select region, max(note) as last, min(note) as first, count(distinct number) as d "
    "from t join o on t.name = o.label group by region",
    "join by identifier": "select region, sum(number) as s from t join o on t.id = o.id group by region",
    "left join": "select t.cust as cust, max(region) as region, count(label) as n, count(*) as m "
    "from t left join o on t.cust = o.cust and region > 3 group by t.cust",
    "exists": "select cust, count(*) as n from t where exists (select * from o where o.cust = t.cust and region < 200) "
    "and not exists (select * from o where o.label = t.name) group by cust",
    "in": "select region, count(*) as n from o where cust in (select cust from t where number > 0) group by region",
    "texts": "select name, count(*) as n, sum(number - k) as z, max(flag) as f from t where name < 'b' group by name",
    "identifiers": "select sum(n) as n, max(low) as low "
    "from (select id, count(*) as n, min(income) as low from t where k <> 1 group by id) x",
    "computed": "select cust, sum(amount * (100 - k)) as s, sum(case when flag then number else -1 end) as c, "
    "max(extract(year from when)) as y, sum(income * 3 - 1) as i from t group by cust",
    "smallest floats": "select cust, min(ratio) as low, max(ratio) as high, min(ratio * 1000000000) as r "
    "from t group by cust",
    "no floats": "select min(ratio) as low, max(ratio) as high from t where big > 5 and big < 5",
    "a zero in a text": "select cust, count(*) as n from t where name <> 'a\0b' and note not like '%\0_' group by cust",
    "large": "select cust, sum((case when flag then 2000000000 else 3 end) * 2 + k) as s, "
    "sum(number * 2000000000) as z from t group by cust",
    "parts": "select substring(name from 1 for 2) as part, count(*) as n, sum(amount) as s from t group by part",
    "months": "select cust, count(*) as n from t where when + interval '40' day > date '2020-03-01' "
    "and extract(month from when) < 9 group by cust",
    "years": "select extract(year from since) as y, count(*) as n, sum(number) as s from t group by y",
    "sub-query": "select region, count(*) as n, sum(s) as s from o join (select cust, sum(amount) as s, "
    "max(number) as m from t where cust is not null group by cust having count(*) > 1) x on x.cust = o.cust "
    "group by region",
    "different": "select count(distinct number) as d, count(distinct note) as e, count(distinct word) as f from t",
    "different by key": "select cust, count(distinct note) as e, count(distinct k) as d from t group by cust",
    "distinct": "select distinct name, word from t where flag",
    "floats": "select income, count(*) as n from t group by income",
    "spread": "select cust, stddev(number) as s, variance(amount) as v from t group by cust",
    "median": "select cust, median(number) as m, sum(amount) as s, count(*) as n from t group by cust",
    "medians": "select median(income) as i, median(ratio) as r, percentile(paid, 0.25) as p, median(big) as b from t",
    "median of some": "select median(number) as m from t where not flag and k > 1",
    "percentiles": "select word, flag, percentile(amount, 0.9) as a, percentile(income, 0.125) as i, "
    "percentile(number, 0) as low, percentile(ratio, 1) as high from t where k < 3 group by word, flag",
    "median of joined": "select region, median(number) as m, percentile(big, 0.75) as b, count(distinct k) as d "
    "from t join o on t.cust = o.cust group by region",
    "median of computed": "select name, median(number + k) as m, median(case when flag then amount end) as a "
    "from t group by name",
    "median of groups": "select count(*) as n, median(s) as m, max(h) as h from (select cust, sum(amount) as s, "
    "median(number) as h from t group by cust) x",
    "first": "select amount, note, name, when from t order by amount desc, note limit 4",
    "first of some": "select cust, ratio, word, flag, number from t where k > 1 and not flag "
    "order by word desc, ratio, number desc limit 3",
    "first behind others": "select big, income, since from t order by since, income desc limit 3 offset 2",
    "first identifiers": "select count(*) as n, max(region) as m, sum(k) as s from (select id, k, name from t "
    "where amount > 0 order by k desc limit 2) x join o on x.id = o.id",
    "first joined": "select label, amount, number, opened from t join o on t.cust = o.cust where k < 3 "
    "order by opened desc, amount limit 3",
    "first groups": "select name, sum(amount) as s, count(*) as n, median(number) as m from t group by name "
    "order by s desc limit 3",
    "first by one key": "select cust, region, label from o order by cust limit 2",
    "first by a text": "select label, region from o where region < 300 order by label desc limit 2",
    "first of totals": "select sum(amount) as s, count(number) as n from (select amount, number from t "
    "order by amount desc, number limit 3) x",
    "union all": "select cust, sum(v) as s, count(*) as n, max(v) as high from (select cust, number as v from t "
    "where flag union all select cust, region as v from o where region > 3) x group by cust",
    "union": "select name from t where not flag union select label as name from o",
    "union of three": "select count(*) as n, sum(v) as s, median(v) as m from (select k as v from t where k > 1 "
    "union all select region as v from o union all select number as v from t) x",
    "union of groups": "select sum(n) as n, max(s) as s from (select cust, count(*) as n, sum(number) as s from t "
    "group by cust union all select cust, 1 as n, region as s from o) x where n > 0",
    "first of union": "select name, v from (select name, number as v from t where flag union all "
    "select label as name, region as v from o) x order by v desc, name limit 3",
    "quotients": "select cust, sum(amount / 7) as s, sum(k / (k + 1)) as r, min(amount / 0.03) as m, "
    "max((number + 1000000) / (k + 1)) as x from t group by cust",
    "quotients of floats": "select cust, sum(income / 3) as s, max(ratio / 0.7) as r, min(income / (k + 1)) as m, "
    "sum(income / k) as z, sum(income + 1) as p from t group by cust",
    "sums of floats": "select cust, sum(income + 1) as p, min(income - k) as m, max(-income) as n from t group by cust",
    "none": "select cust, count(*) as n, sum(amount) as s from t where big > 5 and big < 5 group by cust",
    "with another's": "select t.cust as cust, sum(s) as s, sum(w) as w from u join (select cust, sum(amount) as s, "
    "min(name) as first from t group by cust) t on t.cust = u.cust group by t.cust",
}
"""Queries over the tables of one owner."""


def study_of(query: str, changes: tuple[tuple[str, str], ...] = ()) -> str:
    text = TABLES + f"query q:\n    {query}\nreveal q to c\n"
    for before, after in changes:
        text = text.replace(before, after)
    return text


_TEXTS = ["", "a", "A", "ab", "Ab", "aé", "b", "é", "a_%", "it's", "a\\b"]
_FLOATS = [0.0, -0.0, 0.5, 0.1, -2.25, 1 / 3, 2**-17, 3 * 2**-17, 99999.999999, -1e-30]
_BIG = [0, 1, -1, 2**63 - 1, -(2**63), 2**62, 17]
_DAY = st.integers(0, 800).map(lambda n: date(2019, 6, 1) + timedelta(days=n)) | st.sampled_from(
    [date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1), date(2020, 2, 29)]
)


def maybe(strategy: Any) -> Any:
    return st.none() | strategy


_T = st.tuples(
    st.integers(0, 4), maybe(st.integers(-2, 3)), st.integers(0, 3), maybe(st.sampled_from(["open", "shut", "it's"])),
    maybe(st.sampled_from(_TEXTS)), st.sampled_from(_TEXTS), st.integers(-100000, 100000),
    maybe(st.sampled_from([0, 1, -1, 99999999, -99999999])), st.sampled_from(_FLOATS), maybe(st.sampled_from(_FLOATS)),
    _DAY, maybe(_DAY), st.booleans(), maybe(st.integers(-3, 3) | st.sampled_from([1000000, -1000000])),
    st.sampled_from(_BIG),
)  # fmt: skip
_O = st.tuples(
    st.permutations(range(-2, 4)), st.permutations(range(6)),
    st.lists(st.sampled_from([0, 3, 4, 300]), min_size=U, max_size=U),
    st.permutations(_TEXTS[1:]), st.lists(maybe(_DAY), min_size=U, max_size=U),
)  # fmt: skip
DATA = st.tuples(st.lists(_T, min_size=T, max_size=T), _O.map(lambda c: list(zip(*(x[:U] for x in c), strict=True))))
"""Rows of t and of o; decimals as whole numbers of their last place."""


def cells(kind: str, table: str, row: Sequence[Any]) -> list[Any]:
    """A row as a database of this kind takes it; SQLite has no decimals but whole ones."""
    money = (6, 7) if table == "t" else ()
    if kind == "sqlite":
        row = [v // 100 if i in money and v is not None else v for i, v in enumerate(row)]
        return [v.isoformat() if isinstance(v, date) else int(v) if isinstance(v, bool) else v for v in row]
    return [Decimal(v).scaleb(-2) if i in money and v is not None else v for i, v in enumerate(row)]


def fill(execute: Callable[..., Any], mark: Callable[[int], str], kind: str, data: tuple[list[Any], list[Any]]) -> None:
    """Put the rows into the tables, in place of those that were there."""
    for table, rows in zip(("t", "o"), data, strict=True):
        execute(f"delete from {table}")
        wide = len(rows[0])
        marks = ", ".join(f"({', '.join(mark(r * wide + i) for i in range(wide))})" for r in range(len(rows)))
        execute(f"insert into {table} values {marks}", [v for row in rows for v in cells(kind, table, row)])


@cache
def stage_of(query: str, changes: tuple[tuple[str, str], ...] = ()) -> tuple[Stage, tuple[InputSpec, ...]]:
    """The first stage of a study with one query, and what party a brings."""
    tree = parse(study_of(query, changes), "s")
    rows = {("a", "t"): T, ("a", "o"): U, ("b", "u"): 4}
    compiler = Compiler(tree, Bindings(rows=rows), Places(("a", "b", "c")), SCHEMES["rep3"])
    return compiler.stage(), tuple(s for s in requirements(tree) if s.party == "a")


def differences(query: str, inputs: FileInputs, changes: tuple[tuple[str, str], ...] = ()) -> tuple[int, list[str]]:
    """How many nodes the databases of party a gave, and what of them is not what the circuit says.

    changes: of the study's text.
    """
    stage, specs = stage_of(query, changes)
    timetable, nodes = stage.schedule, stage.schedule.circuit.nodes
    try:
        inputs.shapes(specs)
        assert {"t", "o"} == inputs._held.keys(), "a table does not stay in its database"
        ranks = {i: {at for at, _ in q.ranks} for q in questions(inputs, stage) for i in q.nodes}
        firsts = [q for q in questions(inputs, stage) if q.first is not None]
        fewer = {i for q in firsts if q.first.fewer or "left join" in q.statement for i in q.nodes}
        _, given = brought("a", inputs._held, SALT, stage.elaborated.circuit, timetable, {})
        arrays = {("a", *key): value for key, value in inputs.arrays(SALT).items()}
    finally:
        inputs.close()
    wanted = [int(at) for _, at in given]
    sorts = {i: sort_of(nodes, i) for i in fewer}
    values = plain.evaluate(timetable.circuit, arrays, [*wanted, *sorts.values()])
    for i in fewer & set(wanted):  # of rows that stand for nothing, or find none, only that they do must be right
        (start, stop, _), *_ = nodes[i]["parts"]
        there = ~values[sorts[i]][0][start:stop]
        shown = nodes[nodes[i].src[0]]
        if shown.op == "not" and nodes[shown.src[0]].src == (sorts[i],) and nodes[shown.src[0]]["index"] == 0:
            continue
        values[i], given[node_key(i)] = values[i][there], given[node_key(i)][there]
    return len(given), [
        f"node {i}, {nodes[i].op}: {one!r}, not {values[i]!r}"
        for i, one in zip(wanted, given.values(), strict=True)
        if not same(nodes[i].op, used(timetable.circuit, i), ranks.get(i, set()), values[i], one)
    ]


def questions(inputs: FileInputs, stage: Stage) -> list[Any]:
    return _Own("a", inputs._held, stage.elaborated.circuit, stage.schedule).choose({})[0]


def sort_of(nodes: Any, index: int) -> int:
    """The sort of whose rows a slice keeps the first."""
    while nodes[index].op != "sort_rows":
        index = nodes[index].src[0]
    return index


def used(circuit: Any, index: int) -> set[int]:
    return {n["index"] for _, n in circuit if n.op == "item" and n.src[0] == index}


def same(op: str, results: set[int], ranks: set[int], expected: Any, found: Any) -> bool:
    """Equal in what is visible; ranks are in order."""
    if op == "group_rows":
        there = expected[0]
        number = int(there.sum())
        alike = np.array_equal(there, found[0]) and bool(there[:number].all())
        for at in ranks:
            x, y = expected[at][:number], found[at][:number]
            some = (x > 0) & (y > 0)
            alike &= np.array_equal(
                np.unique(x[some], return_inverse=True)[1], np.unique(y[some], return_inverse=True)[1]
            )
        return bool(alike) and all(np.array_equal(expected[i][:number], found[i][:number]) for i in results - ranks)
    if op == "bucket_sums":
        return all(np.array_equal(x, y) for x, y in zip(expected, found, strict=True))
    return bool(np.array_equal(expected, found)) and found.shape == expected.shape
