"""Choices by comparison.  The comparisons are those that the operation itself makes, and are made once.

Where a choice has a corner, one of its one-sided slopes is taken: relu and abs have the slope 0 at 0, as in PyTorch and
JAX; clip has 1 at its ends, as in PyTorch; of equal values, `max` and `min` over an axis give all to the first, as
PyTorch's over a dimension; `maximum` of equal values gives all to its first operand and `minimum` to its second, where
PyTorch would halve it (that would take a second comparison).
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.circuit import Value
from mpc.derivatives.adjoint import Adjoint
from mpc.derivatives.arithmetic import along
from mpc.derivatives.table import Use, rule
from mpc.types import size_of

__all__: list[str] = []


@rule("relu")
def _relu(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("relu_slope", u.x))]


@rule("abs")
def _abs(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("abs_slope", u.x))]


@rule("clip")
def _clip(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.times(u.builder.emit("clip_slope", u.x, lo=u.attr("lo"), hi=u.attr("hi")))]


def _either(u: Use) -> tuple[Adjoint, Adjoint]:
    """The adjoint where the second operand is larger, and elsewhere."""
    second = u.g.times(u.builder.emit("second_larger", *u.src))
    return second, u.g.plus(second.scaled(-1.0))


@rule("maximum")
def _maximum(u: Use) -> Sequence[Adjoint | None]:
    second, first = _either(u)
    return [first.sum_to(u.src[0].shape), second.sum_to(u.src[1].shape)]


@rule("minimum")
def _minimum(u: Use) -> Sequence[Adjoint | None]:
    second, first = _either(u)
    return [second.sum_to(u.src[0].shape), first.sum_to(u.src[1].shape)]


@rule("max", "min")
def _extreme(u: Use) -> Sequence[Adjoint | None]:
    axis = u.attr("axis")
    place = u.builder.emit("argmax" if u.out.node.op == "max" else "argmin", u.x, axis=axis)
    return [along(u, u.g).times(_marked(u, place, axis))]


def _marked(u: Use, place: Value, axis: int | None) -> Value:
    """1 at the place along the axis, else 0, in the operand's shape."""
    shape = u.x.shape
    hot = u.builder.emit("one_hot", place, n=size_of(shape) if axis is None else shape[axis])
    if axis is None:
        return hot.reshape(shape)
    last = len(shape) - 1
    return hot.transpose((*range(axis), last, *range(axis, last)))
