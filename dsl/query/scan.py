"""A table of the study as a relation: in as many parts as it has owners.

For: `scanned`, `kept` (the rows that conditions on it leave), `picked` (the columns that are wanted) and
`declared_checks` (of what is unique by declaration).
Leaves to others: making tables (`dsl.declarations`), having an owner's database drop rows (`runtime.sources.held`).

That a column is unique is checked by its owner; over several owners it is checked here, once for each table.

**Rows that owners drop.** A scan with conditions has `input` nodes of its own, with a further attribute `scan`: the
same columns, but in rows of which the owner may leave out those that a condition drops, the others first, and rows that
stand for nothing after them.  A condition that one owner sees is marked by the operation `keep`, in place of which that
owner says which rows are there; so is what a join with tables of the same owner drops, with a number below 0.  A scan
of which nothing is marked in the end reads the table's own `input` nodes (`rescans`).  Where the owner lets the number
of rows be known that some of the conditions keep
(`told`), the scan has so many rows, and these conditions hold for all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from dsl.query.expressions import rows_of, truth_of
from dsl.query.plan import Column, Scan
from dsl.query.present import present, without_missing
from dsl.query.relation import Context, OwnRows, Part, Relation, emit, filtered, merged, shown
from dsl.values import Array, Table, leaves
from mpc.circuit import Value
from mpc.types import Dim, Viewers

__all__ = ["declared_checks", "kept", "picked", "scanned"]


def scanned(ctx: Context, scan: Scan, number: int) -> Relation:
    """The rows of a table; number: of this scan, among all of the study."""
    table = scan.table
    parts = tuple(_part(scan, piece) for piece in _pieces(table))
    places = {name: column for column, name in scan.columns.items()}
    if table.declared:
        declared_checks(ctx, scan)
        ctx.tables.add(id(table))
    uniques = tuple(frozenset(places[n] for n in names) for names in (*table.uniques, *table.declared))
    everything = frozenset(scan.columns)
    parts = tuple(_own_rows(ctx, scan, part, number) for part in parts)
    owners = tuple(_owner_of(part, number) for part in parts)
    own = OwnRows(table.name, number, owners)
    return Relation(parts, uniques, tuple((unique, everything) for unique in uniques), own=own)


def declared_checks(ctx: Context, scan: Scan) -> None:
    """What no owner of the table can check alone is among the query's checks."""
    relation = Relation(tuple(_part(scan, piece) for piece in _pieces(scan.table)))
    first = id(scan.table) not in ctx.tables
    for names in scan.table.declared:
        ctx.later.append(partial(_check, ctx, scan, relation, names, first=first))


def _owner(part: Part) -> tuple[str, str] | None:
    """The party and the table that all of a part is as it was brought; None where it is not."""
    values = [v for a in part.columns.values() for v in (a.value, a.valid) if v is not None]
    nodes = [v.node for v in values] + ([] if part.visible is None else [part.visible.node])
    owners = {(n["party"], n["name"]) if n.op == "input" and n.get("scan") is None else None for n in nodes}
    return owners.pop() if len(owners) == 1 else None


def _owner_of(part: Part, number: int) -> Viewers:
    """Who brought a part for the scan of this number alone; nobody where that is not so."""
    first = next((a.value for a in part.columns.values()), None)
    own = first is not None and first.node.op == "input" and first.node.get("scan") == number
    return first.type.seen_by if own and first is not None else None


def _own_rows(ctx: Context, scan: Scan, part: Part, number: int) -> Part:
    """The part from `input` nodes of its own, where one owner brought it, with the rows that this one tells of."""
    owner = _owner(part)
    if owner is None:
        return part
    ctx.w.plans.scans[number] = scan.span.start
    told = ctx.w.bindings.kept.get((*owner, scan.span.start))
    told = told if told is not None and told.at else None  # of groups nothing is told here
    more = {"scan": number} if told is None else {"scan": number, "told": told.at}

    def own(value: Value) -> Value:
        node, type_ = value.node, value.type
        type_ = type_ if told is None else type_.with_(shape=(told.rows, *type_.shape[1:]))
        return ctx.w.root.builder.append("input", (), {**dict(node.attrs), **more}, type_)

    columns = {
        c: replace(a, value=own(a.value), valid=None if a.valid is None else own(a.valid))
        for c, a in part.columns.items()
    }
    if told is not None:
        return Part(told.rows, columns)
    return Part(part.rows, columns, None if part.visible is None else own(part.visible))


def kept(ctx: Context, scan: Scan, number: int, relation: Relation) -> Relation:
    """The rows of the scan of this number for which its conditions are true."""
    if not scan.filters:
        return relation
    nodes = scan.filters
    with ctx.operator("filter", ctx.listed(nodes, " and "), relation, span=nodes[0].span) as doing:
        parts = tuple(_kept(ctx, scan, number, part) for part in relation.parts)
        return doing.done(replace(relation, parts=parts))


def _kept(ctx: Context, scan: Scan, number: int, part: Part) -> Part:
    first = next(part.columns[c].value.node for c in scan.columns)
    own = first.op == "input" and first.get("scan") == number
    told = first.get("told", ()) if own else ()
    out = part
    for at, node in enumerate(scan.filters):
        with ctx.w.at(node.span):
            mask = truth_of(rows_of(ctx, part), node).value.broadcast_to((part.rows,))
            if own and mask.type.seen_by == first.type.seen_by:
                mask = emit(ctx, "keep", mask, name=first["name"], scan=number, at=at)
            out = without_missing(out if at in told else filtered(out, mask), present(node))
    return out


def picked(relation: Relation, wanted: Collection[Column]) -> Relation:
    """The relation with no more columns than are wanted, so that none is moved, or fetched, for nothing."""
    parts = [replace(p, columns={c: a for c, a in p.columns.items() if c in wanted}) for p in relation.parts]
    return replace(relation, parts=tuple(parts))


def _check(ctx: Context, scan: Scan, relation: Relation, names: Sequence[str], *, first: bool) -> None:
    columns = [column for column, name in scan.columns.items() if name in names]
    listed = ", ".join(names)
    with ctx.operator("check", f"{listed} of {scan.table.name} unique over its owners", span=scan.span) as doing:
        part = merged(ctx, relation, columns)
        there = shown(ctx, part)
        for column in columns:
            valid = part.columns[column].valid
            there = there if valid is None else there & valid
        flag = emit(ctx, "duplicates", *(part.columns[c].value for c in columns), there)
    if first:
        ctx.values.append(doing.operator)
    ctx.check(flag, f"{listed} of `{scan.table.name}` is not unique", scan.span)


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
