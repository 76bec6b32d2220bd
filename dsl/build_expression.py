# ruff: noqa: D102 - the methods are named after the rules of the grammar, which says what each reads
"""Makes the nodes of expressions from what the grammar recognised; see `build`.

For: one method for each rule of expressions outside queries, and what all builders share: `Refused`, `Part`, `covers`.
Leaves to others: the expressions that only queries have (`build_query`).
"""

import datetime
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, NamedTuple, cast

from dsl import syntax as s
from dsl.diagnostics import Diagnostic, Label
from dsl.source import Source, Span
from dsl.tokens import Token

Children = list[Any]

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
COMPARE = {"=": "==", "<>": "!="}


class Refused(Exception):  # noqa: N818 - it says what happened to the text
    """The form of a statement is wrong in a way that the grammar does not state."""

    def __init__(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        helps: Sequence[str] = (),
        secondary: Sequence[Label] = (),
    ) -> None:
        super().__init__(code, message)
        self.code, self.message, self.span, self.label = code, message, span, label
        self.helps, self.secondary = tuple(helps), tuple(secondary)

    def at(self, source: Source) -> Diagnostic:
        """The error as a diagnostic of `source`."""
        return Diagnostic(self.code, self.message, self.span, self.label, self.secondary, self.helps, source)


class Part(NamedTuple):
    """What a rule made that is not a node of its own, on the way to the node that it belongs to."""

    kind: str
    value: Any
    span: Span


def covers(c: Sequence[Any]) -> Span:
    """The characters from the first to the last of some children; those that were left out do not count."""
    return Span(_start(c), _end(c))


def _start(c: Sequence[Any]) -> int:
    for x in c:
        if isinstance(x, Token):
            return x.start
        if isinstance(x, s.Node | Part):
            return x.span.start
        if x:
            return _start(x)
    return 0


def _end(c: Sequence[Any]) -> int:
    for x in reversed(c):
        if isinstance(x, Token):
            return x.end
        if isinstance(x, s.Node | Part):
            return x.span.end
        if x:
            return _end(x)
    return 0


class ExpressionBuilder:
    """The callbacks of the rules of expressions."""

    def bare_tuple(self, c: Children) -> s.Tuple:
        return s.Tuple(tuple(c), span=covers(c))

    def conditional(self, c: Children) -> s.Conditional:
        return s.Conditional(c[0], c[2], c[4], span=covers(c))

    def logical(self, c: Children) -> s.Logical:
        return s.Logical(c[1].value, c[0], c[2], span=covers(c))

    def unary(self, c: Children) -> s.Expression:
        sign, operand = c
        if sign.type == "PLUS":
            return cast(s.Expression, replace(operand, span=covers(c)))
        return s.Unary("not" if sign.type == "NOT" else "-", operand, span=covers(c))

    def compare(self, c: Children) -> s.Compare:
        if len(c) > 3:
            first, second = c[1].value, c[3].value
            help_ = f"`a {first} b and b {second} c`"
            message = "comparisons are not chained"
            raise Refused("E0105", message, covers(c), "two comparisons in one", [f"write each: {help_}"])
        op = COMPARE.get(c[1].value, c[1].value)
        return s.Compare(op, c[0], c[2], span=covers(c))

    def binary(self, c: Children) -> s.Binary:
        return s.Binary(c[1].value, c[0], c[2], span=covers(c))

    # -------------------------------------------------------------------------------------------- postfixes

    def attribute(self, c: Children) -> s.Attribute:
        return s.Attribute(c[0], c[2], span=covers(c))

    def subscript(self, c: Children) -> s.Subscript:
        return s.Subscript(c[0], c[2], span=covers(c))

    def indices(self, c: Children) -> tuple[s.Expression | s.Slice, ...]:
        return tuple(c)

    def slice(self, c: Children) -> s.Slice:
        start, _, stop, step = c
        return s.Slice(start, stop, step.value if step else None, span=covers(c))

    def step(self, c: Children) -> Part:
        return Part("step", c[1], covers(c))

    def arguments(self, c: Children) -> tuple[s.Expression | s.Keyword, ...]:
        return tuple(c)

    def keyword(self, c: Children) -> s.Keyword:
        if not isinstance(c[0], s.Name):
            raise Refused("E0105", "`=` does not compare", covers([c[1]]), "", ["a comparison is `==`"])
        name = s.Identifier(c[0].id, span=c[0].span)
        return s.Keyword(name, c[2], span=covers(c))

    def call(self, c: Children) -> s.Call | s.Reveal:
        function, given, span = c[0], c[2] or (), covers(c)
        arguments = tuple(x for x in given if not isinstance(x, s.Keyword))
        keywords = tuple(x for x in given if isinstance(x, s.Keyword))
        for before, after in pairwise(given):
            if isinstance(before, s.Keyword) and not isinstance(after, s.Keyword):
                helps = ["arguments without a name come first"]
                raise Refused("E0205", "an argument without a name after one with a name", after.span, "", helps)
        for i, keyword in enumerate(keywords):
            for earlier in keywords[:i]:
                if keyword.name.text == earlier.name.text:
                    first = [Label(earlier.span, "first here")]
                    message = f"`{keyword.name.text}=` is given twice"
                    raise Refused("E0205", message, keyword.span, secondary=first)
        if isinstance(function, s.Name) and function.id == "reveal":
            return _reveal(arguments, keywords, span)
        return s.Call(function, arguments, keywords, span=span)

    # ------------------------------------------------------------------------------------------------ atoms

    def variable(self, c: Children) -> s.Name:
        return s.Name(c[0].value, span=covers(c))

    def number(self, c: Children) -> s.Int | s.Real:
        value = c[0].value
        return s.Real(value, span=covers(c)) if isinstance(value, Decimal) else s.Int(value, span=covers(c))

    def text(self, c: Children) -> s.Text:
        return s.Text(c[0].value, span=covers(c))

    def truth(self, c: Children) -> s.Bool:
        return s.Bool(c[0].value == "true", span=covers(c))

    def date(self, c: Children) -> s.Date:
        written = c[1].value
        try:
            if _DATE.fullmatch(written):
                return s.Date(datetime.date.fromisoformat(written), span=covers(c))
        except ValueError:
            pass
        helps = ["a date is written year, month, day: `date '2024-01-31'`"]
        raise Refused("E0104", "there is no such date", covers([c[1]]), "", helps)

    def parentheses(self, c: Children) -> s.Expression:
        return cast(s.Expression, replace(c[1], span=covers(c)))

    def tuple_literal(self, c: Children) -> s.Tuple:
        return s.Tuple(c[1].items if len(c) == 3 else (), span=covers(c))

    def list_literal(self, c: Children) -> s.List:
        return s.List(c[1] or (), span=covers(c))

    def elements(self, c: Children) -> tuple[s.Expression, ...]:
        return tuple(c)


def _reveal(arguments: tuple[s.Expression, ...], keywords: tuple[s.Keyword, ...], span: Span) -> s.Reveal:
    for keyword in keywords:
        if keyword.name.text != "noise":
            helps = ["`reveal(e)` opens to everyone; to fewer: `reveal e to bank` on a line of its own"]
            raise Refused("E0205", f"`reveal` has no `{keyword.name.text}=`", keyword.span, "", helps)
    if len(arguments) != 1:
        helps = ["several values: `reveal((a, b))`"] if arguments else ["`reveal(x)`"]
        raise Refused("E0205", "`reveal` opens one value", span, f"{len(arguments)} given", helps)
    return s.Reveal(arguments[0], keywords[0].value if keywords else None, span=span)
