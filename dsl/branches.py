"""`if`: one branch of a public condition, both of a secret one.

For: `conditional`.
Leaves to others: choosing between two values (`convert.choose`).

A secret condition: both sides are walked from the same names, and every name that either side assigned becomes a choice
between the two. A side that returns takes with it what follows the `if`: so the other side walks on alone, and the
function's result is the choice of both results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dsl import syntax
from dsl.assign import assigned_names, has_return
from dsl.convert import certain, choose
from dsl.operators import truth
from dsl.scope import Binding
from dsl.source import Span
from dsl.values import NOTHING, UNKNOWN, Array, Nothing, Unknown, Unset, Val, describe
from dsl.walker import Guard, Reported, Walker
from mpc.types import ShapeError, TypeRuleError

__all__ = ["conditional"]


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a choice came to: its names and what it returned."""

    names: dict[str, Binding]
    result: Val | None


def conditional(w: Walker, s: syntax.If, rest: Sequence[syntax.Statement]) -> tuple[bool, Val | None]:
    """Walk an `if` that `rest` follows in its block; whether the block has ended with it, and what it returned."""
    for at, branch in enumerate(s.branches):
        val = w.evaluate(branch.condition)
        if isinstance(val, Unknown):
            return _unknown(w, s)
        condition = w.full(certain(truth(w, val, branch.condition.span)), branch.condition.span)
        if condition.shape:
            w.fail("E0301", "a branch needs one truth value", branch.condition.span, describe(condition))
        known = condition.value
        if known.type.public:
            known = w.concrete(known, branch.condition.span, "a branch", code="E0304")
        if not known.is_const:
            return _both(w, s, at, condition, rest)
        if bool(known.constant):
            result = w.rules.block(w, branch.body)
            return result is not None, result
    result = w.rules.block(w, s.otherwise)
    return result is not None, result


def _unknown(w: Walker, s: syntax.If) -> tuple[bool, Val | None]:
    for name, span in assigned_names([s]).items():
        w.bind(name, Binding(UNKNOWN, span))
    return (True, UNKNOWN) if has_return([s]) else (False, None)


def _both(
    w: Walker, s: syntax.If, at: int, condition: Array, rest: Sequence[syntax.Statement]
) -> tuple[bool, Val | None]:
    branch, more = s.branches[at], s.branches[at + 1 :]
    then: tuple[syntax.Statement, ...] = branch.body
    otherwise: tuple[syntax.Statement, ...] = s.otherwise
    if more:
        otherwise = (syntax.If(more, s.otherwise, span=more[0].span.to(s.span)),)
    returns = has_return(then) or has_return(otherwise)
    if returns:
        then, otherwise = (*then, *rest), (*otherwise, *rest)
    span = branch.condition.span
    before = dict(w.scope.names)
    first = _side(w, condition, span, then)
    w.scope.names = dict(before)
    second = _side(w, condition, span, otherwise)
    w.scope.names = dict(before)
    if returns:
        return True, _result(w, condition, first, second, span)
    _merge(w, condition, before, first, second, span)
    return False, None


def _side(w: Walker, condition: Array, span: Span, body: Sequence[syntax.Statement]) -> Side:
    if not condition.public:
        w.guards.append(Guard(condition.value, span))
    w.tentative += 1
    try:
        result = w.rules.block(w, body)
    finally:
        w.tentative -= 1
        if not condition.public:
            w.guards.pop()
    return Side(w.scope.names, result)


def _result(w: Walker, condition: Array, first: Side, second: Side, span: Span) -> Val:
    a, b = first.result or NOTHING, second.result or NOTHING
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return UNKNOWN
    if isinstance(a, Nothing) != isinstance(b, Nothing):
        w.fail(
            "E0304",
            "a secret decides whether the function returns a value",
            span,
            secret=condition,
            helps=["let both sides return: `return a if c else b`"],
        )
    return choose(w, condition, a, b, span)


def _merge(w: Walker, condition: Array, before: dict[str, Binding], first: Side, second: Side, span: Span) -> None:
    for name in dict.fromkeys((*first.names, *second.names)):
        a, b = first.names.get(name), second.names.get(name)
        if a is b:
            continue
        binding = before.get(name) or a or b
        assert binding is not None
        if a is None or b is None or isinstance(a.val, Unset) or isinstance(b.val, Unset):
            val: Val = Unset("it is given one only if this holds", span)
        elif isinstance(a.val, Unknown) or isinstance(b.val, Unknown):
            val = UNKNOWN
        else:
            val = _chosen(w, name, condition, w.local(a.val), w.local(b.val), span)
        w.bind(name, Binding(val, binding.span, binding.role))


def _chosen(w: Walker, name: str, condition: Array, a: Val, b: Val, span: Span) -> Val:
    if isinstance(a, Array) and isinstance(b, Array) and a.shape != b.shape:
        word = "a secret" if not condition.public else "a value known only at run time"
        return w.error(
            "E0304",
            f"{word} decides the shape of `{name}`",
            span,
            f"{describe(a)} if it holds, else {describe(b)}",
            secret=condition,
        )
    try:
        return choose(w, condition, a, b, span)
    except Reported:
        return UNKNOWN
    except (ShapeError, TypeRuleError) as error:
        return w.refused(error, span)
