"""Calls: of built-in functions, of the study's, of the library's.

For: `call`, `inline`, `arguments` (which argument goes to which parameter).
Leaves to others: what built-in functions do (`builtins`), loading modules (`library`).

A function is walked anew at each call, its body built into the circuit where it is called; so its types are those of
that call. A function that calls itself, however indirectly, is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from dsl import syntax
from dsl.builtins.table import Builtin, CallSite, builtin_named, special_named
from dsl.scope import Binding, Scope
from dsl.source import Span
from dsl.unknown import hints_for_function
from dsl.values import NOTHING, UNKNOWN, Function, Unknown, Val, describe
from dsl.walker import Frame, Walker

__all__ = ["call", "inline"]

MAX_CALLS = 60
"""Calls within calls."""


def call(w: Walker, e: syntax.Call) -> Val:
    """The value of a call."""
    if isinstance(e.function, syntax.Name) and w.scope.find(e.function.id) is None:
        special = special_named(e.function.id, library=w.in_library)
        if special is not None:
            return special.run(w, e)
    function = _called(w, e.function)
    positional = [w.evaluate(a) for a in e.arguments]
    named = [(k.name.text, w.evaluate(k.value), k.name.span) for k in e.keywords]
    if isinstance(function, Unknown):
        return UNKNOWN
    if isinstance(function, Builtin):
        return _builtin(w, function, e, positional, named)
    if not isinstance(function, Function):
        return w.error("E0301", f"{describe(function)} is not a function", e.function.span)
    parameters = [p.name.text for p in function.definition.parameters]
    required = [p for p in parameters if p not in function.defaults]
    bound = arguments(w, function.name, e, parameters, required, positional, named)
    if bound is None or any(isinstance(v, Unknown) for v in bound.values()):
        return UNKNOWN
    return inline(w, function, {**function.defaults, **bound}, e.span)


def _called(w: Walker, e: syntax.Expression) -> Val:
    if (
        isinstance(e, syntax.Name)
        and w.scope.find(e.id) is None
        and builtin_named(e.id, library=w.in_library) is None
        and e.id not in w.scope.local
    ):
        return w.error("E0204", f"there is no function `{e.id}`", e.span, helps=hints_for_function(w, e.id))
    return w.evaluate(e)


def arguments(
    w: Walker,
    name: str,
    e: syntax.Call,
    parameters: Sequence[str],
    required: Sequence[str],
    positional: Sequence[Val],
    named: Sequence[tuple[str, Val, Span]],
) -> dict[str, Val] | None:
    """Arguments by parameter; None, with the error recorded, when they do not fit."""
    takes = f"`{name}` takes " + (", ".join(parameters) if parameters else "nothing")
    if len(positional) > len(parameters):
        many = "one argument" if len(parameters) == 1 else f"{len(parameters)} arguments"
        w.error("E0205", f"`{name}` takes {many}", e.arguments[len(parameters)].span, takes)
        return None
    bound = dict(zip(parameters, positional, strict=False))
    for key, val, span in named:
        if key not in parameters:
            near = get_close_matches(key, parameters, n=1)
            w.error(
                "E0205", f"`{name}` has no parameter `{key}`", span, takes, helps=[f"there is `{n}=`" for n in near]
            )
            return None
        if key in bound:
            w.error("E0205", f"`{key}` is given twice", span)
            return None
        bound[key] = val
    lacking = [p for p in required if p not in bound]
    if lacking:
        w.error("E0205", f"`{name}` needs {', '.join(f'`{p}`' for p in lacking)}", e.span, takes)
        return None
    return bound


def _builtin(
    w: Walker, function: Builtin, e: syntax.Call, positional: list[Val], named: list[tuple[str, Val, Span]]
) -> Val:
    parameters = [*function.required, *function.optional]
    many = positional if function.many else []
    bound = arguments(w, function.name, e, parameters, function.required, [] if many else positional, named)
    if bound is None or any(isinstance(v, Unknown) for v in (*bound.values(), *many)):
        return UNKNOWN
    places = [a.span for a in e.arguments]
    spans = {} if function.many else dict(zip(parameters, places, strict=False))
    spans.update((k.name.text, k.value.span) for k in e.keywords)
    site = CallSite(e.span, spans, tuple(places) if function.many else ())
    return function.run(w, site, *many, **bound)


def inline(w: Walker, function: Function, bound: Mapping[str, Val], span: Span) -> Val:
    """Walk the body of `function` with its parameters bound; what it returns."""
    if any(f.function.definition is function.definition for f in w.frames):
        return w.error("E0206", f"`{function.name}` calls itself", span, helps=["use a loop: `for i in range(n):`"])
    if len(w.frames) >= MAX_CALLS:
        return w.error("E0206", f"more than {MAX_CALLS} calls within calls", span)
    spans = {p.name.text: p.name.span for p in function.definition.parameters}
    scope = Scope(function.source, function.scope, function.local)
    before = (w.scope, w.source, w.loops, w.loop_guards)
    w.frames.append(Frame(function, span, w.source))
    w.scopes.append(scope)
    w.scope, w.source, w.loops, w.loop_guards = scope, function.source, [], []
    for name, val in bound.items():
        w.bind(name, Binding(val, spans[name]))
    try:
        result = w.rules.block(w, function.definition.body)
    finally:
        w.scope, w.source, w.loops, w.loop_guards = before
        w.scopes.pop()
        w.frames.pop()
    return NOTHING if result is None else result
