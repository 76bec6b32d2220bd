"""DuckDB files.

For: `open_duckdb`.
Leaves to others: Arrow's columns (`arrow`).

duckdb is imported when such a file is read, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from dsl.inputs import InputSpec
from runtime.sources.address import Database
from runtime.sources.arrow import content
from runtime.sources.cells import Content
from runtime.sources.faults import Faults
from runtime.sources.sql import TOO_LARGE, quoted, said

_SETTINGS: Final = {
    "autoinstall_known_extensions": "false",  # a query downloads nothing
    "python_enable_replacements": "false",  # and means no variable of this program
    "TimeZone": "UTC",
}


@contextmanager
def open_duckdb(database: Database, faults: Faults) -> Iterator[DuckDB]:
    """The file, read-only. Fails when it is not there, damaged, or another program is writing to it."""
    try:
        import duckdb
    except ImportError:
        faults.fail("E0414", "DuckDB files need the package duckdb", help="pip install 'parley-mpc[duckdb]'")
    assert database.file is not None
    if not database.file.is_file():
        faults.fail("E0401", "there is no such file")
    try:
        connection = duckdb.connect(str(database.file), read_only=True, config=dict(_SETTINGS))
    except duckdb.Error as error:
        faults.fail("E0414", f"the file cannot be opened: {said(error)}")
    with connection:
        yield DuckDB(connection, faults, duckdb.Error)


class DuckDB:
    """An open file."""

    def __init__(self, connection: Any, faults: Faults, error: type[Exception]) -> None:
        self._connection = connection
        self._faults = faults
        self._error = error

    def of(self, faults: Faults) -> DuckDB:
        """The same for another of its tables."""
        return DuckDB(self._connection, faults, self._error)

    def names(self, rows: str) -> list[str]:
        """The columns that are there."""
        return list(self._bound(f"select * from {rows}").columns)

    def count(self, rows: str) -> int:
        """The number of rows."""
        table = self._table(self._bound(f"select count(*) as n from {rows}"))
        return int(table.column(0)[0].as_py())

    def read(self, rows: str, names: list[str], spec: InputSpec) -> Content:
        """These columns, or all for an array."""
        columns = ", ".join(map(quoted, names)) if spec.table else "*"
        return content(self._table(self._bound(f"select {columns} from {rows}")), spec, self._faults)

    def types(self, rows: str, names: list[str]) -> list[str]:
        """DuckDB's names of their types."""
        return [str(one) for one in self._bound(f"select {', '.join(map(quoted, names))} from {rows}").types]

    def row(self, statement: str) -> tuple[int, ...]:
        """The first row of what a statement gives."""
        table = self._table(self._bound(statement))
        return tuple(int(column[0].as_py() or 0) for column in table.columns) if table.num_rows else ()

    def changed(self) -> bool:
        """A file that is open for reading is written to by nobody."""
        return False

    def interrupt(self) -> None:
        """End what is being asked, if it is still open."""
        with suppress(self._error):
            self._connection.interrupt()

    def _bound(self, statement: str) -> Any:
        try:
            return self._connection.sql(statement)  # checks it; nothing is read yet
        except self._error as error:
            self._faults.fail("E0414", f"the database refuses it: {said(error)}")

    def _table(self, relation: Any) -> Any:
        try:
            return relation.to_arrow_table()
        except self._error as error:
            why = TOO_LARGE if "out of range" in str(error) else type(error).__name__
            self._faults.fail("E0414", f"the database cannot read it: {why}")
