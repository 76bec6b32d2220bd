"""The rules: for each operation, how the adjoint of its result becomes adjoints of its operands.

For: `rule` (enters one), `RULES`, `PIECEWISE_CONSTANT` and `NOT_DIFFERENTIABLE`, which together name every operation of
the catalogue.
Leaves to others: the walk back over a circuit (`mpc.grad`), the rules themselves (one topic a file).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mpc.circuit import Builder, Value
from mpc.derivatives.adjoint import Adjoint

__all__ = ["NOT_DIFFERENTIABLE", "PIECEWISE_CONSTANT", "RULES", "Rule", "Use", "rule"]


@dataclass(frozen=True, slots=True)
class Use:
    """One operation on the way back: its result, its operands, and the adjoint of the result.

    needs: for each operand, whether its adjoint is wanted; only fixed-point operands ever are.
    """

    out: Value
    src: tuple[Value, ...]
    g: Adjoint
    needs: tuple[bool, ...]

    @property
    def builder(self) -> Builder:
        """The circuit."""
        return self.out.builder

    @property
    def x(self) -> Value:
        """The first operand."""
        return self.src[0]

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute of the operation."""
        return self.out.node.get(name, default)


Rule = Callable[[Use], Sequence["Adjoint | None"]]
"""The adjoints of the operands, in order, None for one that is not wanted; those at the end may be left out."""

RULES: Final[dict[str, Rule]] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule for operations."""

    def enter(f: Rule) -> Rule:
        for name in names:
            assert name not in RULES, name
            RULES[name] = f
        return f

    return enter


PIECEWISE_CONSTANT: Final[dict[str, str]] = {
    "lt": "a comparison is true or false",
    "eq": "a comparison is true or false",
    "and": "a truth value does not change by degrees",
    "or": "a truth value does not change by degrees",
    "xor": "a truth value does not change by degrees",
    "not": "a truth value does not change by degrees",
    "to_int": "a truth value does not change by degrees",
    "floor": "a whole number does not change by degrees",
    "ceil": "a whole number does not change by degrees",
    "round": "a whole number does not change by degrees",
    "round_to": "a rounded number does not change by degrees",
    "floordiv": "a whole number does not change by degrees",
    "units": "a whole number does not change by degrees",
    "of_units": "a whole number does not change by degrees",
    "sign": "a sign does not change by degrees",
    "argmax": "a place does not change by degrees",
    "argmin": "a place does not change by degrees",
    "argsort": "a place does not change by degrees",
    "one_hot": "a place does not change by degrees",
    "place": "a place does not change by degrees",
    "abs_slope": "a sign does not change by degrees",
    "row_number": "a place does not change by degrees",
    "match_rows": "a truth value does not change by degrees",
    "group_starts": "a truth value does not change by degrees",
    "duplicates": "a truth value does not change by degrees",
    "relu_slope": "a slope of relu is 0 or 1",
    "clip_slope": "a slope of clip is 0 or 1",
    "second_larger": "a comparison is true or false",
    "noise": "noise depends on nothing",
}
"""Operations whose derivative is 0 wherever there is one, with the reason.

They end a path: what also depends on the variable in another way has the derivative of that way alone, as in PyTorch
and JAX; where all ways end in them the derivative would be 0 everywhere, and is refused.
"""

NOT_DIFFERENTIABLE: Final[dict[str, str]] = {
    "sort": "the order of the elements would have to be kept",
    "sort_by": "the order of the rows would have to be kept",
    "top_k": "the places of the largest would have to be kept",
    "shuffle": "the order of the rows is not known to anyone",
    "reorder": "the inverse of the order would have to be kept",
    "inverse_order": "an order is made of whole numbers",
    "digits": "bits are of whole numbers",
    "run": "an order is made of whole numbers",
    **dict.fromkeys(
        (
            "bucket_sums",
            "copy_down",
            "expand_rows",
            "front_rows",
            "gather_rows",
            "group_last",
            "group_rows",
            "group_totals",
            "join_rows",
            "lookup_rows",
            "running_extremes",
            "running_sums",
            "shuffle_rows",
            "sort_rows",
        ),
        "queries have no derivative",
    ),
}
"""Operations that have no derivative here, with the reason; one on the way is refused."""
