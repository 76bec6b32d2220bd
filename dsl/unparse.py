"""Writes a syntax tree as text.

For: `to_source`, for which `parse(to_source(tree)) == tree` holds for every tree that `parse` can make.
Leaves to others: expressions (`unparse_expression`), queries (`unparse_query`), comments and the layout of the
original, which a tree does not have.
"""

from collections.abc import Iterator

from dsl import syntax as s
from dsl.tokens import KEYWORDS, NAME
from dsl.unparse_expression import Writer, escaped, number
from dsl.unparse_query import QueryWriter

_INDENT = "    "


def to_source(node: s.Node) -> str:
    """The text of a study, a statement, a declaration's part, a query or an expression.

    Ends with a line end for studies and statements. Queries and expressions that only queries have are written in the
    dialect of queries, everything else in that of statements.
    """
    match node:
        case s.Study(doc, body):
            lines = [f'"""{escaped(doc, triple=True)}"""'] if doc is not None else []
            for statement in body:
                lines += _statement(statement)
            return "".join(line + "\n" for line in lines)
        case s.Select() | s.Union() | s.Query():
            return QueryWriter().query(node)
        case s.TableName() | s.DerivedTable() | s.Join():
            return QueryWriter().source(node)
        case s.TypeExpression():
            return _type(node)
        case s.Identifier(text):
            return text
    if isinstance(node, s.Statement):
        return "".join(line + "\n" for line in _statement(node))
    if isinstance(node, s.QueryExpression) and not isinstance(node, s.InList | s.Extract):
        return QueryWriter().expression(node)
    if isinstance(node, s.Expression):
        return Writer().expression(node)
    raise TypeError(f"{type(node).__name__} is written as part of another node")


# --------------------------------------------------------------------------------------------------- statements


def _statement(node: s.Statement) -> Iterator[str]:
    """The lines of a statement."""
    write = Writer().expression
    match node:
        case s.Table():
            yield from _table(node)
        case s.QueryDefinition(name, query):
            yield f"query {name.text}:"
            yield _INDENT + QueryWriter().query(query)
        case s.Function(name, parameters, body, doc):
            listed = ", ".join(p.name.text + (f"={write(p.default)}" if p.default else "") for p in parameters)
            yield f"def {name.text}({listed}):"
            if doc is not None:
                yield f'{_INDENT}"""{escaped(doc, triple=True)}"""'
            yield from _block(body)
        case s.For(target, iterable, body):
            yield f"for {_loose(target)} in {_loose(iterable)}:"
            yield from _block(body)
        case s.If(branches, otherwise):
            for i, branch in enumerate(branches):
                yield f"{'elif' if i else 'if'} {write(branch.condition)}:"
                yield from _block(branch.body)
            if otherwise:
                yield "else:"
                yield from _block(otherwise)
        case _:
            yield _simple(node)


def _block(body: tuple[s.Statement, ...]) -> Iterator[str]:
    for statement in body:
        for line in _statement(statement):
            yield _INDENT + line


def _simple(node: s.Statement) -> str:
    """A statement of one line."""
    write = Writer().expression
    match node:
        case s.Party(names):
            return "party " + _names(names)
        case s.Param(name, type_, default):
            return f"param {name.text}: {_type(type_)} = {write(default)}"
        case s.Input(name, type_, party):
            return f"input {name.text}: {_type(type_)} from {party.text}"
        case s.Import(modules):
            return "import " + ", ".join(map(_imported, modules))
        case s.FromImport(module, names):
            return f"from {module.text} import " + ", ".join(map(_imported, names))
        case s.Assign(target, value):
            return f"{_loose(target)} = {_loose(value)}"
        case s.AugmentedAssign(target, op, value):
            return f"{write(target)} {op}= {_loose(value)}"
        case s.Return(value):
            return f"return {_loose(value)}" if value else "return"
        case s.RevealTo():
            return _reveal_to(node)
        case s.Assert(condition, message):
            return f"assert {write(condition)}" + (f", '{escaped(message)}'" if message is not None else "")
        case s.Store(value, name):
            return f"store {write(value)} as {name.text}"
        case s.Pass():
            return "pass"
        case s.ExpressionStatement(value):
            text = write(value)
            return f"({text})" if text.startswith("reveal(") else text
    raise TypeError(f"{type(node).__name__} has more than one line")


def _reveal_to(node: s.RevealTo) -> str:
    write = Writer().expression
    text = f"reveal {', '.join(write(v) for v in node.values)} to {_names(node.receivers)}"
    if node.names:
        text += f" as {_names(node.names)}"
    if node.guard is not None:
        text += f" where {write(node.guard)}"
    if node.mechanism is not None:
        text += f" with {write(node.mechanism)}"
    return text


def _table(node: s.Table) -> Iterator[str]:
    rows = f" rows <= {Writer().expression(node.rows)}" if node.rows is not None else ""
    yield f"table {node.name.text} from {_names(node.parties)}{rows}:"
    for column in node.columns:
        yield f"{_INDENT}{_column(column.name)}: {_type(column.type)}{' unique' if column.unique else ''}"
    for unique in node.uniques:
        yield f"{_INDENT}unique ({', '.join(map(_column, unique.columns))})"


def _names(names: tuple[s.Identifier, ...]) -> str:
    return ", ".join(name.text for name in names)


def _imported(name: s.ImportedName) -> str:
    return name.name.text + (f" as {name.alias.text}" if name.alias else "")


def _column(name: s.Identifier) -> str:
    """A column's name in a table, quoted where it is no plain name."""
    plain = NAME.fullmatch(name.text) and name.text not in KEYWORDS and name.text not in {"True", "False", "None"}
    return name.text if plain and name.text != "reveal" else f"'{escaped(name.text)}'"


def _type(node: s.TypeExpression) -> str:
    text = node.name
    if node.arguments:
        text += f"({', '.join(number(a) if isinstance(a, int) else Writer().text(a) for a in node.arguments)})"
    text += "?" if node.optional else ""
    if node.bounds is not None:
        text += f" in {number(node.bounds.low)}..{number(node.bounds.high)}"
    if node.shape:
        text += f"[{', '.join(map(Writer().expression, node.shape))}]"
    return text


def _loose(node: s.Expression) -> str:
    """An expression where a tuple needs no parentheses."""
    if isinstance(node, s.Tuple) and node.items:
        text = ", ".join(map(Writer().expression, node.items))
        return text + "," if len(node.items) == 1 else text
    return Writer().expression(node)
