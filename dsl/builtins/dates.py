"""Parts of a date: year month day, of the calendar that ISO dates have, for every year.

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

__all__ = ["civil"]

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


def _part(w: Walker, d: Val, span: Span, which: int) -> Val:
    a = w.array(d, span, "a date")
    if a.stype.kind != "date":
        return w.error("E0301", "expected a date", span, describe(a))
    return Array(civil(a.value)[which], INTEGER.optional(a.stype.nullable), a.valid, a.padded)


@builtin("year")
def year(w: Walker, site: CallSite, d: Val) -> Val:
    """The year of a date."""
    return _part(w, d, site.of("d"), 0)


@builtin("month")
def month(w: Walker, site: CallSite, d: Val) -> Val:
    """The month of a date, from 1."""
    return _part(w, d, site.of("d"), 1)


@builtin("day")
def day(w: Walker, site: CallSite, d: Val) -> Val:
    """The day of the month of a date, from 1."""
    return _part(w, d, site.of("d"), 2)
