"""What is wrong with a study, as data, and how it is shown.

For: `Diagnostic` (one error or warning with its places and helps), `Reporter` (collects those of a stage),
`StudyError` (ends a stage with all of them), and their two forms: `render` for people, `to_json` for programs.
Leaves to others: finding errors, the table of codes (`codes`), colours.

The rendering is plain text and stable:

    error[E0304]: a secret value decides a branch
      --> fraud.parley:14:7
       |
     9 | score = model(features)
       | ----- secret: comes from bank's column `amount` (line 3)
       :
    14 | while score > limit:
       |       ^^^^^^^^^^^^^ bool, seen by no party
       |
    help: choose, with both sides computed: `a if score > limit else b`
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from dsl.source import Source, Span

Severity = Literal["error", "warning"]

MAX_HELPS = 2
SHOWN_CELLS = 140  # longer lines are cut around the first mark
MAX_ERRORS = 50  # shown of one stage
MAX_KEPT = 500


class Label(NamedTuple):
    """A second place that belongs to an error, and what is to be said about it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong.

    code: stable, from `codes.CODES`. message: one line, lower case, no full stop. span, label: where, and what is wrong
    there. secondary: other places with their labels, such as why a value is secret. helps: at most two, each a line to
    write instead. source: the text that the spans belong to; without it, `where` names the place in words
    (`north/visits.csv, row 12, column age`). A message never holds a data value of a table.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    secondary: tuple[Label, ...] = ()
    helps: tuple[str, ...] = ()
    source: Source | None = None
    severity: Severity = "error"
    where: str = ""

    def __post_init__(self) -> None:
        if len(self.helps) > MAX_HELPS:
            raise ValueError(f"{self.code}: at most {MAX_HELPS} helps")
        if (self.span is None) != (self.source is None):
            raise ValueError(f"{self.code}: a span and its source belong together")

    @property
    def place(self) -> str:
        """`name:line:column`, or the place in words; empty when there is none."""
        if self.source is not None and self.span is not None:
            return self.source.describe(self.span)
        return self.where


class StudyError(Exception):
    """A study, its settings or its data are wrong. Holds all that a stage found, in the order of the text."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        if not self.diagnostics:
            raise ValueError("a StudyError needs a diagnostic")
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return "\n\n".join(render(d) for d in self.diagnostics)

    @property
    def code(self) -> str:
        """The code of the first error."""
        return next((d.code for d in self.diagnostics if d.severity == "error"), self.diagnostics[0].code)


@dataclass(slots=True)
class Reporter:
    """Collects what a stage finds wrong; `finish` raises it all at once.

    A second error of the same code at the same place is dropped, so that a check that runs twice reports once.
    """

    source: Source
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secondary: Sequence[tuple[Span, str]] = (),
        helps: Sequence[str] = (),
        source: Source | None = None,
    ) -> None:
        """Records an error; the arguments are the fields of `Diagnostic`."""
        places = tuple(Label(*s) for s in secondary)
        self.add(Diagnostic(code, message, span, label, places, tuple(helps), source or self.source))

    def warning(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secondary: Sequence[tuple[Span, str]] = (),
        helps: Sequence[str] = (),
        source: Source | None = None,
    ) -> None:
        """Records a warning, which does not end the stage."""
        places = tuple(Label(*s) for s in secondary)
        self.add(Diagnostic(code, message, span, label, places, tuple(helps), source or self.source, "warning"))

    def add(self, diagnostic: Diagnostic) -> None:
        """Records a diagnostic made elsewhere."""
        if len(self.diagnostics) >= MAX_KEPT:
            return
        key = (diagnostic.code, diagnostic.span, diagnostic.place)
        if all((d.code, d.span, d.place) != key for d in self.diagnostics):
            self.diagnostics.append(diagnostic)

    @property
    def failed(self) -> bool:
        """Whether there is an error among the diagnostics."""
        return any(d.severity == "error" for d in self.diagnostics)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings alone."""
        return tuple(d for d in self.diagnostics if d.severity == "warning")

    def finish(self) -> None:
        """Raises `StudyError` with everything found, in the order of the text, when there is an error."""
        if self.failed:
            found = sorted(self.diagnostics, key=lambda d: d.span.start if d.span else 0)
            raise StudyError(found[:MAX_ERRORS])


# ----------------------------------------------------------------------------------------------------- rendering


class _Mark(NamedTuple):
    """One underline: cells `start` up to `end` of a shown line."""

    start: int
    end: int
    sign: str
    text: str


def render(diagnostic: Diagnostic) -> str:
    """The diagnostic as plain text for a terminal, without a line end after the last line."""
    head = f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
    lines = [head]
    if diagnostic.source is not None and diagnostic.span is not None:
        lines += _excerpt(diagnostic, diagnostic.source, diagnostic.span)
    elif diagnostic.where:
        lines.append(f"  --> {diagnostic.where}")
    lines += [f"help: {text}" for text in diagnostic.helps]
    return "\n".join(lines)


def _excerpt(diagnostic: Diagnostic, source: Source, span: Span) -> list[str]:
    marks: dict[int, list[_Mark]] = {}
    for label in diagnostic.secondary:
        _mark(source, label.span, "-", label.text, marks)
    _mark(source, span, "^", diagnostic.label, marks)

    width = len(str(max(marks)))
    gutter = " " * (width + 1) + "|"
    lines = [f"{' ' * width}--> {source.describe(span)}", gutter]
    before: int | None = None
    for number in sorted(marks):
        if before is not None and number == before + 2:
            lines.append(f"{before + 1:>{width}} | {_cut(source.shown_line(before + 1), 0)}".rstrip())
        elif before is not None and number > before + 2:
            lines.append(" " * (width + 1) + ":")
        lines += _marked_line(source, number, marks[number], width)
        before = number
    return [*lines, gutter]


def _mark(source: Source, span: Span, sign: str, text: str, marks: dict[int, list[_Mark]]) -> None:
    """Adds the underlines of a span: one, or for a span of several lines one below its first and one below its last."""
    first = source.position(span.start)
    last = source.position(max(span.start, span.end - 1))
    start = source.cells(first.line, first.column)
    if first.line == last.line:
        end = source.cells(first.line, last.column + 1) if span.end > span.start else start + 1
        marks.setdefault(first.line, []).append(_Mark(start, max(end, start + 1), sign, text))
        return
    whole = source.cells(first.line, len(source.line_text(first.line)) + 1)
    marks.setdefault(first.line, []).append(_Mark(start, max(whole, start + 1), sign, ""))
    shown = source.shown_line(last.line)
    indent = len(shown) - len(shown.lstrip())
    end = source.cells(last.line, last.column + 1)
    marks.setdefault(last.line, []).append(_Mark(min(indent, end - 1), end, sign, text))


def _marked_line(source: Source, number: int, marks: list[_Mark], width: int) -> list[str]:
    marks = sorted(marks)
    cells = source.cells(number, len(source.line_text(number)) + 1)
    skip = max(0, marks[0].start - SHOWN_CELLS // 3) if cells > SHOWN_CELLS else 0
    text = _cut(source.shown_line(number), skip)
    shift = 1 - skip if skip else 0
    lines = [f"{number:>{width}} | {text}".rstrip()]
    for start, end, sign, label in marks:
        left = min(max(start + shift, 0), SHOWN_CELLS)
        right = min(max(end + shift, left + 1), SHOWN_CELLS + 1)
        lines.append(f"{' ' * (width + 1)}| {' ' * left}{sign * (right - left)} {label}".rstrip())
    return lines


def _cut(text: str, skip: int) -> str:
    """`text` from character `skip` on and not too long, with `…` for what is left out."""
    if skip:
        text = "…" + text[skip:]
    return text if len(text) <= SHOWN_CELLS else text[: SHOWN_CELLS - 1] + "…"


def to_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """The diagnostic as JSON data: `code, severity, message, where, label, secondary, helps`.

    `where` and each secondary's `where` are `name:line:column`; `span` gives line and column of both ends, from 1.
    """
    source, span = diagnostic.source, diagnostic.span
    result: dict[str, Any] = {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "where": diagnostic.place,
        "label": diagnostic.label,
        "secondary": [],
        "helps": list(diagnostic.helps),
    }
    if source is not None and span is not None:
        start, end = source.position(span.start), source.position(span.end)
        result["span"] = {"line": start.line, "column": start.column, "end_line": end.line, "end_column": end.column}
        result["secondary"] = [{"where": source.describe(s.span), "label": s.text} for s in diagnostic.secondary]
    return result
