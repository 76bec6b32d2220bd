"""A value with what is known of its range replaced: by what its making assures, or by nothing.

Intervals treat operands as independent, so they can say far too much of a value: of a column divided by its own
deviation, say.  Who made it knows better, and says so with `within`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, Type, TypeRuleError

__all__ = ["within"]


def _number(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    if types[0].dtype == BOOL:
        raise TypeRuleError("truth values have no range")
    return types[0].dtype, types[0].shape


def _said(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    return None if attrs["lo"] is None else Interval(attrs["lo"], attrs["hi"])


def _same(x: Array, *, lo: float | None, hi: float | None) -> Array:  # noqa: ARG001
    return np.asarray(x)


@op("within", infer=_number, ref=_same, bound=_said)
def within(x: Value, *, lo: float | None, hi: float | None) -> Value:  # noqa: ARG001
    """x, whose values lie within lo and hi by the way it was made; with None nothing is known of them any more.

    What is said is not checked: where it is wrong, so are results.  No message.
    """
    return low(x).append("reshape", (x,), {"shape": x.shape}, x.type)
