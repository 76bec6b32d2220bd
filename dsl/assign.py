"""Assignment: what a name may become, taking apart, places in arrays.

For: `assign`, `augmented`, `assigned_names`.
Leaves to others: indices (`indexing`).

A name keeps its kind, element type and shape once it has a value; a whole number goes into a `fixed` (or `decimal`)
name, not the other way round. Who may see it can change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dsl import syntax
from dsl.convert import convert, exact_decimal, text_array, unify, word_index
from dsl.indexing import Plan, plan_of, read, stored
from dsl.operators import binary
from dsl.scope import Binding
from dsl.source import Span
from dsl.values import (
    UNKNOWN,
    Array,
    Nothing,
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

__all__ = ["assign", "assigned_names", "augmented", "give", "has_return"]


def assign(w: Walker, target: syntax.Target, val: Val, span: Span) -> None:
    """`target = val`; `span` is the value's place."""
    match target:
        case syntax.Name(name):
            give(w, name, val, target.span, span)
        case syntax.Tuple(items):
            _take_apart(w, items, val, span)
        case syntax.Subscript():
            _place(w, target, val, span)


def give(w: Walker, name: str, val: Val, at: Span, span: Span) -> None:
    """Let `name`, written at `at`, stand for `val`, written at `span`."""
    before = w.scope.names.get(name)
    if isinstance(val, Nothing):
        val = w.error("E0301", f"there is nothing to assign to `{name}`", span, "this returns no value")
    if before is not None and before.passing:
        before = None
    if before is not None and not isinstance(before.val, Unset | Unknown) and not isinstance(val, Unknown):
        try:
            val = kept(w, name, w.local(before.val), val, span, before)
        except Reported:
            val = UNKNOWN
    if isinstance(val, Array) and val.exact is not None:
        val = replace(val, exact=None)
    first = at if before is None or isinstance(before.val, Unset) else before.span
    role = "variable" if before is None else before.role
    w.bind(name, Binding(val, first, role))


def kept(w: Walker, name: str, before: Val, val: Val, span: Span, binding: Binding) -> Val:
    """`val` in the type that `name` has; E0305 when it is of another."""
    match before, val:
        case Array(), Array():
            return _kept_array(w, name, before, val, span, binding)
        case Array(stype=stype), Text(text) if stype.kind == "enum":
            return word_index(w, text, stype, span)
        case Array(stype=stype), Text(text) if stype.kind == "text":
            return _kept_array(w, name, before, text_array(w, text), span, binding)
        case Text(), Text():
            return val
        case Tuple(x), Tuple(y) if len(x) == len(y):
            return Tuple(tuple(kept(w, name, p, q, span, binding) for p, q in zip(x, y, strict=True)))
        case Record(), Record() if list(before.fields) == list(val.fields):
            fields = {k: kept(w, name, before.fields[k], v, span, binding) for k, v in val.fields.items()}
            return replace(val, fields=fields)
        case Table(), Table():
            return val
        case _ if same_frame(before, val):
            return val
    return _changed(w, name, before, val, span, binding)


def _kept_array(w: Walker, name: str, before: Array, val: Array, span: Span, binding: Binding) -> Array:
    if before.shape != val.shape:
        _changed(w, name, before, val, span, binding)
    if before.stype.kind == "decimal":
        val = exact_decimal(w, val)
    wanted, given = before.stype.optional(False), val.stype.optional(False)
    if wanted != given:
        widens = wanted.kind == "fixed" and given.kind in {"int", "decimal"}
        more = {wanted.kind, given.kind} <= {"int", "decimal"} and wanted.places >= given.places
        longer = wanted.kind == given.kind == "text" and wanted.length >= given.length
        if not (widens or more or longer):
            _changed(w, name, before, val, span, binding)
        val = convert(w, val, wanted)
    if before.valid is None and val.valid is not None:
        _changed(w, name, before, val, span, binding)
    if before.valid is not None and val.valid is None:
        mask = w.builder.const(np.bool_(True)).broadcast_to(val.shape)
        val = replace(val, stype=before.stype, valid=mask)
    return val


def _changed(w: Walker, name: str, before: Val, val: Val, span: Span, binding: Binding) -> Val:
    # The place of `x += e` is the whole statement.
    text = re.sub(r"^(\w+) *([-+*/%]+)= *(.*)", r"\1 \2 (\3)", w.text(span))
    helps = [f"give the new value a name of its own: `{name}_2 = {text}`"]
    if isinstance(before, Array) and isinstance(val, Array) and before.shape == val.shape:
        if before.stype.kind == "int" and val.stype.kind == "fixed" and not before.shape:
            helps = [f"start with a fixed-point number: `{name} = 0.0`"]
        elif val.valid is not None and before.valid is None:
            helps = [f"say what to take instead: `coalesce({text}, {before.stype.example})`"]
    return w.fail(
        "E0305",
        f"`{name}` is {describe(before)} and stays so",
        span,
        describe(val),
        secondary=[(binding.span, f"{describe(before)} since here")],
        helps=helps,
    )


# ------------------------------------------------------------------------------------ taking apart


def _take_apart(w: Walker, items: Sequence[syntax.Expression], val: Val, span: Span) -> None:
    parts: Sequence[Val]
    match val:
        case Unknown():
            parts = [UNKNOWN] * len(items)
        case Tuple(parts) if len(parts) == len(items):
            pass
        case Tuple(found):
            w.error("E0301", f"{len(found)} values for {len(items)} names", span)
            parts = [UNKNOWN] * len(items)
        case Array() if val.shape and val.shape[0] == len(items):
            parts = [row(w, val, i) for i in range(len(items))]
        case _:
            w.error("E0301", f"{describe(val)} for {len(items)} names", span)
            parts = [UNKNOWN] * len(items)
    for item, part in zip(items, parts, strict=True):
        if isinstance(item, syntax.Name | syntax.Tuple | syntax.Subscript):
            assign(w, item, part, span)
        else:
            w.error("E0301", "this cannot be assigned to", item.span)


def row(w: Walker, array: Array, at: int) -> Array:
    """`array[at]`."""
    plan = Plan(array.shape, [(at, at + 1, 1), *((0, d, 1) for d in array.shape[1:])], drop=[0])
    return read(w, array, plan)


# ------------------------------------------------------------------------------------------ places


def _base(w: Walker, target: syntax.Subscript) -> tuple[str, Array, Plan] | None:
    """The array in which a place is assigned, and which place."""
    if not isinstance(target.value, syntax.Name):
        w.fail(
            "E0301", "only elements of a named array are assigned", target.span, helps=["in one step: `x[i, j] = 0`"]
        )
    val = w.evaluate(target.value)
    if isinstance(val, Unknown):
        return None
    if not isinstance(val, Array):
        w.fail("E0301", f"{describe(val)} cannot be changed in part", target.value.span)
    return target.value.id, val, plan_of(w, val.shape, target.indices, target.span)


def _place(w: Walker, target: syntax.Subscript, val: Val, span: Span) -> None:
    found = _base(w, target)
    if found is None or isinstance(val, Unknown):
        return
    name, array, plan = found
    _store(w, name, array, plan, val, target, span)


def _store(w: Walker, name: str, array: Array, plan: Plan, val: Val, target: syntax.Subscript, span: Span) -> None:
    if isinstance(val, Text) and array.stype.kind == "enum":
        val = word_index(w, val.text, array.stype, span)
    elif isinstance(val, Text) and array.stype.kind == "text":
        val = text_array(w, val.text)
    (_, new), stype = unify(w, [array, w.array(val, span)], span)
    if stype.optional(False) != array.stype.optional(False):
        w.fail("E0305", f"the elements of `{name}` are {array.stype} and stay so", span, describe(val))
    changed = stored(w, array, plan, new, span)
    binding = w.scope.names.get(name)
    if binding is None:
        w.fail("E0201", f"`{name}` belongs outside of this function", target.value.span, "it can be read here only")
    w.bind(name, replace(binding, val=changed))


def augmented(w: Walker, s: syntax.AugmentedAssign) -> None:
    """`target op= value`; the indices of a place are looked at once."""
    if isinstance(s.target, syntax.Name):
        current = w.evaluate(s.target)
        val = binary(w, s.op, current, w.evaluate(s.value), s.span)
        give(w, s.target.id, val, s.target.span, s.span)
        return
    found = _base(w, s.target)
    value = w.evaluate(s.value)
    if found is None or isinstance(value, Unknown):
        return
    name, array, plan = found
    val = binary(w, s.op, read(w, array, plan), value, s.span)
    if not isinstance(val, Unknown):
        _store(w, name, array, plan, val, s.target, s.span)


# ----------------------------------------------------------------------------- what a body assigns


def assigned_names(body: Iterable[syntax.Statement], *, places: bool = True) -> dict[str, Span]:
    """The names that statements give a value to, with the first place of each; functions within them left out.

    places: names of arrays of which a part is assigned count too.
    """
    found: dict[str, Span] = {}
    stack: list[syntax.Node] = list(reversed(list(body)))
    while stack:
        node = stack.pop()
        match node:
            case syntax.Function(name=name):
                found.setdefault(name.text, name.span)
            case syntax.Assign(target=target) | syntax.AugmentedAssign(target=target):
                _targets(target, found, places)
            case syntax.For(target=target, body=inner):
                _targets(target, found, places)
                stack += reversed(inner)
            case syntax.If(branches=branches, otherwise=otherwise):
                stack += reversed(otherwise)
                for branch in reversed(branches):
                    stack += reversed(branch.body)
            case syntax.Import(modules=names) | syntax.FromImport(names=names):
                for imported in names:
                    found.setdefault(imported.bound.text, imported.span)
    return found


def _targets(target: syntax.Expression, found: dict[str, Span], places: bool) -> None:
    match target:
        case syntax.Name(name):
            found.setdefault(name, target.span)
        case syntax.Tuple(items):
            for item in items:
                _targets(item, found, places)
        case syntax.Subscript(value=syntax.Name(name)) if places:
            found.setdefault(name, target.span)


def has_return(body: Iterable[syntax.Statement]) -> bool:
    """Whether a `return` stands among statements, functions within them left out."""
    for node in body:
        match node:
            case syntax.Return():
                return True
            case syntax.For(body=inner) if has_return(inner):
                return True
            case syntax.If(branches=branches, otherwise=otherwise):
                if has_return(otherwise) or any(has_return(b.body) for b in branches):
                    return True
    return False
