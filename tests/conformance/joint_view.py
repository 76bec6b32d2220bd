"""All that a place sees in a step, as columns of bits over many samples, and whether it is what it should be: random.

A *view* is the messages that a place receives, beside what it knows anyway: its shares, all that it draws from its
keys, and, to ask for more than is needed, the secrets themselves.  One sample is one element of a long array; a
message of b bits an element gives b columns.  Of uniform messages that no one could tell from noise,

*  no column is a sum modulo 2 of others and of what is known (`dependent`): an exact test by elimination, which meets
   every linear relation of any number of bits at once: a mask that is dropped, known to the receiver, or shared by two
   messages, in a sum too, of which the lowest bit is linear;
*  no column, and no sum of two of which one is received, is 1 more often than 0 (`biased`).

Both hold of one run, and of the difference of two runs in which the place knows the same and the secrets, and all that
others draw, are not the same (`mpc` hides values in a view only by masks that the place does not hold, so this is the
simulator's claim).  Chance makes one test fail less than once in 2^40.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc import prg
from mpc.circuit import Array
from mpc.protocol import Step

Columns = NDArray[np.uint8]
"""(samples, columns) of 0 and 1."""

Order = Literal["elements", "rows"]
"""How packed bits lie: those of an element together, or one of each element after another."""

DEVIATIONS = 9.0
"""Two-sided probability below 2^-62, for each of fewer than 2^20 sums."""

SPARE = 64
"""Samples beyond the number of columns: random columns are dependent with a probability below 2^-SPARE."""


def columns(array: Array, n: int, order: Order) -> Columns:
    """The bits of n elements; none where the array has no equal number of bits for each."""
    flat = np.ascontiguousarray(array).reshape(-1)
    octets = flat.view(np.uint8)
    if flat.dtype.itemsize > 1 and flat.size % n == 0 and (order == "elements" or flat.dtype != np.uint64):
        each = octets.reshape(-1, n, flat.dtype.itemsize).swapaxes(0, 1).reshape(n, -1)
        return np.unpackbits(each, axis=1, bitorder="little")
    bits = np.unpackbits(octets, bitorder="little")
    if bits.size % n:
        return np.zeros((n, 0), np.uint8)
    return bits.reshape(n, -1) if order == "elements" else np.ascontiguousarray(bits.reshape(-1, n).T)


def of_values(array: Array, n: int) -> Columns:
    """The bits of ring elements or truth values, with an axis of n."""
    moved = np.ascontiguousarray(np.moveaxis(array, array.shape.index(n), 0)).reshape(n, -1)
    if array.dtype == np.uint8 and array.max(initial=0) <= 1:
        return moved
    return np.unpackbits(moved.view(np.uint8), axis=1, bitorder="little")


@dataclass
class Watch:
    """What each place receives and draws."""

    received: list[list[Array]] = field(default_factory=list)
    drawn: list[list[tuple[Array, tuple[Order, ...]]]] = field(default_factory=list)
    now: int = -1

    def follow(self, steps: Sequence[Step[Any]]) -> list[Step[Any]]:
        """The same steps, watched."""
        self.received = [[] for _ in steps]
        self.drawn = [[] for _ in steps]
        return [self._follow(k, step) for k, step in enumerate(steps)]

    def _follow(self, place: int, step: Step[Any]) -> Step[Any]:
        got = None
        while True:
            self.now = place
            try:
                exchange = next(step) if got is None else step.send(got)
            except StopIteration as stop:
                return stop.value
            finally:
                self.now = -1
            got = yield exchange
            self.received[place] += [np.array(a) for sender in sorted(got) for a in got[sender]]

    @contextmanager
    def listening(self) -> Iterator[Watch]:
        """With all draws from streams noted."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prg.Cursor, "narrow", self._noted(prg.Cursor.narrow, "elements"))
            patch.setattr(prg.Cursor, "bits", self._noted(prg.Cursor.bits, "rows"))
            patch.setattr(prg.Cursor, "words", self._noted(prg.Cursor.words))
            patch.setattr(prg.Prg, "words", self._noted(prg.Prg.words))
            yield self

    def _noted(self, draw: Any, *orders: Order) -> Any:
        def noted(*args: Any) -> Any:
            out = draw(*args)
            if self.now >= 0:
                self.drawn[self.now].append((np.array(out), orders or ("elements", "rows")))
            return out

        return noted


def known(watch: Watch, place: int, n: int) -> Columns:
    """What a place draws, however its bits lie."""
    every = [np.ones((n, 1), np.uint8)]
    for array, orders in watch.drawn[place]:
        if orders == ("rows",):
            every += [of_values(array, n)] if n in array.shape else []
        elif array.size % n == 0 or array.shape[-1:] == (n // 64,):
            sliced = array.shape[-1] == n // 64
            every += [columns(array, n, order) for order in (("rows",) if sliced else orders)]
    return np.concatenate(every, axis=1)


def heard(watch: Watch, place: int, n: int, order: Order) -> Columns:
    """What a place receives."""
    wide = [columns(a, n, "elements" if a.itemsize > 1 else order) for a in watch.received[place]]
    return np.concatenate([np.zeros((n, 0), np.uint8), *wide], axis=1)


def _words(bits: Columns) -> NDArray[np.uint64]:
    octets = np.packbits(bits.T, axis=1, bitorder="little")
    out = np.zeros((len(octets), -(-octets.shape[1] // 8) * 8), np.uint8)
    out[:, : octets.shape[1]] = octets
    return out.view(np.uint64)


def dependent(base: Columns, received: Columns) -> list[int]:
    """The columns of `received` that are sums modulo 2 of columns before them and of `base`."""
    samples, many = len(base), base.shape[1] + received.shape[1]
    assert samples >= many + SPARE, f"{samples} samples tell nothing of {many} columns"
    rows = _words(np.concatenate([base, received], axis=1))
    out = []
    for k in range(many):
        at = np.flatnonzero(rows[k])
        if not at.size:
            out += [k - base.shape[1]] if k >= base.shape[1] else []
            continue
        word = at[0]
        bit = np.bitwise_and(rows[k, word : word + 1], np.negative(rows[k, word : word + 1]))
        rest = k + 1 + np.flatnonzero(rows[k + 1 :, word] & bit)
        rows[rest, word:] ^= rows[k, word:]
    return out


def biased(base: Columns, received: Columns) -> float:
    """How many deviations from even is the worst of the columns received, and of sums of one with any other column."""
    samples, many = received.shape
    signs = 1.0 - 2.0 * np.concatenate([np.ones((samples, 1)), base, received], axis=1, dtype=np.float32)
    signs[:, 0] = 1.0
    sums = np.abs(signs[:, -many:].T @ signs) if many else np.zeros((0, 1), np.float32)
    for k in range(many):
        sums[k, sums.shape[1] - many + k] = 0.0
    return float(sums.max(initial=0.0)) / np.sqrt(samples)


def faults(base: Columns, received: Columns) -> list[str]:
    """Why what is received is not random to someone who knows the base; nothing if it is."""
    out = []
    found = dependent(base, received)
    if found:
        out.append(f"{len(found)} of {received.shape[1]} columns follow from others and what is known: {found[:8]}")
    worst = biased(base, received)
    if worst > DEVIATIONS:
        out.append(f"a column, or a sum of two, is {worst:.1f} deviations from even")
    return out
