"""Random selects over the tables of `query_tables`.

For: `random_query`; `Writer` for others (`query_nested`).

Every quotient has a divisor that is not 0, and a select that is cut short is ordered by a unique column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Writer", "random_query"]


@dataclass(slots=True)
class Writer:
    """Writes expressions over the tables that are listed."""

    rng: np.random.Generator
    tables: tuple[str, ...]

    def pick(self, *choices: Any) -> Any:
        """One of them."""
        return choices[self.rng.integers(len(choices))]

    def column(self, *names: str) -> str:
        """A column of one of the tables."""
        return f"{self.pick(*self.tables)}.{self.pick(*names)}"

    def number(self, depth: int = 2) -> str:
        """A number."""
        if depth == 0 or self.rng.random() < 0.35:
            return str(self.pick(self.column("g", "v", "d", "id"), self.rng.integers(-5, 12), "1.25"))
        a, b = self.number(depth - 1), self.number(depth - 1)
        match self.rng.integers(7):
            case 0:
                return f"({a} + {b})"
            case 1:
                return f"({a} - {b})"
            case 2:
                return f"({a} * {self.column('g', 'v')})"
            case 3:
                return f"coalesce({self.column('v')}, {self.column('g', 'd')})"
            case 4:
                return f"case when {self.truth(depth - 1)} then {a} else {b} end"
            case 5:
                return f"case when {self.truth(depth - 1)} then {a} end"
        return f"extract({self.pick('year', 'month', 'day')} from {self.column('day')})"

    def truth(self, depth: int = 2) -> str:
        """A condition."""
        if depth == 0 or self.rng.random() < 0.2:
            return str(self.pick(self.column("b"), f"{self.column('g')} > 2", f"{self.column('v')} <= 5"))
        a, b = self.number(depth - 1), self.number(depth - 1)
        match self.rng.integers(10):
            case 0:
                return f"({self.truth(depth - 1)} and {self.truth(depth - 1)})"
            case 1:
                return f"({self.truth(depth - 1)} or {self.truth(depth - 1)})"
            case 2:
                return f"not ({self.truth(depth - 1)})"
            case 3:
                return f"{a} between {b} and {self.number(depth - 1)}"
            case 4:
                return f"{self.column('v', 'g')} {self.pick('', 'not ')}in (1, 3, 4, -2)"
            case 5:
                return f"{self.column('v', 'k', 'f')} is {self.pick('', 'not ')}null"
            case 6:
                return (
                    f"{self.column('t')} {self.pick('like', 'not like')} '{self.pick('a%', '%b', '%a%', '_a', 'c_')}'"
                )
            case 7:
                return f"{self.column('k')} {self.pick('=', '<>')} '{self.pick('p', 'q')}'"
            case 8:
                return f"{self.column('day')} >= date '2020-03-01' + interval '{self.rng.integers(-3, 9)}' month"
        return f"{a} {self.pick('<', '<=', '=', '<>', '>', '>=')} {b}"

    def aggregate(self) -> str:
        """An aggregate."""
        x = self.number(1)
        match self.rng.integers(7):
            case 0:
                return "count(*)"
            case 1:
                return f"count({self.column('v', 'k', 'f')})"
            case 2:
                few = f"count(distinct {self.column('g', 'k', 'v')})"
                return str(self.pick(few, f"{self.pick('sum', 'avg')}(distinct {self.column('g', 'v', 'd')})"))
            case 3:
                return f"avg({self.column('v', 'd', 'g')})"
        return f"{self.pick('sum', 'min', 'max')}({x})"


def random_query(seed: int) -> str:
    """A select; the same for the same seed."""
    rng = np.random.default_rng([7, seed])
    form = rng.integers(6)
    joined = " from t" if form < 3 else str(rng.choice([" from t join s on t.g = s.id", " from t, u where t.g = u.id"]))
    tables: tuple[str, ...] = ("t",) if form < 3 else ("t", "s" if " s " in joined else "u")
    w = Writer(rng, tables)
    where = f" {'and' if 'where' in joined else 'where'} {w.truth()}"
    if form % 3 == 0:
        items = ", ".join(f"{w.pick(w.number(), w.truth())} as c{i}" for i in range(3))
        return f"select t.id, {items}{joined}{where} order by {w.number(1)} + t.g, t.id limit {rng.integers(3, 12)}"
    if form % 3 == 1:
        items = ", ".join(f"{w.aggregate()} as a{i}" for i in range(3))
        return f"select {items}{joined}{where}"
    keys = list(dict.fromkeys(w.column("g", "k", "b", "t") for _ in range(rng.integers(1, 3))))
    shown = ", ".join(f"{key} as k{i}" for i, key in enumerate(keys))
    items = ", ".join(f"{w.aggregate()} as a{i}" for i in range(3))
    having = "" if rng.random() < 0.5 else " having count(*) > 1"
    return f"select {shown}, {items}{joined}{where} group by {', '.join(keys)}{having}"
