"""Arrays that an application hands over, checked like files.

For: `from_arrays`.
Leaves to others: everything about values (`load.convert`).
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec, InputSpec
from runtime.sources.cells import Cells, Content, Mask, Typed
from runtime.sources.faults import Faults, Place, check_columns
from runtime.sources.load import Loaded, convert
from runtime.sources.native import column_of, element_place
from runtime.sources.typed import refuse_kind


def from_arrays(spec: InputSpec, given: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> Loaded:
    """What `load` gives, from an array, or for a table from its columns by name. Raises DataError.

    A column is an array or a list of numbers, truth values, dates, decimals or texts. A value is missing where a
    `numpy.ma` array is masked, and in a column with `?` also where a list holds None or a float is NaN.
    """
    faults = Faults(spec, "")
    if not spec.table:
        if isinstance(given, Mapping):
            faults.fail("E0411", "an array is expected, not columns by name")
        shape, raw = _column(spec.columns[0], given, faults)
        return convert(spec, Content(shape, {spec.columns[0].name: raw}), faults, from_text_alone=True)
    if not isinstance(given, Mapping):
        faults.fail("E0411", "a table is expected: its columns by name")
    check_columns(spec, [str(name) for name in given], faults)
    columns: dict[str, Cells | Typed] = {}
    rows: int | None = None
    for column in spec.columns:
        shape, columns[column.name] = _column(column, given[column.name], faults)
        if len(shape) != 1:
            faults.fail("E0411", f"a column has one axis, here it has {len(shape)}", column=column.name)
        if rows not in {None, shape[0]}:
            faults.fail("E0411", f"the column has {shape[0]} rows, the first {rows}", column=column.name)
        rows = shape[0]
    faults.locate = lambda index: Place(index + 1)
    return convert(spec, Content((rows or 0,), columns), faults, from_text_alone=True)


def _column(spec: ColumnSpec, given: npt.ArrayLike, faults: Faults) -> tuple[tuple[int, ...], Cells | Typed]:
    try:
        array = np.asanyarray(given)
    except ValueError:
        faults.fail("E0411", "the lists are of different lengths", column=spec.name or None)
    missing: Mask = np.array(np.ma.getmaskarray(array), np.bool_).reshape(-1)
    flat: NDArray[Any] = np.ma.getdata(array).reshape(-1)
    faults.locate = lambda index: element_place(index, array.shape)
    if flat.dtype == object:
        return array.shape, _texts(spec, flat.tolist(), missing, faults)
    if flat.dtype.kind in "US" and spec.kind in {"int", "fixed", "bool"}:
        refuse_kind(spec, "text", faults)
        faults.finish()
    if spec.nullable and flat.dtype.kind == "f":
        missing |= np.isnan(flat)
    return array.shape, column_of(flat, faults, missing, column=spec.name or None)


_TAKEN: Final[dict[str, tuple[type, ...]]] = {
    "int": (bool, int, float, Decimal),
    "fixed": (int, float, Decimal),
    "decimal": (int, Decimal, str),
    "bool": (bool, int),
    "date": (datetime.date, str),
    "enum": (str,),
    "text": (str,),
    "key": (str, int),
}
"""Python's own types that stand for each kind."""


def _texts(spec: ColumnSpec, values: list[Any], missing: Mask, faults: Faults) -> Cells | Typed:
    """A list of Python's own values, as texts that say exactly what they are."""
    texts: list[str] = []
    missing = missing.copy()
    for i, value in enumerate(values):
        if isinstance(value, np.generic):
            value = value.item()
        if missing[i] or value is None or (spec.nullable and value != value):
            missing[i] = True
            texts.append("")
        else:
            texts.append(_written(spec, value, i, faults))
    return column_of(np.array(texts, np.str_), faults, missing, column=spec.name or None)


def _written(spec: ColumnSpec, value: Any, index: int, faults: Faults) -> str:
    taken = _TAKEN[spec.kind]
    odd_bool = isinstance(value, bool) and bool not in taken
    if odd_bool or isinstance(value, datetime.datetime) or not isinstance(value, taken):
        message = f"a Python value of type {type(value).__name__} where {spec.kind} is expected"
        faults.at("E0403", index, message, column=spec.name)
        raise faults.error()
    match value:
        case bool():
            return str(int(value))
        case float():
            return f"{Decimal(value):f}" if spec.kind == "int" and math.isfinite(value) else repr(value)
        case Decimal() if value.is_finite():
            return f"{value:f}"
    return str(value)
