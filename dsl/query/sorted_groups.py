"""Groups of rows that are sorted by the keys, and by a value where a measure needs its order.

For: `by_sorting`, `most`, `quantile_of_one`.
Leaves to others: the sort and the sums of groups (`mpc.circuits.relational_sort`, `…_group`, `…_scan`).

Groups come out in the order of their keys, whatever else the rows were sorted by.  So measures that need another order
are taken in a pass of their own, and their results stand in the same rows.

A quantile at q = a / 10^k lies between two rows of its group: with c rows, at a (c - 1) / 10^k.  These two are weighed
in whole numbers, so a quantile of exact numbers is exact, with k places more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from dsl.convert import to_int
from dsl.query.expressions import column_of, rows_of
from dsl.query.known import interval
from dsl.query.measures import addable, added_up, addends, limit_of, number
from dsl.query.plan import Column, Measure
from dsl.query.relation import Context, Part, all_true, emit, numbered
from dsl.stypes import INTEGER, SType, decimal
from dsl.values import Array
from mpc.circuit import Value
from mpc.types import BOOL, Dim

__all__ = ["Groups", "by_sorting", "most", "quantile_of_one", "sorting_columns"]


class Groups(NamedTuple):
    """A row for each group, the groups first: which rows are groups, their keys, their measures."""

    rows: Dim
    there: Value
    keys: list[Array]
    measures: dict[Column, Array]


def most(keys: Sequence[Array]) -> int | None:
    """The largest number of groups that the keys' declared values allow; None when that is not known."""
    total = 1
    for key in keys:
        if key.stype.kind == "bool":
            size = 2
        elif key.stype.kind == "enum":
            size = len(key.stype.words)
        else:
            known = interval(key.value) if key.stype.kind in {"int", "decimal", "date"} else None
            if known is None:
                return None
            size = int(known.hi - known.lo) + 1
        total *= size + key.stype.nullable
        if total > 1 << 40:
            return None
    return total


def by_sorting(
    ctx: Context,
    part: Part,
    keys: Sequence[Array],
    measures: Sequence[Measure],
    limit: int | None,
    *,
    descending: Sequence[bool] = (),
    together: bool = False,
) -> Groups:
    """The groups of a part's visible rows, at most `limit` of them, in the order of their keys.

    descending: for each key; none is, when nothing is said. together: rows of a group stand together, so that no sort
    is needed where no measure wants one.
    """
    orders: list[Measure] = []
    for m in measures:
        if _ordering(ctx, part, m) and all(o.argument != m.argument for o in orders):
            orders.append(m)
    passes: list[list[Measure]] = [[] for _ in range(max(1, len(orders)))]
    for m in measures:
        same = [i for i, o in enumerate(orders) if o.argument == m.argument]
        passes[same[0] if same and m.kind in BY_ORDER else 0].append(m)
    first: Groups | None = None
    found: dict[Column, Array] = {}
    for at, mine in enumerate(passes):
        order = orders[at] if orders else None
        down = list(descending) or [False] * len(keys)
        groups = _Pass(ctx, part, list(keys), down, order, mine, limit, together and not orders).run()
        first = first or groups
        found |= groups.measures
    assert first is not None
    return first._replace(measures=found)


BY_ORDER: Final = frozenset({"distinct", "distinct sum", "quantile", "min", "max"})
"""Measures that rows in the order of their argument serve."""


def _ordering(ctx: Context, part: Part, m: Measure) -> bool:
    """Whether a measure needs the rows sorted by its argument: extremes of numbers are found without."""
    if m.kind in {"distinct", "distinct sum", "quantile"}:
        return True
    if m.kind not in {"min", "max"}:
        return False
    assert m.argument is not None
    a = column_of(rows_of(ctx, part), m.argument)
    return a.stype.kind in {"text", "bool"}


_Finish: TypeAlias = Callable[[Sequence[Value]], Array]
"""Makes a measure of the combined columns."""


@dataclass(slots=True)
class _Pass:
    """One sort and the measures taken in it."""

    ctx: Context
    part: Part
    keys: list[Array]
    descending: list[bool]
    order: Measure | None
    measures: list[Measure]
    limit: int | None
    together: bool = False
    columns: list[Value] = field(default_factory=list)
    """What is sorted: keys, then the columns of measures."""
    how: list[str] = field(default_factory=list)
    taken: list[Value] = field(default_factory=list)
    """What `group_rows` combines, and how."""
    new: Value = field(init=False)
    visible: Value = field(init=False)
    sorted: list[Value] = field(init=False)

    def run(self) -> Groups:
        """Sort, then combine."""
        ctx, part = self.ctx, self.part
        hidden = [] if part.visible is None else [~part.visible]
        flat = [sorting_columns(ctx, key) for key in self.keys]
        self.columns = [*hidden, *(v for columns in flat for v in columns)]
        # What is missing stays last: the flag that says so never descends.
        down = [False] * len(hidden)
        for columns, descends in zip(flat, self.descending, strict=True):
            down += [False] * (len(columns) - 1) + [descends]
        group_keys = len(self.columns)
        argument = None if self.order is None else self._argument(self.order)
        if argument is not None:
            self.columns += sorting_columns(ctx, argument)
        sort_keys = len(self.columns)
        inputs = [self._inputs(m) for m in self.measures]
        self.sorted = self._moved(down + [False] * (sort_keys - group_keys))
        self.visible = ~self.sorted[0] if hidden else all_true(ctx, part.rows)
        self.new = self._starts(self.sorted[:group_keys])
        places = [self._combine("last", v) for v in self.sorted[len(hidden) : group_keys]]
        outputs = [self._measure(m, at, sort_keys) for m, at in zip(self.measures, inputs, strict=True)]
        attrs = {} if self.limit is None else {"rows": self.limit}
        there, *results = ctx.w.builder.emit_many(
            "group_rows", self.new, self.visible, *self.taken, how=tuple(self.how), **attrs
        )
        keys = self._keys([results[i] for i in places])
        measures = {m.column: finish(results) for m, finish in zip(self.measures, outputs, strict=True)}
        return Groups(there.shape[0], there, keys, measures)

    def _moved(self, descending: Sequence[bool]) -> list[Value]:
        """The columns with the rows of each group together, invisible rows last; a direction for each key."""
        keys = len(descending)
        if self.together and self.part.visible is not None:
            visible, *moved = self.ctx.w.builder.emit_many("front_rows", self.part.visible, *self.columns[1:])
            return [~visible, *moved]
        if not keys or self.together:
            return list(self.columns)
        return list(self.ctx.w.builder.emit_many("sort_rows", *self.columns, keys=keys, descending=tuple(descending)))

    # -- columns that travel ---------------------------------------------------------------------

    def _argument(self, m: Measure) -> Array:
        assert m.argument is not None
        return to_int(column_of(rows_of(self.ctx, self.part), m.argument))

    def _add(self, v: Value) -> int:
        """The place of a column among those that are sorted."""
        for at, known in enumerate(self.columns):
            if known.index == v.index:
                return at
        self.columns.append(v)
        return len(self.columns) - 1

    def _inputs(self, m: Measure) -> tuple[int, int | None]:
        """Where the measure's argument and its mask are found; -1: it is 0 throughout or not needed."""
        if m.argument is None:
            return -1, None
        whole = column_of(rows_of(self.ctx, self.part), m.argument)
        a = to_int(whole)
        mask = None if a.valid is None else self._add(a.valid)
        if m.kind == "count" or (a.value.is_const and not a.value.constant.any()):
            return -1, mask
        if m.kind in {"sum", "total"}:
            return self._add(addends(self.ctx, a.value, a.valid)[0]), mask
        return self._add(a.value), mask

    def _starts(self, keys: Sequence[Value]) -> Value:
        if not keys:
            return numbered(self.ctx, self.part.rows).equals(0)
        return emit(self.ctx, "group_starts", *keys)

    def _combine(self, how: str, v: Value | None = None) -> int:
        """The place of a combined column among the results."""
        self.how.append(how)
        if v is not None:
            self.taken.append(v)
        return len(self.how) - 1

    def _keys(self, values: Sequence[Value]) -> list[Array]:
        left = iter(values)
        out = []
        for key in self.keys:
            valid = None if key.valid is None else ~next(left)
            out.append(replace(key, value=next(left), valid=valid, exact=None))
        return out

    # -- measures --------------------------------------------------------------------------------

    def _measure(self, m: Measure, at: tuple[int, int | None], order: int) -> _Finish:
        ctx = self.ctx
        if m.argument is None:
            size = self._combine("size")
            return lambda r: Array(r[size], INTEGER)
        whole = column_of(rows_of(ctx, self.part), m.argument)
        value, mask = at
        present = self.visible if mask is None else self.visible & self.sorted[mask]
        match m.kind:
            case "count":
                counted = self._combine("size") if mask is None else self._combine("sum", present)
                return lambda r: Array(r[counted], INTEGER)
            case "sum" | "total":
                return self._sum(m, whole, value, None if m.kind == "total" else mask, present)
            case "any":
                return self._any(whole, value, mask)
            case "distinct":
                fresh = emit(ctx, "group_starts", *self.sorted[:order]) & present
                different = self._combine("sum", fresh)
                return lambda r: Array(r[different], INTEGER)
            case "distinct sum":
                fresh = emit(ctx, "group_starts", *self.sorted[:order]) & present
                x = self.sorted[value] if value >= 0 else to_int(whole).value.broadcast_to((self.part.rows,))
                some = self._combine("sum", present)
                added = self._combine("sum", _masked(ctx, fresh, x))
                stype = number(ctx, m, whole).stype.optional()
                return lambda r: Array(r[added], stype, r[some] > 0)
            case "quantile":
                return self._quantile(m, whole, value, mask, present)
        return self._extreme(m, whole, value, mask, present)

    def _sum(self, m: Measure, whole: Array, value: int, mask: int | None, present: Value) -> _Finish:
        stype = number(self.ctx, m, whole).stype
        some = None if mask is None else self._combine("sum", present)
        if value < 0:
            zero = self.ctx.w.builder.const(np.zeros(()), whole.value.dtype)

            def none(r: Sequence[Value]) -> Array:
                rows = r[0].shape[0] if r else 1
                valid = None if some is None else r[some] > 0
                return Array(zero.broadcast_to((rows,)), stype.optional(valid is not None), valid)

            return none
        added = self._combine("sum", self.sorted[value])
        _, frac = addable(self.ctx, to_int(whole).value)

        def finish(r: Sequence[Value]) -> Array:
            valid = None if some is None else r[some] > 0
            return Array(added_up(self.ctx, r[added], frac), stype.optional(valid is not None), valid)

        return finish

    def _any(self, whole: Array, value: int, mask: int | None) -> _Finish:
        there = None if mask is None else self._combine("last", self.sorted[mask])
        if value < 0:
            x = to_int(whole).value
            zero = self.ctx.w.builder.const(np.zeros(()), x.dtype)

            def none(r: Sequence[Value]) -> Array:
                rows = zero.broadcast_to((r[0].shape[0], *x.shape[1:]))
                return _typed(whole, rows, None if there is None else r[there])

            return none
        last = self._combine("last", self.sorted[value])
        return lambda r: _typed(whole, r[last], None if there is None else r[there])

    def _extreme(self, m: Measure, whole: Array, value: int, mask: int | None, present: Value) -> _Finish:
        """By the order of rows where they are sorted by the argument, by a scan otherwise."""
        ctx, largest = self.ctx, m.kind == "max"
        x = self.sorted[value] if value >= 0 else to_int(whole).value
        some = None if mask is None else self._combine("sum", present)
        if self.order is not None and self.order.argument == m.argument:
            if largest and mask is not None:
                x = _masked(ctx, self._last_present(present), x)
                best = self._combine("sum", x)
            else:
                best = self._combine("last" if largest else "first", x)
        else:
            if mask is not None:
                x = emit(ctx, "select", present, x, limit_of(ctx, to_int(whole), not largest))
            (scanned,) = ctx.w.builder.emit_many("running_extremes", self.new, x, largest=(largest,))
            best = self._combine("last", scanned)
        return lambda r: _typed(whole, r[best], None if some is None else r[some] > 0)

    def _last_present(self, present: Value) -> Value:
        """Which rows are the last of their group that have a value: those stand before the others."""
        rows = self.part.rows
        number = numbered(self.ctx, rows)
        last = number.equals(rows - 1) if isinstance(rows, int) else number.equals(0)
        follows = _next(self.ctx, present & ~self.new, rows)
        return present & (~follows | last)

    def _quantile(self, m: Measure, whole: Array, value: int, mask: int | None, present: Value) -> _Finish:
        ctx = self.ctx
        a = _quantile_argument(ctx, m, whole)
        x = self.sorted[value] if value >= 0 else a.value
        if whole.stype.kind == "fixed":
            x = emit(ctx, "units", x, frac=x.dtype.frac)
        top, scale = _ratio(m)
        rank = emit(ctx, "row_number", self.new)
        (total,) = ctx.w.builder.emit_many("group_totals", self.new, present)
        at = (total - 1) * top
        low = emit(ctx, "floordiv", at, ctx.w.builder.const(np.int64(scale))) if scale > 1 else at
        rest = at - low * scale if scale > 1 else at * 0
        weight = _masked(ctx, rank.equals(low) & present, scale - rest)
        if scale > 1:
            weight = weight + _masked(ctx, rank.equals(low + 1) & present, rest)
        added = self._combine("sum", x * weight)
        some = None if mask is None else self._combine("sum", present)
        stype = _quantile_type(ctx, m, a.stype)

        def finish(r: Sequence[Value]) -> Array:
            out = r[added]
            if whole.stype.kind == "fixed":
                out = emit(ctx, "floordiv", out, ctx.w.builder.const(np.int64(scale)))
                out = emit(ctx, "of_units", out, frac=ctx.w.frac)
            valid = r[some] > 0 if some is not None else None
            return Array(out, stype.optional(valid is not None), valid)

        return finish


def _typed(whole: Array, value: Value, valid: Value | None) -> Array:
    """A result of the argument's own type."""
    if whole.stype.kind == "bool" and value.dtype != BOOL:
        value = value.equals(1)
    return Array(value, whole.stype.optional(valid is not None), valid)


def sorting_columns(ctx: Context, key: Array) -> list[Value]:
    """A key as columns to sort by: what is missing comes last, and is all alike."""
    if key.valid is None:
        return [key.value]
    mask = key.valid.reshape((*key.valid.shape, 1)) if key.stype.kind == "text" else key.valid
    if key.value.dtype == BOOL:
        return [~key.valid, key.value & key.valid]
    return [~key.valid, emit(ctx, "select", mask, key.value, ctx.w.builder.const(np.zeros(()), key.value.dtype))]


def _masked(ctx: Context, mask: Value, x: Value) -> Value:
    wide = mask.reshape((*mask.shape, *(1,) * (x.ndim - 1)))
    return emit(ctx, "select", wide, x, ctx.w.builder.const(np.zeros(()), x.dtype))


def _next(ctx: Context, flags: Value, rows: Dim) -> Value:
    """For each row the flag of the one below; false for the last."""
    below = flags.builder.emit("slice", flags, parts=((1, rows, 1),))
    return emit(ctx, "concat", below, ctx.w.builder.const(np.zeros(1, np.bool_)), axis=0)


# ----------------------------------------------------------------------------------------- quantiles


def _ratio(m: Measure) -> tuple[int, int]:
    """q as a / 10^k: (a, 10^k)."""
    places = max(0, -int(m.fraction.normalize().as_tuple().exponent))
    return int(m.fraction.scaleb(places)), 10**places


def _quantile_argument(ctx: Context, m: Measure, a: Array) -> Array:
    a = to_int(a)
    if a.stype.kind not in {"int", "decimal", "fixed"}:
        ctx.w.fail("E0301", "a percentile is one of numbers", m.span, f"{a.stype}")
    return a


def _quantile_type(ctx: Context, m: Measure, stype: SType) -> SType:
    if stype.kind == "fixed":
        return stype
    places = stype.places + len(str(_ratio(m)[1])) - 1
    if places > 18:
        ctx.w.fail("E0301", "a percentile has more places than its numbers", m.span, f"{places} places, 18 fit")
    return decimal(places)


def quantile_of_one(ctx: Context, m: Measure, a: Array) -> Array:
    """The quantile of single numbers: each itself."""
    a = _quantile_argument(ctx, m, a)
    stype = _quantile_type(ctx, m, a.stype).optional(a.stype.nullable)
    if a.stype.kind == "fixed":
        return a
    return replace(a, value=a.value * _ratio(m)[1], stype=stype, exact=None)
