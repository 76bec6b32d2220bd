"""Tables of databases: how each kind is opened, and what is asked of it.

For: `read`, `shape`, `opened` and `Source`.
Leaves to others: addresses (`address`), the kinds of databases (`duckdb_file`, `sqlite_file`, `adbc_server`), and what
a value means (`typed`, `text`).

Only the columns that the study declares are asked for, and for a shape only the number of rows. Rows come in the order
in which the database gives them; an owner for whom it matters writes a query with ORDER BY. Every connection is
read-only as far as the database has such a thing. What a database says about a statement that reads rows is not
repeated, as it may hold a value.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, Protocol, Self

from dsl.inputs import InputSpec
from runtime.sources.adbc_server import open_driver, open_postgres
from runtime.sources.address import Database, Kind
from runtime.sources.cells import Content, grid_shape
from runtime.sources.duckdb_file import open_duckdb
from runtime.sources.faults import Faults, check_columns
from runtime.sources.sql import relation
from runtime.sources.sqlite_file import open_sqlite

__all__ = ["Source", "opened", "read", "shape"]


class Source(Protocol):
    """An open database. rows: what follows FROM. All methods fail with DataError."""

    def of(self, faults: Faults) -> Self:
        """The same for another of its tables."""

    def names(self, rows: str) -> list[str]:
        """The columns that are there."""

    def count(self, rows: str) -> int:
        """The number of rows."""

    def read(self, rows: str, names: list[str], spec: InputSpec) -> Content:
        """These columns."""

    def types(self, rows: str, names: list[str]) -> list[str]:
        """The database's names of their types."""

    def row(self, statement: str) -> tuple[int, ...]:
        """The whole numbers in the first row of what a statement gives, none when it gives no row."""

    def changed(self) -> bool:
        """Whether others may have changed the tables since this was opened."""

    def interrupt(self) -> None:
        """End what another thread is asking, with an error there."""


_OPEN: Final[dict[Kind, Callable[[Database, Faults], AbstractContextManager[Source]]]] = {
    "duckdb": open_duckdb,
    "sqlite": open_sqlite,
    "postgres": open_postgres,
    "adbc": open_driver,
}


def opened(database: Database, faults: Faults) -> AbstractContextManager[Source]:
    """The database, as it is at this moment."""
    return _OPEN[database.kind](database, faults)


def read(database: Database, spec: InputSpec, faults: Faults) -> Content:
    """The columns of a table, or all columns side by side as an array of one or two axes."""
    rows = relation(database, spec)
    with opened(database, faults) as source:
        names = source.names(rows)
        if spec.table:
            check_columns(spec, names, faults)
            names = [column.name for column in spec.columns]
        return source.read(rows, names, spec)


def shape(database: Database, spec: InputSpec, faults: Faults) -> tuple[int, ...]:
    """The shape, by counting."""
    rows = relation(database, spec)
    with opened(database, faults) as source:
        if spec.table:
            return (source.count(rows),)
        wide = len(source.names(rows))
        return grid_shape(spec.shape, source.count(rows), wide)
