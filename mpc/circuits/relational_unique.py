"""Whether a key is unique over the rows of a table.

For: `duplicates`.
Leaves to others: the order of rows (`relational_sort`, `relational_joint`).

Rows are put in order by the key, and two are equal where a row equals the one before it.  An order that the circuit has
found for a join, of these rows and those of another table, serves as well: the rows of one table and one key stand
together there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.by_bits import in_order, known_order
from mpc.circuits.by_merging import where_seen
from mpc.circuits.relational_columns import always, rows_of, stacked, zeros
from mpc.circuits.relational_joint import known_among
from mpc.circuits.relational_sort import any_of, joint_bits, key_codes, same_as_before
from mpc.lowerer import low
from mpc.op import Signature, op
from mpc.types import BOOL, Type, TypeRuleError

__all__ = ["duplicates"]


def _duplicates(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    rows_of(types)
    if len(types) < 2 or types[-1].dtype != BOOL:
        raise TypeRuleError("which rows count is a truth value for each, after the keys")
    return BOOL, ()


def _duplicates_ref(*columns: Array) -> Array:
    *keys, visible = columns
    codes = np.stack(key_codes(keys), axis=1)[visible]
    return np.asarray(len(np.unique(codes, axis=0)) < len(codes))


@op("duplicates", infer=_duplicates, ref=_duplicates_ref)
def duplicates(*columns: Value) -> Value:
    """Whether any two visible rows have equal keys: a single truth value.

    Operands: the columns of the key, then which rows are visible (n,).
    """
    b = low(columns[0])
    *keys, visible = columns
    n = visible.type.sizes[0]
    if n < 2:
        return b.shared(b.const(False))
    if not always(visible):
        bits = in_order(joint_bits([where_seen(visible, lambda x: ~x), *keys]))
        return any_of(same_as_before(bits) & ~bits[:, -1])
    bits = joint_bits(keys)
    among = known_among(keys) if known_order(bits) is None else None
    if among is None:
        return any_of(same_as_before(in_order(bits)))
    order, bits, mine, total = among
    flag = b.shared(b.const(np.ones((n, 1), np.bool_)))
    others = zeros(flag, total - n)
    flags = order.there(stacked([flag, others] if mine.start == 0 else [others, flag], axis=0)).reshape((total,))
    follows = b.emit("concat", b.const([False]), flags[1:] & flags[:-1], axis=0)
    return any_of(same_as_before(order.of_keys(bits)) & follows)
