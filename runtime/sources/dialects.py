"""How the SQL of databases differs: one entry for each, of names, types and the few functions that are needed.

For: `Dialect`, `DIALECTS`, `dialect_of`, `real`.
Leaves to others: what a column is (`columns`), expressions (`expressions`).

What stands here is held to the circuit's definition by tests against DuckDB, SQLite and a PostgreSQL server; Trino's
and Spark's entries are written by their manuals, and tests read what comes out of them without a server.

DuckDB: "Data Types", "Numeric Functions" and "Collations" of its manual; PostgreSQL: chapters 8, 9 and 24.2; SQLite:
"Datatypes in SQLite", "Built-In Scalar SQL Functions"; Trino: "Data types", "Mathematical functions", "String
functions"; Spark: "Data Types", "Built-in Functions", "Literals".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from runtime.sources.address import Database

__all__ = ["DIALECTS", "Dialect", "dialect_of", "literal", "real"]


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One database's SQL.  Templates have their operands as `{}`, {0} and {1}.

    sizes: bits with a sign of whole numbers, by the names of types; doubles, booleans, dates: names; decimals: a
    pattern of names, with width and scale where the name has them; texts: a pattern of names.
    double, long: names of types. days: a date as days since 1970. over: a quotient of whole numbers without its
    remainder, for what is not negative. nearest: the whole number next to a float, the even one of two. greatest,
    least: of two. floats: whether products and quotients of floats are IEEE 754's, without an error of its own.
    binary: a text that compares byte by byte; shown: such a text as a text again; bytes: how many a text has; zero:
    whether it has a zero byte, empty where it cannot have one; like: whether a binary text is like a pattern; cut: so
    many characters of a binary text from a place on, counted from 1.
    kind: the name of an expression's type, where a statement is needed to know it.
    mark: around names. escapes: whether a backslash in a text in quotation marks means something. globs: patterns are
    those of GLOB, as LIKE takes A for a. escape: makes what follows it in a pattern mean itself.
    total: the sum of whole numbers, as one of the type that {1} names; an error, or null, where it is none.
    stable: all statements of a connection see the tables as they were at first, with rows in one order.
    """

    double: str
    long: str
    sizes: Mapping[str, int]
    doubles: frozenset[str]
    booleans: frozenset[str]
    dates: frozenset[str]
    decimals: re.Pattern[str]
    texts: re.Pattern[str]
    days: str
    over: str
    nearest: str
    greatest: str
    least: str
    floats: bool
    binary: str
    shown: str
    bytes: str
    zero: str
    like: str
    cut: str
    kind: str = ""
    mark: str = '"'
    escapes: bool = False
    globs: bool = False
    escape: str = ""
    total: str = "cast(sum({}) as {})"
    stable: bool = True

    def quoted(self, name: str) -> str:
        """An identifier that means just this name."""
        return self.mark + name.replace(self.mark, 2 * self.mark) + self.mark

    def literal(self, text: str) -> str:
        """A text."""
        if self.escapes:
            return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return literal(text)

    def constant(self, text: str) -> str:
        """A text that compares with a column's byte by byte."""
        return self.binary.format(self.literal(text))

    def matches(self, text: str, pattern: str) -> str:
        """Whether a binary text is like a pattern of `%` and `_`, in which nothing else is special."""
        if self.globs:
            special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
            pattern = "".join(special.get(c, c) for c in pattern)
        if self.escape:
            pattern = pattern.replace(self.escape, 2 * self.escape)
        return self.like.format(text, self.literal(pattern))


_INTEGERS: Final = {"tinyint": 8, "smallint": 16, "integer": 32, "int": 32, "bigint": 64}

_DUCKDB: Final = Dialect(
    double="double",
    long="bigint",
    sizes={
        "TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "UTINYINT": 9, "USMALLINT": 17, "UINTEGER": 33,
    },
    doubles=frozenset({"DOUBLE", "FLOAT"}),
    booleans=frozenset({"BOOLEAN"}),
    dates=frozenset({"DATE"}),
    decimals=re.compile(r"DECIMAL\((\d+),(\d+)\)"),
    texts=re.compile(r"VARCHAR|ENUM\(.*", re.DOTALL),
    days="{} - date '1970-01-01'",
    over="{} // {}",
    nearest="cast(round_even({}, 0) as bigint)",
    greatest="greatest({}, {})",
    least="least({}, {})",
    floats=True,
    binary="encode({})",
    shown="decode({})",
    bytes="strlen({})",
    zero="contains({}, chr(0))",
    like="decode({}) like {}",
    cut="encode(substring(decode({}), {}, {}))",
)  # fmt: skip

_POSTGRES: Final = Dialect(
    double="double precision",
    long="bigint",
    sizes={"int2": 16, "int4": 32, "int8": 64, **_INTEGERS},
    doubles=frozenset({"double precision", "real"}),
    booleans=frozenset({"boolean"}),
    dates=frozenset({"date"}),
    decimals=re.compile("numeric"),
    texts=re.compile("text|character varying"),
    days="{} - date '1970-01-01'",
    over="{} / {}",
    nearest="cast(round({}) as bigint)",
    greatest="greatest({}, {})",
    least="least({}, {})",
    floats=False,  # it ends a statement in which a product is too small to be told from 0
    binary='({} collate "C")',
    shown="{}",
    bytes="octet_length({})",
    zero="",
    like="{} like {} escape ''",
    cut="substring({} from {} for {})",
    kind="cast(pg_typeof({}) as text)",
)

_SQLITE: Final = Dialect(
    double="real",
    long="integer",
    sizes={},
    doubles=frozenset(),
    booleans=frozenset(),
    dates=frozenset(),
    decimals=re.compile("(?!)"),
    texts=re.compile("(?!)"),
    days="cast(julianday({}) - 2440587.5 as integer)",
    over="{} / {}",
    nearest="parley_nearest({})",
    greatest="max({}, {})",
    least="min({}, {})",
    floats=True,
    binary="(cast({} as text) collate binary)",
    shown="{}",
    bytes="length(cast({} as blob))",
    zero="instr(cast({} as blob), x'00') > 0",
    like="{} glob {}",
    cut="(substr({}, {}, {}) collate binary)",
    globs=True,
)

_TRINO: Final = Dialect(
    double="double",
    long="bigint",
    sizes=_INTEGERS,
    doubles=frozenset({"double", "real"}),
    booleans=frozenset({"boolean"}),
    dates=frozenset({"date"}),
    decimals=re.compile(r"decimal\((\d+),\s*(\d+)\)"),
    texts=re.compile(r"varchar(?:\(\d+\))?"),
    days="date_diff('day', date '1970-01-01', {})",
    over="{} / {}",
    nearest=(
        "cast(floor({0}) + (case when {0} - floor({0}) < 5e-1 then 0 when {0} - floor({0}) > 5e-1 then 1"
        " when floor(floor({0}) / 2e0) * 2e0 = floor({0}) then 0 else 1 end) as bigint)"
    ),
    greatest="greatest({}, {})",
    least="least({}, {})",
    floats=True,
    binary="to_utf8(cast({} as varchar))",
    shown="from_utf8({})",
    bytes="length(to_utf8({}))",
    zero="strpos({}, chr(0)) > 0",
    like="from_utf8({}) like {}",
    cut="to_utf8(substr(from_utf8({}), {}, {}))",
    kind="typeof({})",
    stable=False,
)

_SPARK: Final = replace(
    _TRINO,
    sizes={**_INTEGERS},
    doubles=frozenset({"double", "float"}),
    texts=re.compile(r"string|varchar\(\d+\)"),
    days="datediff({}, date '1970-01-01')",
    over="{} div {}",
    nearest="cast(rint({}) as bigint)",
    binary="cast({} as binary)",
    shown="cast({} as string)",
    bytes="octet_length({})",
    zero="instr({}, char(0)) > 0",
    like="cast({} as string) like {} escape '!'",
    cut="cast(substring(cast({} as string), {}, {}) as binary)",
    mark="`",
    escapes=True,
    escape="!",
    # Its sums of whole numbers may wrap, and casts cut off, as a session is set.
    total=(
        "(case when sum(cast({0} as decimal(38, 0))) between -9223372036854775808 and 9223372036854775807"
        " then cast(sum(cast({0} as decimal(38, 0))) as {1}) end)"
    ),
)

DIALECTS: Final[Mapping[str, Dialect]] = {
    "duckdb": _DUCKDB,
    "postgres": _POSTGRES,
    "sqlite": _SQLITE,
    "trino": _TRINO,
    "spark": _SPARK,
}
"""Databases whose SQL is known well enough; from others tables are loaded whole."""


def dialect_of(database: Database) -> Dialect | None:
    """What a database speaks; None when it is not known."""
    return DIALECTS.get(database.dialect or database.kind)


def real(value: float, dialect: Dialect) -> str | None:
    """Just this number, as a quotient of two that every database reads exactly; None when it has no such form."""
    if not math.isfinite(value):
        return None
    over, under = value.as_integer_ratio()
    if abs(over) > 2**53 or under > 2**62:
        return None
    return f"(cast({over} as {dialect.double}) / cast({under} as {dialect.double}))"
