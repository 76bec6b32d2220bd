"""A value that something is differentiated by: the value itself, as a node of its own.

Equal nodes of a circuit are one, and so are two weights that both begin with zeros; a derivative by the one must not
count the other.  `variable` is never shared and never folded into a constant while a study is built.  It costs nothing.
"""

from __future__ import annotations

from mpc.circuit import Value
from mpc.circuits.arithmetic import keep_bound
from mpc.op import op, same

__all__ = ["variable"]


@op("variable", infer=same, ref=lambda x: x, bound=keep_bound, pure=False)
def variable(x: Value) -> Value:
    """x, distinct from every other value."""
    return x
