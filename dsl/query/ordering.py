"""Rows in order, and the first of them.

For: `ordered`, `limited`.

Invisible rows come last, and what is missing after all values, in either direction.  Where the keys leave an order
open, it is not that of the tables: that would tell whose row comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.plan import Column, Ref
from dsl.query.relation import Context, Part, Relation, front, full, merged, moved, packed, unique_on, unpacked
from dsl.query.sorted_groups import sorting_columns
from dsl.syntax import IsNull
from mpc.circuit import Value
from mpc.types import Dim, Size, meet

__all__ = ["limited", "ordered", "without_place"]


def ordered(ctx: Context, relation: Relation, order: Sequence[tuple[Node, bool]], wanted: set[Column]) -> Relation:
    """The rows in order, with the columns that are wanted.

    Rows that stand in the order of the last of the keys already are sorted by the others alone: sorting is stable.
    Behind keys that tell all rows apart others decide nothing.
    """
    part = merged(ctx, relation)
    order = _deciding(relation, part, [key for key in order if not _always_there(part, key[0])])
    whole = unique_on(relation, [n.column for n, _ in order if isinstance(n, Ref)])
    left = _unsorted(relation, order) if whole else len(order)
    if left == 0:
        return _in_order_already(ctx, relation, part, wanted)
    keys: list[Value] = [] if part.visible is None else [~part.visible]
    down = [False] * len(keys)
    for node, descending in order[:left]:
        rank = relation.ranks.get(node.column) if isinstance(node, Ref) else None
        by = node if rank is None else Ref(rank, span=node.span)
        key = column_of(rows_of(ctx, part), by)
        if key.stype.kind == "key":
            ctx.w.fail(
                "E0301", "rows are not put in the order of a key", node.span, "keys serve equality and joins alone"
            )
        columns = sorting_columns(ctx, key)
        keys += columns
        # What is missing stays last: the flag that says so never descends.
        down += [False] * (len(columns) - 1) + [descending]
    names = [c for c in part.columns if c in wanted]
    arrays = [full(part.columns[c], part.rows) for c in names]
    payload = packed(arrays)
    places: list[int] = []
    operands = list(keys)
    for v in payload:
        known = next((i for i, k in enumerate(operands) if k.index == v.index), None)
        if known is None:
            operands.append(v)
        places.append(len(operands) - 1 if known is None else known)
    if not whole:
        keys, operands, down = without_place(ctx, keys, operands, down)
    done = ctx.w.builder.emit_many("sort_rows", *operands, keys=len(keys), descending=tuple(down))
    values = unpacked(arrays, [done[at] for at in places])
    visible = None if part.visible is None else ~done[0]
    rows = Part(part.rows, dict(zip(names, values, strict=True)), visible)
    return replace(relation, parts=(rows,), ordered=True, in_order=None, ranks=_left(relation, rows))


def _always_there(part: Part, node: Node) -> bool:
    """Whether a key says that a value is there where none is missing."""
    value: Node | None = node.value if isinstance(node, IsNull) else None
    return isinstance(value, Ref) and part.columns[value.column].valid is None


def _deciding(relation: Relation, part: Part, order: Sequence[tuple[Node, bool]]) -> Sequence[tuple[Node, bool]]:
    """The first of the keys, as many as tell all rows apart; what may be missing tells none apart."""
    columns: list[Column] = []
    for at, (node, _) in enumerate(order):
        if unique_on(relation, columns):
            return order[:at]
        if isinstance(node, Ref) and part.columns[node.column].valid is None:
            columns.append(node.column)
    return order


def _unsorted(relation: Relation, order: Sequence[tuple[Node, bool]]) -> int:
    """How many of the keys, from the first on, the rows must still be sorted by."""
    if relation.in_order is None:
        return len(order)
    asked = [(n.column if isinstance(n, Ref) else None, down) for n, down in order]
    known = relation.in_order.by
    return next(at for at in range(len(order) + 1) if tuple(asked[at:]) == known[: len(order) - at])


def _in_order_already(ctx: Context, relation: Relation, part: Part, wanted: set[Column]) -> Relation:
    """Rows that stand in order, the visible ones first."""
    part = replace(part, columns={c: a for c, a in part.columns.items() if c in wanted})
    first = None if relation.in_order is None else relation.in_order.first.index
    if part.visible is not None and part.visible.index != first:
        part = front(ctx, part)
    return replace(relation, parts=(part,), ordered=True, ranks=_left(relation, part))


def _left(relation: Relation, part: Part) -> dict[Column, Column]:
    """The ranks that are still there."""
    return {column: rank for column, rank in relation.ranks.items() if rank in part.columns}


def without_place(
    ctx: Context, keys: list[Value], operands: list[Value], down: list[bool]
) -> tuple[list[Value], list[Value], list[bool]]:
    """What is sorted, so that the order of rows with equal keys does not show whose rows they were.

    Secret rows are shuffled before; rows that one party sees are ordered by all that they hold.
    """
    if meet(v.type.seen_by for v in operands) == frozenset():
        shuffled = list(ctx.w.builder.emit_many("shuffle_rows", *operands))
        return shuffled[: len(keys)], shuffled, down
    return operands, operands, down + [False] * (len(operands) - len(keys))


def limited(ctx: Context, relation: Relation, limit: int | None, offset: int = 0) -> Relation:
    """`limit` rows (None: all) behind the first `offset`; any where there is no order."""
    part = merged(ctx, relation)
    last = None if limit is None else offset + limit
    if not relation.ordered:
        part = front(ctx, part, last)
    rows = part.rows
    if isinstance(rows, int):
        start, stop = min(offset, rows), rows if last is None else min(rows, last)
        if (start, stop) == (0, rows):
            return replace(relation, parts=(part,))
        shape: tuple[int, Dim] = (start, stop)
        left: Dim = stop - start
    else:
        # Checked without data: the number of rows has a name, and a slice begins where there are rows for certain.
        left = Size.named(f"min({rows}, {'all' if limit is None else limit})")
        shape = (0, left)

    def kept(value: Value) -> Value:
        return value.builder.emit("slice", value, parts=((*shape, 1), *((0, d, 1) for d in value.shape[1:])))

    return replace(relation, parts=(replace(moved(part, kept), rows=left),))
