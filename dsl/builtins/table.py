"""What a built-in function is, and the table of all of them.

For: `Builtin`, `builtin` (enters a function), `BUILTINS`, `CallSite`.
Leaves to others: calling them (`calls`), what each does (its own module in this package).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dsl.source import Span

if TYPE_CHECKING:
    from dsl import syntax
    from dsl.values import Val

__all__ = ["BUILTINS", "Builtin", "CallSite", "Special", "builtin", "builtin_named", "special", "special_named"]


@dataclass(frozen=True, slots=True)
class CallSite:
    """Where a built-in function is called: the whole call, and each argument by its parameter's name (those of `*xs`
    in `items`)."""

    span: Span
    spans: Mapping[str, Span] = field(default_factory=dict)
    items: tuple[Span, ...] = ()

    def of(self, name: str) -> Span:
        """The argument `name`, or the call when it was left out."""
        return self.spans.get(name, self.span)


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function of the language. required and optional: its parameters in order; many: takes any number of
    positional arguments before them, which then go by name. run: called with the walker, the `CallSite` and the
    arguments by position (`many`) and by name; what was left out is None."""

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    many: bool
    run: Callable[..., Val]


@dataclass(frozen=True, slots=True)
class Special:
    """A name that takes its arguments as they are written: `matrix(t, a, b)`, `grad(e, x)`."""

    name: str
    run: Callable[[Any, syntax.Call], Val]


BUILTINS: Final[dict[str, Builtin]] = {}
SPECIALS: Final[dict[str, Special]] = {}


def builtin(name: str) -> Callable[[Callable[..., Val]], Callable[..., Val]]:
    """Enter the function `run(w, site, …)` under a name; its parameters are those of the language's function."""

    def enter(run: Callable[..., Val]) -> Callable[..., Val]:
        parameters = list(inspect.signature(run).parameters.values())[2:]
        many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        named = [p for p in parameters if p.kind is not p.VAR_POSITIONAL]
        required = tuple(p.name for p in named if p.default is p.empty)
        optional = tuple(p.name for p in named if p.default is not p.empty)
        assert name not in BUILTINS, name
        BUILTINS[name] = Builtin(name, required, optional, many, run)
        return run

    return enter


def special(name: str) -> Callable[[Callable[..., Val]], Callable[..., Val]]:
    """Enter a function that is given the call as it is written."""

    def enter(run: Callable[..., Val]) -> Callable[..., Val]:
        assert name not in SPECIALS, name
        SPECIALS[name] = Special(name, run)
        return run

    return enter


def builtin_named(name: str, *, library: bool) -> Builtin | None:
    """The function called `name`; one that begins with `_` is there for the library's text alone."""
    return BUILTINS.get(name) if library or not name.startswith("_") else None


def special_named(name: str, *, library: bool) -> Special | None:
    """As `builtin_named`, of those that take their arguments as they are written."""
    return SPECIALS.get(name) if library or not name.startswith("_") else None
