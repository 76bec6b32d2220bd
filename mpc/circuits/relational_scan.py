"""The smallest and largest of each group, where rows are not sorted by the value.

For: `running_extremes`.  Leaves to others: values that the rows are sorted by, whose ends `group_rows` picks.

A segmented scan: of two neighbouring runs of rows the later one's extreme is the better of both, unless a group begins
in the later run.  Neighbours are joined two by two, the half as many runs are scanned in the same way, and the rows
between are joined with the run before them: two comparisons a row [Blelloch, IEEE Trans. Computers 38(11), 1989; Brent
and Kung, same journal 31(3), 1982].  Few runs are scanned by doubling instead, log2 n comparisons a row in half the
rounds [Kogge and Stone, same journal 22(8), 1973].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.ordering import Keys, keys, less
from mpc.circuits.relational_columns import flag_column, rows_of, signature, stacked
from mpc.lowerer import low
from mpc.op import Signature, op
from mpc.types import BOOL, Type, TypeRuleError, shape_text

__all__ = ["running_extremes"]

DOUBLING = 4096
"""Runs up to which doubling is cheaper, by the figures of `estimate`: bytes grow with n log n, rounds are halved."""


class _Runs(NamedTuple):
    """Runs of rows: the extreme of the group that each ends in, and whether a group begins in it."""

    best: Keys
    begins: Value

    def at(self, part: slice) -> _Runs:
        """Some of them."""
        negative = self.best.negative
        key = Keys(self.best.x[part], None if negative is None else negative[part], self.best.width)
        return _Runs(key, self.begins[part])


def _then(runs: Sequence[_Runs]) -> _Runs:
    """Runs one after another."""
    negatives = [r.best.negative for r in runs if r.best.negative is not None]
    best = Keys(
        stacked([r.best.x for r in runs], axis=0),
        stacked(negatives, axis=0) if negatives else None,
        runs[0].best.width,
    )
    return _Runs(best, stacked([r.begins for r in runs], axis=0))


def _woven(even: _Runs, odd: _Runs) -> _Runs:
    """Runs 0, 2, … and 1, 3, … in turn; as many of both."""
    n = odd.begins.type.sizes[0]

    def weave(x: Value, y: Value) -> Value:
        return stacked([x.reshape((n, 1)), y.reshape((n, 1))]).reshape((2 * n,))

    x, y = even.best.negative, odd.best.negative
    negative = None if x is None or y is None else weave(x, y)
    return _Runs(Keys(weave(even.best.x, odd.best.x), negative, odd.best.width), weave(even.begins, odd.begins))


def _joined(first: _Runs, second: _Runs, largest: bool) -> _Runs:
    """Every run of `second` with the one of `first` before it."""
    b = low(second.begins)
    old, new = first.best, second.best
    better = less(new, old) if largest else less(old, new)
    keep = better & ~second.begins
    step = b.on_shares("sub", (old.x, new.x), {}, new.x.dtype, new.x.shape)
    moved = b.product("mul", b.emit("to_int", keep), step, 0, new.x.dtype)
    x = b.on_shares("add", (new.x, moved), {}, new.x.dtype, new.x.shape)
    negative = new.negative
    if negative is not None and old.negative is not None:
        negative = negative ^ (keep & (negative ^ old.negative))
    return _Runs(Keys(x, negative, new.width), first.begins | second.begins)


def _scan(runs: _Runs, largest: bool) -> _Runs:
    n = runs.begins.type.sizes[0]
    if n <= DOUBLING:
        step = 1
        while step < n:
            later = _joined(runs.at(slice(0, n - step)), runs.at(slice(step, n)), largest)
            runs, step = _then([runs.at(slice(0, step)), later]), 2 * step
        return runs
    half = n // 2
    even, odd = runs.at(slice(0, 2 * half, 2)), runs.at(slice(1, 2 * half, 2))
    ends = _scan(_joined(even, odd, largest), largest)
    between = _joined(ends.at(slice(0, half - 1)), even.at(slice(1, half)), largest)
    done = _woven(_then([even.at(slice(0, 1)), between]), ends)
    if n % 2 == 0:
        return done
    return _then([done, _joined(ends.at(slice(half - 1, half)), runs.at(slice(n - 1, n)), largest)])


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    new, *columns = types
    flag_column("the first row of a group", new)
    n, largest = rows_of(types), attrs["largest"]
    if not columns or len(largest) != len(columns):
        raise TypeRuleError(f"{len(largest)} directions for {len(columns)} columns")
    for t in columns:
        if t.dtype == BOOL or t.ndim != 1:
            raise TypeRuleError(f"the largest of numbers are wanted, not of {t.dtype} {shape_text(t.shape)}")
    return [signature(t, n) for t in columns]


def _ref(new: Array, *columns: Array, largest: tuple[bool, ...]) -> tuple[Array, ...]:
    starts = np.flatnonzero(np.concatenate([[True], new[1:]])[: len(new)])
    out = []
    for c, up in zip(columns, largest, strict=True):
        best = np.maximum if up else np.minimum
        runs = [best.accumulate(run) for run in np.split(c, starts[1:])]
        out.append(np.concatenate(runs))
    return tuple(out)


@op("running_extremes", infer=_infer, ref=_ref)
def running_extremes(new: Value, *columns: Value, largest: tuple[bool, ...]) -> Any:
    """Every row gets the largest, or the smallest, of its group's values down to itself, so the last row its group's.

    Operands: `new` (n,), true at the first row of each group, whose rows stand together; columns (n,) of numbers.
    largest, for each column: the largest, or the smallest.  With `group_rows` and "last" they are those of the groups.
    """
    b = low(new)
    begins = b.shared(new)
    out = []
    for column, up in zip(columns, largest, strict=True):
        share = b.shared(column)
        if share.type.sizes[0] < 2:
            out.append(share)
            continue
        out.append(b.know(_scan(_Runs(keys(share), begins), up).best.x, b.range(share)))
    return out
