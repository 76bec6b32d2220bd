# ruff: noqa: D102 - the methods are named after the rules of the grammar, which says what each reads
"""Makes the nodes of a study from what the grammar recognised.

For: one method for each rule of `grammar.lark`, called bottom up with the rule's children (tokens, nodes, tuples of
nodes; `None` for what was left out), and the checks of form that a grammar cannot state. Here: declarations and
statements; `build_expression` and `build_query` have the rest.
Leaves to others: names, types, shapes and everything else that needs more than one statement.
"""

from decimal import Decimal
from itertools import pairwise
from typing import Any

from dsl import syntax as s
from dsl.build_expression import Children, ExpressionBuilder, Part, Refused, covers
from dsl.build_query import QueryBuilder
from dsl.mistakes import foreign
from dsl.source import Span
from dsl.tokens import Token

MAX_PLACES = 18  # ten to this power still fits 64 bits

_OTHER_TYPES = {
    "str": "text(20)",
    "string": "text(20)",
    "varchar": "text(20)",
    "char": "text(20)",
    "float": "fixed",
    "double": "fixed",
    "real": "fixed",
    "number": "fixed",
    "numeric": "decimal(2)",
    "money": "decimal(2)",
    "integer": "int",
    "bigint": "int",
    "long": "int",
    "boolean": "bool",
    "datetime": "date",
    "category": "enum('a', 'b')",
    "id": "key",
}
_RANGED = {"int", "fixed", "decimal"}


class Builder(QueryBuilder, ExpressionBuilder):
    """The callbacks of the parser; without state. Raises `Refused` where the form is wrong."""

    # ----------------------------------------------------------------------------------------- declarations

    def party(self, c: Children) -> s.Party:
        return s.Party(c[1], span=covers(c))

    def param(self, c: Children) -> s.Param:
        return s.Param(c[1], c[3], c[5], span=covers(c))

    def input(self, c: Children) -> s.Input:
        return s.Input(c[1], c[3], c[5], span=covers(c))

    def table(self, c: Children) -> s.Table:
        name, parties, compare, rows, lines = c[1], c[3], c[5], c[6], c[8:]
        if compare is not None and compare.value != "<=":
            raise Refused("E0101", f"`rows {compare.value}` is not known", covers([compare]), "", ["write `rows <= n`"])
        columns = tuple(line for line in lines if isinstance(line, s.Column))
        if not columns:
            raise Refused("E0101", f"table `{name.text}` has no columns", name.span, "", ["add a line `name: type`"])
        uniques = tuple(line for line in lines if isinstance(line, s.Unique))
        return s.Table(name, parties, rows, columns, uniques, span=covers(c))

    def column(self, c: Children) -> s.Column:
        return s.Column(c[0], c[2], c[3] is not None, span=covers(c))

    def unique(self, c: Children) -> s.Unique:
        return s.Unique(tuple(c[2:-1]), span=covers(c))

    def query(self, c: Children) -> s.QueryDefinition:
        return s.QueryDefinition(c[1], c[3], span=covers(c))

    def function(self, c: Children) -> s.Function:
        doc, body = c[6].value
        parameters = c[3] or ()
        for before, after in pairwise(parameters):
            if before.default is not None and after.default is None:
                label = f"`{before.name.text}` before it has one"
                raise Refused("E0205", f"parameter `{after.name.text}` needs a default", after.span, label)
        return s.Function(c[1], parameters, body, doc, span=covers(c))

    def function_body(self, c: Children) -> Part:
        doc = None if c[0] is None else str(c[0].value)
        return Part("body", (doc, tuple(c[1:])), covers(c))

    def function_line(self, c: Children) -> Part:
        return Part("body", (None, tuple(c)), covers(c))

    def parameters(self, c: Children) -> tuple[s.Parameter, ...]:
        return tuple(c)

    def parameter(self, c: Children) -> s.Parameter:
        return s.Parameter(c[0], c[2], span=covers(c))

    def import_modules(self, c: Children) -> s.Import:
        return s.Import(tuple(c[1:]), span=covers(c))

    def import_names(self, c: Children) -> s.FromImport:
        names = tuple(x for x in c[3:] if isinstance(x, s.ImportedName))
        return s.FromImport(c[1], names, span=covers(c))

    def imported(self, c: Children) -> s.ImportedName:
        return s.ImportedName(c[0], c[2], span=covers(c))

    def names(self, c: Children) -> tuple[s.Identifier, ...]:
        return tuple(c)

    def name(self, c: Children) -> s.Identifier:
        return s.Identifier(c[0].value, span=covers(c))

    def quoted_name(self, c: Children) -> s.Identifier:
        if not c[0].value:
            raise Refused("E0101", "a column has no name", covers(c))
        return s.Identifier(c[0].value, span=covers(c))

    # ------------------------------------------------------------------------------------------------ types

    def type_expression(self, c: Children) -> s.TypeExpression:
        name: Token = c[0]
        known = str(name.value)
        if known not in s.TYPE_NAMES:
            other = _OTHER_TYPES.get(known.lower())
            helps = [f"write `{other}`" if other else "the types are " + ", ".join(f"`{t}`" for t in s.TYPE_NAMES)]
            raise Refused("E0106", f"there is no type `{known}`", covers([name]), "", helps)
        arguments = _type_arguments(name, c[2] or (), covers(c[:4]))
        parts: dict[str, Part] = {}
        for part in c[4:]:
            if part.kind in parts:
                raise Refused("E0101", "a part of a type is written twice", part.span)
            parts[part.kind] = part
        if "in" in parts and known not in _RANGED:
            raise Refused(
                "E0101", f"`{known}` has no range", parts["in"].span, "", ["`int in 0..120`, `fixed in 0..1`"]
            )
        values = {kind: part.value for kind, part in parts.items()}
        shape = values.get("shape", ())
        return s.TypeExpression(known, arguments, "?" in values, values.get("in"), shape, span=covers(c))

    def type_arguments(self, c: Children) -> tuple[Token, ...]:
        return tuple(c)

    def type_argument(self, c: Children) -> Token:
        token: Token = c[0]
        return token

    def optional(self, c: Children) -> Part:
        return Part("?", True, covers(c))

    def bounds(self, c: Children) -> Part:
        low, high = c[1].value, c[3].value
        if low > high:
            raise Refused("E0101", "a range ends before it starts", covers(c[1:]), "", [f"write `{high}..{low}`"])
        return Part("in", s.Bounds(low, high, span=covers(c[1:])), covers(c))

    def signed(self, c: Children) -> Token:
        value: int | Decimal = c[-1].value
        return Token("NUMBER", c[0].start, c[-1].end, -value if len(c) == 2 else value)

    def shape(self, c: Children) -> Part:
        return Part("shape", c[1], covers(c))

    # ------------------------------------------------------------------------------------------- statements

    def assign(self, c: Children) -> s.Assign:
        return s.Assign(_target(c[0]), c[2], span=covers(c))

    def augmented_assign(self, c: Children) -> s.AugmentedAssign:
        target = _target(c[0])
        if isinstance(target, s.Tuple):
            message = f"`{c[1].value}` changes one name at a time"
            raise Refused("E0101", message, target.span)
        return s.AugmentedAssign(target, c[1].value[:-1], c[2], span=covers(c))

    def return_value(self, c: Children) -> s.Return:
        return s.Return(c[1], span=covers(c))

    def reveal_to(self, c: Children) -> s.RevealTo:
        at = next(i for i, x in enumerate(c) if isinstance(x, Token) and x.type == "TO")
        values = tuple(c[1:at])
        clauses: dict[str, Any] = {}
        for part in c[at + 2 :]:
            if part.kind in clauses:
                raise Refused("E0101", f"`{part.kind}` is written twice", part.span)
            clauses[part.kind] = part.value
        names = clauses.get("as", ())
        if names and len(names) != len(values):
            message = f"{_count(len(values), 'value')} and {_count(len(names), 'name')} after `as`"
            raise Refused("E0101", message, covers([names]), "", ["give one name for each value, or leave `as` out"])
        return s.RevealTo(values, c[at + 1], names, clauses.get("where"), clauses.get("with"), span=covers(c))

    def clause(self, c: Children) -> Part:
        return Part(c[0].value, c[1], covers(c))

    def assertion(self, c: Children) -> s.Assert:
        return s.Assert(c[1], None if c[2] is None else c[2].value, span=covers(c))

    def store(self, c: Children) -> s.Store:
        return s.Store(c[1], c[3], span=covers(c))

    def nothing(self, c: Children) -> s.Pass:
        return s.Pass(span=covers(c))

    def expression_statement(self, c: Children) -> s.ExpressionStatement:
        value = c[0]
        if isinstance(value, s.Call | s.Reveal):
            return s.ExpressionStatement(value, span=covers(c))
        if isinstance(value, s.Name) and (instead := foreign(value.id)):
            raise Refused("E0105", f"`{value.id}` is not in the language", value.span, "", [instead])
        helps = ["to keep a value: `x = …`; to show it: `reveal … to …`"]
        if isinstance(value, s.Compare) and value.op == "==" and isinstance(value.left, s.Name):
            helps = [f"to assign: `{value.left.id} = …`"]
        elif isinstance(value, s.Text):
            helps = ["a comment starts with `#`"]
        raise Refused("E0101", "an expression on its own does nothing", value.span, "its value is lost", helps)

    def for_loop(self, c: Children) -> s.For:
        return s.For(c[1], c[3], c[5], span=covers(c))

    def targets(self, c: Children) -> s.Name | s.Tuple:
        return c[0] if len(c) == 1 else s.Tuple(tuple(c), span=covers(c))

    def inner_targets(self, c: Children) -> s.Name | s.Tuple:
        target: s.Name | s.Tuple = c[1]
        return target

    def if_chain(self, c: Children) -> s.If:
        branches, otherwise = [], ()
        for i, word in enumerate(c):
            if isinstance(word, Token) and word.type in {"IF", "ELIF"}:
                branches.append(s.Branch(c[i + 1], c[i + 3], span=covers([word, c[i + 3]])))
            elif isinstance(word, Token) and word.type == "ELSE":
                otherwise = c[i + 2]
        return s.If(tuple(branches), otherwise, span=covers(c))

    def block(self, c: Children) -> tuple[s.Statement, ...]:
        return tuple(c)


def _type_arguments(name: Token, arguments: tuple[Token, ...], span: Span) -> tuple[int | str, ...]:
    """What stands in parentheses after a type's name, checked."""
    values = tuple(a.value for a in arguments)
    match name.value:
        case "decimal":
            if len(values) == 1 and isinstance(values[0], int) and 0 <= values[0] <= MAX_PLACES:
                return (values[0],)
            helps = [f"`decimal(2)` has two places; there may be 0 to {MAX_PLACES}"]
            raise Refused("E0106", "`decimal` needs its number of places", span, "", helps)
        case "text":
            if len(values) == 1 and isinstance(values[0], int) and values[0] >= 1:
                return (values[0],)
            raise Refused("E0106", "`text` needs its number of bytes", span, "", ["`text(25)` has up to 25 bytes"])
        case "enum":
            words = tuple(v for v in values if isinstance(v, str))
            if words and len(words) == len(values):
                for i, word in enumerate(words):
                    if word in words[:i]:
                        token = arguments[i]
                        raise Refused("E0106", "a word of an `enum` is listed twice", covers([token]))
                return words
            raise Refused("E0106", "`enum` needs its words", span, "", ["`enum('north', 'south')`"])
    if arguments:
        raise Refused("E0106", f"`{name.value}` has nothing in parentheses", span, "", [f"write `{name.value}`"])
    return ()


def _target(value: s.Expression) -> s.Target:
    """What may stand on the left of `=`."""
    match value:
        case s.Name():
            return value
        case s.Subscript(s.Name()):
            return value
        case s.Tuple(items) if items:
            for item in items:
                _target(item)
            return value
    helps: list[str] = []
    match value:
        case s.Subscript(s.Subscript()):
            helps = ["one pair of brackets holds all indices: `x[i, j] = …`"]
        case s.Compare() | s.Logical():
            helps = ["`=` assigns; a comparison is `==`"]
        case s.Attribute():
            helps = ["keep the new value under a name of its own"]
        case s.Binary("-", s.Name(), s.Name()):
            helps = ["a name has no `-`; use `_`"]
    label = "a name, `x[i]`, or several with commas may stand here"
    raise Refused("E0101", "this cannot be assigned to", value.span, label, helps)


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
