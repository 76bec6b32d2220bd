"""What a column of a database is in SQL, as a circuit takes it, and what would be wrong with it.

For: `native`, `Native`.
Leaves to others: how databases' SQL differs (`dialects`), expressions (`expressions`), checks of tables (`held`).

Only pairs of a database's type and a declared type are here whose values are the same in both, by SQL as by `typed` and
`text`: whole numbers, exact decimals as whole numbers of their last place, days since 1970, floats as they are, texts
compared byte by byte whatever their collation. All other columns are loaded and converted in this program.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, NamedTuple

from dsl.inputs import ColumnSpec
from runtime.sources.dialects import Dialect, literal, real
from runtime.sources.text import FIXED_LIMIT, KEY_BYTES

__all__ = ["Native", "native"]

_FIRST, _LAST = "0001-01-01", "9999-12-31"
_DAYS: Final = (-719_162, 2_932_896)
_LARGEST: Final = 2**63 - 1


class Native(NamedTuple):
    """A column in SQL. missing: where no value is.

    value: a number or truth value, 0 where it is missing, or None when conditions on it are not for SQL; bounds: the
    least and the largest whole number that the database's type holds. day: a date that compares as the column does.
    text: compared byte by byte, empty where it is missing. bad: what must hold of no value that is there. same: equal
    where values are; the value or text when it is empty. family: of a key, of which keys are equal where `same` is.
    """

    missing: str
    bad: tuple[str, ...] = ()
    value: str | None = None
    bounds: tuple[int, int] = (-_LARGEST - 1, _LARGEST)
    day: str | None = None
    text: str | None = None
    same: str = ""
    family: str = ""

    @property
    def equal(self) -> str:
        """What is equal where values are."""
        return self.same or self.value or self.text or ""


def native(spec: ColumnSpec, kind: str, dialect: Dialect, frame: str = "") -> Native | None:
    """The column, with all that is declared of it; None when SQL and this program may not agree on its values.

    kind: the database's name of its type. frame: the name of the rows that it is a column of.
    """
    q = (f"{frame}." if frame else "") + dialect.quoted(spec.name)
    found = _typed(spec, kind, q, dialect) if dialect.sizes else _untyped(spec, q, dialect)
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


def _whole(spec: ColumnSpec, bits: int, q: str, dialect: Dialect) -> Native | None:
    """A whole number for an int, a decimal or a key."""
    limit = 2 ** (bits - 1)
    missing = f"{q} is null"
    cast = _there(spec, f"cast({q} as {dialect.long})")
    match spec.kind:
        case "int":
            return Native(missing, (), cast, (-limit, limit - 1))
        case "decimal" if limit * 10**spec.places < _LARGEST:
            unit = 10**spec.places
            return Native(missing, (), f"({cast} * {unit})", (-limit * unit, limit * unit))
        case "key":
            return Native(missing, same=q, family="whole")
    return None


def _words(spec: ColumnSpec, q: str, text: str, dialect: Dialect) -> Native | None:
    """A text for a text, an enum or a key; of the last two an empty one is missing."""
    size = dialect.bytes.format(text)
    zeros = (dialect.zero.format(text),) if dialect.zero else ()
    binary = dialect.binary.format(_there(spec, text, literal("")))
    match spec.kind:
        case "text":
            return Native(f"{q} is null", (f"{size} > {spec.length}", *zeros), text=binary)
        case "key":
            missing = f"({q} is null or {size} = 0)"
            return Native(missing, (f"{size} > {KEY_BYTES}", *zeros), same=binary, family="text")
        case "enum":
            return Native(f"({q} is null or {size} = 0)", zeros, text=binary)
    return None


def _typed(spec: ColumnSpec, kind: str, q: str, dialect: Dialect) -> Native | None:
    """A column of a type."""
    bits = dialect.sizes.get(kind)
    decimal = dialect.decimals.fullmatch(kind)
    if bits is not None and spec.kind != "fixed":
        return _whole(spec, bits, q, dialect)
    if spec.kind == "fixed" and (kind in dialect.doubles or (bits is not None and bits <= 33)):
        value = f"cast({q} as {dialect.double})"
        # Neither infinities nor what is no number are within it.
        return Native(f"{q} is null", (f"not (abs({value}) < {int(FIXED_LIMIT)})",), _there(spec, value))
    if spec.kind == "bool" and kind in dialect.booleans:
        return Native(f"{q} is null", (), _there(spec, q, "false"))
    if spec.kind == "date" and kind in dialect.dates:
        inside = f"{q} between date '{_FIRST}' and date '{_LAST}'"  # some databases have infinite ones too
        value = f"(case when {inside} then {dialect.days.format(q)} else 0 end)"
        day = None if spec.nullable else f"{q} {{}} date '{{}}'"
        return Native(f"{q} is null", (f"not ({inside})",), value, _DAYS, day=day)
    if spec.kind == "decimal" and decimal:
        return _decimal(spec, q, decimal.groups(), dialect)
    if dialect.texts.fullmatch(kind):
        return _words(spec, q, f"cast({q} as varchar)" if kind.startswith("ENUM") else q, dialect)
    return None


def _decimal(spec: ColumnSpec, q: str, name: tuple[str, ...], dialect: Dialect) -> Native | None:
    """An exact decimal; name: its width and scale where its type has them."""
    unit, missing = 10**spec.places, f"{q} is null"
    if name:
        width, scale = map(int, name)
        if scale > spec.places or width - scale + spec.places > 18:
            return None
        most = 10 ** (width - scale + spec.places)
        return Native(missing, (), _there(spec, f"cast({q} * {unit} as {dialect.long})"), (-most, most))
    inside = f"abs({q}) < {10 ** (18 - spec.places)}"  # NaN and the infinities are above all numbers
    value = f"(case when {inside} then cast({q} * {unit} as {dialect.long}) else 0 end)"
    return Native(missing, (f"not ({inside})", f"{q} <> round({q}, {spec.places})"), value, (-(10**18), 10**18))


def _untyped(spec: ColumnSpec, q: str, dialect: Dialect) -> Native | None:
    """In SQLite each value has a type of its own, so that the types are checked with the values.

    `parley_well_formed` is a function that `sqlite_file` adds.
    """

    def other(*kinds: str) -> str:
        return f"typeof({q}) not in ({', '.join(map(literal, kinds))})"

    missing = f"{q} is null"
    match spec.kind:
        case "int" | "decimal":
            found = _whole(spec, 64 if spec.kind == "int" else 32, q, dialect)
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
            value = _there(spec, dialect.days.format(q))
            day = None if spec.nullable else f"cast({q} as text) {{}} '{{}}'"
            return Native(missing, (other("text"), wrong), value, _DAYS, day=day)
        case _:
            kinds = ("integer", "text") if spec.kind == "key" else ("text",)
            found = _words(spec, q, q, dialect)
            plain = f"cast({q} as text) glob '*[^' || char(1) || '-' || char(127) || ']*'"
            broken = f"{plain} and not parley_well_formed(cast({q} as blob))"
            return None if found is None else found._replace(bad=(other(*kinds), *found.bad, broken))
