"""Passes over a lowered circuit, in the order in which they run; each is pure, and `spec` is checked after it."""

from __future__ import annotations

from collections.abc import Callable

from mpc.circuit import Circuit
from mpc.passes.join import join
from mpc.passes.late import late_truncation
from mpc.passes.merge import merge_truncations
from mpc.passes.simplify import dead, fold, same
from mpc.spec import check

__all__ = ["PASSES", "optimise"]

PASSES: tuple[Callable[[Circuit], Circuit], ...] = (
    fold,  # first: encoded constants become equal nodes
    same,  # before counting uses
    late_truncation,  # while products still stand alone
    dead,  # what late truncation and sharing left behind
    merge_truncations,  # when uses count what is needed only
    join,  # last: it hides the shape of the study
    same,  # equal flattenings that joining made
    dead,
)


def optimise(circuit: Circuit) -> Circuit:
    """All passes, with the specification of lowered circuits checked between them."""
    check(circuit)
    for run in PASSES:
        circuit = run(circuit)
        check(circuit)
    return circuit
