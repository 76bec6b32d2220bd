"""The nodes of expressions.

For: the expressions of a study, except those that only queries have (`syntax_query`).
Leaves to others: the conventions and the families (`syntax`, from which everything here is to be imported).
"""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from dsl.node import Identifier, Node

if TYPE_CHECKING:
    from dsl.syntax import Expression


BinaryOperator = Literal["+", "-", "*", "/", "//", "%", "**", "@", "||"]
CompareOperator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A use of a name."""

    id: str


@dataclass(frozen=True, slots=True)
class Int(Node):
    """A whole number, 0 <= value <= 2**63 (a minus is a `Unary`, so the largest is there for `-2**63` alone)."""

    value: int


@dataclass(frozen=True, slots=True)
class Real(Node):
    """A number with a point or exponent, exactly as written (`Decimal("0.045")`, not the nearest float)."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text, its escapes resolved."""

    value: str


@dataclass(frozen=True, slots=True)
class Bool(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Date(Node):
    """`date '2024-01-31'`."""

    value: datetime.date


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`-operand` or `not operand`."""

    op: Literal["-", "not"]
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic of two operands."""

    op: BinaryOperator
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A comparison of two operands."""

    op: CompareOperator
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """`left and right`, `left or right`."""

    op: Literal["and", "or"]
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`then if condition else otherwise`."""

    then: "Expression"
    condition: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class Keyword(Node):
    """`name=value` in a call."""

    name: Identifier
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function(arguments, keywords)`; `distinct` only in queries: `count(distinct x)`; `count(*)` has one `Star`."""

    function: "Expression"
    arguments: "tuple[Expression, ...]" = ()
    keywords: tuple[Keyword, ...] = ()
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Attribute(Node):
    """`value.name`: a column, a module's function, a model's field, `X.T`; in queries also `table.column`."""

    value: "Expression"
    name: Identifier


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`start:stop:step` within brackets; each may be missing."""

    start: "Expression | None" = None
    stop: "Expression | None" = None
    step: "Expression | None" = None


@dataclass(frozen=True, slots=True)
class Subscript(Node):
    """`value[indices]`, one index for each axis from the first."""

    value: "Expression"
    indices: "tuple[Expression | Slice, ...]"


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """`a, b` or `(a, b)`; also what an assignment takes apart."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class List(Node):
    """`[a, b]`: an array of its items."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Reveal(Node):
    """`reveal(value[, noise=…])`: opened to everyone in mid-study."""

    value: "Expression"
    noise: "Expression | None" = None
