"""Whether a function of the study, called in a query, gives for each row what that row alone decides.

For: `strange`.
Leaves to others: what else an expression of a query may use (`queries`).

In a query a function is given whole columns: `x - mean(x)` would let every row's result depend on all rows.  So its
body may hold what works element by element, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dsl import syntax
from dsl.node import Node
from dsl.query.expressions import ROWWISE
from dsl.values import Array, Function, Val

__all__ = ["strange"]

PLAIN: Final = (
    syntax.Int,
    syntax.Real,
    syntax.Text,
    syntax.Bool,
    syntax.Date,
    syntax.Compare,
    syntax.Logical,
    syntax.Unary,
    syntax.Conditional,
    syntax.Keyword,
    syntax.Parameter,
    syntax.Return,
    syntax.If,
    syntax.Branch,
    syntax.Identifier,
    syntax.Pass,
)
"""What gives for each row what is said of that row."""

CALLED: Final = ROWWISE | {"round"}


def strange(function: Function) -> Node | None:
    """The first part of a function that is more than a computation on one row; None when there is none."""
    return next(_strange(function, frozenset()), None)


def _strange(function: Function, above: frozenset[int]) -> Iterator[Node]:
    if id(function.definition) in above:  # recursion is refused elsewhere
        return
    above |= {id(function.definition)}
    for value in function.defaults.values():
        if not _public(value):
            yield function.definition
    for statement in function.definition.body:
        yield from _parts(function, statement, above)


def _parts(function: Function, node: Node, above: frozenset[int]) -> Iterator[Node]:
    match node:
        case syntax.Name(name):
            if name not in function.local:
                yield from _outside(function, node, above)
        case syntax.Call(syntax.Name(name)) if name in CALLED and not _known(function, name):
            for argument in (*node.arguments, *node.keywords):
                yield from _parts(function, argument, above)
        case syntax.Call():
            for part in (node.function, *node.arguments, *node.keywords):
                yield from _parts(function, part, above)
        case syntax.Assign(syntax.Name(), value) | syntax.AugmentedAssign(syntax.Name(), _, value):
            yield from _parts(function, value, above)
        case syntax.Binary(op=op) if op != "@":
            yield from _below(function, node, above)
        case _ if isinstance(node, PLAIN):
            yield from _below(function, node, above)
        case _:
            yield node


def _below(function: Function, node: Node, above: frozenset[int]) -> Iterator[Node]:
    for part in syntax.children(node):
        yield from _parts(function, part, above)


def _known(function: Function, name: str) -> bool:
    return name in function.local or function.scope.find(name) is not None


def _outside(function: Function, node: syntax.Name, above: frozenset[int]) -> Iterator[Node]:
    """A name that the function does not assign: a public value, or another such function."""
    binding = function.scope.find(node.id)
    val = None if binding is None else binding.val
    if isinstance(val, Function):
        yield from (node for _ in _strange(val, above))
    elif val is None or not _public(val):
        yield node


def _public(val: Val) -> bool:
    """Whether it is one public value, the same for all rows."""
    return isinstance(val, Array) and val.public and not val.shape
