"""Rows with the place that each has in its group by an order, as a quantile asks for one or two of them.

For: `Placed`; `key_of`; `placed`, `terms` (what a circuit says of them).
Leaves to others: what groups there are, and what else is made of them (`groupings`), the rows (`frames`).

A quantile lies between two rows of its group, by their order (`dsl.query.sorted_groups`): a sum in which all rows but
these weigh nothing.  SQL numbers the rows and counts those that have a value, so that the two are found there; their
values and weights are whole numbers, and the same whichever of rows with equal values come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mpc.circuit import Circuit, Node, reachable
from runtime.sources.expressions import Expressions
from runtime.sources.frames import Frames, Rows
from runtime.sources.joins import named
from runtime.sources.parts import NotInSQLError, Number, Part

__all__ = ["Placed", "Term", "key_of", "placed", "terms"]


class Term(NamedTuple):
    """Nodes: of the row of a group for which the `mask` holds, if any does, the `value`, which weighs `weight`.

    others: what the mask asks for beside the row's place.
    """

    value: int
    mask: int
    weight: int
    others: tuple[int, ...]


@dataclass(slots=True)
class Placed:
    """The rows of a FROM for which `there` holds, as a sub-query.

    new: the node that says where groups start. by: what tells groups apart; order: what orders the rows of one.
    """

    rows: Rows
    there: str
    new: int
    by: Sequence[str]
    order: Sequence[str]
    name: str = field(init=False)
    expressions: Expressions = field(init=False)
    _parts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = f"r{next(self.rows.names)}"
        self.expressions = Expressions(self.frames.circuit, self.frames.dialect, self._leaf)

    @property
    def frames(self) -> Frames:
        """The tables."""
        return self.rows.frames

    @property
    def source(self) -> str:
        """What follows FROM, for the expressions that have been made."""
        listed = ", ".join(f"{part} as c{i}" for i, part in enumerate(self._parts or ["1"]))
        select = f"select {listed} from {self.rows.source} where {self.there}"
        return f"({select}) as {self.name}"

    def keys(self, index: int) -> list[Part]:
        """What tells groups apart, as `Rows.keys`."""
        return [self._column(part) for part in self.rows.keys(index)]

    def _leaf(self, index: int, node: Node) -> Part | None:
        inner = self.frames.circuit.nodes[node.src[0]] if node.op == "item" else node
        first = numbered(self.frames.circuit, self.new, index)
        if first or (inner.op == "group_totals" and inner.src[0] == self.new):
            size = inner.types[0].shape[0]
            if not isinstance(size, int):
                raise NotInSQLError
            return self._column(Number(self._over(node, inner), 0, size, long=True))
        try:
            self.frames.of(index)
        except NotInSQLError:  # no value of a row by itself; what it is worked out of may be some
            return None
        part = self.rows.leaf(index, node)
        return None if part is None else self._column(part)

    def _over(self, node: Node, inner: Node) -> str:
        """A place, from 0, or how many rows of the group hold something."""
        by = f"partition by {', '.join(self.by)}" if self.by else ""
        if node is inner:
            return f"row_number() over ({f'{by} order by'.lstrip()} {', '.join(self.order)}) - 1"
        truth = self.rows.expressions.truth(inner.src[1 + node["index"]])
        return f"count(case when {truth} then 1 end) over ({by})"

    def _column(self, part: Part) -> Part:
        if part.sql not in self._parts:
            self._parts.append(part.sql)
        return named(part, f"{self.name}.c{self._parts.index(part.sql)}")


def key_of(rows: Rows | Placed, columns: Sequence[int], at: int) -> list[Part]:
    """A key of several by which rows are sorted, as whole numbers, texts or identifiers; of a rank, what it ranks.

    Before a key with missing values stands whether one is.  Raises NotInSQLError.
    """
    circuit = rows.frames.circuit
    node, flag = circuit.nodes[columns[at]], circuit.nodes[columns[at - 1]] if at else None
    if node.op == "select" and not (flag is not None and flag.op == "not" and flag.src[0] == node.src[0]):
        return [rows.expressions.value(columns[at])]
    return rows.keys(columns[at])


def placed(circuit: Circuit, new: int, nodes: Sequence[int], sort: int) -> bool:
    """Whether something of the nodes depends on places of rows in groups that start at `new`, after the sort."""
    return any(numbered(circuit, new, i) for i in reachable(circuit, nodes, stop=[sort]))


def numbered(circuit: Circuit, new: int, index: int) -> bool:
    """Whether a node numbers the rows of each group, from 0; where all rows are one group, these are known numbers."""
    node = circuit.nodes[index]
    if node.op != "const" or circuit.nodes[new].op != "const":
        return node.op == "row_number" and node.src[0] == new
    values = node["value"].array
    return values.ndim == 1 and values.dtype.kind == "i" and np.array_equal(values, np.arange(len(values)))


def terms(circuit: Circuit, new: int, index: int) -> list[Term]:
    """What a node sums up of each group: `value * weight` of rows found by their place; none where it does not.

    The condition of each term is that a row has one place in its group, and others, all of them joined by `and`.
    """
    product = circuit.nodes[index]
    if product.op != "mul":
        return []
    for value, weights in (product.src, product.src[::-1]):
        found = _weighed(circuit, new, weights)
        if found:
            return [Term(value, *one) for one in found]
    return []


def _conditions(circuit: Circuit, index: int) -> list[int]:
    """What all must hold."""
    node = circuit.nodes[index]
    return [i for part in node.src for i in _conditions(circuit, part)] if node.op == "and" else [index]


def _weighed(circuit: Circuit, new: int, index: int) -> list[tuple[int, int, tuple[int, ...]]]:
    node = circuit.nodes[index]
    if node.op == "add":
        parts = [_weighed(circuit, new, i) for i in node.src]
        return [one for part in parts for one in part] if all(parts) else []
    if node.op != "select":
        return []
    mask, weight, other = node.src
    zero = circuit.nodes[other]
    nothing = zero.op == "const" and not zero["value"].array.any()
    others = [i for i in _conditions(circuit, mask) if not _place(circuit, new, i)]
    single = len(others) < len(_conditions(circuit, mask))
    return [(mask, weight, tuple(others))] if nothing and single and _of_group(circuit, new, weight) else []


def _place(circuit: Circuit, new: int, index: int) -> bool:
    """Whether a row's place in its group is a number of the group."""
    node = circuit.nodes[index]
    if node.op != "eq":
        return False
    return any(numbered(circuit, new, x) and _of_group(circuit, new, y) for x, y in (node.src, node.src[::-1]))


def _of_group(circuit: Circuit, new: int, index: int) -> bool:
    """Whether a value is the same in all rows of a group, worked out of its totals."""
    node = circuit.nodes[index]
    if node.op == "item":
        inner = circuit.nodes[node.src[0]]
        return inner.op == "group_totals" and inner.src[0] == new
    if node.op in ("add", "sub", "mul", "floordiv", "broadcast_to"):
        return all(_of_group(circuit, new, i) for i in node.src)
    return node.op == "const" and node.type.ndim == 0
