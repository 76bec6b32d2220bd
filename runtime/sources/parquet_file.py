"""Parquet files, read by pyarrow.

For: `read`, `shape`.
Leaves to others: Arrow's columns (`arrow`), what a value means (`typed`, `text`).

pyarrow is imported when a Parquet file is read, and not before: it takes longer to start than a small job to run.
"""

from __future__ import annotations

from pathlib import Path

from dsl.inputs import InputSpec
from runtime.sources.arrow import content
from runtime.sources.cells import Content, grid_shape
from runtime.sources.faults import Faults, check_columns


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
    return content(table, spec, faults)


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
