"""Random selects of several levels over the tables of `query_tables`.

For: `nested_query`.

Sources are tables, joins, left joins with further conditions, self-joins, sub-queries that filter, group, cut or unite;
conditions hold sub-queries of all kinds; `having` does too.  Every table, and every sub-query in `from`, has the same
columns, so that any stands for any.  Rows that are cut off by `limit` are ordered by a unique column, or all that is
shown of them is what they are ordered by.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from query_random import Writer

__all__ = ["Nested", "nested_query"]

COLUMNS = ("id", "k", "g", "v", "d", "f", "b", "day", "t")
GROUPED = "max(k) as k, min(g) as g, sum(v) as v, max(d) as d, min(f) as f, max(b) as b, min(day) as day, max(t) as t"


class Nested(NamedTuple):
    """A select, and whether the order of its rows counts."""

    text: str
    ordered: bool


class _Deep(Writer):
    """Writes conditions and sources with sub-queries; `names` counts the tables that were given one."""

    names = 0

    def name(self) -> str:
        """A new name of a table."""
        _Deep.names += 1
        return f"n{_Deep.names}"

    def within(self, *tables: str) -> _Deep:
        """A writer over other tables."""
        return _Deep(self.rng, tables)

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    # -- values --------------------------------------------------------------------------------

    def number(self, depth: int = 2) -> str:
        """A number, made with more functions."""
        if depth == 0 or not self.chance(0.4):
            return super().number(depth)
        a, b = self.number(depth - 1), self.number(depth - 1)
        match self.rng.integers(8):
            case 0:
                return f"{self.pick('greatest', 'least')}({a}, {self.column('v')}, {b})"
            case 1:
                return f"round({self.column('d', 'f')})"
            case 2:
                return f"cast({self.column('v', 'b', 'd')} as int)"
            case 3:
                return f"mod({self.column('v', 'g', 'd')}, 3)"
            case 4:
                return f"nullif({self.column('g', 'v')}, {self.pick(1, 2)})"
            case 5:
                return f"length({self.text()})"
            case 6:
                return f"ceil({self.column('d')})"
        return f"abs({a})"

    def text(self) -> str:
        """A text."""
        column = self.column("t")
        match self.rng.integers(5):
            case 0:
                return f"substring({column}, {self.pick(1, 2)}, {self.pick(1, 2)})"
            case 1:
                return f"{column} || {self.pick(self.column('t'), repr('-x'), self.column('k'))}"
            case 2:
                return f"trim({column} || ' ')"
            case 3:
                return f"coalesce({self.column('k')}, 'z') || '!'"
        return column

    def truth(self, depth: int = 2) -> str:
        """A condition, with sub-queries."""
        if depth == 0 or not self.chance(0.45):
            return super().truth(depth)
        x = self.column("v", "g", "id")
        inner, table = self.name(), self.pick("t", "s", "u")
        w = self.within(inner)
        where = w.truth(depth - 1) if self.chance(0.6) else f"{inner}.b"
        tied = f"{inner}.{self.pick('g', 'v', 'id')} = {self.column('g', 'v')}"
        match self.rng.integers(15):
            case 13:
                deep = self.name()
                far = f"exists (select 1 as y from u as {deep} where {deep}.g = {self.column('g', 'v')} and {deep}.b)"
                return f"{self.pick('', 'not ')}exists (select 1 as x from {table} as {inner} where {tied} and {far})"
            case 14:
                far = f"{self.column('v')} > {self.pick(3, 6)}"
                return (
                    f"{x} {self.pick('', 'not ')}in (select {inner}.v from {table} as {inner} where {tied} and {far})"
                )
            case 11:
                less = f"{inner}.d {self.pick('<', '>')} {self.column('d')}"
                return (
                    f"{x} {self.pick('', 'not ')}in (select {w.column('v', 'g')} from {table} as {inner} where {less})"
                )
            case 12:
                less = f"{w.column('v')} - {self.column('g', 'v')}"
                total = f"select {self.pick('sum', 'max')}({less}) from {table} as {inner}"
                return f"{x} {self.pick('<', '>=')} ({total} where {self.pick(tied, where)})"
            case 9:
                pair = f"(coalesce({self.column('g', 'v')}, 1), coalesce({self.column('b')}, true))"
                inside = f"select {inner}.g, {inner}.b from {table} as {inner} where {where}"
                return f"{pair} {self.pick('', 'not ')}in ({inside})"
            case 10:
                low = f"(select min({w.column('v', 'd')}) from {table} as {inner} where {tied})"
                return f"{x} {self.pick('', 'not ')}between {low} and {self.number(1)}"
            case 0:
                return (
                    f"{x} {self.pick('', 'not ')}in (select {w.column('v', 'g')} from {table} as {inner} where {where})"
                )
            case 1:
                both = f"{where} and {tied}"
                return (
                    f"{x} {self.pick('', 'not ')}in (select {w.column('v', 'g')} from {table} as {inner} where {both})"
                )
            case 2:
                return f"{self.pick('', 'not ')}exists (select 1 as x from {table} as {inner} where {tied} and {where})"
            case 3:
                less = f"{inner}.v {self.pick('<', '>', '<>', '<=')} {self.column('v', 'g')}"
                return f"exists (select 1 as x from {table} as {inner} where {tied} and {less})"
            case 4:
                total = f"select {self.pick('max', 'min', 'sum')}({w.column('v', 'd')}) from {table} as {inner}"
                return f"{x} {self.pick('<', '>=', '<>')} ({total} where {tied})"
            case 5:
                total = f"select {self.pick('avg', 'max')}({w.column('v', 'd')}) from {table} as {inner} where {where}"
                return f"{x} {self.pick('<', '>=')} ({total})"
            case 6:
                return f"(select count(*) from {table} as {inner} where {tied} and {where}) {self.pick('>', '=')} 1"
            case 7:
                return f"{self.text()} {self.pick('<', '=', '>=')} {self.pick(repr('b'), self.text())}"
        return f"{self.text()} {self.pick('', 'not ')}like '{self.pick('a%', '%b', '%a%', '_', '%a_')}'"

    def where(self) -> str:
        """A condition of a select, or none."""
        return f"where {self.truth()}" if self.chance(0.6) else ""

    # -- sources -------------------------------------------------------------------------------

    def derived(self) -> str:
        """A sub-query with all columns, of which `id` may repeat."""
        inner, table = self.name(), self.pick("t", "s", "u")
        w = self.within(inner)
        columns = ", ".join(f"{inner}.{c}" for c in COLUMNS)
        plain = f"select {columns} from {table} as {inner} where {w.truth(1)}"
        match self.rng.integers(6):
            case 0:
                return f"select distinct {columns} from {table} as {inner} where {w.truth(1)}"
            case 1:
                key = f"{inner}.{self.pick('v', 'd')} {self.pick('', 'desc ')}{self.nulls()}"
                return f"{plain} order by {key}, {inner}.id {self.cut()}"
            case 2:
                other = self.name()
                return f"{plain} {self.pick('union', 'union all')} select {', '.join(COLUMNS)} from u as {other}"
            case 3:
                return self.unique()
        return plain

    def unique(self) -> str:
        """A sub-query with all columns, of which `id` is unique."""
        inner, table = self.name(), self.pick("t", "s", "u")
        w = self.within(inner)
        key = self.pick("g", "v")
        having = "" if self.chance(0.6) else f" having {self.pick('count(*) > 1', 'sum(d) > (select avg(d) from s)')}"
        return f"select {key} as id, {GROUPED} from {table} as {inner} where {w.truth(1)} group by {key}{having}"

    def nulls(self) -> str:
        return str(self.pick("", "nulls first", "nulls last"))

    def cut(self) -> str:
        return str(self.pick("limit 5", "limit 4 offset 2", "offset 3", "limit 30"))

    def source(self) -> tuple[str, tuple[str, ...]]:
        """What stands after `from`, and the names of its tables."""
        a, b = self.name(), self.name()
        left = f"{self.pick('t', 's', 'u')} as {a}" if self.chance(0.65) else f"({self.derived()}) as {a}"
        right = f"{self.pick('s', 'u')} as {b}" if self.chance(0.7) else f"({self.unique()}) as {b}"
        on = f"{a}.{self.pick('g', 'v', 'id')} = {b}.id"
        match self.rng.integers(6):
            case 0 | 1:
                return left, (a,)
            case 2:
                more = f" and {self.within(a, b).truth(1)}" if self.chance(0.5) else ""
                return f"{left} join {right} on {on}{more}", (a, b)
            case 3:
                more = f" and {self.within(b).truth(2)}" if self.chance(0.6) else ""
                return f"{left} left join {right} on {on}{more}", (a, b)
            case 4:
                c = self.name()
                return f"{left} join {right} on {on} left join s as {c} on {b}.g = {c}.id", (a, b, c)
        c = self.name()
        return f"s as {a} join s as {b} on {a}.g = {b}.id join u as {c} on {a}.g = {c}.id", (a, b, c)

    # -- selects -------------------------------------------------------------------------------

    def grouped(self) -> Nested:
        """A select of groups."""
        source, tables = self.source()
        w = self.within(*tables)
        keys = list(dict.fromkeys(w.column("g", "k", "b", "t", "v") for _ in range(self.rng.integers(1, 3))))
        if self.chance(0.25):
            keys.append(w.text())
        items = ", ".join(
            [*(f"{key} as k{i}" for i, key in enumerate(keys)), f"{w.aggregate()} as a0", f"{w.aggregate()} as a1"]
        )
        having = ""
        if self.chance(0.6):
            column = w.column("v", "d")
            having = " having " + self.pick(
                "count(*) > 1",
                f"max({column}) > (select avg(v) from s)",
                f"count(distinct {column}) >= (select min(g) from u where b)",
                f"sum({column}) not in (select v from s)",
                f"min({column}) in (select v from t where b) or count(*) > 2",
            )
        text = f"select {items} from {source} {w.where()} group by {', '.join(keys)}{having}"
        if self.chance(0.4):
            order = ", ".join(f"{i + 1} {self.pick('', 'desc')} {self.nulls()}" for i in range(len(keys)))
            return Nested(f"{text} order by {order} {self.pick('', self.cut())}", True)
        return Nested(text, False)

    def rows(self) -> Nested:
        """A select of rows."""
        source, tables = self.source()
        w = self.within(*tables)
        items = ", ".join(f"{self.pick(w.number(), w.truth(), w.text())} as c{i}" for i in range(3))
        where = f"from {source} {w.where()}"
        if self.chance(0.3):  # ties: only what is ordered by is shown
            keys = [w.column("v", "g", "k", "t", "b") for _ in range(2)]
            order = ", ".join(f"{key} {self.pick('', 'desc')} {self.nulls()}" for key in keys)
            shown = ", ".join(f"{key} as c{i}" for i, key in enumerate(keys))
            return Nested(f"select {shown} {where} order by {order} {self.cut()}", True)
        if self.chance(0.25):
            return Nested(f"select distinct {w.column('g', 'v', 'k')} as c0, {w.text()} as c1 {where}", False)
        return Nested(f"select {items} {where}", False)

    def whole(self) -> Nested:
        """A select that is one row, perhaps over groups of groups."""
        if self.chance(0.4):
            inner, name = self.grouped(), self.name()
            return Nested(
                f"select count(*) as n, max(a0) as x, count(distinct a1) as y from ({inner.text}) as {name}", False
            )
        source, tables = self.source()
        w = self.within(*tables)
        return Nested(
            f"select {', '.join(f'{w.aggregate()} as a{i}' for i in range(3))} from {source} {w.where()}", False
        )

    def united(self) -> Nested:
        """Two selects put together, perhaps in order."""
        sides = []
        for _ in range(2):
            source, tables = self.source()
            w = self.within(*tables)
            sides.append(f"select {w.column('g', 'v')} as c0, {w.text()} as c1 from {source} {w.where()}")
        text = f" {self.pick('union', 'union all')} ".join(sides)
        if self.chance(0.5):
            order = f"c0 {self.pick('', 'desc ')}{self.nulls()}, c1 {self.pick('', 'desc')}"
            return Nested(f"{text} order by {order} {self.pick('', self.cut())}", True)
        return Nested(text, False)

    def query(self) -> Nested:
        """A query, perhaps with a table that `with` names."""
        form = self.pick(self.grouped, self.rows, self.whole, self.united)
        if self.chance(0.15):
            inner = form()
            text = inner.text.replace("from t as", "from w as", 1)
            return Nested(f"with w as ({self.derived()}) {text}", inner.ordered)
        return form()  # type: ignore[no-any-return]


def nested_query(seed: int) -> Nested:
    """A select; the same for the same seed."""
    _Deep.names = 0
    return _Deep(np.random.default_rng([11, seed]), ()).query()
