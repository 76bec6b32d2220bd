"""What a column or a table promises beyond the type of each value: nothing missing, the range, no value twice.

For: `check_missing`, `check_range`, `check_unique`.
Leaves to others: uniqueness over the parts of several owners, which is checked inside the computation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec
from runtime.sources.faults import MAX_SHOWN, Faults
from runtime.sources.text import Converted, Values


def check_missing(spec: ColumnSpec, column: Converted, faults: Faults) -> None:
    """A column without `?` has a value in every row."""
    if not spec.nullable:
        help = f"fill it in, or declare `{_declared(spec)}?`"
        if spec.kind == "text":
            help += '; an empty text is written `""`'
        faults.add("E0404", column.missing, "a value is missing", column=spec.name, help=help)


def _declared(spec: ColumnSpec) -> str:
    match spec.kind:
        case "decimal":
            return f"decimal({spec.places})"
        case "text":
            return f"text({spec.length})"
        case "enum":
            return "enum(…)"
    return spec.kind


def check_range(spec: ColumnSpec, column: Converted, faults: Faults) -> None:
    """Every value is within the declared range, both ends included."""
    if spec.range is None or spec.kind in {"text", "key", "enum", "bool"}:
        return
    low, high = spec.range
    values = column.values
    if spec.kind == "fixed":
        outside = (values < float(low)) | (values > float(high))
    else:
        factor = 10**spec.places if spec.kind == "decimal" else 1
        # In whole numbers: beside a float an int64 would be rounded.
        least = math.ceil(Decimal(str(low)) * factor)
        most = math.floor(Decimal(str(high)) * factor)
        outside = (values < least) | (values > most)
    bad = outside & ~column.missing & ~column.bad
    faults.add("E0407", bad, f"a value outside the declared range {low}..{high}", column=spec.name)


def check_unique(names: Sequence[str], columns: Sequence[Converted], faults: Faults) -> None:
    """No two rows have the same values in these columns; a row where one is missing equals none, as in SQL."""
    idle = np.logical_or.reduce([c.missing | c.bad for c in columns])
    rows = np.flatnonzero(~idle)
    if len(rows) < 2:
        return
    words = np.concatenate([_words(c.values[rows]) for c in columns], axis=1)
    order = np.lexsort(words.T[::-1]) if words.shape[1] > 1 else np.argsort(words[:, 0], kind="stable")
    ordered = words[order]
    same = (ordered[1:] == ordered[:-1]).all(axis=1)
    again = np.flatnonzero(same)
    if not len(again):
        return
    # A stable sort leaves equal rows in the file's order: the one before is the last occurrence before.
    pairs = sorted(zip(rows[order[again + 1]].tolist(), rows[order[again]].tolist(), strict=True))
    what = f"the column {names[0]}" if len(names) == 1 else f"the columns {', '.join(names)} together"
    for second, first in pairs[:MAX_SHOWN]:
        before = faults.locate(first)
        line = f" (line {before.line})" if before.line is not None else ""
        faults.at(
            "E0410",
            second,
            f"{what} must be unique, but row {before.row}{line} holds the same",
            column=", ".join(names),
        )
    faults.uncounted(len(pairs) - MAX_SHOWN)


def _words(values: Values) -> NDArray[np.uint64]:
    """(rows, k) whole numbers that are equal just where the values are."""
    rows = len(values)
    if values.dtype.kind == "f":
        values = values + 0.0  # minus zero is zero
    raw: NDArray[Any] = np.ascontiguousarray(values).view(np.uint8).reshape(rows, -1)
    spare = -raw.shape[1] % 8
    if spare:
        raw = np.pad(raw, ((0, 0), (0, spare)))
    return np.ascontiguousarray(raw).view(np.uint64).reshape(rows, -1)
