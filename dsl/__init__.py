"""From a study's text to circuits: what users write, checked, explained where it is wrong, and made ready to run.

`parse.parse` reads a text, `inputs.requirements` says what each party must bring, `elaborate.elaborate` makes the typed
circuit of it, and `compile.Compiler` the timetables, one for each stage. Mistakes are `StudyError`s whose diagnostics
`diagnostics.render` shows with the place in the text.

The names below are loaded when first asked for, so that importing one module of the package loads no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dsl.compile import Compiler, Stage
    from dsl.diagnostics import Diagnostic, StudyError
    from dsl.inputs import Bindings, InputSpec, parties_of, requirements
    from dsl.outputs import Elaborated
    from dsl.source import Source, Span
    from dsl.syntax import Study

__all__ = [
    "Bindings",
    "Compiler",
    "Diagnostic",
    "Elaborated",
    "InputSpec",
    "Source",
    "Span",
    "Stage",
    "Study",
    "StudyError",
    "parties_of",
    "requirements",
]

_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "dsl.compile": ("Compiler", "Stage"),
    "dsl.diagnostics": ("Diagnostic", "StudyError"),
    "dsl.inputs": ("Bindings", "InputSpec", "parties_of", "requirements"),
    "dsl.outputs": ("Elaborated",),
    "dsl.source": ("Source", "Span"),
    "dsl.syntax": ("Study",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
