"""Conditions, sub-queries and expressions to where they cost least: to the one source that has all their columns.

For: `settle`; `request` (the ranks of columns).
Leaves to others: which source is joined first (`joins`), what is seen by whom (the circuit's types).

What a single owner's table decides is then decided by that owner, in the clear, before anything is shared: a filter
becomes a mask, `l_extendedprice * (1 - l_discount)` one column, `p_type like 'PROMO%'` one bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import Attach, Column, From, Joined, Ref, Source, columns_of, mapped, refs

__all__ = ["request", "settle"]


def settle(source: From, expressions: Sequence[Node], constants: set[Column]) -> list[Node]:
    """Move what concerns one source of `source` into it, and return `expressions` over what the sources then have.

    constants: columns that have one value for all rows; they are at home everywhere, and what sub-queries of one row
    bring is added to them.
    """
    alone = [a for a in source.attaches if not a.keys and not a.pairs]
    constants |= {c for a in alone for c in a.made}
    tied = [a for a in source.attaches if a not in alone]
    source.attaches[:] = alone
    for attach in tied:
        _place_attach(source, attach, constants)
    conditions = list(source.conditions)
    source.conditions[:] = []
    for condition in conditions:
        _place_condition(source, condition, constants)
    source.conditions[:] = [_local(source, c, constants) for c in source.conditions]
    for attach in source.attaches:
        attach.keys[:] = [(_local(source, outer, constants), c) for outer, c in attach.keys]
    return [_local(source, e, constants) for e in expressions]


def _home(source: From, columns: set[Column]) -> Source | None:
    """The source that has all the columns; None if there is none, or no column."""
    if not columns:
        return None
    return next((s for s in source.sources if columns <= columns_of(s)), None)


def _place_attach(source: From, attach: Attach, constants: set[Column]) -> None:
    columns = attach.outer - constants
    home = _home(source, columns)
    if home is None:
        source.attaches.append(attach)
    elif isinstance(home, Joined) and columns <= columns_of(home.left):
        _place_attach(home.left, attach, constants)
    else:
        home.attaches.append(attach)


def _place_condition(source: From, condition: Node, constants: set[Column]) -> None:
    columns = set(refs(condition)) - constants
    home = _home(source, columns)
    if home is None:
        source.conditions.append(condition)
    elif isinstance(home, Joined) and columns <= columns_of(home.left):
        _place_condition(home.left, condition, constants)
    elif isinstance(home, Joined) and home.kind == "inner" and columns <= columns_of(home.right):
        _place_condition(home.right, condition, constants)
    else:
        home.filters.append(condition)


def _local(source: From, node: Node, constants: set[Column]) -> Node:
    """The expression, its largest parts of one source each replaced by a column that is computed there."""
    if isinstance(node, Ref):
        return node
    if not isinstance(node, syntax.When | syntax.Keyword):
        home = _home(source, set(refs(node)) - constants)
        if home is not None:
            return Ref(_computed(home, node, constants), span=node.span)
    return mapped(node, lambda n: _local(source, n, constants))


def _computed(home: Source, node: Node, constants: set[Column]) -> Column:
    columns = set(refs(node)) - constants
    if isinstance(home, Joined):
        sides = [home.left] if home.kind == "left" and not _strict(node) else [home.left, home.right]
        for side in sides:
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


def request(source: From, columns: Iterable[Column]) -> None:
    """Ask the sources that have the columns for their ranks."""
    for column in dict.fromkeys(columns):
        home = _home(source, {column})
        if isinstance(home, Joined):
            for side in (home.left, home.right):
                request(side, [column])
        elif home is not None and column not in home.ranked:
            home.ranked.append(column)
