"""`parley check --plan`: operators, where each is done, and that their costs are the timetable's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from runtime.check import Report, check_study
from runtime.cli import cli
from runtime.job import Job, choose
from runtime.plans import PricedOperator, print_plans

TABLES = """party a, b, c
table sales from a, b:
    shop: enum('x', 'y')
    price: decimal(2)
    person: key
table people from b:
    person: key unique
    age: int in 0..120
    name: text(20)
table goods from a, b:
    number: int unique
"""
OWN = """query q:
    select age, count(*) as n from people where name like 'A%' group by age order by n desc, age limit 3
reveal q to c
"""
JOINED = """query q:
    select age, sum(price) as total, count(*) as n
    from sales s join people p on s.person = p.person
    where name like 'A%' and price > (select avg(price) from sales)
    group by age order by total
reveal q to c
"""
SIZES = ("a:sales=40", "b:sales=30", "b:people=20", "a:goods=5", "b:goods=6")


def checked(queries: str, sizes: tuple[str, ...] = SIZES) -> Report:
    protocol, nodes, dealer = choose(("a", "b", "c"), protocol="rep3", preprocessing=None)
    job = Job(TABLES + queries, "s.parley", ("a", "b", "c"), nodes, protocol, dealer)
    return check_study(job, None, {}, sizes, plans=True)


def operators(report: Report) -> list[PricedOperator]:
    def below(one: PricedOperator) -> Iterator[PricedOperator]:
        yield one
        for inner in one.inputs:
            yield from below(inner)

    return [o for p in report.plans for top in (p.root, *p.others) for o in below(top)]


def test_a_query_over_one_owners_table_is_all_that_owners() -> None:
    found = operators(checked(OWN))
    assert [o.kind for o in found] == ["limit", "sort", "group", "rank", "filter", "scan"]
    assert {o.owners for o in found} == {("b",)}
    assert not any(o.secret or o.rounds or o.bytes for o in found)
    assert found[0].rows == "≤ 3"


def test_operators_of_a_join_say_where_they_are_done() -> None:
    found = {(o.kind, o.text): o for o in operators(checked(JOINED))}
    like = found["filter", "name like 'A%'"]
    assert (like.owners, like.secret, like.bytes) == (("b",), False, 0)
    join = found["join", "s.person = p.person"]
    assert join.secret
    assert join.rounds
    assert join.bytes
    assert join.rows == "≤ 20"  # people look up what is summed for each of them
    assert ("value", "(select avg(price) from sales)") in found


@pytest.mark.parametrize("queries", [OWN, JOINED])
def test_costs_of_operators_tables_and_opening_are_all_there_is(queries: str) -> None:
    report = checked(queries)
    (plan,) = report.plans
    assert report.cost is not None
    assert sum(o.bytes or 0 for o in operators(report)) == plan.bytes
    # Columns that are shared as they are count for their table.
    others = [c.bytes for c in report.cost.lines if c.text.startswith(("reveal", "table"))]
    assert plan.bytes is not None
    assert plan.bytes + sum(others) == sum(report.cost.bytes_sent.values())


def test_what_is_checked_is_an_operator_and_does_not_hide_later_queries() -> None:
    first = "query p:\n    select s.price from sales s join goods g on s.price = g.number\n"
    report = checked(first + JOINED)
    assert report.staged
    assert [p.name for p in report.plans] == ["p", "q"]
    assert {o.text for o in operators(report) if o.kind == "check"} == {
        "number of goods unique over its owners",
        "opens one flag: whether all that is checked holds",
    }
    assert all(p.bytes for p in report.plans)


def test_without_sizes_a_plan_is_drawn_and_says_what_is_needed() -> None:
    report = checked(JOINED, ())
    assert all(o.rounds is None for o in operators(report))
    target = Console(file=io.StringIO(), width=100)
    print_plans(report, target)
    text = target.file.getvalue()  # type: ignore[attr-defined]
    assert "join s.person = p.person" in text
    assert "a:sales, b:sales, b:people" in text
    assert "rounds" not in text


def test_the_command_gives_plans_as_a_tree_and_as_json(tmp_path: Path) -> None:
    study = tmp_path / "s.parley"
    study.write_text(TABLES + JOINED, encoding="utf-8")
    arguments = ["check", str(study), "--plan", *(x for s in SIZES for x in ("--size", s))]
    drawn = CliRunner().invoke(cli, arguments, standalone_mode=False, catch_exceptions=False, env={"COLUMNS": "100"})
    assert "└─ scan people" in drawn.output
    told = CliRunner().invoke(cli, [*arguments, "--json"], standalone_mode=False, catch_exceptions=False)
    (plan,) = json.loads(told.output)["plans"]
    top: dict[str, Any] = plan["plan"]
    assert (plan["query"], plan["line"], top["kind"], top["owners"]) == ("q", 12, "sort", [])
    assert top["secret"]
    assert top["rounds"] > 0


def test_missing_values_first_and_rows_left_out_are_in_the_plan() -> None:
    report = checked(
        "query q:\n    select shop, price from sales order by case when price > 3 then price end desc nulls first, "
        "price limit 3 offset 2\nreveal q to c\n"
    )
    texts = [(o.kind, o.text) for o in operators(report)]
    assert ("limit", "3 offset 2") in texts
    assert ("sort", "case when price > 3 then price end desc nulls first, price") in texts


def test_nothing_is_taken_for_granted_of_numbers_of_rows() -> None:
    grouped = (
        "query q:\n    select name, count(*) as n from sales s join people p on s.person = p.person group by name\n"
    )
    assert not checked(grouped + "reveal q to c\n").assumptions
