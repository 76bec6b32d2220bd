"""Databases reached by ADBC: PostgreSQL, and any other for which there is a driver.

For: `open_postgres`, `open_driver`.
Leaves to others: Arrow's columns (`arrow`), where the password is (`address`).

PostgreSQL's `numeric` comes as exact text and is taken as a number. Its types that Arrow has no like of, or where the
driver gives something else than SQL shows, are cast in the statement: enumerations, `uuid` and `char(n)` to text,
`money` to numeric.

Drivers are imported when such a table is read, and not before. Connection strings of PostgreSQL: its manual, section
34.1.1.1; error codes: appendix A.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final, Self

from dsl.inputs import InputSpec
from runtime.sources.address import Database
from runtime.sources.arrow import content
from runtime.sources.cells import Content
from runtime.sources.dialects import Dialect, dialect_of
from runtime.sources.faults import Faults
from runtime.sources.sql import TOO_LARGE, quoted, said

_USUAL: Final = {
    "application_name": "parley",
    "connect_timeout": "30",
    "client_encoding": "UTF8",
    "options": "-c default_transaction_read_only=on -c default_transaction_isolation=repeatable\\ read"
    " -c standard_conforming_strings=on"  # a backslash in a text of the study is one, and escapes no quotation mark
    # Rows come in the order of the table, whichever columns are asked for and whoever else reads it.
    " -c enable_indexscan=off -c enable_indexonlyscan=off -c synchronize_seqscans=off"
    " -c max_parallel_workers_per_gather=0",
}
_LOCAL: Final = {"localhost", "127.0.0.1", "::1"}
_CASTS: Final = {"bpchar": "text", "uuid": "text", "citext": "text", "money": "numeric"}
_STATES: Final = {"22003": TOO_LARGE, "42501": "permission denied", "42P01": "a table is not there"}
_FAMILIES: Final = {
    "08": "the connection broke", "42": "the statement is wrong", "53": "it lacks resources",
    "57": "the server stopped the statement, or the connection",
}  # fmt: skip


@contextmanager
def open_postgres(database: Database, faults: Faults) -> Iterator[Postgres]:
    """A connection to the server, in a read-only transaction."""
    driver = _driver("postgresql", faults, help="pip install 'parley-mpc[postgres]'")
    settings = {**_USUAL, **dict(database.settings)}
    host = settings.get("host", "")
    if host and not host.startswith(("/", "@")) and host not in _LOCAL:
        settings.setdefault("sslmode", "require")
    password = _password(database, faults)
    if password is not None:
        settings["password"] = password
    escaped = {name: re.sub(r"(['\\])", r"\\\1", value) for name, value in settings.items()}
    text = " ".join(f"{name}='{value}'" for name, value in escaped.items())
    with _connected(driver, faults, password, text) as connection, closing(connection.cursor()) as cursor:
        yield Postgres(cursor, faults, driver.Error, dialect_of(database))


@contextmanager
def open_driver(database: Database, faults: Faults) -> Iterator[Adbc]:
    """A connection through the package `adbc_driver_NAME`."""
    package = f"adbc-driver-{database.driver.replace('_', '-')}"
    driver = _driver(database.driver, faults, help=f"pip install {package}")
    settings = dict(database.settings)
    password = _password(database, faults)
    more: dict[str, Any] = {}
    if "user" in settings or password is not None:
        login = {"username": settings.get("user"), "password": password}
        more["db_kwargs"] = {name: value for name, value in login.items() if value is not None}
    with (
        _connected(driver, faults, password, settings["uri"], **more) as connection,
        closing(connection.cursor()) as cursor,
    ):
        yield Adbc(cursor, faults, driver.Error, dialect_of(database))


def _driver(name: str, faults: Faults, *, help: str) -> Any:
    try:
        return importlib.import_module(f"adbc_driver_{name}.dbapi")
    except ImportError:
        faults.fail("E0414", f"this database needs the package adbc_driver_{name}", help=help)


def _password(database: Database, faults: Faults) -> str | None:
    try:
        return database.secret()
    except LookupError:
        faults.fail("E0414", f"the variable {database.password_env}, which is to hold the password, is not set")
    except (OSError, UnicodeDecodeError):
        faults.fail("E0414", f"the password's file {database.password_file} cannot be read")


def _connected(driver: Any, faults: Faults, password: str | None, *arguments: str, **more: Any) -> closing[Any]:
    try:
        return closing(driver.connect(*arguments, **more))
    except driver.Error as error:
        why = said(error)
        if any(one and one in str(error) for one in (password, *arguments)):
            why = type(error).__name__  # it repeats what it was given, which may hold a secret
        faults.fail("E0414", f"no connection to the database: {why}")
    except (TypeError, ValueError) as error:
        faults.fail("E0414", f"the driver does not take these settings: {type(error).__name__}")


class Adbc:
    """An open connection."""

    def __init__(self, cursor: Any, faults: Faults, error: type[Exception], dialect: Dialect | None) -> None:
        self._cursor = cursor
        self._faults = faults
        self._error = error
        self._dialect = dialect
        self._quoted = quoted if dialect is None else dialect.quoted

    def of(self, faults: Faults) -> Self:
        """The same for another of its tables."""
        return type(self)(self._cursor, faults, self._error, self._dialect)

    def names(self, rows: str) -> list[str]:
        """The columns that are there."""
        return list(self._schema(rows).names)

    def count(self, rows: str) -> int:
        """The number of rows."""
        self._schema(rows)
        return int(self._table(f"select count(*) from {rows}").column(0)[0].as_py())

    def read(self, rows: str, names: list[str], spec: InputSpec) -> Content:
        """These columns, or all for an array."""
        columns = ", ".join(map(self._quoted, names)) if spec.table else "*"
        return content(self._table(f"select {columns} from {rows}"), spec, self._faults)

    def types(self, rows: str, names: list[str]) -> list[str]:
        """The server's names of their types."""
        kind = "" if self._dialect is None else self._dialect.kind
        listed = ", ".join(kind.format(f"parley_none.{self._quoted(name)}") for name in names)
        none = f"(select * from {rows} limit 0) as parley_none"
        table = self._table(f"select {listed} from (select 1) as parley_one left join {none} on 1 = 1")
        return [str(column[0].as_py()) for column in table.columns]

    def row(self, statement: str) -> tuple[int, ...]:
        """The first row of what a statement gives."""
        table = self._table(statement)
        return tuple(int(column[0].as_py() or 0) for column in table.columns) if table.num_rows else ()

    def changed(self) -> bool:
        """All is asked in one transaction, which sees no changes (PostgreSQL's manual, section 13.2.2)."""
        return False

    def interrupt(self) -> None:
        """End what is being asked."""
        with suppress(self._error):
            self._cursor.adbc_cancel()

    def _schema(self, rows: str) -> Any:
        try:
            self._cursor.execute(f"select * from {rows} limit 0")
            return self._cursor.fetch_arrow_table().schema
        except self._error as error:
            self._faults.fail("E0414", f"the database refuses it: {said(error)}")

    def _table(self, statement: str) -> Any:
        try:
            self._cursor.execute(statement)
            return self._cursor.fetch_arrow_table()
        except self._error as error:
            state = str(getattr(error, "sqlstate", None) or "")
            known = _STATES.get(state) or _FAMILIES.get(state[:2], type(error).__name__)
            why = known + (f" (SQLSTATE {state})" if state else "")
            self._faults.fail("E0414", f"the database cannot read it: {why}")


class Postgres(Adbc):
    """An open connection to PostgreSQL."""

    def read(self, rows: str, names: list[str], spec: InputSpec) -> Content:
        """These columns, cast where Arrow has no like of them."""
        schema = self._schema(rows)
        columns = ", ".join(_cast(quoted(name), schema.field(name)) for name in names)
        table = self._table(f"select {columns} from {rows}")
        numbers = [field.name for field in table.schema if _type(field) == "numeric"]
        for name in numbers:
            table = table.set_column(table.column_names.index(name), name, _stored(table[name]))
        return content(table, spec, self._faults, numbers=numbers)


def _type(field: Any) -> str:
    """The name of the column's type at the server."""
    known = field.metadata or {}
    return str((known.get(b"POSTGRESQL:type") or known.get(b"ADBC:postgresql:typname") or b"").decode())


def _cast(name: str, field: Any) -> str:
    kind = _type(field)
    wanted = _CASTS.get(kind)
    if wanted is None and kind != "numeric" and b"ADBC:postgresql:typname" in (field.metadata or {}):
        wanted = "text"  # the driver does not know it
    return name if wanted is None else f"{name}::{wanted} as {name}"


def _stored(chunked: Any) -> Any:
    """A column without the extension type around it."""
    import pyarrow as pa

    if not isinstance(chunked.type, pa.BaseExtensionType):
        return chunked
    return pa.chunked_array([piece.storage for piece in chunked.chunks], chunked.type.storage_type)
