"""Says in words why a statement cannot be read.

For: `explain`, from the place where the parser stopped and what it would have taken there to a diagnostic, with a help
where the mistake is a common one: other languages' words, `=` for `==`, a missing `:`, `to` or `from`; `foreign`, what
to write for such a word.
Leaves to others: finding the place (`parse`), and mistakes within a token or in the layout (`lexer`, `literals`).
"""

from dsl.diagnostics import Diagnostic
from dsl.source import Source, Span
from dsl.tokens import (
    AFTER_OPERAND,
    KEYWORDS,
    OPENING_KEYWORDS,
    OPERAND_ENDS,
    QUERY_KEYWORDS,
    WORDS,
    Token,
)

_FOREIGN = {
    "while": "loops have public bounds: `for i in range(n):`",
    "class": "a study has functions, tables and arrays; there are no classes",
    "try": "there are no exceptions; `assert c, 'text'` ends the job",
    "except": "there are no exceptions; `assert c, 'text'` ends the job",
    "raise": "there are no exceptions; `assert false, 'text'` ends the job",
    "with": "`with` belongs to a `reveal`: `reveal q to p with laplace(epsilon=1.0)`",
    "switch": "write `if … elif … else`",
    "match": "write `if … elif … else`",
    "let": "assign without a word before: `x = e`",
    "var": "assign without a word before: `x = e`",
    "const": "assign without a word before: `x = e`; a setting is `param x: int = 1`",
    "fn": "a function starts with `def`",
    "func": "a function starts with `def`",
    "function": "a function starts with `def`",
    "async": "a function starts with `def`; who waits for whom is the engine's matter",
    "await": "who waits for whom is the engine's matter: leave it out",
    "yield": "a function gives its value with `return`",
    "global": "a function returns what it changes: `x = f(x)`",
    "nonlocal": "a function returns what it changes: `x = f(x)`",
    "del": "values need not be deleted: leave it out",
    "break": "loops have public bounds and run to their end; choose with `a if c else b`",
    "continue": "loops run to their end; put the rest of the body under `if`",
    "print": "results are shown by `reveal x to party`",
    "select": "a select belongs to a query: `query q:` and the select indented below it",
    "elsif": "write `elif`",
    "elseif": "write `elif`",
    "output": "results are shown by `reveal x to party`",
    "parties": "write `party a, b, c`",
    "include": "write `import ml`",
    "using": "write `import ml`",
}


def foreign(word: str) -> str:
    """What to write for a word that other languages have; nothing for any other word."""
    return _FOREIGN.get(word, "")


_VALUE_WORDS = {
    "lambda": "name the function: `def f(x): return …`",
    "await": _FOREIGN["await"],
}
_QUERY_WORDS = {
    "like": "match texts in a query: `select id from t where name like 'A%'`",
    "ilike": "match texts in a query: `select id from t where name ilike 'a%'`",
    "between": "write both limits: `low <= x and x <= high`",
    "when": "write `a if c else b`",
}
_HEADS = {"IF": "if", "ELIF": "elif", "ELSE": "else", "FOR": "for", "DEF": "def", "TABLE": "table", "QUERY": "query"}
_DECLARATIONS = {"PARTY", "PARAM", "INPUT", "TABLE", "QUERY", "DEF", "IMPORT", "FROM"}
_EXPRESSION = {"NAME", "NUMBER", "STRING", "LPAR", "MINUS"}
_OPERATORS = (
    "PLUS MINUS STAR TIMES POW COMPARE AND OR IF DOT LPAR LSQB IN BETWEEN LIKE IS NOT DOTDOT AUGMENT _COMMA EQUAL IF"
)
_GOES_ON = frozenset(_OPERATORS.split())
_NOT_SAID = {"QMARK", "DOCSTRING", "_DEDENT", "ALL"}
_ALL_WORDS = frozenset(KEYWORDS.values()) | frozenset(QUERY_KEYWORDS.values())


def explain(tokens: list[Token], at: int, accepted: set[str], source: Source) -> Diagnostic:
    """What is wrong at token `at` of a statement, where one of the kinds `accepted` could have stood."""
    place = _Place(tokens, at, accepted, source)
    return place.in_query() if place.is_query else place.in_statement()


class _Place:
    """Where the parser stopped."""

    def __init__(self, tokens: list[Token], at: int, accepted: set[str], source: Source) -> None:
        self.tokens, self.at, self.accepted, self.source = tokens, at, accepted, source
        self.found = tokens[at]
        self.before = tokens[at - 1] if at else None
        self.line = self.line_tokens()
        self.head = self.line[0] if self.line else self.found
        colon = next((i for i, t in enumerate(tokens) if t.type == "COLON"), len(tokens))
        self.is_query = tokens[0].type == "QUERY" and at > colon

    def line_tokens(self) -> list[Token]:
        """The tokens of the statement's line up to the one found."""
        start = self.at
        while start and self.tokens[start - 1].type not in {"_NEWLINE", "_INDENT", "_DEDENT"}:
            start -= 1
        return self.tokens[start : self.at]

    def diagnostic(
        self, code: str, message: str, token: Token | None = None, label: str = "", help_: str = ""
    ) -> Diagnostic:
        """An error at a token, by default at the one found."""
        token = token or self.found
        helps = (help_,) if help_ else ()
        return Diagnostic(code, message, self.span(token), label, (), helps, self.source)

    def span(self, token: Token) -> Span:
        """Where a token stands; the end of a line is shown right after the last token on it."""
        if token.type in {"_NEWLINE", "$END", "_DEDENT"}:
            before = [t for t in self.tokens[: self.at] if t.end > t.start and t.type != "_INDENT"]
            if before:
                return Span(before[-1].end, before[-1].end)
        return Span(token.start, token.end)

    def written(self, token: Token) -> str:
        """A token as messages name it."""
        if token.type in {"_NEWLINE", "$END", "_INDENT", "_DEDENT"}:
            return "the query ends" if self.is_query else "the line ends"
        text = self.source.excerpt(self.span(token))
        return f"`{text if len(text) <= 30 else text[:29] + '…'}`"

    # ------------------------------------------------------------------------------------------ statements

    def in_statement(self) -> Diagnostic:
        """What is wrong outside a query."""
        return (
            self.foreign_word()
            or self.wrong_equals()
            or self.misplaced()
            or self.missing_word()
            or self.reserved(AFTER_OPERAND | OPENING_KEYWORDS | KEYWORDS)
            or self.unexpected("E0101")
        )

    def foreign_word(self) -> Diagnostic | None:
        """Words and forms of other languages."""
        head, found = self.head, self.found
        if head.type == "NAME" and head.value in _FOREIGN and head is not found:
            return self.diagnostic(
                "E0105", f"`{head.value}` is not in the language", head, "", _FOREIGN[str(head.value)]
            )
        if head.type == "ELSE" and found.type == "IF":
            return self.diagnostic("E0105", "`else if` is not in the language", found, "", "write `elif`")
        words = {str(t.value): t for t in [*self.line[-2:], found] if t.type == "NAME"}
        for word, help_ in _VALUE_WORDS.items():
            if word in words:
                return self.diagnostic("E0105", f"`{word}` is not in the language", words[word], "", help_)
        ternary = "write `a if c else b`"
        if found.type == "IF" and self.before and self.before.type not in OPERAND_ENDS:
            return self.diagnostic("E0105", "`if` does not come before its value", found, "", ternary)
        if found.type == "QMARK" and self.before and self.before.type in OPERAND_ENDS and self.head.type == "NAME":
            return self.diagnostic("E0105", "`? :` is not in the language", found, "", ternary)
        if found.type == "FOR" and self.before and self.before.type in OPERAND_ENDS:
            help_ = "operations work on whole arrays: `x * 2` doubles every entry"
            return self.diagnostic("E0105", "comprehensions are not in the language", found, "", help_)
        if found.type == "NAME" and found.value == "is":
            after = {str(t.value).lower() for t in self.tokens[self.at + 1 : self.at + 3]}
            help_ = "take another value where one is missing: `coalesce(x, 0)`" if "null" in after else ""
            return self.diagnostic("E0105", "`is` is not in the language", found, "", help_ or "equality is `==`")
        word = str(found.value).lower() if found.type == "NAME" else ""
        if word in _QUERY_WORDS and self.before and self.before.type in OPERAND_ENDS | {"NOT"}:
            return self.diagnostic("E0105", f"`{word}` is a word of queries", found, "", _QUERY_WORDS[word])
        star = self.before if self.before and self.before.type == "STAR" else found
        opening = self.tokens[self.at - (2 if star is self.before else 1)].type if self.at > 1 else ""
        if star.type in {"STAR", "POW"} and opening in {"LPAR", "_COMMA"}:
            return self.diagnostic("E0105", f"`{star.value}` spreads nothing", star, "", "write each argument")
        if found.type == "STAR" and self.before and self.before.type == "IMPORT":
            help_ = "every name is imported by itself: `from stats import mean, median`"
            return self.diagnostic("E0105", "`import *` is not in the language", found, "", help_)
        if found.type == "_NEWLINE" and self.before and self.before.type in {"PLUS", "MINUS"}:
            sign = str(self.before.value)
            if len(self.line) > 1 and self.line[-2].type == self.before.type:
                help_ = f"write `{self.line[0].value} {sign}= 1`"
                return self.diagnostic("E0105", f"`{sign}{sign}` is not in the language", self.before, "", help_)
        return None

    def wrong_equals(self) -> Diagnostic | None:
        """`=` where it cannot stand."""
        if self.found.type == "EQUAL" and len(self.line) == 1 and self.head.type in _ALL_WORDS:
            message = f"`{self.head.value}` is a word of the language and cannot be a name"
            return self.diagnostic("E0101", message, self.head, "", "choose another name")
        if self.found.type == "EQUAL":
            if self.head.type in {"IF", "ELIF", "ASSERT", "REVEAL", "RETURN"}:
                return self.diagnostic("E0105", "`=` does not compare", None, "", "a comparison is `==`")
            if any(t.type == "EQUAL" for t in self.line):
                message = "one `=` a statement" if self.head.type != "PARAM" else "one default a parameter"
                return self.diagnostic("E0105", message, None, "", "assign each name on a line of its own")
        if self.found.type == "COLON" and len(self.line) == 1 and self.head.type == "NAME":
            name = self.head.value
            if name in {"try", "else", "finally"}:
                return None
            help_ = f"a variable gets its type from its value: `{name} = …`; a setting is `param {name}: int = 1`"
            return self.diagnostic("E0105", "a variable states no type", None, "", help_)
        if self.found.type == "COLON" and self.head.type == "DEF":
            return self.diagnostic(
                "E0105", "a parameter states no type", None, "", "a function is checked at each call"
            )
        return None

    def misplaced(self) -> Diagnostic | None:
        """Statements that stand where they cannot."""
        if self.found.type in _DECLARATIONS and not self.line and self.at:
            word = self.found.value
            if self.tokens[0].type == "TABLE":
                return self.diagnostic(
                    "E0101", f"`{word}` has no place in a table", None, "", "a column is `name: type`"
                )
            return self.diagnostic("E0101", f"`{word}` stands at the left margin only", None, "", "")
        if self.found.type in {"ELIF", "ELSE"} and not self.line:
            help_ = "it belongs right after the body of an `if`, indented like it"
            return self.diagnostic("E0101", f"`{self.found.value}` without `if`", None, "", help_)
        if self.found.type == "_INDENT":
            label = "more than the line before it"
            return self.diagnostic("E0102", "a line is indented without a reason", self.found, label)
        if self.found.type == "DOCSTRING":
            return self.diagnostic("E0101", "a text on its own does nothing", None, "", "a comment starts with `#`")
        return None

    def missing_word(self) -> Diagnostic | None:
        """The `:`, `to`, `from` or default that a statement needs."""
        head = self.head.type
        at = self.written(self.found)
        before = f"before {at}" if at[0] == "`" else "at the end of the line"
        if self.before and self.before.type in OPERAND_ENDS | {"ELSE"}:
            if head in _HEADS and "COLON" in self.accepted and self.found.type in {"_NEWLINE", "$END"}:
                return self.diagnostic("E0101", f"`:` is missing {before}", None, f"`{_HEADS[head]}` ends with `:`")
            if head == "REVEAL" and "TO" in self.accepted:
                help_ = "say who learns it: `reveal x to bank`, or `to all`"
                return self.diagnostic("E0101", f"`to` is missing {before}", None, "", help_)
            if head in {"INPUT", "TABLE"} and "FROM" in self.accepted:
                word = str(self.head.value)
                help_ = f"say who brings it: `{word} x{': fixed' if word == 'input' else ''} from bank`"
                return self.diagnostic("E0101", f"`from` is missing {before}", None, "", help_)
            if head == "PARAM" and "EQUAL" in self.accepted and self.found.type == "_NEWLINE":
                return self.diagnostic("E0101", "a parameter needs a default", None, "", "`param epochs: int = 5`")
            if head in {"PARAM", "INPUT"} and self.accepted == {"COLON"}:
                help_ = f"write `{self.head.value} {self.before.value}: fixed …`"
                return self.diagnostic("E0101", f"`:` and a type are missing {before}", None, "", help_)
        if head == "INPUT" and self.found.type == "_COMMA" and any(t.type == "FROM" for t in self.line):
            help_ = "write an input for each party and put them together: `concat(x_north, x_south)`"
            return self.diagnostic("E0101", "an input comes from one party", None, "", help_)
        return None

    def reserved(self, words: dict[str, str]) -> Diagnostic | None:
        """A key word where a name should stand."""
        found = self.found
        is_word = found.type in _ALL_WORDS and str(found.value).lower() in words
        if "NAME" not in self.accepted or not is_word or (self.before and self.before.type in OPERAND_ENDS):
            return None
        message = f"`{found.value}` is a word of the language and cannot be a name"
        if self.is_query:
            return self.diagnostic("E0601", message, None, "", f'quote it: `"{self.source.excerpt(self.span(found))}"`')
        return self.diagnostic("E0101", message, None, "", "choose another name")

    def unexpected(self, code: str) -> Diagnostic:
        """The general message: what was found and what could have stood there."""
        expected = self.expected()
        found = self.written(self.found)
        ends = found[0] != "`"
        message = f"{found} too early" if ends else f"{found} has no place here"
        return self.diagnostic(code, message, None, f"expected {expected}" if expected else "")

    def expected(self) -> str:
        """What could have stood here, in words; after an operand, operators are left out."""
        kinds = self.accepted - _NOT_SAID
        if self.before is not None and self.before.type in OPERAND_ENDS:
            specific = kinds - _GOES_ON - _EXPRESSION if "PLUS" in kinds else kinds
            more = {"_COMMA", "EQUAL"} & kinds
            kinds = (specific | more if len(specific | more) <= 4 else specific) or kinds
        if "UNIQUE" in kinds:
            kinds = kinds - {"LPAR", "LSQB", "IN"}
        words = set()
        if kinds >= _EXPRESSION:
            words.add("an expression")
            kinds = {k for k in kinds if k in {"_NEWLINE", "_INDENT", "STAR", "SELECT", "COLON", "RPAR", "RSQB"}}
        words |= {WORDS.get(k, k) for k in kinds}
        listed = sorted(words, key=lambda w: (w[0] == "`", w))
        if len(listed) > 6:
            return ""
        return " or ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)

    # --------------------------------------------------------------------------------------------- queries

    def in_query(self) -> Diagnostic:
        """What is wrong within a query."""
        found, before = self.found, self.before
        if before and before.type == "COLON":
            return self.diagnostic("E0601", "a query is one select", None, "expected `select` or `with`")
        if found.type == "COMPARE" and any(t.type == "COMPARE" for t in self.line[-3:]):
            return self.diagnostic("E0105", "comparisons are not chained", None, "", "`a < b and b < c`")
        if found.type == "NAME" and str(found.value).lower() in {
            "offset",
            "fetch",
            "intersect",
            "except",
            "over",
            "using",
        }:
            help_ = {"using": "write `on a.x = b.x`"}.get(str(found.value).lower(), "")
            return self.diagnostic("E0601", f"`{found.value}` is not in the language of queries", None, "", help_)
        if before and before.type == "_COMMA" and found.type in {"FROM", "RPAR", "ORDER", "HAVING", "LIMIT"}:
            return self.diagnostic("E0601", "a comma too many", before, f"nothing follows before {self.written(found)}")
        if "FROM" in self.accepted and found.type in {"WHERE", "GROUP", "ORDER", "_NEWLINE", "RPAR", "LIMIT"}:
            return self.diagnostic("E0601", "a select without `from`", None, "", "name the tables: `select … from t`")
        if "ON" in self.accepted and "JOIN" not in self.accepted and found.type not in {"NAME"}:
            help_ = "say how the rows meet: `join b on a.key = b.key`"
            return self.diagnostic("E0601", "a join without `on`", None, "", help_)
        return self.reserved(QUERY_KEYWORDS) or self.unexpected("E0601")
