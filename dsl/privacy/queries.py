"""How far the result of a query can move if one row of one owner's table is replaced.

For: `lineage_of_plan`.
Leaves to others: ranges of expressions (`ranges`), how much noise that needs (`mechanism`).

Replacing a row of a table makes at most m rows of a select vanish and m others appear: 1 without joins; the same behind
a join in which that row meets one row of each other table (their keys are unique), N where the join is `bounded N`.
Sub-queries in `from` and unions count in the same terms (`_rows_of`).  With m = 1, a count moves by 1; grouped, one
group loses a row and another gains one: 2 in all, sqrt(2) in norm.  A sum of numbers in lo..hi moves by the larger of
hi - lo, |lo| and |hi|; grouped, by 2 max(|lo|, |hi|) in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Literal

from dsl import syntax
from dsl.node import Node, walk
from dsl.privacy.lineage import Change, InOrder, Lineage, Owned, Refusal, lineage_of
from dsl.privacy.ranges import Range, column_range, range_of
from dsl.privacy.rowwise_functions import strange
from dsl.query.plan import (
    Attach,
    Block,
    Column,
    Derived,
    From,
    Item,
    Joined,
    Mean,
    Measure,
    Ordered,
    Plan,
    Ref,
    Scan,
    Source,
    Spread,
    Union,
    columns_of,
    outputs,
    refs,
)
from dsl.source import Span
from dsl.values import Array, Function
from dsl.walker import Walker
from mpc.types import Dim

__all__ = ["lineage_of_plan"]

Rows = Mapping[Owned, "int | Refusal"]


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def _refuse(message: str, span: Span, *helps: str, code: Literal["E0701", "E0901"] = "E0701") -> _RefusedError:
    return _RefusedError(Refusal(message, span, helps, code))


def lineage_of_plan(w: Walker, plan: Plan) -> Lineage:
    """What a query's result derives from, and how far its columns may move."""
    try:
        return _lineage(w, plan)
    except _RefusedError as error:
        return Lineage(refusal=error.refusal)


def _lineage(w: Walker, plan: Plan) -> Lineage:
    match plan:
        case Ordered(span=span):
            in_order = _by_keys(plan)
            if in_order is None:
                raise _refuse(
                    "noise comes after `order by` and `limit`, which would show what it hides",
                    span,
                    "order by the groups' keys alone, or leave it out: groups are revealed in the order of their keys",
                )
            return replace(_lineage(w, in_order.block), unordered=in_order)
        case Union(span=span):
            if not plan.all:
                helps = ("take `union all`",) if plan.kind == "union" else ()
                raise _refuse(f"with `{plan.kind}`, which rows there are shows what is in them", span, *helps)
            if any(_grouped(side) for side in (plan.left, plan.right)):
                message = "noise goes on counts and sums, and a union puts those of two queries into one table"
                raise _refuse(message, span, "reveal both queries, each with noise")
            return Lineage(_rows_of(w, plan))
    if plan.distinct:
        raise _refuse("with `distinct`, which rows there are shows what is in them", plan.span)
    if plan.having or plan.attaches:
        helps = ("put the condition behind the noise: `reveal q to p where n >= 10 with laplace(epsilon=1.0)`",)
        raise _refuse("with `having`, which groups there are shows what is in them", plan.span, *helps)
    _alone(plan)
    _public(w, plan)
    rows = _rows(w, plan.source)
    if not plan.grouped:
        return Lineage(rows)
    ranges = _ranges(w, plan.source)
    columns = {i.name: _column(w, plan, i, ranges) for i in plan.items if not i.hidden}
    # Of n numbers up to m a sum in double precision is off by n^2 m / 2^53 at most, in either of two neighbours.
    loose = Fraction(_most(plan.source) ** 2, 1 << 52)
    columns = {n: replace(c, loose=c.total * loose) if isinstance(c, Change) else c for n, c in columns.items()}
    return Lineage(rows, columns)


def _by_keys(plan: Ordered) -> InOrder | None:
    """All groups in the order of their own keys, which says nothing where the groups are known beforehand."""
    block = plan.plan
    if not plan.whole or not isinstance(block, Block) or not block.grouped:
        return None
    keys = {key for key, _ in block.keys}
    values = {i.column: i.value for i in block.items}
    found: list[tuple[Column, bool]] = []
    for node, down in plan.order:
        value = values.get(node.column) if isinstance(node, Ref) else None
        if not isinstance(node, Ref) or not isinstance(value, Ref) or value.column not in keys:
            return None
        found.append((node.column, down))
    return InOrder(replace(block, sorted=[]), tuple(found), plan.span)


def _grouped(plan: Plan) -> bool:
    match plan:
        case Block(grouped=grouped):
            return grouped
        case Ordered(plan=inner):
            return _grouped(inner)
        case Union(left=left, right=right):
            return _grouped(left) or _grouped(right)


# --------------------------------------------------------------------------------------------- rows


def _alone(block: Block) -> None:
    """No row shows what is in others."""
    for one in block.windows:
        raise _refuse("a window has values of other rows, so that one row can change them all", one.span)


def _public(w: Walker, block: Block) -> None:
    """What decides about rows, and what they hold, is made of the row alone and of public values."""
    for attach in (*_attaches(block.source), *block.attaches):
        raise _refuse("the rows depend on a sub-query, so that one row can change them all", attach.span)
    arguments = [m.argument for m in block.measures if m.argument is not None]
    shown = [i.value for i in block.items]
    for e in (*_conditions(block.source), *(k for _, k in block.keys), *arguments, *shown, *block.having):
        for node in walk(e):
            if isinstance(node, syntax.Name):
                _public_name(w, node)


def _public_name(w: Walker, node: syntax.Name) -> None:
    binding = w.scope.find(node.id)
    val = None if binding is None else binding.val
    if isinstance(val, Function):
        part = strange(val)
        if part is not None:
            message = f"`{node.id}` is more than a computation on one row, so that one row can change them all"
            helps = (
                "a function that noise goes through has arithmetic, comparisons, choices and such functions alone",
            )
            raise _refuse(message, node.span, *helps)
    if isinstance(val, Array) and not val.public:
        raise _refuse(f"`{node.id}` is secret, and may depend on every row", node.span)


def _parts(source: From | Source) -> tuple[From | Source, ...]:
    """What a source is put together from, sub-queries apart."""
    match source:
        case From(sources=sources):
            return tuple(sources)
        case Joined(left=left, right=right):
            return left, right
    return ()


def _attaches(source: From | Source) -> Iterator[Attach]:
    yield from source.attaches
    for inner in _parts(source):
        yield from _attaches(inner)


def _conditions(source: From | Source) -> Iterator[Node]:
    match source:
        case From(conditions=conditions):
            yield from conditions
        case Joined(on=on):
            yield from on
    for inner in _parts(source):
        yield from _conditions(inner)


def _scans(source: From | Source) -> Iterator[Scan]:
    if isinstance(source, Scan):
        yield source
    for inner in _parts(source):
        yield from _scans(inner)


def _most(source: From | Source | Plan) -> int:
    """How many rows there may be, as far as that is known."""
    match source:
        case Scan(table=table):
            return _number(table.rows)
        case Derived(plan=plan) | Ordered(plan=plan):
            return _most(plan)
        case Block(source=inner):
            return _most(inner)
        case Union(left=left, right=right):
            return _most(left) + _most(right)
        case Joined(kind=kind, bound=bound):  # an outer join has rows of its sides below those that match
            sides = [_most(part) for part in _parts(source)]
            return max(_number(bound), *sides) if kind == "inner" else _number(bound) + sum(sides)
    return max(map(_most, _parts(source)), default=0)


def _number(rows: Dim | None) -> int:
    return rows if isinstance(rows, int) else 0


def _rows(w: Walker, source: From | Source) -> dict[Owned, int | Refusal]:
    """For each table, how many rows of `source` vanish at most, and how many appear."""
    match source:
        case Scan(table=table, span=span):
            known = lineage_of(table)
            if known.refusal is not None:
                raise _RefusedError(known.refusal)
            if known.columns is not None:
                raise _refuse(f"`{table.name}` has aggregates already", span, "put the noise on that query")
            return dict(known.rows)
        case Derived(plan=plan):
            return _rows_of(w, plan)
        case Joined():
            return _joined(w, source)
        case From(sources=sources, conditions=conditions):
            out: dict[Owned, int | Refusal] = {}
            for one in sources:
                others = [s for s in sources if s is not one]
                alone = _unmet(columns_of(one), others, conditions)
                _add(out, _rows(w, one), 1 if alone is None else _many(one, alone))
            return out


def _rows_of(w: Walker, plan: Plan) -> dict[Owned, int | Refusal]:
    """The same for a sub-query in `from`.

    Of rows that are shown once where they are equal, no more vanish or appear than of all of them.  A row that vanishes
    or appears changes its group: so of groups twice as many vanish, and as many appear, and one where there is one.
    A union's rows are those of both sides: of tables in one of them alone no more vanish than there. Of `intersect` and
    `except` no more vanish or appear either: where a row vanishes on the right of `except`, one may appear.
    """
    match plan:
        case Ordered(plan=inner, span=span):
            if not plan.whole:
                message = "which rows are the first depends on all of them, so that one row can change that"
                raise _refuse(message, span, "leave out the limit")
            return _rows_of(w, inner)
        case Union(left=left, right=right):
            out = _rows_of(w, left)
            _add(out, _rows_of(w, right), 1)
            return out
        case Block():
            _alone(plan)
            _public(w, plan)
            rows = _rows(w, plan.source)
            if plan.grouped and not plan.keys:
                return dict.fromkeys(rows, 1)
            if plan.grouped:
                return {owned: m if isinstance(m, Refusal) else 2 * m for owned, m in rows.items()}
            return rows


def _joined(w: Walker, join: Joined) -> dict[Owned, int | Refusal]:
    out: dict[Owned, int | Refusal] = {}
    for one, other in ((join.left, join.right), (join.right, join.left)):
        conditions = [*join.on, *one.conditions, *other.conditions]
        alone = _unmet(columns_of(one), other.sources, conditions)
        times: int | Refusal = 1 if alone is None else _many(one, alone)
        if isinstance(times, Refusal) and isinstance(join.bound, int):
            times = join.bound
        if isinstance(times, int) and (join.kind == "full" or (join.kind == "left" and one is join.right)):
            times *= 2  # so many rows on the other side are then shown without it, others with it
        _add(out, _rows(w, one), times)
    return out


def _add(out: dict[Owned, int | Refusal], rows: Rows, times: int | Refusal) -> None:
    for owned, m in rows.items():
        before = out.get(owned, 0)
        sides = (before, m, times)
        refused = next((s for s in sides if isinstance(s, Refusal)), None)
        if refused is not None:
            out[owned] = refused
        else:
            assert isinstance(before, int)
            assert isinstance(m, int)
            assert isinstance(times, int)
            out[owned] = before + m * times


def _many(one: From | Source, other: Source) -> Refusal:
    names = [", ".join(dict.fromkeys(f"`{s.table.name}`" for s in _scans(x))) or "a sub-query" for x in (one, other)]
    message = f"one row of {names[0]} may meet any number of rows of {names[1]}"
    helps = (
        f"declare the key in {names[1]} `unique`, if it is",
        "or give the join the largest number of rows, with bounded and a number behind its condition",
    )
    return Refusal(message, one.span, helps)


def _unmet(known: set[Column], others: list[Source], conditions: Iterable[Node]) -> Source | None:
    """One of `others` of which a row with the columns `known` may meet several rows; None if there is none."""
    known = set(known)
    equal = [c for c in conditions if isinstance(c, syntax.Compare) and c.op == "=="]
    left = list(others)
    while left:
        sides: list[tuple[Node, Node]] = [pair for c in equal for pair in ((c.left, c.right), (c.right, c.left))]
        fixed = {b.column for a, b in sides if isinstance(b, Ref) and set(refs(a)) <= known}
        found = next((s for s in left if any(u <= fixed for u in _uniques(s))), None)
        if found is None:
            return left[0]
        known |= columns_of(found)
        left.remove(found)
    return None


def _uniques(source: Source) -> list[set[Column]]:
    if isinstance(source, Derived) and isinstance(source.plan, Block) and source.plan.grouped:
        shown = {i.value.column: i.column for i in source.plan.items if isinstance(i.value, Ref)}
        keys = [key for key, _ in source.plan.keys]
        return [{shown[key] for key in keys}] if set(keys) <= shown.keys() else []
    if not isinstance(source, Scan):
        return []
    places = {name: column for column, name in source.columns.items()}
    sets = (*source.table.uniques, *source.table.declared)
    return [{places[n] for n in names} for names in sets if set(names) <= places.keys()]


# ------------------------------------------------------------------------------------------ columns


def _ranges(w: Walker, source: From | Source) -> dict[Column, Range]:
    """Those of the columns of a source that have one for certain."""
    out: dict[Column, Range] = {}
    if isinstance(source, Scan):
        for column, name in source.columns.items():
            array = source.table.columns[name]
            # What a query computes with fractions may be off by rounding.
            known = column_range(array) if source.table.owners or array.stype.kind != "fixed" else None
            out |= {} if known is None else {column: known}
    if isinstance(source, Derived):
        out |= _ranges_of(w, source.plan)
    for inner in _parts(source):
        out |= _ranges(w, inner)
    return out


def _ranges_of(w: Walker, plan: Plan) -> dict[Column, Range]:
    """Those of the columns of a sub-query's result."""
    match plan:
        case Ordered(plan=inner):
            return _ranges_of(w, inner)
        case Union(left=left, right=right, columns=columns):
            sides = [(_ranges_of(w, side), [c for _, c in outputs(side)]) for side in (left, right)]
            hulls: dict[Column, Range] = {}
            for at, (_, column) in enumerate(columns):
                a, b = (known.get(names[at]) for known, names in sides)
                if a is not None and b is not None:
                    hulls[column] = Range(min(a.lo, b.lo), max(a.hi, b.hi))
            return hulls
        case Block():
            inner_ranges = {} if plan.grouped else _ranges(w, plan.source)
            found = {i.column: range_of(w, i.value, inner_ranges) for i in plan.items}
            return {column: known for column, known in found.items() if known is not None}


def _column(w: Walker, block: Block, item: Item, ranges: Mapping[Column, Range]) -> Change | Literal["key"] | Refusal:
    value, span = item.value, item.value.span
    if isinstance(value, Mean):
        helps = (
            "reveal both, `sum(clamp(x, 0, 1000))` and `count(x)`",
            "and divide what was learned: that costs nothing more",
        )
        return Refusal("an average can move by any amount, where there are few rows", span, helps)
    if isinstance(value, Spread):
        return Refusal("a deviation can move by any amount, where there are few rows", span)
    if not isinstance(value, Ref):
        message = "noise belongs on each aggregate, not on what is computed from them"
        return Refusal(message, span, ("reveal the aggregates and compute with what was learned",))
    if any(value.column is c for c, _ in block.keys):
        return "key"
    measure = next(m for m in block.measures if m.column is value.column)
    return _moved(w, measure, grouped=bool(block.keys), ranges=ranges)


def _moved(w: Walker, m: Measure, *, grouped: bool, ranges: Mapping[Column, Range]) -> Change | Refusal:
    """What one row can do to a measure, over all groups together."""
    if m.kind in {"rows", "count", "distinct"}:
        width = most = Fraction(1)
    elif m.kind in {"sum", "total"}:
        assert m.argument is not None
        known = range_of(w, m.argument, ranges)
        if known is None:
            text = w.text(m.argument.span)
            helps = (
                f"limit what one row counts: `sum(clamp({text}, 0, 1000))`",
                "or declare the column's range, if it has one: int in 0..120",
            )
            return Refusal("one row can change this sum by any amount", m.span, helps)
        width, most = known.hi - known.lo, known.most
    else:
        name = {"quantile": "a percentile", "min": "a smallest value", "max": "a largest value"}.get(m.kind, "this")
        return Refusal(f"one row can change {name} by any amount", m.span, ("count rows or add them up instead",))
    if not grouped:
        moved = max(width, most)
        return Change(moved, moved**2)
    return Change(2 * most, max(2 * most**2, width**2))
