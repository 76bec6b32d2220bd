"""Which column a name means: the tables of a select, those of the selects around it, and the values of the study.

For: `Names`, `listed_as`, `study_table`.
Leaves to others: expressions (`bind`).

SQL takes names that are not quoted in either case. Here a name means what is called just so, wherever that is; where
nothing is, the one thing whose name differs in case alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import NamedTuple, NoReturn

from dsl import syntax
from dsl.node import Node
from dsl.source import Span
from dsl.values import Array, Table, Text, Unknown, describe
from dsl.walker import Reported, Walker

__all__ = ["Common", "Listed", "Names", "listed_as", "study_table"]


def listed_as(w: Walker, name: str, span: Span, names: Iterable[str]) -> str:
    """The one of the names that `name` means: itself, or, where it is not quoted, what differs in case alone."""
    there = list(names)
    if name in there or w.text(span).startswith('"'):
        return name
    alike = {n for n in there if n.lower() == name.lower()}
    return alike.pop() if len(alike) == 1 else name


class Listed(NamedTuple):
    """A table in `from`: the name by which columns are called its own, None for none, and what each column is.

    hidden: columns that a join with `using` shows once for both of its sides; only `table.column` means them."""

    alias: str | None
    columns: list[tuple[str, Node]]
    span: Span
    hidden: frozenset[str] = frozenset()

    @property
    def shown(self) -> list[tuple[str, Node]]:
        """The columns that a name alone means."""
        return [(name, column) for name, column in self.columns if name not in self.hidden]


class Common(NamedTuple):
    """A query that `with` named, and the names that it saw."""

    table: syntax.CommonTable
    seen: Mapping[str, Common]


@dataclass(slots=True)
class Names:
    """What a select sees. outer: the select around it, when it is a sub-query. aliases: names of items, for clauses
    that may use them after all columns."""

    w: Walker
    common: Mapping[str, Common]
    outer: Names | None = None
    tables: list[Listed] = field(default_factory=list)
    aliases: dict[str, Node] = field(default_factory=dict)

    def add(self, alias: str | None, columns: list[tuple[str, Node]], span: Span) -> None:
        """List a table; E0203 when one of its name is listed already."""
        for listed in self.tables:
            if alias is not None and listed.alias == alias:
                self.w.fail(
                    "E0203",
                    f"`{alias}` is listed twice",
                    span,
                    secondary=[(listed.span, "first here")],
                    helps=[f"give it a name of its own: `{alias} as {alias}_2`"],
                )
        self.tables.append(Listed(alias, columns, span))

    def column(self, name: str, span: Span) -> Node:
        """What a name alone means."""
        found = self.find(name, span)
        if found is not None:
            return found
        binding = self.w.scope.find(name)
        if binding is not None:
            if isinstance(binding.val, Unknown):
                raise Reported
            if isinstance(binding.val, Text) or (isinstance(binding.val, Array) and not binding.val.shape):
                return syntax.Name(name, span=span)
            self.w.fail("E0603", f"`{name}` is no column", span, describe(binding.val))
        found = self.find(self.meant(name, span), span)
        return self._missing(name, span) if found is None else found

    def meant(self, name: str, span: Span) -> str:
        """What the column of this name is listed as, which may be in another case."""
        if self.find(name, span) is not None or self.w.scope.find(name) is not None:
            return name
        for names in self._around():
            for there in ([n for t in names.tables for n, _ in t.shown], names.aliases):
                shown = listed_as(self.w, name, span, there)
                if shown != name:
                    return shown
        return name

    def find(self, name: str, span: Span) -> Node | None:
        """The column of this name, of these tables or of those around."""
        found = [(t, c) for t in self.tables for n, c in t.shown if n == name]
        if len(found) > 1:
            places = [t.alias for t, _ in found if t.alias]
            label = f"in {' and in '.join(f'`{p}`' for p in places)}" if places else ""
            helps = [f"say which: `{places[0]}.{name}`"] if places else []
            self.w.fail("E0606", f"several tables have a column `{name}`", span, label, helps=helps)
        if found:
            return replace(found[0][1], span=span)
        if name in self.aliases:
            return self.aliases[name]
        return None if self.outer is None else self.outer.find(name, span)

    def qualified(self, table: str, name: syntax.Identifier, span: Span) -> Node | None:
        """What `table.name` means; None when no such table is listed."""
        listed = self._listed(table, span)
        if listed is None:
            return None
        wanted = listed_as(self.w, name.text, name.span, (n for n, _ in listed.columns))
        for n, c in listed.columns:
            if n == wanted:
                return replace(c, span=span)
        near = get_close_matches(name.text, [n for n, _ in listed.columns], n=1)
        helps = [f"there is `{table}.{n}`" for n in near]
        label = f"there are {', '.join(n for n, _ in listed.columns)}"
        return self.w.fail("E0603", f"`{table}` has no column `{name.text}`", name.span, label, helps=helps)

    def called(self, table: str, name: syntax.Identifier, span: Span) -> str:
        """What the column that `table.name` means is listed as."""
        listed = self._listed(table, span)
        return name.text if listed is None else listed_as(self.w, name.text, name.span, (n for n, _ in listed.columns))

    def _listed(self, table: str, span: Span) -> Listed | None:
        """The table of this name, of these or of those around."""
        around = [{t.alias: t for t in names.tables if t.alias is not None} for names in self._around()]
        found = next((listed[table] for listed in around if table in listed), None)
        if found is not None or (self.w.scope.find(table) is not None and not _is_table(self.w, table)):
            return found
        return next((t for listed in around if (t := listed.get(listed_as(self.w, table, span, listed)))), None)

    def _around(self) -> Iterator[Names]:
        names: Names | None = self
        while names is not None:
            yield names
            names = names.outer

    def merge(self, columns: list[tuple[str, Node]], hidden: frozenset[str], first: int, span: Span) -> None:
        """Show columns of the tables from number `first` on, of which those of `hidden` names are these, before all
        others."""
        self.tables[first:] = [t._replace(hidden=t.hidden | hidden) for t in self.tables[first:]]
        self.tables.insert(first, Listed(None, columns, span))

    def star(self, star: syntax.Star) -> list[tuple[str, Node]]:
        """The columns that `*` or `table.*` stands for."""
        if star.table is None:
            return [pair for t in self.tables for pair in t.shown]
        aliases = [t.alias for t in self.tables if t.alias is not None]
        wanted = listed_as(self.w, star.table.text, star.table.span, aliases)
        for listed in self.tables:
            if listed.alias == wanted:
                return listed.columns
        return self.w.fail("E0603", f"no table `{star.table.text}` is listed in `from`", star.table.span)

    def _missing(self, name: str, span: Span) -> NoReturn:
        columns = list(self._all())
        near = get_close_matches(name, columns, n=1)
        label = f"there are {', '.join(dict.fromkeys(columns))}" if 0 < len(columns) <= 12 else ""
        self.w.fail("E0603", f"there is no column `{name}`", span, label, helps=[f"there is `{n}`" for n in near])

    def _all(self) -> Iterator[str]:
        for names in self._around():
            yield from (n for t in names.tables for n, _ in t.columns)


def study_table(w: Walker, name: syntax.Identifier) -> tuple[str, Table]:
    """A table, a query's result, or a variable that holds one, and its name in the study; E0603 otherwise."""
    tables = [n for n in w.scope.visible() if _is_table(w, n)]
    called = name.text if w.scope.find(name.text) is not None else listed_as(w, name.text, name.span, tables)
    binding = w.scope.find(called)
    if binding is None:
        near = get_close_matches(name.text, tables, n=1)
        label = f"there are {', '.join(tables)}" if tables else "the study has no tables yet"
        w.fail("E0603", f"there is no table `{name.text}`", name.span, label, helps=[f"there is `{n}`" for n in near])
    val = w.local(binding.val)
    if isinstance(val, Unknown):
        raise Reported
    if not isinstance(val, Table):
        w.fail("E0603", f"`{name.text}` is no table", name.span, describe(val))
    return called, val


def _is_table(w: Walker, name: str) -> bool:
    binding = w.scope.find(name)
    return binding is not None and isinstance(binding.val, Table)
