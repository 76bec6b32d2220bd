"""A table of the study as a relation: in as many parts as it has owners.

For: `scanned`.
Leaves to others: making tables (`dsl.declarations`).

That a column is unique is checked by its owner; over several owners it is checked here, once for each table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dsl.query.plan import Scan
from dsl.query.relation import Context, Part, Relation, emit, merged, shown
from dsl.values import Array, Table, leaves
from mpc.circuit import Value
from mpc.types import Dim

__all__ = ["scanned"]


def scanned(ctx: Context, scan: Scan) -> Relation:
    """The rows of a table."""
    table = scan.table
    parts = tuple(_part(scan, piece) for piece in _pieces(table))
    places = {name: column for column, name in scan.columns.items()}
    for names in table.declared:
        _check(ctx, scan, Relation(parts), names)
    if table.declared:
        ctx.tables.add(id(table))
    uniques = tuple(frozenset(places[n] for n in names) for names in (*table.uniques, *table.declared))
    everything = frozenset(scan.columns)
    return Relation(parts, uniques, tuple((unique, everything) for unique in uniques))


def _check(ctx: Context, scan: Scan, relation: Relation, names: Sequence[str]) -> None:
    columns = [column for column, name in scan.columns.items() if name in names]
    listed = ", ".join(names)
    with ctx.operator("check", f"{listed} of {scan.table.name} unique over its owners", span=scan.span) as doing:
        part = merged(ctx, relation, columns)
        there = shown(ctx, part)
        for column in columns:
            valid = part.columns[column].valid
            there = there if valid is None else there & valid
        flag = emit(ctx, "duplicates", *(part.columns[c].value for c in columns), there)
    if id(scan.table) not in ctx.tables:
        ctx.values.append(doing.operator)
    ctx.check(flag, f"{listed} of `{scan.table.name}` is not unique, or a join has more rows than its bound", scan.span)


def _part(scan: Scan, table: Table) -> Part:
    return Part(table.rows, {c: _own(table.columns[name]) for c, name in scan.columns.items()}, table.visible)


def _own(array: Array) -> Array:
    return replace(array, padded=False, exact=None, stype=array.stype.optional(array.valid is not None))


def _pieces(table: Table) -> Iterator[Table]:
    """What each owner brought, where the whole table is its owners' rows put together."""
    values = list(leaves(table))
    rows = {_rows(v) for v in values}
    if len(rows) != 1:
        return iter([table])
    (sizes,) = rows
    if len(sizes) < 2:
        return iter([table])
    return (_piece(table, at, size) for at, size in enumerate(sizes))


def _rows(value: Value) -> tuple[Dim, ...]:
    """The rows of the parts that a column was put together from."""
    node = value.node
    if node.op != "concat" or node["axis"] != 0:
        return (value.shape[0],)
    return tuple(Value(value.builder, i).shape[0] for i in node.src)


def _piece(table: Table, at: int, rows: Dim) -> Table:
    def own(value: Value) -> Value:
        return Value(value.builder, value.node.src[at])

    columns = {
        name: replace(a, value=own(a.value), valid=None if a.valid is None else own(a.valid))
        for name, a in table.columns.items()
    }
    return replace(table, columns=columns, rows=rows, visible=None if table.visible is None else own(table.visible))
