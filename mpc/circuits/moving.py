"""Secret rows into a secret order: shuffling, and moving rows to places that nobody may learn.

*Why opening is safe here.*  Destinations d of the rows are shared.  Rows and destinations are moved together by a fresh
uniform permutation p that no party knows, and what is opened is d after p.  Since d is itself an order of the same
rows, whatever it is, d after p is a uniform order independent of d and of everything else that was opened: a simulator
draws it.  p serves once, for the rows that move together.  The opened order is seen by the compute nodes alone, who
then put the freshly shared rows in their places without a message [Chida and others, ePrint 2019/695; Asharov and
others, ePrint 2022/1595].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mpc.circuit import Array, Attrs, Value
from mpc.circuits.arithmetic import keep_bound
from mpc.lowerer import Lowerer, low
from mpc.op import Interval, Signature, op
from mpc.prg import Prg, derive
from mpc.types import INT, ShapeError, Type, TypeRuleError, shape_text

__all__ = [
    "gather",
    "inverse_order",
    "opened_order",
    "reorder",
    "row_bits",
    "row_numbers",
    "rows_at",
    "scatter",
    "shuffle",
    "shuffle_rows",
]


def row_bits(n: int) -> int:
    """The narrowest ring for row numbers, destinations and counts of n rows: it holds all from -n - 1 to n."""
    return n.bit_length() + 1


def row_numbers(b: Lowerer, n: int) -> Value:
    """Shares (n,) of 0, 1, …, n - 1 in the ring of n rows."""
    return b.narrow(b.const(np.arange(n)), row_bits(n))


def rows_at(x: Value, order: Value) -> Value:
    """The rows of shared x at places that the nodes see in the clear."""
    b = low(x)
    out = b.on_shares("take", (x, order), {"axis": 0}, x.dtype, (*order.shape, *x.shape[1:]))
    return b.know(out, b.range(x))


def opened_order(shuffled: Value) -> Value:
    """The order that brings shuffled rows to their shuffled destinations, in the clear at the nodes.

    The caller has moved all rows, and these destinations with them, by one fresh permutation.
    """
    b = low(shuffled)
    return b.emit("inverse_order", b.open_to_nodes(shuffled))


def scatter(to: Value, columns: Sequence[Value]) -> list[Value]:
    """Row i of every column moved to row to[i]; `to` (n,) is a shared order of n rows, in any ring that holds them."""
    b = low(to)
    (n,) = to.type.sizes
    handle = b.permutation(n)
    order = opened_order(b.permute(handle, b.narrow(to, row_bits(n))))
    return [rows_at(b.permute(handle, c), order) for c in columns]


def gather(at: Value, columns: Sequence[Value]) -> list[Value]:
    """Row i of every result is row at[i] of its column; `at` (n,) is a shared order of n rows, as for `scatter`.

    at after p is opened as for `scatter`; the rows there are taken in the clear, and p is undone.
    """
    b = low(at)
    (n,) = at.type.sizes
    handle = b.permutation(n)
    order = b.open_to_nodes(b.permute(handle, b.narrow(at, row_bits(n))))
    return [b.permute(handle, rows_at(c, order), inverse=True) for c in columns]


# -- the operations ----------------------------------------------------------------------------


def _order(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    if types[0].dtype != INT or types[0].ndim != 1:
        raise TypeRuleError("an order is a list of whole numbers")
    return INT, types[0].shape


def _inverse(x: Array) -> Array:
    n = len(x)
    if n and (x.min() < 0 or x.max() >= n):
        raise ValueError("an order names a row that there is not")
    out = np.full(n, -1, np.int64)
    out[x] = np.arange(n)
    if n and out.min() < 0:
        raise ValueError("an order names a row twice")
    return out


def _order_bound(bounds: Sequence[Interval | None], types: Sequence[Type], attrs: Attrs) -> Interval | None:  # noqa: ARG001
    n = types[0].shape[0]
    return Interval(0, max(n - 1, 0)) if isinstance(n, int) else None


@op("inverse_order", infer=_order, ref=_inverse, bound=_order_bound)
def inverse_order(order: Value) -> Value:
    """The inverse of an order of rows, that is of 0..n-1 in some order; ValueError at the nodes if it is none.

    On rep3: 3 rounds, and for each row 4 elements and 7 of its number's ring, where sorting would take many.
    """
    b = low(order)
    return scatter(order, [b.shared(b.const(np.arange(order.type.sizes[0])))])[0]


def _reorder(types: Sequence[Type], attrs: Attrs) -> Signature:
    x, order = types
    _order([order], attrs)
    if x.ndim == 0 or x.shape[0] != order.shape[0]:
        raise ShapeError(f"{shape_text(x.shape)} does not have one row for each place of {shape_text(order.shape)}")
    return x.dtype, x.shape


@op("reorder", infer=_reorder, ref=lambda x, order: x[_inverse(_inverse(order))], bound=keep_bound)
def reorder(x: Value, order: Value) -> Value:
    """Row i of the result is row order[i] of x, for an order of all its rows: 0..n-1, each once.

    Only for what is an order by its making (an `argsort`, say): of anything else the nodes would learn which places
    occur.  On rep3: 5 rounds, and for each row 7 elements of its number's ring, and 4 for each column.
    """
    b = low(x)
    if order.type.public:
        return b.emit("take", x, order, axis=0)
    return gather(order, [b.shared(x)])[0]


def _rows(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    if types[0].ndim == 0:
        raise ShapeError(f"rows to shuffle are wanted, not {shape_text(types[0].shape)}")
    return types[0].dtype, types[0].shape


def _shuffle(x: Array) -> Array:
    """In the clear: a fixed order, since all who see a value must come to the same result."""
    return x[Prg(derive(bytes(32), "shuffle")).permutation(0, len(x))]


@op("shuffle", infer=_rows, ref=_shuffle, bound=keep_bound, pure=False)
def shuffle(x: Value) -> Value:
    """The rows in a uniformly random order that no party knows.

    Rows that some party sees in the clear come into an order that is fixed by their number alone.
    """
    b = low(x)
    n = x.type.sizes[0]
    return x if n < 2 else b.permute(b.permutation(n), x)


def _all_rows(types: Sequence[Type], attrs: Attrs) -> list[Signature]:
    out = [_rows([t], attrs) for t in types]
    if any(t.shape[0] != types[0].shape[0] for t in types):
        raise ShapeError("columns of one table are of one length: " + ", ".join(shape_text(t.shape) for t in types))
    return out


@op("shuffle_rows", infer=_all_rows, ref=lambda *xs: tuple(_shuffle(x) for x in xs), pure=False)
def shuffle_rows(*columns: Value) -> list[Value]:
    """The rows of several columns in one uniformly random order that no party knows.

    If any column is secret all are moved as shares: a column that somebody sees would otherwise show the order.
    """
    b = low(columns[0])
    n = columns[0].type.sizes[0]
    shares = [b.shared(c) for c in columns]
    if n < 2:
        return shares
    handle = b.permutation(n)
    return [b.permute(handle, c) for c in shares]
