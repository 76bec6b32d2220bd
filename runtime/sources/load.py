"""Loads what one party brings: finds the reader, converts every column, and checks all that the study declares.

For: `load`, `measure`, `load_all`, `bound_sizes`.
Leaves to others: hashing keys (`keys`), which needs the salt of the job, and encoding values as shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import InputSpec
from runtime.sources import csv_file, npy_file, parquet_file
from runtime.sources.address import Database
from runtime.sources.cells import Cells, Content, Mask
from runtime.sources.checks import check_missing, check_range, check_unique
from runtime.sources.faults import Faults
from runtime.sources.find import Bindings, find
from runtime.sources.text import Converted, Values, from_text
from runtime.sources.typed import from_typed, refuse_kind


class Reader(NamedTuple):
    """A file format. tables: whether it can hold named columns."""

    read: Callable[[Path, InputSpec, Faults], Content]
    shape: Callable[[Path, InputSpec, Faults], tuple[int, ...]]
    tables: bool


READERS: Final[dict[str, Reader]] = {
    ".csv": Reader(csv_file.read, csv_file.shape, tables=True),
    ".parquet": Reader(parquet_file.read, parquet_file.shape, tables=True),
    ".npy": Reader(npy_file.read, npy_file.shape, tables=False),
}
"""By the suffix of the file's name."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What one party brings for one input, checked, in natural units.

    shape: `(rows,)` of a table, otherwise the array's; rows: its first size (1 for a single value).
    columns: by name (an array has the one column ''): int64 (int; date as days; enum as the word's number; decimal
    times 10**places), float64 (fixed), bool, uint8 `(*shape, n)` (text(n): UTF-8, zeros after its end), bytes (key).
    valid: None for a column without `?`, otherwise where a value is present; where it is not, the value is 0.
    """

    spec: InputSpec
    rows: int
    shape: tuple[int, ...]
    columns: dict[str, NDArray[Any]]
    valid: dict[str, NDArray[np.bool_] | None]


def load(spec: InputSpec, path: Path | Database) -> Loaded:
    """Reads and checks one file or table of a database. Raises DataError with up to ten faults."""
    if isinstance(path, Database):
        from runtime.sources import databases

        faults = Faults(spec, str(path), "table")
        return convert(spec, databases.read(path, spec, faults), faults, from_text_alone=False)
    faults = Faults(spec, str(path))
    content = _open(spec, path, faults).read(path, spec, faults)
    return convert(spec, content, faults, from_text_alone=path.suffix.lower() == ".csv")


def convert(spec: InputSpec, content: Content, faults: Faults, *, from_text_alone: bool) -> Loaded:
    """Converts and checks what a reader found. from_text_alone: the source has no other values than texts."""
    _check_shape(spec, content.shape, faults)
    converted: dict[str, Converted] = {}
    for column in spec.columns:
        raw = content.columns[column.name]
        if not isinstance(raw, Cells):
            result = from_typed(column, raw, faults)
        elif from_text_alone or column.name in content.numbers or _may_be_text(column.kind, raw):
            result = from_text(column, raw, faults)
        else:
            refuse_kind(column, "text", faults)
            continue
        check_missing(column, result, faults)
        check_range(column, result, faults)
        if column.unique:
            check_unique([column.name], [result], faults)
        converted[column.name] = result
    for together in spec.unique_together:
        if all(name in converted for name in together):
            check_unique(together, [converted[name] for name in together], faults)
    faults.finish()
    return _loaded(spec, content.shape, converted)


def measure(spec: InputSpec, path: Path | Database) -> tuple[int, ...]:
    """The shape that `load` will give, `(rows,)` of a table, without converting values. Raises DataError."""
    if isinstance(path, Database):
        from runtime.sources import databases

        faults = Faults(spec, str(path), "table")
        shape = databases.shape(path, spec, faults)
    else:
        faults = Faults(spec, str(path))
        shape = _open(spec, path, faults).shape(path, spec, faults)
    _check_shape(spec, shape, faults)
    return shape


def load_all(specs: Sequence[InputSpec], data_dir: Path | None, bindings: Bindings | None = None) -> dict[str, Loaded]:
    """All that one party brings, by name; the same letter must be the same size. Raises DataError."""
    loaded = {s.name: load(s, find(data_dir, s.party, s.name, bindings, suffixes=suffixes(s))) for s in specs}
    bound_sizes((one.spec, one.shape) for one in loaded.values())
    return loaded


def suffixes(spec: InputSpec) -> tuple[str, ...]:
    """The suffixes of the formats that can hold it."""
    return tuple(suffix for suffix, reader in READERS.items() if reader.tables or not spec.table)


def bound_sizes(shapes: Iterable[tuple[InputSpec, tuple[int, ...]]]) -> dict[str, int]:
    """The size of each letter, from the arrays' shapes. Raises DataError E0412 where two disagree."""
    sizes: dict[str, int] = {}
    origin: dict[str, InputSpec] = {}
    for spec, shape in shapes:
        for letter, size in zip(spec.shape, shape, strict=False):
            if not isinstance(letter, str) or not letter.isidentifier():
                continue
            if sizes.setdefault(letter, size) != size:
                first = origin[letter]
                faults = Faults(spec, "")
                faults.fail("E0412", f"{letter} is {size} here but {sizes[letter]} in `{first.name}` of {first.party}")
            origin.setdefault(letter, spec)
    return sizes


def _open(spec: InputSpec, path: Path, faults: Faults) -> Reader:
    reader = READERS.get(path.suffix.lower())
    if reader is None or (spec.table and not reader.tables):
        known = " and ".join(suffixes(spec))
        what = "a table" if spec.table else "an array"
        faults.fail("E0414", f"{what} is read from {known} files, not from {path.suffix or 'one without a suffix'}")
    try:
        with path.open("rb"):
            return reader
    except FileNotFoundError:
        faults.fail("E0401", "there is no such file")
    except OSError as error:
        faults.fail("E0414", f"the file cannot be read: {error.strerror}")


def _check_shape(spec: InputSpec, shape: tuple[int, ...], faults: Faults) -> None:
    if spec.table:
        if spec.max_rows is not None and shape[0] > spec.max_rows:
            faults.fail("E0413", f"the table has {shape[0]} rows, at most {spec.max_rows} are declared")
        return
    wanted = "[" + ", ".join(map(str, spec.shape)) + "]" if spec.shape else "a single value"
    found = "[" + ", ".join(map(str, shape)) + "]" if shape else "a single value"
    same = len(shape) == len(spec.shape) and all(
        have == want for have, want in zip(shape, spec.shape, strict=True) if isinstance(want, int)
    )
    if not same:
        faults.fail("E0411", f"the {faults.source} holds {found}, the study declares {wanted}")
    letters: dict[str, int] = {}
    for letter, size in zip(spec.shape, shape, strict=True):
        if isinstance(letter, str) and letters.setdefault(letter, size) != size:
            faults.fail("E0412", f"the {faults.source} holds {found}, but {wanted} has {letter} twice")


def _may_be_text(kind: str, cells: Cells) -> bool:
    """Where numbers and truth values have types of their own, a text is none of them; all else may be text."""
    return kind not in {"int", "fixed", "bool"} or bool(cells.missing.all())


def _loaded(spec: InputSpec, shape: tuple[int, ...], converted: dict[str, Converted]) -> Loaded:
    columns: dict[str, Values] = {}
    valid: dict[str, Mask | None] = {}
    for column in spec.columns:
        result = converted[column.name]
        columns[column.name] = result.values.reshape(shape + result.values.shape[1:])
        valid[column.name] = ~result.missing.reshape(shape) if column.nullable else None
    return Loaded(spec, shape[0] if shape else 1, shape, columns, valid)
