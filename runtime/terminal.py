"""What a person sees: results as tables, progress, the report of `parley check`.  `rich` is imported when needed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.results import Output, show

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "rendered"]


def console(width: int, *, color: bool) -> tuple[Console, io.StringIO]:
    """A console that writes into a text."""
    from rich.console import Console

    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=color, highlight=False), out


def rendered(outputs: Sequence[Output], width: int, *, color: bool) -> str:
    """What a party learned, as it is printed."""
    if not outputs:
        return ""
    target, out = console(width, color=color)
    for one in show(outputs):
        target.print(one)
    return out.getvalue()
