# ruff: noqa: D102 - the methods are named after the rules of the grammar, which says what each reads
"""Makes the nodes of queries from what the grammar recognised; see `build`.

For: one method for each rule of selects and of the expressions that only queries have.
Leaves to others: which tables and columns there are, what is grouped, which join has a unique side.
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal, cast, get_args

from dsl import syntax as s
from dsl.build_expression import COMPARE, Children, Part, Refused, covers
from dsl.source import Span
from dsl.syntax_query import DatePart
from dsl.tokens import Token

MAX_INTERVAL = 1_000_000

SQL_TYPES: Final[dict[str, s.SqlKind]] = {
    **dict.fromkeys(("int", "integer", "bigint", "smallint"), "int"),
    **dict.fromkeys(("fixed", "double", "float", "real"), "fixed"),
    **dict.fromkeys(("decimal", "numeric"), "decimal"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
    "date": "date",
    **dict.fromkeys(("text", "varchar", "char", "string"), "text"),
}
"""What `cast` may name, and which of the language's types it means."""

_CLAUSES = ("where", "group by", "having")
_ENDINGS = ("order by", "limit", "offset")
_FILTER = "`count(*) filter (where x > 0)`"
_NEAR = re.compile(r"([0-9]{1,4}) preceding|between ([0-9]{1,4}) preceding and current row")
_FRAME_ENDS = ("current row", "unbounded following")
_COUNT = re.compile(r"-?[0-9]{1,7}")

UNITS: Final[dict[str, tuple[int, Literal["day", "month", "year"]]]] = {
    "day": (1, "day"),
    "week": (7, "day"),
    "month": (1, "month"),
    "quarter": (3, "month"),
    "year": (1, "year"),
}
"""What an interval may count, and what it is in days, months or years."""


class QueryBuilder:
    """The callbacks of the rules of queries."""

    # ---------------------------------------------------------------------------------------------- selects

    def select_query(self, c: Children) -> s.Query:
        common = c[0].value if c[0] else ()
        parts = _in_order(c[2:], _ENDINGS)
        ends = parts.get("order by", ()), parts.get("limit"), parts.get("offset")
        return s.Query(c[1], common, *ends, span=covers(c))

    def common_tables(self, c: Children) -> Part:
        return Part("with", tuple(c[1:]), covers(c))

    def common(self, c: Children) -> s.CommonTable:
        return s.CommonTable(c[0], c[6], c[2] or (), span=covers(c))

    def order(self, c: Children) -> Part:
        return Part("order by", tuple(c[1:]), covers(c))

    def order_item(self, c: Children) -> s.OrderItem:
        nulls: Literal["first", "last"] | None = None
        if c[2] is not None:
            nulls = "first" if c[2].type == "NULLS_FIRST" else "last"
        return s.OrderItem(c[0], c[1] is not None and c[1].type == "DESC", nulls, span=covers(c))

    def limit(self, c: Children) -> Part:
        return Part("limit", c[1], covers(c))

    def offset(self, c: Children) -> Part:
        return Part("offset", c[1], covers(c))

    def union(self, c: Children) -> s.Union:
        return _united(c[0], c[1], c[2], c[3], covers(c))

    def union_of_inner(self, c: Children) -> s.Union:
        return _united(c[1], c[3], c[4], c[5], covers(c))

    def inner_query(self, c: Children) -> s.Query:
        return replace(cast(s.Query, c[1]), span=covers(c))

    def select(self, c: Children) -> s.Select:
        parts = _in_order(c[5:], _CLAUSES)
        group = parts.get("group by", ())
        where, having = parts.get("where"), parts.get("having")
        return s.Select(c[2], c[4], where, group, having, c[1] is not None, span=covers(c))

    def items(self, c: Children) -> tuple[s.SelectItem, ...]:
        return tuple(c)

    def item(self, c: Children) -> s.SelectItem:
        span = covers(c)
        if isinstance(c[0], Token):
            table = None if len(c) == 1 else s.Identifier(str(c[0].value), span=covers(c[:1]))
            return s.SelectItem(s.Star(table, span=span), span=span)
        return s.SelectItem(c[0], _alias(c[1]), span=span)

    def sources(self, c: Children) -> tuple[s.TableExpression, ...]:
        return tuple(c)

    def where(self, c: Children) -> Part:
        return Part("where", c[1], covers(c))

    def group(self, c: Children) -> Part:
        return Part("group by", tuple(c[1:]), covers(c))

    def having(self, c: Children) -> Part:
        return Part("having", c[1], covers(c))

    def alias(self, c: Children) -> Part:
        names = [x for x in c if isinstance(x, s.Identifier)]
        return Part("alias", (names[0], c[-2] or ()), covers(c))

    def table_name(self, c: Children) -> s.TableName:
        return s.TableName(c[0], _alias(c[1]), span=covers(c))

    def derived_table(self, c: Children) -> s.DerivedTable:
        alias, columns = c[3].value if c[3] else (None, ())
        return s.DerivedTable(c[1], alias, columns, span=covers(c))

    def inner_tables(self, c: Children) -> s.TableExpression:
        return cast(s.TableExpression, c[1])

    def join_kind(self, c: Children) -> Part:
        return Part("join", c[0].type.lower(), covers(c))

    def on(self, c: Children) -> Part:
        return Part("on", c[1], covers(c))

    def using(self, c: Children) -> Part:
        return Part("using", c[2], covers(c))

    def bounded(self, c: Children) -> Part:
        return Part("bounded", c[1], covers(c))

    def join(self, c: Children) -> s.Join:
        condition = c[4].value if c[4].kind == "on" else None
        using = c[4].value if c[4].kind == "using" else ()
        return s.Join(_kind(c[1]), c[0], c[3], condition, _bound(c[5]), using, span=covers(c))

    def natural_join(self, c: Children) -> s.Join:
        return s.Join(_kind(c[2]), c[0], c[4], None, _bound(c[5]), natural=True, span=covers(c))

    def cross_join(self, c: Children) -> s.Join:
        return s.Join("cross", c[0], c[3], span=covers(c))

    # ------------------------------------------------------------------------------------------- predicates

    def between(self, c: Children) -> Part:
        return Part("between", (c[1], c[3]), covers(c))

    def in_list(self, c: Children) -> Part:
        return Part("in list", c[2], covers(c))

    def in_query(self, c: Children) -> Part:
        return Part("in query", c[2], covers(c))

    def like(self, c: Children) -> Part:
        return Part("like", (c[1], c[3], c[0].value == "ilike"), covers(c))

    def predicated(self, c: Children) -> s.Expression:
        value, part, negated, span = c[0], c[-1], len(c) == 3, covers(c)
        match part.kind:
            case "between":
                low, high = part.value
                return s.Between(value, low, high, negated, span=span)
            case "in list":
                return s.InList(value, part.value, negated, span=span)
            case "in query":
                return s.InQuery(value, part.value, negated, span=span)
        pattern, escape, any_case = part.value
        return s.Like(value, pattern, negated, escape, any_case, span=span)

    def quantified(self, c: Children) -> s.Quantified:
        op = cast(s.CompareOperator, COMPARE.get(c[1].value, c[1].value))
        return s.Quantified(op, c[0], c[4], c[2].type == "ALL", span=covers(c))

    def is_null(self, c: Children) -> s.IsNull:
        return s.IsNull(c[0], len(c) == 4, span=covers(c))

    # ------------------------------------------------------------------------------------------------ calls

    def call_distinct(self, c: Children) -> s.Call:
        return s.Call(c[0], (c[3],), (), True, span=covers(c))

    def call_star(self, c: Children) -> s.Call:
        if not (isinstance(c[0], s.Name) and c[0].id == "count"):
            raise Refused("E0604", "only `count` takes `*`", covers(c), "", ["`count(*)` is the number of rows"])
        return s.Call(c[0], (s.Star(span=covers([c[2]])),), span=covers(c))

    def call_from(self, c: Children) -> s.Extract | s.Call:
        function, first, value, length, span = c[0], c[2], c[4], c[6], covers(c)
        called = function.id if isinstance(function, s.Name) else ""
        if called == "extract" and length is None:
            part = first.id.lower() if isinstance(first, s.Name) else ""
            if part not in get_args(DatePart):
                helps = [f"`extract(year from d)`, or {', '.join(f'`{p}`' for p in get_args(DatePart)[1:])}"]
                raise Refused("E0601", "`extract` takes a part of a date", first.span, "", helps)
            return s.Extract(cast(DatePart, part), value, span=span)
        if called == "substring":
            return s.Call(function, (first, value) if length is None else (first, value, length), span=span)
        helps = ["`extract(year from d)`, `substring(x from 1 for 2)`"]
        raise Refused("E0601", "`from` has no place in this call", covers([c[3]]), "", helps)

    def call_within(self, c: Children) -> s.Call:
        return s.Call(s.Name("strpos", span=c[0].span), (c[4], c[2]), span=covers(c))

    def sql_type(self, c: Children) -> Part:
        return Part(str(c[0].value), c[1:], covers(c))

    def call_as(self, c: Children) -> s.Cast:
        function, value, named, span = c[0], c[2], c[4], covers(c)
        if not (isinstance(function, s.Name) and function.id == "cast"):
            raise Refused("E0601", "`as` has no place in this call", covers([c[3]]), "", ["`cast(x as int)`"])
        kind = SQL_TYPES.get(named.kind.lower())
        if kind is None:
            helps = ["there are `int`, `fixed`, `decimal(2)`, `bool`, `date`, `text`"]
            raise Refused("E0301", f"nothing is cast to `{named.kind}`", named.span, "", helps)
        numbers = [t.value for t in named.value if isinstance(t, Token) and t.type == "NUMBER"]
        most = {"decimal": 2, "text": 1}.get(kind, 0)
        if len(numbers) > most or any(not isinstance(n, int) for n in numbers) or (kind == "decimal" and not numbers):
            helps = ["`decimal(2)`, or as SQL has it `decimal(15, 2)`, has two places"] if kind == "decimal" else []
            raise Refused("E0301", "a type with other numbers than it takes", named.span, "", helps)
        return s.Cast(value, kind, cast(int, numbers[-1]) if numbers else None, span=span)

    def filtered(self, c: Children) -> s.Filtered:
        if not isinstance(c[0], s.Call):
            raise Refused("E0601", "`filter` stands behind an aggregate", covers(c), "", [_FILTER])
        return s.Filtered(c[0], c[3].value, span=covers(c))

    def partition(self, c: Children) -> Part:
        return Part("partition by", tuple(c[1:]), covers(c))

    def over(self, c: Children) -> s.Over:
        call, partition, order, frame = c[0], c[3], c[4], c[5]
        if not isinstance(call, s.Call | s.Filtered):
            raise Refused("E0601", "`over` stands behind a function", covers(c), "", ["`row_number() over (…)`"])
        keys = () if partition is None else partition.value
        return s.Over(call, keys, () if order is None else order.value, *_frame(frame), span=covers(c))

    # ------------------------------------------------------------------------------------------------ atoms

    def null(self, c: Children) -> s.Null:
        return s.Null(span=covers(c))

    def interval(self, c: Children) -> s.Interval:
        written, at = c[1].value, c[2] or c[1]
        name = str(at.value).strip()
        if c[2] is None:  # `interval '3 month'`
            written, _, name = name.partition(" ")
        unit = name.strip().lower().removesuffix("s")
        if unit not in UNITS:
            message = f"an interval has no unit `{name}`" if name else "an interval has a unit"
            helps = ["`interval '3' month`, or `day`, `week`, `quarter`, `year`"]
            raise Refused("E0601", message, covers([at]), "", helps)
        if isinstance(written, Decimal) or not _COUNT.fullmatch(str(written)) or abs(int(written)) > MAX_INTERVAL:
            raise Refused("E0601", "an interval is a whole number", covers([c[1]]), "", ["`interval '3' month`"])
        many, of = UNITS[unit]
        return s.Interval(many * int(written), of, span=covers(c))

    def scalar_query(self, c: Children) -> s.ScalarQuery:
        return s.ScalarQuery(c[1], span=covers(c))

    def exists(self, c: Children) -> s.Exists:
        return s.Exists(c[2], span=covers(c))

    def case(self, c: Children) -> s.Case:
        operand, otherwise = c[1], c[-2]
        whens = [x for x in c if isinstance(x, s.When)]
        if operand is not None:
            whens = [replace(w, condition=s.Compare("==", operand, w.condition, span=w.span)) for w in whens]
        return s.Case(tuple(whens), otherwise, span=covers(c))

    def when(self, c: Children) -> s.When:
        return s.When(c[1], c[3], span=covers(c))


def _in_order(parts: Children, order: tuple[str, ...]) -> dict[str, Any]:
    """The clauses by name; each at most once and in the order of SQL."""
    found: dict[str, Any] = {}
    last = -1
    for part in parts:
        at = order.index(part.kind)
        if at == last:
            raise Refused("E0601", f"`{part.kind}` is written twice", part.span)
        if at < last:
            raise Refused("E0601", f"`{part.kind}` comes before `{order[last]}`", part.span, "too late here")
        last = at
        found[part.kind] = part.value
    return found


def _frame(token: Token | None) -> tuple[s.Frame, int | None]:
    """Where a window's frame ends, and from how many rows before the current one it goes."""
    if token is None:
        return "range", None
    unit, *words = str(token.value).lower().split()
    ends = " ".join(words)
    if ends in {"unbounded preceding", "between unbounded preceding and current row"} and unit != "groups":
        return cast(s.Frame, unit), None
    if ends == "between unbounded preceding and unbounded following":
        return "whole", None
    near = _NEAR.fullmatch(ends)
    if near and unit == "rows":
        return "rows", int(near[1] or near[2])
    helps = [f"`{unit if unit != 'groups' else 'rows'} between unbounded preceding and {end}`" for end in _FRAME_ENDS]
    raise Refused("E0901", "this frame of a window is not supported yet", covers([token]), "", helps)


def _united(left: s.QueryBody, sign: Token, amount: Token | None, right: s.QueryBody, span: Span) -> s.Union:
    kind = cast(Literal["union", "intersect", "except"], sign.type.lower())
    every = amount is not None and amount.type == "ALL"
    if every and kind != "union":
        at = covers([sign, amount])
        raise Refused("E0901", f"`{kind} all` is not supported yet", at, "", [f"`{kind}` gives each row once"])
    return s.Union(left, right, every, kind, span=span)


def _kind(part: Part | None) -> s.JoinKind:
    return "inner" if part is None else cast(s.JoinKind, part.value)


def _bound(part: Part | None) -> s.Expression | None:
    return None if part is None else cast(s.Expression, part.value)


def _alias(part: Part | None) -> s.Identifier | None:
    """The name of an alias that has no column names."""
    if part is None:
        return None
    name, columns = part.value
    if columns:
        raise Refused("E0601", "only a sub-query names its columns", part.span)
    return cast(s.Identifier, name)
