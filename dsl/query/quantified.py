"""Comparisons with any or all values of a sub-query, as columns attached to the rows that they belong to.

For: `quantified`.
Leaves to others: taking a sub-query apart, and attaching it (`subqueries`).

A value is above some others where it is above the smallest of them, and above all where it is not at most some.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal, cast

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import Among, Certain, Column, Default, Measure, Ref
from dsl.query.subqueries import (
    Sub,
    above_zero,
    aggregated,
    among,
    attach_groups,
    attach_pairs,
    bound_within,
    compared,
    one_row,
    selected,
    untied,
)

if TYPE_CHECKING:
    from dsl.query.bind import Binder

__all__ = ["quantified"]

NEGATED: Final = {"<": ">=", ">": "<=", "<=": ">", ">=": "<", "==": "!=", "!=": "=="}


def quantified(b: Binder, e: syntax.Quantified) -> Node:
    """`value op any (select …)`, or `all`: the comparison with the smallest or the largest value decides."""
    if (e.op, e.all) in {("==", False), ("!=", True)}:
        return among(b, syntax.InQuery(e.value, e.query, e.all, span=e.span))
    op = NEGATED[e.op] if e.all else e.op
    value = b.expression(e.value)
    block = one_row(bound_within(b, e.query))
    if block is not None:
        return compared(e.op, value, aggregated(b, block, e.span), e.span)
    found = _any_compared(b, op, value, e)
    return syntax.Unary("not", cast(syntax.Expression, found), span=e.span) if e.all else found


def _any_compared(b: Binder, op: str, value: Node, e: syntax.Quantified) -> Node:
    """Whether some row compares so with the value."""
    sub = untied(b, selected(b, bound_within(b, e.query), ordered=True))
    item = _one_item(b, sub, e)
    rows = Measure(Column("rows"), "rows", None, e.span)
    present = Measure(Column("present"), "count", item, e.span)
    if sub.paired:
        met = Measure(Column("rows"), "rows", None, e.span)
        attach_pairs(b, replace(sub, rest=[*sub.rest, compared(op, value, item, e.span)]), [met], e.span)
        again = untied(b, selected(b, bound_within(b, e.query), ordered=True))  # bound anew, since a plan is used once
        present = replace(present, argument=_one_item(b, again, e))
        attach_pairs(b, again, [rows, present], e.span)
        counts: list[Node] = [Ref(m.column, span=e.span) for m in (rows, present)]
        return Among(value, above_zero(met.column, e.span), *counts, span=e.span)
    ends = {"<": ["max"], "<=": ["max"], ">": ["min"], ">=": ["min"], "!=": ["min", "max"]}[op]
    limits = [Measure(Column(end), cast(Literal["min", "max"], end), item, e.span) for end in ends]
    made, _ = attach_groups(b, sub, [rows, present, *limits], e.span)
    tests = [compared(op, value, made[m.column], e.span) for m in limits]
    whole = tests[0]
    for test in tests[1:]:
        whole = syntax.Logical("or", cast(syntax.Expression, whole), cast(syntax.Expression, test), span=e.span)
    defaults = [Default(made[m.column], span=e.span) for m in (rows, present)]
    return Among(value, Certain(whole, span=e.span), *defaults, span=e.span)


def _one_item(b: Binder, sub: Sub, e: syntax.Quantified) -> Node:
    items = [i for i in sub.block.items if not i.hidden]
    if len(items) != 1:
        word = "all" if e.all else "any"
        b.w.fail("E0608", f"one column is wanted after `{word}`", e.query.span, f"it has {len(items)} columns")
    return items[0].value
