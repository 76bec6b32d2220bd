"""Tables of Arrow, as Parquet files and databases give them.

For: `content`.
Leaves to others: what a value means (`typed`, `text`).

pyarrow is imported when there is a table, and not before: it takes longer to start than a small job to run.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from dsl.inputs import InputSpec
from runtime.sources.cells import PADDING, Cells, Content, Mask, Typed
from runtime.sources.faults import Faults
from runtime.sources.grid import side_by_side


def content(table: Any, spec: InputSpec, faults: Faults, *, numbers: Collection[str] = ()) -> Content:
    """The columns that the study declares, or all side by side as an array.

    numbers: columns whose source calls them numbers but gives them as texts.
    """
    if spec.table:
        columns = {c.name: _column(table[c.name], c.name, faults) for c in spec.columns}
        return Content((table.num_rows,), columns, frozenset(numbers))
    names = list(table.column_names)
    found = side_by_side(names, [_column(table.column(i), n, faults) for i, n in enumerate(names)], spec, faults)
    all_numbers = {spec.columns[0].name} if names and set(names) <= set(numbers) else ()
    return found._replace(numbers=frozenset(all_numbers))


def _column(chunked: Any, name: str, faults: Faults) -> Cells | Typed:
    """A column of Arrow as one of ours."""
    import pyarrow as pa

    kind = chunked.type
    if pa.types.is_dictionary(kind):
        chunked, kind = chunked.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_string_view(kind):
        chunked, kind = chunked.cast(pa.large_string()), pa.large_string()  # one piece may be longer than 2 GiB
    array = pa.concat_arrays(chunked.chunks) if chunked.num_chunks else pa.array([], kind)
    missing: Mask = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_large_string(kind):
        return _texts(array, missing, name, faults)
    if pa.types.is_boolean(kind):
        return Typed("bool", array.fill_null(False).to_numpy(zero_copy_only=False), missing)
    if pa.types.is_integer(kind):
        wide = pa.uint64() if pa.types.is_uint64(kind) else pa.int64()
        return Typed("int", array.cast(wide).fill_null(0).to_numpy(), missing)
    if pa.types.is_floating(kind):
        return Typed("float", array.cast(pa.float64()).fill_null(0.0).to_numpy(), missing)
    if pa.types.is_decimal(kind):
        return _decimals(array, missing)
    if pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()).fill_null(0)
        return Typed("date", days.to_numpy(), missing)
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return _days(array, missing, name, faults)
    if pa.types.is_null(kind):
        nowhere = np.zeros(len(array), np.int64)
        return Cells(np.zeros(PADDING, np.uint8), nowhere, nowhere, missing)
    help = "read it by a `query` that casts it" if faults.source == "table" else ""
    return faults.fail(
        "E0403", f"a column of the {faults.source}'s type `{kind}` cannot be used", column=name, help=help
    )


def _texts(array: Any, missing: Mask, name: str, faults: Faults) -> Cells:
    """Places in Arrow's own order of bytes."""
    _, offsets, data = array.buffers()
    top = array.offset + len(array)
    ends = np.zeros(1, np.int64) if offsets is None else np.frombuffer(offsets, np.int64)[array.offset : top + 1]
    raw = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    used = raw[: int(ends[-1])]
    length = np.diff(ends)
    length[missing] = 0
    cells = Cells(np.concatenate([used, np.zeros(PADDING, np.uint8)]), ends[:-1], length, missing)
    if not used.all():
        holds = np.concatenate([[0], np.cumsum(used == 0)])
        faults.add("E0403", (holds[ends[1:]] > holds[ends[:-1]]) & ~missing, "a text with a zero byte", column=name)
        faults.finish()
    return cells


def _decimals(array: Any, missing: Mask) -> Typed:
    """The whole numbers that Arrow keeps; one of more than 64 bits first loses the zeros at its end."""
    import pyarrow as pa

    common = int(array.type.scale)
    wide = array.cast(pa.decimal256(76, common))
    rows = np.frombuffer(wide.buffers()[1], "<i8").reshape(-1, 4)[wide.offset : wide.offset + len(wide)]
    values = rows[:, 0].astype(np.int64)
    large = (rows[:, 1:] != (values >> 63)[:, None]).any(axis=1) & ~missing
    values[missing | large] = 0
    scale = np.full(len(values), common, np.int8)
    nearest = values / 10.0**common
    for i in np.flatnonzero(large).tolist():
        number = int.from_bytes(rows[i].tobytes(), "little", signed=True)
        nearest[i] = number / 10**common if common >= 0 else float(number * 10**-common)
        while number % 10 == 0 and scale[i] > 0:
            number //= 10
            scale[i] -= 1
        if -(2**63) <= number < 2**63:
            values[i], large[i] = number, False
    return Typed("decimal", values, missing, scale, large, nearest)


def _days(array: Any, missing: Mask, name: str, faults: Faults) -> Typed:
    """Timestamps that are all at midnight."""
    ticks = array.to_numpy(zero_copy_only=False)
    days = ticks.astype("M8[D]")
    uneven = (days.astype(ticks.dtype) != ticks) & ~missing
    faults.add(
        "E0403",
        uneven,
        "a time of day where a date is expected",
        column=name,
        help="store dates without a time",
    )
    return Typed("date", np.where(missing | uneven, 0, days.astype(np.int64)), missing)
