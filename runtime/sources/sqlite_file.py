"""SQLite files, read by Python's own sqlite3.

For: `open_sqlite`.
Leaves to others: what a value means (`typed`, `text`).

In SQLite not a column but each value has a type: NULL, INTEGER, REAL, TEXT or BLOB ("Datatypes in SQLite", section 2).
So each value is held against the declared type before a column becomes one of ours, and one of a wrong type is a fault
with its row. SQLite has no type for truth values, dates or decimals: 0 and 1, ISO dates as texts, and decimals as
texts or whole numbers are taken; a decimal kept as REAL is not exact and is refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import compress
from typing import Any, Final, NoReturn, Self
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec, InputSpec
from runtime.sources.address import Database
from runtime.sources.cells import PADDING, Cells, Content, Mask, Typed
from runtime.sources.faults import Faults
from runtime.sources.grid import side_by_side
from runtime.sources.sql import TOO_LARGE, quoted, said
from runtime.sources.typed import EXPECTED, FLOAT_AS_INT

_BLOCK: Final = 1 << 14
_NULL, _INTEGER, _REAL, _TEXT, _BLOB = range(5)
_STORED: Final = {_INTEGER: "a whole number", _REAL: "a floating-point number", _TEXT: "a text", _BLOB: "a blob"}
_TAKEN: Final = {
    "int": (_INTEGER, _REAL),
    "fixed": (_INTEGER, _REAL),
    "decimal": (_INTEGER, _TEXT),
    "bool": (_INTEGER,),
    "date": (_TEXT,),
    "enum": (_TEXT,),
    "text": (_TEXT,),
    "key": (_INTEGER, _TEXT),
}
_EXACT: Final = "SQLite keeps decimals as floats, which are not exact: keep texts or whole numbers of the smallest unit"


def _well_formed(raw: bytes) -> bool:
    """Whether it is UTF-8, which SQLite does not make sure of: a function that statements here may use."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _nearest(value: float) -> int:
    """The nearest whole number, of two the even one, which SQLite's `round` does not give."""
    return round(value)


class _Utf8(bytes):
    """A TEXT, which is so told from a BLOB."""


_CODES: Final[dict[type, int]] = {type(None): _NULL, int: _INTEGER, float: _REAL, _Utf8: _TEXT, bytes: _BLOB}


@contextmanager
def open_sqlite(database: Database, faults: Faults) -> Iterator[SQLite]:
    """The file, read-only. Fails when it is not there."""
    assert database.file is not None
    if not database.file.is_file():
        faults.fail("E0401", "there is no such file")
    try:
        connection = sqlite3.connect(
            f"file:{quote(str(database.file.absolute()))}?mode=ro", uri=True, check_same_thread=False
        )
    except sqlite3.Error as error:
        faults.fail("E0414", f"the file cannot be opened: {said(error)}")
    connection.text_factory = _Utf8
    connection.create_function("parley_well_formed", 1, _well_formed, deterministic=True)
    connection.create_function("parley_nearest", 1, _nearest, deterministic=True)
    with closing(connection):
        yield SQLite(connection, faults)


class SQLite:
    """An open file."""

    def __init__(self, connection: sqlite3.Connection, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults
        self._version = self._data_version()

    def of(self, faults: Faults) -> SQLite:
        """The same for another of its tables; it has changed when the file did since it was first opened."""
        other = SQLite(self._connection, faults)
        other._version = self._version
        return other

    def _data_version(self) -> int:
        """Differs once another connection has changed the file."""
        try:
            return int(self._connection.execute("pragma data_version").fetchone()[0])
        except sqlite3.Error as error:
            self._locked(error)
            self._faults.fail("E0414", f"the file cannot be opened: {said(error)}")

    def names(self, rows: str) -> list[str]:
        """The columns that are there."""
        try:
            return [str(one[0]) for one in self._connection.execute(f"select * from {rows} limit 0").description]
        except sqlite3.Error as error:
            self._faults.fail("E0414", f"the database refuses it: {said(error)}")

    def count(self, rows: str) -> int:
        """The number of rows."""
        self.names(rows)
        try:
            return int(self._connection.execute(f"select count(*) from {rows}").fetchone()[0])
        except sqlite3.Error as error:
            self._unreadable(error)

    def read(self, rows: str, names: list[str], spec: InputSpec) -> Content:
        """These columns, or all for an array."""
        wanted = ", ".join(map(quoted, names)) if spec.table else "*"
        blocks: list[list[_Stored]] = [[] for _ in names]
        try:
            how = "" if rows.startswith("(") else " not indexed"  # in the order of its rows, not of an index
            cursor = self._connection.execute(f"select {wanted} from {rows}{how}")
            while block := cursor.fetchmany(_BLOCK):
                for parts, values in zip(blocks, zip(*block, strict=True), strict=True):
                    parts.append(_Stored.of(values))
        except sqlite3.Error as error:
            self._unreadable(error)
        stored = [_Stored.joined(parts) for parts in blocks]
        specs = spec.columns if spec.table else spec.columns * len(names)
        columns = [_column(s, c, n, self._faults) for s, c, n in zip(specs, stored, names, strict=True)]
        self._faults.finish()
        if spec.table:
            return Content((len(stored[0].code),), dict(zip(names, columns, strict=True)))
        return side_by_side(names, columns, spec, self._faults)

    def types(self, rows: str, names: list[str]) -> list[str]:
        """Nothing: each value has a type of its own."""
        del rows
        return [""] * len(names)

    def row(self, statement: str) -> tuple[int, ...]:
        """The first row of what a statement gives."""
        try:
            found = self._connection.execute(statement).fetchone()
        except sqlite3.Error as error:
            self._unreadable(error)
        return tuple(int(one or 0) for one in found or ())

    def changed(self) -> bool:
        """Whether another connection has changed the file."""
        return self._data_version() != self._version

    def interrupt(self) -> None:
        """End what is being asked, if it is still open."""
        with suppress(sqlite3.Error):
            self._connection.interrupt()

    def _unreadable(self, error: sqlite3.Error) -> NoReturn:
        self._locked(error)
        if self.changed():
            self._faults.fail("E0414", "it changed while the job ran", help="submit the job again")
        if "integer overflow" in str(error):
            self._faults.fail("E0414", f"the database cannot read it: {TOO_LARGE}")
        self._faults.fail("E0414", f"the database cannot read it: {type(error).__name__}")

    def _locked(self, error: sqlite3.Error) -> None:
        """Ends the loading where another program is writing, and was for longer than is waited for."""
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            self._faults.fail("E0414", "another program has locked it", help="submit the job again")


@dataclass(frozen=True, slots=True)
class _Stored:
    """Values of a column as SQLite has them: `code` says which of the others holds each. text: all TEXTs in a row."""

    code: NDArray[np.uint8]
    whole: NDArray[np.int64]
    real: NDArray[np.float64]
    length: NDArray[np.int64]
    text: bytes

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self:
        rows = len(values)
        code = np.fromiter(map(_CODES.__getitem__, map(type, values)), np.uint8, rows)
        whole, real, length = np.zeros(rows, np.int64), np.zeros(rows), np.zeros(rows, np.int64)
        for kind, target in ((_INTEGER, whole), (_REAL, real)):
            target[code == kind] = list(compress(values, code == kind))
        texts = list(compress(values, code == _TEXT))
        length[code == _TEXT] = list(map(len, texts))
        return cls(code, whole, real, length, b"".join(texts))

    @classmethod
    def joined(cls, parts: Sequence[_Stored]) -> Self:
        parts = parts or [_Stored.of(())]
        code = np.concatenate([p.code for p in parts])
        whole, real = np.concatenate([p.whole for p in parts]), np.concatenate([p.real for p in parts])
        return cls(code, whole, real, np.concatenate([p.length for p in parts]), b"".join(p.text for p in parts))


def _column(spec: ColumnSpec, stored: _Stored, name: str, faults: Faults) -> Cells | Typed:
    """The column, when all its values are of types that may stand for the declared one; otherwise faults are noted."""
    taken = _TAKEN[spec.kind]
    for code, what in _STORED.items():
        if code not in taken:
            exact = spec.kind == "decimal" and code == _REAL
            message = f"{what} where {EXPECTED[spec.kind]} are expected"
            faults.add("E0403", stored.code == code, message, column=name, help=_EXACT if exact else "")
    missing: Mask = stored.code == _NULL
    real = stored.code == _REAL
    if _TEXT in taken and (_INTEGER not in taken or (stored.code == _TEXT).any()):
        return _cells(stored, missing, name, faults)
    if spec.kind == "fixed" and real.any():
        return Typed("float", np.where(real, stored.real, stored.whole.astype(np.float64)), missing)
    if spec.kind == "int" and real.any():
        return _whole(stored, missing, real, name, faults)
    return Typed("int", stored.whole, missing)


def _whole(stored: _Stored, missing: Mask, real: Mask, name: str, faults: Faults) -> Typed:
    """Whole numbers, some kept as REAL."""
    if not (stored.code == _INTEGER).any():
        return Typed("float", stored.real, missing)
    uneven = np.floor(stored.real) != stored.real
    large = np.abs(stored.real) > FLOAT_AS_INT
    faults.add("E0403", uneven, "a number with a fraction where a whole number is expected", column=name)
    faults.add("E0406", large, "a floating-point number too large to be one whole number", column=name)
    rounded = np.where(large, 0.0, stored.real).astype(np.int64)
    return Typed("int", np.where(real, rounded, stored.whole), missing)


def _cells(stored: _Stored, missing: Mask, name: str, faults: Faults) -> Cells:
    """Texts; a whole number among them is its digits, as in a column of SQLite with affinity TEXT."""
    data, length = stored.text, stored.length
    start = np.cumsum(length) - length
    _check_texts(data, start, length, name, faults)
    numbers = np.flatnonzero(stored.code == _INTEGER)
    if len(numbers):
        digits = [b"%d" % number for number in stored.whole[numbers].tolist()]
        length = length.copy()
        length[numbers] = [len(one) for one in digits]
        start[numbers] = len(data) + np.cumsum(length[numbers]) - length[numbers]
        data += b"".join(digits)
    return Cells(np.frombuffer(data + bytes(PADDING), np.uint8), start, length, missing)


def _check_texts(data: bytes, start: NDArray[np.int64], length: NDArray[np.int64], name: str, faults: Faults) -> None:
    """All texts are UTF-8 without zero bytes."""
    raw = np.frombuffer(data, np.uint8)
    if not len(raw) or (raw.max() < 0x80 and raw.all()):
        return
    zero, broken = np.zeros(len(start), np.bool_), np.zeros(len(start), np.bool_)
    for i, (begin, size) in enumerate(zip(start.tolist(), length.tolist(), strict=True)):
        one = data[begin : begin + size]
        zero[i] = b"\0" in one
        try:
            one.decode("utf-8")
        except UnicodeDecodeError:
            broken[i] = True
    faults.add("E0403", zero, "a text with a zero byte", column=name)
    faults.add("E0403", broken, "a text that is not in UTF-8", column=name)
