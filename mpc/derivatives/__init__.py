"""Derivatives, one rule for each operation, one topic a file; importing the package fills the table."""

from mpc.derivatives import arithmetic, numeric, ordering, structure
from mpc.derivatives.table import NOT_DIFFERENTIABLE, PIECEWISE_CONSTANT, RULES

__all__ = ["NOT_DIFFERENTIABLE", "PIECEWISE_CONSTANT", "RULES", "arithmetic", "numeric", "ordering", "structure"]
