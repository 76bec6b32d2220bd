"""Every operation of the surface language, one topic a file; importing the package fills the catalogue."""

from mpc.circuits import aggregate, arithmetic, extremes, moving, one_hot, sort, structure

__all__ = ["aggregate", "arithmetic", "extremes", "moving", "one_hot", "sort", "structure"]
