"""Dates and intervals: `d + interval '3' month`.

For: `shifted`, `first_days`.

A month later is the same day of the next month, or its last day where there is none such.
"""

from __future__ import annotations

import calendar
import datetime

import numpy as np

from dsl import syntax
from dsl.builtins.dates import civil
from dsl.query.relation import Context, emit
from dsl.source import Span
from dsl.stypes import DATE, EPOCH
from dsl.values import Array, Text, Val, describe
from dsl.walker import Reported
from mpc.circuit import Value
from mpc.types import INT

__all__ = ["first_days", "shifted"]


def shifted(ctx: Context, val: Val, interval: syntax.Interval, sign: int, span: Span) -> Array:
    """A date so many days, months or years later, or earlier."""
    w = ctx.w
    if isinstance(val, Text):
        w.fail("E0301", "an interval is added to a date", span, helps=[f"write `date '{val.text}'`"])
    a = w.array(val, span, "a date")
    if a.stype.kind != "date":
        w.fail("E0301", "an interval is added to a date", span, describe(a))
    number = sign * interval.count
    if interval.unit == "day":
        return Array(a.value + number, a.stype, a.valid)
    months = number * (12 if interval.unit == "year" else 1)
    if a.value.is_const and not a.shape:
        return w.const(_months_later(ctx, int(a.value.constant), months, span), DATE)
    return Array(_later(ctx, a.value, months), a.stype, a.valid)


def _months_later(ctx: Context, days: int, months: int, span: Span) -> int:
    day = EPOCH + datetime.timedelta(days=days)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        ctx.w.fail("E0501", "the date is outside the years 1 to 9999", span)
        raise Reported
    last = calendar.monthrange(year, month + 1)[1]
    return (datetime.date(year, month + 1, min(day.day, last)) - EPOCH).days


def _over(ctx: Context, x: Value, divisor: int) -> Value:
    return emit(ctx, "floordiv", x, ctx.w.builder.const(np.int64(divisor), INT))


def _later(ctx: Context, days: Value, months: int) -> Value:
    """The same for a column, by the calendar's arithmetic."""
    year, month, day = civil(days)
    number = year * 12 + month - 1 + months
    first = first_days(ctx, number)
    length = first_days(ctx, number + 1) - first
    return first + emit(ctx, "minimum", day, length) - 1


def first_days(ctx: Context, number: Value) -> Value:
    """The first day of a month, counted in months from year 0: years begin in March, so that a leap day ends one."""
    march = number - 2
    year = _over(ctx, march, 12)
    month = march - year * 12
    before = _over(ctx, month * 153 + 2, 5)
    return year * 365 + _over(ctx, year, 4) - _over(ctx, year, 100) + _over(ctx, year, 400) + before - 719_468
