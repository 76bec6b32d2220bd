"""What a circuit computes row by row, as SQL.

For: `Expressions`.
Leaves to others: the forms in which values stand in SQL (`parts`), which rows there are (`frames`), asking the database
(`held`).

Expressions are taken from the circuit that every party compiles, so that SQL and NumPy are given the same operations,
with missing values already told apart: an expression in SQL is never null (a key alone may be). What cannot be said
with just the same result (whole numbers that might not fit, sums of floats, an operation that is no row's own) is not
said at all, and is worked out in this program as it is for files.  Floats are added, subtracted and multiplied where
the database does it by IEEE 754, as NumPy does; the nearest number on the grid is a whole number again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dsl.stypes import TEXT_BYTES
from mpc.circuit import Circuit, Node
from mpc.types import BOOL
from runtime.sources.dialects import Dialect, real
from runtime.sources.packing import unpack_text
from runtime.sources.parts import NotInSQLError, Number, Part, Text, Truth

__all__ = ["Expressions"]

_LONGEST: Final = 20_000
"""Characters of an expression: values that are used again and again are written out each time."""
_DEEPEST: Final = 100
"""Operations one upon another."""
_EXACT: Final = 2**53
_LEAST, _MOST = -(2**63), 2**63 - 1


class _Words(NamedTuple):
    """Whether pieces of a text are those of another: all together, whether it is that text. total: how many."""

    sql: str
    pieces: frozenset[int]
    total: int
    node: int


class _Constant(NamedTuple):
    """The pieces of a text of the study."""

    text: str


_Any: TypeAlias = "Part | _Words | _Constant"


class Expressions:
    """Values of the rows of one frame.

    leaf: what the frame knows a node to be; None for a node that is to be worked out of its operands.  It raises
    NotInSQLError for what is no value of these rows.
    """

    def __init__(self, circuit: Circuit, dialect: Dialect, leaf: Callable[[int, Node], Part | None]) -> None:
        self._circuit = circuit
        self._dialect = dialect
        self._leaf = leaf
        self._known: dict[int, _Any] = {}
        self._depth = 0

    def value(self, index: int) -> Part:
        """Node `index`.  Raises NotInSQLError."""
        part = self._part(index)
        if isinstance(part, _Words | _Constant):
            raise NotInSQLError
        return part

    def truth(self, index: int) -> str:
        """The truth value that is node `index`.  Raises NotInSQLError."""
        part = self._part(index)
        if not isinstance(part, Truth):
            raise NotInSQLError
        return part.sql

    def _part(self, index: int) -> _Any:
        if index not in self._known:
            node = self._circuit.nodes[index]
            self._depth += 1
            try:
                if self._depth > _DEEPEST:
                    raise NotInSQLError
                part = self._leaf(index, node) or self._made(index, node)
            finally:
                self._depth -= 1
            if not isinstance(part, _Constant) and len(part.sql) > _LONGEST:
                raise NotInSQLError
            self._known[index] = part
        return self._known[index]

    def _made(self, index: int, node: Node) -> _Any:
        match node.op:
            case "const":
                return self._constant(node)
            case "broadcast_to" | "keep" | "wrapping":
                return self._part(node.src[0])
            case "reshape" | "slice":
                return self._piece(node)
            case "and" | "or" | "not":
                return self._logic(node)
            case "lt" | "eq":
                return self._compared(index, node)
            case "add" | "sub" | "mul" | "neg" | "floordiv" | "mod":
                return self._arithmetic(node)
            case "to_fixed":
                return self._fixed(node)
            case "div":
                return self._quotient(node)
            case "to_int":
                return Number(f"(case when {self.truth(node.src[0])} then 1 else 0 end)", 0, 1)
            case "units":
                return self._units(node)
            case "select":
                return self._chosen(node)
            case "maximum" | "minimum":
                return self._larger(node)
            case "text_like" if not node.get("escape", ""):
                text = self._text(node.src[0]).sql
                return Truth(f"({self._dialect.matches(text, _sayable(node['pattern']))})")
            case "text_less":
                return self._less(node)
            case "text_cut":
                return self._cut(node)
        raise NotInSQLError

    def _constant(self, node: Node) -> _Any:
        array = node["value"].array
        kind = array.dtype.kind
        if array.ndim and array.size and (array == array.flat[0]).all() and (kind == "b" or array.flat[0] == 0):
            array = array.reshape(-1)[0]  # the same in every row
        if array.ndim == 1 and kind == "i" and (array >= 0).all():
            return _Constant(_decoded(array))
        if array.ndim:
            raise NotInSQLError
        if kind == "b":
            return Truth("(1 = 1)" if array else "(1 = 0)")
        if kind == "i":
            value = int(array)
            return Number(f"({value})", value, value, constant=value)
        sql = real(float(array), self._dialect)
        if sql is None:
            raise NotInSQLError
        return Number(sql, size=abs(float(array)))

    # -- truth values ----------------------------------------------------------------------------

    def _logic(self, node: Node) -> _Any:
        if node.op == "not":
            return Truth(f"(not {self.truth(node.src[0])})")
        parts = [self._part(i) for i in node.src]
        a, b = parts
        if node.op == "and" and isinstance(a, _Words) and isinstance(b, _Words):
            return _together(a, b)
        if not isinstance(a, Truth) or not isinstance(b, Truth):
            raise NotInSQLError
        return Truth(f"({a.sql} {node.op} {b.sql})")

    def _piece(self, node: Node) -> _Any:
        """A piece of what was compared as texts, or all of it."""
        part = self._part(node.src[0])
        if all(d == 1 for d in (*node.type.shape, *self._circuit.nodes[node.src[0]].type.shape)):
            return part
        if isinstance(part, Truth) and node.op == "reshape" and _of_rows(node.type.shape):
            return part
        if not isinstance(part, _Words) or self._circuit.nodes[node.src[0]].type.dtype != BOOL:
            raise NotInSQLError
        if node.op == "slice":
            parts = node["parts"]
            rows, (first, last, step) = parts[0], parts[-1]
            if (
                len(parts) != 2
                or last - first != 1
                or step != 1
                or rows != (0, self._circuit.nodes[node.src[0]].type.shape[0], 1)
            ):
                raise NotInSQLError
            return _whole(part._replace(pieces=frozenset([first])))
        if len(part.pieces) != 1:
            raise NotInSQLError
        return _whole(part)

    # -- comparisons -----------------------------------------------------------------------------

    def _compared(self, index: int, node: Node) -> _Any:
        a, b = (self._part(i) for i in node.src)
        if isinstance(b, Text):
            a, b = b, a
        if isinstance(a, Text) and isinstance(b, Number) and b.constant == 0:
            b = _Constant("")
        if isinstance(a, Text) and isinstance(b, _Constant | Text) and node.op == "eq":
            total = self._circuit.nodes[index].type.shape[-1]
            if not isinstance(total, int):
                raise NotInSQLError
            other = b.sql if isinstance(b, Text) else self._dialect.constant(b.text)
            return _Words(f"({a.sql} = {other})", frozenset(range(total)), total, index)
        if not isinstance(a, Number) or not isinstance(b, Number):
            raise NotInSQLError
        return Truth(self._numbers("<" if node.op == "lt" else "=", a, b))

    def _numbers(self, sign: str, a: Number, b: Number) -> str:
        for x, y, way in ((a, b, sign), (b, a, {"<": ">", "=": "="}[sign])):
            if y.constant is not None and x.day is not None and -719_162 <= y.constant <= 2_932_896:
                return f"({x.day.format(way, np.datetime64(y.constant, 'D'))})"
            if y.constant is not None and x.words is not None and sign == "=" and 0 <= y.constant < len(x.words[1]):
                return f"({x.words[0]} = {self._dialect.constant(x.words[1][y.constant])})"
        if (a.low is None) != (b.low is None):
            a, b = self._float(a), self._float(b)
        return f"({a.sql} {sign} {b.sql})"

    def _float(self, x: Number) -> Number:
        """A whole number beside a float, where that is exact."""
        if x.low is None or x.high is None:
            return x
        size = max(abs(x.low), abs(x.high))
        if size > _EXACT:
            raise NotInSQLError
        return Number(f"cast({x.sql} as {self._dialect.double})", size=size)

    def _text(self, index: int) -> Text:
        part = self._part(index)
        if not isinstance(part, Text):
            raise NotInSQLError
        return part

    def _less(self, node: Node) -> _Any:
        sides = [self._part(i) for i in node.src]
        if not all(isinstance(side, Text | _Constant) for side in sides):
            raise NotInSQLError
        a, b = (s.sql if isinstance(s, Text) else self._dialect.constant(s.text) for s in sides)  # type: ignore[union-attr]
        return Truth(f"({a} < {b})")

    def _cut(self, node: Node) -> _Any:
        start, stop = node["start"], node["stop"]
        text = self._text(node.src[0])
        number = text.length if stop is None else max(stop - start, 0)
        return Text(self._dialect.cut.format(text.sql, start + 1, number), min(text.length, node["bytes"]))

    # -- numbers ---------------------------------------------------------------------------------

    def _number(self, index: int) -> Number:
        part = self._part(index)
        if not isinstance(part, Number):
            raise NotInSQLError
        return part

    def _numbered(self, index: int) -> tuple[str, int, int]:
        part = self._number(index)
        if part.low is None or part.high is None:
            raise NotInSQLError
        return part.sql if part.long else f"cast({part.sql} as {self._dialect.long})", part.low, part.high

    def _arithmetic(self, node: Node) -> _Any:
        """Of whole numbers, where nothing can overflow, and of floats."""
        if any(self._number(i).low is None for i in node.src):
            return self._of_floats(node)
        a, low, high = self._numbered(node.src[0])
        if node.op == "neg":
            return _within(f"(-{a})", [-low, -high])
        b, least, most = self._numbered(node.src[1])
        if node.op in ("floordiv", "mod"):
            return self._divided(node, (a, low, high), (b, least, most))
        ends = {
            "add": [low + least, high + most],
            "sub": [low - most, high - least],
            "mul": [x * y for x in (low, high) for y in (least, most)],
        }[node.op]
        return _within(f"({a} { {'add': '+', 'sub': '-', 'mul': '*'}[node.op] } {b})", ends)

    def _divided(self, node: Node, x: tuple[str, int, int], y: tuple[str, int, int]) -> _Any:
        """SQL cuts off what NumPy rounds down, which is the same where nothing is below 0: so a multiple is added."""
        (a, low, high), (b, least, most) = x, y
        if least <= 0 or (low < 0 and least != most):
            raise NotInSQLError
        more = -(low // most) if low < 0 else 0
        shifted = _within(f"({a} + {more * most})" if more else a, [low + more * most, high + more * most]).sql
        if node.op == "mod":
            return _within(f"({shifted} % {b})", [0, most - 1])
        divided = self._dialect.over.format(shifted, b)
        return _within(f"({divided} - {more})" if more else f"({divided})", [low // least, low // most, high // least])

    def _of_floats(self, node: Node) -> _Any:
        parts = [self._float(self._number(i)) for i in node.src]
        if (node.op == "mul" and not self._dialect.floats) or node.op in ("floordiv", "mod"):
            raise NotInSQLError
        if node.op == "neg":
            return Number(f"(-{parts[0].sql})", size=parts[0].size)
        a, b = parts
        size = a.size * b.size if node.op == "mul" else a.size + b.size
        if not size < 2.0**1000:
            raise NotInSQLError
        return Number(f"({a.sql} { {'add': '+', 'sub': '-', 'mul': '*'}[node.op] } {b.sql})", size=size)

    def _quotient(self, node: Node) -> _Any:
        """Of floats, or of whole numbers, which is never too small to be told from 0; 0 where the divisor is 0."""
        x, y = (self._number(i) for i in node.src)
        whole = y.low is not None and y.high is not None
        if not self._dialect.floats and (x.low is None or not whole):
            raise NotInSQLError
        least = max(1, y.low or 0, -(y.high or 0)) if whole else self._size(node.src[1])
        a, b = self._float(x), self._float(y)
        size = a.size / least
        if not size < 2.0**1000:
            raise NotInSQLError
        double = self._dialect.double
        return Number(
            f"(case when {y.sql} = 0 then {real(0.0, self._dialect)}"
            f" else cast({a.sql} as {double}) / cast({b.sql} as {double}) end)",
            size=size,
        )

    def _fixed(self, node: Node) -> Number:
        """A whole number."""
        x = self._number(node.src[0])
        if x.low is None:
            raise NotInSQLError
        return self._float(x)

    def _size(self, index: int) -> float:
        """What a number is at least as large as, but for 0: one of the study, or a whole number."""
        node = self._circuit.nodes[index]
        if node.op == "to_fixed":
            return 1.0
        value = float(node["value"].array.flat[0]) if node.op == "const" and node.type.ndim == 0 else 0.0
        if not value:
            raise NotInSQLError
        return abs(value)

    def _units(self, node: Node) -> _Any:
        """The nearest whole number of 2^-frac, of two equally near the even one."""
        x = self._number(node.src[0])
        frac = node["frac"]
        scale = real(2.0**frac, self._dialect)
        if x.low is not None or scale is None or x.size * 2.0**frac > 2.0**62:
            raise NotInSQLError
        limit = math.ceil(x.size * 2.0**frac)
        return _within(self._dialect.nearest.format(f"({x.sql} * {scale})"), [-limit, limit])

    def _larger(self, node: Node) -> _Any:
        a, low, high = self._numbered(node.src[0])
        b, least, most = self._numbered(node.src[1])
        if node.op == "maximum":
            return _within(self._dialect.greatest.format(a, b), [max(low, least), max(high, most)])
        return _within(self._dialect.least.format(a, b), [min(low, least), min(high, most)])

    def _chosen(self, node: Node) -> _Any:
        mask = self._part(node.src[0])
        if not isinstance(mask, Truth):
            raise NotInSQLError
        truth = mask.sql
        a, b = (self._part(i) for i in node.src[1:])
        if isinstance(a, Truth) and isinstance(b, Truth):
            return Truth(f"(case when {truth} then {a.sql} else {b.sql} end)")
        if isinstance(a, Number) and isinstance(b, Number):
            if a.low is None or b.low is None:
                a, b = self._float(a), self._float(b)
                return Number(f"(case when {truth} then {a.sql} else {b.sql} end)", size=max(a.size, b.size))
            assert a.high is not None
            assert b.high is not None
            ends = [min(a.low, b.low), max(a.high, b.high)]
            chosen = _within(f"(case when {truth} then {a.sql} else {b.sql} end)", ends)
            return chosen._replace(long=a.long or b.long)
        if not isinstance(a, Text):
            raise NotInSQLError
        if isinstance(b, Number) and b.constant == 0:
            b = _Constant("")
        if not isinstance(b, Text | _Constant):
            raise NotInSQLError
        other, length = (b.sql, b.length) if isinstance(b, Text) else (self._dialect.constant(b.text), 0)
        return Text(f"(case when {truth} then {a.sql} else {other} end)", max(a.length, length))


def _of_rows(shape: tuple[object, ...]) -> bool:
    """Whether it has one value a row."""
    return all(d == 1 for d in shape[1:])


def _within(sql: str, ends: list[int]) -> Number:
    low, high = min(ends), max(ends)
    if low < _LEAST or high > _MOST:
        raise NotInSQLError
    return Number(sql, low, high, long=True)


def _decoded(words: NDArray[np.int64]) -> str:
    """The text of a constant of the circuit."""
    try:
        text = bytes(unpack_text(words, TEXT_BYTES * len(words))).rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        raise NotInSQLError from None
    return _sayable(text)


def _sayable(text: str) -> str:
    """A text of the study, where a statement can hold it: a zero would end some."""
    if "\0" in text:
        raise NotInSQLError
    return text


def _together(a: _Words, b: _Words) -> _Any:
    if a.node != b.node:
        raise NotInSQLError
    return _whole(a._replace(pieces=a.pieces | b.pieces))


def _whole(part: _Words) -> _Any:
    """A truth value once all pieces are there."""
    return Truth(part.sql) if len(part.pieces) == part.total else part
