"""Conditions of a study on the rows of a table, as SQL.

For: `Conditions`.
Leaves to others: what a column is in SQL (`dialects`), asking the database (`held`).

The condition is taken from the circuit that every party compiles, so that SQL and NumPy are given the same operations,
with missing values already told apart: a condition in SQL is true or false and never null. What cannot be said with
just the same result (numbers that might not fit, arithmetic of floats, an operation that is no row's own) is not said
at all, and is worked out in this program as it is for files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec
from dsl.stypes import TEXT_BYTES
from mpc.circuit import Circuit, Node
from mpc.types import BOOL
from runtime.sources.dialects import Dialect, Native, real
from runtime.sources.packing import unpack_text

__all__ = ["Conditions"]

_LONGEST: Final = 20_000
"""Characters of a condition: values that are used again and again are written out each time."""
_EXACT: Final = 2**53
_LEAST, _MOST = -(2**63), 2**63 - 1


class _NotInSQLError(Exception):
    """SQL might not say the same."""


class _Number(NamedTuple):
    """A whole number between low and high, or (neither known) a float. day, words: of a date, of an enum."""

    sql: str
    low: int | None = None
    high: int | None = None
    day: str | None = None
    words: tuple[str, tuple[str, ...]] | None = None
    constant: int | None = None


class _Truth(NamedTuple):
    sql: str


class _Text(NamedTuple):
    sql: str
    length: int


class _Words(NamedTuple):
    """Whether pieces of a text are those of a constant: all together, whether it is that text. total: how many."""

    sql: str
    pieces: frozenset[int]
    total: int
    node: int


class _Constant(NamedTuple):
    """The pieces of a text of the study."""

    text: str


_Part: TypeAlias = "_Number | _Truth | _Text | _Words | _Constant"


class Conditions:
    """The conditions on one scan of a table, whose columns are `natives`."""

    def __init__(
        self,
        circuit: Circuit,
        scan: int,
        columns: Mapping[str, ColumnSpec],
        natives: Mapping[str, Native],
        dialect: Dialect,
    ) -> None:
        self._circuit = circuit
        self._scan = scan
        self._columns = columns
        self._natives = natives
        self._dialect = dialect
        self._known: dict[int, _Part] = {}

    def sql(self, index: int) -> str | None:
        """The truth value that is node `index`; None when it is not for SQL."""
        try:
            part = self._part(index)
        except _NotInSQLError:
            return None
        return part.sql if isinstance(part, _Truth) else None

    def _part(self, index: int) -> _Part:
        if index not in self._known:
            part = self._made(index, self._circuit.nodes[index])
            if not isinstance(part, _Constant) and len(part.sql) > _LONGEST:
                raise _NotInSQLError
            self._known[index] = part
        return self._known[index]

    def _made(self, index: int, node: Node) -> _Part:
        match node.op:
            case "input":
                return self._column(node)
            case "const":
                return self._constant(node)
            case "broadcast_to":
                return self._part(node.src[0])
            case "reshape" | "slice":
                return self._piece(node)
            case "and" | "or" | "not":
                return self._logic(node)
            case "lt" | "eq":
                return self._compared(index, node)
            case "add" | "sub" | "mul" | "neg" | "floordiv":
                return self._arithmetic(node)
            case "to_int":
                truth = self._truth(node.src[0])
                return _Number(f"(case when {truth} then 1 else 0 end)", 0, 1)
            case "select":
                return self._chosen(node)
            case "text_like":
                text = self._text(node.src[0])
                return _Truth(f"({self._dialect.like(text.sql, node['pattern'])})")
            case "text_less":
                return self._less(node)
        raise _NotInSQLError

    # -- leaves ----------------------------------------------------------------------------------

    def _column(self, node: Node) -> _Part:
        if node.get("scan") != self._scan:
            raise _NotInSQLError
        name: str = node["column"]
        if name == "#rows":
            return _Truth("(1 = 1)")
        if name.endswith("?"):
            return _Truth(f"(not ({self._natives[name[:-1]].missing}))")
        spec, native = self._columns[name], self._natives[name]
        if spec.kind == "text" and native.text is not None:
            return _Text(native.text, spec.length)
        if spec.kind == "enum" and native.text is not None:
            say = self._dialect.constant
            cases = " ".join(f"when {native.text} = {say(w)} then {i}" for i, w in enumerate(spec.words))
            return _Number(f"(case {cases} else 0 end)", 0, len(spec.words) - 1, words=(native.text, spec.words))
        if native.value is None:
            raise _NotInSQLError
        if spec.kind == "bool":
            return _Truth(f"({native.value})")
        if spec.kind == "fixed":
            return _Number(native.value)
        low, high = native.bounds
        known = node["range"]
        if known is not None:
            low, high = max(low, int(known[0])), min(high, int(known[1]))
        return _Number(native.value, low, high, day=native.day)

    def _constant(self, node: Node) -> _Part:
        array = node["value"].array
        kind = array.dtype.kind
        if array.ndim == 1 and kind == "i" and (array >= 0).all():
            return _Constant(_decoded(array))
        if array.ndim:
            raise _NotInSQLError
        if kind == "b":
            return _Truth("(1 = 1)" if array else "(1 = 0)")
        if kind == "i":
            value = int(array)
            return _Number(f"({value})", value, value, constant=value)
        sql = real(float(array), self._dialect)
        if sql is None:
            raise _NotInSQLError
        return _Number(sql)

    # -- truth values ----------------------------------------------------------------------------

    def _truth(self, index: int) -> str:
        part = self._part(index)
        if not isinstance(part, _Truth):
            raise _NotInSQLError
        return part.sql

    def _logic(self, node: Node) -> _Part:
        if node.op == "not":
            return _Truth(f"(not {self._truth(node.src[0])})")
        parts = [self._part(i) for i in node.src]
        a, b = parts
        if node.op == "and" and isinstance(a, _Words) and isinstance(b, _Words):
            return _together(a, b)
        if not isinstance(a, _Truth) or not isinstance(b, _Truth):
            raise _NotInSQLError
        return _Truth(f"({a.sql} {node.op} {b.sql})")

    def _piece(self, node: Node) -> _Part:
        """A piece of what was compared as texts, or all of it."""
        part = self._part(node.src[0])
        if isinstance(part, _Truth) and node.op == "reshape" and len(node.type.shape) == 1:
            return part
        if not isinstance(part, _Words) or self._circuit.nodes[node.src[0]].type.dtype != BOOL:
            raise _NotInSQLError
        if node.op == "slice":
            parts = node["parts"]
            rows, (first, last, step) = parts[0], parts[-1]
            if (
                len(parts) != 2
                or last - first != 1
                or step != 1
                or rows != (0, self._circuit.nodes[node.src[0]].type.shape[0], 1)
            ):
                raise _NotInSQLError
            return _whole(part._replace(pieces=frozenset([first])))
        if len(part.pieces) != 1:
            raise _NotInSQLError
        return _whole(part)

    # -- comparisons -----------------------------------------------------------------------------

    def _compared(self, index: int, node: Node) -> _Part:
        a, b = (self._part(i) for i in node.src)
        if isinstance(b, _Text) or isinstance(a, _Constant):
            a, b = b, a
        if isinstance(a, _Text) and isinstance(b, _Constant) and node.op == "eq":
            total = self._circuit.nodes[index].type.shape[-1]
            if not isinstance(total, int):
                raise _NotInSQLError
            sql = f"({a.sql} = {self._dialect.constant(b.text)})"
            return _Words(sql, frozenset(range(total)), total, index)
        if not isinstance(a, _Number) or not isinstance(b, _Number):
            raise _NotInSQLError
        return _Truth(self._numbers("<" if node.op == "lt" else "=", a, b))

    def _numbers(self, sign: str, a: _Number, b: _Number) -> str:
        for x, y, way in ((a, b, sign), (b, a, {"<": ">", "=": "="}[sign])):
            if y.constant is not None and x.day is not None and -719_162 <= y.constant <= 2_932_896:
                return f"({x.day.format(way, np.datetime64(y.constant, 'D'))})"
            if y.constant is not None and x.words is not None and sign == "=" and 0 <= y.constant < len(x.words[1]):
                return f"({x.words[0]} = {self._dialect.constant(x.words[1][y.constant])})"
        if (a.low is None) != (b.low is None):
            a, b = self._float(a), self._float(b)
        return f"({a.sql} {sign} {b.sql})"

    def _float(self, x: _Number) -> _Number:
        """A whole number beside a float, where that is exact."""
        if x.low is None or x.high is None:
            return x
        if max(abs(x.low), abs(x.high)) > _EXACT:
            raise _NotInSQLError
        return _Number(f"cast({x.sql} as {self._dialect.double})")

    def _text(self, index: int) -> _Text:
        part = self._part(index)
        if not isinstance(part, _Text):
            raise _NotInSQLError
        return part

    def _less(self, node: Node) -> _Part:
        a, b = (self._part(i) for i in node.src)
        if isinstance(a, _Text) and isinstance(b, _Constant):
            return _Truth(f"({a.sql} < {self._dialect.constant(b.text)})")
        if isinstance(a, _Constant) and isinstance(b, _Text):
            return _Truth(f"({self._dialect.constant(a.text)} < {b.sql})")
        raise _NotInSQLError

    # -- numbers ---------------------------------------------------------------------------------

    def _numbered(self, index: int) -> tuple[str, int, int]:
        part = self._part(index)
        if not isinstance(part, _Number) or part.low is None or part.high is None:
            raise _NotInSQLError
        return part.sql, part.low, part.high

    def _arithmetic(self, node: Node) -> _Part:
        """Of whole numbers, where nothing can overflow."""
        a, low, high = self._numbered(node.src[0])
        if node.op == "neg":
            return _within(f"(-{a})", [-low, -high])
        b, least, most = self._numbered(node.src[1])
        if node.op == "floordiv":
            # SQL cuts off what NumPy rounds down: the same where nothing is below 0.
            if low < 0 or least <= 0:
                raise _NotInSQLError
            return _within(f"({a} {self._dialect.over} {b})", [low // most, high // least])
        ends = {
            "add": [low + least, high + most],
            "sub": [low - most, high - least],
            "mul": [x * y for x in (low, high) for y in (least, most)],
        }[node.op]
        return _within(f"({a} { {'add': '+', 'sub': '-', 'mul': '*'}[node.op] } {b})", ends)

    def _chosen(self, node: Node) -> _Part:
        truth = self._truth(node.src[0])
        if node.type.dtype == BOOL:
            return _Truth(f"(case when {truth} then {self._truth(node.src[1])} else {self._truth(node.src[2])} end)")
        a, low, high = self._numbered(node.src[1])
        b, least, most = self._numbered(node.src[2])
        return _within(f"(case when {truth} then {a} else {b} end)", [min(low, least), max(high, most)])


def _within(sql: str, ends: list[int]) -> _Number:
    low, high = min(ends), max(ends)
    if low < _LEAST or high > _MOST:
        raise _NotInSQLError
    return _Number(sql, low, high)


def _decoded(words: NDArray[np.int64]) -> str:
    """The text of a constant of the circuit."""
    try:
        return bytes(unpack_text(words, TEXT_BYTES * len(words))).rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise _NotInSQLError from None


def _together(a: _Words, b: _Words) -> _Part:
    if a.node != b.node:
        raise _NotInSQLError
    return _whole(a._replace(pieces=a.pieces | b.pieces))


def _whole(part: _Words) -> _Part:
    """A truth value once all pieces are there."""
    return _Truth(part.sql) if len(part.pieces) == part.total else part
