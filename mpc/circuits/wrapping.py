"""Whole numbers that are meant modulo 2^64.

Some results fit whatever wraps on the way to them, as a sum of squares less another does.  What is computed in the
clear from such a number, by whole numbers alone, is not held to fit (`mpc.exact`); who makes it knows that what comes
of it in the end does.
"""

from __future__ import annotations

from mpc.circuit import Value
from mpc.circuits.arithmetic import keep_bound
from mpc.op import op, same

__all__ = ["wrapping"]


@op("wrapping", infer=same, ref=lambda x: x, bound=keep_bound)
def wrapping(x: Value) -> Value:
    """x, from which on whole numbers are meant modulo 2^64.  No message."""
    return x
