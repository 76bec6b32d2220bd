"""Values over windows: a column for each, in rows that are sorted by the partition and the window's order.

For: `windowed`.
Leaves to others: binding them (`bind_window`), the sort and what runs down the rows (`mpc.circuits.relational_*`).

Rows are sorted once for all windows of one partition whose orders begin alike, invisible rows last.  Two columns of
truth values say where a partition begins and where rows differ from the one before in the order (`new`, `peers`); all
else is sums, extremes and copies down or up to them, in a constant number of rounds.  Nothing is opened.

Where the order leaves open which row comes first, and a value depends on it, rows are shuffled before: it would tell
whose row comes first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from dsl.convert import to_int
from dsl.node import Node
from dsl.query.expressions import column_of, rows_of
from dsl.query.measures import addable, added_up, limit_of, number
from dsl.query.ordering import without_place
from dsl.query.plan import Column, Measure, Ref, Window, Windowed, refs
from dsl.query.relation import (
    Context,
    Part,
    Relation,
    all_true,
    emit,
    full,
    merged,
    numbered,
    packed,
    unique_on,
    unpacked,
)
from dsl.query.sorted_groups import sorting_columns
from dsl.stypes import BOOLEAN, INTEGER
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import BOOL, Dim

__all__ = ["windowed"]

OPEN: Final = frozenset({"row_number", "lag", "lead", "first", "last"})
"""What depends on the order of rows that are equal in the window's order."""

NEAR: Final = 4
"""Rows off up to which the beginnings of partitions between are looked at one by one."""


def windowed(ctx: Context, relation: Relation, windows: Sequence[Windowed], needed: set[Column]) -> Relation:
    """The relation with the windows' columns, beside the columns that are needed of it."""
    for sort in _sorts(windows):
        made = {one.column for one in sort.windows}
        later = {c for one in windows if one not in sort.windows for node in one.nodes for c in refs(node)}
        text = ", ".join(dict.fromkeys(ctx.w.text(one.span) for one in sort.windows))
        with ctx.operator("window", text, relation, span=sort.windows[0].span) as doing:
            relation = doing.done(_sorted(ctx, relation, sort, needed | later), "by sorting" if sort.keys else "")
        needed = needed | made
    return relation


@dataclass(slots=True)
class _Sort:
    """Windows of one partition, and the longest of their orders."""

    partition: tuple[Node, ...]
    order: tuple[tuple[Node, bool], ...]
    windows: list[Windowed] = field(default_factory=list)

    @property
    def keys(self) -> int:
        """How many keys rows are sorted by."""
        return len(self.partition) + len(self.order)


def _sorts(windows: Sequence[Windowed]) -> list[_Sort]:
    """The sorts that all windows need, those with the longest orders first."""
    out: list[_Sort] = []
    for one in sorted(windows, key=lambda one: -len(one.window.order)):
        for sort in out:
            same = len(sort.partition) == len(one.window.partition) and all(
                node in sort.partition for node in one.window.partition
            )
            if same and sort.order[: len(one.window.order)] == one.window.order:
                sort.windows.append(one)
                break
        else:
            out.append(_Sort(one.window.partition, one.window.order, [one]))
    return out


def _sorted(ctx: Context, relation: Relation, sort: _Sort, needed: set[Column]) -> Relation:
    """The relation, its rows sorted, with the columns of the windows of one sort."""
    used = {c for one in sort.windows for node in one.nodes for c in refs(node)}
    part = merged(ctx, relation, relation.with_ranks(needed | used))
    if part.rows == 0:
        part = _of_nothing(ctx, part, sort.windows)
    else:
        part = _Running(ctx, relation, part, sort, needed).run()
    plain = [node.column for node in sort.partition if isinstance(node, Ref)]
    first = [one for one in sort.windows if one.kind == "row_number" and len(plain) == len(sort.partition)]
    uniques = (*relation.uniques, *(frozenset([*plain, one.column]) for one in first))
    ranks = {c: r for c, r in relation.ranks.items() if r in part.columns}
    return Relation((part,), uniques, relation.dependencies, ranks=ranks)


def _of_nothing(ctx: Context, part: Part, windows: Iterable[Windowed]) -> Part:
    columns = dict(part.columns)
    for one in windows:
        a = None if one.argument is None else column_of(rows_of(ctx, part), one.argument)
        if one.kind in {"lagging", "leading"}:
            columns[one.column] = full(ctx.w.const(False, BOOLEAN), 0)
        elif a is None or one.kind == "count":
            columns[one.column] = full(ctx.w.const(0, INTEGER), 0)
        else:
            columns[one.column] = number(ctx, _as_sum(one), a) if one.kind == "sum" else a
    return replace(part, columns=columns)


def _as_sum(one: Windowed) -> Measure:
    return Measure(one.column, "sum", one.argument, one.span)


@dataclass(slots=True)
class _Running:
    """One sort, and the windows' columns in its rows."""

    ctx: Context
    relation: Relation
    part: Part
    sort: _Sort
    needed: set[Column]
    columns: list[Value] = field(default_factory=list)
    """What is sorted: keys, then what else moves with the rows."""
    sorted: list[Value] = field(init=False)
    visible: Value = field(init=False)
    ends: dict[int, list[int]] = field(default_factory=dict)
    """For so many of the keys of the order, the places of the columns that tell their peers."""

    def run(self) -> Part:
        """Sort, then work out the columns."""
        ctx, part, sort = self.ctx, self.part, self.sort
        hidden = [] if part.visible is None else [~part.visible]
        self.columns, down = list(hidden), [False] * len(hidden)
        for node in sort.partition:
            down += self._key(node, descending=False)
        self.ends[0] = list(range(len(self.columns)))
        for count, (node, descending) in enumerate(sort.order, start=1):
            down += self._key(node, descending=descending)
            self.ends[count] = list(range(len(self.columns)))
        keys = len(self.columns)
        shown = [c for c in part.columns if c in self.relation.with_ranks(self.needed)]
        arrays = [full(part.columns[c], part.rows) for c in shown]
        places = [self._add(v) for v in packed(arrays)]
        arguments = [self._argument(one) for one in sort.windows]
        self._move(keys, down)
        self.visible = ~self.sorted[0] if hidden else all_true(ctx, part.rows)
        values = unpacked(arrays, [self.sorted[at] for at in places])
        columns = dict(zip(shown, values, strict=True))
        for one, (a, value, mask) in zip(sort.windows, arguments, strict=True):
            columns[one.column] = full(self._column(one, a, value, mask), part.rows)
        return Part(part.rows, columns, None if part.visible is None else self.visible)

    # -- columns that travel ---------------------------------------------------------------------

    def _key(self, node: Node, *, descending: bool) -> list[bool]:
        """Sort by this too: the directions of its columns."""
        rank = self.relation.ranks.get(node.column) if isinstance(node, Ref) else None
        by = node if rank is None else Ref(rank, span=node.span)
        key = column_of(rows_of(self.ctx, self.part), by)
        if key.stype.kind == "key" and all(node != p for p in self.sort.partition):
            helps = "keys serve equality and joins alone"
            self.ctx.w.fail("E0301", "rows are not put in the order of a key", node.span, helps)
        columns = sorting_columns(self.ctx, key)
        self.columns += columns
        # What is missing stays last: the flag that says so never descends.
        return [False] * (len(columns) - 1) + [descending]

    def _add(self, v: Value) -> int:
        """The place of a column among those that are sorted."""
        for at, known in enumerate(self.columns):
            if known.index == v.index:
                return at
        self.columns.append(v)
        return len(self.columns) - 1

    def _argument(self, one: Windowed) -> tuple[Array | None, int, int | None]:
        """A window's argument, and where its values and their mask are found; -1 where no value is needed."""
        if one.argument is None:
            return None, -1, None
        a = full(column_of(rows_of(self.ctx, self.part), one.argument), self.part.rows)
        mask = None if a.valid is None else self._add(a.valid)
        if one.kind == "count":
            return a, -1, mask
        if one.kind not in {"sum", "min", "max"}:
            return a, self._add(a.value), mask
        value = (number(self.ctx, _as_sum(one), a) if one.kind == "sum" else to_int(a)).value
        value = addable(self.ctx, value)[0] if one.kind == "sum" else value
        return a, self._add(value), mask

    def _move(self, keys: int, down: list[bool]) -> None:
        """Sort the columns."""
        operands = self.columns
        plain = [n.column for n in (*self.sort.partition, *(n for n, _ in self.sort.order)) if isinstance(n, Ref)]
        opened = any(one.kind in OPEN or one.window.frame == "rows" for one in self.sort.windows)
        if opened and not unique_on(self.relation, plain):
            first, operands, down = without_place(self.ctx, operands[:keys], operands, down)
            keys = len(first)
        if not keys:
            self.sorted = operands
            return
        done = self.ctx.w.builder.emit_many("sort_rows", *operands, keys=keys, descending=tuple(down))
        self.sorted = list(done)

    # -- where rows begin --------------------------------------------------------------------------

    def _starts(self, keys: int) -> Value:
        """Which rows differ from the one before in the partition or in the first `keys` of the order."""
        columns = [self.sorted[at] for at in self.ends[keys]]
        if not columns:
            return numbered(self.ctx, self.part.rows).equals(0)
        return emit(self.ctx, "group_starts", *columns)

    # -- values --------------------------------------------------------------------------------------

    def _column(self, one: Windowed, a: Array | None, value: int, mask: int | None) -> Array:
        new = self._starts(0)
        match one.kind:
            case "row_number" | "rank" | "dense_rank":
                return Array(self._place(one, new), INTEGER)
            case "lagging" | "leading":
                return Array(self._there(one.kind == "leading", one.offset, new), BOOLEAN)
            case "rows":
                return Array(self._added(one.window, new, self.visible), INTEGER)
        assert a is not None
        present = self.visible if mask is None else self.visible & self.sorted[mask]
        match one.kind:
            case "count":
                return Array(self._added(one.window, new, present), INTEGER)
            case "sum":
                return self._sum(one, new, a, value, present)
            case "min" | "max":
                return self._extreme(one, new, a, value, present)
        moved = replace(a, value=self.sorted[value], valid=None if mask is None else self.sorted[mask], exact=None)
        if one.kind in {"lag", "lead"}:
            return self._neighbour(one, new, moved)
        if one.kind == "last" and one.window.frame == "rows":
            return moved
        flags = new if one.kind == "first" or one.window.frame == "whole" else self._starts(len(one.window.order))
        op = "copy_down" if one.kind == "first" else "group_last"
        return unpacked([moved], self.ctx.w.builder.emit_many(op, flags, *packed([moved])))[0]

    def _place(self, one: Windowed, new: Value) -> Value:
        """The number of a row in its partition, of the first of its peers, or of them among different ones."""
        ctx = self.ctx
        place = emit(ctx, "row_number", new)
        if one.kind == "row_number":
            return place + 1
        peers = self._starts(len(one.window.order))
        if one.kind == "rank":
            return place - emit(ctx, "row_number", peers) + 1
        return self._down(new, peers)

    def _down(self, new: Value, x: Value) -> Value:
        """Sums down to each row."""
        (out,) = self.ctx.w.builder.emit_many("running_sums", new, x)
        return out

    def _to_end(self, window: Window, new: Value, x: Value) -> Value:
        """What runs down the rows, at the end of each row's frame."""
        if window.frame == "rows":
            return x
        ends = new if window.frame == "whole" else self._starts(len(window.order))
        (out,) = self.ctx.w.builder.emit_many("group_last", ends, x)
        return out

    def _added(self, window: Window, new: Value, x: Value) -> Value:
        """The sum over the frame."""
        if window.frame == "whole":
            (out,) = self.ctx.w.builder.emit_many("group_totals", new, x)
            return out
        down = self._down(new, x)
        if window.preceding is None:
            return self._to_end(window, new, down)
        before = window.preceding + 1
        zero = self.ctx.w.builder.const(np.zeros(()), down.dtype)
        there = self._there(False, before, new)
        return down - emit(self.ctx, "select", there, _off(self.ctx, down, self.part.rows, before), zero)

    def _sum(self, one: Windowed, new: Value, a: Array, value: int, present: Value) -> Array:
        ctx = self.ctx
        plain = number(ctx, _as_sum(one), a)
        _, frac = addable(ctx, plain.value)
        x = self.sorted[value]
        masked = emit(ctx, "select", present, x, ctx.w.builder.const(np.zeros(()), x.dtype))
        total = added_up(ctx, self._added(one.window, new, masked), frac)
        valid = None if a.valid is None else self._added(one.window, new, present) > 0
        return Array(total, plain.stype.optional(valid is not None), valid)

    def _extreme(self, one: Windowed, new: Value, a: Array, value: int, present: Value) -> Array:
        ctx, largest = self.ctx, one.kind == "max"
        if a.stype.kind == "text":
            helps = ["`first_value(x) over (… order by x)` is the smallest"]
            ctx.w.fail(
                "E0901", "the smallest and largest text of a window are not supported yet", one.span, helps=helps
            )
        x = emit(ctx, "select", present, self.sorted[value], limit_of(ctx, to_int(a), not largest))
        (best,) = ctx.w.builder.emit_many("running_extremes", new, x, largest=(largest,))
        best = self._to_end(one.window, new, best)
        best = best.equals(1) if a.stype.kind == "bool" and best.dtype != BOOL else best
        valid = None if a.valid is None else self._added(one.window, new, present) > 0
        return Array(best, a.stype.optional(valid is not None), valid)

    def _there(self, forward: bool, k: int, new: Value) -> Value:
        """Whether there is a row so many rows before or after in the partition."""
        ctx, rows = self.ctx, self.part.rows
        if k == 0:
            return all_true(ctx, rows)
        if not forward and k > NEAR:
            return emit(ctx, "row_number", new) >= k
        if forward and k > NEAR:
            ones = all_true(ctx, rows)
            (size,) = ctx.w.builder.emit_many("group_totals", new, ones)
            return emit(ctx, "row_number", new) + k < size
        begins = _or_first(ctx, new, rows)
        between = [_off(ctx, begins, rows, -at if forward else at, edge=True) for at in range(forward, k + forward)]
        out = between[0]
        for flag in between[1:]:
            out = out | flag
        return ~out

    def _neighbour(self, one: Windowed, new: Value, a: Array) -> Array:
        """The value so many rows before or after, missing where that is no row of the partition."""
        by = one.offset if one.kind == "lag" else -one.offset
        there = self._there(one.kind == "lead", one.offset, new)
        value = _off(self.ctx, a.value, self.part.rows, by)
        valid = there if a.valid is None else there & _off(self.ctx, a.valid, self.part.rows, by)
        return replace(a, value=value, valid=valid, stype=a.stype.optional(), exact=None)


def _or_first(ctx: Context, new: Value, rows: Dim) -> Value:
    """Where partitions begin; the first row does in any case."""
    if not isinstance(rows, int):
        return new
    below = emit(ctx, "slice", new, parts=((1, rows, 1),))
    return emit(ctx, "concat", ctx.w.builder.const(np.ones(1, np.bool_)), below, axis=0)


def _off(ctx: Context, x: Value, rows: Dim, by: int, *, edge: bool = False) -> Value:
    """Row i is row i - by of x; zero, or `edge` of truth values, where there is none."""
    if by == 0 or not isinstance(rows, int):  # checked without data: only the type matters
        return x
    away, rest = min(abs(by), rows), x.type.sizes[1:]
    filler = np.full((away, *rest), edge) if x.dtype == BOOL else np.zeros((away, *rest))
    edges = ctx.w.builder.const(filler, x.dtype)
    start, stop = (0, rows - away) if by > 0 else (away, rows)
    if start == stop:
        return edges
    kept = emit(ctx, "slice", x, parts=((start, stop, 1), *((0, d, 1) for d in rest)))
    return emit(ctx, "concat", *((edges, kept) if by > 0 else (kept, edges)), axis=0)
