"""Cuts the select of a query into tokens.

For: the dialect of queries: key words in either case, `"quoted names"`, `=` and `<>`, no layout.
Leaves to others: where a query starts and ends (`lexer`), and the order of the tokens (`grammar.lark`).

A word that could also be a column's name is a key word only where that is certain: `left` before `join`, `date`
before a text, `asc` after an operand, `end` within `case`, and so on. A quoted name is never a key word.
"""

import re

from dsl.diagnostics import Reporter
from dsl.literals import lex_number, lex_query_text
from dsl.source import Span
from dsl.tokens import (
    CLOSES,
    NAME,
    OPERAND_ENDS,
    QUERY_FUNCTIONS,
    QUERY_KEYWORDS,
    QUERY_SIGNS,
    SIGNS,
    Token,
)

_SPACE = re.compile(r"(?:[\s\ufeff]+|#[^\r\n]*)+")
_SIGN = re.compile(r"\.\s*\*|\|\||<>|!=|==|<=|>=|\*\*|//|[-+*/%(),.<>=]")
_STRANGE = re.compile(r"&&|===|:=|\S")
_GAP = r"(?:\s|#[^\r\n]*(?:\r\n|\n|\r))"
_REST_OF_LINE = re.compile(r"[^\r\n]*")
_BY = re.compile(rf"{_GAP}+by\b", re.IGNORECASE)
_JOIN = re.compile(rf"{_GAP}+(?:outer{_GAP}+)?join\b", re.IGNORECASE)
_ANY_JOIN = re.compile(rf"{_GAP}+(?:(?:left|right|full|inner){_GAP}+)?(?:outer{_GAP}+)?join\b", re.IGNORECASE)
_NEXT_SELECT = re.compile(rf"{_GAP}*(?:(?:all|distinct)\b)?(?:\(|{_GAP})*(?:select|with)\b", re.IGNORECASE)
_NULLS = re.compile(rf"{_GAP}+(first|last)\b", re.IGNORECASE)
_TEXT = re.compile(rf"{_GAP}*'")
_AMOUNT = re.compile(rf"{_GAP}*['0-9]")
_OPENS = re.compile(rf"{_GAP}*\(")
_VALUE = re.compile(rf"{_GAP}+['\"\w(.-]")

_KEY_ENDS = frozenset({"ASC", "DESC", "NULLS_FIRST", "NULLS_LAST"})
"""Kinds after which a key of `order by` is complete."""
_FRAME = re.compile(
    rf"(?:rows|range|groups){_GAP}+(?:(?:between{_GAP}+)?(?:unbounded|current|[0-9]+|interval)\b)[^()#'\"]*(?=\))",
    re.IGNORECASE,
)
_SELECT = re.compile(rf"{_GAP}*\((?:\(|{_GAP})*(?:select|with)\b", re.IGNORECASE)
_WHERE = re.compile(rf"{_GAP}*\({_GAP}*where\b", re.IGNORECASE)
_BODY_ENDS = _KEY_ENDS | {"STAR", "DOTSTAR"}
"""Kinds, beside those of an operand, after which a select may be complete."""

_HINTS = {
    ";": "a query is one select, without `;`",
    "&&": "write `and`",
    "===": "equality is `=`",
    "[": 'a name with spaces stands in `"`',
    "`": 'a name is quoted with `"`',
}


def lex_query(reporter: Reporter, start: int, end: int) -> tuple[list[Token], bool]:
    """The tokens between two offsets, and whether all was well; what was not is reported."""
    lexer = _QueryLexer(reporter, start, end)
    lexer.run()
    return lexer.tokens, lexer.ok


class _QueryLexer:
    def __init__(self, reporter: Reporter, start: int, end: int) -> None:
        self.reporter = reporter
        self.text = reporter.source.text[:end]
        self.pos = start
        self.tokens: list[Token] = []
        self.ok = True
        self.brackets: list[Token] = []
        self.cases = 0
        self.overs = 0

    def run(self) -> None:
        """Reads all tokens."""
        while True:
            space = _SPACE.match(self.text, self.pos)
            if space:
                self.pos = space.end()
            if self.pos >= len(self.text):
                break
            self.token()
        if self.brackets:
            opening = self.brackets[0]
            span = Span(opening.start, opening.end)
            self.fail("E0103", f"`{opening.value}` is never closed", span, "opened here and unclosed")

    def fail(self, code: str, message: str, span: Span, label: str = "", hint: str = "") -> None:
        if self.ok:
            self.reporter.error(code, message, span, label, helps=[hint] if hint else [])
        self.ok = False

    def last(self) -> str:
        """The kind of the last token."""
        return self.tokens[-1].type if self.tokens else ""

    def token(self) -> None:
        """Reads one token."""
        text, pos = self.text, self.pos
        word = NAME.match(text, pos)
        if word:
            self.word(word.group(), word.end())
            return
        c = text[pos]
        if c in "'\"":
            token, mistake = lex_query_text(text, pos)
        elif c.isdecimal() or (c == "." and text[pos + 1 : pos + 2].isdecimal()):
            token, mistake = lex_number(text, pos)
        else:
            self.sign()
            return
        self.tokens.append(token)
        self.pos = token.end
        if mistake:
            self.fail(mistake.code, mistake.message, mistake.span, mistake.label, "".join(mistake.helps[:1]))

    def sign(self) -> None:
        """Reads a sign."""
        pos = self.pos
        match, strange = _SIGN.match(self.text, pos), _STRANGE.match(self.text, pos)
        if self.text.startswith("--", pos):
            line_end = _REST_OF_LINE.match(self.text, pos)
            self.pos = line_end.end() if line_end else pos + 2
            self.fail("E0105", "`--` does not start a comment", Span(pos, pos + 2), "", "a comment starts with `#`")
        elif match is None or (strange and len(strange.group()) > len(match.group())):
            sign = strange.group() if strange else self.text[pos]
            self.pos += len(sign)
            hint = _HINTS.get(sign, "")
            message = (
                f"`{sign}` has no place in a query" if sign.isprintable() else "a character that has no place here"
            )
            self.fail("E0601", message, Span(pos, self.pos), "", hint)
        else:
            sign = match.group()
            self.pos = match.end()
            self.tokens.append(Token(_kind_of_sign(sign), pos, self.pos, sign))
            self.bracket(self.tokens[-1])

    def bracket(self, token: Token) -> None:
        """Keeps track of the brackets that are open."""
        if token.value == "(":
            self.brackets.append(token)
        elif token.value in CLOSES and not self.brackets:
            self.fail(
                "E0103", f"`{token.value}` closes nothing", Span(token.start, token.end), "no bracket is open here"
            )
        elif token.value in CLOSES:
            self.brackets.pop()

    def word(self, word: str, end: int) -> None:
        """Reads a word: a key word where it can be one, otherwise a name."""
        start, lower = self.pos, word.lower()
        kind, value = "NAME", word
        if self.last() != "DOT":
            kind = self.kind(lower, end)
            if kind == "NAME" and lower in QUERY_FUNCTIONS and _OPENS.match(self.text, end):
                value = lower
            match = _BY.match(self.text, end) if kind in {"GROUP", "ORDER", "PARTITION"} else None
            match = _FRAME.match(self.text, start) if kind == "FRAME" else match
            match = _NULLS.match(self.text, end) if kind.startswith("NULLS") else match
            end = match.end() if match else end
        value = self.text[start:end] if kind == "FRAME" else value if kind == "NAME" else lower
        self.tokens.append(Token(kind, start, end, value))
        self.pos = end

    def kind(self, word: str, end: int) -> str:
        """The kind of a word in lower case that ends at `end`."""
        text, last = self.text, self.last()
        if word == "in" and [t.value for t in self.tokens[-3:-1]] == ["position", "("]:
            return "WITHIN"
        if word in QUERY_KEYWORDS:
            self.cases += word == "case"
            return QUERY_KEYWORDS[word]
        if (word in {"group", "order"} or (word == "partition" and last == "LPAR")) and _BY.match(text, end):
            return word.upper()
        if word in {"rows", "range", "groups"} and self.overs and _FRAME.match(text, end - len(word)):
            return "FRAME"
        if word in {"any", "some", "all"} and last == "COMPARE" and _SELECT.match(text, end):
            return "ALL" if word == "all" else "ANY"
        if word == "over" and last == "RPAR" and _OPENS.match(text, end):
            self.overs += 1
            return "OVER"
        if word in {"left", "right", "full", "inner", "cross"} and _JOIN.match(text, end):
            return word.upper()
        if word == "natural" and _ANY_JOIN.match(text, end):
            return "NATURAL"
        after_operand = last in OPERAND_ENDS
        nulls = _NULLS.match(text, end) if word == "nulls" and (after_operand or last in {"ASC", "DESC"}) else None
        if nulls:
            return f"NULLS_{nulls.group(1).upper()}"
        if (
            (word == "outer" and last in {"LEFT", "RIGHT", "FULL"})
            or (word == "filter" and last == "RPAR" and _WHERE.match(text, end))
            or (word == "using" and after_operand and _OPENS.match(text, end))
            or (word == "all" and last in {"UNION", "INTERSECT", "EXCEPT"})
            or (
                word in {"intersect", "except"}
                and (after_operand or last in _BODY_ENDS)
                and _NEXT_SELECT.match(text, end)
            )
            or (word in {"asc", "desc"} and after_operand)
            or (
                word in {"limit", "offset", "bounded"}
                and (after_operand or last in _KEY_ENDS)
                and _VALUE.match(text, end)
            )
            or (word == "escape" and after_operand and _TEXT.match(text, end))
            or (word == "date" and _TEXT.match(text, end))
            or (word == "interval" and _AMOUNT.match(text, end))
            or (word == "exists" and _OPENS.match(text, end))
            or (word == "for" and after_operand and self.brackets)
        ):
            return word.upper()
        if self.cases and word in {"when", "then", "else", "end"}:
            self.cases -= word == "end"
            return word.upper()
        return "NAME"


def _kind_of_sign(sign: str) -> str:
    if sign[0] == "." and sign[-1] == "*":
        return "DOTSTAR"
    return QUERY_SIGNS.get(sign) or SIGNS[sign]
