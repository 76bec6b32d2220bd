"""Rules that rewrite a select: conditions, sub-queries and expressions to where they cost least.

For: `RULES`, `rewritten`; `joinable`, which is asked while names are bound.
Leaves to others: which source is joined first (`joins`), grouping before a join (`early`), what is seen by whom (the
circuit's types).

A part of a select is *at home* at the one source that has all its columns.  What a single owner's table decides is then
decided by that owner, in the clear, before anything is shared: a filter becomes a mask, `l_extendedprice * (1 -
l_discount)` one column, `p_type like 'PROMO%'` one bit.

Every rule takes a select and gives another with the same rows; it changes nothing of what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import (
    Attach,
    Block,
    Column,
    Derived,
    From,
    Joined,
    Ordered,
    Plan,
    Ref,
    Scan,
    Source,
    columns_of,
    mapped,
    refs,
)

__all__ = [
    "RULES",
    "Rule",
    "conditions_home",
    "expressions_home",
    "joinable",
    "keys_unique",
    "order_home",
    "rewritten",
    "subqueries_home",
]

Rule: TypeAlias = "Callable[[Block, frozenset[Column]], Block]"
"""A select and the columns that have one value for all rows, and so are at home everywhere; the select that results."""


def rewritten(block: Block, constants: Iterable[Column]) -> Block:
    """The select after all rules. constants: columns that have one value for all rows."""
    alone = (c for a in block.source.attaches if a.alone for c in a.made)
    known = frozenset([*constants, *alone])
    for rule in RULES:
        block = rule(block, known)
    return block


# ----------------------------------------------------------------------------------------------- rules


def subqueries_home(block: Block, constants: frozenset[Column]) -> Block:
    """A sub-query is attached to the rows of the one source that it refers to."""
    source = _copied(block.source)
    attaches = list(source.attaches)
    source.attaches[:] = [a for a in attaches if a.alone]
    for attach in attaches:
        if not attach.alone:
            _place_attach(source, attach, constants)
    return replace(block, source=source)


def conditions_home(block: Block, constants: frozenset[Column]) -> Block:
    """A condition on one source is a filter of that source; not on what a join may leave missing."""
    source = _copied(block.source)
    conditions = list(source.conditions)
    source.conditions[:] = []
    for condition in conditions:
        _place_condition(source, condition, constants)
    return replace(block, source=source)


def expressions_home(block: Block, constants: frozenset[Column]) -> Block:
    """The largest parts of expressions over rows that are of one source become columns computed there."""
    source = _copied(block.source)

    def local(node: Node) -> Node:
        return _local(source, node, constants)

    source.conditions[:] = map(local, source.conditions)
    source.attaches[:] = [replace(a, keys=[(local(outer), c) for outer, c in a.keys]) for a in source.attaches]
    if not block.grouped:
        items = [replace(i, value=local(i.value)) for i in block.items]
        return replace(block, source=source, items=items, windows=[one.over(local) for one in block.windows])
    keys = [(column, local(key)) for column, key in block.keys]
    measures = [m if m.argument is None else replace(m, argument=local(m.argument)) for m in block.measures]
    return replace(block, source=source, keys=keys, measures=measures)


def keys_unique(block: Block, constants: frozenset[Column]) -> Block:
    """Groups by a column of a secret table that equals the unique column of another are groups by that one.

    So there are as many of them as that table has rows at most, and it may number them in few bits.  What one party
    sees stays: that party puts its rows in order.
    """
    del constants
    swaps: dict[Column, Column] = {}
    for condition in block.source.conditions:
        if not isinstance(condition, syntax.Compare) or condition.op != "==":
            continue
        sides: tuple[Node, Node] = (condition.left, condition.right)
        columns = [side.column for side in sides if isinstance(side, Ref)]
        if len(columns) == 2:
            swaps |= {a: b for a, b in (columns, columns[::-1]) if _told_by(block.source, a, b)}
    keys = [
        (c, replace(key, column=swaps.get(key.column, key.column)) if isinstance(key, Ref) else key)
        for c, key in block.keys
    ]
    return replace(block, keys=keys)


def _told_by(source: From, column: Column, unique: Column) -> bool:
    """Whether the groups by a column are better those by a unique column that it equals."""
    here, there = _home(source, {column}), _home(source, {unique})
    if not isinstance(here, Scan) or not isinstance(there, Scan):
        return False
    if column not in here.columns or unique not in there.columns:
        return False
    x, y = here.table.columns[here.columns[column]], there.table.columns[there.columns[unique]]
    n, m = here.table.rows, there.table.rows
    fewer = not isinstance(n, int) or not isinstance(m, int) or m < n
    return fewer and x.value.type.secret and x.stype == y.stype and _unique(there, unique) and not _unique(here, column)


def _unique(scan: Scan, column: Column) -> bool:
    return (scan.columns[column],) in (*scan.table.uniques, *scan.table.declared)


def order_home(block: Block, constants: frozenset[Column]) -> Block:
    """Columns by which rows will be grouped or ordered are numbered in their order at their source."""
    del constants
    source = _copied(block.source)
    if block.grouped:
        nodes = [key for _, key in block.keys]
    else:
        asked = {column for column, _ in block.sorted}
        nodes = [i.value for i in block.items if i.column in asked or (block.distinct and not i.hidden)]
        nodes += [node for one in block.windows for node in (*one.window.partition, *(n for n, _ in one.window.order))]
    _request(source, [n.column for n in nodes if isinstance(n, Ref)])
    return replace(block, source=source)


RULES: Final[tuple[Rule, ...]] = (
    subqueries_home,  # first: conditions use the columns that these bring
    conditions_home,  # before expressions: what is left joins several sources
    expressions_home,
    keys_unique,
    order_home,  # last: it asks for columns that expressions have become
)


def joinable(plan: Plan, whole: bool) -> Block | None:
    """The select of a sub-query in `from` whose tables may stand beside those around; None where they may not.

    So may one that only picks, filters and computes: conditions and groups of the whole query then reach its tables.
    whole: its rows are made before a left join, which may leave its columns missing, but nothing that is computed.
    """
    block = plan.plan if isinstance(plan, Ordered) and plan.whole else plan
    if not isinstance(block, Block) or block.grouped or block.distinct or block.windows:
        return None
    picked = all(isinstance(i.value, Ref) for i in block.items if not i.hidden)
    return block if picked or not whole else None


# ---------------------------------------------------------------------------------------------- places


def _copied(source: From) -> From:
    """The same sources, with lists of their own."""
    sources = [_copied_source(s) for s in source.sources]
    return replace(source, sources=sources, conditions=list(source.conditions), attaches=list(source.attaches))


def _copied_source(source: Source) -> Source:
    out: Source
    match source:
        case Joined(left=left, right=right):
            out = replace(source, left=_copied(left), right=_copied(right))
        case Scan(ranked=ranked) | Derived(ranked=ranked):
            out = replace(source, ranked=list(ranked))
    out.computed, out.filters, out.attaches = list(source.computed), list(source.filters), list(source.attaches)
    return out


def _home(source: From, columns: set[Column]) -> Source | None:
    """The source that has all the columns; None if there is none, or no column."""
    if not columns:
        return None
    return next((s for s in source.sources if columns <= columns_of(s)), None)


def _place_attach(source: From, attach: Attach, constants: frozenset[Column]) -> None:
    columns = attach.outer - constants
    home = _home(source, columns)
    if home is None:
        source.attaches.append(attach)
    elif isinstance(home, Joined) and home.kind != "full" and columns <= columns_of(home.left):
        _place_attach(home.left, attach, constants)
    else:
        home.attaches.append(attach)


def _place_condition(source: From, condition: Node, constants: frozenset[Column]) -> None:
    columns = set(refs(condition)) - constants
    home = _home(source, columns)
    if home is None:
        source.conditions.append(condition)
    elif isinstance(home, Joined) and home.kind != "full" and columns <= columns_of(home.left):
        _place_condition(home.left, condition, constants)
    elif isinstance(home, Joined) and home.kind == "inner" and columns <= columns_of(home.right):
        _place_condition(home.right, condition, constants)
    else:
        home.filters.append(condition)


def _local(source: From, node: Node, constants: frozenset[Column]) -> Node:
    """The expression, its largest parts of one source each replaced by a column that is computed there."""
    if isinstance(node, Ref):
        return node
    if not isinstance(node, syntax.When | syntax.Keyword):
        home = _home(source, set(refs(node)) - constants)
        if home is not None:
            return Ref(_computed(home, node, constants), span=node.span)
    return mapped(node, lambda n: _local(source, n, constants))


def _computed(home: Source, node: Node, constants: frozenset[Column]) -> Column:
    columns = set(refs(node)) - constants
    if isinstance(home, Joined):
        # Before a join that may leave a side's columns missing only what is missing with them.
        kept = {"inner": [home.left, home.right], "left": [home.left], "full": []}[home.kind]
        for side in [home.left, home.right] if _strict(node) else kept:
            inner = _home(side, columns)
            if inner is not None:
                return _computed(inner, node, constants)
    for column, known in home.computed:
        if known == node:
            return column
    column = Column("computed")
    home.computed.append((column, node))
    return column


def _strict(node: Node) -> bool:
    """Whether the expression is missing wherever all its columns are: then it may be computed before a left join."""
    match node:
        case Ref():
            return True
        case syntax.Unary(_, operand):
            return _strict(operand)
        case syntax.Binary(_, left, right) | syntax.Compare(_, left, right):
            return _strict(left) or _strict(right)
        case syntax.Like(value=value) | syntax.Extract(value=value):
            return _strict(value)
    return False


def _request(source: From, columns: Iterable[Column]) -> None:
    """Ask the sources that have the columns for their ranks."""
    for column in dict.fromkeys(columns):
        home = _home(source, {column})
        if isinstance(home, Joined):
            for side in (home.left, home.right):
                _request(side, [column])
        elif home is not None and column not in home.ranked:
            home.ranked.append(column)
