"""`grad(e, x)`: the exact derivative of the scalar `e` by the value of a name, or of each of a tuple of names.

It is the total derivative: all that `e` was computed from counts, whether `e` names x or not, so `l = loss(w)` and then
`grad(l, w)` is `grad(loss(w), w)`. Comparisons, places and whole numbers do not change by degrees: what depends on x
through them alone has no derivative, and is an error.
Leaves to others: the derivative (`mpc.grad`), keeping names apart (`dsl.variables`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dsl import syntax
from dsl.builtins.table import special
from dsl.source import Span
from dsl.values import Array, Record, Tuple, Val, describe, leaves, rebuild
from dsl.walker import Walker
from mpc.circuit import Value, reachable
from mpc.grad import NotDifferentiable, gradient

__all__: list[str] = []

USAGE = "write `dw = grad(loss(w), w)` or `dw, db = grad(loss(w, b), (w, b))`"

WORDS: Final = {
    "lt": "a comparison",
    "eq": "a comparison",
    "floordiv": "`//`",
    "to_int": "a truth value as a number",
    "and": "`and`",
    "or": "`or`",
    "not": "`not`",
    "xor": "a comparison of truth values",
}
"""Operations that the study writes otherwise than by name."""

SMOOTH: Final = {
    "lt": "a smooth step instead of `x > c`: `sigmoid(8 * (x - c))`",
    "argmax": "weights that add up to 1 instead of a place: `softmax(x)`",
    "argmin": "weights that add up to 1 instead of a place: `softmax(-x)`",
    "sign": "a smooth sign: `tanh(8 * x)`",
    "sort": "the largest alone has a derivative: `max(x)`",
    "top_k": "the largest alone has a derivative: `max(x)`",
}
"""What to write instead."""


@special("grad")
def grad(w: Walker, e: syntax.Call) -> Val:
    """The derivative of the first argument by the second, of the second's shape."""
    if e.keywords or len(e.arguments) != 2:
        return w.error("E0205", "`grad` takes a scalar and the names to differentiate by", e.span, helps=[USAGE])
    scalar, names = e.arguments
    parts: Sequence[syntax.Expression] = names.items if isinstance(names, syntax.Tuple) else (names,)
    for part in parts:
        if not isinstance(part, syntax.Name):
            return w.error("E0307", "`grad` differentiates by names", part.span, "not a name", helps=[USAGE])
    y = _scalar(w, w.evaluate_known(scalar), scalar.span)
    vals = [_variable(w, w.evaluate_known(part), part.span) for part in parts]
    xs = [leaf for val in vals for leaf in leaves(val)]
    _connected(w, y, vals, parts, scalar.span)
    try:
        found = iter(gradient(w.builder, y, xs))
    except NotDifferentiable as error:
        return _refused(w, error, e.span)
    results = tuple(rebuild(val, [next(found) for _ in leaves(val)]) for val in vals)
    return Tuple(results) if isinstance(names, syntax.Tuple) else results[0]


def _scalar(w: Walker, val: Val, span: Span) -> Value:
    a = w.array(val, span, "a number")
    if a.stype.kind != "fixed":
        w.fail("E0307", f"only a `fixed` number has a derivative, not {describe(a)}", span, describe(a))
    if a.shape:
        helps = [f"add up its elements: `grad(sum({w.text(span)}), …)`"]
        w.fail("E0307", "only a single number has a derivative here", span, describe(a), helps=helps)
    return w.full(a, span).value


def _variable(w: Walker, val: Val, span: Span) -> Val:
    if not isinstance(val, Array | Tuple | Record):
        w.fail("E0307", f"there is no derivative by {describe(val)}", span, describe(val))
    for array in _arrays(val):
        if not isinstance(array, Array) or array.stype.kind != "fixed":
            helps = ["make it `fixed`: begin with `0.0` in place of `0`"] if isinstance(array, Array) else []
            w.fail("E0307", f"there is no derivative by {describe(array)}", span, describe(val), helps=helps)
        w.full(array, span)
    return _plain(val)


def _arrays(val: Val) -> list[Val]:
    if isinstance(val, Tuple):
        return [a for item in val.items for a in _arrays(item)]
    if isinstance(val, Record):
        return [a for part in val.fields.values() for a in _arrays(part)]
    return [val]


def _plain(val: Val) -> Val:
    return val.with_value(val.value) if isinstance(val, Array) else val


def _connected(w: Walker, y: Value, vals: Sequence[Val], parts: Sequence[syntax.Expression], span: Span) -> None:
    """An error for a name that the scalar does not depend on at all: most likely another was meant."""
    needed = reachable(w.builder.finish(), [y.index])
    for val, part in zip(vals, parts, strict=True):
        if not any(leaf.index in needed for leaf in leaves(val)):
            what = f"`{w.text(span)}` does not depend on `{w.text(part.span)}`"
            w.fail("E0307", what, part.span, "its derivative would be 0", helps=[USAGE])


def _refused(w: Walker, error: NotDifferentiable, span: Span) -> Val:
    """The error where the operation stands; where that is in the library, at the `grad`."""
    what = WORDS.get(error.op, f"`{error.op}`")
    helps = [SMOOTH[error.op]] if error.op in SMOOTH else []
    at = span
    if error.origin is not None and error.origin.source == w.source.name:
        at = Span(error.origin.start, error.origin.end)
    secondary = [] if at == span else [(span, "differentiated here")]
    return w.error("E0307", f"{what} has no derivative", at, error.reason, secondary=secondary, helps=helps)
