"""Declarations: parties, parameters, inputs, tables, functions, imports.

For: `declare`.
Leaves to others: what the data must look like (`inputs`), queries, loading modules (`library`).

**The `input` node.** Attributes: `party`, `name` (of the input or table), `column` ('' for an array), `range` (the
least and the largest number that may be in it, None when any may). Its type is seen by the party alone. A column that
may be missing has a second one, `column?`, true where the value is there; the value is 0 where it is not. A table
declared with `rows <= n` has one more, `#rows`, true for the rows that exist; all columns are 0 in the others.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from dsl import syntax
from dsl.assign import assigned_names
from dsl.convert import convert, exact_decimal, word_index
from dsl.library import member
from dsl.node import walk
from dsl.params import ParamValue, parse_setting
from dsl.query import define, held
from dsl.scope import Binding, Role
from dsl.source import Span
from dsl.stypes import DATE_RANGE, EPOCH, TEXT_BYTES, SType, common, text_words
from dsl.values import UNKNOWN, Array, Function, Module, Table, Text, Unknown, Val, describe
from dsl.walker import Reported, Walker
from mpc.circuit import Value
from mpc.types import BOOL, Dim, Shape, Size, Type

__all__ = ["declare", "surface_type"]


def declare(w: Walker, s: syntax.Statement) -> None:
    """Walk one declaration."""
    match s:
        case syntax.Party(names):
            for name in names:
                if name.text == "all":
                    w.error("E0203", "`all` means every party and names none", name.span)
                elif _free(w, name):
                    w.parties[name.text] = name.span
        case syntax.Param():
            _named(w, s.name, "param", lambda: _param(w, s))
        case syntax.Input():
            _named(w, s.name, "input", lambda: _input(w, s))
        case syntax.Table():
            _named(w, s.name, "table", lambda: _table(w, s))
        case syntax.QueryDefinition():
            _named(w, s.name, "query", lambda: define(w, s))
        case syntax.Function():
            _named(w, s.name, "function", lambda: _function(w, s))
        case syntax.Import(modules):
            for imported in modules:
                module = imported.name
                _named(w, imported.bound, "module", lambda m=module: w.rules.module(w, m.text, m.span))
        case syntax.FromImport():
            _from_import(w, s)


def _free(w: Walker, name: syntax.Identifier) -> bool:
    """Whether `name` is declared here for the first time; an error otherwise."""
    known = w.scope.names.get(name.text)
    first = w.parties.get(name.text) if known is None else known.span
    if first is None or w.scope is not w.scopes[0]:
        return True
    w.error("E0203", f"`{name.text}` is declared twice", name.span, secondary=[(first, "first here")])
    return False


def _named(w: Walker, name: syntax.Identifier, role: Role, make: object) -> None:
    """Bind `name` to what `make()` gives, to Unknown when that is wrong."""
    if not _free(w, name):
        return
    assert callable(make)
    try:
        val = make()
    except Reported:
        val = UNKNOWN
    w.bind(name.text, Binding(val, name.span, role))


def surface_type(t: syntax.TypeExpression) -> SType:
    """The type of an element as it is written."""
    arguments = t.arguments
    match t.name:
        case "decimal":
            places = int(arguments[0])
            return SType("decimal", places, nullable=t.optional) if places else SType("int", nullable=t.optional)
        case "enum":
            return SType("enum", words=tuple(str(a) for a in arguments), nullable=t.optional)
        case "text":
            return SType("text", length=int(arguments[0]), nullable=t.optional)
        case "int" | "fixed" | "bool" | "date" | "key":
            return SType(t.name, nullable=t.optional)
    raise AssertionError(t.name)


# ------------------------------------------------------------------------------------- parameters


def _param(w: Walker, s: syntax.Param) -> Val:
    stype = surface_type(s.type)
    given = w.bindings.params.get(s.name.text)
    if given is not None:
        try:
            return _setting(w, parse_setting(s.type, given), stype, s.type.span)
        except ValueError as error:
            return w.error("E0816", f"the setting of `{s.name.text}` is wrong: {error}", s.type.span, f"{stype}")
    val = w.evaluate_known(s.default)
    if isinstance(val, Text):
        if stype.kind not in {"enum", "text"}:
            return w.error("E0301", f"`{s.name.text}` is {stype}", s.default.span, "a text")
        if stype.kind == "text" and len(val.text.encode()) > stype.length:
            return w.error("E0301", f"`{s.name.text}` is {stype}", s.default.span, "more bytes than that")
        return word_index(w, val.text, stype, s.default.span) if stype.kind == "enum" else val
    array = w.array(val, s.default.span)
    if stype.kind == "decimal":
        array = exact_decimal(w, array)
    found = common(stype, array.stype)
    if found is None or found.optional(False) != stype.optional(False):
        return w.error("E0301", f"`{s.name.text}` is {stype}", s.default.span, describe(array))
    if not array.public:
        return w.error("E0303", "a parameter is public", s.default.span, secret=array)
    array = convert(w, array, stype)
    _check_bounds(w, s, array)
    return replace(array, exact=None)


def _setting(w: Walker, value: ParamValue, stype: SType, span: Span) -> Val:
    match stype.kind:
        case "enum":
            return word_index(w, str(value), stype, span)
        case "text":
            return Text(str(value))
        case "decimal":
            assert isinstance(value, int | Decimal)
            return w.const(np.int64(int(Decimal(value).scaleb(stype.places))), stype)
        case "date":
            assert not isinstance(value, str | bool | int | Decimal)
            return w.const(np.int64((value - EPOCH).days), stype)
        case "fixed":
            assert isinstance(value, int | Decimal)
            return w.const(float(value), stype)
    assert isinstance(value, bool | int)
    return w.const(value, stype)


def _check_bounds(w: Walker, s: syntax.Param, array: Array) -> None:
    bounds = s.type.bounds
    if bounds is None or not array.value.is_const:
        return
    unit = 10**array.stype.places
    low, high = float(bounds.low) * unit, float(bounds.high) * unit
    contents = array.value.constant
    if contents.size and (contents.min() < low or contents.max() > high):
        w.fail("E0301", f"`{s.name.text}` is in {bounds.low}..{bounds.high}", s.default.span, "outside of that")


# ----------------------------------------------------------------------------------------- inputs


def _owner(w: Walker, party: syntax.Identifier) -> str:
    if party.text not in w.parties:
        known = ", ".join(w.parties) or "none is declared yet"
        w.fail("E0202", f"there is no party `{party.text}`", party.span, f"parties: {known}")
    return party.text


def _input(w: Walker, s: syntax.Input) -> Val:
    party = _owner(w, s.party)
    shape = tuple(_dim(w, size) for size in s.type.shape)
    return _brought(w, s.type, party, s.name.text, "", shape, s.span)


def _dim(w: Walker, size: syntax.Expression) -> Dim:
    """A size as written: a letter is bound by the data, anything else is computed."""
    if isinstance(size, syntax.Name) and w.scope.find(size.id) is None:
        bound = w.bindings.sizes.get(size.id)
        dim: Dim = Size.named(size.id) if bound is None else bound
        return w.sizes.setdefault(size.id, dim)
    found = w.whole(w.evaluate_known(size), size.span, "a size")
    if isinstance(found, int) and found < 0:
        w.fail("E0301", "a size is not below 0", size.span, f"{found}")
    return found


def _brought(
    w: Walker,
    t: syntax.TypeExpression,
    party: str,
    name: str,
    column: str,
    shape: Shape,
    span: Span,
    padded: bool = False,
) -> Array:
    """The `input` nodes of one array or of one party's part of one column."""
    stype = surface_type(t)
    full = (*shape, text_words(stype.length)) if stype.kind == "text" else shape
    with w.at(span):
        limits = _limits(t, stype, stype.nullable or padded)
        value = _node(w, party, name, column, limits, Type(stype.dtype(w.frac), full, frozenset({party})))
        if not stype.nullable:
            return Array(value, stype)
        valid = _node(w, party, name, f"{column}?", None, Type(BOOL, shape, frozenset({party})))
    return Array(value, stype, valid)


def _node(w: Walker, party: str, name: str, column: str, limits: tuple[float, float] | None, t: Type) -> Value:
    attrs = {"party": party, "name": name, "column": column, "range": limits}
    return w.root.builder.append("input", (), attrs, t, pure=True)


def _limits(t: syntax.TypeExpression, stype: SType, empty: bool) -> tuple[float, float] | None:
    """The least and largest number that the node's array holds. empty: it has a 0 where nothing is."""
    low: float
    high: float
    match stype.kind:
        case "enum":
            low, high = 0, len(stype.words) - 1
        case "text":
            low, high = 0, 2 ** (8 * TEXT_BYTES) - 1
        case "date" if t.bounds is None:
            low, high = DATE_RANGE
        case _ if t.bounds is None:
            return None
        case _:
            unit = 10**stype.places
            low, high = _number(t.bounds.low * unit), _number(t.bounds.high * unit)
    return (min(low, 0), max(high, 0)) if empty else (low, high)


def _number(bound: int | Decimal) -> float:
    return int(bound) if bound == int(bound) else float(bound)


# ----------------------------------------------------------------------------------------- tables


def _table(w: Walker, s: syntax.Table) -> Val:
    owners = [_owner(w, p) for p in s.parties]
    name = s.name.text
    padded = None if s.rows is None else w.whole(w.evaluate_known(s.rows), s.rows.span, "the bound of a table's rows")
    parts = [_rows(w, owner, name, len(owners), padded) for owner in owners]
    columns: dict[str, Array] = {}
    for column in s.columns:
        key = column.name.text
        if key in columns:
            w.error("E0203", f"`{name}` has the column `{key}` twice", column.name.span)
            continue
        arrays = [
            _brought(w, column.type, owner, name, key, (rows,), column.span, padded is not None)
            for owner, rows in zip(owners, parts, strict=True)
        ]
        columns[key] = _joined(w, arrays)
    visible = None
    if padded is not None:
        with w.at(s.name.span):
            masks = [
                _node(w, owner, name, "#rows", None, Type(BOOL, (rows,), frozenset({owner})))
                for owner, rows in zip(owners, parts, strict=True)
            ]
            visible = masks[0] if len(masks) == 1 else w.builder.emit("concat", *masks, axis=0)
    uniques: list[tuple[str, ...]] = [(c.name.text,) for c in s.columns if c.unique]
    for line in s.uniques:
        uniques.append(tuple(c.text for c in line.columns))
        for c in line.columns:
            if c.text not in columns:
                w.error("E0207", f"`{name}` has no column `{c.text}`", c.span)
    total: Dim = 0
    for rows in parts:
        total = total + rows
    certain = tuple(uniques) if len(owners) == 1 else ()
    declared = () if len(owners) == 1 else tuple(uniques)
    table = Table(name, columns, total, visible, certain, declared, owners=tuple(owners), span=s.name.span)
    known = {column for names in declared for column in names} <= columns.keys()
    return held(w, table) if declared and known and _read(w, name) else table


def _read(w: Walker, name: str) -> bool:
    """Whether the study names the table outside of queries, which check it themselves."""
    body = () if w.tree is None else w.tree.body
    others = (statement for statement in body if not isinstance(statement, syntax.QueryDefinition))
    return any(isinstance(node, syntax.Name) and node.id == name for s in others for node in walk(s))


def _rows(w: Walker, owner: str, name: str, owners: int, padded: Dim | None) -> Dim:
    if padded is not None:
        return padded
    known = w.bindings.rows.get((owner, name))
    if known is not None:
        return known
    return Size.named(f"rows of {name}" if owners == 1 else f"rows of {name} at {owner}")


def _joined(w: Walker, arrays: list[Array]) -> Array:
    """The parts of several owners, one below the other."""
    if len(arrays) == 1:
        return arrays[0]
    value = w.builder.emit("concat", *(a.value for a in arrays), axis=0)
    masks = [a.valid for a in arrays if a.valid is not None]
    valid = w.builder.emit("concat", *masks, axis=0) if masks else None
    return Array(value, arrays[0].stype, valid)


# --------------------------------------------------------------------------- functions and modules


def _function(w: Walker, s: syntax.Function) -> Val:
    defaults: dict[str, Val] = {}
    seen: set[str] = set()
    for p in s.parameters:
        if p.name.text in seen:
            w.error("E0203", f"`{s.name.text}` has the parameter `{p.name.text}` twice", p.name.span)
        seen.add(p.name.text)
        if p.default is not None:
            defaults[p.name.text] = w.evaluate(p.default)
    local = frozenset(assigned_names(s.body, places=False)) | seen
    return Function(s, w.scope, w.source, defaults, local)


def _from_import(w: Walker, s: syntax.FromImport) -> None:
    module = w.rules.module(w, s.module.text, s.module.span)
    for imported in s.names:
        _named(w, imported.bound, "import", lambda n=imported.name: _member(w, module, n))


def _member(w: Walker, module: Module | Unknown, name: syntax.Identifier) -> Val:
    return UNKNOWN if isinstance(module, Unknown) else member(w, module, name.text, name.span)
