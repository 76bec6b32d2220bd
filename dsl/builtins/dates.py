"""Parts of a date: year month day, and what SQL's `extract` takes beside them, of ISO's calendar, for every year.

Days are counted from 1 March of year 0, in eras of 400 years (146,097 days): a leap day is then the last of its year,
and month lengths follow (153 m + 2) // 5.
"""

from __future__ import annotations

from dsl.builtins.table import CallSite, builtin
from dsl.source import Span
from dsl.stypes import INTEGER
from dsl.values import Array, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value

__all__ = ["civil", "date_part", "part_of"]

EPOCH_SHIFT = 719_468
"""Days from 1 March of year 0 to 1 January 1970."""
ERA = 146_097


def _over(x: Value, divisor: int) -> Value:
    return x.builder.emit("floordiv", x, x.lift(divisor))


def civil(days: Value) -> tuple[Value, Value, Value]:
    """Year, month and day of days since 1970-01-01."""
    z = days + EPOCH_SHIFT
    era = _over(z, ERA)
    doe = z - era * ERA
    yoe = _over(doe - _over(doe, 1460) + _over(doe, 36_524) - _over(doe, ERA - 1), 365)
    doy = doe - (yoe * 365 + _over(yoe, 4) - _over(yoe, 100))
    mp = _over(doy * 5 + 2, 153)
    day = doy - _over(mp * 153 + 2, 5) + 1
    late = (mp >= 10).to_int()
    month = mp + 3 - late * 12
    return yoe + era * 400 + late, month, day


def part_of(days: Value, part: str) -> Value:
    """A part of dates, as PostgreSQL has it: `dow` from Sunday, 0, `isodow` from Monday, 1, to Sunday, 7; `week` is
    that of ISO 8601, the year's first being the one with its first Thursday."""
    match part:
        case "year" | "month" | "day":
            return civil(days)[("year", "month", "day").index(part)]
        case "quarter":
            return _over(civil(days)[1] + 2, 3)
        case "dow":
            return _rest(days + 4, 7)
        case "isodow":
            return _rest(days + 3, 7) + 1
        case "doy":
            return days - _new_year(civil(days)[0]) + 1
    thursday = days - _rest(days + 3, 7) + 3
    return _over(thursday - _new_year(civil(thursday)[0]), 7) + 1


def _rest(x: Value, divisor: int) -> Value:
    return x.builder.emit("mod", x, x.lift(divisor))


def _new_year(year: Value) -> Value:
    """The days of 1 January."""
    before = year - 1
    return before * 365 + _over(before, 4) - _over(before, 100) + _over(before, 400) - 719_162


def date_part(w: Walker, d: Val, span: Span, part: str) -> Val:
    """A part of a date; E0301 for what is none."""
    a = w.array(d, span, "a date")
    if a.stype.kind != "date":
        return w.error("E0301", "expected a date", span, describe(a))
    return Array(part_of(a.value, part), INTEGER.optional(a.stype.nullable), a.valid, a.padded)


@builtin("year")
def year(w: Walker, site: CallSite, d: Val) -> Val:
    """The year of a date."""
    return date_part(w, d, site.of("d"), "year")


@builtin("month")
def month(w: Walker, site: CallSite, d: Val) -> Val:
    """The month of a date, from 1."""
    return date_part(w, d, site.of("d"), "month")


@builtin("day")
def day(w: Walker, site: CallSite, d: Val) -> Val:
    """The day of the month of a date, from 1."""
    return date_part(w, d, site.of("d"), "day")
