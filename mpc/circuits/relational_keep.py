"""Which rows of an owner's table a query keeps, where the owner may say so itself.

A table's owner may let its database drop the rows that a condition drops, so that they never leave it.  It then brings
the rows that are left, followed by rows that stand for nothing up to the table's public size, and says which is which:
what it says takes the place of the condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from mpc.circuit import Array, Attrs, Value
from mpc.op import Signature, boolean, op
from mpc.types import Type, TypeRuleError

__all__ = ["keep"]


def _mask(types: Sequence[Type], attrs: Attrs) -> Signature:
    if not types[0].seen_by:
        raise TypeRuleError("only what its owner sees is the owner's to say")
    return boolean(types, attrs)


def _same(x: Array, *, name: str, scan: int, at: int) -> Array:  # noqa: ARG001
    return x


@op("keep", infer=_mask, ref=_same)
def keep(x: Value, *, name: str, scan: int, at: int) -> Value:  # noqa: ARG001
    """x, the condition number `at` on the rows of table `name` that the `input` nodes with this `scan` bring."""
    return x
