"""Radix sort of secret rows, lowest digit first: rounds by the width of the keys alone, bytes by the number of rows.

The bits of the keys are worked out once.  For each digit of up to three bits, one flag says for each row and value of
the digit whether it has it; as ring elements, their running sums, one value after another, count what comes before, so
that the row's destination is one inner product.  Rows and their remaining bits then move there (`moving`), stably, and
the next digit begins.  [Chida and others, ePrint 2019/695, section 5; Asharov and others, ePrint 2022/1595, sections 3
and 4, who keep the order composed instead and bring each digit to it; here the digits travel, for fewer rounds.]

Flags, counts and destinations are shares in the narrowest ring that holds the row numbers (`moving.row_bits`): half of
the bytes, or fewer.  Flags of the next digit are worked out and made ring elements while the destinations are opened,
so a digit takes five rounds with three replicated nodes.  What is opened is a uniform order each time: see `moving`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from mpc.circuit import Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.circuits.moving import opened_order, row_bits, rows_at
from mpc.lowerer import low
from mpc.types import BOOL, INT

__all__ = ["digits", "elements_of", "radix", "radix_work"]

ROUNDS = 5
"""Rounds of a digit."""

SAVED = 3
"""Rounds that a digit less saves: the other digits have more bits then, and take more."""

DIGITS = (2, 3, 4, 5)
"""Bits of a digit: 2^d - 1 flags become ring elements for each, so many bits cost bytes and few cost rounds."""


def digits(width: int, most: int) -> tuple[int, ...]:
    """The bits of each digit of a key of `width` bits, as even as may be, `most` at the most."""
    passes = -(-width // most)
    least, more = divmod(width, passes)
    return (*(least + 1,) * more, *(least,) * (passes - more))


def radix(bits: Value, rows: int, columns: Sequence[Value]) -> list[Value]:
    """The columns (rows * n, ...) with their rows in the order of `bits` (rows * n, width), lowest bit first.

    Each run of n rows is sorted for itself; all `rows` runs move together.  Columns are shares of any type and ring.
    """
    b = low(bits)
    total, width = bits.type.sizes
    ring = row_bits(total)
    sizes = [*digits(width, _digit(width, total, elements_of(columns), b.round_bytes)), 0, 0]
    flags = b.narrow(_flags(bits[:, : sizes[0]]), ring)
    following, rest = _split(bits[:, sizes[0] :], sizes[1])
    columns = list(columns)
    for turn in range(len(sizes) - 2):
        to = _destinations(flags, rows)
        handle = b.permutation(total)
        order = opened_order(b.permute(handle, to))
        columns = [rows_at(b.permute(handle, c), order) for c in columns]
        if following is None:
            break
        # In shuffled order still: no need to wait for the opening.
        flags = rows_at(b.narrow(b.permute(handle, following), ring), order)
        following, rest = (None, None) if rest is None else _split(b.permute(handle, rest), sizes[turn + 2])
        following = None if following is None else rows_at(following, order)
        rest = None if rest is None else rows_at(rest, order)
    return columns


def elements_of(columns: Sequence[Value]) -> float:
    """Ring elements of one row of all columns; a truth value is a 64th."""
    return sum(math.prod(c.type.sizes[1:]) / (64 if c.dtype == BOOL else 1) for c in columns)


def radix_work(width: int, total: int, columns: float, at: int) -> Work:
    """What it costs to sort `total` rows by keys whose bits are there already, and to move so many 64-bit elements.

    at: what a round counts in bytes.
    """
    return _work(width, total, columns, _digit(width, total, columns, at), ROUNDS)


@cache
def _digit(width: int, total: int, columns: float, at: int) -> int:
    return min(DIGITS, key=lambda most: _work(width, total, columns, most, SAVED).weight(at))


def _work(width: int, total: int, columns: float, most: int, rounds: int) -> Work:
    work = Work(0, 0)
    left = width
    part = row_bits(total) / 64
    for size in digits(width, most):
        left -= size
        kinds = 1 << size
        turn = estimate.TO_RING.times((kinds - 1) * part).then(estimate.MUL.times(part))
        turn = turn.then(estimate.MOVE.times(part + columns + left / 64))
        work = work.then(Work(rounds, turn.bytes + estimate.OPEN.bytes * part))
    return work.times(total)


def _split(bits: Value, size: int) -> tuple[Value | None, Value | None]:
    """The flags of the next `size` bits, and the bits beyond; None for none."""
    if size == 0:
        return None, None
    rest = bits[:, size:] if bits.type.sizes[1] > size else None
    return _flags(bits[:, :size]), rest


def _flags(bits: Value) -> Value:
    """For a digit (total, d): whether it is 1, 2, …, 2^d - 1: (total, 2^d - 1).

    One bit after another: of those with it set, the lower bits' flags by one product, the others by what is left.
    """
    d = bits.type.sizes[1]
    flags = bits[:, 0:1]
    for k in range(1, d):
        bit = bits[:, k : k + 1]
        high = flags & bit
        alone = bit
        for c in range(high.type.sizes[1]):
            alone = alone ^ high[:, c : c + 1]
        flags = bits.builder.emit("concat", flags ^ high, alone, high, axis=1)
    return flags


def _destinations(flags: Value, rows: int) -> Value:
    """Where each row goes, (total,), from its digit's flags (total, kinds - 1): stable, each run for itself."""
    b = low(flags)
    total, others = flags.type.sizes
    n = total // rows
    runs = flags.reshape((rows, n, others)).transpose((0, 2, 1))
    none = 1 - runs.sum(axis=1, keepdims=True)
    counted = b.emit("concat", none, runs, axis=1).reshape((rows, (others + 1) * n))
    sums = b.emit("cumsum", counted, axis=1).reshape((rows, others + 1, n))
    base = sums[:, 0:1]
    step = (sums[:, 1:] - base).transpose((0, 2, 1)).reshape((total, others, 1))
    op = "mul" if others == 1 else "matmul"
    moved = b.product(op, flags.reshape((total, 1, others)), step, 0, INT).reshape((total,))
    first = b.const(np.repeat(np.arange(rows) * n, n) - 1)
    return base.reshape((total,)) + moved + first
