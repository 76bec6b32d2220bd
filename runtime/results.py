"""What a party has learned, as JSON data, as tables for a terminal, and as files.

For: `ArrayOutput`, `TableOutput` and `RecordOutput` (a revealed value with its surface type), `collect`, which makes
them of opened arrays, and their forms: `to_json`, `show`, and `native`, as NumPy holds it.
Leaves to others: opening values (`executor`), the object around the outputs (`cli`), files (`export`).

Numbers in JSON. An int, a decimal without places and a date are exact. A `fixed` is rounded to 6 places: its grid is
2^-16 = 0.0000153 unless the job says otherwise, so that nothing is lost that the computation knew, and 0.1 is not shown
as 0.0999908447265625. A decimal is the float64 nearest to it, whose shortest form is the decimal up to 15 digits.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from dsl import outputs as plan
from dsl.diagnostics import Diagnostic, StudyError
from dsl.stypes import SType
from mpc.types import Size
from runtime.sources.packing import unpack_text

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "FIXED_PLACES",
    "ArrayOutput",
    "Json",
    "Output",
    "RecordOutput",
    "TableOutput",
    "cells",
    "collect",
    "native",
    "natural",
    "show",
    "to_json",
]

Json = Any
"""None, bool, int, float, str, or lists and dicts of them."""

FIXED_PLACES: Final = 6

SHOWN_ROWS: Final = 20
SHOWN_ITEMS: Final = 8

_FIRST_DAY: Final = datetime.date(1970, 1, 1).toordinal()
_LAST_DAY: Final = datetime.date.max.toordinal()


@dataclass(frozen=True, slots=True)
class ArrayOutput:
    """A revealed number or array.

    values: int64 (int, date, enum, decimal times 10**places), float64 (fixed), bool, uint8 with one axis more (text).
    valid: where a value is present; None when all are.
    """

    name: str
    type: SType
    values: NDArray[Any]
    valid: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class TableOutput:
    """A revealed table: its visible rows in order. values: by column, as in `ArrayOutput`, `(rows,)` each."""

    name: str
    columns: Mapping[str, SType]
    values: Mapping[str, NDArray[Any]]
    valid: Mapping[str, NDArray[np.bool_] | None]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.values.values()), ()))


@dataclass(frozen=True, slots=True)
class RecordOutput:
    """A revealed model or another thing with named parts. kind: what it is, `tuple` for values side by side."""

    name: str
    kind: str
    parts: tuple[Output, ...]

    def part(self, name: str) -> Output:
        """The part of this name; KeyError if there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(name)


Output = ArrayOutput | TableOutput | RecordOutput


# ---------------------------------------------------------------------------------------------- from the circuit


def collect(outputs: Sequence[plan.Output], opened: Mapping[int, NDArray[Any]]) -> list[Output]:
    """The outputs of a study that this party learned: those whose `reveal` nodes are all in `opened`.

    opened: by node, the opened arrays in natural units (int64, float64, bool), texts as words of 7 bytes.
    """
    return [_collect(output, opened) for output in outputs if all(node in opened for node in output.nodes())]


def _collect(output: plan.Output, opened: Mapping[int, NDArray[Any]]) -> Output:
    if output.kind:
        return RecordOutput(output.name, output.kind, tuple(_collect(part, opened) for part in output.parts))
    if output.table:
        visible = None if output.visible is None else opened[output.visible].reshape(-1).astype(np.bool_)
        values, valid = {}, {}
        for column in output.columns:
            whole = _natural(column.stype, opened[column.node])
            mask = None if column.valid is None else opened[column.valid].astype(np.bool_)
            values[column.name] = whole if visible is None else whole[visible]
            valid[column.name] = mask if visible is None or mask is None else mask[visible]
            _finite(f"{output.name}.{column.name}", values[column.name], valid[column.name])
        return TableOutput(output.name, {c.name: c.stype for c in output.columns}, values, valid)
    (column,) = output.columns
    shape = tuple(size for size in output.shape if not isinstance(size, Size))
    array = _natural(column.stype, opened[column.node])
    array = array.reshape(shape + array.shape[-1:] if column.stype.kind == "text" else shape)
    mask = None if column.valid is None else opened[column.valid].astype(np.bool_).reshape(shape)
    _finite(output.name, array, mask)
    return ArrayOutput(output.name, column.stype, array, mask)


def _finite(name: str, values: NDArray[Any], valid: NDArray[np.bool_] | None) -> None:
    """StudyError if a result is no number where there should be one."""
    if values.dtype.kind == "f" and not np.isfinite(values if valid is None else values[valid]).all():
        message = f"the result `{name}` is infinite or no number: a function was asked outside its domain"
        raise StudyError([Diagnostic("E0417", message, where=name)])


def _natural(type_: SType, values: NDArray[Any]) -> NDArray[Any]:
    return unpack_text(values, type_.length) if type_.kind == "text" else values


# --------------------------------------------------------------------------------------------------------- JSON


def to_json(outputs: Sequence[Output]) -> dict[str, Json]:
    """`{name: value}` of what one party learned: a table is a list of objects, an array nested lists, a model an object
    of its fields."""
    return {output.name: _json(output) for output in outputs}


def _json(output: Output) -> Json:
    if isinstance(output, RecordOutput):
        if output.kind == "tuple":
            return [_json(part) for part in output.parts]
        return {part.name: _json(part) for part in output.parts}
    if isinstance(output, ArrayOutput):
        flat = _elements(output.type, output.values, output.valid)
        return _nest(flat, _shape(output))
    names = list(output.columns)
    columns = [_elements(output.columns[n], output.values[n], output.valid.get(n)) for n in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _shape(output: ArrayOutput) -> tuple[int, ...]:
    shape = output.values.shape
    return shape[:-1] if output.type.kind == "text" else shape


def _nest(flat: list[Json], shape: tuple[int, ...]) -> Json:
    if not shape:
        return flat[0]
    for size in shape[:0:-1]:
        flat = [flat[i : i + size] for i in range(0, len(flat), size)] if size else [[] for _ in range(shape[0])]
    return flat


def _elements(type_: SType, values: NDArray[Any], valid: NDArray[np.bool_] | None) -> list[Json]:
    """The values in C order as JSON data."""
    if valid is not None and type_.kind == "fixed":
        values = np.where(valid, values, 0.0)  # under a missing value anything may stand
    flat = _PLAIN[type_.kind](type_, values)
    if valid is None:
        return flat
    return [value if there else None for value, there in zip(flat, valid.reshape(-1).tolist(), strict=True)]


def _int(_: SType, values: NDArray[Any]) -> list[Json]:
    return [int(v) for v in values.reshape(-1).tolist()]


def _fixed(_: SType, values: NDArray[Any]) -> list[Json]:
    if not np.isfinite(values).all():
        raise ValueError("a result is not finite")
    # `+ 0.0` makes minus zero zero.
    return [round(v, FIXED_PLACES) + 0.0 for v in values.astype(np.float64).reshape(-1).tolist()]


def _bool(_: SType, values: NDArray[Any]) -> list[Json]:
    return [bool(v) for v in values.reshape(-1).tolist()]


def _date(_: SType, values: NDArray[Any]) -> list[Json]:
    return [_iso(v) for v in values.reshape(-1).tolist()]


def _iso(day: int) -> str:
    ordinal = _FIRST_DAY + day
    if 1 <= ordinal <= _LAST_DAY:
        return datetime.date.fromordinal(ordinal).isoformat()
    return str(np.datetime64(day, "D"))  # a year before 1 or after 9999, which arithmetic can reach


def _enum(type_: SType, values: NDArray[Any]) -> list[Json]:
    words = type_.words
    indices = values.reshape(-1).tolist()
    if any(not 0 <= i < len(words) for i in indices):
        raise ValueError(f"a result is none of the {len(words)} words of its enum")
    return [words[i] for i in indices]


def _decimals(type_: SType, values: NDArray[Any]) -> list[Decimal]:
    return [Decimal(v).scaleb(-type_.places) for v in values.reshape(-1).tolist()]


def _decimal(type_: SType, values: NDArray[Any]) -> list[Json]:
    if not type_.places:
        return _int(type_, values)
    return [float(v) for v in _decimals(type_, values)]


def _text(_: SType, values: NDArray[Any]) -> list[Json]:
    rows = np.ascontiguousarray(values).reshape(-1, values.shape[-1])
    # A text that was chosen or cut inside the computation may end in the middle of a character.
    return [bytes(row).rstrip(b"\0").decode("utf-8", "replace") for row in rows.astype(np.uint8)]


def _no_key(_: SType, values: NDArray[Any]) -> list[Json]:
    raise ValueError(f"a key is never revealed, here are {values.size}")


_PLAIN: Final[dict[str, Callable[[SType, NDArray[Any]], list[Json]]]] = {
    "int": _int,
    "fixed": _fixed,
    "bool": _bool,
    "date": _date,
    "enum": _enum,
    "decimal": _decimal,
    "text": _text,
    "key": _no_key,
}


# ----------------------------------------------------------------------------------------------------- terminal


def show(outputs: Sequence[Output]) -> list[RenderableType]:
    """One table for each revealed table, one line or matrix for each array; long ones are cut, with their size."""
    return [shown for output in outputs for shown in _show(output, output.name)]


def _show(output: Output, name: str) -> list[RenderableType]:
    match output:
        case RecordOutput(parts=parts):
            return [shown for part in parts for shown in _show(part, f"{name}.{part.name}")]
        case TableOutput():
            return [_show_table(output)]
        case _:
            return [_show_array(output, name)]


def _show_table(output: TableOutput) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = output.rows
    more = f", the first {SHOWN_ROWS} shown" if rows > SHOWN_ROWS else ""
    title = Text(f"{output.name}: {rows} {'row' if rows == 1 else 'rows'}{more}")
    table = Table()
    cells = []
    for name, type_ in output.columns.items():
        table.add_column(Text(name), justify="right" if type_.kind in {"int", "fixed", "decimal"} else "left")
        valid = output.valid.get(name)
        cut = output.values[name][:SHOWN_ROWS]
        cells.append(_words(type_, cut, None if valid is None else valid[:SHOWN_ROWS]))
    for row in zip(*cells, strict=True):
        table.add_row(*(Text(cell) for cell in row))
    return Group(title, table)


def _show_array(output: ArrayOutput, name: str) -> RenderableType:
    from rich.text import Text

    shape = _shape(output)
    title = name + (f" [{', '.join(map(str, shape))}]" if shape else "")
    body = _show_axes(output.type, output.values, output.valid, len(shape))
    return Text(f"{title} = {body}" if len(shape) < 2 else f"{title} =\n{body}")


def _show_axes(type_: SType, values: NDArray[Any], valid: NDArray[np.bool_] | None, axes: int) -> str:
    """The value in brackets, of each axis the first and last few."""
    if axes == 0:
        return _words(type_, values, valid)[0]
    size = len(values)
    keep = list(range(size))
    if size > SHOWN_ITEMS:
        keep = [*range(SHOWN_ITEMS // 2), *range(size - SHOWN_ITEMS // 2, size)]
    parts = [_show_axes(type_, values[i], None if valid is None else valid[i], axes - 1) for i in keep]
    if size > SHOWN_ITEMS:
        parts.insert(SHOWN_ITEMS // 2, "…")
    joined = (
        ", ".join(parts) if axes == 1 else ("," + "\n" * (axes - 1) + " ").join(p.replace("\n", "\n ") for p in parts)
    )
    return f"[{joined}]"


def _words(type_: SType, values: NDArray[Any], valid: NDArray[np.bool_] | None) -> list[str]:
    """Each value in C order as a person reads it: `-` for a missing one."""
    if type_.kind == "decimal":
        texts = [f"{v:f}" for v in _decimals(type_, values)]
    else:
        texts = [_word(v) for v in _elements(type_, values, None)]
    if valid is None:
        return texts
    return [text if there else "-" for text, there in zip(texts, valid.reshape(-1).tolist(), strict=True)]


def _word(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "".join(c if c.isprintable() else "·" for c in value)  # no control characters on a terminal
    return str(value)


# -------------------------------------------------------------------------------------------------------- NumPy


def native(output: ArrayOutput) -> NDArray[Any]:
    """The array as NumPy holds its type: dates as days, enum words and texts as strings, a decimal as its float64.

    A missing value is NaN or NaT; ValueError where the type has neither.
    """
    values = natural(output.type, output.values)
    if output.valid is not None and not output.valid.all():
        if values.dtype.kind not in "fM":
            raise ValueError(f"{output.name} has missing values, which an array of its type cannot hold in a file")
        values = np.where(output.valid, values, np.array("NaT", "M8[D]") if values.dtype.kind == "M" else np.nan)
    return values


def natural(type_: SType, values: NDArray[Any]) -> NDArray[Any]:
    """What a result's values are, in natural units: see `native`; whatever stands where one is missing."""
    match type_.kind:
        case "date":
            return values.astype(np.int64).astype("M8[D]")
        case "int" | "fixed" | "bool":
            return values
    shape = values.shape[:-1] if type_.kind == "text" else values.shape
    plain = _PLAIN[type_.kind](type_, values)
    return np.array(plain, np.float64 if type_.kind == "decimal" else np.str_).reshape(shape)


def cells(type_: SType, values: NDArray[Any]) -> list[str]:
    """A column's values as a CSV file has them, with all digits of a decimal."""
    if type_.kind == "decimal":
        return [f"{v:f}" for v in _decimals(type_, values)]
    plain = _elements(type_, values, None)
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in plain]
