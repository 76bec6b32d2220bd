"""Strategies for syntax trees that `parse` can make."""

from decimal import Decimal
from typing import get_args

from hypothesis import strategies as st

from dsl import syntax as s
from dsl.source import Source, Span
from dsl.syntax_query import DatePart

AT = Span(0, 0)
NAMES = ["x", "y", "w1", "naïve", "to", "rows", "date", "key", "text", "from", "as", "where", "unique", "all", "in"]
NAMES += ["party", "input", "select", "start", "sum", "with", "min", "end", "case", "order", "_", "limit", "store"]
QUERY_NAMES = [
    *NAMES,
    "left",
    "desc",
    "two words",
    'a"b',
    "Count",
    "Select",
    "1st",
    "group",
    "interval",
    "exists",
    "for",
    "offset",
    "nulls",
    "cast",
    "first",
    "escape",
    "ilike",
]

numbers = st.integers(0, 2**63 - 1) | st.integers(0, 20)
reals = st.builds(Decimal, st.from_regex(r"[0-9]{1,12}\.[0-9]{1,12}|[0-9]{1,3}e-?[0-9]", fullmatch=True))
characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)


def node(kind, *fields, **named):
    """A strategy for nodes of a class."""
    return st.builds(kind, *fields, span=st.just(AT), **named)


def tuples(of, low=0, high=3):
    return st.lists(of, min_size=low, max_size=high).map(tuple)


def identifiers(names=NAMES):
    return node(s.Identifier, st.sampled_from(names))


def leaves(names, texts):
    return st.one_of(
        node(s.Name, st.sampled_from(names)),
        node(s.Int, numbers),
        node(s.Real, reals),
        node(s.Text, texts),
        node(s.Bool, st.booleans()),
        node(s.Date, st.dates()),
    )


def operations(e, operators):
    """What statements and queries share."""
    return st.one_of(
        node(s.Unary, st.sampled_from(["-", "not"]), e),
        node(s.Binary, st.sampled_from(operators), e, e),
        node(s.Compare, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), e, e),
        node(s.Logical, st.sampled_from(["and", "or"]), e, e),
        node(s.Tuple, tuples(e)),
        node(s.InList, e, tuples(e, 1), st.booleans()),
        node(s.Extract, st.sampled_from(get_args(DatePart)), e),
    )


def _call(function, arguments, keywords, span):
    seen: dict[str, s.Keyword] = {k.name.text: k for k in keywords}
    if isinstance(function, s.Name) and function.id in {"reveal", "extract"}:
        return s.Reveal(arguments[0] if arguments else function, None, span=span)
    return s.Call(function, arguments, tuple(seen.values()), span=span)


def _plain(e):
    keyword = node(s.Keyword, identifiers(), e)
    index = e | node(s.Slice, st.none() | e, st.none() | e, st.none() | e)
    return st.one_of(
        operations(e, ["+", "-", "*", "/", "//", "%", "**", "@"]),
        node(s.Conditional, e, e, e),
        st.builds(_call, e, tuples(e), tuples(keyword, 0, 2), st.just(AT)),
        node(s.Attribute, e, identifiers([*NAMES, "T", "if", "true"])),
        node(s.Subscript, e, tuples(index, 1)),
        node(s.List, tuples(e)),
        node(s.Reveal, e, st.none() | e),
    )


expressions = st.recursive(leaves(NAMES, characters), _plain, max_leaves=12)


# ------------------------------------------------------------------------------------------------------- queries


def _query_parts(e):
    q = queries(e)
    when = node(s.When, e, e)
    call = node(s.Call, node(s.Name, st.sampled_from(["sum", "rank", "count"])), tuples(e))
    frames = st.sampled_from(["range", "rows", "whole"])
    functions = node(s.Name, st.sampled_from(["sum", "count", "clamp", "coalesce", "median", "year", "left", "trim"]))
    return st.one_of(
        operations(e, ["+", "-", "*", "/", "//", "%", "**", "||"]),
        node(s.Cast, e, st.sampled_from(["int", "fixed", "bool", "date", "text"])),
        node(s.Cast, e, st.just("decimal"), st.integers(0, 18)),
        node(s.Cast, e, st.just("text"), st.integers(1, 99)),
        node(s.Call, functions, tuples(e)),
        node(s.Call, functions, tuples(e, 1, 1), distinct=st.just(True)),
        node(s.Filtered, call, e),
        node(s.Over, call | node(s.Filtered, call, e), tuples(e, 0, 2), tuples(_ordered(e), 0, 2), frames),
        node(s.Attribute, node(s.Name, st.sampled_from(QUERY_NAMES)), identifiers([*QUERY_NAMES, "from"])),
        node(s.Case, tuples(when, 1), st.none() | e),
        node(s.Between, e, e, e, st.booleans()),
        node(s.InQuery, e, q, st.booleans()),
        node(s.Over, call, tuples(e, 0, 1), tuples(_ordered(e), 0, 1), st.just("rows"), st.integers(0, 99)),
        node(s.Quantified, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), e, q, st.booleans()),
        node(s.Exists, q),
        node(s.ScalarQuery, q),
        node(s.Like, e, e, st.booleans(), st.none() | node(s.Text, st.just("!")), st.booleans()),
        node(s.IsNull, e, st.booleans()),
    )


query_leaves = st.one_of(
    leaves(QUERY_NAMES, lines),
    node(s.Null),
    node(s.Interval, st.integers(-999, 999), st.sampled_from(["day", "month", "year"])),
    node(s.Call, st.just(s.Name("count", span=AT)), st.just((s.Star(span=AT),))),
)


def _ordered(e):
    return node(s.OrderItem, e, st.booleans(), st.sampled_from([None, "first", "last"]))


def _alias():
    return st.none() | identifiers(QUERY_NAMES)


def _sources(e, q):
    table = node(s.TableName, identifiers(QUERY_NAMES), _alias())
    derived = node(s.DerivedTable, q, _alias()) | node(
        s.DerivedTable, q, identifiers(QUERY_NAMES), tuples(identifiers(QUERY_NAMES), 1)
    )
    bound = st.none() | e
    kinds = st.sampled_from(["inner", "left", "right", "full"])
    side, names = table | derived, tuples(identifiers(QUERY_NAMES), 1, 2)
    join = (
        node(s.Join, kinds, side, side, e, bound)
        | node(s.Join, kinds, side, side, st.none(), bound, names)
        | node(s.Join, kinds, side, side, st.none(), bound, natural=st.just(True))
        | node(s.Join, st.just("cross"), side, side)
    )
    return side | join | node(s.Join, st.just("left"), join, table, e, bound)


def queries(e, inner=None):
    """Queries over the expressions `e`; `inner` are the queries that may stand within."""
    inner = inner or simple_queries(e)
    star = node(s.SelectItem, node(s.Star, _alias()))
    item = star | node(s.SelectItem, e, _alias())
    select = node(
        s.Select, tuples(item, 1), tuples(_sources(e, inner), 1, 2), st.none() | e, tuples(e, 0, 2), st.none() | e,
        st.booleans(),
    )  # fmt: skip
    loose = st.sampled_from(["union", "except"])
    union = node(s.Union, select | inner, select | inner, st.booleans())
    tight = node(s.Union, select | inner, select | inner, st.just(False), st.just("intersect"))
    tight = tight | node(s.Union, tight, select, st.just(False), st.just("intersect"))
    body = select | union | tight | node(s.Union, union | tight, select | tight, st.just(False), loose)
    common = node(s.CommonTable, identifiers(QUERY_NAMES), inner, tuples(identifiers(QUERY_NAMES), 0, 2))
    order = _ordered(e)
    return node(s.Query, body, tuples(common, 0, 1), tuples(order, 0, 2), st.none() | e, st.none() | e)


def simple_queries(e):
    select = node(
        s.Select, tuples(node(s.SelectItem, e), 1, 2), st.just((s.TableName(s.Identifier("t", span=AT), span=AT),))
    )
    return node(s.Query, select)


query_expressions = st.recursive(query_leaves, _query_parts, max_leaves=8)


# ---------------------------------------------------------------------------------------------------- statements

bounds = st.lists(st.integers(-99, 99) | reals, min_size=2, max_size=2).map(sorted)


def types():
    def made(name, arguments, optional, ends, shape):
        span = s.Bounds(*ends, span=AT) if ends and name in {"int", "fixed", "decimal"} else None
        return s.TypeExpression(name, arguments, optional, span, shape, span=AT)

    words = st.lists(characters, min_size=1, max_size=3, unique=True).map(tuple)
    named = st.one_of(
        st.tuples(st.sampled_from(["int", "fixed", "bool", "date", "key"]), st.just(())),
        st.tuples(st.just("decimal"), st.integers(0, 18).map(lambda n: (n,))),
        st.tuples(st.just("text"), st.integers(1, 99).map(lambda n: (n,))),
        st.tuples(st.just("enum"), words),
    )
    shape = tuples(expressions, 0, 2)
    return st.builds(lambda n, *rest: made(*n, *rest), named, st.booleans(), st.none() | bounds, shape)


names = node(s.Name, st.sampled_from(NAMES))
places = names | node(s.Subscript, names, tuples(expressions, 1, 2))
targets = places | node(s.Tuple, tuples(places, 1))
loop_targets = names | node(s.Tuple, tuples(names, 2))
calls = st.builds(
    _call, names, tuples(expressions), tuples(node(s.Keyword, identifiers(), expressions), 0, 2), st.just(AT)
)


def _reveals(values, receivers, named, guard, mechanism):
    labels = tuple(s.Identifier(f"n{i}", span=AT) for i in range(len(values))) if named else ()
    return s.RevealTo(values, receivers, labels, guard, mechanism, span=AT)


simple_statements = st.one_of(
    node(s.Assign, targets, expressions),
    node(s.AugmentedAssign, places, st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "@"]), expressions),
    st.builds(
        _reveals, tuples(expressions, 1), tuples(identifiers(), 1), st.booleans(), st.none() | expressions,
        st.none() | expressions,
    ),
    node(s.Assert, expressions, st.none() | characters),
    node(s.Store, expressions, identifiers()),
    node(s.Pass),
    node(s.ExpressionStatement, calls),
)  # fmt: skip


def _blocks(statement):
    body = tuples(statement, 1)
    branch = node(s.Branch, expressions, body)
    return node(s.For, loop_targets, expressions, body) | node(s.If, tuples(branch, 1), tuples(statement))


statements = st.recursive(simple_statements, _blocks, max_leaves=5)


def _function(name, parameters, body, doc):
    ordered = sorted(parameters, key=lambda p: p.default is not None)
    return s.Function(name, tuple(ordered), body if doc is not None or body else (s.Pass(span=AT),), doc, span=AT)


column_names = node(s.Identifier, st.sampled_from(NAMES) | characters.filter(bool))
columns = node(s.Column, column_names, types(), st.booleans())
imported = node(s.ImportedName, identifiers(), st.none() | identifiers())
declarations = st.one_of(
    node(s.Party, tuples(identifiers(), 1)),
    node(s.Param, identifiers(), types(), expressions),
    node(s.Input, identifiers(), types(), identifiers()),
    node(
        s.Table, identifiers(), tuples(identifiers(), 1), st.none() | expressions,
        tuples(columns, 1), tuples(node(s.Unique, tuples(column_names, 1)), 0, 1),
    ),
    node(s.QueryDefinition, identifiers(), queries(query_expressions)),
    st.builds(
        _function,
        identifiers(),
        tuples(node(s.Parameter, identifiers(), st.none() | expressions)),
        tuples(statements | node(s.Return, st.none() | expressions)),
        st.none() | characters,
    ),
    node(s.Import, tuples(imported, 1)),
    node(s.FromImport, identifiers(), tuples(imported, 1)),
)  # fmt: skip
studies = st.builds(
    lambda doc, body: s.Study(doc, body, span=AT, source=Source("s", "")),
    st.none() | characters,
    tuples(declarations | statements, 0, 4),
)
