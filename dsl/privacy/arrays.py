"""How far an array or a number can move if one row of one owner's data is replaced.

For: `reach_of`, `Reach`, `together`.
Leaves to others: queries (`queries`), how much noise that needs (`mechanism`).

What has a limit:

- `clip_norm(g, c)`: moves by 2 c in Euclidean norm, and by what its rounding adds, whatever g is.  What is hidden is
  all that g derives from: the whole update of an owner, not one row of it.
- what is computed row by row from inputs, and lies between two numbers (`clip(x, lo, hi)`, a declared range): one row
  moves by hi - lo; `sum` and `mean` over rows then move by as much, and by that over their number;
- sums, differences, public multiples, and parts of these.

Roundings count: what two nearly equal values are rounded to may differ by a unit more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from dsl.privacy.lineage import Clipped, Owned
from dsl.privacy.rowwise import owners_of, row_by_row, size
from dsl.query.known import interval
from dsl.region import Region
from dsl.source import Span
from dsl.walker import Walker
from mpc.circuit import Builder, Value

__all__ = ["Reach", "reach_of", "together"]

HELPS = (
    "limit it as a whole: `clip_norm(g, 1.0)`",
    "or row by row, before adding up: `sum(clip(x, 0, 100), axis=0)`",
)


ROUNDING = 4.0
"""Units by which the results of one operation on two neighbours may differ for its rounding, at most 2 for each."""

RELATIVE = 2.0**-19
"""The same of a quotient, as a part of it."""


class Limits(NamedTuple):
    """By how much an array may move: the sum of magnitudes, and the Euclidean norm; in the circuit's numbers."""

    total: float
    norm: float

    def times(self, factor: float, again: float = 1.0) -> Limits:
        """Multiplied, and shown `again` times."""
        return Limits(self.total * factor * again, self.norm * factor * math.sqrt(again))

    def rounded(self, unit: float, many: int) -> Limits:
        """After a rounding of `many` numbers."""
        return Limits(self.total + unit * many, self.norm + unit * math.sqrt(many))


By: TypeAlias = "dict[Owned, Limits]"


@dataclass(frozen=True, slots=True)
class Reach:
    """by: for each table or array, how far replacing what is hidden of it may move the value. refusal: where and why
    there is no limit, and what to write."""

    by: Mapping[Owned, Limits] = field(default_factory=dict)
    refusal: tuple[Span | None, str, Sequence[str]] | None = None

    def most(self) -> Limits:
        """Over all of which one row may be replaced."""
        return Limits(max(x.total for x in self.by.values()), max(x.norm for x in self.by.values()))


class _NoLimitError(Exception):
    def __init__(self, why: str, at: Value | None = None) -> None:
        super().__init__(why)
        self.at = at


def reach_of(w: Walker, value: Value) -> Reach:
    """How far `value` may move."""
    try:
        return Reach(_Finder(w.region, w.clipped).reach(value))
    except _NoLimitError as error:
        origin = None if error.at is None else error.at.node.origin
        own = origin is not None and origin.source == w.reporter.source.name
        span = Span(origin.start, origin.end) if origin is not None and own else None
        return Reach(refusal=(span, str(error), HELPS))


def together(w: Walker, values: Sequence[Value]) -> Reach:
    """How far several arrays may move as one; the parts of one `clip_norm` do so as one."""
    marks = [w.clipped.get((v.builder, v.index)) for v in values]
    if marks[0] is not None and all(m is marks[0] for m in marks):
        return Reach(_of_clipped(marks[0], sum(size(v) for v in values)))
    by: By = {}
    for value in values:
        part = reach_of(w, value)
        if part.refusal is not None:
            return part
        by = _combined(by, dict(part.by))
    return Reach(by)


def _of_clipped(mark: Clipped, many: int) -> By:
    norm = 2 * mark.norm
    return dict.fromkeys(mark.by, Limits(norm * math.sqrt(many), norm))


def _added(x: By, y: By) -> By:
    """Of a sum."""
    return _merged(x, y, lambda a, b: Limits(a.total + b.total, a.norm + b.norm))


def _combined(x: By, y: By) -> By:
    """Of two arrays side by side."""
    return _merged(x, y, lambda a, b: Limits(a.total + b.total, math.hypot(a.norm, b.norm)))


def _merged(x: By, y: By, both: Callable[[Limits, Limits], Limits]) -> By:
    nothing = Limits(0.0, 0.0)
    return {owned: both(x.get(owned, nothing), y.get(owned, nothing)) for owned in {**x, **y}}


@dataclass(slots=True)
class _Finder:
    """Looks through a circuit, out of the bodies of loops to what they take from outside."""

    region: Region
    clipped: Mapping[tuple[Builder, int], Clipped]

    def reach(self, value: Value) -> By:
        if value.type.public:
            return {}
        mark = self.clipped.get((value.builder, value.index))
        if mark is not None:
            return _of_clipped(mark, size(value))
        outside = self.region.outside(value.node) if value.builder is self.region.builder else None
        if outside is not None and self.region.outer is not None:
            return _Finder(self.region.outer, self.clipped).reach(outside)
        found = self._linear(value)
        return self._by_limits(value) if found is None else found

    def _by_limits(self, value: Value) -> By:
        """Of what lies between two numbers: all of it may move from one to the other, or its one row."""
        known = interval(value)
        if known is None or not math.isfinite(known.hi - known.lo):
            raise _NoLimitError("nothing limits this", value)
        rows = row_by_row(self.region, value)
        if rows is not None:
            row = max(1, size(value) // max(1, size(value, 0)))
            return dict.fromkeys(rows, Limits(known.hi - known.lo, known.hi - known.lo).times(1, row))
        return dict.fromkeys(
            owners_of(self.region, value), Limits(known.hi - known.lo, known.hi - known.lo).times(1, size(value))
        )

    def _linear(self, value: Value) -> By | None:
        """Of a sum, a multiple or a part of what has limits; None where the operation is none of these."""
        node, b = value.node, value.builder
        src = [Value(b, i) for i in node.src]
        match node.op:
            case "add" | "sub":
                return _added(*(self._shown(v, value) for v in src))
            case "neg" | "variable" | "reshape" | "transpose" | "slice" | "to_fixed":
                return self.reach(src[0])
            case "broadcast_to":
                return self._shown(src[0], value)
            case "concat":
                out: By = {}
                for v in src:
                    out = _combined(out, self.reach(v))
                return out
            case "mul" | "div":
                return self._scaled(value, src)
            case "sum" | "mean":
                return self._reduced(value, src[0])
        return None

    def _shown(self, v: Value, out: Value) -> By:
        """An operand as often as it is repeated."""
        again = size(out) / max(1, size(v))
        return {owned: x.times(1, again) for owned, x in self.reach(v).items()}

    def _scaled(self, value: Value, src: Sequence[Value]) -> By | None:
        """Of a multiple by constants."""
        constant = next((v for v in reversed(src) if v.is_const), None)
        if constant is None or (value.node.op == "div" and constant is not src[1]):
            return None
        other = src[0] if constant is src[1] else src[1]
        numbers = abs(constant.constant)
        factor = float(numbers.max()) if value.node.op == "mul" else 1 / float(numbers.min())
        unit = 0.0 if value.dtype.kind == "int" else ROUNDING * 2.0**-value.dtype.frac
        if value.dtype.kind != "int" and constant.dtype.kind != "int":
            factor += 2.0**-16  # the factor itself was rounded
        if value.node.op == "div":
            known = interval(value)
            most = self._magnitude(other) if known is None else known.magnitude
            unit += RELATIVE * most * (factor if known is None else 1)
        return {o: x.times(factor).rounded(unit, size(value)) for o, x in self._shown(other, value).items()}

    def _magnitude(self, value: Value) -> float:
        """The largest magnitude of any number."""
        mark = self.clipped.get((value.builder, value.index))
        if mark is not None:
            return mark.norm
        known = interval(value)
        if known is not None:
            return known.magnitude
        src = [Value(value.builder, i) for i in value.node.src]
        if value.node.op in {"add", "sub"}:
            return sum(self._magnitude(v) for v in src)
        if value.node.op in {"neg", "variable", "reshape", "transpose", "slice"}:
            return self._magnitude(src[0])
        raise _NoLimitError("what is divided has no limit", value)

    def _reduced(self, value: Value, x: Value) -> By | None:
        """Of a sum or mean: over rows, one of which moves; otherwise of what has limits."""
        axis = value.node["axis"]
        known, rows = interval(x), row_by_row(self.region, x)
        n = size(x) if axis is None else size(x, axis)
        if rows is not None and known is not None and axis in (None, 0):
            row = max(1, size(x) // max(1, size(x, 0)))
            width = Limits(known.hi - known.lo, known.hi - known.lo)
            moved = width.times(row) if axis is None else width.times(1, row)
            if value.dtype.kind != "int":  # added up by its owner, in double precision
                moved = moved.rounded(n * n * 2.0**-52 * known.magnitude, size(value))
            found = dict.fromkeys(rows, moved)
        else:
            found = {o: Limits(y.total, y.norm * math.sqrt(n)) for o, y in self.reach(x).items()}
        if value.node.op == "sum":
            return found
        unit = ROUNDING * 2.0**-value.dtype.frac
        return {o: y.times(1 / max(1, n)).rounded(unit, size(value)) for o, y in found.items()}
