"""Queries: who computes what, what becomes of rows, and how results are used on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from evaluate import bindings_of, run, run_study
from query_run import REP3, run_shared
from query_tables import Tables, study

from dsl.compile import Compiler
from dsl.convert import encode_text
from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from dsl.query.known import interval
from mpc.circuit import Builder, Value, reachable
from mpc.op import Interval
from mpc.protocols import SCHEMES

SHOP = """party a, b, c
table sales from a, b:
    shop: enum('x', 'y')
    price: decimal(2)
    person: key
table people from b:
    person: key unique
    age: int in 0..120
"""


def shop() -> dict[str, Any]:
    def sales(rows: list[tuple[int, int, int]]) -> dict[str, Any]:
        kinds, prices, persons = (np.array(column) for column in zip(*rows, strict=True))
        return {"shop": kinds, "price": prices, "person": persons}

    people = {"person": np.array([1, 2, 3]), "age": np.array([30, 40, 50])}
    first = sales([(0, 1050, 1), (1, 250, 2), (0, 300, 9)])
    return {"a": {"sales": first}, "b": {"sales": sales([(0, 950, 1), (1, 150, 3)]), "people": people}}


def messages(query: str, tables: Tables) -> tuple[int, int]:
    """Rounds, and the largest number of elements that any value on shares has."""
    text = study(query)
    compiler = Compiler(parse(text), bindings_of(parse(text), tables.data(), {}), REP3, SCHEMES["rep3"])
    timetable = compiler.stage().schedule
    secret = [n.type.sizes for n in timetable.circuit.nodes if n.type.secret and n.op not in {"permutation"}]
    return timetable.rounds, max((int(np.prod(s)) for s in secret), default=0)


# -- owners ------------------------------------------------------------------------------------


def test_a_query_over_one_owners_tables_is_computed_by_that_owner() -> None:
    tables = Tables.of(1, 60)
    query = "select g, t, sum(d) as x, median(v) as m from s where t like 'a%' group by g, t order by x desc limit 3"
    rounds, _ = messages(query, tables)
    assert rounds == 1  # telling the result


def test_owners_add_up_their_own_rows_for_few_public_groups() -> None:
    for rows in (30, 300):
        rounds, largest = messages("select k, b, sum(d) as x, count(*) as n from t group by k, b", Tables.of(1, rows))
        assert largest < 60
        assert rounds < 30
    assert messages("select sum(d) as x, count(*) as n from t", Tables.of(1, 300)) == (2, 1)


def test_an_owner_groups_its_rows_before_they_are_joined() -> None:
    tables = Tables.of(1, 40)
    early = messages("select u.id, sum(s.d) as x from u, s where u.id = s.g group by u.id", tables)
    late = messages("select u.id, max(u.v) as y, sum(s.d) as x from u, s where u.id = s.g group by u.id", tables)
    assert early[0] < late[0]


def test_an_owner_numbers_its_keys_before_they_are_shared() -> None:
    text = study("select s.t, sum(t.d) as x from s, t where t.g = s.id group by s.t order by s.t")
    done = elaborate(parse(text), bindings_of(parse(text), Tables.of(1).data(), {}))
    b = Builder()
    b.nodes = list(done.circuit.nodes)
    needed = reachable(done.circuit, [i for i, n in done.circuit if n.op == "reveal"])
    sorts = [i for i in needed if b.nodes[i].op == "sort_rows" and b.nodes[i].type.secret]
    assert sorts
    for i in sorts:
        node = done.circuit.nodes[i]
        keys = [Value(b, k) for k in node.src[: node["keys"]]]
        assert all(k.dtype.kind == "bool" or interval(k) == Interval(0, 8) for k in keys)


NAMED = """party a, b, c
table names from a, b:
    id: int in 0..99 unique
    name: text(20)?
table sales from b, c:
    id: int in 0..99
    price: int in 0..1000
query q:
    select name, sum(price + names.id) as x from names, sales where names.id = sales.id group by name order by name desc
reveal q to a
"""


def named(rows: int) -> dict[str, Any]:
    """Of names 0..9 and 3..12, numbers 5..9 at both under other numbers, two missing."""

    def names(first: int, last: int, number: int) -> dict[str, Any]:
        numbers = range(first, last)
        words = np.array([encode_text(f"name {i}", 3) for i in numbers], np.int64)
        there = np.array([i % 7 != 4 for i in numbers])
        return {"id": number + np.arange(last - first), "name": words, "name?": there}

    def sales(numbers: np.ndarray) -> dict[str, Any]:
        return {"id": numbers % 25, "price": numbers % 1001}

    first, rest = np.split(np.arange(rows), [rows // 3])
    return {
        "a": {"names": names(0, 10, 0)},
        "b": {"names": names(5, 13, 10), "sales": sales(first)},
        "c": {"sales": sales(rest)},
    }


def test_few_texts_of_several_owners_are_numbered_before_they_meet_many_rows() -> None:
    tree = parse(NAMED)
    done = elaborate(tree, bindings_of(tree, named(300), {}))
    b = Builder()
    b.nodes = list(done.circuit.nodes)
    sorts = [n for n in done.circuit.nodes if n.op == "sort_rows" and n.type.secret]
    large = [n for n in sorts if Value(b, n.src[0]).shape == (300,)]
    assert len(sorts) > len(large) == 1, "one sort serves the groups and their order"
    keys = [Value(b, k) for k in large[0].src[: large[0]["keys"]]]
    assert all(k.ndim == 1 for k in keys), "rows are sorted by texts"


@pytest.mark.parametrize("rows", [40, 300])
def test_numbered_texts_come_back_as_texts(rows: int) -> None:
    data = named(rows)
    expected: dict[str | None, int] = {}
    for row in range(rows):
        i, price = row % 25, row % 1001
        number = i if i < 10 else i - 5
        if i < 18:
            name = None if number % 7 == 4 else f"name {number}"
            expected[name] = expected.get(name, 0) + price + i
    present = sorted((name for name in expected if name is not None), reverse=True)
    rows_found = run_shared(NAMED, data)["q"]
    assert rows_found == [{"name": name, "x": expected[name]} for name in (*present, None)]
    assert run_study(NAMED, data)["q"] == rows_found


def test_a_number_is_compared_with_a_mean_without_a_division() -> None:
    text = study("select count(*) as n from t where d > 1.5 * (select avg(d) from t)")
    done = elaborate(parse(text), bindings_of(parse(text), Tables.of(1).data(), {}))
    assert not {"div", "floordiv", "mod"} & {n.op for n in done.circuit.nodes}


def test_conditions_are_decided_where_their_columns_are() -> None:
    text = study("select count(*) as n from s, u where s.g = u.id and s.t like 'a%' and u.day >= date '2020-01-01'")
    done = elaborate(parse(text), bindings_of(parse(text), Tables.of(1).data(), {}))
    (like,) = [n for n in done.circuit.nodes if n.op == "text_like"]
    assert like.type.seen_by == frozenset("b")


# -- rows --------------------------------------------------------------------------------------


def test_a_query_keeps_a_public_size_whatever_it_drops() -> None:
    for threshold in (0, 10_000):
        text = SHOP + f"query q:\n    select price from sales where price > {threshold}\nreveal q to c\n"
        done, _ = run(text, shop())
        assert done.outputs[0].shape == (5,)


def test_what_is_revealed_has_visible_rows_alone_and_nothing_of_the_others() -> None:
    text = SHOP + "query q:\n    select price, age from sales s join people p on s.person = p.person\nreveal q to c\n"
    done, values = run(text, shop())
    (output,) = done.outputs
    visible = values[output.visible]
    assert sorted(values[output.columns[0].node][visible].tolist()) == [150, 250, 950, 1050]
    assert not values[output.columns[0].node][~visible].any()


def test_an_order_puts_visible_rows_first() -> None:
    text = SHOP + "query q:\n    select price from sales where price > 2 order by price desc\nreveal q to c\n"
    done, values = run(text, shop())
    (output,) = done.outputs
    assert values[output.visible].tolist() == [True, True, True, True, False]
    assert values[output.columns[0].node].tolist() == [1050, 950, 300, 250, 0]


def test_rows_of_equal_rank_are_not_in_the_order_of_the_tables() -> None:
    text = SHOP + "query q:\n    select shop, price from sales order by shop\nreveal q to c\n"
    done, _ = run(text, shop())
    assert "shuffle_rows" in [n.op for n in done.circuit.nodes]
    sure = SHOP + "query q:\n    select shop, count(*) as n from sales group by shop order by shop\nreveal q to c\n"
    assert "shuffle_rows" not in [n.op for n in run(sure, shop())[0].circuit.nodes]


def test_a_guard_removes_rows_before_anything_is_opened() -> None:
    query = "query q:\n    select shop, count(*) as n, sum(price) as total from sales group by shop order by shop\n"
    text = SHOP + query + "reveal q to c where n >= 3 and total > 20\n"
    for result in (run_study(text, shop()), run_shared(text, shop())):
        assert [(r["shop"], r["n"], float(r["total"])) for r in result["q"]] == [("x", 3, 23.0)]
    done, values = run(text, shop())
    total = next(c for c in done.outputs[0].columns if c.name == "total")
    assert values[total.node].tolist() == [2300, 0]


def test_a_guard_that_is_missing_removes_the_row() -> None:
    data = Tables.of(4)
    text = study("select id, v from t order by id").replace("reveal q to all", "reveal q to all where v > 0")
    want = sorted(i for i, v in zip(data.t["id"], data.t["v"], strict=True) if v is not None and v > 0)
    assert [r["id"] for r in run_study(text, data.data())["q"]] == want


def test_rows_of_a_query_are_not_revealed_in_the_order_of_the_tables() -> None:
    text = SHOP + "query q:\n    select price from sales\nreveal q to c\n"
    done, _ = run(text, shop())
    assert "shuffle_rows" in [n.op for n in done.circuit.nodes]
    own = SHOP + "query q:\n    select age from people\nreveal q to c\n"
    assert [r["age"] for r in run_study(own, shop())["q"]] == [30, 40, 50]
    data = shop()
    data["b"]["people"] = {name: column[::-1] for name, column in data["b"]["people"].items()}
    assert [r["age"] for r in run_study(own, data)["q"]] == [30, 40, 50]


# -- what is done with results -----------------------------------------------------------------


def test_a_column_of_a_query_is_an_array() -> None:
    text = SHOP + "query q:\n    select price from sales order by price desc limit 2\nreveal sum(q.price) to c as two\n"
    assert float(run_study(text, shop())["two"]) == 20.0
    assert float(run_shared(text, shop())["two"]) == 20.0


def test_compact_opens_how_many_rows_there_are() -> None:
    text = SHOP + (
        "query q:\n    select price, age from sales s join people p on s.person = p.person order by price\n"
        "people_ = compact(q)\nX = matrix(people_, age)\nreveal X to c\nreveal people_.price to c as prices\n"
    )
    for result in (run_study(text, shop()), run_shared(text, shop())):
        assert np.asarray(result["X"]).tolist() == [[50], [40], [30], [30]]
        assert [float(p) for p in result["prices"]] == [1.5, 2.5, 9.5, 10.5]


def test_a_query_uses_queries_variables_and_parameters() -> None:
    text = SHOP + (
        "param least: decimal(2) = 2.00\n"
        "query big:\n    select shop, price from sales where price > least\n"
        "many = compact(big)\n"
        "top = sum(many.price)\n"
        "query q:\n    select shop, sum(price) / top as share from many group by shop order by shop\n"
        "reveal q to c\n"
    )
    got = run_study(text, shop())["q"]
    assert [round(r["share"], 3) for r in got] == [round(23 / 25.5, 3), round(2.5 / 25.5, 3)]


def test_a_table_with_a_bound_has_rows_that_are_not_there() -> None:
    text = (
        "party a, b, c\ntable t from a rows <= 4:\n    x: int\nquery q:\n    select sum(x) as s, count(*) as n from t\n"
    )
    data = {"a": {"t": {"x": np.array([5, 7, 0, 0]), "#rows": np.array([True, True, False, False])}}}
    assert run_study(text + "reveal q to c\n", data)["q"] == [{"s": 12, "n": 2}]


def test_a_study_is_checked_without_its_data() -> None:
    text = SHOP + (
        "query q:\n    select p.age, count(*) as n, avg(price) as m, median(price) as md from sales s, people p\n"
        "    where s.person = p.person and price > (select avg(price) from sales) group by p.age order by n limit 3\n"
        "query e:\n    select shop from sales s where exists (select * from people p where p.person = s.person)\n"
        "reveal q, e to c\n"
    )
    done = elaborate(parse(text), Bindings())
    assert done.abstract
    assert [o.name for o in done.outputs] == ["q", "e"]


# -- what is promised of keys ------------------------------------------------------------------

TWO = """party a, b, c
table t from a, b:
    k: int unique
    x: int
table s from c:
    k: int
    y: int
"""


def two(ours: list[int], theirs: list[int]) -> dict[str, Any]:
    def table(keys: list[int]) -> dict[str, Any]:
        return {"k": np.array(keys), "x": 10 * np.array(keys)}

    return {"a": {"t": table(ours)}, "b": {"t": table(theirs)}, "c": {"s": {"k": np.arange(4), "y": np.arange(4)}}}


@pytest.mark.parametrize("runner", [run_study, run_shared])
def test_a_key_that_two_owners_have_ends_the_job(runner: Any) -> None:
    text = TWO + "query q:\n    select s.y, t.x from s, t where s.k = t.k order by y\nreveal q to a\n"
    assert runner(text, two([1, 2], [3, 4]))["q"] == [{"y": i, "x": 10 * i} for i in (1, 2, 3)]
    with pytest.raises(StudyError) as caught:
        runner(text, two([1, 2], [2, 4]))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0809"
    assert diagnostic.message == "k of `t` is not unique"


@pytest.mark.parametrize(("ours", "bound"), [([1, 2], 50), ([1, 3], 3)])
def test_what_ends_a_job_is_not_told_from_what_may_have(ours: list[int], bound: int) -> None:
    """A key twice, or a join of more rows than its bound: the message has both."""
    join = f"select s.y, t.x from s join t as o on s.y * 0 = o.x * 0 bounded {bound}, t where s.k = t.k"
    with pytest.raises(StudyError) as caught:
        run_study(f"{TWO}query q:\n    {join}\nreveal q to a\n", two(ours, [2, 4]))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == "k of `t` is not unique, or a join has more rows than its bound"


@pytest.mark.parametrize("read", ["reveal sum(t.x) to c as s", "reveal t.x to c as s", "reveal compact(t).x to c as s"])
def test_a_table_is_checked_that_no_query_reads(read: str) -> None:
    text = "party a, b, c\ntable t from a, b:\n    k: int\n    x: int\n    unique (k, x)\n" + read + "\n"
    assert np.sum(run_study(text, two([1, 2], [3, 4]))["s"]) == 100
    with pytest.raises(StudyError) as caught:
        run_study(text, two([1, 2], [2, 4]))
    assert [d.code for d in caught.value.diagnostics] == ["E0809"]


def test_a_table_that_is_read_and_queried_is_checked_once() -> None:
    text = TWO + "query q:\n    select s.y, t.x from s, t where s.k = t.k\nreveal q to a\nreveal sum(t.x) to a as s\n"
    done, _ = run(text, two([1, 2], [3, 4]))
    assert [n.op for n in done.circuit.nodes].count("duplicates") == 1


def test_what_was_checked_once_is_not_checked_again() -> None:
    query = "query q{0}:\n    select s.y, t.x from s, t where s.k = t.k\n"
    done, _ = run(TWO + query.format(1) + query.format(2) + "reveal q1, q2 to a\n", two([1, 2], [3, 4]))
    assert [n.op for n in done.circuit.nodes].count("duplicates") == 1
    assert [n.op for n in done.circuit.nodes].count("open") == 1


@pytest.mark.parametrize("runner", [run_study, run_shared])
def test_a_join_that_exceeds_its_bound_ends_the_job(runner: Any) -> None:
    text = study("select count(*) as n from t as x join s as y on x.g = y.g bounded {0}")
    tables = Tables.of(5)
    pairs = sum(g == h for g in tables.t["g"] for h in tables.s["g"])
    assert runner(text.replace("{0}", str(pairs)), tables.data())["q"] == [{"n": pairs}]
    with pytest.raises(StudyError) as caught:
        runner(text.replace("{0}", str(pairs - 1)), tables.data())
    assert [d.code for d in caught.value.diagnostics] == ["E0809"]


def test_a_sub_query_of_two_rows_is_no_value() -> None:
    tables = Tables.of(5)
    text = study("select id from t where g > (select g from s where id >= 0)")
    with pytest.raises(StudyError) as caught:
        run_study(text, tables.data())
    assert [d.code for d in caught.value.diagnostics] == ["E0809"]


def test_keys_are_joined_and_counted_and_never_shown() -> None:
    text = SHOP + "query q:\n    select count(distinct person) as n from sales\nreveal q to c\n"
    assert run_study(text, shop())["q"] == [{"n": 4}]


CASES = """party a, b, c
table T from a:
    Id: int
    x: int
    X: int
    "two": int
query q:
    select {0} from t
reveal q to b
"""


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ("ID, x, X", ["Id", "x", "X"]),
        ("t.id as id, T.x", ["id", "x"]),
        ('"Id", TWO, "T".x', ["Id", "two", "x"]),
        ("count(ID) as N", ["N"]),
    ],
)
def test_names_in_either_case(items: str, names: list[str]) -> None:
    done, _ = run(CASES.format(items), {"a": {"T": {n: np.arange(3) for n in ("Id", "x", "X", "two")}}})
    assert [c.name for c in done.outputs[0].columns] == names


@pytest.mark.parametrize("item", ['"id"', '"t".x', 't."ID"', "t.tWo, y"])
def test_quoted_names_are_exact(item: str) -> None:
    with pytest.raises(StudyError) as caught:
        run(CASES.format(item), {"a": {"T": {n: np.arange(3) for n in ("Id", "x", "X", "two")}}})
    assert [d.code for d in caught.value.diagnostics] == ["E0603"]


def test_of_two_names_in_other_cases_neither_is_meant() -> None:
    data = {"a": {"T": {n: np.arange(3) for n in ("Id", "x", "xY", "Xy", "two")}}}
    with pytest.raises(StudyError) as caught:
        run(CASES.replace("X: int", "xY: int\n    Xy: int").format("XY"), data)
    assert [d.code for d in caught.value.diagnostics] == ["E0603"]


@pytest.mark.parametrize("pattern", ["'a!' escape '!'", "'a' escape 'ab'", "'a' escape t.two"])
def test_an_escape_is_one_character_before_another(pattern: str) -> None:
    data = {"a": {"T": {n: np.arange(3) for n in ("Id", "x", "X", "two")}}}
    with pytest.raises(StudyError) as caught:
        run(CASES.format(f"'b' like {pattern} as b"), data)
    assert [d.code for d in caught.value.diagnostics] == ["E0601"]
