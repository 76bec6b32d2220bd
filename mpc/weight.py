"""Which rounds of a timetable bring so much computation that whoever drives it should do it in a thread.

A thread costs some hundred microseconds a round: too much where a round is a handful of small operations, and nothing
beside products of large matrices, during which peers would otherwise be left without a sign of life.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mpc.circuit import Node
from mpc.schedule import Schedule
from mpc.types import Type, count

__all__ = ["heavy_rounds"]

ELEMENTS = 1 << 20
"""An operation on more elements than this is heavy: some ten milliseconds."""

PRODUCTS = 1 << 25
"""So is a matrix product with more multiplications."""

Rounds = npt.NDArray[np.bool_]


def heavy_rounds(timetable: Schedule) -> Rounds:
    """For each round, and for what follows the last: whether what is done before it, or in it, is heavy."""
    out = np.zeros(timetable.rounds + 1, np.bool_)
    for index, node in timetable.circuit:
        first, length = timetable.start[index], timetable.length[index]
        body = timetable.bodies.get(index)
        if body is not None:
            inner = heavy_rounds(body)
            if inner.any():
                times = int(node["count"])
                # What follows a body's last round is done together with what comes before its first.
                inner[0] |= inner[-1]
                out[first : first + length + 1] |= np.append(np.tile(inner[:-1], times), inner[-1])
        elif _heavy(node, [timetable.circuit.nodes[i].type for i in node.src]):
            out[first : first + length + 1] = True
    return out


def _heavy(node: Node, sources: list[Type]) -> bool:
    if node.op.startswith("matmul"):
        inner = sources[0].sizes[-1] if sources[0].sizes else 1
        if count(node.type.shape) * inner > PRODUCTS:
            return True
    if node.op in ("reshape", "slice", "param", "item", "bundle", "carry", "const"):
        return False
    return any(count(t.shape) > ELEMENTS for t in (node.type, *sources))
