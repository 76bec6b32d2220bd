"""The ranks of values, in place of the values, where only their order counts.

For: `ranked`.
Leaves to others: what asks for them (`rewrite.order_home`), sorting by them (`groups`, `ordering`).

Groups and orders of a secret table are found by comparing keys, and cost their bits: 64 for a number, hundreds for a
text. An owner of n rows numbers its different values in their order before anything is shared; the numbers have log2 n
bits.  Where nobody sees all values, they are sorted in secret for that: still far cheaper for a table of few rows that
is joined with one of many, whose rows are then grouped or ordered by the numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from dsl.query.known import interval
from dsl.query.lookups import split
from dsl.query.plan import Column
from dsl.query.relation import Context, Part, Relation, emit, full, merged, numbered, seen
from dsl.query.sorted_groups import sorting_columns
from dsl.stypes import INTEGER
from dsl.values import Array
from mpc.types import Dim, Size

__all__ = ["ranked"]

UNRANKED = frozenset({"bool", "enum", "key"})
"""Types whose values have few bits anyway, and keys, which have no order."""


def ranked(
    ctx: Context, relation: Relation, columns: Iterable[Column], sorts: Collection[Column], among: Dim
) -> Relation:
    """The relation with the ranks of those of the columns that have many bits: of all that one party sees, and of
    others where that is cheaper than to sort `among` rows by them, those of the largest relation that this is joined
    with.  sorts: the columns that rows will be sorted by; no others are ranked in secret.
    """
    ranks = dict(relation.ranks)
    all_rows = Relation(tuple(Part(p.rows, p.columns) for p in relation.parts))
    more: dict[Column, Array] = {}
    for column in columns:
        arrays = [p.columns[column] for p in relation.parts]
        viewers = seen(all_rows, [column])
        if column in ranks or viewers is None or arrays[0].stype.kind in UNRANKED or all_rows.rows == 0:
            continue
        if len(viewers) == 1 or (column in sorts and _cheaper(arrays, all_rows.rows, among)):
            ranks[column] = Column(f"rank of {column.name}")
            part = merged(ctx, all_rows, [column])
            more[ranks[column]] = _rank(ctx, full(part.columns[column], part.rows), part.rows)
    dependencies = [(frozenset([a]), frozenset([b])) for c in more for a, b in _both(ranks, c)]
    return replace(
        relation,
        parts=_beside(relation, more),
        ranks=ranks,
        dependencies=(*relation.dependencies, *dependencies),
    )


def _beside(relation: Relation, more: dict[Column, Array]) -> tuple[Part, ...]:
    """The parts, each with its rows of the columns for all of them."""
    rows = [p.rows for p in relation.parts]
    found: list[dict[Column, Array]] = [{} for _ in rows]
    for column, array in more.items():
        values = split(array.value, rows)
        masks = [None] * len(rows) if array.valid is None else split(array.valid, rows)
        for own, value, mask in zip(found, values, masks, strict=True):
            own[column] = replace(array, value=value, valid=mask)
    return tuple(replace(p, columns={**p.columns, **own}) for p, own in zip(relation.parts, found, strict=True))


def _both(ranks: dict[Column, Column], rank: Column) -> list[tuple[Column, Column]]:
    (column,) = [c for c, r in ranks.items() if r is rank]
    return [(column, rank), (rank, column)]


def _cheaper(arrays: Sequence[Array], rows: Dim, among: Dim) -> bool:
    """Whether sorting so many rows by a column's bits costs less than what its ranks' fewer bits save later."""
    if isinstance(rows, Size) or isinstance(among, Size):
        return False
    width, short = max(map(_width, arrays)), max(rows - 1, 1).bit_length()
    return rows * (width + short) < among * (width - short)


def _width(array: Array) -> int:
    """About how many bits rows are sorted by."""
    if array.stype.kind == "text":
        return 8 * array.stype.length
    known = interval(array.value)
    return 64 if known is None else max(int(known.hi - known.lo), 1).bit_length()


def _rank(ctx: Context, array: Array, rows: Dim) -> Array:
    """The number of each value among the different ones, from 0, in their order."""
    w = ctx.w
    keys = sorting_columns(ctx, array)
    place = numbered(ctx, rows)
    *ordered, order = w.builder.emit_many("sort_rows", *keys, place, keys=len(keys), descending=(False,) * len(keys))
    first = emit(ctx, "group_starts", *ordered)
    number = emit(ctx, "cumsum", first.to_int(), axis=0) - 1
    rank = emit(ctx, "reorder", number, emit(ctx, "inverse_order", order))
    if rank.type.seen_by:  # says how large it can be to who shares it; what is shared already is known to be as large
        rank = emit(ctx, "clip", rank, lo=0, hi=2**40 if isinstance(rows, Size) else rows - 1)
    return Array(rank, INTEGER.optional(array.valid is not None), array.valid)
