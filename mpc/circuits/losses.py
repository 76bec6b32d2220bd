"""Losses in the form that is right however far out their argument lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mpc.circuit import Attrs, Value
from mpc.circuits.approx import exp, log
from mpc.circuits.piecewise import abs_, relu
from mpc.op import Interval, elementwise, op
from mpc.types import Type

__all__ = ["softplus"]


def _bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    (x,) = bounds
    if x is None:
        return None
    low_, high = (max(v, 0.0) + math.log1p(math.exp(-abs(v))) for v in x)
    return Interval(max(low_ - 2.0**-13, 0.0), high + 2.0**-13)


@op(
    "softplus",
    infer=elementwise,
    ref=lambda x: np.logaddexp(0.0, np.asarray(x, np.float64)),
    bound=_bound,
    domain=((-(2.0**45), 2.0**45),),
    tolerance=2.0**-13,
)
def softplus(x: Value) -> Value:
    """log(1 + e^x), error below 2^-13: max(x, 0) + log(1 + e^-|x|).

    The binary cross entropy of sigmoid(z) against y is softplus(z) - y z, and its derivative sigmoid(z) - y.
    """
    return relu(x) + log(exp(-abs_(x)) + 1.0)
