"""Smooth functions of numbers; each takes what the operation itself has computed where that says it all."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mpc.circuit import Value
from mpc.derivatives.adjoint import Adjoint, uniform
from mpc.derivatives.table import Use, rule

__all__: list[str] = []


def _over(g: Adjoint, x: Value) -> Adjoint:
    """g / x, element by element."""
    factor = uniform(x)
    if factor:
        return g.times(x).scaled(1 / factor / factor)
    if g.value is None:
        return g.times(g.builder.emit("reciprocal", x))
    value = g.builder.emit("div", g.value, x)
    return Adjoint(g.builder, g.shape, value, g.scale)


@rule("exp")
def _exp(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.out)]


@rule("log")
def _log(u: Use) -> Sequence[Adjoint | None]:
    return [_over(u.g, u.x)]


@rule("sqrt")
def _sqrt(u: Use) -> Sequence[Adjoint | None]:
    """1 / (2 sqrt(x)); the reciprocal root finds the place of x's highest bit where the root has found it."""
    return [u.g.times(u.builder.emit("rsqrt", u.x)).scaled(0.5)]


@rule("rsqrt")
def _rsqrt(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("power", u.out, n=3)).scaled(-0.5)]


@rule("reciprocal")
def _reciprocal(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("square", u.out)).scaled(-1.0)]


@rule("div")
def _div(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    share = _over(u.g.spread(u.out.shape), y)
    return [share.sum_to(x.shape), share.scaled(-1.0).against(u.out, y.shape) if u.needs[1] else None]


@rule("mod")
def _mod(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    whole = u.g.scaled(-1.0).against(u.builder.emit("floordiv", x, y), y.shape) if u.needs[1] else None
    return [u.g.sum_to(x.shape), whole]


@rule("square")
def _square(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.x).scaled(2.0)]


@rule("power")
def _power(u: Use) -> Sequence[Adjoint | None]:
    n: int = u.attr("n")
    if n == 0:
        return [u.g.scaled(0.0)]
    if n == 1:
        return [u.g]
    return [u.g.times(u.x if n == 2 else u.builder.emit("power", u.x, n=n - 1)).scaled(float(n))]


# -- activations -------------------------------------------------------------------------------


@rule("sigmoid")
def _sigmoid(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.out - u.builder.emit("square", u.out))]


@rule("tanh")
def _tanh(u: Use) -> Sequence[Adjoint | None]:
    one = u.builder.const(1.0, u.out.dtype)
    return [u.g.times(one - u.builder.emit("square", u.out))]


@rule("gelu")
def _gelu(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("gelu_slope", u.x))]


@rule("gelu_slope")
def _gelu_slope(u: Use) -> Sequence[Adjoint | None]:
    """(2 - x^2) phi(x)."""
    b, square = u.builder, u.builder.emit("square", u.x)
    bell = b.emit("exp", square * -0.5)
    return [u.g.times((2.0 - square) * bell).scaled(1 / math.sqrt(2 * math.pi))]


@rule("softplus")
def _softplus(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("sigmoid", u.x))]


def _reduced(u: Use) -> tuple[int, ...]:
    """The shape with 1 along the axis."""
    axis = u.attr("axis") % u.out.ndim
    return tuple(1 if i == axis else d for i, d in enumerate(u.out.shape))  # type: ignore[misc]


@rule("softmax")
def _softmax(u: Use) -> Sequence[Adjoint | None]:
    mean = u.g.against(u.out, _reduced(u))
    return [u.g.plus(mean.spread(u.out.shape).scaled(-1.0)).times(u.out)]


@rule("log_softmax")
def _log_softmax(u: Use) -> Sequence[Adjoint | None]:
    total = u.g.sum_to(_reduced(u)).spread(u.out.shape)
    share = total.times(u.builder.emit("softmax", u.x, axis=u.attr("axis")))
    return [u.g.plus(share.scaled(-1.0))]
