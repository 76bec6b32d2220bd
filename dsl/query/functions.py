"""Functions of one row that SQL has and statements have not, or have with other rules.

For: `FUNCTIONS`, by name; `date_trunc`.
Leaves to others: `coalesce`, `nullif` (`expressions`), types (`casts`), the functions that statements have too
(`dsl.builtins`).

Of two whole numbers equally near, `round` takes the one further from 0, as SQL does (the `round` of statements and
Python take the even one); `mod` has the sign of the dividend, where `%` rounds down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from dsl.builtins.dates import civil, part_of
from dsl.convert import exact_decimal, to_int, unify
from dsl.operators import power
from dsl.query import quotients, texts
from dsl.query.dates import first_days
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import DATE, INTEGER, decimal
from dsl.values import Array, Text, Val, describe
from mpc.circuit import Value
from mpc.types import INT

__all__ = ["FUNCTIONS", "Call", "rounded"]


class Call(NamedTuple):
    """A call of values none of which is `null`: spans are those of the arguments."""

    ctx: Context
    name: str
    vals: Sequence[Val]
    spans: Sequence[Span]
    span: Span

    def number(self, at: int = 0) -> Array:
        """An argument that is a number; a truth value counts as 0 or 1."""
        a = self.ctx.w.array(self.vals[at], self.spans[at], "a number")
        if not a.stype.numeric:
            self.ctx.w.fail("E0301", f"`{self.name}` is for numbers", self.spans[at], describe(a))
        return exact_decimal(self.ctx.w, to_int(a))

    def known(self, at: int, what: str) -> int:
        """An argument that is a public whole number."""
        return self.ctx.w.number(self.vals[at], self.spans[at], what)


Run: TypeAlias = "Callable[[Call], Val]"


class _Function(NamedTuple):
    """least, most: how many arguments it takes."""

    run: Run
    least: int
    most: int


# ------------------------------------------------------------------------------------------- numbers


def _whole(ctx: Context, n: int) -> Value:
    return ctx.w.builder.const(np.int64(n), INT)


def rounded(ctx: Context, a: Array, places: int) -> Array:
    """An `int`, `decimal` or `fixed` with so many places (below 0: tens, hundreds, …) as `decimal(places)`.

    q = floor((u + unit / 2 - [u < 0]) / unit): a half goes away from 0.
    """
    if a.stype.kind == "fixed":
        return _rounded_fixed(ctx, a, places)
    less = a.stype.places - places
    if less <= 0:
        return a
    if less > MOST_PLACES:
        return Array(a.value * 0, INTEGER.optional(a.stype.nullable), a.valid)
    unit = 10**less
    value = emit(ctx, "floordiv", a.value - (a.value < 0).to_int() + unit // 2, _whole(ctx, unit))
    if places < 0:
        value = value * 10**-places
    return Array(value, decimal(max(places, 0)).optional(a.stype.nullable), a.valid)


MOST_PLACES: Final = 18


def _rounded_fixed(ctx: Context, a: Array, places: int) -> Array:
    frac = a.value.dtype.frac
    units = emit(ctx, "units", a.value, frac=frac)
    below = (units < 0).to_int()
    stype = decimal(max(places, 0)).optional(a.stype.nullable)
    if places < 0:  # (u + 5·10^(k-1)·2^f - [u < 0]) / (10^k·2^f)
        unit = 10**-places << frac
        value = emit(ctx, "floordiv", units - below + unit // 2, _whole(ctx, unit)) * 10**-places
        return Array(value, stype, a.valid)
    # Of whole part and fraction apart, so that nothing grows by 10^places but what is kept.
    whole = emit(ctx, "floordiv", units, _whole(ctx, 1 << frac))
    rest = units - whole * (1 << frac)
    part = emit(ctx, "floordiv", rest * 10**places - below + (1 << (frac - 1)), _whole(ctx, 1 << frac))
    return Array(whole * 10**places + part, stype, a.valid)


def _round(c: Call) -> Val:
    a = c.number()
    places = c.known(1, "the number of places") if len(c.vals) > 1 else 0
    most = 12 if a.stype.kind == "fixed" else MOST_PLACES
    if not -most <= places <= most:
        return c.ctx.w.error("E0301", f"`round` keeps up to {most} places", c.spans[1])
    return rounded(c.ctx, a, places)


def _trunc(c: Call) -> Val:
    a = c.number()
    value, unit = a.value, 10**a.stype.places
    if a.stype.kind == "fixed":
        value, unit = emit(c.ctx, "units", value, frac=value.dtype.frac), 1 << value.dtype.frac
    if unit == 1:
        return a
    below = (value < 0).to_int()  # floor((u + (unit - 1) [u < 0]) / unit): towards 0
    whole = emit(c.ctx, "floordiv", value + below * (unit - 1), _whole(c.ctx, unit))
    return Array(whole, INTEGER.optional(a.stype.nullable), a.valid)


def _ceil(c: Call) -> Val:
    a = c.number()
    if a.stype.kind == "fixed":
        return a.with_value(emit(c.ctx, "ceil", a.value))
    if not a.stype.places:
        return a
    unit = 10**a.stype.places
    value = emit(c.ctx, "floordiv", a.value + (unit - 1), _whole(c.ctx, unit))
    return Array(value, INTEGER.optional(a.stype.nullable), a.valid)


def _mod(c: Call) -> Val:
    (a, b), stype = unify(c.ctx.w, [c.number(0), c.number(1)], c.span)
    below = a.value < 0
    size = emit(c.ctx, "mod", emit(c.ctx, "abs", a.value), emit(c.ctx, "abs", b.value))
    value = emit(c.ctx, "select", below, -size, size)
    valid = a.valid if b.valid is None else b.valid if a.valid is None else a.valid & b.valid
    valid = None if valid is None else valid.broadcast_to(value.shape)
    return quotients.missing_by_zero(c.ctx, Array(value, stype.optional(valid is not None), valid), b)


def _power(c: Call) -> Val:
    return power(c.ctx.w, c.number(0), c.ctx.w.array(c.vals[1], c.spans[1], "a number"), c.span)


def _ln(c: Call) -> Val:
    from dsl.convert import to_fixed

    a = to_fixed(c.ctx.w, c.number())
    return a.with_value(emit(c.ctx, "log", a.value))


# --------------------------------------------------------------------------------------------- dates


def _date_trunc(c: Call) -> Val:
    ctx, part = c.ctx, c.vals[0]
    if not isinstance(part, Text) or part.text.lower() not in {"year", "quarter", "month", "week", "day"}:
        helps = ["`date_trunc('month', d)`, or 'year', 'quarter', 'week', 'day'"]
        return ctx.w.error("E0601", "`date_trunc` takes a part of a date", c.spans[0], helps=helps)
    a = ctx.w.array(c.vals[1], c.spans[1], "a date")
    if a.stype.kind != "date":
        return ctx.w.error("E0301", "`date_trunc` takes a date", c.spans[1], describe(a))
    if part.text.lower() == "day":
        return a
    if part.text.lower() == "week":
        return a.with_value(a.value - part_of(a.value, "isodow") + 1)
    year, month, day = civil(a.value)
    match part.text.lower():
        case "month":
            value = a.value - day + 1
        case "year":
            value = first_days(ctx, year * 12)
        case _:
            value = first_days(ctx, year * 12 + emit(ctx, "floordiv", month - 1, _whole(ctx, 3)) * 3)
    return Array(value, DATE.optional(a.stype.nullable), a.valid)


# --------------------------------------------------------------------------------------------- texts


def _text(run: Callable[[Context, Val, Span], Val]) -> Run:
    return lambda c: run(c.ctx, c.vals[0], c.spans[0])


def _left(c: Call) -> Val:
    one = c.ctx.w.const(1, INTEGER)
    return texts.substring(c.ctx, [c.vals[0], one, c.vals[1]], [c.spans[0], c.spans[0], c.spans[1]])


FUNCTIONS: Final[Mapping[str, _Function]] = {
    "round": _Function(_round, 1, 2),
    "trunc": _Function(_trunc, 1, 1),
    "ceil": _Function(_ceil, 1, 1),
    "ceiling": _Function(_ceil, 1, 1),
    "mod": _Function(_mod, 2, 2),
    "power": _Function(_power, 2, 2),
    "ln": _Function(_ln, 1, 1),
    "date_trunc": _Function(_date_trunc, 2, 2),
    "substring": _Function(lambda c: texts.substring(c.ctx, c.vals, c.spans), 2, 3),
    "substr": _Function(lambda c: texts.substring(c.ctx, c.vals, c.spans), 2, 3),
    "left": _Function(_left, 2, 2),
    "upper": _Function(_text(texts.upper), 1, 1),
    "lower": _Function(_text(texts.lower), 1, 1),
    "trim": _Function(_text(texts.trimmed), 1, 1),
    "ltrim": _Function(_text(texts.trimmed_left), 1, 1),
    "rtrim": _Function(_text(texts.trimmed_right), 1, 1),
    "strpos": _Function(lambda c: texts.place(c.ctx, c.vals, c.spans), 2, 2),
    "length": _Function(_text(texts.length), 1, 1),
}
