"""The nodes of queries: selects, what they select from, and the expressions that only queries have.

For: the SQL half of the tree.
Leaves to others: the conventions and the families (`syntax`, from which everything here is to be imported).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dsl.node import Identifier, Node

if TYPE_CHECKING:
    from dsl.syntax import Call, CompareOperator, Expression, QueryBody, TableExpression


@dataclass(frozen=True, slots=True)
class CommonTable(Node):
    """`name [(columns)] as (query)` after `with`."""

    name: Identifier
    query: "Query"
    columns: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class OrderItem(Node):
    """`key [desc] [nulls first]` of `order by`: an expression over the result's columns or, as an `Int`, a column's
    number. nulls: where missing values stand, last when not said."""

    key: "Expression"
    descending: bool = False
    nulls: Literal["first", "last"] | None = None


@dataclass(frozen=True, slots=True)
class Query(Node):
    """`[with common] body [order by …] [limit n] [offset m]`: what `query q:` holds, and every sub-query."""

    body: "QueryBody"
    common: tuple[CommonTable, ...] = ()
    order: tuple[OrderItem, ...] = ()
    limit: "Expression | None" = None
    offset: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class SelectItem(Node):
    """`value [as alias]`; a `Star` has no alias."""

    value: "Expression | Star"
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`select [distinct] items from sources [where] [group by] [having]`; several sources were joined by commas."""

    items: tuple[SelectItem, ...]
    sources: "tuple[TableExpression, ...]" = ()
    where: "Expression | None" = None
    group: "tuple[Expression, ...]" = ()
    having: "Expression | None" = None
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Union(Node):
    """`left union [all] right`, or `intersect`, or `except`; a `Query` is what was written in parentheses."""

    left: "QueryBody"
    right: "QueryBody"
    all: bool = False
    kind: Literal["union", "intersect", "except"] = "union"


@dataclass(frozen=True, slots=True)
class TableName(Node):
    """`name [as alias]` in `from`."""

    name: Identifier
    alias: Identifier | None = None


@dataclass(frozen=True, slots=True)
class DerivedTable(Node):
    """`(query) [as alias [(columns)]]` in `from`."""

    query: Query
    alias: Identifier | None = None
    columns: tuple[Identifier, ...] = ()


JoinKind = Literal["inner", "left", "right", "full", "cross"]


@dataclass(frozen=True, slots=True)
class Join(Node):
    """`left [natural] [kind] join right [on condition | using (columns)] [bounded bound]`, or `left cross join right`.

    Of `on` and `using` there is one, none of a natural or cross join."""

    kind: "JoinKind"
    left: "TableExpression"
    right: "TableExpression"
    condition: "Expression | None" = None
    bound: "Expression | None" = None
    using: tuple[Identifier, ...] = ()
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Star(Node):
    """`*`, or `table.*`, in a select list or in `count(*)`."""

    table: Identifier | None = None


@dataclass(frozen=True, slots=True)
class Null(Node):
    """`null`."""


@dataclass(frozen=True, slots=True)
class When(Node):
    """`when condition then value`."""

    condition: "Expression"
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Case(Node):
    """`case when … then … [else …] end`; `case x when v` is read as `case when x = v`. No `else` means null."""

    branches: tuple[When, ...]
    otherwise: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class Between(Node):
    """`value [not] between low and high`, both ends included."""

    value: "Expression"
    low: "Expression"
    high: "Expression"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InList(Node):
    """`value [not] in (a, b)`."""

    value: "Expression"
    items: "tuple[Expression, ...]"
    negated: bool = False


@dataclass(frozen=True, slots=True)
class InQuery(Node):
    """`value [not] in (select …)`; the value may be a `Tuple`."""

    value: "Expression"
    query: Query
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`value op any (select …)`, or `all`."""

    op: "CompareOperator"
    value: "Expression"
    query: Query
    all: bool = False


@dataclass(frozen=True, slots=True)
class Filtered(Node):
    """`aggregate(…) filter (where condition)`."""

    call: "Call"
    condition: "Expression"


Frame = Literal["range", "rows", "whole"]


@dataclass(frozen=True, slots=True)
class Over(Node):
    """`function(…) over ([partition by …] [order by …] [frame])`.

    frame: up to the current row and its peers, up to the current row, or all rows of the partition. preceding: of
    `rows`, from so many rows before the current one on; None: from the first."""

    call: "Call | Filtered"
    partition: "tuple[Expression, ...]" = ()
    order: tuple[OrderItem, ...] = ()
    frame: Frame = "range"
    preceding: int | None = None


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """`exists (select …)`."""

    query: Query


@dataclass(frozen=True, slots=True)
class ScalarQuery(Node):
    """`(select …)` as a value: one row, one column."""

    query: Query


@dataclass(frozen=True, slots=True)
class Like(Node):
    """`value [not] like pattern [escape '!']`; `%` is any text, `_` one character. any_case: `ilike`."""

    value: "Expression"
    pattern: "Expression"
    negated: bool = False
    escape: "Expression | None" = None
    any_case: bool = False


@dataclass(frozen=True, slots=True)
class IsNull(Node):
    """`value is [not] null`."""

    value: "Expression"
    negated: bool = False


DatePart = Literal["year", "quarter", "month", "week", "day", "dow", "isodow", "doy"]


@dataclass(frozen=True, slots=True)
class Extract(Node):
    """`extract(part from value)` of a date."""

    part: DatePart
    value: "Expression"


SqlKind = Literal["int", "fixed", "decimal", "bool", "date", "text"]


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """`cast(value as kind)`. size: places of a `decimal`, bytes of a `text`, None where none is written."""

    value: "Expression"
    kind: SqlKind
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Interval(Node):
    """`interval '3' month`."""

    count: int
    unit: Literal["day", "month", "year"]
