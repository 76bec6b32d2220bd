"""Why a value is secret: the inputs that it comes from, for the second label of an error.

For: `origins`, `why_secret`.
Leaves to others: the text of the error itself.
"""

from __future__ import annotations

from typing import NamedTuple

from dsl.region import Region
from dsl.source import Span
from mpc.circuit import Node, Value

__all__ = ["Source", "origins", "source_of", "why_secret"]


class Source(NamedTuple):
    """One thing that a party brought, or of no party: that was stored.

    column: empty for an array; span: its declaration, when it has one.
    """

    party: str
    name: str
    column: str
    span: Span | None

    def __str__(self) -> str:
        if not self.party:
            return f"what was stored as `{self.name}`"
        return f"{self.party}'s column `{self.column}`" if self.column else f"{self.party}'s `{self.name}`"


def source_of(node: Node) -> Source:
    """What an `input` or `stored` node stands for; masks belong to their column or table."""
    if node.op == "stored":
        return Source("", str(node["name"]), "", _place(node))
    column = str(node["column"]).rstrip("?")
    return Source(str(node["party"]), str(node["name"]), "" if column == "#rows" else column, _place(node))


def _place(node: Node) -> Span | None:
    return None if node.origin is None else Span(node.origin.start, node.origin.end)


def origins(region: Region, value: Value) -> list[Source]:
    """The inputs that `value` comes from without having been opened on the way, in the order of the circuit."""
    found: dict[int, Source] = {}
    seen: set[tuple[int, int]] = set()
    stack = [(region, value)]
    while stack:
        here, at = stack.pop()
        key = (id(here), at.index)
        if key in seen or at.type.public:
            continue
        seen.add(key)
        if at.node.op in {"input", "stored"}:
            found[at.index] = source_of(at.node)
        place = here.outside(at.node)
        if place is not None and here.outer is not None:
            stack.append((here.outer, place))
        stack += [(here, Value(here.builder, i)) for i in at.node.src]
    return [found[i] for i in sorted(found)]


def why_secret(region: Region, value: Value) -> list[tuple[Span, str]]:
    """At most two places that made `value` secret, each with a text: one of a party, and one of another party."""
    sources = origins(region, value)
    if not sources:
        return []
    first = sources[0]
    other = next((s for s in sources if s.party != first.party), None)
    word = "secret" if value.type.secret else "private"
    labels = [(first, f"{word}: comes from {first}")]
    if other is not None and other.span != first.span:
        labels.append((other, f"and from {other}"))
    elif other is not None:
        parties = sorted({s.party for s in sources if s.span == first.span})
        labels = [(first, f"{word}: comes from column `{first.column}` of {' and '.join(parties)}")]
    return [(s.span, text) for s, text in labels if s.span is not None]
