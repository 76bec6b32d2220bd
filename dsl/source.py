"""A study's text and places in it.

For: turning offsets into lines and columns, and cutting out the lines that an error message shows.
Leaves to others: what a message says (`diagnostics`), and what the text means (`parse`).

Offsets count Python characters from the start of the text. Lines and columns count from 1, a column being the
character's number in its line, as editors show it. On a screen a tab and a wide character take more than one
cell: `Source.cells` says how many, so that a mark below a line stands below the right characters.
"""

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

TAB_WIDTH = 4


class Span(NamedTuple):
    """The characters `start` up to and without `end` of a source."""

    start: int
    end: int

    def to(self, other: "Span") -> "Span":
        """The smallest span that holds both."""
        return Span(min(self.start, other.start), max(self.end, other.end))


class Position(NamedTuple):
    """A place as people name it: line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Source:
    """A named text with a table of where its lines start.

    `name` is what messages call it (a file name). Lines end with a line feed, a carriage return, or both.
    """

    name: str
    text: str = field(repr=False)
    starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0]
        text = self.text
        for i, c in enumerate(text):
            if c == "\n" or (c == "\r" and text[i + 1 : i + 2] != "\n"):
                starts.append(i + 1)
        object.__setattr__(self, "starts", tuple(starts))

    @property
    def line_count(self) -> int:
        """How many lines there are; a text that ends with a line end has an empty last line."""
        return len(self.starts)

    def position(self, offset: int) -> Position:
        """Line and column of an offset; offsets outside the text are moved to its nearest end."""
        offset = min(max(offset, 0), len(self.text))
        line = bisect_right(self.starts, offset)
        return Position(line, offset - self.starts[line - 1] + 1)

    def line_span(self, line: int) -> Span:
        """The characters of line `line` (from 1), its line end left out."""
        start = self.starts[line - 1]
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return Span(start, end)

    def line_text(self, line: int) -> str:
        """The text of line `line` (from 1) without its line end."""
        start, end = self.line_span(line)
        return self.text[start:end]

    def shown_line(self, line: int) -> str:
        """Line `line` fit for a screen: tabs as spaces, control characters as `·`."""
        return "".join(_shown(c) for c in self.line_text(line))

    def cells(self, line: int, column: int) -> int:
        """How many cells of the screen the characters before `column` (from 1) of `line` take in `shown_line`."""
        return sum(_width(c) for c in self.line_text(line)[: column - 1])

    def excerpt(self, span: Span) -> str:
        """The characters of a span."""
        return self.text[span.start : span.end]

    def describe(self, span: Span) -> str:
        """`name:line:column` of where a span starts."""
        line, column = self.position(span.start)
        return f"{self.name}:{line}:{column}"


def _shown(c: str) -> str:
    if c == "\t":
        return " " * TAB_WIDTH
    return "·" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else c


def _width(c: str) -> int:
    """Cells of one character. A tab has a fixed width here: `shown_line` writes it so."""
    if c == "\t":
        return TAB_WIDTH
    if " " <= c <= "~":
        return 1
    if unicodedata.category(c) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1
