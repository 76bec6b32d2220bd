"""Grouping a relation before it is joined.

For: `Early`.
Leaves to others: when it is worth while (`joins`), the grouping (`groups`).

    sum of x over L join R on k  =  sum over L join R', where R' has for each k the sum of x over R

[eager aggregation: Yan and Larson, VLDB 1995.]  R' has each k once, so L keeps its rows, and these are fewer; and
where R belongs to one party, that party adds up in the clear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeAlias

from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.groups import determining
from dsl.query.known import interval
from dsl.query.plan import Block, Column, Ref, refs
from dsl.query.relation import Context, Part, Relation, full, packed, seen, unpacked
from dsl.query.sorted_groups import sorting_columns
from dsl.query.two_steps import LATER, in_two_steps

__all__ = ["Early"]

Group: TypeAlias = "Callable[..., Relation]"
"""`groups.grouped`."""


class Early:
    """What may group the relations of one select; `block`'s measures become those of what has been grouped."""

    def __init__(self, ctx: Context, block: Block, wanted: set[Column], group: Group) -> None:
        self.ctx = ctx
        self.block = block
        self.above = wanted
        self.group = group

    def wanted(self) -> set[Column]:
        """The columns that the select needs after all joins."""
        block = self.block
        if not block.grouped:
            shown = {c for i in block.items if i.hidden or i.column in self.above for c in refs(i.value)}
            return shown | self._all() | {c for one in block.windows for node in one.nodes for c in refs(node)}
        found = {c for _, key in block.keys for c in refs(key)}
        return found | {c for m in block.measures if m.argument is not None for c in refs(m.argument)}

    def _all(self) -> set[Column]:
        """Every row is told apart by all columns where rows are to be distinct."""
        return {c for i in self.block.items for c in refs(i.value)} if self.block.distinct else set()

    def sorted_by(self, relation: Relation, asked: Sequence[Column]) -> Collection[Column]:
        """Of columns whose order is asked for, those that rows will be sorted by; `relation` has what is known of all.

        Groups are sorted by the keys that determine all others.
        """
        if not self.block.grouped and not self.block.distinct:
            return asked
        kept, _ = determining(relation, [(c, Ref(c, span=self.block.span)) for c in asked])
        return [c for c, _ in kept]

    def arrange(self, relation: Relation) -> Relation:
        """The rows sorted by the keys of the select's groups, where the relation has them: no sort is needed then."""
        keys = self.block.keys
        if not keys or len(relation.parts) > 1 or relation.together:
            return relation
        kept, _ = determining(relation, keys)
        columns = [node.column for _, node in kept if isinstance(node, Ref)]
        if len(columns) < len(kept) or not set(columns) <= relation.columns:
            return relation
        with self.ctx.operator("sort", ", ".join(c.name for c in columns), relation) as doing:
            return doing.done(self._in_order(relation, columns), "as the groups after the joins need it")

    def _in_order(self, relation: Relation, columns: list[Column]) -> Relation:
        part = relation.parts[0]
        order = [v for c in columns for v in sorting_columns(self.ctx, full(part.columns[c], part.rows))]
        arrays = [full(a, part.rows) for a in part.columns.values()]
        payload = packed(arrays)
        visible = [] if part.visible is None else [part.visible]
        moved = self.ctx.w.builder.emit_many(
            "sort_rows", *order, *visible, *payload, keys=len(order), descending=(False,) * len(order)
        )
        values = unpacked(arrays, moved[len(order) + len(visible) :])
        mask = moved[len(order)] if visible else None
        done = Part(part.rows, dict(zip(part.columns, values, strict=True)), mask)
        return replace(relation, parts=(done,), together=tuple(columns), in_order=None, own=None)

    def fits(self, relation: Relation, rows: int) -> bool:
        """Whether sums over so many rows of a relation are known to fit, or nothing is known of what is added up.

        What is added up in two steps is known to be below the product of both steps' rows alone.
        """
        part = relation.parts[0]
        for m in self.block.measures:
            if m.argument is None or m.kind not in {"sum", "total"} or not set(refs(m.argument)) <= relation.columns:
                continue
            value = column_of(rows_of(self.ctx, part), m.argument).value
            known = interval(value)
            if known is not None and known.magnitude * rows * 2.0**value.dtype.frac >= 2.0**62:
                return False
        return True

    def found_by(self, left: Relation, right: Relation, joins: Sequence[Node], rest: Sequence[Node]) -> Relation | None:
        """The right side of a left join, grouped by what it is joined by; None where that is not better, or wrong.

        left: has each key once. A left row without any is a row too: rows are not counted.
        """
        n, m = left.rows, right.rows
        if not isinstance(n, int) or not isinstance(m, int) or any(one.kind == "rows" for one in self.block.measures):
            return None
        better = n <= m or bool(seen(right))  # a party that sees all of the rows groups them by itself
        return self.reduce(right, joins, rest) if better and self.fits(right, n * m) else None

    def reduce(self, relation: Relation, joins: Sequence[Node], rest: Sequence[Node]) -> Relation | None:
        """The relation grouped by the columns that it is joined by; None where the select's result would change."""
        block, own = self.block, relation.columns
        by = list(dict.fromkeys(n.column for n in joins if isinstance(n, Ref)))
        if not block.grouped or any(not isinstance(n, Ref) for n in joins):
            return None
        used = [*rest, *(key for _, key in block.keys)]
        if any(set(refs(node)) & own - set(by) for node in used):
            return None
        constants = set(self.ctx.constants)
        for m in block.measures:
            there = set() if m.argument is None else set(refs(m.argument)) - constants
            if m.kind not in LATER or (m.argument is not None and not (there and there <= own)):
                return None
        parts, block.measures = in_two_steps(block.measures)
        return self.group(
            self.ctx, relation, [(c, Ref(c, span=block.span)) for c in by], parts, block.span, final=False
        )
