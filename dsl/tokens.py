"""The words and signs of the language.

For: `Token` and the tables that the lexer, the error messages and `unparse` share.
Leaves to others: cutting a text into tokens (`lexer`) and what they make together (`grammar.lark`).

A study speaks two dialects. In a query, key words are in either case and a name may stand right after an operand
(an alias); outside, a name never stands right after an operand. So outside queries `to`, `as`, `where`, `with`,
`from`, `rows`, `unique` and `in` are key words exactly after an operand and plain names everywhere else.
"""

import re
from decimal import Decimal
from typing import NamedTuple

Value = str | int | Decimal


class Token(NamedTuple):
    """One word or sign: its kind (a terminal of the grammar), the characters it covers, and what it says."""

    type: str
    start: int
    end: int
    value: Value


NAME = re.compile(r"[^\W\d]\w*")

KEYWORDS = {
    "def": "DEF",
    "for": "FOR",
    "if": "IF",
    "elif": "ELIF",
    "else": "ELSE",
    "return": "RETURN",
    "import": "IMPORT",
    "assert": "ASSERT",
    "pass": "PASS",
    "and": "AND",
    "or": "OR",
    "not": "NOT",
    "true": "BOOL",
    "false": "BOOL",
}
"""Words that are never names outside queries (nor is `reveal` at the start of a statement)."""

OPENING_KEYWORDS = {
    "party": "PARTY",
    "param": "PARAM",
    "input": "INPUT",
    "table": "TABLE",
    "query": "QUERY",
    "store": "STORE",
    "from": "FROM",
}
"""Words that open a statement when a name follows, and are names otherwise."""

AFTER_OPERAND = {
    "to": "TO",
    "as": "AS",
    "where": "WHERE",
    "with": "WITH",
    "from": "FROM",
    "rows": "ROWS",
    "unique": "UNIQUE",
    "in": "IN",
}
"""Words that are key words right after an operand outside queries, and are names otherwise."""

QUERY_KEYWORDS = {
    "select": "SELECT",
    "distinct": "DISTINCT",
    "from": "FROM",
    "where": "WHERE",
    "having": "HAVING",
    "union": "UNION",
    "on": "ON",
    "join": "JOIN",
    "as": "AS",
    "and": "AND",
    "or": "OR",
    "not": "NOT",
    "in": "IN",
    "like": "LIKE",
    "ilike": "LIKE",
    "is": "IS",
    "between": "BETWEEN",
    "null": "NULL",
    "case": "CASE",
    "true": "BOOL",
    "false": "BOOL",
    "with": "WITH",
}
"""Words that are never names in queries unless quoted, like `group by` and `order by`."""

QUERY_SIGNS = {"||": "CONCAT", "<>": "COMPARE", "!=": "COMPARE", "==": "COMPARE", "=": "COMPARE"}

SIGNS = {
    "**=": "AUGMENT",
    "//=": "AUGMENT",
    "+=": "AUGMENT",
    "-=": "AUGMENT",
    "*=": "AUGMENT",
    "/=": "AUGMENT",
    "%=": "AUGMENT",
    "@=": "AUGMENT",
    "==": "COMPARE",
    "!=": "COMPARE",
    "<=": "COMPARE",
    ">=": "COMPARE",
    "<": "COMPARE",
    ">": "COMPARE",
    "**": "POW",
    "//": "TIMES",
    "..": "DOTDOT",
    "+": "PLUS",
    "-": "MINUS",
    "*": "STAR",
    "/": "TIMES",
    "%": "TIMES",
    "@": "TIMES",
    "=": "EQUAL",
    "(": "LPAR",
    ")": "RPAR",
    "[": "LSQB",
    "]": "RSQB",
    ",": "_COMMA",
    ":": "COLON",
    ".": "DOT",
    "?": "QMARK",
}

CLOSES = {")": "(", "]": "["}

OPERAND_ENDS = frozenset({"NAME", "NUMBER", "STRING", "BOOL", "NULL", "RPAR", "RSQB", "QMARK", "END"})
"""Kinds after which an operand is complete."""

AGGREGATES = frozenset(
    {"count", "sum", "avg", "min", "max", "any_value", "bool_and", "bool_or", "every", "median", "percentile"}
    | {"stddev", "variance", "stddev_samp", "var_samp", "stddev_pop", "var_pop"}
)
WINDOWS = frozenset({"row_number", "rank", "dense_rank", "lag", "lead", "first_value", "last_value"})
"""Functions that stand only before `over`, as aggregates may."""
ROW_FUNCTIONS = frozenset(
    {"coalesce", "nullif", "greatest", "least", "cast", "extract", "year", "month", "day", "date_trunc"}
    | {"abs", "sign", "round", "trunc", "floor", "ceil", "ceiling", "mod", "power", "exp", "ln", "sqrt"}
    | {"substring", "substr", "left", "upper", "lower", "trim", "ltrim", "rtrim", "length", "strpos", "position"}
)
"""Functions of one row that SQL has."""
QUERY_FUNCTIONS = AGGREGATES | WINDOWS | ROW_FUNCTIONS
"""Functions whose names are key words of queries, hence in either case."""

_ALL_KEYWORDS = KEYWORDS | OPENING_KEYWORDS | AFTER_OPERAND | QUERY_KEYWORDS

WORDS = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text",
    "_NEWLINE": "the end of the line",
    "_INDENT": "an indented block",
    "_DEDENT": "the end of the block",
    "DOCSTRING": "a text",
    "$END": "the end of the study",
    "COMPARE": "a comparison",
    "BOOL": "a truth value",
    "AUGMENT": "an assignment",
    "TIMES": "an operator",
    "GROUP": "`group by`",
    "ORDER": "`order by`",
    "DOTSTAR": "`.*`",
    **{kind: f"`{sign}`" for sign, kind in SIGNS.items() if kind not in {"COMPARE", "AUGMENT", "TIMES"}},
    **{kind: f"`{word}`" for word, kind in _ALL_KEYWORDS.items() if kind != "BOOL"},
    "REVEAL": "`reveal`",
    "DATE": "`date`",
    "LIMIT": "`limit`",
    "OFFSET": "`offset`",
    "NULLS_FIRST": "`nulls first`",
    "NULLS_LAST": "`nulls last`",
    "CONCAT": "`||`",
    "LEFT": "`left`",
    "RIGHT": "`right`",
    "FULL": "`full`",
    "CROSS": "`cross`",
    "NATURAL": "`natural`",
    "USING": "`using`",
    "INTERSECT": "`intersect`",
    "EXCEPT": "`except`",
    "ANY": "`any`",
    "FILTER": "`filter`",
    "OVER": "`over`",
    "PARTITION": "`partition by`",
    "FRAME": "a frame",
    "INNER": "`inner`",
    "OUTER": "`outer`",
    "ALL": "`all`",
    "ASC": "`asc`",
    "DESC": "`desc`",
    "BOUNDED": "`bounded`",
    "EXISTS": "`exists`",
    "INTERVAL": "`interval`",
    "ESCAPE": "`escape`",
    "WITHIN": "`in`",
    "WHEN": "`when`",
    "THEN": "`then`",
    "END": "`end`",
}
"""The kinds of tokens in words, for messages."""
