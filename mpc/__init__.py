"""Arrays, circuits and protocols: what is computed on shares, round by round, without a word on who carries the bytes.

`types` and `circuit` say what a program is, `op` and `circuits` what each operation means in the clear, `lower` and
`passes` turn it into primitives on shares, `schedule` fixes rounds, bytes and lifetimes, `engine` runs one place of it
as a generator, `protocols` holds the protocols, found by name in `SCHEMES`, and `plain` computes the definition.

The names below are loaded when first asked for, so that importing one module of the package loads no other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mpc.circuit import Array, Circuit, Node, Origin
    from mpc.engine import Engine
    from mpc.places import Places
    from mpc.protocol import Cost, Exchange, Scheme, Step
    from mpc.protocols import SCHEMES
    from mpc.schedule import Schedule
    from mpc.types import BOOL, INT, Fixed, Type

__all__ = [
    "BOOL",
    "INT",
    "SCHEMES",
    "Array",
    "Circuit",
    "Cost",
    "Engine",
    "Exchange",
    "Fixed",
    "Node",
    "Origin",
    "Places",
    "Schedule",
    "Scheme",
    "Step",
    "Type",
]

_MODULES: Final[dict[str, tuple[str, ...]]] = {
    "mpc.circuit": ("Array", "Circuit", "Node", "Origin"),
    "mpc.engine": ("Engine",),
    "mpc.places": ("Places",),
    "mpc.protocol": ("Cost", "Exchange", "Scheme", "Step"),
    "mpc.protocols": ("SCHEMES",),
    "mpc.schedule": ("Schedule",),
    "mpc.types": ("BOOL", "INT", "Fixed", "Type"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
