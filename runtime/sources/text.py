"""Turns the texts of a column into values of the type that the study declares, and says which ones cannot be.

For: `from_text`, used for CSV files and for the text columns of others.
Leaves to others: values that a file stores with a type (`typed`), ranges, uniqueness and missing values (`checks`).

What is taken: a value is taken when it stands for exactly one value of the type, so `34.0` is an int and `1.50` has
one place; `fixed` alone rounds, to the nearest float64. Blanks around numbers, dates, truth values do no harm; in
texts, enums and keys every byte counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec
from runtime.sources.cells import Bytes, Cells, Mask
from runtime.sources.faults import Faults
from runtime.sources.numbers import Form, exact, floats, scan

FIXED_LIMIT: Final = 2.0**46
"""A `fixed` number is smaller than this in magnitude."""

KEY_BYTES: Final = 256

Values = NDArray[Any]


class Converted(NamedTuple):
    """values: (rows,), or (rows, n) of a text(n); 0 where missing or bad. bad: values that a fault tells of."""

    values: Values
    missing: Mask
    bad: Mask


class Judge:
    """Notes faults of one column and remembers which values are bad; the first fault of a value counts."""

    def __init__(self, spec: ColumnSpec, missing: Mask, faults: Faults) -> None:
        self.spec = spec
        self.bad = np.zeros(len(missing), np.bool_)
        self._missing = missing
        self._faults = faults

    def refuse(self, code: str, bad: Mask, message: str, help: str = "") -> None:
        """Notes a fault for each value in `bad` that is not missing and has none yet."""
        new = bad & ~self._missing & ~self.bad
        self._faults.add(code, new, message, column=self.spec.name, help=help)
        self.bad |= new


def from_text(spec: ColumnSpec, cells: Cells, faults: Faults) -> Converted:
    """The column's values: int64 (int, date as days, enum as the word's number, decimal times 10**places), float64
    (fixed), bool, uint8 (rows, n) (text), bytes (key).
    """
    if spec.kind not in {"text", "enum", "key"}:
        cells = cells.trimmed()
    missing = cells.missing | ((cells.length == 0) if spec.kind != "text" else False)
    judge = Judge(spec, missing, faults)
    values = _CONVERT[spec.kind](cells, judge)
    idle = missing | judge.bad
    if idle.any():
        values = values.copy()
        values[idle] = np.zeros((), values.dtype)
    return Converted(values, missing, judge.bad)


def empty_help(spec: ColumnSpec) -> str:
    """What to write for a missing value."""
    if spec.nullable:
        return "a missing value is an empty cell"
    return f"if values are missing, leave their cells empty and declare `{spec.kind}?`"


def refuse_not_finite(judge: Judge, bad: Mask, *, help: str = "") -> None:
    """NaN and the infinities are no values of any type."""
    judge.refuse("E0405", bad, "NaN or an infinite number", help or empty_help(judge.spec))


def refuse_uneven(judge: Judge, bad: Mask) -> None:
    """More places than the type has."""
    if judge.spec.kind == "int":
        judge.refuse(
            "E0403", bad, "a number with a fraction where a whole number is expected", "declare the column `fixed`"
        )
    else:
        places = judge.spec.places
        judge.refuse("E0406", bad, f"a number with more than {places} places", f"round the column to {places} places")


def refuse_large(judge: Judge, bad: Mask) -> None:
    """Beyond 64 bits."""
    what = "whole numbers" if judge.spec.kind == "int" else f"numbers with {judge.spec.places} places"
    judge.refuse("E0406", bad, f"a number outside the {what} of 64 bits with sign")


def refuse_large_fixed(judge: Judge, bad: Mask) -> None:
    """Beyond what `fixed` holds; what was computed may lie there where it counts for nothing."""
    if judge.spec.computed:
        return
    judge.refuse(
        "E0406",
        bad,
        "a number too large for `fixed`, which must be below 2^46 in magnitude",
        "bring it in a larger unit",
    )


def _whole(cells: Cells, judge: Judge) -> Values:
    found = scan(cells)
    what = "a whole number" if judge.spec.kind == "int" else f"a number with up to {judge.spec.places} places"
    refuse_not_finite(judge, found.form == Form.NOT_FINITE)
    judge.refuse("E0403", found.form == Form.TEXT, f"text where {what} is expected", empty_help(judge.spec))
    judge.refuse(
        "E0403",
        found.form == Form.EXPONENT,
        f"a number with an exponent where {what} is expected",
        "write its digits out",
    )
    values, uneven, large = exact(cells, found, judge.spec.places)
    refuse_uneven(judge, uneven)
    refuse_large(judge, large)
    return values


def _fixed(cells: Cells, judge: Judge) -> Values:
    found = scan(cells, digits=False)
    refuse_not_finite(judge, found.form == Form.NOT_FINITE)
    judge.refuse("E0403", found.form == Form.TEXT, "text where a number is expected", empty_help(judge.spec))
    values = floats(cells, found)
    refuse_large_fixed(judge, np.abs(values) >= FIXED_LIMIT)
    return values


def _bool(cells: Cells, judge: Judge) -> Values:
    words = np.strings.lower(cells.words(6))
    true: Mask = (words == b"true") | (words == b"1")
    known = true | (words == b"false") | (words == b"0")
    judge.refuse("E0403", ~known, "neither true nor false", "write true or false, or 1 or 0")
    return true


def _date(cells: Cells, judge: Judge) -> Values:
    text = cells.matrix(11)
    digit = text - np.uint8(48)
    shape = (cells.length == 10) & (text[:, 4] == ord("-")) & (text[:, 7] == ord("-"))
    for i in (0, 1, 2, 3, 5, 6, 8, 9):
        shape &= digit[:, i] < 10
    judge.refuse("E0403", ~shape, "no date in the form YYYY-MM-DD", "write dates as 2024-01-31")
    part = np.where(shape[:, None], digit, 0).astype(np.int64)
    year = part[:, 0] * 1000 + part[:, 1] * 100 + part[:, 2] * 10 + part[:, 3]
    month, day = part[:, 5] * 10 + part[:, 6], part[:, 8] * 10 + part[:, 9]
    real = shape & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    months = ((year - 1970) * 12 + month - 1).astype("M8[M]")
    first = months.astype("M8[D]").astype(np.int64)
    after = (months + 1).astype("M8[D]").astype(np.int64)
    values = first + day - 1
    judge.refuse("E0403", shape & ~(real & (values < after)), "a date that is not in the calendar")
    return values


def _enum(cells: Cells, judge: Judge) -> Values:
    words = [word.encode() for word in judge.spec.words]
    width = max(map(len, words), default=0) + 1
    if not words or not len(cells):
        return np.zeros(len(cells), np.int64)
    order = sorted(range(len(words)), key=words.__getitem__)
    listed = np.array([words[i] for i in order], f"S{width}")
    texts = cells.words(width)
    at = np.minimum(np.searchsorted(listed, texts), len(words) - 1)
    judge.refuse(
        "E0408", listed[at] != texts, f"none of the words {_listed(judge.spec.words)}", "case and blanks count"
    )
    return np.array(order, np.int64)[at]


def _listed(words: tuple[str, ...], most: int = 20) -> str:
    shown = ", ".join(repr(word) for word in words[:most])
    return shown if len(words) <= most else f"{shown}, and {len(words) - most} more"


def _text(cells: Cells, judge: Judge) -> Bytes:
    limit = judge.spec.length
    judge.refuse(
        "E0409", cells.length > limit, f"a text of more than {limit} bytes", f"declare a longer text than text({limit})"
    )
    return cells.matrix(limit)[:, :limit]


def _key(cells: Cells, judge: Judge) -> Values:
    judge.refuse("E0409", cells.length > KEY_BYTES, f"a key of more than {KEY_BYTES} bytes")
    return cells.words(min(int(cells.length.max(initial=1)), KEY_BYTES))


_CONVERT: Final[dict[str, Callable[[Cells, Judge], Values]]] = {
    "int": _whole,
    "decimal": _whole,
    "fixed": _fixed,
    "bool": _bool,
    "date": _date,
    "enum": _enum,
    "text": _text,
    "key": _key,
}
