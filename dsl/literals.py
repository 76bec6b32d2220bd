"""Numbers and texts as they are written.

For: reading one literal at a place of a text, in both dialects, and saying what is wrong with it.
Leaves to others: dates, whose text is a literal like any other (`build`), and how large a value may be for its type.
"""

import re
from decimal import Decimal
from typing import NamedTuple

from dsl.diagnostics import Diagnostic
from dsl.source import Source, Span
from dsl.tokens import Token

MAX_DIGITS = 40
MAX_EXPONENT = 40
MAX_INT = 2**63  # itself only after a minus

_NUMBER = re.compile(
    r"(?:[0-9][0-9_]*)?\.[0-9][0-9_]*(?:[eE][+-]?[0-9]+)?|[0-9][0-9_]*(?:\.(?![.\w]))?(?:[eE][+-]?[0-9]+)?"
)
_JUNK = re.compile(r"\w[\w.]*")
_UNDERSCORES = re.compile(r"__|_\Z|_[.eE]|\._")
_TRIPLE = re.compile(r"'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"", re.DOTALL)
_SINGLE = re.compile(r"'(?:[^'\\\r\n]|\\(?:\r\n|.))*'|\"(?:[^\"\\\r\n]|\\(?:\r\n|.))*\"", re.DOTALL)
_REST_OF_LINE = re.compile(r"[^\r\n]*")
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|\r\n|.)|\r\n|\r", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", "'": "'", '"': '"', "\n": "", "\r": "", "\r\n": ""}
_QUERY_TEXT = re.compile(r"'(?:[^'\r\n]|'')*'|\"(?:[^\"\r\n]|\"\")+\"")


class Mistake(NamedTuple):
    """Something wrong with a literal, before its source is known."""

    code: str
    message: str
    span: Span
    label: str = ""
    helps: tuple[str, ...] = ()

    def at(self, source: Source) -> Diagnostic:
        """The mistake as a diagnostic."""
        return Diagnostic(self.code, self.message, self.span, self.label, (), self.helps, source)


def lex_number(text: str, pos: int) -> tuple[Token, Mistake | None]:
    """Reads a number that starts at `pos`: a `NUMBER` whose value is an int, or with a
    point or an exponent a `Decimal`, exactly as written."""
    match = _NUMBER.match(text, pos)
    end = match.end() if match else pos + 1
    junk = _JUNK.match(text, end)
    if match is None or junk or _UNDERSCORES.search(match.group()):
        end = junk.end() if junk else end
        return Token("NUMBER", pos, end, 0), _bad_number(text[pos:end], Span(pos, end))
    written = match.group().replace("_", "")
    digits = sum(c.isdecimal() for c in written.lower().partition("e")[0])
    exponent = written.lower().partition("e")[2]
    if digits > MAX_DIGITS or len(exponent) > 4 or abs(int(exponent or 0)) > MAX_EXPONENT:
        return Token("NUMBER", pos, end, 0), Mistake(
            "E0104", "a number is too long", Span(pos, end), f"at most {MAX_DIGITS} digits"
        )
    if written.isdecimal():
        value = int(written)
        if value > MAX_INT:
            label = "`int` goes up to 9223372036854775807"
            return Token("NUMBER", pos, end, 0), Mistake("E0104", "a number is too large", Span(pos, end), label)
        return Token("NUMBER", pos, end, value), None
    return Token("NUMBER", pos, end, Decimal(written)), None


def _bad_number(written: str, span: Span) -> Mistake:
    lower = written.lower()
    helps: tuple[str, ...] = ()
    if lower.startswith(("0x", "0b", "0o")):
        label, helps = "numbers are decimal", ("write it with the digits 0 to 9",)
    elif lower[-1:] in {"j", "l", "f"} and lower[:-1].isdecimal():
        label, helps = f"no letter `{written[-1]}` after a number", (f"write `{written[:-1]}`",)
    elif written[0].isdecimal() and written.isalnum() and not written.isdecimal():
        label, helps = "a name does not start with a digit, and a product needs `*`", helps
    else:
        label, helps = "not a number", helps
    return Mistake("E0104", "a number is not well formed", span, label, helps)


def lex_text(text: str, pos: int) -> tuple[Token, Mistake | None]:
    """Reads a text in quotes or triple quotes that starts at `pos`, its escapes resolved: a `STRING`."""
    triple = text.startswith(("'''", '"""'), pos)
    match = (_TRIPLE if triple else _SINGLE).match(text, pos)
    if match is None:
        opening = 3 if triple else 1
        rest = _REST_OF_LINE.match(text, pos)
        end = len(text) if triple else (rest.end() if rest else pos + 1)
        label = "opened here and unclosed" + ("" if triple else " on this line")
        return Token("STRING", pos, end, ""), Mistake(
            "E0103", "a text is never closed", Span(pos, pos + opening), label
        )
    quote = 3 if triple else 1
    inner = Span(pos + quote, match.end() - quote)
    value, wrong = _unescape(text, inner)
    return Token("STRING", pos, match.end(), value), wrong


def _unescape(text: str, span: Span) -> tuple[str, Mistake | None]:
    parts, last, wrong = [], span.start, None
    for match in _ESCAPE.finditer(text, span.start, span.end):
        parts.append(text[last : match.start()])
        last = match.end()
        escape = match.group()[1:] if match.group()[0] == "\\" else "line end"
        if escape == "line end":
            parts.append("\n")
        elif escape in _ESCAPES:
            parts.append(_ESCAPES[escape])
        elif escape[0] in "xuU" and len(escape) > 1 and _is_character(int(escape[1:], 16)):
            parts.append(chr(int(escape[1:], 16)))
        else:
            helps = ("for a backslash itself write `\\\\`",)
            wrong = Mistake(
                "E0101", "an unknown escape in a text", Span(*match.span()), "nothing is known by this", helps
            )
    parts.append(text[last : span.end])
    return "".join(parts), wrong


def _is_character(code: int) -> bool:
    """Whether a code point can stand in UTF-8."""
    return code < 0xD800 or 0xDFFF < code <= 0x10FFFF


def lex_query_text(text: str, pos: int) -> tuple[Token, Mistake | None]:
    """Reads a text in `'` (a `STRING`) or a name in `"` (a `NAME`) of a query, where a doubled quote stands for one."""
    quote = text[pos]
    kind = "STRING" if quote == "'" else "NAME"
    match = _QUERY_TEXT.match(text, pos)
    if match is None:
        rest = _REST_OF_LINE.match(text, pos)
        what = "a text" if kind == "STRING" else "a quoted name"
        label = "opened here and unclosed on this line"
        if text.startswith('""', pos):
            return Token("NAME", pos, pos + 2, ""), Mistake("E0103", "a name is empty", Span(pos, pos + 2))
        return Token(kind, pos, rest.end() if rest else pos + 1, ""), Mistake(
            "E0103", f"{what} is never closed", Span(pos, pos + 1), label
        )
    return Token(kind, pos, match.end(), match.group()[1:-1].replace(quote * 2, quote)), None
