"""The value itself, as a node of its own: because something is differentiated by it, or to forget its range.

Equal nodes of a circuit are one, and so are two weights that both begin with zeros; a derivative by the one must not
count the other.  `variable` is never shared and never folded into a constant while a study is built.  It costs nothing.
"""

from __future__ import annotations

from mpc.circuit import Value
from mpc.circuits.arithmetic import keep_bound
from mpc.lowerer import is_share, low
from mpc.op import op, same

__all__ = ["carried", "variable"]


@op("variable", infer=same, ref=lambda x: x, bound=keep_bound, pure=False)
def variable(x: Value) -> Value:
    """x, distinct from every other value."""
    return x


@op("carried", infer=same, ref=lambda x: x)
def carried(x: Value) -> Value:
    """x as one pass of a loop hands it to the next: nothing is known of its range, as when the loop is not written out.

    The interval of an iterated value grows with every pass, whatever the value itself does (a weight that is trained,
    say), and would prove overflows that cannot come about.
    """
    b = low(x)
    return b.append("view", (x,), {"range": None}, x.type) if is_share(x) else x
