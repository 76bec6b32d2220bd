"""Rows that their parties have put in order at home: merged, and not sorted again.

For: `parts_of` (what of shares each party sees in the clear), `digits` (bits of numbers, in the clear where somebody
sees these), `runs_of`, `merged_runs`, `merging_work`.
Leaves to others: which rows a merge compares (`mpc.merging`), whether merging is the cheapest way (`by_bits`).

A column put together from several owners is shares of what each of them sees.  So each works out the bits of its own
keys, puts them in order, and shares them with its rows' numbers below: no two rows are equal, and equal keys keep their
order.  What is shared is as many rows of as many bits as before: nothing more is known of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from mpc.bitslice import pack_rows
from mpc.circuit import Array, Attrs, Value
from mpc.circuits import estimate
from mpc.circuits.estimate import Work
from mpc.circuits.relational_columns import stacked
from mpc.lowerer import Lowerer, low
from mpc.merging import sizes
from mpc.op import Signature, op
from mpc.types import BOOL, INT, Type, TypeRuleError, meet

__all__ = ["comparison", "digits", "merged_runs", "merging_work", "parts_of", "runs_of", "where_seen"]

GATES = 7 / 3
"""Gates that comparing two rows of bits takes for each of them."""


def comparison(width: int) -> Work:
    """What it costs to compare two rows of bits."""
    return Work(2 + estimate.depth(-(-width // 3)), GATES * width * estimate.AND.bytes)


# -- what parties see of shares ----------------------------------------------------------------


def parts_of(columns: Sequence[Value]) -> list[list[Value]] | None:
    """The columns' rows part by part, each seen by somebody in the clear; None where some are secret to all.

    columns: shares of one number of rows.
    """
    sides = [_parts(c) for c in columns]
    found: list[list[Value]] = []
    for part in zip(*(s or [] for s in sides), strict=False):
        viewers = meet(v.type.seen_by for v in part)
        alike = len({v.type.sizes[0] for v in part}) == 1
        if not alike or (viewers is not None and not viewers):
            return None
        found.append(list(part))
    whole = all(s is not None and len(s) == len(found) for s in sides)
    return found if whole and found else None


def _parts(x: Value) -> list[Value] | None:
    b, node = low(x), _unshaped(x).node
    if node.op in ("share", "constant"):
        clear = Value(b, b.nodes[node.src[0]].src[0])
        return [clear] if clear.type.sizes[0] else []
    if node.op == "concat" and node["axis"] == 0:
        sides = [_parts(Value(b, i)) for i in node.src]
        return None if None in sides else [v for s in sides if s is not None for v in s]
    return None


def _unshaped(x: Value) -> Value:
    """What x is, where it only changed its shape on the way and has it back."""
    at = x
    while at.node.op == "reshape":
        at = Value(low(x), at.node.src[0])
        if at.shape == x.shape:
            x = at
    return x


def where_seen(x: Value, change: Callable[[Value], Value]) -> Value:
    """A share of change(x), row by row, which each party works out of the rows that it sees."""
    b, parts = low(x), parts_of([x])
    return stacked([b.shared(change(p)) for (p,) in parts], axis=0) if parts else change(x)


# -- their bits --------------------------------------------------------------------------------


def _digits(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype != INT or types[0].ndim != 1:
        raise TypeRuleError("whole numbers are written in bits")
    return BOOL, (*types[0].shape, attrs["width"])


def _digits_ref(x: Array, *, offset: int, width: int) -> Array:
    octets = (x.astype(np.int64).view(np.uint64) - np.uint64(offset % 2**64))[:, None].view(np.uint8)
    return np.unpackbits(octets, axis=1, count=width, bitorder="little").view(np.bool_)


@op("digits", infer=_digits, ref=_digits_ref)
def digits(x: Value, *, offset: int, width: int) -> Value:
    """The bits of x - offset, lowest first: (n,) -> (n, width); x from `offset` to `offset` + 2^width - 1."""
    b = low(x)
    return b.bits(x - b.const(offset), width)


def _run(types: Sequence[Type], attrs: Attrs) -> Signature:
    if types[0].dtype != BOOL or types[0].ndim != 2:
        raise TypeRuleError("the bits of rows are put in order")
    width = types[0].shape[1]
    return BOOL, (types[0].shape[0], width + attrs["places"])


def _run_ref(bits: Array, *, first: int, places: int) -> Array:
    n, width = bits.shape
    octets = np.zeros((n, 8 * -(-width // 64)), np.uint8)
    octets[:, : -(-width // 8)] = pack_rows(bits.astype(np.uint8)[None])[0]
    order = np.lexsort(octets.view(np.uint64).T) if width else np.arange(n)
    return np.concatenate([_places_ref(np.arange(n) + first, places)[order], bits[order].astype(np.bool_)], axis=1)


def _places_ref(numbers: Array, places: int) -> Array:
    return _digits_ref(numbers, offset=0, width=places) if places else np.zeros((len(numbers), 0), np.bool_)


@op("run", infer=_run, ref=_run_ref)
def run(bits: Value, *, first: int, places: int) -> Value:
    """Rows of bits (n, width) in ascending order, equal ones as they stood, and below each its place before.

    Places are counted from `first`, in so many bits.  For a party that sees the rows.
    """
    from mpc.circuits.by_bits import arranged_by

    b, n = low(bits), bits.type.sizes[0]
    numbers = b.shared(b.const(_places_ref(np.arange(n) + first, places)))
    return arranged_by(bits, 1, [stacked([numbers, bits])])[0]


# -- merging -----------------------------------------------------------------------------------


def runs_of(bits: Value) -> tuple[Value, ...]:
    """The parts of shared rows of bits (n, width) that somebody sees; none where some are secret to all."""
    return tuple(part for (part,) in parts_of([bits]) or [])


def merging_work(width: int, runs: Sequence[int]) -> Work:
    """What it costs to merge runs of keys of `width` bits, their rows' numbers with them."""
    row = width + _places(sum(runs))
    stages = sizes(tuple(runs))
    one = comparison(row).then(estimate.AND.times(row))
    return Work(one.rounds * len(stages), one.bytes * sum(stages))


def merged_runs(b: Lowerer, runs: Sequence[Value]) -> tuple[Value, Value]:
    """For parts of rows of bits, each seen by somebody: all rows in ascending order.

    Returns the bits of the places where they stood, (n, places), and of the keys, (n, width).
    """
    lengths = [r.type.sizes[0] for r in runs]
    places = _places(sum(lengths))
    starts = accumulate(lengths[:-1], initial=0)
    ready = [b.shared(b.emit("run", r, first=s, places=places)) for r, s in zip(runs, starts, strict=True)]
    rows = stacked(ready, axis=0)
    if len(runs) > 1:
        rows = b.on_shares("merge", (rows,), {"runs": tuple(lengths)}, BOOL, rows.shape)
    return rows[:, :places], rows[:, places:]


def _places(n: int) -> int:
    return (n - 1).bit_length()
