"""A join whose left side has unique keys: each right row gets what the left row of its key says.

For: `lookup_rows`, and `match_rows`, for which left keys may repeat.  Leaves to others: joins where keys repeat on
both sides (`relational_join`), sorting, copying down.

Few rows are compared all with all, and the flags of equality times the left columns are the result: one product of
matrices.  Many are put together and sorted by key, a visible left row before its key's others; the first row of every
key, which is that left row if there is one and has nothing otherwise, is copied down to the rest of its key
(`relational_move.spread`), and rows go back to where they stood.  The same order, opened once, serves for the way there
and the way back, and for all that is asked of the same two columns later (`relational_joint`): a key's rows are then
added up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.by_bits import merges, order_by
from mpc.circuits.by_merging import parts_of, where_seen
from mpc.circuits.estimate import Work
from mpc.circuits.moving import row_bits
from mpc.circuits.ordering import all_of, difference_width
from mpc.circuits.relational_columns import Packed, always, flag_column, minus, rows_of, signature, stacked, zeros
from mpc.circuits.relational_joint import Joint, joined_keys, known_joint, note
from mpc.circuits.relational_move import running, spread, totals, weighed
from mpc.circuits.relational_sort import joint_bits, key_codes, sorting_work
from mpc.circuits.widen import widen
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, Dim, Type, TypeRuleError

__all__ = ["all_equal", "check_keys", "lookup_rows", "match_rows", "pairwise"]

PAIRS = 1 << 20
"""Pairs of rows above which all are never compared with all: memory, not bytes, would be in the way."""


def check_keys(left: Sequence[Type], right: Sequence[Type]) -> None:
    """TypeRuleError unless the columns of a key are alike on both sides."""
    for x, y in zip(left, right, strict=True):
        if x.dtype != y.dtype or x.shape[1:] != y.shape[1:]:
            raise TypeRuleError(
                f"a key of {x.dtype} on one side and of {y.dtype} on the other, or texts of two lengths"
            )


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    keys, payload = attrs["keys"], attrs["payload"]
    if keys < 1 or len(types) != 2 * keys + payload + 2:
        raise TypeRuleError(f"{len(types)} operands for {keys} keys and {payload} columns of the left side")
    left, right = types[: keys + 1 + payload], types[keys + 1 + payload :]
    flag_column("which left rows are visible", left[keys])
    flag_column("which right rows are visible", right[keys])
    check_keys(left[:keys], right[:keys])
    rows_of(left)
    n: Dim = rows_of(right)
    return [(BOOL, (n,)), *(signature(t, n) for t in left[keys + 1 :])]


def _ref(*columns: Array, keys: int, payload: int) -> tuple[Array, ...]:
    left, right = columns[: keys + 1 + payload], columns[keys + 1 + payload :]
    m, n = len(left[keys]), len(right[keys])
    codes = key_codes([np.concatenate([x, y]) for x, y in zip(left[:keys], right[:keys], strict=True)])
    table = np.stack(codes, axis=1)
    where = {tuple(table[i]): i for i in reversed(range(m)) if left[keys][i]}
    found = np.array([where.get(tuple(row), -1) for row in table[m:]], np.int64).reshape(n)
    out = [right[keys] & (found >= 0)]
    for c in left[keys + 1 :]:
        picked = np.zeros((n, *c.shape[1:]), c.dtype)
        picked[found >= 0] = c[found[found >= 0]]
        out.append(picked)
    return tuple(out)


@op("lookup_rows", infer=_infer, ref=_ref)
def lookup_rows(*columns: Value, keys: int, payload: int) -> Any:
    """For each right row, the left row with the same key: whether there is one, and its columns.

    Operands: the left key's `keys` columns, which left rows are visible (m,), `payload` left columns; the right key's
    columns, which right rows are visible (n,).  Keys are unique among visible left rows (see `duplicates`); where two
    are equal, every result may be wrong.  Invisible left rows match nothing. Returns, in the order of the right rows:
    matched (n,), true where the right row is visible and its key was found; then the left columns, zero or false
    where the key was not found.
    """
    b = low(columns[0])
    cut = keys + 1 + payload
    left_keys, left_visible, left = columns[:keys], columns[keys], columns[keys + 1 : cut]
    right_keys, right_visible = columns[cut:-1], columns[-1]
    m, n = left_visible.type.sizes[0], right_visible.type.sizes[0]
    carried = Packed.of(b, [left_visible, *left])
    if m == 0 or n == 0:
        return [zeros(b.shared(left_visible), n), *(zeros(b.shared(c), n) for c in left)]
    table = carried.rings()
    if pairwise(left_keys, right_keys):
        equal = all_equal(left_keys, right_keys, left_visible)
        found = [b.product("matmul", b.narrow(equal, x.dtype.bits), x, 0, INT) for x in table]
    else:
        if not always(left_visible):
            table = [weighed(x, b.shared(left_visible)) for x in table]
        found = _by_sorting(b, left_keys, right_keys, left_visible, table)
    known, *back = carried.of_rings(found).columns(or_zero=True)
    return [known & right_visible, *back]


def _matched(types: Sequence[Type], attrs: Attrs) -> Signature:
    return _infer(types, {**attrs, "payload": 0})[0]


def _matched_ref(*columns: Array, keys: int) -> Array:
    return _ref(*columns, keys=keys, payload=0)[0]


@op("match_rows", infer=_matched, ref=_matched_ref)
def match_rows(*columns: Value, keys: int) -> Value:
    """Which right rows are visible and have the key of some visible left row, any number of them: (n,).

    Operands: the left key's `keys` columns, which left rows are visible (m,), the right key's columns, which right
    rows are visible (n,).
    """
    b = low(columns[0])
    left, left_visible, right, right_visible = columns[:keys], columns[keys], columns[keys + 1 : -1], columns[-1]
    m, n = left_visible.type.sizes[0], right_visible.type.sizes[0]
    if m == 0 or n == 0:
        return zeros(b.shared(left_visible), n)
    if pairwise(left, right):
        return ~all_of(~all_equal(left, right, left_visible)) & right_visible
    known = known_joint(left, right)
    if known is not None:
        return _counted(b, known, left_visible) & right_visible
    table = Packed.of(b, [left_visible])
    found = _by_sorting(b, left, right, left_visible, table.rings(), unique=False)
    return table.of_rings(found).columns()[0] & right_visible


# -- all with all ------------------------------------------------------------------------------


def _words(key: Value) -> Value:
    """A column of a key as (rows, words)."""
    share = low(key).shared(key)
    return share.reshape((share.type.sizes[0], math.prod(share.type.sizes[1:])))


def pairwise(left: Sequence[Value], right: Sequence[Value]) -> bool:
    """Whether comparing all keys with all costs less than sorting them."""
    m, n = left[0].type.sizes[0], right[0].type.sizes[0]
    if m * n > PAIRS:
        return False
    width = 0
    for key in joined_keys(left, right):
        bits = 1 if key.dtype == BOOL else min(difference_width(key), 64)
        width += bits * math.prod(key.type.sizes[1:])
    pairs = estimate.equal(width).then(estimate.AND).then(estimate.TO_RING).then(Work(1, 0)).times(m * n)
    places = estimate.TO_RING.then(estimate.MUL).then(estimate.OPEN).then(estimate.MOVE).times(row_bits(m + n) / 64)
    rows = places.then(estimate.MOVE.times(7)).times(m + n)
    at = low(left[0]).round_bytes
    runs = [part[0].type.sizes[0] for part in parts_of(joined_keys(left, right)) or []]
    return pairs.weight(at) < sorting_work(m + n, width, at, runs).then(rows).then(Work(8, 0)).weight(at)


def all_equal(left: Sequence[Value], right: Sequence[Value], visible: Value) -> Value:
    """Truth values (n, m): whether right row i and the visible left row j have equal keys."""
    equal: list[Value] = []
    for x, y in zip(left, right, strict=True):
        here, there = _words(x), _words(y)
        (m, w), n = here.type.sizes, there.type.sizes[0]
        equal.append(there.reshape((n, 1, w)).equals(here.reshape((1, m, w))))
    return all_of(stacked(equal, axis=2)) & visible.reshape((1, visible.type.sizes[0]))


# -- by sorting --------------------------------------------------------------------------------


def _by_sorting(
    b: Lowerer,
    left: Sequence[Value],
    right: Sequence[Value],
    visible: Value,
    table: Sequence[Value],
    *,
    unique: bool = True,
) -> list[Value]:
    """The rows of arrays (m, w), zero where invisible, for each of the n right rows; zero where there is none.

    unique: visible left keys are, so a row that is not the first of its key is zero already.
    """
    n = right[0].type.sizes[0]
    keys = joined_keys(left, right)
    known = known_joint(left, right) if unique else None
    if known is not None:
        done = totals(known.first(), [known.of_left(x) for x in table])
        return [known.to_right(x) for x in done]
    bits = joint_bits(keys)
    order_bits = bits
    # Where each party can put its keys in order but not say which rows are visible, the left rows are added up
    # instead: of a key one alone is not zero.
    added = unique and parts_of([b.shared(visible)]) is None and merges(bits)
    if not (always(visible) or added):
        (last,) = joined_keys([where_seen(b.shared(visible), lambda x: ~x)], [b.const(np.ones(n, np.bool_))])
        order_bits = joint_bits([*keys, last])
    found = note(left, right, order_by(order_bits), bits)
    first, rows = found.first(), [found.of_left(x) for x in table]
    if added:
        sums = [running(x) for x in rows]
        before = spread(first, [minus(s, x) for s, x in zip(sums, rows, strict=True)])
        copied = [minus(s, x) for s, x in zip(sums, before, strict=True)]
    else:
        copied = spread(first, rows, masked=unique)
    return [found.to_right(x) for x in copied]


def _counted(b: Lowerer, known: Joint, visible: Value) -> Value:
    """Whether each right row's key has a visible left row, in an order where these stand anywhere among its rows."""
    m = visible.type.sizes[0]
    flags = b.narrow(b.shared(visible), row_bits(m)).reshape((m, 1))
    (many,) = totals(known.first(), [known.of_left(flags)])
    (n, _) = many.type.sizes
    count = widen(known.to_right(many).reshape((n - m,)), Interval(0, m))
    return count > 0
