"""The rows of two tables together, in the order of a key that both have.

For: `Joint`, `joint`, `known_joint`, `known_among`.
Leaves to others: how rows come into an order (`by_bits`), what is made of them there (`relational_lookup`,
`relational_gather`).

An order of the same two columns is found once in a circuit, whichever table looks the other up and whichever of their
rows are visible: rows of equal keys stand together in it, and a key's rows may be added up wherever they stand.  What
moves by an order that is known opens nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mpc.circuit import Value
from mpc.circuits.by_bits import Order, order_by
from mpc.circuits.relational_columns import stacked, zeros
from mpc.circuits.relational_sort import joint_bits, same_as_before
from mpc.lowerer import low

__all__ = ["Joint", "joined_keys", "joint", "known_among", "known_joint", "note"]


class Joint(NamedTuple):
    """An order of the rows of two tables, or of one that is both, of which rows with equal keys stand together.

    order: of all rows. bits: of their keys. left, right: where the rows of either table stand among them.
    """

    order: Order
    bits: Value
    left: slice
    right: slice

    def first(self) -> Value:
        """Which rows are the first of their key, in the order."""
        return ~same_as_before(self.order.of_keys(self.bits))

    def of_left(self, x: Value) -> Value:
        """Rows of the left table, and zeros for those of the right one, in the order."""
        return self.of_both(x, zeros(x, self.right.stop - self.right.start))

    def of_both(self, x: Value, y: Value) -> Value:
        """Rows of both tables in the order; of one that is both, x."""
        if self.left == self.right:
            return self.order.there(x)
        both = [x, y] if self.left.start == 0 else [y, x]
        return self.order.there(stacked(both, axis=0))

    def to_right(self, x: Value) -> Value:
        """Of rows in the order, those of the right table, where they stood."""
        return self.order.back(x, self.right)


def joined_keys(left: Sequence[Value], right: Sequence[Value]) -> list[Value]:
    """The columns of a key, the left rows first."""
    b = low(left[0])
    return [b.emit("concat", b.shared(x), b.shared(y), axis=0) for x, y in zip(left, right, strict=True)]


def joint(left: Sequence[Value], right: Sequence[Value]) -> Joint:
    """The rows of two tables, some in each, in the order of their keys."""
    known = known_joint(left, right)
    if known is not None:
        return known
    bits = joint_bits(joined_keys(left, right))
    return note(left, right, order_by(bits), bits)


def known_joint(left: Sequence[Value], right: Sequence[Value]) -> Joint | None:
    """The order of these rows, if this circuit has found it before, or if the two tables are one."""
    b = low(left[0])
    if _name(left) == _name(right):
        bits = joint_bits(left)
        every = slice(0, bits.type.sizes[0])
        return Joint(order_by(bits), bits, every, every)
    for first, second in ((left, right), (right, left)):
        known: tuple[Order, Value] | None = b.found.get(("joint", _name(first), _name(second)))
        if known is not None:
            m, n = (side[0].type.sizes[0] for side in (first, second))
            sides = slice(0, m), slice(m, m + n)
            return Joint(*known, *(sides if first is left else sides[::-1]))
    return None


def known_among(keys: Sequence[Value]) -> tuple[Order, Value, slice, int] | None:
    """An order that this circuit has found of these rows and those of another table, the bits of their keys, and where
    these rows stand among how many."""
    b, name = low(keys[0]), _name(keys)
    for what, found in b.found.items():
        if what[0] == "joint" and name in what[1:]:
            order, bits = found
            total, n = bits.type.sizes[0], keys[0].type.sizes[0]
            return order, bits, slice(0, n) if what[1] == name else slice(total - n, total), total
    return None


def note(left: Sequence[Value], right: Sequence[Value], order: Order, bits: Value) -> Joint:
    """Remember an order of the left rows and the right ones below, by their keys' bits and perhaps more below these.

    Of one key the left rows stand together in it, and so do the right ones.
    """
    low(bits).found["joint", _name(left), _name(right)] = order, bits
    m, n = (side[0].type.sizes[0] for side in (left, right))
    return Joint(order, bits, slice(0, m), slice(m, m + n))


def _name(keys: Sequence[Value]) -> tuple[int, ...]:
    return tuple(low(x).shared(x).index for x in keys)
