"""Equalities that follow from others: a = c and b = c make a = b.

For: `Equal`.
Leaves to others: choosing what is joined by which equality (`joins`).

With them a small relation can look up another before a large one looks it up that is tied to both: `partsupp` then has
the columns of `part` and `supplier`, and `lineitem` looks up one relation where it would look up three.  Once some of
the equalities of a class hold, others need not be asked any more.  Columns of one type alone are put into a class: only
there equality is transitive for sure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import Column, Ref
from dsl.query.relation import Relation, unique_on
from dsl.stypes import SType

__all__ = ["Equal"]


@dataclass(slots=True)
class Equal:
    """What is known of equal columns. stypes: of all columns; made: the equalities that nobody wrote."""

    stypes: dict[Column, SType]
    made: list[syntax.Compare] = field(default_factory=list)
    _held: list[tuple[Ref, Ref]] = field(default_factory=list)

    @classmethod
    def of(cls, relations: Iterable[Relation]) -> Equal:
        """For the columns of some relations."""
        return cls({c: a.stype.optional(False) for r in relations for c, a in r.parts[0].columns.items()})

    def follow(self, relations: Sequence[Relation], conditions: Sequence[Node]) -> list[syntax.Compare]:
        """The equalities between different relations that follow from the conditions, are not among them, and save a
        large relation a look-up."""
        pairs = [pair for node in conditions if (pair := self._pair(node)) is not None]
        written = {frozenset((a.column, b.column)) for a, b in pairs}
        uses = {side.column: side for pair in pairs for side in pair}
        home = {c: at for at, r in enumerate(relations) for c in r.columns}
        for group in _groups(pairs):
            for a, b in combinations([c for c in uses if c in group], 2):
                apart = home.get(a) != home.get(b) and frozenset((a, b)) not in written
                if apart and _saves(relations[home[a]], relations[home[b]], relations, pairs, group):
                    self.made.append(syntax.Compare("==", uses[a], uses[b], span=uses[a].span))  # type: ignore[arg-type]
        return self.made

    def hold(self, conditions: Iterable[Node]) -> None:
        """These conditions hold from now on."""
        self._held += [pair for node in conditions if (pair := self._pair(node)) is not None]

    def asked(self, conditions: Iterable[Node]) -> list[Node]:
        """Those of the conditions that must be asked, one after another, for all to hold from now on."""
        out: list[Node] = []
        for node in conditions:
            if self.open([node]):
                self.hold([node])
                out.append(node)
        return out

    def open(self, conditions: Iterable[Node]) -> list[Node]:
        """Those of the conditions that do not follow from what holds already."""
        groups = _groups(self._held)
        return [
            node
            for node in conditions
            if (pair := self._pair(node)) is None or not any({r.column for r in pair} <= group for group in groups)
        ]

    def _pair(self, node: Node) -> tuple[Ref, Ref] | None:
        if not isinstance(node, syntax.Compare) or node.op != "==":
            return None
        left: Node = node.left
        right: Node = node.right
        if not isinstance(left, Ref) or not isinstance(right, Ref):
            return None
        a, b = self.stypes.get(left.column), self.stypes.get(right.column)
        return (left, right) if a is not None and a == b else None


def _saves(
    a: Relation, b: Relation, relations: Sequence[Relation], pairs: Sequence[tuple[Ref, Ref]], group: set[Column]
) -> bool:
    """Whether a third relation looks up both, and is larger than the one that can look up the other itself."""
    for one, other in ((a, b), (b, a)):
        if unique_on(one, group & one.columns):
            for third in relations:
                both = all(unique_on(r, _tied(r, third, pairs)) for r in (one, other))
                if third is not one and third is not other and both and _fewer(other, third):
                    return True
    return False


def _tied(relation: Relation, other: Relation, pairs: Sequence[tuple[Ref, Ref]]) -> list[Column]:
    """The columns of a relation that are equal to one of the other's."""
    both = [(x.column, y.column) for pair in pairs for x, y in (pair, pair[::-1])]
    return [x for x, y in both if x in relation.columns and y in other.columns]


def _fewer(a: Relation, b: Relation) -> bool:
    return isinstance(a.rows, int) and isinstance(b.rows, int) and a.rows < b.rows


def _groups(pairs: Iterable[tuple[Ref, Ref]]) -> list[set[Column]]:
    """The columns that are equal by way of some of the pairs."""
    out: list[set[Column]] = []
    for a, b in pairs:
        pair = {a.column, b.column}
        met = [group for group in out if group & pair]
        out = [group for group in out if group not in met] + [pair.union(*met)]
    return out
