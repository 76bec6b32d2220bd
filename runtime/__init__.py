"""Running studies: sessions between parties, local runs, nodes, and the embedding interface.

    import runtime as parley

    study = parley.compile(Path("study.parley"))
    results = await parley.simulate(study, {"bank": {"x": array}, …})

Import is cheap: the pieces load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.api import PartyResult, Study, compile, simulate, simulate_sync, take_part
    from runtime.errors import DataError, Disagreement, PartyFailed, PolicyRefused, UsageError
    from runtime.node import Node

__all__ = [
    "DataError",
    "Disagreement",
    "Node",
    "PartyFailed",
    "PartyResult",
    "PolicyRefused",
    "Study",
    "UsageError",
    "compile",
    "simulate",
    "simulate_sync",
    "take_part",
]

_WHERE = {
    "runtime.api": ("PartyResult", "Study", "compile", "simulate", "simulate_sync", "take_part"),
    "runtime.errors": ("DataError", "Disagreement", "PartyFailed", "PolicyRefused", "UsageError"),
    "runtime.node": ("Node",),
}


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'runtime' has no attribute {name!r}")
