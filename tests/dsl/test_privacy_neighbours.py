"""Sensitivities hold: tables that differ in one row give results that differ by no more, whatever the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.outputs import Elaborated
from dsl.parse import parse
from mpc import plain

TABLES = """party bank, shop, office
table people from bank:
    id: key unique
    sex: enum('f', 'm')
    age: int in 0..6
    score: fixed in -2..3
    debt: int?
table sales from shop:
    id: key unique
    amount: fixed in -1..4
table visits from shop rows <= 7:
    id: key
    kind: enum('a', 'b')
"""
PEOPLE, SALES, VISITS = 6, 5, 7
Row = dict[str, Any]
Data = dict[str, list[Row]]

QUERIES = [
    "select count(*) as n, sum(age) as s from people where age > 2",
    "select count(debt) as n, sum(clamp(debt, -3, 2)) as s from people",
    "select sum(coalesce(clamp(debt, -3, 2), 5)) as n, count(distinct age) as d from people",
    "select sum(clamp(score, 2, coalesce(clamp(debt, -9, 3), 0))) as s from people",
    "select sex, count(*) as n, sum(clamp(score, -1, 2)) as s from people group by sex",
    "select sex, count(distinct age) as n, sum(score) as s from people where age < 5 group by sex",
    "select sex, age > 3 as old, sum(case when score > 0 then age else -2 end) as s from people group by sex, age > 3",
    "select age, count(*) as n, sum(abs(clamp(score, -2, 1))) as s from people group by age",
    "select sex, count(*) filter (where age > 2) as n, sum(age) filter (where score > 0) as s, "
    "count(distinct age) filter (where debt > 0) as d from people group by sex",
    "select sum(clamp(score, 1, 2)) filter (where age > 2) as s, count(debt) filter (where sex = 'f') as n from people",
    "select count(*) as n, sum(amount) as s from people join sales on people.id = sales.id",
    "select sex, sum(amount) as s from people join sales on people.id = sales.id where age > 1 group by sex",
    "select sex, count(*) as n from people left join sales on people.id = sales.id where amount is null group by sex",
    "select sex, sum(coalesce(amount, 3)) as s from people left join sales on people.id = sales.id group by sex",
    "select sex, count(*) as n, sum(coalesce(amount, 3)) as s from people full join sales on people.id = sales.id "
    "and age > 1 group by sex",
    "select sex, sum(coalesce(clamp(age, 0, 6), 5)) as s from sales right join people using (id) group by sex",
    "select sex, count(*) as n from people full join visits using (id) bounded 7 group by sex",
    "select a.kind, count(*) as n from visits a left join visits b on a.id = b.id bounded 40 group by a.kind",
    "select a.sex, sum(b.age) as s from people a, people b where a.id = b.id group by a.sex",
    "select kind, count(*) as n from visits group by kind",
    "select count(*) as n, sum(a) as s from (select distinct age as a, sex from people) as z",
    "select sex, count(*) as n, sum(a) as s from (select sex, age as a from people union all "
    "select sex, clamp(age, 2, 5) from people where age > 2) as z group by sex",
    "select count(*) as n, sum(clamp(a, 0, 6)) as s from (select age as a from people union select 2 as a "
    "from sales) as z",
    "select count(*) as n, sum(clamp(c, 0, 4)) as s from (select id, count(*) as c from visits group by id) as z "
    "where c > 1",
    "select count(*) as n, sum(clamp(a, 0, 6)) as s from (select age as a, sex from people intersect "
    "select age, sex from people where score > 0) as z",
    "select count(*) as n, sum(clamp(a, 0, 6)) as s from (select age as a from people except "
    "select age from people where score > 0 and sex = 'f') as z",
    "select sum(clamp(a, 10, 16)) as s from (select sum(age) as a from people) as z",
    "select age, count(*) as n from (select age, kind, count(*) as c from people join visits on people.id = visits.id "
    "bounded 7 group by age, kind having count(*) > 1) as z group by age",
    "select count(c) as n from people left join (select id, count(*) as c from visits group by id) "
    "as z on people.id = z.id",
    "select sex, count(*) as n from visits join people on visits.id = people.id bounded 7 group by sex",
]


def person(rng: np.random.Generator) -> Row:
    debt = None if rng.random() < 0.3 else int(rng.integers(-9, 9))
    # Multiples of 1/8 are exact, so that only what a row is worth is measured.
    score = float(rng.integers(-16, 25) / 8)
    return {"sex": int(rng.integers(2)), "age": int(rng.integers(7)), "score": score, "debt": debt}


def some(rng: np.random.Generator, table: str) -> Row | None:
    """A row but for its key; None: none, where the table may have fewer."""
    if table == "people":
        return person(rng)
    if table == "sales":
        return {"amount": float(rng.integers(-8, 33) / 8)}
    return None if rng.random() < 0.3 else {"kind": int(rng.integers(2))}


def tables(rng: np.random.Generator) -> Data:
    keys = {
        "people": rng.permutation(9)[:PEOPLE],
        "sales": rng.permutation(9)[:SALES],
        "visits": rng.integers(9, size=7),
    }
    return {t: [{"id": int(k), **(some(rng, t) or {"gone": True})} for k in ids] for t, ids in keys.items()}


def neighbour(rng: np.random.Generator, data: Data) -> Data:
    table = str(rng.choice(list(data)))
    rows = list(data[table])
    at = int(rng.integers(len(rows)))
    taken = {r["id"] for i, r in enumerate(rows) if i != at} if table != "visits" else set()
    key = int(rng.choice([k for k in range(9) if k not in taken]))
    rows[at] = {"id": key, **(some(rng, table) or {"gone": True})}
    return {**data, table: rows}


def arrays(data: Data) -> dict[tuple[str, str, str], NDArray[Any]]:
    out: dict[tuple[str, str, str], NDArray[Any]] = {}
    for party, table, columns in (
        ("bank", "people", ("id", "sex", "age", "score", "debt")),
        ("shop", "sales", ("id", "amount")),
        ("shop", "visits", ("id", "kind")),
    ):
        for c in columns:
            fractions = c in ("score", "amount")
            values = [0 if r.get("gone") else r[c] or 0 for r in data[table]]
            out[party, table, c] = np.array(values, np.float64 if fractions else np.int64)
        if table == "people":
            out[party, table, "debt?"] = np.array([r["debt"] is not None for r in data[table]])
        if table == "visits":
            out[party, table, "#rows"] = np.array([not r.get("gone") for r in data[table]])
    return out


def answer(done: Elaborated, data: Data) -> dict[str, dict[tuple[Any, ...], float]]:
    """Each measure by the group's keys; what is missing counts as 0."""
    (output,) = done.outputs
    values = plain.evaluate(done.circuit, arrays(data))
    columns = {c.name: values[c.node] for c in output.columns}
    there = {c.name: values[c.valid] for c in output.columns if c.valid is not None}
    measures = [c for c in columns if c in ("n", "s", "d")]
    keys = [c for c in columns if c not in measures]
    rows = range(len(columns[measures[0]]))
    visible = None if output.visible is None else values[output.visible]
    out: dict[str, dict[tuple[Any, ...], float]] = {m: {} for m in measures}
    for i in rows:
        if visible is None or visible[i]:
            for m in measures:
                known = m not in there or there[m][i]
                out[m][tuple(columns[k][i] for k in keys)] = float(columns[m][i]) if known else 0.0
    return out


def moved(a: Mapping[Any, float], b: Mapping[Any, float]) -> tuple[float, float]:
    steps = [a.get(k, 0) - b.get(k, 0) for k in {**a, **b}]
    return sum(map(abs, steps)), math.sqrt(sum(s * s for s in steps))


def announced(query: str, mechanism: str) -> dict[str, float]:
    text = f"{TABLES}query q:\n    {query}\nreveal q to office with {mechanism}\n"
    done = elaborate(parse(text), Bindings(rows=ROWS), check=True)
    says = [n["says"].split(": sensitivity ") for _, n in done.circuit if n.op == "noise"]
    return {name: float(rest.split(",")[0]) for name, rest in says}


ROWS = {("bank", "people"): PEOPLE, ("shop", "sales"): SALES}


@pytest.mark.parametrize("query", QUERIES)
def test_one_row_moves_results_by_no_more_than_announced(query):
    total, norm = announced(query, "laplace(epsilon=1)"), announced(query, "gaussian(epsilon=1, delta=0.001)")
    done = elaborate(parse(f"{TABLES}query q:\n    {query}\nreveal q to office\n"), Bindings(rows=ROWS), check=True)
    rng = np.random.default_rng(3)
    most = dict.fromkeys(total, 0.0)
    for _ in range(150):
        data = tables(rng)
        one, other = answer(done, data), answer(done, neighbour(rng, data))
        for name in total:
            by, away = moved(one[name], other[name])
            assert by <= total[name] * 1.00001
            assert away <= norm[name] * 1.00001
            most[name] = max(most[name], by)
    # Nor is it announced far too large, where one row does not stand for many.
    if "bounded" not in query:
        assert all(most[name] >= total[name] / 4 for name in total)
