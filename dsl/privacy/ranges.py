"""Between which numbers an expression of a query lies, as far as that is certain.

For: `range_of`.
Leaves to others: ranges of values in circuits (`dsl.query.known`).

Only what keeps to its limits whatever the data are: a column with a declared range, which its owner checks, `clamp`,
constants, and choices among these.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from dsl import syntax
from dsl.node import Node
from dsl.privacy.mechanism import natural
from dsl.query.known import interval
from dsl.query.plan import Column, Ref
from dsl.values import Array
from dsl.walker import Walker
from mpc.types import BOOL

__all__ = ["Range", "column_range", "range_of"]


class Range(NamedTuple):
    """From lo to hi, in natural units."""

    lo: Fraction
    hi: Fraction

    @property
    def most(self) -> Fraction:
        """The largest magnitude."""
        return max(abs(self.lo), abs(self.hi))


def range_of(w: Walker, e: Node, columns: Mapping[Column, Range]) -> Range | None:
    """The range of an expression over columns of which some have one; None where nothing limits it."""
    match e:
        case Ref(column):
            return columns.get(column)
        case syntax.Int(value) | syntax.Real(value):
            return Range(Fraction(value), Fraction(value))
        case syntax.Bool(value):
            return Range(Fraction(int(value)), Fraction(int(value)))
        case syntax.Name():
            return _of_constant(w, e)
        case syntax.Unary("-", operand):
            inner = range_of(w, operand, columns)
            return None if inner is None else Range(-inner.hi, -inner.lo)
        case syntax.Compare() | syntax.Logical() | syntax.Unary("not"):
            return Range(Fraction(0), Fraction(1))
        case syntax.Case(branches, otherwise):
            last = () if otherwise is None else (otherwise,)
            return _hull(w, [*(b.value for b in branches), *last], columns)
        case syntax.Call(function=syntax.Name(name)) if w.scope.find(name) is None:
            return _of_call(w, name.lower(), e, columns)
    return None


def _of_call(w: Walker, name: str, e: syntax.Call, columns: Mapping[Column, Range]) -> Range | None:
    named = {k.name.text: k.value for k in e.keywords}
    match name:
        case "clip" | "clamp":
            given = [*e.arguments[1:], *(named[n] for n in ("lo", "hi") if n in named)]
            ends = [range_of(w, end, columns) for end in given]
            if len(ends) == 2 and ends[0] is not None and ends[1] is not None:
                # Of two limits of which the lower is above the upper, the upper one holds.
                return Range(min(ends[0].lo, ends[1].lo), ends[1].hi)
        case "coalesce" | "least" | "greatest":
            return _hull(w, e.arguments, columns)
        case "abs":
            inner = range_of(w, e.arguments[0], columns) if e.arguments else None
            return None if inner is None else Range(Fraction(0), inner.most)
    return None


def _hull(w: Walker, items: list[Node] | tuple[Node, ...], columns: Mapping[Column, Range]) -> Range | None:
    """All of them together; what is missing counts as 0 elsewhere."""
    found = [range_of(w, item, columns) for item in items if not isinstance(item, syntax.Null)]
    known = [r for r in found if r is not None]
    if not known or len(known) < len(found):
        return None
    return Range(min(r.lo for r in known), max(r.hi for r in known))


def column_range(a: Array) -> Range | None:
    """That of a column as it was declared, or as it follows from what its owner brings."""
    if a.value.dtype == BOOL:
        return Range(Fraction(0), Fraction(1))
    known = interval(a.value)
    if known is None or not a.stype.numeric:
        return None
    unit = Fraction(1, 10**a.stype.places)
    return Range(Fraction(known.lo) * unit, Fraction(known.hi) * unit)


def _of_constant(w: Walker, e: syntax.Name) -> Range | None:
    binding = w.scope.find(e.id)
    a = None if binding is None else binding.val
    if not isinstance(a, Array) or not a.value.is_const or a.shape or not a.stype.numeric:
        return None
    value = Fraction(natural(a, a.value.constant.item()))
    return Range(value, value)
