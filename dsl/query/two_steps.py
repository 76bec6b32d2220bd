"""A group's measures from those of its parts.

For: `LATER`, `in_two_steps`.
Leaves to others: when a group is taken in parts (`early`, `parted`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dsl.query.plan import Column, Kind, Measure, Ref

__all__ = ["LATER", "in_two_steps"]

LATER: Final[dict[str, Kind]] = {
    "rows": "total",
    "count": "total",
    "total": "total",
    "sum": "sum",
    "min": "min",
    "max": "max",
}
"""How the measures of parts become those of the whole."""


def in_two_steps(measures: Sequence[Measure]) -> tuple[list[Measure], list[Measure]]:
    """The measures of parts of a group, and those of the whole from them."""
    parts = [replace(m, column=Column(m.column.name)) for m in measures]
    whole = [
        Measure(m.column, LATER[m.kind], Ref(p.column, span=m.span), m.span)
        for m, p in zip(measures, parts, strict=True)
    ]
    return parts, whole
