"""Every operation of the surface language, one topic a file; importing the package fills the catalogue."""

from mpc.circuits import (
    activations,
    aggregate,
    approx,
    arithmetic,
    divide,
    extremes,
    integer,
    moving,
    one_hot,
    piecewise,
    rounding,
    sort,
    structure,
)

__all__ = [
    "activations",
    "aggregate",
    "approx",
    "arithmetic",
    "divide",
    "extremes",
    "integer",
    "moving",
    "one_hot",
    "piecewise",
    "rounding",
    "sort",
    "structure",
]
