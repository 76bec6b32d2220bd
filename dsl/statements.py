"""Statements, one after the other.

For: `block`.
Leaves to others: what each kind of statement does (`declarations`, `assign`, `branches`, `loops`, `reveals`).
"""

from __future__ import annotations

from collections.abc import Sequence

from dsl import syntax
from dsl.assign import assign, assigned_names, augmented
from dsl.branches import conditional
from dsl.declarations import declare
from dsl.loops import loop
from dsl.operators import truth
from dsl.reveals import reveal_to
from dsl.scope import Binding
from dsl.storing import store
from dsl.values import NOTHING, UNKNOWN, Unknown, Val
from dsl.walker import NeedsConstant, Reported, Walker
from mpc.types import TypeRuleError

__all__ = ["block"]


def block(w: Walker, statements: Sequence[syntax.Statement]) -> Val | None:
    """Walk statements in order; the value of the `return` that ended them, None when none did."""
    for at, statement in enumerate(statements):
        mark = len(w.pending)
        w.step(statement.span)
        with w.at(statement.span):
            try:
                if isinstance(statement, syntax.If):
                    ended, result = conditional(w, statement, statements[at + 1 :])
                else:
                    result = _walk(w, statement)
                    ended = result is not None
            except Reported:
                ended, result = _lost(w, statement)
            except TypeRuleError as error:
                w.refused(error, statement.span)
                ended, result = _lost(w, statement)
        del w.pending[mark:]
        if ended:
            if result is not None:
                w.pending.append(result)
            return result
    return None


def _lost(w: Walker, statement: syntax.Statement) -> tuple[bool, Val | None]:
    """After an error: what the statement would have assigned is unknown."""
    for name, span in assigned_names([statement]).items():
        w.bind(name, Binding(UNKNOWN, span))
    returns = isinstance(statement, syntax.Return)
    return returns, UNKNOWN if returns else None


def _walk(w: Walker, s: syntax.Statement) -> Val | None:
    match s:
        case syntax.Assign(target, value):
            assign(w, target, w.evaluate(value), value.span)
        case syntax.AugmentedAssign():
            augmented(w, s)
        case syntax.Return():
            return _return(w, s)
        case syntax.For():
            return loop(w, s)
        case syntax.RevealTo():
            reveal_to(w, s)
        case syntax.Assert():
            _assert(w, s)
        case syntax.ExpressionStatement(value):
            w.evaluate(value)
        case syntax.Store():
            store(w, s)
        case syntax.Pass() | syntax.If():
            pass
        case _:
            declare(w, s)
    return None


def _return(w: Walker, s: syntax.Return) -> Val:
    if w.loops and w.loops[-1] is not None and not w.loops[-1].opaque:
        raise NeedsConstant(w.loops[-1])
    if w.loop_guards and len(w.guards) > w.loop_guards[-1]:
        guard = w.guards[-1]
        w.fail(
            "E0304",
            "a secret decides how long a loop goes on",
            s.span,
            "this would end it",
            secondary=[(guard.span, "this decides, and is secret"), *w.why(guard.value)],
            helps=["keep the value in a name and return it after the loop: `found = x if c else found`"],
        )
    return NOTHING if s.value is None else w.evaluate(s.value)


def _assert(w: Walker, s: syntax.Assert) -> None:
    val = w.evaluate(s.condition)
    if isinstance(val, Unknown):
        return
    condition = w.full(truth(w, val, s.condition.span), s.condition.span)
    if condition.shape:
        w.fail(
            "E0301", "an assertion is one truth value", s.condition.span, f"{condition.stype}{list(condition.shape)}"
        )
    if w.guards:
        guard = w.guards[-1]
        why = [(guard.span, "this decides, and is secret"), *w.why(guard.value)]
        w.fail("E0304", "a secret decides whether this is asserted", s.span, secondary=why)
    helps = [f"open it first, if every owner agrees: `assert reveal({w.text(s.condition.span)})`"]
    known = w.concrete(condition.value, s.condition.span, "whether the job goes on", code="E0304", helps=helps)
    if known.is_const and not bool(known.constant):
        w.error("E0810", s.message or "an assertion does not hold", s.condition.span, "this is false")
