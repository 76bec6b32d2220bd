"""What the rows of a key come to, looked up by the rows of another table: groups that are joined at once.

For: `gather_rows`.
Leaves to others: the order of both tables' rows (`relational_joint`), sums of groups (`relational_move`), extremes
(`relational_scan`).

Grouping a table by a key and looking the groups up from another table by the same key takes one order of the rows of
both, in place of one of the first table's and one of its groups and the second table's [groupjoin: Moerkotte and
Neumann, PVLDB 4(11), 2011].  Rows of the second table add nothing to the sums of their key, and take them back to where
they stood.  Few rows are compared all with all, and sums are then one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.by_merging import parts_of
from mpc.circuits.relational_columns import (
    Packed,
    always,
    flag_column,
    ring_column,
    rows_of,
    signature,
    stacked,
    sum_range,
    zeros,
)
from mpc.circuits.relational_joint import Joint, joint
from mpc.circuits.relational_lookup import all_equal, check_keys, pairwise
from mpc.circuits.relational_move import totals, weighed
from mpc.circuits.relational_scan import running_extremes
from mpc.circuits.relational_sort import key_codes
from mpc.circuits.relational_window import group_last
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.types import BOOL, INT, Dim, Type, TypeRuleError

__all__ = ["gather_rows"]

HOW = ("sum", "min", "max")


class _Operands(NamedTuple):
    """The operands by what they are, and what they say."""

    left: list[Any]
    left_visible: Any
    columns: list[tuple[str, Any, Any]]
    """How they are combined, a value for each left row, and of extremes what there is where no row is."""
    right: list[Any]
    right_visible: Any

    @classmethod
    def of(cls, operands: Sequence[Any], keys: int, how: Sequence[str]) -> _Operands:
        """Of types, arrays or values."""
        end = len(operands) - keys - 1
        left = iter(operands[keys + 1 : end])
        columns = [(h, next(left), None if h == "sum" else next(left)) for h in how]
        return cls(list(operands[:keys]), operands[keys], columns, list(operands[end:-1]), operands[-1])


def _infer(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    keys, how = attrs["keys"], attrs["how"]
    if [h for h in how if h not in HOW]:
        raise TypeRuleError(f"a key's values are combined by {', '.join(HOW)}, not by {how}")
    if keys < 1 or len(types) != 2 * keys + 2 + sum(1 if h == "sum" else 2 for h in how):
        raise TypeRuleError(f"{len(types)} operands for {keys} keys and {how}")
    o = _Operands.of(types, keys, how)
    flag_column("which left rows are visible", o.left_visible)
    flag_column("which right rows are visible", o.right_visible)
    check_keys(o.left, o.right)
    rows_of([*o.left, o.left_visible, *(x for _, x, _ in o.columns)])
    n: Dim = rows_of([*o.right, o.right_visible])
    out: list[Signature] = [(INT, (n,))]
    for h, x, none in o.columns:
        if h != "sum" and (x.dtype == BOOL or x.ndim != 1 or none.dtype != x.dtype or none.ndim):
            raise TypeRuleError("the largest of numbers are wanted, and a single one where there are none")
        out.append((INT, (n,)) if x.dtype == BOOL else signature(x, n))
    return out


def _ref(*operands: Array, keys: int, how: tuple[str, ...]) -> tuple[Array, ...]:
    o = _Operands.of(operands, keys, how)
    m, n = len(o.left_visible), len(o.right_visible)
    codes = np.stack(key_codes([np.concatenate(pair) for pair in zip(o.left, o.right, strict=True)]), axis=1)
    _, group = np.unique(codes, axis=0, return_inverse=True)
    group = group.reshape(-1)
    here, there, groups = group[:m][o.left_visible], group[m:], int(group.max(initial=-1)) + 1
    kept = o.right_visible
    count = np.bincount(here, minlength=groups)[there] * kept
    out: list[Array] = [count.astype(np.int64).reshape(n)]
    for h, x, none in o.columns:
        number = x.astype(np.int64) if x.dtype == np.bool_ else x
        if h == "sum":
            table = np.zeros((groups, *x.shape[1:]), number.dtype)
            np.add.at(table, here, number[o.left_visible])
            out.append(np.where(kept.reshape((n, *(1,) * (x.ndim - 1))), table[there], np.zeros((), number.dtype)))
        else:
            table = np.full(groups, none, number.dtype)
            (np.maximum if h == "max" else np.minimum).at(table, here, number[o.left_visible])
            out.append(np.where(kept, table[there], none))
    return tuple(out)


def _wide(*operands: Array, keys: int, how: tuple[str, ...]) -> tuple[Array, ...]:
    cut = len(operands) - keys - 1
    columns = [x.astype(np.float64) for x in operands[keys + 1 : cut]]
    return _ref(*operands[: keys + 1], *columns, *operands[cut:], keys=keys, how=how)


@op("gather_rows", infer=_infer, ref=_ref, wide=_wide)
def gather_rows(*operands: Value, keys: int, how: tuple[str, ...]) -> Any:
    """For each right row, what the visible left rows with the same key come to.

    Operands: the left key's `keys` columns, which left rows are visible (m,), and for each of `how` a left column, (m,)
    or (m, words), followed for "min" and "max" by a single number, which is the result where there is no row and is not
    above, or below, any; then the right key's columns, which right rows are visible (n,).  Keys may repeat on both
    sides.  Returns, in the order of the right rows: how many left rows there are (n,), an int; then each column's
    "sum" (of truth values: how many hold), "min" or "max" over them.  An invisible right row finds no rows.
    """
    o = _Operands.of(operands, keys, how)
    b = low(operands[0])
    m, n = o.left_visible.type.sizes[0], o.right_visible.type.sizes[0]
    sums = [ring_column(b, x) for h, x, _ in o.columns if h == "sum"]
    known: list[Interval | None] = [Interval(0, m), *(sum_range(b, x, m) for x in sums)]
    if m == 0 or n == 0:
        nothing = iter([zeros(x, n) for x in sums])
        none = [next(nothing) if h == "sum" else b.shared(e.broadcast_to((n,))) for h, _, e in o.columns]
        return [b.shared(b.const(np.zeros(n, np.int64))), *none]
    extremes = [(h == "max", x, e) for h, x, e in o.columns if h != "sum"]
    packed = Packed.of(b, [_kept(o.left_visible, x) for x in (b.const(np.ones(m, np.int64)), *sums)])
    table = packed.numbers
    assert table is not None
    if not extremes and pairwise(o.left, o.right):
        equal = all_equal(o.left, o.right, b.const(np.ones(m, np.bool_)))
        found, best = b.product("matmul", b.narrow(equal, 64), table, 0, INT), []
    else:
        together = joint(o.left, o.right)
        first = together.first()
        found = together.to_right(totals(first, [together.of_left(table)])[0])
        best = _extremes(b, together, first, o.left_visible, extremes)
    if not always(o.right_visible):
        kept = b.shared(o.right_visible)
        found = weighed(found, kept)
        best = [b.emit("select", kept, x, e) for x, (_, _, e) in zip(best, extremes, strict=True)]
    places = tuple(p.unknown() for p in packed.places)
    count, *added = (b.know(v, k) for v, k in zip(Packed(found, None, places).columns(), known, strict=True))
    left, right = iter(added), iter(best)
    return [count, *(next(left) if h == "sum" else next(right) for h, _, _ in o.columns)]


def _kept(visible: Value, x: Value, none: Value | None = None) -> Value:
    """The column x (m, ...), and `none`, or zero, where a row is not visible; each party for the rows that it sees."""
    if always(visible):
        return x
    b = low(visible)
    zero = b.const(np.zeros(()), x.dtype) if none is None else none

    def kept(flags: Value, rows: Value) -> Value:
        return b.emit("select", flags.reshape((*flags.shape, *(1,) * (rows.ndim - 1))), rows, zero)

    parts = parts_of([b.shared(visible), b.shared(x)])
    if parts is None:
        return kept(visible, x)
    return stacked([b.shared(kept(flags, rows)) for flags, rows in parts], axis=0)


def _extremes(
    b: Lowerer, together: Joint, first: Value, visible: Value, columns: Sequence[tuple[bool, Value, Value]]
) -> list[Value]:
    """Of each column (whether the largest, left rows, what there is without any) the extremes for the right rows."""
    if not columns:
        return []
    both = []
    for _, x, none in columns:
        here = b.shared(_kept(visible, x, none))
        there = b.shared(none.broadcast_to((together.right.stop - together.right.start,)))
        both.append(b.know(together.of_both(here, there), _either(b.range(x), b.range(none))))
    running = running_extremes(first, *both, largest=tuple(up for up, _, _ in columns))
    return [together.to_right(x) for x in group_last(first, *running)]


def _either(a: Interval | None, b: Interval | None) -> Interval | None:
    return None if a is None or b is None else Interval(min(a.lo, b.lo), max(a.hi, b.hi))
