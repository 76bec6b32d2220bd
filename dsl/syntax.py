"""The syntax tree of a study.

For: every node that `parse` makes, as frozen dataclasses, grouped in families whose sums (`Statement`, `Expression`,
`TableExpression`, …) are unions, so that `match` can be checked for completeness.
Leaves to others: reading text (`parse`), writing it (`unparse`), and every meaning (names, types, shapes, visibility).

Conventions.

- Every node has `span`, keyword-only, the characters it was read from. Two nodes are **equal when they say the same,
  wherever they stand**: spans do not take part in `==` or `hash`. A table keyed by place must be keyed by `span`.
- An `Identifier` is a name where it is declared or used as a label (a party, a column in a `table`, the name after
  `as`); a `Name` is a name used as an expression or assigned to. So all uses of variables are the `Name`s of a tree.
- The expressions of queries are the ordinary ones plus the family `QueryExpression` (of which `InList` and `Extract`
  may stand in statements too, and `Star` as the argument of `count`); `=` and `==` in queries both
  become `Compare("==")`, `<>` and `!=` both `Compare("!=")`. Sequences are tuples, what may be missing is `None`.
- A tree is never deeper than `MAX_DEPTH` nodes, so that it may be walked by recursion.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from dsl.node import MAX_DEPTH, Identifier, Node, children, depth, walk
from dsl.source import Source
from dsl.syntax_expression import (
    Attribute,
    Binary,
    BinaryOperator,
    Bool,
    Call,
    Compare,
    CompareOperator,
    Conditional,
    Date,
    Int,
    Keyword,
    List,
    Logical,
    Name,
    Real,
    Reveal,
    Slice,
    Subscript,
    Text,
    Tuple,
    Unary,
)
from dsl.syntax_query import (
    Between,
    Case,
    Cast,
    CommonTable,
    DerivedTable,
    Exists,
    Extract,
    Filtered,
    Frame,
    InList,
    InQuery,
    Interval,
    IsNull,
    Join,
    JoinKind,
    Like,
    Null,
    OrderItem,
    Over,
    Quantified,
    Query,
    ScalarQuery,
    Select,
    SelectItem,
    SqlKind,
    Star,
    TableName,
    Union,
    When,
)

__all__ = [
    "MAX_DEPTH",
    "TYPE_NAMES",
    "Assert",
    "Assign",
    "Attribute",
    "AugmentedAssign",
    "Between",
    "Binary",
    "BinaryOperator",
    "Bool",
    "Bounds",
    "Branch",
    "Call",
    "Case",
    "Cast",
    "Column",
    "CommonTable",
    "Compare",
    "CompareOperator",
    "Conditional",
    "Date",
    "Declaration",
    "DerivedTable",
    "Exists",
    "Expression",
    "ExpressionStatement",
    "Extract",
    "Filtered",
    "For",
    "Frame",
    "FromImport",
    "Function",
    "Identifier",
    "If",
    "Import",
    "ImportedName",
    "InList",
    "InQuery",
    "Input",
    "Int",
    "Interval",
    "IsNull",
    "Join",
    "JoinKind",
    "Keyword",
    "Like",
    "List",
    "Literals",
    "Logical",
    "Name",
    "Node",
    "Null",
    "OrderItem",
    "Over",
    "Param",
    "Parameter",
    "Party",
    "Pass",
    "PlainExpression",
    "Quantified",
    "Query",
    "QueryBody",
    "QueryDefinition",
    "QueryExpression",
    "Real",
    "Return",
    "Reveal",
    "RevealTo",
    "ScalarQuery",
    "Select",
    "SelectItem",
    "Slice",
    "SqlKind",
    "Star",
    "Statement",
    "Store",
    "Study",
    "Subscript",
    "Table",
    "TableExpression",
    "TableName",
    "Target",
    "Text",
    "Tuple",
    "TypeExpression",
    "Unary",
    "Union",
    "Unique",
    "When",
    "children",
    "depth",
    "walk",
]


# ----------------------------------------------------------------------------------------------------- the study


@dataclass(frozen=True, slots=True)
class Study(Node):
    """One file: its docstring (`None` when there is none) and its statements in order."""

    doc: str | None
    body: "tuple[Statement, ...]"
    source: Source = field(kw_only=True, compare=False, repr=False)


# -------------------------------------------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class Bounds(Node):
    """A declared range `low..high`, both ends included."""

    low: int | Decimal
    high: int | Decimal


@dataclass(frozen=True, slots=True)
class TypeExpression(Node):
    """A type as written: `decimal(2)?`, `int in 0..120`, `enum('a', 'b')`, `fixed[n, 4]`.

    name: one of `TYPE_NAMES`.
    arguments: `(places,)` of `decimal`, `(bytes,)` of `text` as ints, the words of `enum` as strs, otherwise empty.
    optional: whether `?` was written. bounds: the range after `in`. shape: the sizes in brackets, empty for a scalar.
    """

    name: str
    arguments: tuple[int | str, ...] = ()
    optional: bool = False
    bounds: Bounds | None = None
    shape: "tuple[Expression, ...]" = ()


TYPE_NAMES = ("int", "fixed", "decimal", "bool", "date", "enum", "text", "key")


@dataclass(frozen=True, slots=True)
class Party(Node):
    """`party a, b`."""

    names: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Param(Node):
    """`param name: type = default`."""

    name: Identifier
    type: TypeExpression
    default: "Expression"


@dataclass(frozen=True, slots=True)
class Input(Node):
    """`input name: type from party`."""

    name: Identifier
    type: TypeExpression
    party: Identifier


@dataclass(frozen=True, slots=True)
class Column(Node):
    """`name: type [unique]` of a table."""

    name: Identifier
    type: TypeExpression
    unique: bool = False


@dataclass(frozen=True, slots=True)
class Unique(Node):
    """The line `unique (a, b)` of a table: the columns are unique together."""

    columns: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Table(Node):
    """`table name from party, … [rows <= rows]:` with columns and `unique` lines, each in order."""

    name: Identifier
    parties: tuple[Identifier, ...]
    rows: "Expression | None"
    columns: tuple[Column, ...]
    uniques: tuple[Unique, ...] = ()


@dataclass(frozen=True, slots=True)
class QueryDefinition(Node):
    """`query name:` and a select."""

    name: Identifier
    query: "Query"


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """A parameter of a function, with its default or `None`."""

    name: Identifier
    default: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`def name(parameters):` with its docstring, if any, and body (which may then be empty)."""

    name: Identifier
    parameters: tuple[Parameter, ...]
    body: "tuple[Statement, ...]"
    doc: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedName(Node):
    """`name [as alias]` of an import; `bound` is the name that it gets here."""

    name: Identifier
    alias: Identifier | None = None

    @property
    def bound(self) -> Identifier:
        """The name by which the study calls it."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class Import(Node):
    """`import ml, stats as s`."""

    modules: tuple[ImportedName, ...]


@dataclass(frozen=True, slots=True)
class FromImport(Node):
    """`from stats import median, mean as m`."""

    module: Identifier
    names: tuple[ImportedName, ...]


# ---------------------------------------------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Assign(Node):
    """`target = value`."""

    target: "Target"
    value: "Expression"


@dataclass(frozen=True, slots=True)
class AugmentedAssign(Node):
    """`target op= value`; `op` is the operator without `=`. The target is a name or a place in an array."""

    target: "Name | Subscript"
    op: "BinaryOperator"
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Return(Node):
    """`return [value]`."""

    value: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for target in iterable:`; the target is a name or a tuple of names."""

    target: "Target"
    iterable: "Expression"
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class Branch(Node):
    """One `if` or `elif`: a condition and what to do when it holds."""

    condition: "Expression"
    body: "tuple[Statement, ...]"


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if`, any number of `elif`, and the body of `else` (empty when there is none)."""

    branches: tuple[Branch, ...]
    otherwise: "tuple[Statement, ...]" = ()


@dataclass(frozen=True, slots=True)
class RevealTo(Node):
    """`reveal values to receivers [as names] [where guard] [with mechanism]`.

    receivers: as written; `all` stands for everyone (`to_all`). names: empty, or as many as the values.
    guard: may use the columns of the revealed query. mechanism: the call after `with`.
    """

    values: "tuple[Expression, ...]"
    receivers: tuple[Identifier, ...]
    names: tuple[Identifier, ...] = ()
    guard: "Expression | None" = None
    mechanism: "Expression | None" = None

    @property
    def to_all(self) -> bool:
        """Whether every party learns the values."""
        return any(r.text == "all" for r in self.receivers)


@dataclass(frozen=True, slots=True)
class Assert(Node):
    """`assert condition[, 'message']`."""

    condition: "Expression"
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Store(Node):
    """`store value as name`: the shares of a value are kept for a later study."""

    value: "Expression"
    name: Identifier


@dataclass(frozen=True, slots=True)
class Pass(Node):
    """`pass`: nothing."""


@dataclass(frozen=True, slots=True)
class ExpressionStatement(Node):
    """A call on a line of its own."""

    value: "Call | Reveal"


# ------------------------------------------------------------------------------------------------------ families


Declaration = Party | Param | Input | Table | QueryDefinition | Function | Import | FromImport
Statement = (
    Declaration | Assign | AugmentedAssign | Return | For | If | RevealTo | Assert | Store | Pass | ExpressionStatement
)
Literals = Int | Real | Text | Bool | Date
Operation = Unary | Binary | Compare | Logical | Conditional
PlainExpression = Literals | Name | Operation | Call | Attribute | Subscript | Tuple | List | Reveal
Predicate = Between | InList | InQuery | Quantified | Exists | Like | IsNull
QueryExpression = Star | Null | Case | Cast | Predicate | ScalarQuery | Extract | Interval | Filtered | Over
Expression = PlainExpression | QueryExpression
Target = Name | Subscript | Tuple
TableExpression = TableName | DerivedTable | Join
QueryBody = Select | Union | Query
