"""Where in a study something happened while it ran, for messages.

For: `where` (what a round is about), `undefined` (the error for a value that is no number), `outside` (for
an index).
Leaves to others: raising them (`session`).
"""

from __future__ import annotations

from dsl.diagnostics import Diagnostic
from dsl.source import Span
from dsl.syntax import Study
from mpc.circuit import Origin
from mpc.op import OutsideError
from mpc.schedule import Schedule

__all__ = ["outside", "undefined", "where"]


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
