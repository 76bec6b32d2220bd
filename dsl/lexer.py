"""Cuts a study into tokens, one list for each statement at the left margin.

For: layout (indentation, brackets over several lines, comments), numbers, texts, and telling key words from names
(`tokens` has the rules). Since a broken statement ends where the next one starts at the left margin, `parse` can
report an error in each.
Leaves to others: the dialect of queries (`lexer_query`), and the order of the tokens (`grammar.lark`).

Layout is Python's: a line's indentation is equal to that of its block, or begins with it and is longer, or is that of
an enclosing block; blank lines, comments and lines within brackets do not count.
"""

import re
from dataclasses import dataclass, field

from dsl.diagnostics import Reporter
from dsl.lexer_query import lex_query
from dsl.literals import lex_number, lex_text
from dsl.source import Span
from dsl.tokens import AFTER_OPERAND, CLOSES, KEYWORDS, NAME, OPENING_KEYWORDS, OPERAND_ENDS, SIGNS, Token, Value

_SPACE = re.compile(r"(?:[ \t\f\ufeff]|\\(?:\r\n|\n|\r))+")
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANK = re.compile(r"[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\n|\r|\Z)")
_INDENT = re.compile(r"[ \t\f]*")
_COMMENT = re.compile(r"#[^\r\n]*")
_SIGN = re.compile("|".join(re.escape(s) for s in sorted(SIGNS, key=len, reverse=True)))
_NAME_FOLLOWS = re.compile(r"[ \t]+[^\W\d]")
_STORES = re.compile(r"[ \t]+[^=\r\n].*\bas[ \t]+[^\W\d]\w*[ \t]*(?:#|\r|\n|\Z)")
_TEXT_FOLLOWS = re.compile(r"[ \t]*['\"]")
_OPENS_BRACKET = re.compile(r"[ \t]*\(")
_QUERY_HEAD = re.compile(r"query[ \t]+[^\W\d]")
_STATEMENT = re.compile(r"(?:party|param|input|table|query|def|reveal|import|assert|store)[ \t]+[^\W\d]")
_MARGIN_STATEMENT = re.compile(_STATEMENT.pattern + r"|[^\W\d]\w*[ \t]*[-+*/]?=(?!=)|(?:for|if|from)[ \t]+[^\W\d]")
_CONTINUES = re.compile(r"(?:elif|else)\b")
_STRANGE = re.compile(r"===|!==|&&|\|\||:=|->|=>|<>|<<|>>|\^|&|\||~|!|;|\{|\}|\$|`|\S")

_BLOCK_HEADS = frozenset({"IF", "ELIF", "ELSE", "FOR", "DEF", "TABLE", "QUERY"})
_PYTHON_VALUES = {
    "True": "write `true`",
    "False": "write `false`",
    "None": "a missing value is `null`, in queries only",
}

_HINTS = {
    "===": "equality is `==`",
    "!==": "inequality is `!=`",
    "<>": "outside queries inequality is `!=`",
    "&&": "write `and`",
    "||": "write `or`",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`",
    "~": "write `not`",
    "^": "a power is `x ** 2`",
    ":=": "assign on a line of its own: `x = e`",
    "->": "a function states no types: `def f(x):`",
    ";": "one statement a line",
    "{": "blocks are indented, and there are no sets or dictionaries",
    "}": "blocks are indented, and there are no sets or dictionaries",
}


MAX_RETRIES = 20  # each may read the rest of the text once more


@dataclass(slots=True)
class Chunk:
    """The tokens of one statement at the left margin, and whether an error in it was already reported."""

    tokens: list[Token] = field(default_factory=list)
    bad: bool = False


def lex(reporter: Reporter) -> list[Chunk]:
    """Cuts the reporter's source into statements; what cannot be cut is reported there."""
    lexer = _Lexer(reporter)
    lexer.run()
    return [chunk for chunk in lexer.chunks if chunk.tokens or chunk.bad]


class _Lexer:
    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.text = reporter.source.text
        self.pos = 0
        self.chunks = [Chunk()]
        self.indents = [""]
        self.brackets: list[Token] = []
        self.query_end = 0
        self.retries = MAX_RETRIES

    # ------------------------------------------------------------------------------------------------- lines

    def run(self) -> None:
        """Reads all lines."""
        self.pos = len("\ufeff") if self.text.startswith("\ufeff") else 0
        while self.pos < len(self.text):
            blank = _BLANK.match(self.text, self.pos)
            if blank:
                if blank.end() == self.pos:
                    break
                self.pos = blank.end()
            else:
                self.start_line()
                self.read_line()
        self.close_blocks(0)

    def start_line(self) -> None:
        """Compares the indentation of a line that has something on it with the blocks that are open."""
        match = _INDENT.match(self.text, self.pos)
        indent = match.group() if match else ""
        start, self.pos = self.pos, self.pos + len(indent)
        span = Span(start, self.pos)
        opened = self.last_type(1) == "COLON"
        if indent == self.indents[-1]:
            if opened:
                self.expected_block()
        elif indent.startswith(self.indents[-1]):
            if opened or self.line_head() in _BLOCK_HEADS:
                self.emit("_INDENT", start, self.pos, indent)  # without its `:` the parser says what is missing
            elif not self.chunk.bad:
                self.fail("E0102", "a line is indented without a reason", span, "more than the line before it")
            self.indents.append(indent)
        elif indent in self.indents:
            if opened:
                self.expected_block()
            self.close_blocks(self.indents.index(indent))
        elif not self.chunk.bad:
            self.wrong_indent(indent, span)
        if indent == "" and not _CONTINUES.match(self.text, self.pos):
            self.chunks.append(Chunk())

    def wrong_indent(self, indent: str, span: Span) -> None:
        """Reports an indentation that belongs to no open block."""
        if "\t" in indent + self.indents[-1]:
            label = "spaces and tabs do not line up with the lines above"
            self.fail("E0102", "tabs and spaces are mixed", span, label, "indent every line with four spaces")
        else:
            label = f"{len(indent)} spaces; the blocks here have {', '.join(str(len(i)) for i in self.indents)}"
            self.fail("E0102", "the indentation fits no block", span, label)

    def expected_block(self) -> None:
        """Reports that a line ends with `:` and nothing is indented below it."""
        if not self.chunk.bad:
            colon = self.chunk.tokens[-2]
            span = Span(colon.start, colon.end)
            self.fail("E0102", "an indented block is missing", span, "the lines after this belong to it, indented")

    def close_blocks(self, keep: int) -> None:
        """Ends the blocks deeper than `keep`."""
        while len(self.indents) > keep + 1:
            self.indents.pop()
            self.emit("_DEDENT", self.pos, self.pos, "")
        if self.pos >= len(self.text) and self.last_type(1) == "COLON":
            self.expected_block()

    def read_line(self) -> None:
        """Reads one logical line, which goes on while a bracket is open."""
        text = self.text
        head = _QUERY_HEAD.match(text, self.pos)
        if head:
            self.query_end = self.end_of_body(head.start())
        first = True
        while self.pos < len(text):
            space = _SPACE.match(text, self.pos) or _COMMENT.match(text, self.pos)
            if space:
                self.pos = space.end()
                continue
            end = _LINE_END.match(text, self.pos)
            if end:
                if not self.brackets:
                    break
                self.pos = end.end()
                if _STATEMENT.match(text, self.pos):
                    break
                continue
            self.token(first)
            first = False
            if head and self.last_type(0) == "COLON":
                self.read_query()
                break
        if self.brackets:
            self.unclosed()
        self.emit("_NEWLINE", self.pos, self.pos, "")
        end = _LINE_END.match(text, self.pos)
        if end:
            self.pos = end.end()

    # ---------------------------------------------------------------------------------------------- brackets

    def unclosed(self) -> None:
        """Reports the bracket that is open at the end, and goes on after the statement that it stands in."""
        opening = self.brackets[0]
        if not self.chunk.bad:
            span = Span(opening.start, opening.end)
            self.fail("E0103", f"`{opening.value}` is never closed", span, "opened here and unclosed")
        self.brackets.clear()
        if self.pos >= len(self.text) and self.retries:
            self.retries -= 1
            line = self.reporter.source.position(opening.start).line
            for start in self.reporter.source.starts[line:]:
                if _MARGIN_STATEMENT.match(self.text, start):
                    self.pos = start
                    break

    def bracket(self, token: Token) -> None:
        """Keeps track of the brackets that are open."""
        if token.value in CLOSES.values():
            self.brackets.append(token)
        elif token.value in CLOSES:
            if not self.brackets:
                span = Span(token.start, token.end)
                self.fail("E0103", f"`{token.value}` closes nothing", span, "no bracket is open here")
                return
            opening = self.brackets.pop()
            if opening.value != CLOSES[str(token.value)]:
                message = f"`{token.value}` does not close `{opening.value}`"
                opened = (Span(opening.start, opening.end), "opened here")
                self.chunk.bad = True
                self.reporter.error("E0103", message, Span(token.start, token.end), secondary=[opened])

    # ------------------------------------------------------------------------------------------------ queries

    def end_of_body(self, start: int) -> int:
        """Where a query that starts at `start` ends: before the first line that is indented no more than it is."""
        source = self.reporter.source
        line = source.position(start).line
        width = start - source.starts[line - 1]
        for begin in source.starts[line:]:
            if not _BLANK.match(self.text, begin):
                match = _INDENT.match(self.text, begin)
                if match is None or len(match.group()) <= width:
                    return begin
        return len(self.text)

    def read_query(self) -> None:
        """Reads the select of a query, which ends where the indentation does."""
        end = self.query_end
        tokens, ok = lex_query(self.reporter, self.pos, end)
        if not tokens and ok:
            self.expected_block_of_query()
        self.chunk.tokens += tokens
        self.chunk.bad = self.chunk.bad or not ok
        while end > self.pos and self.text[end - 1] in " \t\f\r\n":
            end -= 1
        self.pos = end

    def expected_block_of_query(self) -> None:
        colon = self.chunk.tokens[-1]
        self.fail("E0102", "a query has no select", Span(colon.start, colon.end), "an indented `select` belongs here")

    # ------------------------------------------------------------------------------------------------- tokens

    @property
    def chunk(self) -> Chunk:
        return self.chunks[-1]

    def last_type(self, back: int) -> str:
        """The kind of the token `back` before the last one of this chunk, or nothing."""
        tokens = self.chunk.tokens
        return tokens[-1 - back].type if len(tokens) > back else ""

    def line_head(self) -> str:
        """The kind of the first token on the last line of this chunk."""
        tokens = self.chunk.tokens
        at = len(tokens) - 1
        while at > 0 and tokens[at - 1].type not in {"_NEWLINE", "_INDENT", "_DEDENT"}:
            at -= 1
        return tokens[at].type if tokens else ""

    def emit(self, kind: str, start: int, end: int, value: Value) -> None:
        self.chunk.tokens.append(Token(kind, start, end, value))

    def fail(self, code: str, message: str, span: Span, label: str = "", hint: str = "") -> None:
        """Reports an error; the statement is not looked at further."""
        self.chunk.bad = True
        self.reporter.error(code, message, span, label, helps=[hint] if hint else [])

    def token(self, first: bool) -> None:
        """Reads one token; `first` says that it starts a statement."""
        text, pos = self.text, self.pos
        word = NAME.match(text, pos)
        if word:
            self.word(word.group(), word.end(), first)
            return
        c = text[pos]
        if c.isdecimal() or (c == "." and text[pos + 1 : pos + 2].isdecimal() and self.last_type(0) != "DOTDOT"):
            token, mistake = lex_number(text, pos)
        elif c in "'\"":
            token, mistake = lex_text(text, pos)
            if first and _BLANK.match(text, token.end):
                token = token._replace(type="DOCSTRING")
        else:
            self.sign()
            return
        self.pos = token.end
        self.chunk.tokens.append(token)
        if mistake:
            self.chunk.bad = True
            self.reporter.add(mistake.at(self.reporter.source))

    def word(self, word: str, end: int, first: bool) -> None:
        """Reads a word: a key word where it can be one, otherwise a name."""
        text, kind = self.text, "NAME"
        after_operand = self.last_type(0) in OPERAND_ENDS
        if self.last_type(0) == "DOT":
            pass
        elif text[end : end + 1] in {"'", '"'} and word != "date":
            self.prefixed_text(word, end)
        elif word in _PYTHON_VALUES:
            self.fail("E0105", f"`{word}` is not in the language", Span(self.pos, end), "", _PYTHON_VALUES[word])
        elif word in KEYWORDS:
            kind = KEYWORDS[word]
        elif first and word == "reveal":
            kind = "REVEAL"
        elif first and word == "store" and _STORES.match(text, end):
            kind = "STORE"
        elif (first and word in OPENING_KEYWORDS and _NAME_FOLLOWS.match(text, end)) or (
            first and word == "unique" and self.in_table() and _OPENS_BRACKET.match(text, end)
        ):
            kind = OPENING_KEYWORDS.get(word, "UNIQUE")
        elif (after_operand and word in AFTER_OPERAND) or (word == "in" and self.after_not()):
            kind = AFTER_OPERAND[word]
        elif word == "date" and _TEXT_FOLLOWS.match(text, end):
            kind = "DATE"
        self.emit(kind, self.pos, end, word)
        self.pos = end

    def after_not(self) -> bool:
        """Whether a `not` right after an operand was read last, as in `x not in (1, 2)`."""
        return self.last_type(0) == "NOT" and self.last_type(1) in OPERAND_ENDS

    def in_table(self) -> bool:
        """Whether the statement being read is a table."""
        return bool(self.chunk.tokens) and self.chunk.tokens[0].type == "TABLE"

    def prefixed_text(self, word: str, end: int) -> None:
        """Reports a letter before a text, which is Python's but not ours."""
        hint = "texts are written whole; `reveal` shows values by name" if "f" in word.lower() else "leave it out"
        message = f"`{word}` before a text is not in the language"
        self.fail("E0105", message, Span(self.pos, end), "a text has no prefix", hint)

    def sign(self) -> None:
        """Reads a sign of one to three characters."""
        match = _SIGN.match(self.text, self.pos)
        strange = _STRANGE.match(self.text, self.pos)
        if strange and (match is None or len(strange.group()) > len(match.group())):
            sign = strange.group()
            span = Span(self.pos, self.pos + len(sign))
            self.pos = span.end
            hint = _HINTS.get(sign, "")
            if sign == "}" and self.chunk.bad:
                return
            message = f"`{sign}` is not in the language" if sign.isprintable() else "a character that has no place here"
            self.fail("E0105" if hint else "E0101", message, span, "", hint)
            return
        if match is None:
            self.pos += 1
            return
        token = Token(SIGNS[match.group()], self.pos, match.end(), match.group())
        self.chunk.tokens.append(token)
        self.pos = match.end()
        self.bracket(token)
