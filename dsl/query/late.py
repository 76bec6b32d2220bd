"""Columns that only the first rows of an order show: these look them up, and the others never carry them.

For: `put_off`, `Late`.
Leaves to others: the look-up (`joins`), the order and the limit (`ordering`).

    select k, c, sum(x) … from T, R … group by k, c order by … limit 20

With k unique in T and c a column of T that nothing else asks for, the groups are those by k, and 20 rows look c up in T
by k.  A name or an address is many ring elements a row, which would take part in every join, sort and group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from dsl.node import Node
from dsl.query.plan import Block, Column, Item, Ordered, Ref, Scan, refs
from dsl.stypes import text_words
from dsl.values import Table

__all__ = ["Late", "put_off"]

CARRIED = 128
"""About what an element costs in bytes, over all parties, for each row that carries it: a look-up moves it four times.
"""

PAIR = 60
"""And a pair of rows whose keys are compared."""

SORTED = 2000
"""And a row that is sorted to be looked up."""

WORTH = 1 << 21
"""What must be saved: a look-up takes a dozen rounds more."""


class Late(NamedTuple):
    """What the first rows look up in a table: `scan` has the columns of the result, and those of its key.

    keys: the column of the scan and that of the rows.
    """

    scan: Scan
    keys: list[tuple[Column, Column]]


def put_off(plan: Ordered, wanted: Collection[Column]) -> tuple[Ordered, list[Late]]:
    """The plan without columns that its first rows can look up, and these look-ups."""
    block = plan.plan
    if not isinstance(block, Block) or plan.limit is None or block.distinct or block.windows:
        return plan, []
    scans = [s for s in block.source.sources if isinstance(s, Scan)]
    most = max((s.table.rows for s in scans if isinstance(s.table.rows, int)), default=0)
    owners = {s.table.owners for s in block.source.sources if isinstance(s, Scan)}
    if len(scans) == len(block.source.sources) and len(owners) == 1 and all(len(o) == 1 for o in owners):
        return plan, []  # one party does all of it in the clear
    out: list[Late] = []
    for scan in scans:
        items = _shown_only(block, plan, scan, wanted)
        names = _unique(block, scan, {scan.columns[_of(block, i)] for i in items})
        if names is None or not _pays(scan, items, block, most, plan.limit + plan.offset):
            continue
        block, late = _without(block, scan, items, names)
        out.append(late)
    return (replace(plan, plan=block), out) if out else (plan, [])


def _of(block: Block, item: Item) -> Column:
    """The column of a source that an item, or the key that it shows, is."""
    assert isinstance(item.value, Ref)
    if not block.grouped:
        return item.value.column
    node = dict(block.keys)[item.value.column]
    assert isinstance(node, Ref)
    return node.column


def _shown_only(block: Block, plan: Ordered, scan: Scan, wanted: Collection[Column]) -> list[Item]:
    """The items that are a column of the scan of which nothing is asked but to be shown."""
    ordering = {c for node, _ in plan.order for c in refs(node)}
    keys = {column for column, node in block.keys if isinstance(node, Ref) and node.column in scan.columns}
    plain = keys if block.grouped else set(scan.columns)
    busy = set(_busy(block, scan))
    out = []
    for i in block.items:
        shown = isinstance(i.value, Ref) and i.value.column in plain and i.value.column not in busy
        if shown and i.column in wanted and i.column not in ordering and not i.hidden and _of(block, i) not in busy:
            out.append(i)
        elif isinstance(i.value, Ref):
            busy.add(i.value.column)
    return [i for i in out if isinstance(i.value, Ref) and i.value.column not in busy]


def _busy(block: Block, scan: Scan) -> Iterator[Column]:
    """The columns of which more is asked, of sources and of groups."""
    nodes: list[Node] = [i.value for i in block.items if not isinstance(i.value, Ref)]
    nodes += [m.argument for m in block.measures if m.argument is not None]
    nodes += [*block.having, *(node for _, node in block.keys if not isinstance(node, Ref))]
    # What a condition on the table alone asks, it asks before any join.
    nodes += [c for c in block.source.conditions if not set(refs(c)) <= scan.columns.keys()]
    for node in nodes:
        yield from refs(node)
    for attach in (*block.attaches, *block.source.attaches):
        yield from attach.outer


def _unique(block: Block, scan: Scan, late: Collection[str]) -> tuple[str, ...] | None:
    """Columns of the table that tell its rows apart and that the rows of the select have."""
    table, places = scan.table, {name: column for column, name in scan.columns.items()}
    keyed = {node.column for _, node in block.keys if isinstance(node, Ref)}
    for names in sorted((*table.uniques, *table.declared), key=len):
        there = all(name not in late and not table.columns[name].stype.nullable for name in names)
        if there and names and (not block.grouped or {places[name] for name in names} <= keyed):
            return names
    return None


def _pays(scan: Scan, items: Sequence[Item], block: Block, most: int, limit: int) -> bool:
    rows = scan.table.rows
    if not isinstance(rows, int) or not items:
        return False
    words = sum(_words(scan.table, scan.columns[_of(block, i)]) for i in items)
    found = min(limit * rows * PAIR, (limit + rows) * SORTED)
    return limit < most and words * most * CARRIED - found > WORTH


def _words(table: Table, name: str) -> int:
    stype = table.columns[name].stype
    return text_words(stype.length) if stype.kind == "text" else 1


def _without(block: Block, scan: Scan, items: Sequence[Item], names: Sequence[str]) -> tuple[Block, Late]:
    """The select without these items, and with the columns of that name, by which they are looked up."""
    places = {name: column for column, name in scan.columns.items()}
    dropped = {i.value.column for i in items if isinstance(i.value, Ref)}
    left = [i for i in block.items if i not in items]
    keys, new = list[tuple[Column, Column]](), list[Item]()
    columns = {i.column: scan.columns[_of(block, i)] for i in items}
    for name in names:
        value = places[name]
        if block.grouped:
            value = next(c for c, node in block.keys if isinstance(node, Ref) and node.column == value)
        there = Column(name)
        new.append(Item(there, name, Ref(value, span=items[0].value.span)))
        here = Column(name)
        columns[here] = name
        keys.append((here, there))
    grouped = [key for key in block.keys if key[0] not in dropped]
    again = Scan(scan.table, columns, items[0].value.span)
    return replace(block, items=[*left, *new], keys=grouped), Late(again, keys)
