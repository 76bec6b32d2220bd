"""Groups of rows that several owners brought: each groups its own rows first, where there can only be few groups.

For: `owners_first`.
Leaves to others: the grouping (`groups`), few public groups, of which owners add up in any case (`buckets`), grouping
before a join (`early`).

    sum of x by k over A and B  =  sum of s by k over A' and B', where A' has for each k in A the sum s of x there

A' has as many rows as k has values by what is declared of it, so that less is shared and sorted than of A; which of
these rows there are stays hidden.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, TypeAlias

from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.plan import Column, Measure, Ref, refs
from dsl.query.relation import Context, Part, Relation, seen
from dsl.query.sorted_groups import most
from dsl.query.two_steps import LATER, in_two_steps

__all__ = ["OwnersFirst", "owners_first"]

Keys: TypeAlias = "Sequence[tuple[Column, Node]]"
Group: TypeAlias = "Callable[[Context, Relation, Keys, Sequence[Measure]], Relation]"

HOW: Final = "owners group first, then by sorting"


class OwnersFirst(NamedTuple):
    """The owners' groups, the keys that they are of, and how they are grouped again."""

    relation: Relation
    inner: list[tuple[Column, Node]]
    keys: list[tuple[Column, Node]]
    measures: list[Measure]


def owners_first(
    ctx: Context, relation: Relation, keys: Keys, measures: Sequence[Measure], group: Group
) -> OwnersFirst | None:
    """Each owner's groups; None where they might be as many as its rows, or an owner cannot find them alone."""
    if len(relation.parts) < 2 or any(m.kind not in LATER for m in measures):
        return None
    used = [node for _, node in keys] + [m.argument for m in measures if m.argument is not None]
    needed = {c for node in used for c in refs(node)}
    if not all(_fewer(ctx, part, keys, needed) for part in relation.parts):
        return None
    inner = [(Column(column.name), node) for column, node in keys]
    parts, whole = in_two_steps(measures)
    alone = [replace(relation, parts=(part,), ranks={}, in_order=None, together=()) for part in relation.parts]
    done = tuple(group(ctx, one, inner, parts).parts[0] for one in alone)
    outer: list[tuple[Column, Node]] = [
        (column, Ref(c, span=node.span)) for (column, node), (c, _) in zip(keys, inner, strict=True)
    ]
    return OwnersFirst(Relation(done), inner, outer, whole)


def _fewer(ctx: Context, part: Part, keys: Keys, needed: set[Column]) -> bool:
    """Whether one owner sees all of a part that is needed, and has fewer groups in it than rows."""
    constants = {c: ctx.constants[c] for c in needed if c in ctx.constants}
    one = seen(Relation((part,)), needed)
    if one is None or len(one) != 1 or any(a.value.type.seen_by not in (None, one) for a in constants.values()):
        return False
    limit = most([column_of(rows_of(ctx, part), node) for _, node in keys])
    return limit is not None and isinstance(part.rows, int) and limit < part.rows
