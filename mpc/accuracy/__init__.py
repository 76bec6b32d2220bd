"""How far what a circuit computes may be from exact arithmetic: one rule for each operation, and the walk that asks."""

import mpc.accuracy.arithmetic
import mpc.accuracy.functions
import mpc.accuracy.ordering
import mpc.accuracy.rows
import mpc.accuracy.structure  # noqa: F401 - each fills RULES
from mpc.accuracy.table import Known, Reason
from mpc.accuracy.walk import accuracy

__all__ = ["Known", "Reason", "accuracy"]
