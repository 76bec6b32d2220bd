"""Exact derivatives of surface circuits, backwards.

`gradient` walks back from a scalar over the nodes that depend on the variables and adds nodes that compute the adjoint
of each: the reverse mode of Griewank and Walther, Evaluating Derivatives (2nd ed., SIAM 2008), section 3.2, on whole
arrays.  What it adds are ordinary nodes, so a gradient can be differentiated again, who may see it follows by itself,
and what the way forward has computed already is found and shared.  The derivative is the total one: all that the scalar
computes from a variable counts, by whatever name.

Rolled loops stay rolled: see `mpc.derivatives.loops`.
Leaves to others: the rule of each operation (`mpc.derivatives`).
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.circuit import Builder, Value, reachable
from mpc.derivatives.adjoint import Adjoint, zeros
from mpc.derivatives.loops import retrace
from mpc.derivatives.sweep import Depends, NotDifferentiable, sweep
from mpc.types import TypeRuleError

__all__ = ["NotDifferentiable", "gradient"]


def gradient(builder: Builder, y: Value, xs: Sequence[Value]) -> list[Value]:
    """The derivatives of y (a fixed-point scalar) by each of `xs` (fixed point), of their shapes and types.

    Zeros for what y does not depend on.  TypeRuleError where y or one of xs is no fixed-point value, y is no scalar, or
    belongs to another circuit; NotDifferentiable where an operation on the way has no derivative, or where a variable
    acts on y only through operations that are constant between jumps.
    """
    _check(builder, y, xs)
    depends = Depends(builder.nodes, {x.index for x in xs}, reachable(builder.finish(), [y.index]))
    if y.index not in depends.nodes:
        return [zeros(builder, x.dtype, x.shape) for x in xs]
    where, tapes = retrace(builder, depends)
    found = where.get(y.index, y.index)
    again = Depends(builder.nodes, {x.index for x in xs}, reachable(builder.finish(), [found]))
    adjoints = sweep(builder, {found: Adjoint(builder, ())}, again, tapes)
    out = []
    for x in xs:
        adjoint = adjoints.get(x.index)
        if adjoint is None and x.index in again.needed and (jump := again.jump(x.index)) is not None:
            raise jump
        out.append(zeros(builder, x.dtype, x.shape) if adjoint is None else adjoint.whole(x.dtype))
    return out


def _check(builder: Builder, y: Value, xs: Sequence[Value]) -> None:
    if any(v.builder is not builder for v in (y, *xs)):
        raise TypeRuleError("a value of another circuit cannot be differentiated")
    if y.dtype.kind != "fixed" or y.shape:
        raise TypeRuleError(f"only a fixed-point scalar has a gradient, not {y.dtype} of {y.ndim} axes")
    for x in xs:
        if x.dtype.kind != "fixed":
            raise TypeRuleError(f"there is no derivative by an {x.dtype}")
