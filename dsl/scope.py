"""Names and what they stand for at the moment.

For: `Binding` and `Scope`: lookup through enclosing scopes, assignment in the innermost, copies for the two sides of a
choice.
Leaves to others: whether an assignment keeps a name's type (`assign`).

Python's rule holds: a function's assignments are its own, it reads the names around its definition; loops and branches
open no scope.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from dsl.source import Source, Span
from dsl.values import Val

__all__ = ["Binding", "Role", "Scope"]

Role = Literal["variable", "param", "input", "table", "query", "function", "module", "import"]


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for: its value, where it was first given one, and what kind of name it is.

    passing: it belongs to one pass of a loop, so the next (with a smaller last batch, say) may give it another shape.
    """

    val: Val
    span: Span
    role: Role = "variable"
    passing: bool = False


@dataclass(slots=True)
class Scope:
    """The names of the study, of a module, or of one call of a function.

    local: the names that a function assigns anywhere, which it therefore never reads from outside.
    """

    source: Source
    parent: Scope | None = None
    local: frozenset[str] = frozenset()
    names: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding | None:
        """The binding of `name` here or around here."""
        scope: Scope | None = self
        while scope is not None:
            known = scope.names.get(name)
            if known is not None:
                return known
            if name in scope.local:
                return None
            scope = scope.parent
        return None

    def visible(self) -> Iterator[str]:
        """All names that `find` finds."""
        scope: Scope | None = self
        while scope is not None:
            yield from scope.names
            scope = scope.parent
