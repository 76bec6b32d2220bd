"""Random selects over the tables of `query_tables` in the forms that `query_random` and `query_nested` leave out.

For: `wide_query`: outer joins of all kinds, `intersect` and `except`.
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
            on += f" and {_Wide(self.rng, (a, b)).truth(1)}"
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

    def query(self) -> str:
        """A select."""
        return str(self.pick(self.of_joins, self.of_sets)())


def wide_query(seed: int) -> str:
    """A select; the same for the same seed."""
    return _Wide(np.random.default_rng([13, seed]), ()).query()
