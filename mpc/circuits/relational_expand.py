"""Each row as many times as a secret number says, into a public number of rows.

For: `expand_rows`, and `expanded` for joins.  Leaves to others: which numbers (`relational_join`), what moves rows.

Rows that occur at all are moved to the end of the table and laid into as many slots as the result has; a row's first
slot is the sum of the numbers before it.  Which slots are a row's first is found with bits alone: a flag for each row
travels towards its slot by the bits of its distance, the highest first; rows never meet, since the distances of rows
that follow one another fall [Goodrich, tight compaction, SPAA 2011; as a distribution in Krastnikov, Kerschbaum,
Stebila, PVLDB 13(11), 2020, section 5].  The flags then say where the rows themselves go: not with log n products for
each column, but with one move, and running sums fill what lies between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.moving import gather
from mpc.circuits.relational_columns import (
    Packed,
    differences,
    ring_column,
    rows_of,
    shifted,
    signature,
    stacked,
    truths,
    zeros,
)
from mpc.circuits.relational_move import destinations, running, to_back
from mpc.lowerer import low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, ShapeError, Type, TypeRuleError, shape_text

__all__ = ["expand_rows", "expanded"]


def expanded(count: Value, x: Value, slots: int) -> tuple[Value, Value, Value]:
    """Row i of x (n, w), n > 0, `count[i]` times.

    Returns the rows (slots, w), the last of them repeated to the end; the first slot of each (slots,); and how many
    slots are taken, a single value, which may be more than there are: then the rows mean nothing.
    """
    b = low(count)
    n = x.type.sizes[0]
    flags = b.emit("to_int", count > 0)
    ends = running(count)
    starts = low(count).on_shares("sub", (ends, count), {}, INT, ends.shape)
    carried = stacked([flags.reshape((n, 1)), starts.reshape((n, 1)), x])
    (rows,), _, _ = to_back(flags, [carried])
    rows = rows[n - slots :] if n > slots else stacked([zeros(rows, slots - n), rows], axis=0)
    seats = _first_slots(rows[:, 0], rows[:, 1])
    to = destinations(seats, back=True)
    (steps,) = gather(to, [differences(rows[:, 1:])])
    filled = running(steps)
    return filled[:, 1:], filled[:, 0], count.sum()


def _first_slots(flags: Value, starts: Value) -> Value:
    """Which slots (n,) are the first of a row: of n rows the last ones are flagged, and each moves up to its start.

    A row's distance is the number of its seat less its start.  Where rows do not fit, the flags mean nothing.
    """
    b = low(flags)
    n = flags.type.sizes[0]
    here = truths(flags)
    width = estimate.depth(n)
    if width == 0:
        return here
    bits = b.bits(-starts + b.const(np.arange(n)), width) & here.reshape((n, 1))
    for k in reversed(range(width)):
        # Rows that are not there have no distance, so a set bit is a row that moves.
        going = bits[:, k]
        here = here ^ going ^ shifted(going, -(1 << k))
        if k:
            moving = bits[:, :k] & going.reshape((n, 1))
            bits = bits[:, :k] ^ moving ^ shifted(moving, -(1 << k))
    return here


# -- the operation -----------------------------------------------------------------------------


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    count, *columns = types
    if count.dtype != INT or count.ndim != 1:
        raise TypeRuleError(f"how often a row occurs is one whole number, not {count.dtype} {shape_text(count.shape)}")
    rows_of(types)
    n = attrs["rows"]
    if n < 1:
        raise ShapeError(f"{n} rows cannot be filled")
    return [(BOOL, (n,)), (INT, (n,)), *(signature(t, n) for t in columns), (BOOL, ())]


def _ref(count: Array, *columns: Array, rows: int) -> tuple[Any, ...]:
    times = np.maximum(count, 0)
    total = int(times.sum())
    taken = np.repeat(np.arange(len(count)), np.minimum(times, rows))[:rows]
    # Behind the rows that are taken the last one is repeated.
    which = np.concatenate([taken, np.repeat(taken[-1:], rows - len(taken))]) if len(taken) else None
    starts = np.cumsum(times) - times
    number = np.arange(rows) - (0 if which is None else starts[which])
    out = [np.zeros((rows, *c.shape[1:]), c.dtype) if which is None else c[which] for c in columns]
    visible = (np.arange(rows) < total) & (total <= rows)
    return (visible, number, *out, np.asarray(total > rows))


@op("expand_rows", infer=_infer, ref=_ref)
def expand_rows(count: Value, *columns: Value, rows: int) -> Any:
    """Every row `count` times (not negative; all together below 2^62), one after another, into `rows` rows.

    Operands: count (n,), then columns.  Returns which rows of the result are taken (rows,); the number of each among
    the copies of its row, from 0; the columns; and whether they did not fit, a single truth value: then no row is
    taken, and what they hold means nothing.  Behind the rows that are taken the last one is repeated.
    """
    b = low(count)
    n = count.type.sizes[0]
    count = b.shared(count)
    slot = b.const(np.arange(rows))
    if n == 0:
        empty = b.shared(b.const(np.zeros(rows, np.bool_)))
        return [empty, b.shared(slot), *(zeros(b.shared(c), rows) for c in columns), b.shared(b.const(False))]
    packed = Packed.of(b, [ring_column(b, c) for c in columns])
    x = b.shared(b.const(np.zeros((n, 0), np.int64))) if packed.numbers is None else packed.numbers
    filled, first, total = expanded(count, x, rows)
    over = total > rows
    visible = (total > slot) & ~over
    back = Packed(filled, None, packed.places).columns(or_zero=True)
    out = [truths(v) if c.dtype == BOOL else v for v, c in zip(back, columns, strict=True)]
    return [visible, b.know(-first + slot, Interval(-rows, rows)), *out, over]
