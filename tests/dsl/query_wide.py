"""Random selects over the tables of `query_tables` in the forms that `query_random` and `query_nested` leave out.

For: `wide_query`: outer joins of all kinds, `intersect` and `except`, `filter`, windows, comparisons with `any`, `all`,
and sub-queries of groups, of first rows and of several selects that refer to the rows around.

What depends on the order of rows has one that tells them apart.
"""

from __future__ import annotations

import numpy as np
from query_random import Writer

__all__ = ["wide_query"]


class _Wide(Writer):
    """Writes selects; every source has the columns of the tables."""

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def joined(self) -> tuple[str, tuple[str, ...]]:
        """Two or three tables joined in some way, and their names."""
        a, b = self.rng.permutation(["t", "s", "u"])[:2].tolist()
        kind = self.pick("left", "right", "full", "full outer", "inner", "cross")
        if kind == "cross":
            return f"{a} cross join {b}", (a, b)
        unique = b if a == "t" or (b != "t" and self.chance(0.5)) else a
        other = a if unique == b else b
        if self.chance(0.25):
            return f"{a} {kind} join {b} using (id{self.pick('', ', b')})", (a, b)
        on = f"{unique}.id = {other}.{self.pick('g', 'v', 'id')}"
        if self.chance(0.4):
            on += f" and {Writer(self.rng, (a, b)).truth(1)}"
        text = f"{a} {kind} join {b} on {on}"
        if self.chance(0.2):
            on = f"{self.pick(a, b)}.{self.pick('g', 'v')} = z.id"
            return f"{text} {self.pick('left', 'inner')} join u as z on {on}", (a, b, "z")
        return text, (a, b)

    def of_joins(self) -> str:
        """Rows or groups of an outer join."""
        source, tables = self.joined()
        w = _Wide(self.rng, tables)
        where = f" where {w.truth()}" if self.chance(0.5) else ""
        if self.chance(0.5):
            items = ", ".join(f"{self.pick(w.number(), w.truth())} as c{i}" for i in range(3))
            return f"select {items} from {source}{where}"
        key = w.column("g", "k", "b", "t", "v")
        return f"select {key} as k0, {w.aggregate()} as a0, {w.aggregate()} as a1 from {source}{where} group by {key}"

    def of_sets(self) -> str:
        """Rows of several selects, put together and taken away."""
        form = self.pick(("g", "v", "id"), ("k", "t"))
        both = self.chance(0.5)

        def one() -> str:
            table = self.pick("t", "s", "u")
            w = _Wide(self.rng, (table,))
            more = f", {w.column('b')} as c1" * both
            return f"select {w.column(*form)} as c0{more} from {table}" + f" where {w.truth(1)}" * self.chance(0.6)

        text = one()
        for _ in range(self.rng.integers(1, 3)):
            sign = self.pick("union", "union all", "intersect", "except", "except distinct")
            text += f" {sign} {one() if self.chance(0.8) else '(' + one() + ' except ' + one() + ')'}"
        if self.chance(0.3):
            return f"select c0, count(*) as n from ({text}) as z group by c0"
        return text

    def aggregate(self) -> str:
        """An aggregate, of all rows or of those of a condition."""
        kind = self.rng.integers(6)
        if kind == 0:
            text = f"{self.pick('bool_and', 'bool_or')}({self.column('v', 'g')} {self.pick('>', '<=')} 3)"
        elif kind == 1:
            text = f"{self.pick('var_pop', 'stddev_samp')}({self.column('v', 'd')})"
        else:
            text = Writer.aggregate(self)
        return text + (f" filter (where {self.truth(1)})" if self.chance(0.4) else "")

    def truth(self, depth: int = 2) -> str:
        """A condition; now and then a comparison with all values of a table."""
        if depth == 0 or not self.chance(0.2):
            return super().truth(depth)
        sign, word = self.pick("<", "<=", "=", "<>", ">", ">="), self.pick("any", "all", "some")
        if self.chance(0.4):
            return self.tied()
        tied = self.pick(
            "", f" where z9.g = {self.column('g', 'v')}", f" where z9.d < {self.column('d')}", " where z9.b"
        )
        return f"{self.column('v', 'g', 'id')} {sign} {word} (select z9.{self.pick('v', 'g')} from s as z9{tied})"

    def tied(self) -> str:
        """A condition by a sub-query of groups, of first rows, or of several selects that refers to the rows around."""
        tie = f"where z9.{self.pick('g', 'v')} = {self.column('g', 'v')}"
        other = tie.replace("z9", "z8")
        x, of = self.column("v", "g"), f"from {self.pick('s', 'u')} as z9 {tie}"
        match self.rng.integers(5):
            case 0:
                groups = f"select max(z9.v) as m {of} group by z9.{self.pick('k', 'b', 'g')} having count(*) >= 1"
                return f"{x} {self.pick('in', 'not in', '< any', '>= all')} ({groups})"
            case 1:
                first = f"select z9.v {of} order by z9.d, z9.id limit {self.pick('1', '2', '1 offset 1')}"
                return f"{x} {self.pick('in', 'not in', '<> all')} ({first})"
            case 2:
                one = f"select z9.v {of} order by z9.d desc, z9.id limit 1"
                return f"{x} {self.pick('<', '>=')} ({one})"
            case 3:
                sign = self.pick("union", "union all", "intersect", "except")
                both = f"select z9.g {of} {sign} select z8.v from s as z8 {other}"
                return f"{x} {self.pick('in', 'not in', '> any')} ({both})"
        return f"{x} {self.pick('in', 'not in', '<= all')} (select rank() over (order by z9.d) {of})"

    def over(self, name: str, unique: str) -> str:
        """A function over a window of a table whose rows `unique` tells apart."""
        part = self.pick(
            "", "partition by " + ", ".join(dict.fromkeys(self.column("g", "k", "b", "t") for _ in range(2))) + " "
        )
        key = f"{self.column('g', 'v', 'd', 'k', 't', 'b')} {self.pick('', 'desc ')}{self.pick('', 'nulls first')}"
        order, whole = f"order by {key}", f"order by {key}, {unique}"
        x = self.column("v", "d", "f", "g")
        match self.rng.integers(6):
            case 0:
                return f"{self.pick('rank', 'dense_rank')}() over ({part}{order})"
            case 1:
                return f"row_number() over ({part}{whole})"
            case 2:
                shown, default = self.pick(("v", ", 7"), ("t", ", 'z'"), ("b", ""), ("f", ""))
                off = f", {self.pick(0, 1, 2, 3, 6)}{default if self.chance(0.5) else ''}"
                return f"{self.pick('lag', 'lead')}({name}.{shown}{self.pick('', off)}) over ({part}{whole})"
            case 3:
                frame = self.pick(
                    "", " rows unbounded preceding", " rows between unbounded preceding and unbounded following"
                )
                what = f"{self.pick('first_value', 'last_value', 'sum', 'min')}({x})"
                return f"{what} over ({part}{whole}{frame})"
        if self.chance(0.15):
            near = f"rows between {self.pick(0, 1, 3, 7)} preceding and current row"
            return f"{self.pick('sum', 'count', 'avg')}({x}) over ({part}{whole} {near})"
        only = f" filter (where {Writer.truth(self, 1)})" if self.chance(0.3) else ""
        what = self.pick("count(*)", *(f"{f}({x})" for f in ("count", "sum", "avg", "min", "max")))
        return f"{what}{only} over ({part}{self.pick('', order, whole)})"

    def of_windows(self) -> str:
        """Rows with windows, or conditions on them."""
        table = self.pick("t", "s", "u")
        w = _Wide(self.rng, (table,))
        items = ", ".join(f"{w.over(table, f'{table}.id')} as c{i}" for i in range(3))
        text = f"select {table}.id, {items} from {table}" + f" where {w.truth(1)}" * self.chance(0.5)
        if self.chance(0.25):
            return f"select id, c1 from ({text}) as y where c0 is not null and id > 3"
        if self.chance(0.25):
            more = f"rank() over (order by {w.aggregate()}, {table}.g)"
            items = f"{table}.g, {w.aggregate()} as a, {more} as r, sum(count(*)) over () as n"
            return f"select {items} from {table} group by 1"
        return text

    def query(self) -> str:
        """A select."""
        return str(self.pick(self.of_joins, self.of_sets, self.of_windows, self.of_windows)())


def wide_query(seed: int) -> str:
    """A select; the same for the same seed."""
    return _Wide(np.random.default_rng([13, seed]), ()).query()
