"""Sums, products, choices and casts."""

from __future__ import annotations

from collections.abc import Sequence

from mpc.circuit import Value
from mpc.derivatives.adjoint import Adjoint
from mpc.derivatives.table import Use, rule
from mpc.types import Dim, Shape, size_of

__all__ = ["along"]


@rule("add")
def _add(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.sum_to(v.shape) for v in u.src]


@rule("sub")
def _sub(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    return [u.g.sum_to(x.shape), u.g.scaled(-1.0).sum_to(y.shape)]


@rule("neg")
def _neg(u: Use) -> Sequence[Adjoint | None]:
    return [u.g.scaled(-1.0)]


@rule("mul")
def _mul(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    return [
        u.g.against(y, x.shape) if u.needs[0] else None,
        u.g.against(x, y.shape) if u.needs[1] else None,
    ]


@rule("to_fixed", "open", "variable", "carried", "wrapping")
def _same(u: Use) -> Sequence[Adjoint | None]:
    return [u.g]


@rule("select")
def _select(u: Use) -> Sequence[Adjoint | None]:
    """By the condition as a number, once: what does not go to one side goes to the other."""
    c, x, y = u.src
    chosen = u.g.times(c.to_int())
    rest = u.g.spread(chosen.shape).plus(chosen.scaled(-1.0)) if u.needs[2] else None
    return [None, chosen.sum_to(x.shape), None if rest is None else rest.sum_to(y.shape)]


# -- sums --------------------------------------------------------------------------------------


def along(u: Use, g: Adjoint) -> Adjoint:
    """The adjoint of a reduction's result, with the axis it has lost, spread along it."""
    shape, axis = u.x.shape, u.attr("axis")
    if not u.attr("keepdims", False):
        kept: Shape = (1,) * len(shape) if axis is None else (*shape[:axis], 1, *shape[axis + 1 :])
        g = g.reshaped(kept)
    return g.spread(shape)


@rule("sum")
def _sum(u: Use) -> Sequence[Adjoint | None]:
    return [along(u, u.g)]


@rule("mean")
def _mean(u: Use) -> Sequence[Adjoint | None]:
    axis = u.attr("axis")
    n: Dim = size_of(u.x.shape) if axis is None else u.x.shape[axis]
    return [along(u, u.g.divided(n))]


@rule("cumsum")
def _cumsum(u: Use) -> Sequence[Adjoint | None]:
    """The sum from each place to the end: all, less the running sum, plus the place itself."""
    axis = u.attr("axis")

    def backwards(g: Value) -> Value:
        return g.sum(axis, keepdims=True) - u.builder.emit("cumsum", g, axis=axis) + g

    return [u.g.map(backwards)]


# -- matrices ----------------------------------------------------------------------------------


def _columns(x: Value) -> Value:
    """The last two axes exchanged."""
    return x.transpose((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _left(g: Adjoint, y: Value, shape: Shape) -> Adjoint:
    """Of x in x @ y, at least two axes each."""
    if g.single:
        row = y.sum(y.ndim - 1).reshape((*y.shape[:-2], 1, y.shape[-2]))
        return g.reshaped((*g.shape[:-1], 1)).times(row).sum_to(shape)
    return g.map(lambda v: v @ _columns(y)).sum_to(shape)


def _right(g: Adjoint, x: Value, shape: Shape) -> Adjoint:
    """Of y in x @ y, at least two axes each; where y is one matrix for many x, the rows of all x are one product."""
    if g.single:
        column = x.sum(x.ndim - 2).reshape((*x.shape[:-2], x.shape[-1], 1))
        return g.reshaped((*g.shape[:-2], 1, g.shape[-1])).times(column).sum_to(shape)
    if len(shape) == 2 and x.ndim > 2 and x.shape[:-2] == g.shape[:-2]:
        rows = size_of(x.shape[:-1])
        x, g = x.reshape((rows, x.shape[-1])), g.reshaped((rows, g.shape[-1]))
    return g.map(lambda v: _columns(x) @ v).sum_to(shape)


def _product(x: Value, y: Value, g: Adjoint, needs: Sequence[bool]) -> Sequence[Adjoint | None]:
    left = x.reshape((1, *x.shape)) if x.ndim == 1 else x
    right = y.reshape((*y.shape, 1)) if y.ndim == 1 else y
    shape = g.shape
    if y.ndim == 1:
        shape = (*shape, 1)
    if x.ndim == 1:
        shape = (*shape[:-1], 1, shape[-1])
    g = g.reshaped(shape)
    return [
        _left(g, right, left.shape).reshaped(x.shape) if needs[0] else None,
        _right(g, left, right.shape).reshaped(y.shape) if needs[1] else None,
    ]


@rule("matmul", "dot")
def _matmul(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    return _product(x, y, u.g, u.needs)


@rule("outer")
def _outer(u: Use) -> Sequence[Adjoint | None]:
    x, y = u.src
    column, row = x.reshape((x.shape[0], 1)), y.reshape((1, y.shape[0]))
    return [
        u.g.against(row, column.shape).reshaped(x.shape) if u.needs[0] else None,
        u.g.against(column, row.shape).reshaped(y.shape) if u.needs[1] else None,
    ]
