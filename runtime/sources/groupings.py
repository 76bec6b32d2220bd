"""Groups of an owner's rows, as its database works them out.

For: `grouping` (what a `group_rows` gives), `buckets` (what `bucket_sums` gives).
Leaves to others: what rows there are (`frames`, `placed`), sums and extremes (`totals`), asking, and putting the groups
in order (`pushed`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from mpc.circuit import Circuit, Node, reachable
from mpc.types import BOOL
from runtime.sources.frames import Frames, Rows
from runtime.sources.parts import NotInSQLError, Number, Part
from runtime.sources.placed import Placed, Term, key_of, placed, terms
from runtime.sources.totals import LEAST, MOST, added, extreme, shown

__all__ = ["Groups", "buckets", "grouping"]

EXTREMES: Final = {True: "max", False: "min"}


@dataclass(slots=True)
class Groups:
    """A SELECT of groups.

    keys: by which rows are grouped, each with whether it descends; further columns have one value in each group.
    columns: by the number of the node's result. ranks: of those that are ranks, the keys that they number, first and
    past the last, and whether the key before says where nothing is: a rank's values are labels in order, so those among
    groups serve as well as those among rows. weighed: of those that are sums of products which may not fit into 64
    bits, whose factors are asked for and multiplied as the circuit does it.
    """

    rows: Rows | Placed
    there: str
    keys: list[tuple[Part, bool]] = field(default_factory=list)
    further: list[Part] = field(default_factory=list)
    columns: dict[int, Part] = field(default_factory=dict)
    ranks: dict[int, tuple[int, int, bool]] = field(default_factory=dict)
    weighed: dict[int, list[tuple[Number, Number]]] = field(default_factory=dict)

    @property
    def factors(self) -> Iterator[tuple[str, Number]]:
        """Those of weighed columns, by name: x2_0 and w2_0 of the first product of column 2."""
        for at, products in self.weighed.items():
            for i, (value, weight) in enumerate(products):
                yield from ((f"x{at}_{i}", value), (f"w{at}_{i}", weight))

    def statement(self, show: Callable[[Part], str] | None = None) -> str:
        """The SELECT: columns g1, g2, … by their numbers; with `show` they are such as are read, after keys k0, …"""
        by = [part.sql for part in (*(key for key, _ in self.keys), *self.further)]
        listed = [f"{(show(p) if show else p.sql)} as g{at}" for at, p in self.columns.items()]
        if show:
            listed += [f"{part.sql} as {name}" for name, part in self.factors]
            listed = [*(f"{show(key)} as k{i}" for i, (key, _) in enumerate(self.keys)), *listed]
        columns = ", ".join(listed or ["count(*) as g0"])
        tail = f"group by {', '.join(dict.fromkeys(by))}" if by else "having count(*) > 0"
        where = f"where {self.there} " if self.there else ""
        return f"select {columns} from {self.rows.source} {where}{tail}"


def grouping(frames: Frames, index: int, names: Iterator[int] | None = None) -> Groups:
    """The groups that the node `index`, a `group_rows`, makes of sorted rows.  Raises NotInSQLError."""
    return _Grouping(frames, index, names).made()


class _Grouping:
    """by: how many of the sorted columns tell groups apart, and that rows are hidden."""

    def __init__(self, frames: Frames, index: int, names: Iterator[int] | None) -> None:
        self.frames = frames
        self.circuit: Circuit = frames.circuit
        self.node = self.circuit.nodes[index]
        self.index = index
        self.new, self.visible, *self.taken = self.node.src
        self.sort = self._sort()
        sort = self.circuit.nodes[self.sort]
        self.hidden = self._hidden(sort)
        self.by = self._by(sort)
        frame = frames.among(sort.src)
        if frame is None or (frames.padded(frame) and not frames.present(self.visible)):
            raise NotInSQLError
        self.rows: Rows | Placed = Rows(frames, frame, names if names is not None else count())
        there = self.rows.expressions.truth(self.visible)
        if placed(self.circuit, self.new, self.node.src, self.sort):
            by = [part.sql for at in range(int(self.hidden), self.by) for part in key_of(self.rows, sort.src, at)]
            self.rows, there = Placed(self.rows, there, self.new, by, self._orders(sort)), ""
        self.groups = Groups(self.rows, there)

    def _orders(self, sort: Node) -> list[str]:
        """What orders rows within groups."""
        value = self._ordered(list(range(self.by, sort["keys"])))
        if any(sort["descending"][self.by :]) or not isinstance(value, Number):
            raise NotInSQLError
        missing = [self.rows.expressions.truth(i) for i in sort.src[self.by : sort["keys"] - 1]]
        return [*(f"case when {truth} then 1 else 0 end" for truth in missing), value.sql]

    def _sort(self) -> int:
        """The sort whose rows are grouped."""
        below = reachable(self.circuit, self.node.src, stop=_Sorts(self.circuit))
        sorts = [i for i in below if self.circuit.nodes[i].op == "sort_rows"]
        if len(sorts) != 1:
            raise NotInSQLError
        return sorts[0]

    def _by(self, sort: Node) -> int:
        starts = self.circuit.nodes[self.new]
        if starts.op == "const":
            first = starts["value"].array
            if not first[:1].all() or first[1:].any():
                raise NotInSQLError
            return int(self.hidden)
        places = [self.place(i) for i in starts.src] if starts.op == "group_starts" else []
        if not places or sorted(places) != list(range(len(places))) or len(places) > sort["keys"]:
            raise NotInSQLError
        return len(places)

    def place(self, index: int) -> int:
        """Which of the sorted columns a node is."""
        node = self.circuit.nodes[index]
        if node.op != "item" or node.src[0] != self.sort:
            raise NotInSQLError
        return int(node["index"])

    def _hidden(self, sort: Node) -> bool:
        """Whether rows are sorted first by whether they are invisible, as they must be where some may be."""
        visible = self.circuit.nodes[self.visible]
        if visible.op == "not":
            first = self.circuit.nodes[visible.src[0]]
            if first.op == "item" and first.src[0] == self.sort and first["index"] == 0 and not sort["descending"][0]:
                return True
        if visible.op == "broadcast_to":
            visible = self.circuit.nodes[visible.src[0]]
        if visible.op != "const" or not visible["value"].array.all():
            raise NotInSQLError
        return False

    def made(self) -> Groups:
        """All columns."""
        sort = self.circuit.nodes[self.sort]
        places: dict[int, tuple[int, int, bool]] = {}
        for at in range(int(self.hidden), self.by):
            parts = key_of(self.rows, sort.src, at)
            if self._ranked(sort.src[at]):
                first, optional = len(self.groups.keys), self.circuit.nodes[sort.src[at]].op == "select"
                places[at] = first, first + len(parts), optional
            for part in parts:
                if isinstance(part, Number) and part.constant is not None:
                    raise NotInSQLError  # a number after GROUP BY is a column's place
                self.groups.keys.append((part, bool(sort["descending"][at])))
        taken = iter(self.taken)
        used = _items(self.circuit, self.index)
        for at, how in enumerate(self.node["how"], start=1):
            operand = None if how == "size" else next(taken)
            if at in used:
                key = self.circuit.nodes[operand] if operand is not None else self.node
                if key.op == "item" and key.src[0] == self.sort and key["index"] in places:
                    self.groups.ranks[at] = places[key["index"]]
                    self._only(sort.src[key["index"]])
                else:
                    self._column(at, how, operand)
        return self.groups

    def _ranked(self, index: int) -> bool:
        """Whether a key is a rank, or one where something is and 0 elsewhere."""
        node = self.circuit.nodes[index]
        if node.op == "select":
            return self._ranked(node.src[1])
        if node.op == "item" and self.circuit.nodes[node.src[0]].op == "lookup_rows" and node["index"]:
            inner = self.circuit.nodes[node.src[0]]
            return self._ranked(inner.src[inner["keys"] + node["index"]])
        return bool(self.frames.rank(index))

    def _only(self, rank: int) -> None:
        """NotInSQLError where a rank is used elsewhere too, which would then be another number."""
        below = reachable(self.circuit, [self.index])
        inside = {rank, *self.circuit.nodes[rank].src}
        ranks = {i for i in inside if self._ranked(i)}
        if any(ranks & set(node.src) and i not in below for i, node in self.circuit):
            raise NotInSQLError

    def _column(self, at: int, how: str, operand: int | None) -> None:
        columns = self.groups.columns
        if operand is None:
            columns[at] = Number("count(*)", 0, MOST, long=True)
        elif isinstance(self.rows, Placed) and how == "sum" and (found := terms(self.circuit, self.new, operand)):
            products = [self._product(self.rows, term) for term in found]
            whole = _added_products(products)
            if whole is None:
                self.groups.weighed[at] = products
            else:
                columns[at] = whole
        elif how == "sum":
            columns[at] = self._sum(operand)
        else:
            columns[at] = self._one(how, operand)

    def _product(self, rows: Placed, term: Term) -> tuple[Number, Number]:
        """The two factors of a term; what its row has must follow from the order of rows."""
        sort, inner = self.circuit.nodes[self.sort], self.circuit.nodes[term.value]
        key = self._order(self.place(inner.src[0] if inner.op == "units" else term.value))
        known = {self.visible, *(i if i == self.visible else self.frames.moved(i) for i in term.others)}
        flags = [self.circuit.nodes[i] for i in sort.src[self.by : sort["keys"] - 1]]
        there = {flag.src[0] for flag in flags if flag.op == "not"}
        if key != sort["keys"] - 1 or known != {self.visible, *there} or len(there) != len(flags):
            raise NotInSQLError
        truth = rows.expressions.truth(term.mask)
        total = self.frames.dialect.total, self.frames.dialect.long
        value, weight = (_whole(rows, i) for i in (term.value, term.weight))
        low, high = min(value.low or 0, 0), max(value.high or 0, 0)
        chosen = Number(total[0].format(f"case when {truth} then {value.sql} else 0 end", total[1]), low, high)
        return chosen, weight._replace(sql=f"max({weight.sql})")

    def _sum(self, operand: int) -> Part:
        return self._fresh(operand) or self._last(operand) or added(self.rows, operand)

    def _fresh(self, operand: int) -> Part | None:
        """How many different values a group has: rows that differ from the one before them, where a value is."""
        parts = _all_of(self.circuit, operand)
        orders = [i for i in parts if self.circuit.nodes[i].op == "group_starts"]
        if len(orders) != 1:
            return None
        value = self._ordered(sorted(self.place(i) for i in self.circuit.nodes[orders[0]].src)[self.by :])
        there = " and ".join(self.rows.expressions.truth(i) for i in parts if i not in orders)
        return Number(f"count(distinct case when {there or '1 = 1'} then {value.sql} end)", 0, MOST, long=True)

    def _last(self, operand: int) -> Part | None:
        """The largest value of a group: that of the last row with one, the only one that is added up."""
        nodes = self.circuit.nodes
        chosen = nodes[operand]
        if chosen.op != "select":
            return None
        mask = nodes[chosen.src[0]]
        mask = nodes[mask.src[0]] if mask.op == "reshape" else mask
        last = nodes[mask.src[1]] if mask.op == "and" else mask
        if last.op != "or" or nodes[last.src[0]].op != "not" or nodes[last.src[1]].op != "const":
            return None
        after, end = nodes[nodes[last.src[0]].src[0]], nodes[last.src[1]]["value"].array
        follows = nodes[after.src[0]]
        if after.op != "concat" or follows.op != "slice" or follows["parts"] != ((1, len(end), 1),):
            return None
        goes_on = {(nodes[i].op, nodes[i].src) for i in _all_of(self.circuit, follows.src[0])}
        same = {(nodes[i].op, nodes[i].src) for i in _all_of(self.circuit, mask.src[0])} | {("not", (self.new,))}
        if goes_on != same or end[:-1].any() or not end[-1:].all():
            return None
        at, there = self._order(self.place(chosen.src[1])), self.rows.expressions.truth(mask.src[0])
        value = self._ordered(list(range(self.by, at + 1)))
        if self.circuit.nodes[self.sort]["descending"][at]:
            raise NotInSQLError
        return extreme("max", value, self.frames.dialect, there)

    def _order(self, at: int) -> int:
        """The key that has the order of a sorted column, where this is such a key but for what is missing."""
        sort = self.circuit.nodes[self.sort]
        if at >= sort["keys"] == self.by + 2:
            key = self.circuit.nodes[sort.src[self.by + 1]]
            if key.op == "select" and key.src[1] == sort.src[at]:
                return self.by + 1
        return at

    def _ordered(self, places: list[int]) -> Part:
        """The value by which rows are sorted within groups; before it may stand whether it is missing."""
        sort = self.circuit.nodes[self.sort]
        if places not in ([self.by], [self.by, self.by + 1]) or places[-1] >= sort["keys"]:
            raise NotInSQLError
        if len(places) == 2 and self.circuit.nodes[sort.src[places[0]]].type.dtype != BOOL:
            raise NotInSQLError
        return self.rows.expressions.value(sort.src[places[-1]])

    def _one(self, how: str, operand: int) -> Part:
        """The first or last value of a group."""
        node = self.circuit.nodes[operand]
        scan = self.circuit.nodes[node.src[0]] if node.op == "item" else node
        if scan.op == "running_extremes":
            if scan.src[0] != self.new or how != "last":
                raise NotInSQLError
            value = self.rows.expressions.value(scan.src[1 + node["index"]])
            return extreme(EXTREMES[scan["largest"][node["index"]]], value, self.frames.dialect)
        sort = self.circuit.nodes[self.sort]
        at = self._order(self.place(operand)) if node.op == "item" and node.src[0] == self.sort else -1
        if self.by <= at < sort["keys"]:
            return self._by_order(how, at)
        value = self.rows.expressions.value(operand)
        if at < 0 or at >= self.by:
            self.groups.further.append(value)  # it has one value in each group
        return value

    def _by_order(self, how: str, at: int) -> Part:
        """The smallest or largest of a group, whose rows are sorted by it; what is missing stands last."""
        sort = self.circuit.nodes[self.sort]
        value = self._ordered(list(range(self.by, at + 1)))
        if sort["descending"][at] or (how == "last" and at > self.by):
            raise NotInSQLError
        if at == self.by:
            return extreme("max" if how == "last" else "min", value, self.frames.dialect)
        missing = self.rows.expressions.truth(sort.src[self.by])
        return extreme("min", value, self.frames.dialect, f"not {missing}")


def _all_of(circuit: Circuit, index: int) -> list[int]:
    """What all must hold."""
    node = circuit.nodes[index]
    return [i for part in node.src for i in _all_of(circuit, part)] if node.op == "and" else [index]


class _Sorts:
    """The nodes of a circuit that sort rows."""

    def __init__(self, circuit: Circuit) -> None:
        self._circuit = circuit

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and self._circuit.nodes[index].op == "sort_rows"


def _items(circuit: Circuit, index: int) -> set[int]:
    """Which results of a node are used."""
    return {int(n["index"]) for _, n in circuit if n.op == "item" and n.src[0] == index}


def _whole(rows: Placed, index: int) -> Number:
    part = rows.expressions.value(index)
    if not isinstance(part, Number) or part.low is None or part.high is None:
        raise NotInSQLError
    return part


def _added_products(products: Sequence[tuple[Number, Number]]) -> Number | None:
    """The sum of products; None where it may not fit."""
    low = high = 0
    for a, b in products:
        ends = [x * y for x in (a.low or 0, a.high or 0) for y in (b.low or 0, b.high or 0)]
        low, high = low + min(ends), high + max(ends)
    if low < LEAST or high > MOST:
        return None
    return Number(" + ".join(f"{a.sql} * {b.sql}" for a, b in products), low, high, long=True)


def buckets(frames: Frames, index: int) -> tuple[str, int]:
    """A statement for the node `index`, a `bucket_sums`: b, the bucket, then g0, g1, …, its results; how many.

    Raises NotInSQLError.
    """
    node = frames.circuit.nodes[index]
    bucket, visible, *columns = node.src
    frame = frames.among(node.src)
    if frame is None or (frames.padded(frame) and not frames.present(visible)):
        raise NotInSQLError
    rows = Rows(frames, frame)
    at, there = rows.expressions.value(bucket), rows.expressions.truth(visible)
    if not isinstance(at, Number) or at.low is None:
        raise NotInSQLError
    sums: Mapping[int, Part] = {0: Number("count(*)", 0, MOST, long=True)} | {
        i: added(rows, c) for i, c in enumerate(columns, start=1)
    }
    listed = ", ".join(f"{shown(part, frames.dialect)} as g{i}" for i, part in sums.items())
    inside = f"{at.sql} between 0 and {node['n'] - 1}"
    select = f"select {shown(at, frames.dialect)} as b, {listed} from {rows.source}"
    return f"{select} where {there} and {inside} group by {at.sql}", len(sums)
