"""Rows in the order of their keys' bits, in the way that costs least: radix sort, opened comparisons, or merging.

For: `arranged_by`, `order_by`, `in_order`, `known_order`, `Order`, and what they cost, `arranging_work`.
Leaves to others: where the bits come from (`sort`, `relational_sort`), radix sort itself (`radix`), which comparisons
are opened (`mpc.quicksort`), what parties have put in order at home (`by_merging`).

*Opened comparisons.*  Rows and the bits of their keys are moved by one fresh permutation, and the keys then compared in
the open.  Below a key's bits stand those of its row's number: no two are equal, and equal keys keep their order.
So what is opened is the order that a uniform permutation left, whatever the keys are; the rows are put into it without
a further message.  Sorting takes about n log2 n comparisons whose bits are those of the key and of the row's number,
where radix sort takes a few ring elements of every row for each two or three bits of the key: short keys are radix
sort's, and so are links on which a round is dear.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.circuit import Value
from mpc.circuits import estimate
from mpc.circuits.by_merging import comparison, merged_runs, merging_work, runs_of
from mpc.circuits.estimate import Work
from mpc.circuits.moving import gather, row_bits, row_numbers, rows_at
from mpc.circuits.radix import elements_of, radix, radix_work
from mpc.lowerer import Lowerer, low
from mpc.quicksort import Stage, batches, plan

__all__ = ["Order", "arranged_by", "arranging_work", "in_order", "known_order", "merges", "order_by"]


class Way(Enum):
    """How rows come into their order."""

    OPENED = "opened comparisons"
    RADIX = "radix sort, and the columns travel"
    NUMBERED = "radix sort of row numbers, and the columns follow at the end"
    MERGED = "merging of what parties have put in order, and the columns follow at the end"


def arranging_work(width: int, rows: int, n: int, columns: float, at: int, runs: Sequence[int] = ()) -> Work:
    """What it costs to put `rows` runs of n rows in the order of keys whose bits are there.

    columns: elements of a row that move.  at: what a round counts in bytes.  runs: of one run, the rows of each party
    that sees their keys, if these are all.
    """
    return _choice(width, rows, n, columns, at, tuple(runs))[0]


def arranged_by(bits: Value, rows: int, columns: Sequence[Value]) -> list[Value]:
    """The columns (rows * n, ...) with each run of n rows in the order of `bits` (rows * n, width), lowest bit first.

    Equal keys keep their order.  Columns are shares of any type and ring.
    """
    b = low(bits)
    total, width = bits.type.sizes
    if total < 2 or not width:
        return list(columns)
    known = known_order(bits) if rows == 1 else None
    if known is not None:
        return [known.there(c) for c in columns]
    runs = runs_of(bits) if rows == 1 else ()
    match _choice(width, rows, total // rows, elements_of(columns), b.round_bytes, _sizes(runs))[1]:
        case Way.MERGED:
            order = _merged(bits, runs)
            return [order.there(c) for c in columns]
        case Way.OPENED:
            order = _opened(bits, rows)
            return [order.there(c) for c in columns]
        case Way.RADIX:
            return radix(bits, rows, columns)
        case Way.NUMBERED:
            return gather(radix(bits, rows, [row_numbers(b, total)])[0], columns)


class Order(NamedTuple):
    """An order of rows that nobody knows: a permutation, and what was opened of the order, in the clear at the nodes.

    before: the permutation comes first, and row i in the order is then row seen[i]; else the rows are taken from seen,
    and then the permutation is undone.
    """

    handle: Value
    seen: Value
    before: bool
    keys: Value | None = None
    """The bits of the keys in the order, where they are there already."""

    def there(self, x: Value) -> Value:
        """The rows of x in the order."""
        b = low(x)
        if self.before:
            return rows_at(b.permute(self.handle, x), self.seen)
        return b.permute(self.handle, rows_at(x, self.seen), inverse=True)

    def of_keys(self, bits: Value) -> Value:
        """The bits of the keys in the order: those that it was made by, or the highest of them (n, width)."""
        if self.keys is None:
            return self.there(bits)
        return self.keys[:, self.keys.type.sizes[1] - bits.type.sizes[1] :]

    def back(self, x: Value, rows: slice) -> Value:
        """Rows in the order to where they stood: those that come to stand at `rows`."""
        b = low(x)
        undo = b.emit("inverse_order", self.seen)
        if self.before:
            return b.permute(self.handle, rows_at(x, undo), inverse=True)[rows]
        return rows_at(b.permute(self.handle, x), undo[rows])


def order_by(bits: Value) -> Order:
    """The order of the rows by their keys' bits (n, width), equal ones as they stood; n > 0.

    It is opened before or after a fresh permutation, with which every column goes there and back: `moving` says why
    that is safe, and `mpc.quicksort`.
    """
    known = known_order(bits)
    if known is not None:
        return known
    b = low(bits)
    n, width = bits.type.sizes
    match _way(bits):
        case Way.MERGED:
            return _merged(bits, runs_of(bits))
        case Way.OPENED:
            return _opened(bits, 1)
    handle = b.permutation(n)
    (at,) = radix(bits, 1, [row_numbers(b, n)]) if width else [row_numbers(b, n)]
    return _noted(bits, Order(handle, b.open_to_nodes(b.permute(handle, at)), before=False))


def known_order(bits: Value) -> Order | None:
    """The order of these rows, if this circuit has found it before: what moves by it opens nothing more."""
    found: Order | None = low(bits).found.get(("order", bits.index))
    return found


def _noted(bits: Value, order: Order) -> Order:
    low(bits).found["order", bits.index] = order
    return order


def merges(bits: Value) -> bool:
    """Whether `order_by` merges what parties have put in order."""
    return _way(bits) is Way.MERGED


def in_order(bits: Value) -> Value:
    """The bits themselves (n, width) in ascending order."""
    known = known_order(bits)
    if known is not None:
        return known.of_keys(bits)
    if merges(bits):
        return merged_runs(low(bits), runs_of(bits))[1]
    return arranged_by(bits, 1, [bits])[0]


# -- the ways ----------------------------------------------------------------------------------


def _way(bits: Value) -> Way | None:
    """In which way one run of rows is put in order; None where they are in any order."""
    n, width = bits.type.sizes
    if n < 2 or not width:
        return None
    return _choice(width, 1, n, 1, low(bits).round_bytes, _sizes(runs_of(bits)))[1]


def _sizes(runs: Sequence[Value]) -> tuple[int, ...]:
    return tuple(r.type.sizes[0] for r in runs)


def _merged(bits: Value, runs: Sequence[Value]) -> Order:
    b = low(bits)
    stood, keys = merged_runs(b, runs)
    n, places = stood.type.sizes
    handle = b.permutation(n)
    seen = b.open_to_nodes(b.permute(handle, stood))
    number = b.emit("matmul", b.emit("to_int", seen), b.const(1 << np.arange(places)))
    return _noted(bits, Order(handle, number, before=False, keys=keys))


def _opened(bits: Value, rows: int) -> Order:
    b = low(bits)
    total, width = bits.type.sizes
    n = total // rows
    run, number = np.divmod(np.arange(total), n)
    keyed = b.emit("concat", _const_bits(b, number, n), bits, _const_bits(b, run, rows), axis=1)
    handle = b.permutation(total)
    seen = b.order_to_nodes(b.permute(handle, keyed), _stages(width, rows, n, b.round_bytes))
    order = Order(handle, seen, before=True)
    return _noted(bits, order) if rows == 1 else order


def _const_bits(b: Lowerer, numbers: npt.NDArray[np.int64], below: int) -> Value:
    """Shares (n, bits) of the bits of public numbers, which lie in memory place after place, as those of keys do."""
    places = np.arange((below - 1).bit_length(), dtype=np.int64)[:, None]
    bits = (numbers.astype(np.uint32) >> places.astype(np.uint32) & np.uint32(1)).astype(np.bool_)
    return b.emit("transpose", b.shared(b.const(bits)), axes=(1, 0))


def _keyed(width: int, rows: int, n: int) -> int:
    """Bits of a key with those of its row's number and run."""
    return width + (n - 1).bit_length() + (rows - 1).bit_length()


def _stages(width: int, rows: int, n: int, at: int) -> tuple[Stage, ...]:
    one = comparison(_keyed(width, rows, n))
    return plan(rows * n, one.bytes, float(one.rounds * at))


def _opened_work(width: int, rows: int, n: int, columns: float, at: int) -> Work:
    keyed = _keyed(width, rows, n)
    one = comparison(keyed)
    compared = list(batches(_stages(width, rows, n, at)))
    moved = estimate.MOVE.times(rows * n * (keyed / 64 + columns))
    return moved.then(Work(one.rounds * len(compared), one.bytes * sum(compared)))


def _merged_work(width: int, n: int, columns: float, runs: tuple[int, ...]) -> Work:
    part = (n - 1).bit_length() / 64
    follow = estimate.MOVE.then(estimate.OPEN).times(part).then(estimate.MOVE.times(columns)).times(n)
    return merging_work(width, runs).then(follow)


def _choice(width: int, rows: int, n: int, columns: float, at: int, runs: tuple[int, ...] = ()) -> tuple[Work, Way]:
    total = rows * n
    part = row_bits(total) / 64
    fetch = estimate.MOVE.then(estimate.OPEN).times(part).then(estimate.MOVE.times(columns)).times(total)
    works = {
        Way.OPENED: _opened_work(width, rows, n, columns, at),
        Way.RADIX: radix_work(width, total, columns, at),
        Way.NUMBERED: radix_work(width, total, part, at).then(fetch),
    }
    if runs:
        works[Way.MERGED] = _merged_work(width, n, columns, runs)
    way = min(works, key=lambda w: works[w].weight(at))
    return works[way], way
