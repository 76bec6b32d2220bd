"""The address of a table in a database, as an owner writes it in `node.toml` or after `--bind`.

    duckdb:///srv/export/scores.duckdb?table=scores         a DuckDB file; duckdb:scores.duckdb is a relative path
    sqlite:///srv/app/old.db?query=select id, paid from bills order by id
    postgres://reader@db.internal:5432/bank?table=export.loans&sslmode=verify-full&password_file=/run/secrets/pg
    duckdb:visits.duckdb?table=visits&counts=public         numbers of rows kept and of groups may be known to all
    adbc:flightsql?uri=grpc%2Btls://host:31337&user=reader&password_env=SQL_PASSWORD&table=loans
    adbc:trino?uri=https://host:8443&user=reader&dialect=trino&table=hive.export.loans

For: `is_database`, `parse_database`, `Database` and its `secret`.
Leaves to others: connecting and reading (`databases`).

`table` is the table's name, with its schema before a dot; without it the table has the input's name. `query` comes
last: all after it is one SELECT, taken as it is written. Everything else may be percent-encoded (RFC 3986, section
2.1). A password never stands in an address: a file or a variable of the environment that has it is named.
"""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import unquote, urlsplit

__all__ = ["Database", "Kind", "is_database", "parse_database"]

Kind = Literal["duckdb", "sqlite", "postgres", "adbc"]

_START: Final = re.compile(r"(duckdb|sqlite|postgres|postgresql|adbc):")
_DRIVER: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")
_LIBPQ: Final = (
    "application_name",
    "connect_timeout",
    "host",
    "passfile",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
)
_SECRET: Final = ("password_env", "password_file")
_SETTINGS: Final[dict[Kind, tuple[str, ...]]] = {
    "duckdb": ("counts",),
    "sqlite": ("counts",),
    "postgres": ("counts", *_LIBPQ, *_SECRET),
    "adbc": ("uri", "user", "dialect", "counts", *_SECRET),
}
SPOKEN: Final = ("trino", "spark")
"""Servers reached by ADBC whose SQL is known: they do an owner's part of a query themselves."""
_QUERY: Final = re.compile(r"(?:^|&)query=")
_UNWANTED: Final = "write no password into an address: name a `password_file` or a `password_env`"
_MAX_SECRET: Final = 4096


@dataclass(frozen=True, slots=True)
class Database:
    """One table, or the rows of one query. str() is how messages name it: nothing in it is secret.

    file: of DuckDB and SQLite. driver: of ADBC. settings: of the connection, by the driver's own names, without the
    password. table: its name, after its schema; empty: the input's name. query: comes instead of a table. counts: how
    many rows a query's conditions keep, and groups it has, may be known to all. dialect: of ADBC, the SQL that the
    server speaks, where it is one of `SPOKEN`.
    """

    kind: Kind
    file: Path | None = None
    driver: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    table: tuple[str, ...] = ()
    query: str = ""
    password_file: Path | None = None
    password_env: str = ""
    counts: bool = False
    dialect: str = ""

    def __str__(self) -> str:
        known = dict(self.settings)
        if self.file is not None:
            place = str(self.file)
        elif self.kind == "adbc":
            place = self.driver
        else:
            place = f"//{known.get('host', '')}/{known.get('dbname', '')}"
        what = "query" if self.query else f"table {'.'.join(self.table)}" if self.table else ""
        return f"{self.kind}:{place}" + (f" ({what})" if what else "")

    def secret(self) -> str | None:
        """The password, or None when none is named. Raises OSError, or LookupError when the variable is not set."""
        if self.password_env:
            return os.environ[self.password_env]
        if self.password_file is None:
            return None
        with self.password_file.open(encoding="utf-8") as file:
            return file.read(_MAX_SECRET).rstrip("\r\n")


def is_database(text: str) -> bool:
    """It is meant as a database's address, not as a path."""
    return _START.match(text) is not None


def parse_database(text: str, base: Path | None = None) -> Database:
    """The database with this address; paths are relative to `base`.

    Raises ValueError with what is wrong, without the address.
    """
    scheme, _, rest = text.partition(":")
    kind = cast(Kind, "postgres" if scheme == "postgresql" else scheme)
    if kind not in _SETTINGS:
        raise ValueError(f"a database's address begins with one of {', '.join(f'{kind}:' for kind in _SETTINGS)}")
    place, _, tail = rest.partition("?")
    given, query = _parameters(kind, tail)
    table = tuple(given.pop("table", "").split(".")) if "table" in given else ()
    if not all(table) or len(table) > 3:
        raise ValueError("`table` is a name, or a schema and a name with a dot between")
    if table and query:
        raise ValueError("it has both a `table` and a `query`")
    if all(name in given for name in _SECRET):
        raise ValueError("it has both a `password_file` and a `password_env`")
    dialect = given.pop("dialect", "")
    if dialect and dialect not in SPOKEN:
        raise ValueError(f"`dialect` is one of {', '.join(SPOKEN)}, or left out")
    counts = given.pop("counts", None)
    if counts not in {None, "public"}:
        raise ValueError("`counts` is `public`, or left out")
    if counts and kind == "adbc" and not dialect:
        raise ValueError("`counts` needs a `dialect`: of other servers all rows are fetched")
    password_file = given.pop("password_file", None)
    database = Database(
        kind,
        table=table,
        query=query,
        password_file=None if password_file is None else _path(password_file, base),
        password_env=given.pop("password_env", ""),
        counts=counts is not None,
        dialect=dialect,
    )
    return _PLACES[kind](database, place, given, base)


def _parameters(kind: Kind, tail: str) -> tuple[dict[str, str], str]:
    """What follows the question mark: settings, and the query."""
    begin = _QUERY.search(tail)
    query = ""
    if begin is not None:
        query = tail[begin.end() :].strip().rstrip(";").rstrip()
        if not query:
            raise ValueError("`query` is empty")
        tail = tail[: begin.start()]
    known = ("table", *_SETTINGS[kind])
    given: dict[str, str] = {}
    for one in filter(None, tail.split("&")):
        name, _, value = one.partition("=")
        if name in {"password", "passwd"}:
            raise ValueError(_UNWANTED)
        if name not in known:
            close = difflib.get_close_matches(name, [*known, "query"], n=1)
            hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join([*known, 'query'])}"
            raise ValueError(f"there is no setting `{name[:40]}` of {kind}: {hint}")
        if not value or name in given:
            raise ValueError(f"`{name}` is written once, {name}=VALUE")
        given[name] = unquote(value)
    return given, query


def _path(text: str, base: Path | None) -> Path:
    path = Path(text).expanduser()
    return path if base is None else base / path


def _file(database: Database, place: str, given: dict[str, str], base: Path | None) -> Database:
    if place.startswith("//"):
        place = place.removeprefix("//")
        if not place.startswith("/"):
            raise ValueError(f"write {database.kind}:///absolute/path or {database.kind}:relative/path")
    if not place.strip("/"):
        raise ValueError("it names no file")
    del given
    return replace(database, file=_path(unquote(place), base))


def _server(database: Database, place: str, given: dict[str, str], base: Path | None) -> Database:
    try:
        parts = urlsplit(f"postgres:{place}")
        port = parts.port
    except ValueError:
        raise ValueError("write postgres://USER@HOST:PORT/DATABASE") from None
    if parts.password is not None:
        raise ValueError(_UNWANTED)
    if not place.startswith("//") or parts.fragment or "/" in parts.path[1:]:
        raise ValueError("write postgres://USER@HOST:PORT/DATABASE")
    settings = {
        "host": unquote(parts.hostname or ""),
        "port": "" if port is None else str(port),
        "user": unquote(parts.username or ""),
        "dbname": unquote(parts.path[1:]),
    } | given
    for name in ("passfile", "sslcert", "sslkey", "sslrootcert"):
        if name in settings and settings[name] != "system":
            settings[name] = str(_path(settings[name], base))
    return replace(database, settings=tuple((name, value) for name, value in settings.items() if value))


def _driver(database: Database, place: str, given: dict[str, str], base: Path | None) -> Database:
    del base
    if not _DRIVER.fullmatch(place):
        raise ValueError("write adbc:NAME?uri=…, for the package adbc_driver_NAME")
    if "uri" not in given:
        raise ValueError("`uri` is missing: what the driver is to connect to")
    if "@" in given["uri"] and ":" in given["uri"].rpartition("@")[0].rpartition("/")[2]:
        raise ValueError(_UNWANTED)
    return replace(database, driver=place, settings=tuple(given.items()))


_PLACES: Final = {"duckdb": _file, "sqlite": _file, "postgres": _server, "adbc": _driver}
