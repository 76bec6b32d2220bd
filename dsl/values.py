"""What a name of a study can stand for while the study is walked.

For: the kinds of values (`Array`, `Tuple`, `Table`, `Record`, functions, modules, constants) and taking them apart into
values of a circuit and putting them together again (`leaves`, `rebuild`, `same_frame`), which is all that loops,
choices and stages need to know of them.
Leaves to others: everything that is computed with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeAlias

from dsl import syntax
from dsl.privacy.lineage import MIXED, Lineage
from dsl.source import Source, Span
from dsl.stypes import SType
from mpc.circuit import Value
from mpc.types import Dim, Shape, Viewers, meet, shape_text, viewers_text

if TYPE_CHECKING:
    from dsl.builtins.table import Builtin
    from dsl.scope import Scope

__all__ = [
    "NOTHING",
    "UNKNOWN",
    "Array",
    "Batches",
    "Function",
    "Module",
    "Nothing",
    "Range",
    "Record",
    "Table",
    "Text",
    "Tuple",
    "Unknown",
    "Unset",
    "Val",
    "describe",
    "leaves",
    "map_leaves",
    "rebuild",
    "same_frame",
]


@dataclass(frozen=True, slots=True)
class Array:
    """A number or an array of numbers (a truth value, a date, … as `stype` says).

    value: the node of the circuit; of `text(n)` it has one axis more than the study sees. valid: which elements are
    there, of the same shape, None when all are. padded: the missing ones may be invisible rows of a query, and
    are nothing else when the type has no `?`. exact: the
    literal that this is, so that beside a `decimal` it counts as it was written.
    """

    value: Value
    stype: SType
    valid: Value | None = None
    padded: bool = False
    exact: Decimal | None = field(default=None, compare=False)

    @property
    def shape(self) -> Shape:
        """The shape that the study sees."""
        shape = self.value.shape
        return shape[:-1] if self.stype.kind == "text" else shape

    @property
    def viewers(self) -> Viewers:
        """Who may see it."""
        return meet(v.type.seen_by for v in leaves(self))

    @property
    def public(self) -> bool:
        """Whether everyone may see it."""
        return self.viewers is None

    def with_value(self, value: Value) -> Array:
        """The same type, other contents; the mask stays, the literal does not."""
        return replace(self, value=value, exact=None)


@dataclass(frozen=True, slots=True)
class Tuple:
    """`a, b`."""

    items: tuple[Val, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A text of the study itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of one length.

    rows: how many, the invisible ones too. visible: which rows are there (a truth value each), None when all are; a
    query's result has a secret one, a table declared with `rows <= n` one that its owners bring. uniques: sets of
    columns whose combination occurs in one visible row at most. declared: uniques that several owners declared and that
    nothing has checked yet. ordered: the rows' order is a result of its own (`order by`), so a reveal keeps it.
    """

    name: str
    columns: Mapping[str, Array]
    rows: Dim
    visible: Value | None = None
    uniques: tuple[tuple[str, ...], ...] = ()
    declared: tuple[tuple[str, ...], ...] = ()
    ordered: bool = False
    owners: tuple[str, ...] = ()
    span: Span = Span(0, 0)  # noqa: RUF009 - a constant
    lineage: Lineage | None = field(default=None, compare=False)
    """Of a query's result, what noise must hide in it."""


@dataclass(frozen=True, slots=True)
class Record:
    """A model or another thing with named parts, as a function of the library returns it."""

    kind: str
    fields: Mapping[str, Val]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the study or of a library module, with the names that its definition saw.
    local: the names that it assigns, its parameters among them."""

    definition: syntax.Function
    scope: Scope
    source: Source
    defaults: Mapping[str, Val]
    local: frozenset[str] = frozenset()
    module: str = ""

    @property
    def name(self) -> str:
        """How messages call it: `f`, `ml.f`."""
        own = self.definition.name.text
        return f"{self.module}.{own}" if self.module else own


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the library."""

    name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Range:
    """`range(start, stop, step)`, the bounds known while compiling or symbolic."""

    start: Dim
    stop: Dim
    step: int


@dataclass(frozen=True, slots=True)
class Batches:
    """`batches(X, y, size=k)`: consecutive rows of arrays of equal length."""

    arrays: tuple[Array, ...]
    size: int


@dataclass(frozen=True, slots=True)
class Unset:
    """A name that has a value on some ways only; `why` completes "`x` has no value here: "."""

    why: str
    span: Span


@dataclass(frozen=True, slots=True)
class Nothing:
    """What a function without `return` gives."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The value of what was wrong; everything made of it is unknown too, without a further error."""


NOTHING: Final = Nothing()
UNKNOWN: Final = Unknown()

Val: TypeAlias = (
    "Array | Tuple | Text | Table | Record | Function | Builtin | Module | Range | Batches | Unset | Nothing | Unknown"
)


# ------------------------------------------------------------------------------- apart and together


def _array_leaves(array: Array) -> Iterator[Value]:
    yield array.value
    if array.valid is not None:
        yield array.valid


def leaves(val: Val) -> Iterator[Value]:
    """All values of the circuit that `val` is made of, in an order that `rebuild` knows."""
    match val:
        case Array():
            yield from _array_leaves(val)
        case Tuple(items):
            for item in items:
                yield from leaves(item)
        case Record(fields=fields):
            for part in fields.values():
                yield from leaves(part)
        case Table(columns=columns, visible=visible):
            for column in columns.values():
                yield from _array_leaves(column)
            if visible is not None:
                yield visible
        case Batches(arrays=arrays):
            for array in arrays:
                yield from _array_leaves(array)
        case _:
            return


def rebuild(val: Val, values: Iterable[Value]) -> Val:
    """`val` with its leaves replaced, in order."""
    return _rebuild(val, iter(values))


def _rebuild_array(array: Array, values: Iterator[Value]) -> Array:
    value = next(values)
    return replace(array, value=value, valid=None if array.valid is None else next(values))


def _rebuild(val: Val, values: Iterator[Value]) -> Val:
    match val:
        case Array():
            return _rebuild_array(val, values)
        case Tuple(items):
            return Tuple(tuple(_rebuild(item, values) for item in items))
        case Record(fields=fields):
            return replace(val, fields={name: _rebuild(part, values) for name, part in fields.items()})
        case Table(columns=columns, visible=visible):
            new = {name: _rebuild_array(column, values) for name, column in columns.items()}
            # Whatever these values are, it is not said here that they are still that table's rows.
            return replace(val, columns=new, visible=None if visible is None else next(values), lineage=MIXED)
        case Batches(arrays=arrays):
            return replace(val, arrays=tuple(_rebuild_array(a, values) for a in arrays))
        case _:
            return val


def map_leaves(val: Val, change: Callable[[Value], Value], *, same_rows: bool = False) -> Val:
    """`val` with every leaf changed. same_rows: a table still has the rows that it had, so that noise must hide the
    same in it."""
    out = rebuild(val, [change(v) for v in leaves(val)])
    return replace(out, lineage=val.lineage) if same_rows and isinstance(out, Table) and isinstance(val, Table) else out


def same_frame(a: Val, b: Val) -> bool:
    """Whether both are put together alike, so that one can take the other's leaves; shapes may differ."""
    match a, b:
        case Array(), Array():
            return a.stype == b.stype and (a.valid is None) == (b.valid is None)
        case Tuple(x), Tuple(y):
            return len(x) == len(y) and all(map(same_frame, x, y))
        case Record(), Record():
            return list(a.fields) == list(b.fields) and all(map(same_frame, a.fields.values(), b.fields.values()))
        case Table(), Table():
            same_mask = (a.visible is None) == (b.visible is None)
            alike = list(a.columns) == list(b.columns) and all(map(same_frame, a.columns.values(), b.columns.values()))
            return same_mask and alike
        case Batches(), _:
            return False
        case _:
            return a == b


# --------------------------------------------------------------------------------------------- text


def describe(val: Val, *, viewers: bool = False) -> str:
    """What `val` is, for a message: `fixed[n, 4]`, `a table`, `a text`."""
    match val:
        case Array():
            shape = shape_text(val.shape) if val.shape else ""
            seen = f", {viewers_text(val.viewers)}" if viewers else ""
            return f"{val.stype}{shape}{seen}"
        case Tuple(items):
            return f"{len(items)} values"
        case Text():
            return "a text"
        case Table(name=name, rows=rows, columns=columns):
            return f"table[{rows}]({', '.join(columns)})" if viewers else f"the table `{name}`"
        case Record(kind=kind):
            return f"a {kind}"
        case Function():
            return f"the function `{val.name}`"
        case Module(name=name):
            return f"the module `{name}`"
        case Range():
            return "a range"
        case Batches():
            return "batches of rows"
        case Unset() | Nothing():
            return "nothing"
        case Unknown():
            return "unknown"
    return f"the function `{val.name}`"
