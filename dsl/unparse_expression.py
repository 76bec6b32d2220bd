"""Writes expressions as text; see `unparse`.

For: `Writer`, the expressions of statements, with parentheses only where precedence needs them: an expression's
level is that of the rule of `grammar.lark` that reads it.
Leaves to others: what only queries have (`unparse_query`).
"""

from decimal import Decimal
from enum import IntEnum

from dsl import syntax as s

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Level(IntEnum):
    """How tightly an expression binds, loosest first."""

    ANY = 0
    DISJUNCTION = 1
    CONJUNCTION = 2
    NEGATION = 3
    COMPARISON = 4
    SUM = 5
    PRODUCT = 6
    FACTOR = 7
    POWER = 8
    POSTFIX = 9
    ATOM = 10


_BINARY = {"+": Level.SUM, "-": Level.SUM, "||": Level.SUM, "**": Level.POWER}


def number(value: int | Decimal) -> str:
    """A number exactly; one with a point or exponent keeps having one."""
    text = str(value)
    return text if isinstance(value, int) or set(text) & set(".E") else text + ".0"


def escaped(text: str, *, triple: bool = False) -> str:
    """A text between quotes: characters that would end it or not be seen are written as escapes."""
    parts = []
    for c in text:
        if triple and c in "\n'":
            parts.append(c)
        elif c in _ESCAPES:
            parts.append(_ESCAPES[c])
        elif c == '"' and triple:
            parts.append('\\"')
        elif c.isprintable():
            parts.append(c)
        else:
            parts.append(f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\U{ord(c):08x}")
    return "".join(parts)


class Writer:
    """Writes expressions as they stand in statements."""

    equals = "=="

    def expression(self, node: s.Expression | s.Slice | s.Keyword, level: Level = Level.ANY) -> str:
        """The text of an expression, in parentheses when it binds less tightly than `level`."""
        own, text = self.parts(node)
        return text if own >= level else f"({text})"

    def parts(self, node: s.Expression | s.Slice | s.Keyword) -> tuple[Level, str]:
        """How tightly an expression binds, and its text."""
        match node:
            case s.Unary("not", operand):
                return Level.NEGATION, f"not {self.expression(operand, Level.NEGATION)}"
            case s.Unary(_, operand):
                text = self.expression(operand, Level.FACTOR)
                return Level.FACTOR, f"-({text})" if text[0] == "-" else f"-{text}"  # `--` is refused in queries
            case s.Binary("**", left, right):
                return Level.POWER, f"{self.expression(left, Level.POSTFIX)} ** {self.expression(right, Level.FACTOR)}"
            case s.Binary(op, left, right):
                own = _BINARY.get(op, Level.PRODUCT)
                return own, f"{self.expression(left, own)} {op} {self.expression(right, Level(own + 1))}"
            case s.Compare(op, left, right):
                sign = self.equals if op == "==" else op
                text = f"{self.expression(left, Level.SUM)} {sign} {self.expression(right, Level.SUM)}"
                return Level.COMPARISON, text
            case s.Logical(word, left, right):
                own = Level.CONJUNCTION if word == "and" else Level.DISJUNCTION
                return own, f"{self.expression(left, own)} {word} {self.expression(right, Level(own + 1))}"
            case s.Conditional(then, condition, otherwise):
                first = self.expression(then, Level.DISJUNCTION)
                return Level.ANY, f"{first} if {self.expression(condition, Level.DISJUNCTION)} else " + self.expression(
                    otherwise
                )
            case s.Keyword(name, value):
                return Level.ATOM, f"{name.text}={self.expression(value)}"
            case s.Slice(start, stop, step):
                text = f"{self.maybe(start)}:{self.maybe(stop)}"
                return Level.ATOM, text + (f":{self.maybe(step)}" if step is not None else "")
            case s.Name() | s.Int() | s.Real() | s.Text() | s.Bool() | s.Date() | s.Tuple() | s.List():
                return Level.ATOM, self.atom(node)
            case s.Call() | s.Attribute() | s.Subscript() | s.Reveal():
                return Level.POSTFIX, self.postfix(node)
            case _:
                return self.query_parts(node)

    def maybe(self, node: s.Expression | None) -> str:
        """The text of an expression that may be left out."""
        return "" if node is None else self.expression(node)

    def listed(self, nodes: "tuple[s.Expression | s.Slice | s.Keyword, ...]") -> str:
        """Expressions with commas between."""
        return ", ".join(self.expression(node) for node in nodes)

    def atom(self, node: s.Name | s.Int | s.Real | s.Text | s.Bool | s.Date | s.Tuple | s.List) -> str:
        """An expression that is never put in parentheses."""
        match node:
            case s.Name(id_):
                return self.name(id_)
            case s.Int(value) | s.Real(value):
                return number(value)
            case s.Text(text):
                return self.text(text)
            case s.Bool(truth):
                return "true" if truth else "false"
            case s.Date(day):
                return f"date '{day.isoformat()}'"
            case s.Tuple(items):
                return f"({self.listed(items)}{',' if len(items) == 1 else ''})"
            case s.List(items):
                return f"[{self.listed(items)}]"

    def postfix(self, node: s.Call | s.Attribute | s.Subscript | s.Reveal) -> str:
        """A value and what is done with it: a call, a field, an index."""
        match node:
            case s.Call(function, arguments, keywords, distinct):
                inner = ("distinct " if distinct else "") + self.listed((*arguments, *keywords))
                return f"{self.owner(function)}({inner})"
            case s.Attribute(value, name):
                return f"{self.owner(value)}.{self.field(name.text)}"
            case s.Subscript(value, indices):
                return f"{self.owner(value)}[{self.listed(indices)}]"
            case s.Reveal(value, noise):
                return f"reveal({self.expression(value)}{f', noise={self.expression(noise)}' if noise else ''})"

    def owner(self, node: s.Expression) -> str:
        """What a call, a field or an index belongs to; a number's point would be taken for its own."""
        text = self.expression(node, Level.POSTFIX)
        return f"({text})" if isinstance(node, s.Int | s.Real) else text

    def name(self, name: str) -> str:
        """A name."""
        return name

    def field(self, name: str) -> str:
        """The name after a point."""
        return name

    def text(self, value: str) -> str:
        """A text in quotes."""
        return f"'{escaped(value)}'"

    def query_parts(self, node: s.Expression) -> tuple[Level, str]:
        """The same as `parts` for what queries add; of that, statements may have these."""
        match node:
            case s.Star(None):
                return Level.ATOM, "*"
            case s.Extract(part, value):
                return Level.POSTFIX, f"extract({part} from {self.expression(value)})"
            case s.InList(value, items, negated):
                word = "not in" if negated else "in"
                return Level.COMPARISON, f"{self.expression(value, Level.SUM)} {word} ({self.listed(items)})"
        raise TypeError(f"{type(node).__name__} stands in queries only")
