"""Every rule that rewrites queries: the plan before and after, against golden files; and that rules change nothing they
are given.  `--rewrite-golden` writes the files anew.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from plan_text import Names, bound, node_text, plan_text

from dsl import syntax
from dsl.node import Node
from dsl.parse import parse
from dsl.query.plan import Block, Column, Derived, From, Item, Ordered, Plan, Ref, conjuncts, outputs
from dsl.query.rewrite import RULES, Rule, joinable
from dsl.query.two_steps import LATER, in_two_steps
from dsl.source import Span

GOLDEN = Path(__file__).parent / "golden"

HOME = {
    "subqueries_home": (
        "select t.id from t, s where t.g = s.id and s.v in (select v from u where u.b)",
        "select t.id from t, s where t.g = s.id and exists (select * from u where u.g = t.v)",
        "select t.id from t, s where exists (select * from u where u.g = t.v and u.v = s.v)",
        "select t.id from t left join s on t.g = s.id where t.g in (select g from u)",
        "select t.id from t left join s on t.g = s.id where exists (select * from u where u.g = s.g)",
        "select id, (select max(d) from s) as x from t",
    ),
    "conditions_home": (
        "select t.id from t, s where t.g = s.id and t.b and s.t like 'a%'",
        "select t.id from t, s where t.g = s.id and (t.b or s.b)",
        "select t.id from t left join s on t.g = s.id where t.v > 3",
        "select t.id from t left join s on t.g = s.id where s.v > 3",
        "select t.id from t join s on t.g = s.v bounded 30 where t.b and s.b",
        "select id from t where d > (select avg(d) from s)",
        "select x.g from (select g, count(*) as n from t group by g) as x, s where x.g = s.id and x.n > 2 and s.b",
    ),
    "expressions_home": (
        "select sum(t.d * (1 - t.d)) as x, count(case when s.t like 'a%' then 1 end) as n from t, s where t.g = s.id",
        "select t.d * s.d + t.v * t.v as x from t, s where t.g = s.id",
        "select coalesce(s.v, 0) as x, s.v + 1 as y, t.v + 1 as z from t left join s on t.g = s.id",
        "select t.g + 1 as h, count(*) as n from t, s where t.g + 1 = s.id and t.v + 1 > s.v group by t.g + 1",
        "select id, 1 + 1 as two from t",
    ),
    "keys_unique": (
        "select t.g, sum(t.d) as x from t, s where t.g = s.id group by t.g order by t.g desc",
        "select t.g, t.v, s.t, count(*) as n from t, s where s.id = t.g group by t.g, t.v, s.t",
        "select s.g, count(*) as n from t, s where t.id = s.g group by s.g",
        "select t.g, count(*) as n from t left join s on t.g = s.id group by t.g",
        "select t.g, count(*) as n from t, s where t.g = s.id + 1 group by t.g",
    ),
    "order_home": (
        "select s.t, count(*) as n from t, s where t.g = s.id group by s.t",
        "select t.id, s.v from t, s where t.g = s.id order by s.v desc, t.id",
        "select distinct s.t from t, s where t.g = s.id",
        "select t.id from t left join s on t.g = s.id group by t.id",
        "select t.id, s.v from t, s where t.g = s.id",
    ),
}
"""Queries for every rule of `RULES`, by its name."""

PARTS = (
    "select count(*) as n, count(v) as c, sum(d) as s, min(f) as lo, max(f) as hi from t group by g",
    "select avg(v) as a from t",
)

FACTORS = (
    "a and b and c",
    "a or b",
    "(a and b) or (a and c)",
    "(a and b and c) or (c and d and a)",
    "(a and b) or a",
    "(a and b) or (a and c) or (a and d)",
    "not (a and b)",
)

DERIVED = (
    "select g, v + 1 as w from t where b",
    "select g, v from t where b order by v",
    "select g, v from t order by v limit 3",
    "select g, count(*) as n from t group by g",
    "select distinct g from t",
    "select t.g, s.v from t join s on t.g = s.id",
    "select g from t union all select g from s",
)

SUBQUERIES = (
    "select id from t where exists (select * from s where s.g = t.g and s.b)",
    "select id from t where exists (select * from s where s.g = t.g and s.v > t.v)",
    "select id from t where exists (select * from s where s.g = t.g and s.v <> t.v)",
    "select id from t where exists (select * from s where s.v <= t.v and s.d > t.d)",
    "select id from t where not exists (select * from s where s.b)",
    "select id from t where (g, b) in (select g, b from s)",
    "select id from t where v not in (select v from s)",
    "select id, (select sum(v) from s where s.g = t.g) as x from t",
    "select id, (select count(*) from s where s.g = t.g) as n from t",
    "select id, (select s.t from s where s.id = t.g) as x from t",
    "select id, (select v from s) as x from t",
    "select id, (select min(f) from s where s.v < t.v) as y from t",
    "select g, count(*) as n from t group by g having count(*) > (select count(*) from s where s.g = t.g)",
)


def golden(name: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("--rewrite-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def shown(query: str, before: str, after: str) -> str:
    return f"-- {query}\n\n{before.rstrip()}\n\n  becomes\n\n{after.rstrip()}\n\n\n"


def select(query: str) -> Block:
    plan = bound(query)
    plan = plan.plan if isinstance(plan, Ordered) else plan
    assert isinstance(plan, Block)
    return plan


def constants(block: Block) -> frozenset[Column]:
    return frozenset(c for a in block.source.attaches if a.alone for c in a.made)


def name(rule: Rule) -> str:
    return cast(Callable[..., Block], rule).__name__


@pytest.mark.parametrize("rule", RULES, ids=name)
def test_rule(rule: Rule, request: pytest.FixtureRequest) -> None:
    """Each rule after those before it."""
    out = []
    for query in HOME[name(rule)]:
        block = select(query)
        known = constants(block)
        for earlier in RULES[: RULES.index(rule)]:
            block = earlier(block, known)
        names = Names()
        before = plan_text(block, names)
        after = rule(block, known)
        out.append(shown(query, before, plan_text(after, names)))
        assert plan_text(block, names) == before
        assert plan_text(rule(after, known), names) == plan_text(after, names)
    golden(name(rule), "".join(out), request)


def test_rule_measures_in_two_steps(request: pytest.FixtureRequest) -> None:
    out = []
    for query in PARTS:
        block = select(query)
        assert {m.kind for m in block.measures} <= LATER.keys()
        parts, whole = in_two_steps(block.measures)
        span = block.span
        first = Block(
            block.source, [Item(m.column, "", Ref(m.column, span=span)) for m in parts], True, block.keys, parts
        )
        source = From([Derived(first, span)])
        after = Block(source, block.items, True, block.keys, whole)
        names = Names()
        out.append(shown(query, plan_text(block, names), plan_text(after, names)))
    golden("in_two_steps", "".join(out), request)


def test_rule_factors_of_conditions(request: pytest.FixtureRequest) -> None:
    out = []
    for text in FACTORS:
        (statement,) = parse(f"x = {text}\n").body
        assert isinstance(statement, syntax.Assign)
        parts: list[Node] = conjuncts(statement.value)
        out.append(shown(text, text, "\n".join(map(node_text, parts))))
    golden("factors_of_conditions", "".join(out), request)


@pytest.mark.parametrize("whole", [False, True], ids=["joinable", "joinable_before_a_left_join"])
def test_rule_sub_queries_in_from(whole: bool, request: pytest.FixtureRequest) -> None:
    out = []
    for query in DERIVED:
        plan = bound(query)
        block = joinable(plan, whole)
        names = Names()
        before = plan_text(_around(plan, Derived(plan, Span(0, 0))), names)
        out.append(shown(f"select * from ({query})", before, before if block is None else plan_text(block, names)))
    golden("joinable_before_a_left_join" if whole else "joinable", "".join(out), request)


def _around(plan: Plan, source: Derived) -> Block:
    return Block(From([source]), [Item(c, n, Ref(c, span=Span(0, 0))) for n, c in outputs(plan)])


def test_rule_sub_queries_in_expressions(request: pytest.FixtureRequest) -> None:
    golden("sub_queries", "".join(f"-- {q}\n\n{plan_text(bound(q))}\n\n" for q in SUBQUERIES), request)
