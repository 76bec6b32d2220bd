"""A join where keys may repeat on both sides, into a public number of rows.

For: `join_rows`.  Leaves to others: joins with a unique side (`relational_lookup`, far cheaper), the expansion.

Both sides are sorted together by key.  With a left and b right rows, a key has a * b rows in the result, from a place
B on: right row j takes the a places from B + j a, and in them meets the left rows in their order.  Left row i is laid
out b times in a row, from B + i b, and its copy y then moves to B + y a + i: one more move, and both sides stand side
by side [Krastnikov, Kerschbaum, Stebila, PVLDB 13(11), 2020, with copying down in place of networks].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.by_bits import order_by
from mpc.circuits.moving import row_bits, scatter
from mpc.circuits.relational_columns import (
    Packed,
    flag_column,
    minus,
    ring_column,
    rows_of,
    signature,
    stacked,
    truths,
    zeros,
)
from mpc.circuits.relational_expand import expanded
from mpc.circuits.relational_joint import joined_keys
from mpc.circuits.relational_lookup import check_keys
from mpc.circuits.relational_move import running, spread
from mpc.circuits.relational_sort import joint_bits, key_codes, same_as_before
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, ShapeError, Type, TypeRuleError

__all__ = ["join_rows"]


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    keys, left, right, n = attrs["keys"], attrs["left"], attrs["right"], attrs["rows"]
    if keys < 1 or len(types) != 2 * (keys + 1) + left + right:
        raise TypeRuleError(f"{len(types)} operands for {keys} keys and {left} and {right} columns")
    if n < 1:
        raise ShapeError(f"{n} rows cannot be filled")
    cut = keys + 1 + left
    here, there = types[:cut], types[cut:]
    for side in (here, there):
        flag_column("which rows are visible", side[keys])
        rows_of(side)
    check_keys(here[:keys], there[:keys])
    return [(BOOL, (n,)), *(signature(t, n) for t in (*here[keys + 1 :], *there[keys + 1 :])), (BOOL, ())]


def _ref(*columns: Array, keys: int, left: int, right: int, rows: int) -> tuple[Any, ...]:
    del right
    cut = keys + 1 + left
    here, there = columns[:cut], columns[cut:]
    m = len(here[keys])
    codes = np.stack(
        key_codes([np.concatenate([x, y]) for x, y in zip(here[:keys], there[:keys], strict=True)]), axis=1
    )
    _, group = np.unique(codes, axis=0, return_inverse=True) if len(codes) else (0, np.zeros(0, np.int64))
    sides = []
    for g, visible in ((group.reshape(-1)[:m], here[keys]), (group.reshape(-1)[m:], there[keys])):
        order = np.argsort(g, kind="stable")
        sides.append((order[visible[order]], g))
    (lefts, left_group), (rights, right_group) = sides
    pairs = [(i, j) for j in rights for i in lefts[left_group[lefts] == right_group[j]]]
    over = len(pairs) > rows
    visible = (np.arange(rows) < len(pairs)) & (not over)
    out = []
    for number, side in enumerate((here, there)):
        # Behind the pairs the last one is repeated.
        picked = np.array([pair[number] for pair in [*pairs, *pairs[-1:] * rows][:rows]], np.int64)
        out += [c[picked] if pairs else np.zeros((rows, *c.shape[1:]), c.dtype) for c in side[keys + 1 :]]
    return (visible, *out, np.asarray(over))


@op("join_rows", infer=_infer, ref=_ref)
def join_rows(*columns: Value, keys: int, left: int, right: int, rows: int) -> Any:
    """All pairs of a visible left row and a visible right row with equal keys, in `rows` rows.

    Operands: the left key's `keys` columns, which left rows are visible (m,), `left` left columns; the same of the
    right. Returns which rows of the result are pairs (rows,); the left columns; the right columns; and whether the
    pairs did not fit, a single truth value: then no row is a pair, and what they hold means nothing.  Pairs are in
    the order of their keys, then of right, then of left rows.  Behind them the last one is repeated.
    """
    b = low(columns[0])
    cut = keys + 1 + left
    here, there = columns[:cut], columns[cut:]
    payload = (*here[keys + 1 :], *there[keys + 1 :])
    assert len(there) == keys + 1 + right
    if here[keys].type.sizes[0] == 0 or there[keys].type.sizes[0] == 0:
        none = b.shared(b.const(False))
        return [b.shared(b.const(np.zeros(rows, np.bool_))), *(zeros(b.shared(c), rows) for c in payload), none]
    ours, theirs = (Packed.of(b, [ring_column(b, c) for c in side[keys + 1 :]]) for side in (here, there))
    plan = _plan(b, joined_keys(here[:keys], there[:keys]), _table(b, (here[keys], there[keys]), (ours, theirs)))
    width = 0 if ours.numbers is None else ours.numbers.type.sizes[1]
    right_rows, _, total = expanded(plan.right_count, plan.rows[:, width:], rows)
    left_rows, first, _ = expanded(plan.left_count, stacked([plan.base, plan.lefts, plan.rows[:, :width]]), rows)
    over = total > rows
    slot = b.const(np.arange(rows))
    visible = (total > slot) & ~over
    if width:
        step = b.product("mul", -first + slot, left_rows[:, 1], 0, INT) + left_rows[:, 0] - slot
        # Where the pairs do not fit every row stays, so that these are places of an order in any case.
        ring = row_bits(rows)
        to = b.product("mul", b.narrow(visible, ring), b.narrow(step, ring), 0, INT) + slot
        left_rows = scatter(to, [left_rows[:, 2:]])[0]
    back = [
        *Packed(left_rows, None, ours.places).columns(or_zero=True),
        *Packed(right_rows, None, theirs.places).columns(or_zero=True),
    ]
    return [visible, *(truths(v) if c.dtype == BOOL else v for v, c in zip(back, payload, strict=True)), over]


def _table(b: Lowerer, visible: Sequence[Value], sides: Sequence[Packed]) -> Value:
    """All rows, the left ones first: whether a visible left one, a visible right one, left columns, right columns."""
    shown = [b.emit("to_int", b.shared(v)).reshape((v.type.sizes[0], 1)) for v in visible]
    numbers = [side.numbers for side in sides]
    pieces = []
    for x in (*shown, *numbers):
        if x is not None:
            left = x is shown[0] or x is numbers[0]
            other = zeros(x, shown[left].type.sizes[0])
            pieces.append(stacked([x, other] if left else [other, x], axis=0))
    return stacked(pieces)


class _Plan(NamedTuple):
    """For all rows in the order of their keys: their columns (n, w), and where and how often they are in the result."""

    rows: Value
    right_count: Value
    left_count: Value
    base: Value
    """For left rows, the place of their pair with the first right row (n, 1)."""
    lefts: Value
    """How many left rows their key has (n, 1)."""


def _plan(b: Lowerer, keys: Sequence[Value], table: Value) -> _Plan:
    bits = joint_bits(keys)
    order = order_by(bits)
    ordered = order.there(table)
    shown = ordered[:, :2]
    before = minus(running(shown), shown)
    whole = shown.sum(axis=0, keepdims=True)

    def groups(at_first: Value) -> Value:
        """What stands before each key, and how many left and right rows it has."""
        return stacked([at_first, minus(stacked([at_first[1:], whole], axis=0), at_first)])

    first = ~same_as_before(order.of_keys(bits))
    (key,) = spread(first, [before], groups)
    lefts, rights = key[:, 2:3], key[:, 3:4]
    rank = minus(before[:, :1], key[:, :1])
    products = b.product("mul", stacked([shown, rank]), stacked([rights, lefts, rights]), 0, INT)
    counted = Interval(0, table.type.sizes[0])
    left_count = b.know(products[:, 0], counted)
    right_count = b.know(products[:, 1], counted)
    starts = minus(running(products[:, :1]), products[:, :1])
    base = minus(starts, products[:, 2:]) + rank
    return _Plan(ordered[:, 2:], right_count, left_count, base, lefts)
