"""Turns values that a file stores with a type into values of the type that the study declares.

For: `from_typed`, used for Parquet and NumPy files and databases.
Leaves to others: texts (`text`), ranges, uniqueness and missing values (`checks`).

What is taken: as in `text`, whatever stands for exactly one value of the declared type. A float is taken as an int when
it is whole, never as a `decimal`: a float of 0.1 is not one tenth.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec
from runtime.sources.cells import Mask, Typed
from runtime.sources.faults import Faults
from runtime.sources.numbers import INT_MAX, rescale
from runtime.sources.text import (
    FIXED_LIMIT,
    Converted,
    Judge,
    Values,
    refuse_large,
    refuse_large_fixed,
    refuse_not_finite,
    refuse_uneven,
)

_STORED: Final = {
    "int": "whole numbers",
    "float": "floating-point numbers",
    "bool": "truth values",
    "date": "dates",
    "decimal": "decimal numbers",
    "text": "texts",
}
EXPECTED: Final = {
    "int": "whole numbers",
    "fixed": "numbers",
    "bool": "truth values",
    "date": "dates",
    "decimal": "exact decimal numbers",
    "enum": "texts",
    "text": "texts",
    "key": "texts or whole numbers",
}
_FIRST_DAY: Final = date.min.toordinal() - date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date.max.toordinal() - date(1970, 1, 1).toordinal()
FLOAT_AS_INT: Final = 2.0**53
"""Up to here every whole number is a float64 of its own."""


def from_typed(spec: ColumnSpec, column: Typed, faults: Faults) -> Converted:
    """The column's values, in the forms that `text.from_text` gives."""
    judge = Judge(spec, column.missing, faults)
    values = _values(column, judge)
    if values is None:
        refuse_kind(spec, column.kind, faults)
        values = np.zeros(len(column), np.int64)
        judge.bad[:] = True
    idle = column.missing | judge.bad
    if idle.any():
        values = values.copy()
        values[idle] = np.zeros((), values.dtype)
    return Converted(values, column.missing, judge.bad)


def refuse_kind(spec: ColumnSpec, stored: str, faults: Faults) -> None:
    """The whole column is of a type that cannot stand for the declared one."""
    what, wanted = _STORED.get(stored, stored), EXPECTED[spec.kind]
    help = ""
    if spec.kind == "decimal" and stored == "float":
        help = "store the column as decimals or as text: floats are not exact"
    message = f"the {faults.source} holds {what} where {wanted} are expected"
    faults.say("E0403", message, column=spec.name or None, help=help)


def _values(column: Typed, judge: Judge) -> Values | None:
    """The values, or None when the stored kind cannot stand for the declared one."""
    match judge.spec.kind, column.kind:
        case (("int" | "decimal"), ("int" | "decimal")):
            return _exact(column, judge)
        case "int", "float":
            return _whole_floats(column, judge)
        case "int", "bool":
            return column.values.astype(np.int64)
        case "fixed", "float":
            return _floats(np.asarray(column.values, np.float64), judge)
        case "fixed", ("int" | "decimal"):
            return _to_fixed(column, judge)
        case "bool", "bool":
            return np.asarray(column.values)
        case "bool", "int":
            judge.refuse("E0403", (column.values != 0) & (column.values != 1), "neither 0 nor 1")
            return np.asarray(column.values != 0)
        case "date", "date":
            # Databases keep infinity as a day far away.
            outside = (column.values < _FIRST_DAY) | (column.values > _LAST_DAY)
            judge.refuse("E0403", outside, "a date outside the years 1 to 9999")
            return column.values
        case "key", "int":
            return column.values.astype("S21")
        case "key", "date":
            return column.values.astype("M8[D]").astype("S12")
    return None


def _exact(column: Typed, judge: Judge) -> Values:
    values, places = column.values, judge.spec.places
    have = np.zeros(len(column), np.int8) if column.scale is None else column.scale
    large: Mask = np.zeros(len(column), np.bool_) if column.large is None else column.large
    if values.dtype == np.uint64:
        large = large | (values > np.uint64(INT_MAX))
    refuse_uneven(judge, large & (have > places))
    whole = np.where(large | column.missing, 0, values).astype(np.int64)
    scaled, uneven, too_large = rescale(whole, have, places)
    refuse_uneven(judge, uneven)
    refuse_large(judge, large | too_large)
    return scaled


def _whole_floats(column: Typed, judge: Judge) -> Values:
    values = np.asarray(column.values, np.float64)
    finite = np.isfinite(values)
    refuse_not_finite(judge, ~finite, help=_NULL)
    safe = np.where(finite, values, 0.0)
    refuse_uneven(judge, np.floor(safe) != safe)
    judge.refuse(
        "E0406",
        np.abs(safe) > FLOAT_AS_INT,
        "a floating-point number too large to be one whole number",
        "store whole numbers",
    )
    return np.where(np.abs(safe) <= FLOAT_AS_INT, safe, 0.0).astype(np.int64)


_NULL: Final = "store a missing value as null, not as NaN"


def _floats(values: NDArray[np.float64], judge: Judge) -> Values:
    refuse_not_finite(judge, ~np.isfinite(values), help=_NULL if judge.spec.nullable else "")
    with np.errstate(invalid="ignore"):
        refuse_large_fixed(judge, np.abs(values) >= FIXED_LIMIT)
    return values


def _to_fixed(column: Typed, judge: Judge) -> Values:
    values = column.values.astype(np.float64) if column.nearest is None else column.nearest
    refuse_large_fixed(judge, np.abs(values) >= FIXED_LIMIT)
    return values
