"""Noise added to what a statement reveals.

For: `noised` (values that are revealed), `noised_opening` (`reveal(e, noise=…)`).
Leaves to others: sensitivities (`queries`, `arrays`), the noise itself (`mpc.circuits.noise`).

**The `noise` node** has no operands and is seen by nobody; it is added to the exact value, and only the sum is opened.
Attributes beside those of its law: `says`, what disclosures say of it; `epsilon`, `delta` (texts) and `charged`, the
tables (owner, name) that pay: with the first node of a statement for the whole statement, with the others nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from dsl.convert import to_int
from dsl.privacy.arrays import Reach, reach_of, together
from dsl.privacy.lineage import Change, InOrder, Owned, Refusal, lineage_of
from dsl.privacy.mechanism import Mechanism, parameter_of
from dsl.query.plan import outputs
from dsl.query.relation import Context, merged
from dsl.query.select import build
from dsl.source import Span
from dsl.values import Array, Table, Tuple, Val, describe
from dsl.walker import Walker
from mpc.circuit import Array as NDArray
from mpc.circuit import Value
from mpc.types import INT, NOBODY, Dim, Size, Type

__all__ = ["noised", "noised_opening"]


@dataclass(slots=True)
class _Target:
    """One result that gets noise. change: how far it may move, in units."""

    array: Array
    name: str
    change: Fraction
    charged: frozenset[Owned]


@dataclass(slots=True)
class _Plan:
    """What a value consists of: the targets, and how many numbers they are."""

    val: Val
    targets: list[_Target]
    places: NDArray | None = None
    """Of a query's groups, the order in which they are shown."""


def noised(w: Walker, vals: Sequence[tuple[Val, Span]], m: Mechanism) -> list[Val]:
    """What a statement reveals, with noise for all of it together."""
    plans = [_table(w, val, m, span) if isinstance(val, Table) else _single(w, val, m, span) for val, span in vals]
    return _with_noise(w, plans, m)


def noised_opening(w: Walker, val: Val, m: Mechanism, span: Span) -> Val:
    """What `reveal(e, noise=…)` opens: an array, or a tuple of them, whose parts are hidden together."""
    if isinstance(val, Table):
        helps = [f"reveal it to those who may learn it: `reveal {w.text(span)} to all with laplace(epsilon=1.0)`"]
        w.fail("E0301", "a table is not opened in mid-study", span, helps=helps)
    items = val.items if isinstance(val, Tuple) else (val,)
    arrays = [_numbers(w, item, span) for item in items]
    if len(arrays) > 1 and any(a.stype.kind != "fixed" for a in arrays):
        w.fail("E0901", "noise on several values at once is there for `fixed` alone", span)
    reach = together(w, [a.value for a in arrays])
    text = w.text(span)
    units = [_in_units(w, a, reach, m, span) for a in arrays]
    # One change of the whole: each part gets noise for that, and the whole costs it once.
    targets = [_Target(a, text, u, frozenset(reach.by)) for a, u in zip(arrays, units, strict=True)]
    (out,) = _with_noise(w, [_Plan(val, targets)], m, parts=1)
    return out


# ------------------------------------------------------------------------------------------ tables


def _table(w: Walker, table: Table, m: Mechanism, span: Span) -> _Plan:
    """The measures of a query with aggregates, whose groups are the same whatever the data."""
    lineage = lineage_of(table)
    if lineage.refusal is not None:
        _fail(w, lineage.refusal, span)
    if lineage.columns is None:
        message = f"`{table.name}` shows rows as they are: noise goes on counts and sums of them"
        w.fail("E0701", message, span, helps=["count or add up in the query: `sum(clamp(x, 0, 1000))`"])
    most = 0
    for times in lineage.rows.values():
        if isinstance(times, Refusal):
            _fail(w, times, span)
        else:
            most = max(most, times)
    places = None
    if lineage.unordered is not None:
        table, places = _without_order(w, table, lineage.unordered, span)
    targets: list[_Target] = []
    for name, what in lineage.columns.items():
        array = table.columns[name]
        if isinstance(what, Refusal):
            _fail(w, what, span)
        if what == "key":
            _fixed_groups(w, table, name, array, span)
            continue
        assert isinstance(what, Change)
        amount = what.total * most if m.kind == "laplace" else _root(what.norm2) * most
        if array.stype.kind == "fixed":
            # Limits that are no multiple of a unit were rounded to one, and owners' own sums a little.
            amount += what.loose + Fraction(2 * most + 1, 1 << w.frac)
        targets.append(_Target(array, name, _units(w, array, amount), frozenset(lineage.rows)))
    if not targets:
        w.fail("E0701", f"`{table.name}` has groups alone, and no count or sum that noise could hide", span)
    return _Plan(table, targets, places)


def _without_order(w: Walker, table: Table, asked: InOrder, span: Span) -> tuple[Table, NDArray]:
    """The groups of a query as they are known beforehand, and their places in the order that it asks for.

    In that order they have been put by what rows there are, among other things: so they are built anew, without it.
    """
    shown = outputs(asked.block)
    ctx = Context(w)
    with w.at(asked.span):
        relation = build(ctx, asked.block, {c for _, c in shown} | {c for c, _ in asked.keys})
        part = merged(ctx, relation)
    assert relation.operator is not None
    queries = w.plans.queries
    queries[:] = [replace(q, root=relation.operator) if q.span == table.span else q for q in queries]
    by = []
    for column, down in asked.keys:
        key = part.columns[column]
        if not key.value.is_const or key.valid is not None:
            _fixed_groups(w, table, column.name, key, span)
            w.fail("E0701", "noise comes before this order", asked.span, helps=["leave out the order"])
        _, rank = np.unique(key.value.constant, return_inverse=True)
        by.append(-rank if down else rank)
    columns = {name: part.columns[column] for name, column in shown}
    return replace(table, columns=columns, rows=part.rows, visible=part.visible), np.lexsort(by[::-1])


def _fail(w: Walker, refusal: Refusal, span: Span) -> None:
    place = span if refusal.span is None else refusal.span
    secondary = [(span, "this is to have noise")] if place != span else []
    w.fail(refusal.code, refusal.message, place, secondary=secondary, helps=refusal.helps)


def _fixed_groups(w: Walker, table: Table, name: str, array: Array, span: Span) -> None:
    """Groups that are there for some data and not for others would tell what noise hides."""
    if array.public:
        return
    helps = [
        "group by what is known beforehand: an enum, a truth value, or an int in 0..9, at most 256 combinations"
        " and not many more than rows",
    ]
    message = f"which values `{name}` has shows what is in single rows"
    w.fail("E0701", message, span, f"the groups of `{table.name}` are not fixed", helps=helps)


def _root(square: Fraction) -> Fraction:
    """The square root, rounded up to 2^-40 or less."""
    scaled = math.ceil(square * (1 << 80))
    return (
        Fraction(math.isqrt(scaled) + 1, 1 << 40)
        if math.isqrt(scaled) ** 2 < scaled
        else Fraction(math.isqrt(scaled), 1 << 40)
    )


def _units(w: Walker, array: Array, amount: Fraction) -> Fraction:
    """How far a measure may move, in units of its type."""
    return amount * ((1 << w.frac) if array.stype.kind == "fixed" else 10**array.stype.places)


# ------------------------------------------------------------------------------------------ arrays


def _numbers(w: Walker, val: Val, span: Span) -> Array:
    if not isinstance(val, Array) or not val.stype.numeric:
        w.fail("E0301", "noise is added to numbers", span, describe(val))
    return to_int(w.full(val, span))


def _single(w: Walker, val: Val, m: Mechanism, span: Span) -> _Plan:
    array = _numbers(w, val, span)
    reach = reach_of(w, array.value)
    units = _in_units(w, array, reach, m, span)
    return _Plan(array, [_Target(array, w.text(span), units, frozenset(reach.by))])


def _in_units(w: Walker, array: Array, reach: Reach, m: Mechanism, span: Span) -> Fraction:
    if reach.refusal is not None:
        where, why, helps = reach.refusal
        secondary = [] if where is None else [(where, why)]
        label = "" if secondary else why
        message = "this has no limit to how far one row can move it"
        w.fail("E0701", message, span, label, secondary=secondary, helps=helps)
    if not reach.by:
        w.fail("E0701", "everyone knows this already", span, describe(array, viewers=True))
    total, norm = reach.most()
    amount = total if m.kind == "laplace" else norm
    if array.stype.kind != "fixed" and amount < 2.0**52:
        return Fraction(math.ceil(amount))  # whole numbers: nothing was rounded
    return Fraction(math.ceil(amount * (1 << w.frac if array.stype.kind == "fixed" else 1) * (1 + 1e-9)))


# ------------------------------------------------------------------------------------------- noise


def _with_noise(w: Walker, plans: Sequence[_Plan], m: Mechanism, parts: int | None = None) -> list[Val]:
    targets = [t for plan in plans for t in plan.targets]
    numbers = sum(_count(t.array.value.shape) for t in targets)
    charged = tuple(sorted({owned for t in targets for owned in t.charged}))
    many = len(targets) if parts is None else parts
    out: list[Val] = []
    first = True
    for plan in plans:
        made: list[Array] = []
        for t in plan.targets:
            parameter = parameter_of(w, m, t.change, many, numbers)
            made.append(_add(w, t, m, parameter, charged if first else ()))
            first = False
        out.append(_put(plan, made))
    return out


def _count(shape: Iterable[Dim]) -> int:
    """How many numbers; what is not known yet counts once."""
    return math.prod(1 if isinstance(d, Size) else d for d in shape)


def _put(plan: _Plan, made: list[Array]) -> Val:
    if isinstance(plan.val, Table):
        fresh = iter(made)
        names = {t.name for t in plan.targets}
        columns = {n: next(fresh) if n in names else a for n, a in plan.val.columns.items()}
        if plan.places is not None:
            columns = {n: _in_places(a, plan.places) for n, a in columns.items()}
        # All groups are shown, those without rows too, in the order of their keys.
        return replace(plan.val, columns=columns, visible=None, ordered=True)
    return Tuple(tuple(made)) if isinstance(plan.val, Tuple) else made[0]


def _in_places(a: Array, places: NDArray) -> Array:
    """The elements of a column of groups in an order that is known."""
    b = a.value.builder
    order = b.const(places.astype(np.int64), INT)
    valid = None if a.valid is None else b.emit("take", a.valid, order, axis=0)
    return replace(a, value=b.emit("take", a.value, order, axis=0), valid=valid, exact=None)


def _add(w: Walker, t: _Target, m: Mechanism, parameter: tuple[int, int], charged: tuple[Owned, ...]) -> Array:
    array = to_int(t.array)
    value = array.value
    if array.valid is not None:  # the sum of nothing
        zero = w.builder.const(0, value.dtype)
        value = w.builder.emit("select", array.valid, value, zero)
    unit = 1 << value.dtype.frac if array.stype.kind == "fixed" else 10**array.stype.places
    size = parameter[0] / parameter[1]
    spread = size / unit if m.kind == "laplace" else math.sqrt(size) / unit
    kind = "scale" if m.kind == "laplace" else "deviation"
    says = f"{t.name}: sensitivity {float(t.change / unit):.6g}, {kind} {spread:.6g}"
    attrs = {
        "law": m.kind,
        "parameter": parameter,
        "shape": value.shape,
        "frac": value.dtype.frac,
        "says": says,
        "mechanism": str(m),
        "epsilon": str(m.epsilon) if charged else "0",
        "delta": str(m.delta) if charged else "0",
        "charged": charged,
    }
    noise = w.builder.append("noise", (), attrs, Type(value.dtype, value.shape, NOBODY), pure=False)
    return Array(_sum(value, noise), array.stype.optional(False))


def _sum(value: Value, noise: Value) -> Value:
    return value.builder.emit("add", value, noise)
