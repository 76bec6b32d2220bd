"""The rows that nodes of a circuit are columns of, as what follows FROM.

For: `Frames` (an owner's tables in one database, and what a circuit makes of them), `Rows` (the FROM of one SELECT, and
its expressions).
Leaves to others: expressions of one row (`expressions`), groups (`groupings`).

A frame is a table as one scan brings it, the groups that a `group_rows` makes, or several below one another.  Sorting
changes no row of a frame; a look-up puts columns beside its rows, and so does a left join, since what is looked up has
each key once.  Tables are joined where they stand in one database; what else there is, is not said in SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final, NamedTuple

from dsl.inputs import InputSpec
from mpc.circuit import Circuit, Node
from runtime.sources.columns import native
from runtime.sources.dialects import Dialect, real
from runtime.sources.expressions import Expressions
from runtime.sources.joins import Join, equal, named, or_zero
from runtime.sources.parts import Key, NotInSQLError, Number, Part, Text, Truth, column
from runtime.sources.stacked import Stacked

__all__ = ["OWN", "TOTALS", "Frame", "Frames", "Rows", "Stands"]

OWN: Final = "r0"
"""The name of a table's rows in conditions on it alone."""

_RANK: Final = ("clip", "reorder", "sub", "cumsum", "to_int", "group_starts")
"""The operations that number the values of a column in their order, from the last (`dsl.query.ranks`)."""
TOTALS: Final = frozenset(["sum", "min", "max"])
"""Operations that make one value of all rows."""
_MOVES: Final = frozenset(["sort_rows", "reorder", "cumsum", "group_starts", "group_rows", "front_rows", "loop"])
"""Operations whose results are no columns of their operands' rows."""


class Stands(NamedTuple):
    """A table in a database. place: what stands after FROM, before a name. kinds: of its columns, the database's
    names of types."""

    spec: InputSpec
    place: str
    kinds: Mapping[str, str]


class Frame(NamedTuple):
    """The rows of a scan of `table`, by its number (None: all rows), or (no table) the groups of the node `at`, or the
    rows of `parts`, each with how many there are.
    """

    table: str
    at: int | None
    parts: tuple[tuple[Frame | None, int], ...] = ()


class Frames:
    """The tables of one owner in one database, by name, and what columns of theirs the nodes of a circuit are.

    told: by the number of a scan, what stands in FROM for the rows that it brings, where these are not all of the
    table's; None where they are.
    """

    def __init__(
        self,
        circuit: Circuit,
        dialect: Dialect,
        tables: Mapping[str, Stands],
        told: Callable[[int], str | None] = lambda _: None,
    ) -> None:
        self.circuit = circuit
        self.dialect = dialect
        self.tables = tables
        self.told = told
        self._frames: dict[int, Frame | None] = {}
        self._ranks: dict[int, tuple[int, ...]] = {}
        self._stacked: set[Frame] = set()
        number = -1
        while number < len(self._stacked):  # constants below rows are rows of what stands below other columns
            number = len(self._stacked)
            for index, node in circuit:  # in their order, so that nothing is asked of what is not known yet
                try:
                    self._frames[index] = self._of(index, node)
                except NotInSQLError:
                    continue

    def of(self, index: int) -> Frame | None:
        """The frame that a node is a column of; None for what is the same in every row.  Raises NotInSQLError."""
        if index not in self._frames:
            raise NotInSQLError
        return self._frames[index]

    def among(self, nodes: Sequence[int]) -> Frame | None:
        """The one frame of several nodes.  Raises NotInSQLError."""
        found = {frame for i in nodes if (frame := self.of(i)) is not None}
        if len(found) > 1:
            raise NotInSQLError
        return next(iter(found), None)

    def rank(self, index: int) -> tuple[int, ...]:
        """The columns whose ranks a node is; none for other nodes."""
        return self._ranks.get(index, ())

    def padded(self, frame: Frame) -> bool:
        """Whether the circuit has further rows, which stand for nothing."""
        if frame.parts:
            return any(part is not None and self.padded(part) for part, _ in frame.parts)
        return not frame.table or self.tables[frame.table].spec.max_rows is not None

    def present(self, index: int) -> bool:
        """Whether a truth value holds for no row that stands for nothing."""
        node = self.circuit.nodes[index]
        match node.op:
            case "input":
                return bool(node["column"] == "#rows")
            case "and":
                return any(map(self.present, node.src))
            case "keep" | "broadcast_to":
                return self.present(node.src[0])
            case "concat":
                frame = self.of(index)
                parts = [] if frame is None else [part for part, _ in frame.parts]
                return bool(parts) and all(
                    (part is not None and not self.padded(part)) or self.present(i)
                    for part, i in zip(parts, node.src, strict=False)
                )
            case "match_rows":
                return self.present(node.src[-1])
            case "not":
                hidden = self.moved(node.src[0])
                inner = self.circuit.nodes[hidden]
                return inner.op == "not" and self.present(inner.src[0])
            case "item":
                inner = self.circuit.nodes[node.src[0]]
                if node["index"] == 0 and inner.op in ("group_rows", "lookup_rows"):
                    return inner.op == "group_rows" or self.present(inner.src[-1])
                place = self.moved(index)
                return place != index and self.present(place)
        return False

    def moved(self, index: int) -> int:
        """The column that a sorted one was before."""
        node = self.circuit.nodes[index]
        while node.op == "item" and self.circuit.nodes[node.src[0]].op == "sort_rows":
            index = self.circuit.nodes[node.src[0]].src[node["index"]]
            node = self.circuit.nodes[index]
        return index

    def _of(self, index: int, node: Node) -> Frame | None:
        if node.op in _MOVES:
            raise NotInSQLError
        if node.op == "const":
            return None
        if node.op in TOTALS:
            if node["axis"] != 0 or self.circuit.nodes[node.src[0]].type.ndim != 1 or self.of(node.src[0]) is None:
                raise NotInSQLError
            return None
        if node.op == "input":
            table = self.tables.get(node["name"])
            if table is None or table.spec.party != node["party"] or not table.spec.table:
                raise NotInSQLError
            return Frame(node["name"], node.get("scan"))
        if node.op == "match_rows":
            return self.among(node.src[-1 - node["keys"] :])
        if node.op == "slice" and node["parts"][0] != (0, self.circuit.nodes[node.src[0]].type.shape[0], 1):
            raise NotInSQLError  # some of the rows
        if node.op == "concat":
            return self._below(index, node)
        if node.op == "clip":
            self._ranks[index] = self._ranked(index)
            return self.among(self._ranks[index])
        if node.op != "item":
            return self.among(node.src)
        inner = self.circuit.nodes[node.src[0]]
        match inner.op:
            case "lookup_rows":
                return self.among(inner.src[-1 - inner["keys"] :])
            case "sort_rows":
                return self.among(inner.src)
            case "group_rows":
                return Frame("", node.src[0])
        raise NotInSQLError

    def joined(self, index: int) -> int:
        """What was cut into slices that a node has one below the other again; the node itself where it is not such."""
        node = self.circuit.nodes[index]
        if node.op != "concat" or node["axis"] != 0:
            return index
        slices = [self.circuit.nodes[i] for i in node.src]
        whole, end = slices[0].src[:1], 0
        for part in slices:
            size = part.type.shape[0]
            if part.op != "slice" or part.src != whole or not isinstance(size, int):
                return index
            if part["parts"][0] != (end, end + size, 1):
                return index
            end += size
        return whole[0] if self.circuit.nodes[whole[0]].type == node.type else index

    def _below(self, index: int, node: Node) -> Frame | None:
        whole = self.joined(index)
        if whole != index:
            if whole in self._ranks:
                self._ranks[index] = self._ranks[whole]
            return self.of(whole)
        sizes = [self.circuit.nodes[i].type.shape[0] for i in node.src]
        if node["axis"] != 0 or not all(isinstance(n, int) for n in sizes):
            raise NotInSQLError
        parts = tuple((self.of(i), n) for i, n in zip(node.src, sizes, strict=True) if isinstance(n, int))
        frame = Frame("", None, parts)
        if all(part is not None for part, _ in parts):
            self._stacked.add(frame)
            return frame
        return self._like(parts)

    def _like(self, parts: Sequence[tuple[Frame | None, int]]) -> Frame | None:
        """The frame of rows that these are, where some are constants."""
        if all(part is None for part, _ in parts):
            raise NotInSQLError
        found = [
            frame
            for frame in self._stacked
            if len(frame.parts) == len(parts)
            and all(n == m and part in (None, known) for (part, n), (known, m) in zip(parts, frame.parts, strict=True))
        ]
        if len(found) != 1:
            raise NotInSQLError
        return found[0]

    def _ranked(self, index: int) -> tuple[int, ...]:
        for op in _RANK:
            node = self.circuit.nodes[index]
            if node.op != op:
                raise NotInSQLError
            first, index = node.src, node.src[0]
        items = [self.circuit.nodes[i] for i in first]
        sort = self.circuit.nodes[items[0].src[0]] if items[0].op == "item" else items[0]
        same = all(item.op == "item" and item.src == items[0].src for item in items)
        if sort.op != "sort_rows" or not same or [i["index"] for i in items] != list(range(sort["keys"])):
            raise NotInSQLError
        return sort.src[: sort["keys"]]


@dataclass(slots=True)
class Rows:
    """The rows of a frame within one statement.

    names: gives each part of FROM a name of its own. name: of the frame's own rows. joins: what was looked up so far.
    whole: of a table all rows, whatever the scan brings.
    """

    frames: Frames
    frame: Frame
    names: Iterator[int] = field(default_factory=count)
    whole: bool = False
    name: str = field(init=False)
    _place: str = field(init=False)
    _below: Stacked | None = None
    joins: dict[int, Join] = field(default_factory=dict)
    expressions: Expressions = field(init=False)
    _columns: Mapping[int, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expressions = Expressions(self.frames.circuit, self.frames.dialect, self.leaf)
        self.name = f"r{next(self.names)}"
        if self.frame.table:
            self._place = self.frames.tables[self.frame.table].place
            told = None if self.frame.at is None or self.whole else self.frames.told(self.frame.at)
            self._place = self._place if told is None else told
        elif self.frame.parts:
            parts = [Rows(self.frames, part, self.names) for part, _ in self.frame.parts if part is not None]
            self._below = Stacked(self.name, parts)
        else:
            from runtime.sources.groupings import grouping  # groups of rows, which may be groups themselves

            assert self.frame.at is not None
            groups = grouping(self.frames, self.frame.at, self.names)
            self._place = f"({groups.statement()})"
            self._columns = {at: named(part, f"{self.name}.g{at}") for at, part in groups.columns.items()}

    @property
    def source(self) -> str:
        """What follows FROM, for the expressions that have been made."""
        place = self._place if self._below is None else self._below.place
        return f"{place} as {self.name} {self.joined}".rstrip()

    @property
    def joined(self) -> str:
        """What of FROM follows the frame's own rows."""
        return " ".join(join.sql() for join in self.joins.values())

    def keys(self, index: int) -> list[Part]:
        """What tells groups apart and orders them as the node does: of a rank, that of which it is the rank."""
        node = self.frames.circuit.nodes[index]
        ranked = self.frames.rank(index)
        if ranked:
            return [part for i in ranked for part in self.keys(i)]
        if node.op == "select":  # what is missing, which the key before this one tells from all others
            return [_if(self.expressions.truth(node.src[0]), p, self.frames.dialect) for p in self.keys(node.src[1])]
        if node.op == "item":
            inner = self.frames.circuit.nodes[node.src[0]]
            if inner.op == "sort_rows":
                return self.keys(inner.src[node["index"]])
            if inner.op == "lookup_rows" and node["index"]:
                join = self._join(node.src[0], inner)
                return [or_zero(join.column(p), self.frames.dialect) for p in join.rows.keys(join.payload(node))]
        return [self.expressions.value(index)]

    def leaf(self, index: int, node: Node) -> Part | None:
        """What a node is of these rows; None for one that is worked out of its operands.  Raises NotInSQLError."""
        from runtime.sources.totals import total  # of rows of any frame

        frame = self.frames.of(index)
        if frame is None:
            return total(self.frames, index, self.names) if node.op == "sum" else None
        if frame != self.frame or self.frames.rank(index):
            raise NotInSQLError
        match node.op:
            case "input":
                return self._column(node)
            case "concat":
                whole = self.frames.joined(index)
                if self._below is None:
                    raise NotInSQLError
                return self._below.column(node) if whole == index else self.expressions.value(whole)
            case "match_rows":
                return self._join(index, node).hit
            case "item":
                return self._item(node)
        return None

    def _item(self, node: Node) -> Part:
        """One of several results."""
        inner = self.frames.circuit.nodes[node.src[0]]
        if inner.op == "sort_rows":
            return self.expressions.value(inner.src[node["index"]])
        if inner.op == "group_rows":
            return self._group(node["index"]) if node["index"] else Truth("(1 = 1)")
        join = self._join(node.src[0], inner)
        if not node["index"]:
            return join.hit
        return or_zero(join.column(join.rows.expressions.value(join.payload(node))), self.frames.dialect)

    def _group(self, at: int) -> Part:
        if at not in self._columns:
            raise NotInSQLError
        return self._columns[at]

    def _column(self, node: Node) -> Part:
        name, table = node["column"], self.frames.tables[self.frame.table]
        if name == "#rows":
            return Truth("(1 = 1)")
        spec = next(c for c in table.spec.columns if c.name == name.removesuffix("?"))
        found = native(spec, table.kinds[spec.name], self.frames.dialect, self.name)
        if found is None:
            raise NotInSQLError
        return column(node, spec, found, self.frames.dialect)

    def _join(self, index: int, node: Node) -> Join:
        """The rows that the node `index` looks up, beside these."""
        if index in self.joins:
            return self.joins[index]
        keys, payload = node["keys"], node.get("payload", 0)
        left, right = node.src[: keys + 1 + payload], node.src[keys + 1 + payload :]
        frame = self.frames.among(left)
        if frame is None or (self.frames.padded(frame) and not self.frames.present(left[keys])):
            raise NotInSQLError
        rows = Rows(self.frames, frame, self.names)
        join = Join(f"r{next(self.names)}", rows, node, rows.expressions.truth(left[keys]))
        join.on.append(self.expressions.truth(right[keys]))
        for a, b in zip(left[:keys], right[:keys], strict=True):
            join.on.append(equal(join.column(rows.expressions.value(a)), self.expressions.value(b)))
        self.joins[index] = join  # after those that its own keys need
        return join


def _if(truth: str, part: Part, dialect: Dialect) -> Part:
    """The value where something holds, and nothing of its type elsewhere."""
    match part:
        case Number() if part.low is not None and part.high is not None:
            sql = f"(case when {truth} then {part.sql} else 0 end)"
            return Number(sql, min(part.low, 0), max(part.high, 0), long=part.long)
        case Number():
            return Number(f"(case when {truth} then {part.sql} else {real(0.0, dialect)} end)", size=part.size)
        case Truth():
            return Truth(f"({truth} and {part.sql})")
        case Text():
            return part._replace(sql=f"(case when {truth} then {part.sql} else {dialect.constant('')} end)")
        case Key():
            return part._replace(sql=f"(case when {truth} then {part.sql} end)")
    raise NotInSQLError
