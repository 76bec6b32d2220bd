"""What a column of a database is in SQL, as a circuit takes it, and what would be wrong with it.

For: `native`, `Native`, `Dialect`, `DIALECTS`, `real`, `literal`.
Leaves to others: conditions (`conditions`), checks of whole tables (`inspect`).

Only pairs of a database's type and a declared type are here whose values are the same in both, by SQL as by `typed` and
`text`: whole numbers, exact decimals as whole numbers of their last place, days since 1970, floats as they are, texts
compared byte by byte whatever their collation. All other columns are loaded and converted in this program.

DuckDB: "Data Types" and "Collations" of its manual; PostgreSQL: chapters 8, 9 and 24.2; SQLite: "Datatypes in SQLite".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from dsl.inputs import ColumnSpec
from runtime.sources.address import Kind
from runtime.sources.sql import quoted
from runtime.sources.text import FIXED_LIMIT, KEY_BYTES

__all__ = ["DIALECTS", "Dialect", "Native", "literal", "native", "real"]

_FIRST, _LAST = "0001-01-01", "9999-12-31"
_LARGEST: Final = 2**63 - 1
_SIZES: Final = {
    "TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64, "UTINYINT": 9, "USMALLINT": 17, "UINTEGER": 33,
    "int2": 16, "int4": 32, "int8": 64, "smallint": 16, "integer": 32, "bigint": 64,
}  # fmt: skip
"""Bits with a sign of each database's whole numbers."""


class Native(NamedTuple):
    """A column in SQL. missing: where no value is.

    value: a number or truth value, 0 where it is missing, or None when conditions on it are not for SQL; bounds: the
    least and the largest whole number that the database's type holds. day: a date that compares as the column does.
    text: compared byte by byte, empty where it is missing. bad: what must hold of no value that is there. same: equal
    where values are; the value or text when it is empty.
    """

    missing: str
    bad: tuple[str, ...] = ()
    value: str | None = None
    bounds: tuple[int, int] = (-_LARGEST - 1, _LARGEST)
    day: str | None = None
    text: str | None = None
    same: str = ""

    @property
    def equal(self) -> str:
        """What is equal where values are."""
        return self.same or self.value or self.text or ""


class Dialect(NamedTuple):
    """How a database's SQL differs. column: what a column of the database's type is, None for others.

    double: the name of the type. over: divides whole numbers, without a remainder. constant: a text that compares with
    a column's byte by byte. like: whether a column's text is like a pattern.
    """

    double: str
    over: str
    column: Callable[[ColumnSpec, str, str], Native | None]
    constant: Callable[[str], str]
    like: Callable[[str, str], str]


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def real(value: float, dialect: Dialect) -> str | None:
    """Just this number, as a quotient of two that every database reads exactly; None when it has no such form."""
    if not math.isfinite(value):
        return None
    over, under = value.as_integer_ratio()
    if abs(over) > 2**53 or under > 2**62:
        return None
    return f"(cast({over} as {dialect.double}) / cast({under} as {dialect.double}))"


def native(spec: ColumnSpec, kind: str, dialect: Dialect) -> Native | None:
    """The column, with all that is declared of it; None when SQL and this program may not agree on its values."""
    found = dialect.column(spec, kind, quoted(spec.name))
    if found is None:
        return None
    bad = list(found.bad)
    if spec.kind == "enum":
        bad.append(f"{found.text} not in ({', '.join(map(dialect.constant, spec.words))})")
    if spec.range is not None and spec.kind in {"int", "decimal", "date", "fixed"}:
        outside = _outside(spec, spec.range, found, dialect)
        if outside is None:
            return None
        bad.append(outside)
    return found._replace(bad=tuple(bad))


def _outside(spec: ColumnSpec, limits: tuple[float, float], found: Native, dialect: Dialect) -> str | None:
    if found.value is None:
        return None
    if spec.kind == "fixed":
        low, high = (real(float(end), dialect) for end in limits)
        return None if low is None or high is None else f"{found.value} < {low} or {found.value} > {high}"
    factor = 10**spec.places if spec.kind == "decimal" else 1
    least, most = math.ceil(Decimal(str(limits[0])) * factor), math.floor(Decimal(str(limits[1])) * factor)
    if max(abs(least), abs(most)) > _LARGEST:
        return None
    return f"{found.value} < {least} or {found.value} > {most}"


def _there(spec: ColumnSpec, value: str, empty: str = "0") -> str:
    """0 where nothing is; a column without `?` has a value everywhere, which is checked."""
    return f"coalesce({value}, {empty})" if spec.nullable else value


# ------------------------------------------------------------------------------------------ all databases


def _whole(spec: ColumnSpec, bits: int, q: str, kind: str) -> Native | None:
    """A whole number for an int, a decimal, a fixed or a key."""
    limit = 2 ** (bits - 1)
    missing = f"{q} is null"
    cast = _there(spec, f"cast({q} as {kind})")
    match spec.kind:
        case "int":
            return Native(missing, (), cast, (-limit, limit - 1))
        case "decimal" if limit * 10**spec.places < _LARGEST:
            unit = 10**spec.places
            return Native(missing, (), f"({cast} * {unit})", (-limit * unit, limit * unit))
        case "key":
            return Native(missing, same=q)
    return None


def _words(spec: ColumnSpec, q: str, text: str, size: str, zero: str) -> Native | None:
    """A text for a text, an enum or a key; of the last two an empty one is missing."""
    zeros = () if not zero else (zero,)
    match spec.kind:
        case "text":
            return Native(f"{q} is null", (f"{size} > {spec.length}", *zeros), text=text)
        case "key":
            return Native(f"({q} is null or {size} = 0)", (f"{size} > {KEY_BYTES}", *zeros), same=text)
        case "enum":
            return Native(f"({q} is null or {size} = 0)", zeros, text=text)
    return None


def _double(spec: ColumnSpec, value: str, q: str, wrong: str) -> Native:
    return Native(f"{q} is null", (wrong,), _there(spec, value))


# ------------------------------------------------------------------------------------------------ DuckDB

_DECIMAL: Final = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def _duckdb(spec: ColumnSpec, kind: str, q: str) -> Native | None:
    decimal = _DECIMAL.fullmatch(kind)
    if kind in _SIZES and spec.kind != "fixed":
        return _whole(spec, _SIZES[kind], q, "bigint")
    if spec.kind == "fixed" and (kind in ("DOUBLE", "FLOAT") or _SIZES.get(kind, 99) <= 33):
        value = f"cast({q} as double)"
        return _double(spec, value, q, f"not isfinite({value}) or abs({value}) >= {int(FIXED_LIMIT)}")
    if spec.kind == "bool" and kind == "BOOLEAN":
        return Native(f"{q} is null", (), _there(spec, q, "false"))
    if spec.kind == "date" and kind == "DATE":
        return _date(spec, q)
    if spec.kind == "decimal" and decimal:
        width, scale = int(decimal[1]), int(decimal[2])
        if scale <= spec.places and width - scale + spec.places <= 18:
            unit = 10 ** (width - scale + spec.places)
            value = _there(spec, f"cast({q} * {10**spec.places} as bigint)")
            return Native(f"{q} is null", (), value, (-unit, unit))
    if kind == "VARCHAR" or kind.startswith("ENUM("):
        text = f"cast({q} as varchar)"
        there = f"encode({_there(spec, text, literal(''))})"
        return _words(spec, q, there, f"strlen({text})", f"contains({text}, chr(0))")
    return None


def _date(spec: ColumnSpec, q: str) -> Native:
    """A date of DuckDB or PostgreSQL, which have infinite ones too."""
    inside = f"{q} between date '{_FIRST}' and date '{_LAST}'"
    value = f"(case when {inside} then {q} - date '1970-01-01' else 0 end)"
    return Native(f"{q} is null", (f"not ({inside})",), value, day=None if spec.nullable else f"{q} {{}} date '{{}}'")


# ------------------------------------------------------------------------------------------------ SQLite


def _sqlite(spec: ColumnSpec, kind: str, q: str) -> Native | None:
    """In SQLite each value has a type of its own, so that the types are checked with the values.

    `parley_well_formed` is a function that `sqlite_file` adds.
    """
    del kind

    def other(*kinds: str) -> str:
        return f"typeof({q}) not in ({', '.join(map(literal, kinds))})"

    missing = f"{q} is null"
    blob = f"cast({q} as blob)"
    match spec.kind:
        case "int" | "decimal":
            found = _whole(spec, 64 if spec.kind == "int" else 32, q, "integer")
            large = () if spec.kind == "int" else (f"{q} not between {-(2**31)} and {2**31 - 1}",)
            return None if found is None else found._replace(bad=(other("integer"), *large))
        case "fixed":
            value = f"cast({q} as real)"
            beyond = f"abs({value}) >= {int(FIXED_LIMIT)}"
            return Native(missing, (other("integer", "real"), beyond), _there(spec, value))
        case "bool":
            return Native(missing, (other("integer"), f"{q} not in (0, 1)"), f"({_there(spec, q)} = 1)")
        case "date":
            digits = "-".join("[0-9]" * n for n in (4, 2, 2))
            wrong = f"{q} not glob '{digits}' or date({q}, '+0 days') is not {q} or {q} < '{_FIRST}'"
            value = _there(spec, f"cast(julianday({q}) - 2440587.5 as integer)")
            day = None if spec.nullable else f"cast({q} as text) {{}} '{{}}'"
            return Native(missing, (other("text"), wrong), value, day=day)
        case _:
            text = f"cast({_there(spec, q, literal(''))} as text) collate binary"
            kinds = ("integer", "text") if spec.kind == "key" else ("text",)
            found = _words(spec, q, f"({text})", f"length({blob})", f"instr({blob}, x'00') > 0")
            plain = f"cast({q} as text) glob '*[^' || char(1) || '-' || char(127) || ']*'"
            broken = f"{plain} and not parley_well_formed({blob})"
            return None if found is None else found._replace(bad=(other(*kinds), *found.bad, broken))


# -------------------------------------------------------------------------------------------- PostgreSQL


def _postgres(spec: ColumnSpec, kind: str, q: str) -> Native | None:
    if kind in _SIZES and spec.kind != "fixed":
        return _whole(spec, _SIZES[kind], q, "bigint")
    if spec.kind == "fixed" and (kind in ("double precision", "real") or _SIZES.get(kind, 99) <= 32):
        value = f"cast({q} as double precision)"
        return _double(spec, value, q, f"{value} = 'NaN' or abs({value}) >= {int(FIXED_LIMIT)}")
    if spec.kind == "bool" and kind == "boolean":
        return Native(f"{q} is null", (), _there(spec, q, "false"))
    if spec.kind == "date" and kind == "date":
        return _date(spec, q)
    if spec.kind == "decimal" and kind == "numeric":
        unit, most = 10**spec.places, 10 ** (18 - spec.places)
        inside = f"abs({q}) < {most}"  # NaN and the infinities are above all numbers
        value = f"(case when {inside} then cast({q} * {unit} as bigint) else 0 end)"
        return Native(
            f"{q} is null", (f"not ({inside})", f"{q} <> round({q}, {spec.places})"), value, (-(10**18), 10**18)
        )
    if kind in ("text", "character varying"):
        text = f'({_there(spec, q, literal(""))} collate "C")'
        return _words(spec, q, text, f"octet_length({q})", "")
    return None


# -------------------------------------------------------------------------------------------------- table


def _glob(text: str, pattern: str) -> str:
    """SQLite's LIKE takes A for a; its GLOB does not."""
    special = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return f"{text} glob {literal(''.join(special.get(c, c) for c in pattern))}"


DIALECTS: Final[Mapping[Kind, Dialect]] = {
    "duckdb": Dialect(
        "double",
        "//",
        _duckdb,
        lambda text: f"encode({literal(text)})",
        lambda text, pattern: f"decode({text}) like {literal(pattern)}",
    ),
    "sqlite": Dialect("real", "/", _sqlite, literal, _glob),
    "postgres": Dialect(
        "double precision",
        "/",
        _postgres,
        literal,
        lambda text, pattern: f"{text} like {literal(pattern)} escape ''",
    ),
}
"""Databases whose SQL is known well enough; from others tables are loaded whole."""
