"""The value of an expression.

For: `evaluate`, which dispatches over all kinds of expressions and turns what a type rule refuses into an error at the
expression's place.
Leaves to others: operators, indices (`indexing`), calls (`calls`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dsl import syntax
from dsl.builtins import BUILTINS
from dsl.builtins.dates import date_part
from dsl.builtins.table import builtin_named
from dsl.calls import call
from dsl.convert import certain, choose, stacked
from dsl.indexing import subscript
from dsl.library import member
from dsl.masks import only_rows
from dsl.operators import binary, compare, invert, logical, negate, truth
from dsl.parts import column, missing, opened
from dsl.privacy.mechanism import read_mechanism
from dsl.privacy.noised import noised_opening
from dsl.source import Span
from dsl.stypes import BOOLEAN, DATE, EPOCH, FIXED, INTEGER
from dsl.unknown import hints_for_name
from dsl.values import (
    UNKNOWN,
    Array,
    Module,
    Record,
    Table,
    Text,
    Tuple,
    Unknown,
    Unset,
    Val,
    describe,
    same_frame,
)
from dsl.walker import Reported, Walker
from mpc.types import INT, ShapeError, TypeRuleError, broadcast_shapes

__all__ = ["evaluate"]


def evaluate(w: Walker, expression: syntax.Expression) -> Val:
    """The value of `expression`; Unknown, with the error recorded, when it is wrong."""
    with w.at(expression.span):
        try:
            val = _dispatch(w, expression)
        except Reported:
            val = UNKNOWN
        except TypeRuleError as error:
            val = w.refused(error, expression.span)
    w.pending.append(val)
    return val


def _dispatch(w: Walker, e: syntax.Expression) -> Val:
    match e:
        case syntax.Name():
            return _name(w, e)
        case syntax.Int(value):
            return _whole(w, value, e.span)
        case syntax.Real():
            return _real(w, e)
        case syntax.Text(text):
            return Text(text)
        case syntax.Bool(truth_value):
            return w.const(truth_value, BOOLEAN)
        case syntax.Date(day):
            return w.const((day - EPOCH).days, DATE)
        case syntax.Unary("-", syntax.Int(value)):
            return _whole(w, -value, e.span)
        case syntax.Unary("-", operand):
            return negate(w, w.evaluate(operand), operand.span)
        case syntax.Unary(_, operand):
            return invert(w, w.evaluate(operand), operand.span)
        case syntax.Binary(op, left, right):
            return binary(w, op, w.evaluate(left), w.evaluate(right), e.span)
        case syntax.Compare(op, left, right):
            return compare(w, op, w.evaluate(left), w.evaluate(right), e.span)
        case syntax.Logical():
            return _logical(w, e)
        case syntax.Conditional():
            return _conditional(w, e)
        case syntax.Call():
            return call(w, e)
        case syntax.Attribute():
            return _attribute(w, e)
        case syntax.Subscript():
            return subscript(w, e)
        case syntax.Tuple(items):
            return Tuple(tuple(w.evaluate(item) for item in items))
        case syntax.List(items):
            return _list(w, items, e.span)
        case syntax.Reveal():
            return _reveal(w, e)
        case syntax.InList():
            return _among(w, e)
        case syntax.Extract(part, value):
            return date_part(w, w.evaluate_known(value), value.span, part)
    return w.error("E0901", "this expression stands in queries only", e.span)


# -------------------------------------------------------------------------------- names and literals


def _name(w: Walker, e: syntax.Name) -> Val:
    binding = w.scope.find(e.id)
    if binding is None:
        builtin = builtin_named(e.id, library=w.in_library)
        if builtin is not None:
            return builtin
        if e.id in w.sizes and w.source is w.reporter.source:
            return Array(w.region.dim(w.sizes[e.id]), INTEGER)
        return _unknown_name(w, e)
    if isinstance(binding.val, Unset):
        unset = binding.val
        return w.error(
            "E0201",
            f"`{e.id}` may have no value here",
            e.span,
            secondary=[(unset.span, unset.why)],
            helps=[f"give it a value before: `{e.id} = 0`"],
        )
    return w.local(binding.val)


def _unknown_name(w: Walker, e: syntax.Name) -> Val:
    if e.id in w.scope.local:
        why = "the function assigns it, so it is the function's own, and it has no value yet"
        return w.error("E0201", f"`{e.id}` has no value yet", e.span, why)
    if e.id in w.parties:
        return w.error("E0201", f"`{e.id}` is a party, not a value", e.span)
    return w.error("E0201", f"there is no `{e.id}`", e.span, "not known here", helps=hints_for_name(w, e.id))


def _whole(w: Walker, value: int, span: Span) -> Val:
    if not -(2**63) <= value < 2**63:
        return w.error("E0501", "a whole number has 64 bits", span)
    return Array(w.builder.const(np.int64(value), INT), INTEGER)


def _real(w: Walker, e: syntax.Real) -> Val:
    value = float(e.value)
    if abs(value) >= 2.0 ** (63 - w.frac):
        return w.error("E0501", f"a fixed-point number here is below 2^{63 - w.frac}", e.span)
    return Array(w.builder.const(value, w.fixed), FIXED, exact=e.value)


def _list(w: Walker, items: Sequence[syntax.Expression], span: Span) -> Val:
    vals = [w.evaluate(item) for item in items]
    if any(isinstance(v, Unknown) for v in vals):
        return UNKNOWN
    if not vals:
        return w.error("E0301", "an array needs an element", span, helps=["an array without elements: `zeros(0)`"])
    arrays = [w.full(w.array(v, item.span), item.span) for v, item in zip(vals, items, strict=True)]
    return stacked(w, arrays, span)


# -------------------------------------------------------------------------------- choice and logic


def _logical(w: Walker, e: syntax.Logical) -> Val:
    left = w.evaluate_known(e.left)
    a = truth(w, left, e.left.span)
    if a.value.is_const and not a.shape and bool(a.value.constant) == (e.op == "or"):
        return a  # as in Python, the other side is not looked at
    right = _tentatively(w, e.right)
    return logical(w, e.op, a, truth(w, right, e.right.span))


def _among(w: Walker, e: syntax.InList) -> Val:
    """`x in (a, b)`."""
    val = w.evaluate_known(e.value)
    found = w.const(False, BOOLEAN)
    for item in e.items:
        same = compare(w, "==", val, w.evaluate_known(item), item.span)
        found = logical(w, "or", found, truth(w, same, item.span))
    return invert(w, found, e.span) if e.negated else found


def _conditional(w: Walker, e: syntax.Conditional) -> Val:
    condition = certain(truth(w, w.evaluate_known(e.condition), e.condition.span))
    only_rows(w, condition, e.condition.span)
    if condition.value.is_const and not condition.shape:
        return w.evaluate(e.then if bool(condition.value.constant) else e.otherwise)
    then, otherwise = _tentatively(w, e.then), _tentatively(w, e.otherwise)
    if condition.public and not condition.shape and not _alike(then, otherwise):
        known = w.concrete(condition.value, e.condition.span, "a choice")
        if known.is_const:
            return then if bool(known.constant) else otherwise
    return choose(w, condition, then, otherwise, e.span)


def _tentatively(w: Walker, e: syntax.Expression) -> Val:
    """The value of a side that may not be taken."""
    w.tentative += 1
    try:
        return w.evaluate_known(e)
    finally:
        w.tentative -= 1


def _alike(a: Val, b: Val) -> bool:
    """Whether one can be chosen for the other element by element."""
    if not isinstance(a, Array) or not isinstance(b, Array):
        return same_frame(a, b)
    try:
        broadcast_shapes(a.shape, b.shape)
    except ShapeError:
        return False
    return True


# ------------------------------------------------------------------------------------- attributes


def _attribute(w: Walker, e: syntax.Attribute) -> Val:
    val = w.evaluate_known(e.value)
    name = e.name.text
    match val:
        case Table():
            return column(w, val, name, e.name.span)
        case Record(kind=kind, fields=fields):
            if name in fields:
                return fields[name]
            return missing(w, f"a {kind} has no part `{name}`", name, list(fields), e.name.span)
        case Module():
            return member(w, val, name, e.name.span)
        case Array() if name == "T":
            return _transposed(val)
        case Array() if name == "shape":
            return Tuple(tuple(Array(w.region.dim(d), INTEGER) for d in val.shape))
    helps = [f"write `{name}({w.text(e.value.span)})`"] if name in BUILTINS and not name.startswith("_") else []
    return w.error("E0207", f"{describe(val)} has no `{name}`", e.name.span, helps=helps)


def _transposed(a: Array) -> Array:
    axes = tuple(reversed(range(len(a.shape))))
    full = (*axes, len(a.shape)) if a.stype.kind == "text" else axes
    valid = None if a.valid is None else a.valid.transpose(axes)
    return replace(a, value=a.value.transpose(full), valid=valid, exact=None)


# ----------------------------------------------------------------------------------------- opening


def _reveal(w: Walker, e: syntax.Reveal) -> Val:
    """`reveal(e)`: from here on everyone sees the value."""
    val = w.evaluate_known(e.value)
    if w.guards:
        guard = w.guards[-1]
        return w.error(
            "E0308",
            "nothing can be opened where a secret decides what runs",
            e.span,
            "whether this is opened would tell the condition",
            secondary=[(guard.span, "this decides, and is secret"), *w.why(guard.value)],
        )
    if e.noise is not None:
        with w.at(e.span):
            val = noised_opening(w, val, read_mechanism(w, e.noise), e.value.span)
    return opened(w, val, e.span)
