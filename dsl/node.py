"""What all nodes of a syntax tree have, and walking over them.

For: `Node`, `Identifier`, `children`, `walk`, `depth`.
Leaves to others: the nodes themselves and the conventions (`syntax`, from which everything here is to be imported).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from dsl.source import Span

MAX_DEPTH = 200


@dataclass(frozen=True, slots=True)
class Node:
    """What all nodes have: the characters they were read from."""

    span: Span = field(kw_only=True, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Identifier(Node):
    """A name that is declared, or that labels something: not an expression."""

    text: str


def children(node: Node) -> Iterator[Node]:
    """The nodes directly below `node`, in the order of its fields."""
    for name in type(node).__slots__:  # a class's own fields, without `span`
        value = getattr(node, name)
        if isinstance(value, Node):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if isinstance(item, Node))


def walk(node: Node) -> Iterator[Node]:
    """`node` and every node below it, parents first, in the order of the text; without recursion."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(tuple(children(node))))


def depth(node: Node) -> int:
    """How many nodes the longest path from `node` down has; without recursion."""
    level, count = [node], 0
    while level:
        count += 1
        level = [child for parent in level for child in children(parent)]
    return count
