"""What a query comes to once its names are known: selects over sources, in the terms of relational algebra.

For: `Column`, the expressions that only bound queries have (`Ref`, `Certain`, `Mean`, …), `From` and its sources,
`Block` (one select), `Union`, `Ordered`, `Attach` (a sub-query), and what columns an expression or source has.
Leaves to others: binding names (`bind`), moving conditions and expressions to where they cost least (`rewrite`),
circuits.

A bound expression is a tree of syntax nodes in which every column is a `Ref`; a `Name` that is left names a value of
the study.  Columns are told apart by identity: a table that is listed twice has its columns twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any, Literal, TypeAlias, cast

from dsl.node import Node, walk
from dsl.source import Span
from dsl.syntax import Frame, Logical
from dsl.values import Table
from mpc.types import Dim

__all__ = [
    "Among",
    "Attach",
    "Block",
    "Certain",
    "Column",
    "Default",
    "Derived",
    "Fraction",
    "From",
    "Item",
    "Joined",
    "Kind",
    "Mean",
    "Measure",
    "Ordered",
    "Plan",
    "Ref",
    "Running",
    "Scan",
    "Source",
    "Spread",
    "Union",
    "Whole",
    "Window",
    "Windowed",
    "columns_of",
    "conjuncts",
    "mapped",
    "outputs",
    "refs",
]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column somewhere in a query; equal only to itself."""

    name: str


# --------------------------------------------------------------------------------- bound expressions


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """A use of a column."""

    column: Column


@dataclass(frozen=True, slots=True)
class Certain(Node):
    """Whether a condition is true: false also where it is missing."""

    value: Node


@dataclass(frozen=True, slots=True)
class Default(Node):
    """A number, 0 where it is missing."""

    value: Node


@dataclass(frozen=True, slots=True)
class Among(Node):
    """`value in (select …)`: matched by a row; or else missing where `value` is and there are `rows`, or where not all
    of the rows have a value (`present` of them do)."""

    value: Node
    matched: Node
    rows: Node
    present: Node


@dataclass(frozen=True, slots=True)
class Mean(Node):
    """total / count, missing where the count is 0."""

    total: Node
    count: Node


@dataclass(frozen=True, slots=True)
class Whole(Node):
    """A number's units where they are exact, the whole part of a `fixed`: an int."""

    value: Node


@dataclass(frozen=True, slots=True)
class Fraction(Node):
    """What `Whole` leaves, in units of 2^-16: an int; 0 where units are exact."""

    value: Node


@dataclass(frozen=True, slots=True)
class Spread(Node):
    """Variance of a sample or of all there is, or its root, from sums over x = h + l 2^-16 (see `moments`)."""

    kind: Literal["variance", "stddev", "var_pop", "stddev_pop"]
    count: Node
    total: Node
    whole: Node
    fraction: Node
    whole_squared: Node
    crossed: Node
    fraction_squared: Node


# ------------------------------------------------------------------------------------------- sources


@dataclass(slots=True, eq=False)
class Scan:
    """A table of the study, with a column of its own for each of the table's. computed: expressions over them that are
    worked out here. filters: conditions on them. ranked: columns of which the order will be asked."""

    table: Table
    columns: dict[Column, str]
    span: Span
    computed: list[tuple[Column, Node]] = field(default_factory=list)
    filters: list[Node] = field(default_factory=list)
    attaches: list[Attach] = field(default_factory=list)
    ranked: list[Column] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Derived:
    """A sub-query in `from`."""

    plan: Plan
    span: Span
    computed: list[tuple[Column, Node]] = field(default_factory=list)
    filters: list[Node] = field(default_factory=list)
    attaches: list[Attach] = field(default_factory=list)
    ranked: list[Column] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Joined:
    """A left or full join, or a join with a bound: what does not commute with its neighbours. on: all of these hold."""

    kind: Literal["inner", "left", "full"]
    left: From
    right: From
    on: list[Node]
    bound: Dim | None
    span: Span
    computed: list[tuple[Column, Node]] = field(default_factory=list)
    filters: list[Node] = field(default_factory=list)
    attaches: list[Attach] = field(default_factory=list)


Source: TypeAlias = "Scan | Derived | Joined"


@dataclass(slots=True, eq=False)
class From:
    """Sources that are joined in any order, and the conditions that hold for what they give."""

    sources: list[Source]
    conditions: list[Node] = field(default_factory=list)
    attaches: list[Attach] = field(default_factory=list)
    span: Span = Span(0, 0)  # noqa: RUF009 - a constant


@dataclass(slots=True, eq=False)
class Attach:
    """Columns of a sub-query beside the rows that it belongs to.

    keys: pairs of an expression over those rows and a column of the sub-query, equal where they belong together; none:
    the sub-query is one row.  matched: a column, true where there is such a row.
    pairs: conditions over both that are no such equalities; then all rows meet all rows, and `measures` of the rows
    that hold are attached in place of columns.  single: the column that counts the rows of what must be one row at
    most.  certain: of so many of the last keys nothing may be missing.
    """

    plan: Plan
    keys: list[tuple[Node, Column]]
    columns: list[Column]
    matched: Column
    span: Span
    pairs: list[Node] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    single: Column | None = None
    certain: int = 0

    @property
    def alone(self) -> bool:
        """Whether it is one row, which belongs to all rows."""
        return not self.keys and not self.pairs

    @property
    def made(self) -> set[Column]:
        """The columns that it brings."""
        return {self.matched, *self.columns, *(m.column for m in self.measures)}

    @property
    def outer(self) -> set[Column]:
        """The columns of the rows that it needs."""
        used = {c for e, _ in self.keys for c in refs(e)}
        inner = columns_of(self.plan)
        paired = {c for e in [*self.pairs, *(m.argument for m in self.measures if m.argument)] for c in refs(e)}
        return used | (paired - inner)


# ------------------------------------------------------------------------------------------- selects


Kind: TypeAlias = Literal["rows", "count", "sum", "total", "min", "max", "any", "distinct", "distinct sum", "quantile"]


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """An aggregate of the simple kinds, of which all others are made.

    kind: rows (a count of rows), count, sum, total (a sum that is 0 where there is nothing), min, max, any (of equal
    values), distinct (how many different ones), distinct sum (of different ones), quantile.
    argument: None for `rows`. fraction: of `quantile`, between 0 and 1.
    """

    column: Column
    kind: Kind
    argument: Node | None
    span: Span
    fraction: Decimal = Decimal(0)


Running: TypeAlias = Literal[
    "row_number", "rank", "dense_rank", "rows", "count", "sum", "min", "max", "first", "last", "lag", "lead", "lagging",
    "leading",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of a select a value is taken from: those of the partition, up to the frame's end in this order.

    frame: to the current row and its peers, to the current row, or all of the partition. preceding: of `rows`, from so
    many rows before the current one on; None: from the first.
    """

    partition: tuple[Node, ...] = ()
    order: tuple[tuple[Node, bool], ...] = ()
    frame: Frame = "range"
    preceding: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """A column of values over a window. lag, lead: the value `offset` rows before or after; lagging, leading: whether
    there is such a row."""

    column: Column
    kind: Running
    argument: Node | None
    window: Window
    span: Span
    offset: int = 0

    @property
    def nodes(self) -> list[Node]:
        """The expressions that it is made of."""
        used = [*self.window.partition, *(node for node, _ in self.window.order)]
        return used if self.argument is None else [*used, self.argument]

    def over(self, change: Callable[[Node], Node]) -> Windowed:
        """The same over changed expressions."""
        window = replace(
            self.window,
            partition=tuple(change(node) for node in self.window.partition),
            order=tuple((change(node), down) for node, down in self.window.order),
        )
        return replace(self, window=window, argument=None if self.argument is None else change(self.argument))


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A column of the result. hidden: only for `order by`."""

    column: Column
    name: str
    value: Node
    hidden: bool = False


@dataclass(slots=True, eq=False)
class Block:
    """One select. keys: with a column each, none together with `grouped`: all rows are one group. having, attaches:
    over groups. sorted: columns of items that `order by` asks for, None for what is computed of one, and whether
    descending. windows: over rows, or groups where there are any, that `where` and `having` leave."""

    source: From
    items: list[Item]
    grouped: bool = False
    keys: list[tuple[Column, Node]] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    having: list[Node] = field(default_factory=list)
    attaches: list[Attach] = field(default_factory=list)
    distinct: bool = False
    span: Span = Span(0, 0)  # noqa: RUF009 - a constant
    sorted: list[tuple[Column | None, bool]] = field(default_factory=list)
    windows: list[Windowed] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Union:
    """All rows of two selects, as they are or each once; or each row once that both have, or only the left one."""

    left: Plan
    right: Plan
    all: bool
    columns: list[tuple[str, Column]]
    span: Span
    kind: Literal["union", "intersect", "except"] = "union"


@dataclass(slots=True, eq=False)
class Ordered:
    """A select in order, or rows of one: `limit` of them (None: all) behind the first `offset`."""

    plan: Plan
    order: list[tuple[Node, bool]]
    limit: int | None
    span: Span
    offset: int = 0

    @property
    def whole(self) -> bool:
        """Whether all rows are there."""
        return self.limit is None and not self.offset


Plan: TypeAlias = "Block | Union | Ordered"


# ------------------------------------------------------------------------------------------- questions


def outputs(plan: Plan) -> list[tuple[str, Column]]:
    """The columns of the result by name, in order."""
    match plan:
        case Block(items=items):
            return [(i.name, i.column) for i in items if not i.hidden]
        case Union(columns=columns):
            return columns
        case Ordered(plan=inner):
            return outputs(inner)


def columns_of(source: Source | From | Plan) -> set[Column]:
    """All columns that expressions over a source, or over the result of a select, may use."""
    match source:
        case From(sources=sources, attaches=attaches):
            found = {c for s in sources for c in columns_of(s)}
            return found | {c for a in attaches for c in a.made}
        case Block() | Union() | Ordered():
            return {c for _, c in outputs(source)}
        case Scan(columns=columns):
            found = set(columns)
        case Derived(plan=plan):
            found = columns_of(plan)
        case Joined(left=left, right=right):
            found = columns_of(left) | columns_of(right)
    return found | {c for c, _ in source.computed} | {c for a in source.attaches for c in a.made}


def refs(node: Node) -> Iterator[Column]:
    """The columns that an expression uses."""
    return (n.column for n in walk(node) if isinstance(n, Ref))


def conjuncts(node: Node | None) -> list[Node]:
    """The conditions that `and` joins, factors that all sides of an `or` share among them."""
    if node is None:
        return []
    if isinstance(node, Logical) and node.op == "and":
        return [*conjuncts(node.left), *conjuncts(node.right)]
    if isinstance(node, Logical):
        sides = [conjuncts(node.left), conjuncts(node.right)]
        shared = [c for c in sides[0] if c in sides[1]]
        rest = [[c for c in side if c not in shared] for side in sides]
        if shared and not all(rest):
            return shared
        if shared:
            left, right = (_all(side) for side in rest)
            return [*shared, Logical("or", left, right, span=node.span)]
    return [node]


def _all(conditions: Sequence[Node]) -> Any:
    """All conditions as one."""
    out: Any = conditions[0]
    for c in conditions[1:]:
        out = Logical("and", out, cast(Any, c), span=out.span.to(c.span))
    return out


def mapped(node: Node, change: Callable[[Node], Node]) -> Node:
    """`node` with each of the nodes directly below it changed."""
    changes: dict[str, Any] = {}
    for f in fields(node):
        value = getattr(node, f.name)
        if isinstance(value, Node):
            changes[f.name] = change(value)
        elif isinstance(value, tuple) and any(isinstance(v, Node) for v in value):
            changes[f.name] = tuple(change(v) if isinstance(v, Node) else v for v in value)
    return replace(node, **changes) if changes else node
