"""The ranks of an owner's values, in place of the values, where only their order counts.

For: `ranked`, `rank_of`.
Leaves to others: what asks for them (`rewrite.order_home`), sorting by them (`groups`, `ordering`).

Groups and orders of a secret table are found by comparing keys, and cost their bits: 64 for a number, hundreds for a
text. An owner of n rows numbers its different values in their order before anything is shared; the numbers have log2 n
bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dsl.query.plan import Column
from dsl.query.relation import Context, Part, Relation, emit, full, numbered, seen
from dsl.query.sorted_groups import sorting_columns
from dsl.stypes import INTEGER
from dsl.values import Array
from mpc.types import Size

__all__ = ["rank_of", "ranked"]

UNRANKED = frozenset({"bool", "enum", "key"})
"""Types whose values have few bits anyway, and keys, which have no order."""


def ranked(ctx: Context, relation: Relation, columns: Iterable[Column]) -> Relation:
    """The relation with the ranks of those of the columns that one party sees and that have many bits."""
    if len(relation.parts) > 1:
        return relation
    (part,) = relation.parts
    ranks = dict(relation.ranks)
    more: dict[Column, Array] = {}
    for column in columns:
        viewers = seen(Relation((Part(part.rows, part.columns),)), [column])
        array = part.columns[column]
        if column in ranks or viewers is None or len(viewers) != 1 or array.stype.kind in UNRANKED or part.rows == 0:
            continue
        ranks[column] = Column(f"rank of {column.name}")
        more[ranks[column]] = _rank(ctx, full(array, part.rows), part)
    dependencies = [(frozenset([a]), frozenset([b])) for c in more for a, b in _both(ranks, c)]
    return replace(
        relation,
        parts=(replace(part, columns={**part.columns, **more}),),
        ranks=ranks,
        dependencies=(*relation.dependencies, *dependencies),
    )


def _both(ranks: dict[Column, Column], rank: Column) -> list[tuple[Column, Column]]:
    (column,) = [c for c, r in ranks.items() if r is rank]
    return [(column, rank), (rank, column)]


def _rank(ctx: Context, array: Array, part: Part) -> Array:
    """The number of each value among the different ones, from 0, in their order."""
    w = ctx.w
    keys = sorting_columns(ctx, array)
    place = numbered(ctx, part.rows)
    *ordered, order = w.builder.emit_many("sort_rows", *keys, place, keys=len(keys), descending=(False,) * len(keys))
    first = emit(ctx, "group_starts", *ordered)
    number = emit(ctx, "cumsum", first.to_int(), axis=0) - 1
    _, rank = w.builder.emit_many("sort_rows", order, number, keys=1, descending=(False,))
    most = 2**40 if isinstance(part.rows, Size) else part.rows - 1
    # Says how large it can be to who shares it.
    rank = emit(ctx, "clip", rank, lo=0, hi=most)
    return Array(rank, INTEGER.optional(array.valid is not None), array.valid)


def rank_of(relation: Relation, column: Column) -> Array | None:
    """The ranks of a column's values in a relation of one part."""
    rank = relation.ranks.get(column)
    if rank is None or len(relation.parts) > 1:
        return None
    return relation.parts[0].columns.get(rank)
