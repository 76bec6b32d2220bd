"""The rank of every element by comparing all pairs at once: one comparison's rounds, n (n - 1) / 2 comparisons."""

from __future__ import annotations

import numpy as np

from mpc.circuit import Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.circuits.ordering import at_all, keys, less, less_work
from mpc.lowerer import low
from mpc.op import Interval

__all__ = ["ranks", "ranks_work"]


def ranks(x: Value, bits: int) -> Value:
    """How many elements of its row come before each of x (rows, n): of equal ones, those that stand before it.

    In Z_2^bits, of which the caller says that it holds the ranks.
    The rank of i is i, less the pairs with an earlier one that change places, plus those with a later one that do.
    """
    b = low(x)
    n = x.type.sizes[1]
    field = keys(x)
    first, second = np.triu_indices(n, 1)
    swapped = b.narrow(less(field.at(second), field.at(first)), bits)
    signed = b.emit("concat", swapped, -swapped, axis=1)
    number = np.zeros((n, n), np.int64)
    number[first, second] = np.arange(len(first))
    number[second, first] = np.arange(len(first)) + len(first)
    others = np.array([[j for j in range(n) if j != i] for i in range(n)])
    moves = at_all(signed, number[np.arange(n)[:, None], others]).sum(axis=2)
    return b.know(moves + b.const(np.arange(n)), Interval(0, n - 1))


def ranks_work(rows: int, n: int, width: int, bits: int) -> Work:
    """What `ranks` costs in Z_2^bits where a difference has `width` bits."""
    return less_work(width).then(estimate.TO_RING.times(bits / 64)).times(rows * n * (n - 1) / 2)
