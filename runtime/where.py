"""Where in a study something happened while it ran, for messages.

For: `where` (what a round is about), `undefined` (the error for a value that is no number), `outside` (for
an index), `overflowed` (for a whole number).
Leaves to others: raising them (`session`).
"""

from __future__ import annotations

from typing import Final

from dsl.diagnostics import Diagnostic
from dsl.source import Span
from dsl.syntax import Study
from mpc.circuit import Origin
from mpc.op import OutsideError, OverflowsError
from mpc.schedule import Schedule

__all__ = ["outside", "overflowed", "undefined", "where"]


def undefined(origin: Origin | None, study: Study) -> Diagnostic:
    """What is said when a value that this party computed alone cannot be shared."""
    message = "a value that its owner computes alone is no number, or too large to be shared"
    if origin is None:
        return Diagnostic("E0417", message)
    return Diagnostic("E0417", message, Span(origin.start, origin.end), "for these data", source=study.source)


def outside(error: OutsideError, study: Study) -> Diagnostic:
    """What is said when an index that a party computed in the clear is outside its axis."""
    message = str(error)
    if error.origin is None:
        return Diagnostic("E0306", message)
    span = Span(error.origin.start, error.origin.end)
    return Diagnostic("E0306", message, span, "for these data", source=study.source)


GROUPS: Final = ("bucket_sums", "gather_rows", "group_rows", "group_totals", "running_sums")

WHOLE: Final = {
    **dict.fromkeys(("add", "sum", "cumsum", *GROUPS), "a sum"),
    "mean": "the sum of a mean",
    "sub": "a difference",
    **dict.fromkeys(("mul", "matmul", "dot", "outer", "square"), "a product"),
    "power": "a power",
    "floordiv": "a quotient",
    "units": "a number in its smallest units",
}
"""What operations on whole numbers give, in words."""


def overflowed(error: OverflowsError, study: Study) -> Diagnostic:
    """What is said when a whole number that was computed in the clear does not fit, and something depends on it."""
    who = ""
    if error.viewers:
        who = f" of {' and '.join(sorted(error.viewers))}"
    message = f"{WHOLE.get(error.op, 'a whole number')}{who} does not fit into 64 bits"
    helps = (
        "declare the column's range (`int in 0..1000000`): then `parley check` finds where it may not fit",
        "use `fixed`, or a `decimal` of fewer places, where the whole number need not be exact",
    )
    if error.origin is None:
        return Diagnostic("E0418", message, helps=helps)
    span = Span(error.origin.start, error.origin.end)
    return Diagnostic("E0418", message, span, "for these data", helps=helps, source=study.source)


def where(timetable: Schedule, r: int, study: Study) -> str:
    """What round r is about: operation and place in the study of the first node that is under way."""
    for index, node in timetable.circuit:
        if timetable.length[index] and timetable.start[index] <= r < timetable.start[index] + timetable.length[index]:
            body = timetable.bodies.get(index)
            if body is not None:
                return where(body, (r - timetable.start[index]) % body.rounds, study)
            if node.origin is None:
                return node.op
            line = study.source.text.count("\n", 0, node.origin.start) + 1
            return f"{node.op} at {study.source.name}:{line}"
    return "no operation"
