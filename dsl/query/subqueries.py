"""Sub-queries in expressions, as columns attached to the rows that they belong to.

For: `exists`, `among` (`in (select …)`), `scalar`; what they have in common with `quantified`.
Leaves to others: attaching (`attach`).

A condition of the sub-query that equates an expression of its own with one of the rows around is a key: the sub-query
is grouped by it, and each row looks its group up [Kim, TODS 7(3), 1982; with outer joins, Ganski and Wong, SIGMOD
1987].  Of `exists`, one further condition that compares both is a condition on the group's largest or smallest value.
What is left compares all rows with all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import (
    Among,
    Attach,
    Block,
    Certain,
    Column,
    Default,
    Derived,
    From,
    Item,
    Measure,
    Ordered,
    Plan,
    Ref,
    Union,
    columns_of,
    mapped,
    outputs,
    refs,
)
from dsl.query.raised import raised
from dsl.source import Span

if TYPE_CHECKING:
    from dsl.query.bind import Binder

__all__ = [
    "Sub",
    "above_zero",
    "aggregated",
    "among",
    "attach_groups",
    "attach_pairs",
    "bound_within",
    "compared",
    "exists",
    "one_row",
    "scalar",
    "selected",
    "untied",
]

MIRRORED: Final = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
COUNTS: Final = frozenset({"rows", "count", "distinct"})


class _Pair(NamedTuple):
    """A comparison between the sub-query and the rows around: `inner op outer`."""

    inner: Node
    op: str
    outer: Node


@dataclass(slots=True)
class Sub:
    """A sub-query without what ties it to the rows around. keys: pairs (outer, inner) that are equal; rest: conditions
    over both that are none. free: whether what it selects or adds up is of both."""

    block: Block
    keys: list[tuple[Node, Node]] = field(default_factory=list)
    rest: list[Node] = field(default_factory=list)
    free: bool = False

    @property
    def paired(self) -> bool:
        """Whether its rows must meet all rows around, one by one."""
        return bool(self.rest) or self.free


def exists(b: Binder, e: syntax.Exists) -> Node:
    """`exists (select …)`."""
    plan = bound_within(b, e.query)
    if _tied(plan) is not None and _aggregate(plan) is not None:  # one row in any case
        return syntax.Bool(True, span=e.span)
    sub = untied(b, selected(b, plan))
    inner = _inner(sub.block)
    aside = [c for c in sub.rest if not set(refs(c)) & inner]
    sub.rest = [c for c in sub.rest if c not in aside]
    found = _some(b, sub, e.span)
    for condition in aside:  # of the rows around alone
        left, right = (cast(syntax.Expression, c) for c in (Certain(condition, span=condition.span), found))
        found = syntax.Logical("and", left, right, span=e.span)
    return found


def _some(b: Binder, sub: Sub, span: Span) -> Node:
    """Whether there is a row."""
    if not sub.rest:
        return _any_row(b, sub, span)
    pair = _pair(sub.rest[0], _inner(sub.block)) if len(sub.rest) == 1 else None
    if pair is None:
        rows = Measure(Column("rows"), "rows", None, span)
        attach_pairs(b, sub, [rows], span)
        return above_zero(rows.column, span)
    ends = {"<": ["min"], "<=": ["min"], ">": ["max"], ">=": ["max"], "!=": ["min", "max"]}[pair.op]
    measures = [Measure(Column(end), cast(Literal["min", "max"], end), pair.inner, span) for end in ends]
    made, _ = attach_groups(b, sub, measures, span)
    conditions: list[Node] = [compared(pair.op, made[m.column], pair.outer, span) for m in measures]
    whole = conditions[0]
    if len(conditions) == 2:
        left, right = (cast(syntax.Expression, c) for c in conditions)
        whole = syntax.Logical("or", left, right, span=span)
    return Certain(whole, span=span)


def _any_row(b: Binder, sub: Sub, span: Span) -> Node:
    if sub.keys:
        _, matched = attach_groups(b, sub, [], span)
        return Ref(matched, span=span)
    rows = Measure(Column("rows"), "rows", None, span)
    made, _ = attach_groups(b, sub, [rows], span)
    return above_zero(made[rows.column], span)


def only_true(e: Node | None) -> frozenset[int]:
    """The conditions `value in (select …)` within `e`, by identity, that are the same to it false or missing."""
    if isinstance(e, syntax.Logical):
        return only_true(e.left) | only_true(e.right)
    return frozenset({id(e)}) if isinstance(e, syntax.InQuery) and not e.negated else frozenset()


def among(b: Binder, e: syntax.InQuery) -> Node:
    """`value [not] in (select …)`."""
    values = [b.expression(v) for v in (e.value.items if isinstance(e.value, syntax.Tuple) else (e.value,))]
    plan = bound_within(b, e.query)
    block = one_row(plan) if len(values) == 1 else None
    if block is not None:
        return compared("!=" if e.negated else "==", values[0], aggregated(b, block, e.span), e.span)
    sub = untied(b, selected(b, plan, ordered=True))
    items = [i for i in sub.block.items if not i.hidden]
    if len(items) != len(values):
        label = f"it has {len(items)} columns"
        b.w.fail("E0608", f"{len(values)} columns are wanted after `in`", e.query.span, label)
    if sub.paired:
        found = _among_pairs(b, e, values, sub)
        return syntax.Unary("not", cast(syntax.Expression, found), span=e.span) if e.negated else found
    sub.keys += [(v, i.value) for v, i in zip(values, items, strict=True)]
    certain = len(values) if len(values) > 1 and id(e) not in b.truths else 0
    _, matched = attach_groups(b, sub, [], e.span, certain=certain)
    found = Ref(matched, span=e.span)
    if len(values) == 1 and id(e) not in b.truths:
        # How many rows there are, and how many have a value: bound anew, since a plan is used once.
        again = untied(b, selected(b, bound_within(b, e.query), ordered=True))
        item = next(i for i in again.block.items if not i.hidden)
        rows = Measure(Column("rows"), "rows", None, e.span)
        present = Measure(Column("present"), "count", item.value, e.span)
        made, _ = attach_groups(b, again, [rows, present], e.span)
        counts = [Default(made[m.column], span=e.span) for m in (rows, present)]
        found = Among(values[0], found, *counts, span=e.span)
    return syntax.Unary("not", cast(syntax.Expression, found), span=e.span) if e.negated else found


def _among_pairs(b: Binder, e: syntax.InQuery, values: Sequence[Node], sub: Sub) -> Node:
    """Whether a row that belongs to the rows around, tried with each of them, has the values."""
    if len(values) > 1 and id(e) not in b.truths:
        message = "`in` of several columns with such a condition is not supported yet, but as a condition alone"
        b.w.fail("E0901", message, e.query.span)
    items = [i for i in sub.block.items if not i.hidden]
    equal = [compared("==", i.value, v, e.span) for v, i in zip(values, items, strict=True)]
    met = Measure(Column("rows"), "rows", None, e.span)
    attach_pairs(b, replace(sub, rest=[*sub.rest, *equal]), [met], e.span)
    found = above_zero(met.column, e.span)
    if len(values) > 1:
        return found
    again = untied(b, selected(b, bound_within(b, e.query), ordered=True))
    item = next(i for i in again.block.items if not i.hidden)
    rows = Measure(Column("rows"), "rows", None, e.span)
    present = Measure(Column("present"), "count", item.value, e.span)
    attach_pairs(b, again, [rows, present], e.span)
    return Among(values[0], found, *(Ref(m.column, span=e.span) for m in (rows, present)), span=e.span)


def scalar(b: Binder, e: syntax.ScalarQuery) -> Node:
    """`(select …)` as a value."""
    plan = bound_within(b, e.query)
    shown = outputs(plan)
    if len(shown) != 1:
        b.w.fail("E0608", "a sub-query used as a value has one column", e.query.span, f"it has {len(shown)}")
    block = _aggregate(plan)
    return _single(b, plan, e.span) if block is None else aggregated(b, block, e.span)


def aggregated(b: Binder, block: Block, span: Span) -> Node:
    """The value of an aggregate of all rows that belong to each of the rows around."""
    item = next(i for i in block.items if not i.hidden)
    sub = untied(b, block)
    if sub.paired:
        attach_pairs(b, sub, block.measures, span)
        return item.value
    made, _ = attach_groups(b, sub, block.measures, span)
    counts = {m.column for m in block.measures if m.kind in COUNTS}

    def change(node: Node) -> Node:
        if isinstance(node, Ref) and node.column in made:
            there = made[node.column]
            return Default(there, span=node.span) if sub.keys and node.column in counts else there
        return mapped(node, change)

    return change(item.value)


def _single(b: Binder, plan: Plan, span: Span) -> Node:
    """The one value of a select that is no aggregate: by a unique key of its own, or because there is one row."""
    if _tied(plan) is not None:
        if not isinstance(plan, Block) or plan.grouped or plan.windows or plan.distinct:
            plan = selected(b, plan, ordered=True)
        sub = untied(b, plan)
        if sub.paired or not sub.keys:
            b.w.fail("E0901", "this condition of a sub-query used as a value is not supported yet", span)
        item = next(i for i in plan.items if not i.hidden)
        keys = [(outer, Item(Column("key"), "key", value)) for outer, value in sub.keys]
        plan.items = [*(i for _, i in keys), item]
        _attach(b, Attach(plan, [(o, i.column) for o, i in keys], [item.column], Column("matched"), span))
        return Ref(item.column, span=span)
    (_, column), *_ = outputs(plan)
    value = Measure(Column("value"), "any", Ref(column, span=span), span)
    rows = Measure(Column("rows"), "rows", None, span)
    block = Block(From([Derived(plan, span)], span=span), [], grouped=True, span=span)
    made, _ = attach_groups(b, Sub(block), [value, rows], span, single=True)
    return made[value.column]


# --------------------------------------------------------------------------------------- taking apart


def bound_within(b: Binder, query: syntax.Query) -> Plan:
    """The plan of a sub-query, which sees the names around; bound anew at each call, since a plan is used once."""
    from dsl.query.bind import bind_query

    return bind_query(b.w, query, b.names, b.names.common)


def selected(b: Binder, plan: Plan, *, ordered: bool = False) -> Block:
    """A select without groups that has a row wherever the plan has one; ordered: a limit counts, and items do."""
    if isinstance(plan, Ordered) and (plan.whole or (not ordered and plan.limit != 0 and not plan.offset)):
        plan = plan.plan
    if isinstance(plan, Block) and not plan.grouped and not plan.windows:
        return plan
    found = _raised(b, plan)
    if found is not None:
        return found
    span = plan.span
    items = [Item(Column(name), name, Ref(column, span=span)) for name, column in outputs(plan)]
    return Block(From([Derived(plan, span)], span=span), items, span=span)


def _tied(plan: Plan) -> Plan | None:
    """The select with groups, windows, an order that counts, or of several, that refers to the rows around, if any."""
    match plan:
        case Ordered(plan=inner):
            return _tied(inner)
        case Union(left=left, right=right):
            return _tied(left) or _tied(right)
        case Block():
            own = (
                {c for c, _ in plan.keys}
                | {m.column for m in plan.measures}
                | {c for a in plan.attaches for c in a.made}
                | {one.column for one in plan.windows}
            )
            above = [*plan.having, *(i.value for i in plan.items if plan.grouped)]
            above += [node for one in plan.windows for node in one.nodes if plan.grouped]
            return plan if _free(plan) or {c for node in above for c in refs(node)} - own else None


def _raised(b: Binder, plan: Plan) -> Block | None:
    """A plan that refers to the rows around as a select that is tied to them; None where it does not."""
    tied = _tied(plan)
    if tied is None:
        return None

    def untie(block: Block) -> list[tuple[Node, Node]] | None:
        sub = untied(b, block)
        return None if sub.paired else sub.keys

    found = raised(plan, untie)
    if found is None:
        message = (
            "a sub-query with groups, windows, a limit or a union that refers to the rows around by more than "
            "equalities is not supported yet"
        )
        helps = ["tie it by equalities alone, the same on all sides of a union: `where inner.key = outer.key`"]
        b.w.fail("E0901", message, tied.span, helps=helps)
    return found


def one_row(plan: Plan) -> Block | None:
    """The select, if it is an aggregate of the rows that belong to the rows around: it then has one row for each."""
    block = _aggregate(plan) if _tied(plan) is not None else None
    return block if block is not None and len(outputs(block)) == 1 else None


def _aggregate(plan: Plan) -> Block | None:
    """The select, if it is one of aggregates over all its rows: then it has one row in any case."""
    if isinstance(plan, Ordered) and plan.limit != 0 and not plan.offset:
        plan = plan.plan
    if isinstance(plan, Block) and plan.grouped and not plan.keys and not plan.having and not plan.attaches:
        return None if plan.windows else plan
    return None


def _inner(block: Block) -> set[Column]:
    return columns_of(block.source)


def _free(block: Block) -> set[Column]:
    """Columns of the rows around that a select uses, at its own level."""
    inner = _inner(block) | {one.column for one in block.windows}
    nodes = [*block.source.conditions, *(i.value for i in block.items if not block.grouped)]
    nodes += [node for one in block.windows for node in one.nodes if not block.grouped]
    nodes += [m.argument for m in block.measures if m.argument is not None] + [k for _, k in block.keys]
    return {c for node in nodes for c in refs(node)} - inner


def untied(b: Binder, block: Block) -> Sub:
    """Take the conditions that tie a select to the rows around out of it."""
    _lifted(b, block)
    inner = _inner(block)
    sub = Sub(block)
    kept: list[Node] = []
    for condition in block.source.conditions:
        if set(refs(condition)) <= inner:
            kept.append(condition)
            continue
        pair = _pair(condition, inner)
        if pair is not None and pair.op == "==":
            sub.keys.append((pair.outer, pair.inner))
        else:
            sub.rest.append(condition)
    block.source.conditions[:] = kept
    sub.free = bool(_free(block))
    return sub


def _lifted(b: Binder, block: Block) -> None:
    """Sub-queries of a select that refer to the rows around it alone become sub-queries of these."""
    for attach in list(block.source.attaches):
        if attach.outer and not attach.outer & _inner(block):
            block.source.attaches.remove(attach)
            _attach(b, attach)


def _pair(condition: Node, inner: set[Column]) -> _Pair | None:
    """A comparison of one side's expression with the other's, the inner one first."""
    if not isinstance(condition, syntax.Compare):
        return None
    left, right = set(refs(condition.left)), set(refs(condition.right))
    if left and right and left <= inner and not right & inner:
        return _Pair(condition.left, condition.op, condition.right)
    if left and right and right <= inner and not left & inner:
        return _Pair(condition.right, MIRRORED[condition.op], condition.left)
    return None


def compared(op: str, column: Node, outer: Node, span: Span) -> Node:
    """A comparison."""
    left, right = cast(syntax.Expression, column), cast(syntax.Expression, outer)
    return syntax.Compare(cast(syntax.CompareOperator, op), left, right, span=span)


def above_zero(column: Node | Column, span: Span) -> Node:
    """Whether a count is not 0."""
    count = Ref(column, span=span) if isinstance(column, Column) else column
    return compared(">", count, syntax.Int(0, span=span), span)


# ------------------------------------------------------------------------------------------ attaching


def _attach(b: Binder, attach: Attach) -> None:
    if b.attaches is None:
        b.w.fail("E0901", f"a sub-query in `{b.clause}` is not supported yet", attach.span)
    b.attaches.append(attach)


def attach_groups(
    b: Binder, sub: Sub, measures: Sequence[Measure], span: Span, *, single: bool = False, certain: int = 0
) -> tuple[dict[Column, Node], Column]:
    """Attach the sub-query, grouped by its keys; the columns that have its measures, and the one that says whether
    there is a group."""
    keys = [(Column("key"), Column("key"), inner) for _, inner in sub.keys]
    items = [Item(shown, "key", Ref(key, span=span)) for key, shown, _ in keys]
    places = {m.column: Column(m.column.name) for m in measures}
    items += [Item(places[m.column], m.column.name, Ref(m.column, span=span)) for m in measures]
    if measures or not keys:
        block = Block(sub.block.source, items, True, [(k, inner) for k, _, inner in keys], list(measures), span=span)
    else:  # rows may repeat: whether there is one is all that is asked
        items = [Item(shown, "key", inner) for _, shown, inner in keys]
        block = Block(sub.block.source, items, span=span)
    matched = Column("matched")
    pairs = [(outer, shown) for (outer, _), (_, shown, _) in zip(sub.keys, keys, strict=True)]
    rows = next((places[m.column] for m in measures if m.kind == "rows"), None) if single else None
    _attach(b, Attach(block, pairs, list(places.values()), matched, span, single=rows, certain=certain))
    return {column: Ref(place, span=span) for column, place in places.items()}, matched


def attach_pairs(b: Binder, sub: Sub, measures: Sequence[Measure], span: Span) -> None:
    """Attach measures of the rows for which all conditions hold, tried with every row around."""
    for m in measures:
        if m.kind in {"distinct", "distinct sum", "quantile"}:
            b.w.fail("E0901", "this aggregate of a sub-query with such a condition is not supported yet", m.span)
    inner = _inner(sub.block)
    equal = [compared("==", i, o, span) for o, i in sub.keys]
    conditions = [*equal, *sub.rest] or [syntax.Bool(True, span=span)]
    nodes = [*conditions, *(m.argument for m in measures if m.argument is not None)]
    used = list(dict.fromkeys(c for node in nodes for c in refs(node) if c in inner))
    items = [Item(Column(c.name), c.name, Ref(c, span=span)) for c in used]
    places = {c: Ref(i.column, span=span) for c, i in zip(used, items, strict=True)}

    def change(node: Node) -> Node:
        if isinstance(node, Ref):
            return places.get(node.column, node)
        return mapped(node, change)

    moved = [m if m.argument is None else replace(m, argument=change(m.argument)) for m in measures]
    plan = Block(sub.block.source, items, span=span)
    _attach(b, Attach(plan, [], [], Column("matched"), span, [change(c) for c in conditions], moved))
