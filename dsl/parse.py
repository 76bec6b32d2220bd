"""Reads a study: text in, syntax tree out.

For: `parse`, the one way from text to `syntax.Study`. `lexer` cuts the text into statements, the LALR parser that Lark
makes of `grammar.lark` reads each, `build` makes the nodes, and `mistakes` says in words what was expected.
Leaves to others: every meaning. What this accepts is well formed and no more.

Any text whatever gives a study or a `StudyError`: the parser keeps its own stack, so depth of nesting is bounded by
`syntax.MAX_DEPTH` and not by Python's recursion. An error in one statement at the left margin does not hide those in
the next ones.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, cast

from lark import Lark
from lark.exceptions import UnexpectedToken
from lark.lexer import Lexer

from dsl import syntax
from dsl.build import Builder
from dsl.build_expression import Refused
from dsl.diagnostics import Reporter
from dsl.lexer import Chunk, lex
from dsl.literals import MAX_INT
from dsl.mistakes import explain
from dsl.source import Source, Span
from dsl.tokens import Token

_LEFT_OVER = {"return", "elif", "else", "select"}

MAX_LENGTH = 1_000_000  # characters of a study


def parse(text: str, name: str = "study.parley") -> syntax.Study:
    """The syntax tree of a study.

    name: what messages call the text. Raises `StudyError` with every syntax error that was found.
    """
    source = Source(name, text)
    reporter = Reporter(source)
    if len(text) > MAX_LENGTH:
        reporter.error("E0107", f"a study has at most {MAX_LENGTH} characters", Span(0, 0))
        reporter.finish()
    doc: str | None = None
    body: list[syntax.Statement] = []
    chunks = lex(reporter)
    for i, chunk in enumerate(chunks):
        if i == 0 and [t.type for t in chunk.tokens] == ["DOCSTRING", "_NEWLINE"]:
            doc = str(chunk.tokens[0].value)
        elif i and chunks[i - 1].bad and chunk.tokens[:1] and chunk.tokens[0].value in _LEFT_OVER:
            continue  # what should have been indented below the broken statement
        elif not chunk.bad:
            statement = _statement(chunk, reporter)
            if statement is not None:
                body.append(statement)
    reporter.finish()
    return syntax.Study(doc, tuple(body), span=Span(0, len(text)), source=source)


def _statement(chunk: Chunk, reporter: Reporter) -> syntax.Statement | None:
    """Reads the tokens of one statement; `None` when it is wrong, which is then reported."""
    parser = _parser().parse_interactive()
    end = chunk.tokens[-1].end
    tokens = [*chunk.tokens, Token("$END", end, end, "")]
    result: Any = None
    for i, token in enumerate(tokens):
        try:
            result = parser.feed_token(cast(Any, token))
        except UnexpectedToken:
            reporter.add(explain(tokens, i, _accepts(parser), reporter.source))
            return None
        except Refused as refused:
            reporter.add(refused.at(reporter.source))
            return None
    statement = cast(syntax.Statement, result)
    return statement if _well_formed(statement, reporter) else None


def _accepts(parser: Any) -> set[str]:
    """The kinds of tokens that the parser would have taken next."""
    return {str(kind) for kind in parser.accepts()}


def _well_formed(statement: syntax.Statement, reporter: Reporter) -> bool:
    """Checks what concerns a whole statement: its depth, where `return` stands, and the largest whole number."""
    for level, nodes in enumerate(_levels(statement)):
        if level == syntax.MAX_DEPTH - 1:
            label = "take a part out and give it a name"
            reporter.error("E0107", "this is nested too deeply", nodes[0].span, label)
            return False
        for node in nodes:
            for child in syntax.children(node):
                if isinstance(child, syntax.Int) and child.value == MAX_INT and not _is_minus(node):
                    label = f"`int` goes up to {MAX_INT - 1}"
                    reporter.error("E0104", "a number is too large", child.span, label)
                    return False
                if isinstance(child, syntax.Return) and not isinstance(statement, syntax.Function):
                    reporter.error("E0101", "`return` stands outside a function", child.span)
                    return False
    if isinstance(statement, syntax.Return):
        reporter.error("E0101", "`return` stands outside a function", statement.span)
        return False
    return True


def _levels(node: syntax.Node) -> Iterator[list[syntax.Node]]:
    level = [node]
    while level:
        yield level
        level = [child for parent in level for child in syntax.children(parent)]


def _is_minus(node: syntax.Node) -> bool:
    return isinstance(node, syntax.Unary) and node.op == "-"


class _NoLexer(Lexer):
    """The tokens are fed by hand."""

    def __init__(self, lexer_conf: Any) -> None:
        """Lark gives its settings, of which none is needed."""

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:  # noqa: ARG002 - Lark's signature
        """No tokens."""
        return iter(())


@cache
def _parser() -> Lark:
    """The parser, made once for each process from the grammar beside this file."""
    grammar = files("dsl").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer=_NoLexer, transformer=cast(Any, Builder()), maybe_placeholders=True)
