"""Writes queries as text; see `unparse`.

For: selects, and the expressions that only queries have.
Leaves to others: the expressions that queries share with statements.
"""

from dsl import syntax as s
from dsl.tokens import NAME, QUERY_FUNCTIONS, QUERY_KEYWORDS
from dsl.unparse_expression import Level, Writer

_SOFT_WORDS = """
    group order by limit left inner outer right full cross natural intersect except all asc desc bounded exists interval
    date for when then else end using extract substring offset nulls escape
"""
_CAREFUL = QUERY_KEYWORDS.keys() | QUERY_FUNCTIONS | set(_SOFT_WORDS.split())


class QueryWriter(Writer):
    """Writes expressions as they stand in queries, and selects."""

    equals = "="

    def name(self, name: str) -> str:
        """A name, quoted where it could be taken for a key word or is none otherwise."""
        return (
            name if NAME.fullmatch(name) and name.lower() not in _CAREFUL else f'"{name.replace(chr(34), chr(34) * 2)}"'
        )

    def field(self, name: str) -> str:
        """The name after a point, which is never a key word."""
        return name if NAME.fullmatch(name) else self.name(name)

    def text(self, value: str) -> str:
        """A text, its quotes doubled."""
        return "'" + value.replace("'", "''") + "'"

    def postfix(self, node: s.Call | s.Attribute | s.Subscript | s.Reveal) -> str:
        """The same as in statements, but a function's name stands unquoted where it can."""
        match node:
            case s.Call(s.Name(id_), arguments, _, distinct) if (
                NAME.fullmatch(id_) and id_.lower() not in QUERY_KEYWORDS
            ):
                name = self.name(id_) if id_.lower() in {"exists", "interval"} else id_
                return f"{name}({'distinct ' if distinct else ''}{self.listed(arguments)})"
        return super().postfix(node)

    def query(self, node: s.QueryBody) -> str:
        """A query on one line."""
        match node:
            case s.Select():
                return self.select(node)
            case s.Union(left, right, all_, kind):
                word = f"{kind} all" if all_ else kind
                return f"{self.term(left, node)} {word} {self.term(right, node)}"
            case s.Query(body, common, order, limit, offset):
                text = ""
                if common:
                    text = f"with {', '.join(self.common(c) for c in common)} "
                text += self.query(body)
                if order:
                    text += " order by " + ", ".join(self.order(o) for o in order)
                text += "" if limit is None else f" limit {self.expression(limit, Level.SUM)}"
                return text if offset is None else f"{text} offset {self.expression(offset, Level.SUM)}"

    def term(self, node: s.QueryBody, around: s.Union) -> str:
        """One side of a union; `intersect` binds tighter than the others."""
        text = self.query(node)
        wrapped = isinstance(node, s.Query)
        if isinstance(node, s.Union):
            tight, loose = node.kind == "intersect", around.kind != "intersect"
            wrapped = not (tight and loose) and (node is around.right or not (tight or loose))
        return f"({text})" if wrapped else text

    def common(self, node: s.CommonTable) -> str:
        """One table of `with`."""
        return f"{self.name(node.name.text)}{self.columns(node.columns)} as ({self.query(node.query)})"

    def columns(self, names: tuple[s.Identifier, ...]) -> str:
        """Names of columns in parentheses, or nothing."""
        return f"({', '.join(self.name(n.text) for n in names)})" if names else ""

    def order(self, node: s.OrderItem) -> str:
        """One key of `order by`."""
        text = self.expression(node.key) + (" desc" if node.descending else "")
        return text if node.nulls is None else f"{text} nulls {node.nulls}"

    def select(self, node: s.Select) -> str:
        """One select."""
        text = "select distinct " if node.distinct else "select "
        text += ", ".join(map(self.item, node.items)) + " from " + ", ".join(map(self.source, node.sources))
        if node.where is not None:
            text += f" where {self.expression(node.where)}"
        if node.group:
            text += f" group by {self.listed(node.group)}"
        return text if node.having is None else f"{text} having {self.expression(node.having)}"

    def item(self, node: s.SelectItem) -> str:
        """One column of the result."""
        text = self.expression(node.value)
        return text if node.alias is None else f"{text} as {self.name(node.alias.text)}"

    def source(self, node: s.TableExpression) -> str:
        """A table, sub-query or join of `from`."""
        match node:
            case s.TableName(name, alias):
                return self.name(name.text) + (f" as {self.name(alias.text)}" if alias else "")
            case s.DerivedTable(query, alias, columns):
                named = f" as {self.name(alias.text)}{self.columns(columns)}" if alias else ""
                return f"({self.query(query)}){named}"
            case s.Join(kind, left, right, condition, bound, using, natural):
                inner = f"({self.source(right)})" if isinstance(right, s.Join) else self.source(right)
                words = ["natural"] * natural + [kind] * (kind != "inner")
                text = f"{self.source(left)} {' '.join([*words, 'join'])} {inner}"
                text += f" using {self.columns(using).strip()}" if using else ""
                text += "" if condition is None else f" on {self.expression(condition)}"
                return text if bound is None else f"{text} bounded {self.expression(bound, Level.SUM)}"

    def query_parts(self, node: s.Expression) -> tuple[Level, str]:
        """How tightly an expression that only queries have binds, and its text."""
        match node:
            case s.Star(table):
                return Level.ATOM, "*" if table is None else f"{self.name(table.text)}.*"
            case s.Null():
                return Level.ATOM, "null"
            case s.Case(branches, otherwise):
                text = "".join(
                    f" when {self.expression(b.condition)} then {self.expression(b.value)}" for b in branches
                )
                ending = "" if otherwise is None else f" else {self.expression(otherwise)}"
                return Level.ATOM, f"case{text}{ending} end"
            case s.Exists(query):
                return Level.ATOM, f"exists ({self.query(query)})"
            case s.ScalarQuery(query):
                return Level.ATOM, f"({self.query(query)})"
            case s.Cast(value, kind, size):
                return Level.POSTFIX, f"cast({self.expression(value)} as {kind}{'' if size is None else f'({size})'})"
            case s.Filtered(call, condition):
                return Level.POSTFIX, f"{self.postfix(call)} filter (where {self.expression(condition)})"
            case s.Over():
                return Level.POSTFIX, self.over(node)
            case s.Interval(count, unit):
                return Level.ATOM, f"interval '{count}' {unit}"
            case s.Between() | s.InQuery() | s.Quantified() | s.Like() | s.IsNull():
                return Level.COMPARISON, self.predicate(node)
        return super().query_parts(node)

    def over(self, node: s.Over) -> str:
        """A window."""
        parts = [f"partition by {self.listed(node.partition)}"] if node.partition else []
        parts += [f"order by {', '.join(map(self.order, node.order))}"] if node.order else []
        end = {"rows": "current row", "whole": "unbounded following"}.get(node.frame)
        start = "unbounded" if node.preceding is None else node.preceding
        parts += [] if end is None else [f"rows between {start} preceding and {end}"]
        return f"{self.expression(node.call, Level.POSTFIX)} over ({' '.join(parts)})"

    def predicate(self, node: s.Between | s.InQuery | s.Quantified | s.Like | s.IsNull) -> str:
        """A condition on a value."""
        match node:
            case s.Quantified(op, value, query, every):
                sign = {"==": "=", "!=": "<>"}.get(op, op)
                return f"{self.expression(value, Level.SUM)} {sign} {'all' if every else 'any'} ({self.query(query)})"
            case s.Between(value, low, high, negated):
                range_ = f"between {self.expression(low, Level.SUM)} and {self.expression(high, Level.SUM)}"
                return f"{self.expression(value, Level.SUM)} {_not(negated)}{range_}"
            case s.InQuery(value, query, negated):
                return f"{self.expression(value, Level.SUM)} {_not(negated)}in ({self.query(query)})"
            case s.Like(value, pattern, negated, escape, any_case):
                ends = "" if escape is None else f" escape {self.expression(escape, Level.SUM)}"
                word = "ilike" if any_case else "like"
                said = f"{_not(negated)}{word} {self.expression(pattern, Level.SUM)}{ends}"
                return f"{self.expression(value, Level.SUM)} {said}"
            case s.IsNull(value, negated):
                return f"{self.expression(value, Level.SUM)} is {_not(negated)}null"
        raise TypeError(f"{type(node).__name__} is no expression of a query")


def _not(negated: bool) -> str:
    return "not " if negated else ""
