"""Parquet files, read by pyarrow.

For: `read`, `shape`.
Leaves to others: what a value means (`typed`, `text`).

pyarrow is imported when a Parquet file is read, and not before: it takes longer to start than a small job to run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import InputSpec
from runtime.sources.cells import PADDING, Cells, Content, Mask, Typed, grid_shape
from runtime.sources.faults import Faults, Place, check_columns


def read(path: Path, spec: InputSpec, faults: Faults) -> Content:
    """The columns of a table, or all columns side by side as an array of one or two axes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = list(file.schema_arrow.names)
            if spec.table:
                check_columns(spec, names, faults)
                names = [column.name for column in spec.columns]
            table = file.read(columns=names)
    except (pa.ArrowException, OSError):
        faults.fail("E0414", "the file is damaged or no Parquet file", help="write it again")
    if spec.table:
        return Content((table.num_rows,), {name: _column(table[name], name, faults) for name in names})
    return _array(table, spec, faults)


def shape(path: Path, spec: InputSpec, faults: Faults) -> tuple[int, ...]:
    """The shape, from the file's footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        faults.fail("E0414", "the file is damaged or no Parquet file", help="write it again")
    rows, wide = int(metadata.num_rows), int(metadata.num_columns)
    if spec.table:
        return (rows,)
    return grid_shape(spec.shape, rows, wide)


def _array(table: Any, spec: InputSpec, faults: Faults) -> Content:
    rows, wide = int(table.num_rows), int(table.num_columns)
    names = list(table.column_names)
    if not rows or not wide:
        faults.fail("E0411", "the file holds no rows")
    columns = [_column(table.column(i), names[i], faults) for i in range(wide)]
    kinds = sorted({c.kind if isinstance(c, Typed) else "text" for c in columns})
    if len(kinds) > 1:
        faults.fail("E0403", f"the columns are of different types: {', '.join(kinds)}", help="store all as one type")

    def locate(index: int) -> Place:
        row, number = divmod(index, wide)
        return Place(row + 1, None, names[number])

    faults.locate = locate
    return Content(grid_shape(spec.shape, rows, wide), {spec.columns[0].name: _side_by_side(columns)})


def _side_by_side(columns: list[Cells | Typed]) -> Cells | Typed:
    """One flat column that goes through the rows."""
    missing = np.stack([c.missing for c in columns], axis=1).reshape(-1)
    typed = [c for c in columns if isinstance(c, Typed)]
    if not typed:
        texts = [c for c in columns if isinstance(c, Cells)]
        offsets = np.cumsum([0] + [len(c.data) for c in texts[:-1]])
        start = np.stack([c.start + offset for c, offset in zip(texts, offsets, strict=True)], axis=1)
        length = np.stack([c.length for c in texts], axis=1)
        return Cells(np.concatenate([c.data for c in texts]), start.reshape(-1), length.reshape(-1), missing)
    values = _stack([c.values for c in typed])
    if typed[0].kind != "decimal":
        return Typed(typed[0].kind, values, missing)
    scale, large = _stack([c.scale for c in typed]), _stack([c.large for c in typed])
    return Typed("decimal", values, missing, scale, large, _stack([c.nearest for c in typed]))


def _stack(columns: list[Any]) -> NDArray[Any]:
    return np.stack(columns, axis=1).reshape(-1)


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
    return faults.fail("E0403", f"a column of the file's type `{kind}` cannot be used", column=name)


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
    faults.add(
        "E0403",
        (days.astype(ticks.dtype) != ticks) & ~missing,
        "a time of day where a date is expected",
        column=name,
        help="store dates without a time",
    )
    return Typed("date", np.where(missing, 0, days.astype(np.int64)), missing)
