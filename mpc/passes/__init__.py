"""Passes over a lowered circuit, in the order in which they run; each is pure, and what they make is held to `spec`."""

from __future__ import annotations

from collections.abc import Callable

from mpc.circuit import Circuit
from mpc.passes.join import join
from mpc.passes.late import late_truncation
from mpc.passes.merge import merge_truncations
from mpc.passes.simplify import dead, fold, same
from mpc.passes.weigh import weigh_together
from mpc.passes.whole import share_whole
from mpc.spec import SpecError, check

__all__ = ["PASSES", "optimise"]

PASSES: tuple[Callable[[Circuit], Circuit], ...] = (
    fold,  # first: encoded constants become equal nodes
    share_whole,  # before `same`, which then sees one sharing
    same,  # before counting uses
    late_truncation,  # while products still stand alone
    dead,  # what late truncation and sharing left behind
    weigh_together,  # of sums that are wanted
    merge_truncations,  # when uses count what is needed only
    join,  # last: it hides the shape of the study
    same,  # equal flattenings that joining made
    dead,
)


def optimise(circuit: Circuit) -> Circuit:
    """All passes.  SpecError, naming the pass at fault, if what they make breaks the rules of lowered circuits.

    A check costs as much as a pass and no circuit fails it that was made by sound passes: so the last circuit alone is
    checked, and what led to it only when that fails.
    """
    done = circuit
    for run in PASSES:
        done = run(done)
    try:
        check(done)
    except SpecError:
        _find(circuit)
        raise
    return done


def _find(circuit: Circuit) -> None:
    """SpecError at the first circuit that breaks the rules: the one to begin with, or what a pass made of it."""
    check(circuit, "as lowered: ")
    for run in PASSES:
        circuit = run(circuit)
        check(circuit, f"after {run.__name__}: ")
