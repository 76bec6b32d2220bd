"""Small random tables with missing values and repetitions, for a study and for DuckDB; and a comparison of results.

For: `Tables`, `same`.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from dsl.convert import encode_text
from dsl.stypes import EPOCH

COLUMNS = """    id: int{unique}
    k: enum('p', 'q', 'r')?
    g: int
    v: int?
    d: decimal(2)
    f: fixed?
    b: bool
    day: date
    t: text(9)
"""
DDL = "id BIGINT, k VARCHAR, g BIGINT, v BIGINT, d DECIMAL(18,2), f DOUBLE, b BOOLEAN, day DATE, t VARCHAR"
WORDS = ("aa", "ab", "b", "ca", "cb", "d", "éa", "")
DECLARATIONS = f"""party a, b, c
table t from a, b:
{COLUMNS.format(unique="")}
table s from b:
{COLUMNS.format(unique=" unique")}
table u from a, c:
{COLUMNS.format(unique=" unique")}
"""

Columns = dict[str, list[Any]]


def columns(rng: np.random.Generator, n: int) -> Columns:
    """A table of n rows."""

    def some(make: Callable[[], Any], missing: float = 0.0) -> list[Any]:
        return [None if rng.random() < missing else make() for _ in range(n)]

    return {
        "id": rng.permutation(2 * n)[:n].tolist(),
        "k": some(lambda: "pqr"[rng.integers(3)], 0.15),
        "g": some(lambda: int(rng.integers(0, 5))),
        "v": some(lambda: int(rng.integers(-10, 20)), 0.2),
        "d": some(lambda: Decimal(int(rng.integers(-500, 2000))).scaleb(-2)),
        "f": some(lambda: int(rng.integers(-4000, 9000)) / 64, 0.2),
        "b": some(lambda: bool(rng.integers(2))),
        "day": some(lambda: datetime.date(2019, 12, 25) + datetime.timedelta(int(rng.integers(0, 400)))),
        "t": some(lambda: WORDS[rng.integers(len(WORDS))]),
    }


def arrays(c: Columns) -> dict[str, Any]:
    """The columns as their owner brings them."""
    out: dict[str, Any] = {}
    for name in ("k", "v", "f"):
        out[f"{name}?"] = np.array([x is not None for x in c[name]], np.bool_)
    out["id"], out["g"] = np.array(c["id"], np.int64), np.array(c["g"], np.int64)
    out["k"] = np.array([0 if x is None else "pqr".index(x) for x in c["k"]], np.int64)
    out["v"] = np.array([x or 0 for x in c["v"]], np.int64)
    out["f"] = np.array([x or 0 for x in c["f"]], np.float64)
    out["d"] = np.array([int(x.scaleb(2)) for x in c["d"]], np.int64)
    out["b"] = np.array(c["b"], np.bool_)
    out["day"] = np.array([(x - EPOCH).days for x in c["day"]], np.int64)
    out["t"] = np.array([encode_text(x, 2) for x in c["t"]], np.int64).reshape(len(c["t"]), 2)
    return out


@dataclass(frozen=True, slots=True)
class Tables:
    """t of a and b, s of b, u of a and c."""

    t: Columns
    s: Columns
    u: Columns

    @classmethod
    def of(cls, seed: int, n: int = 14) -> Tables:
        """Those of a seed; t has n rows."""
        rng = np.random.default_rng(seed)
        return cls(columns(rng, n), columns(rng, n // 2 + 2), columns(rng, n // 2 + 3))

    def data(self) -> dict[str, dict[str, Any]]:
        """What each party brings."""

        def part(c: Columns, rows: slice) -> dict[str, Any]:
            return arrays({name: column[rows] for name, column in c.items()})

        half = len(self.t["id"]) // 2
        return {
            "a": {"t": part(self.t, slice(0, half)), "u": part(self.u, slice(0, 3))},
            "b": {"t": part(self.t, slice(half, None)), "s": arrays(self.s)},
            "c": {"u": part(self.u, slice(3, None))},
        }

    def fill(self, connection: Any) -> None:
        """Create and fill the tables in DuckDB."""
        for name, c in (("t", self.t), ("s", self.s), ("u", self.u)):
            connection.execute(f"create table {name} ({DDL})")
            rows = list(zip(*c.values(), strict=True))
            if rows:
                connection.executemany(f"insert into {name} values (?,?,?,?,?,?,?,?,?)", rows)


def study(query: str) -> str:
    """A study that reveals the query to all."""
    return f"{DECLARATIONS}query q:\n    {query}\nreveal q to all\n"


# -- comparison --------------------------------------------------------------------------------


def plain(x: Any) -> Any:
    """A value as both sides show it."""
    if isinstance(x, Decimal):
        return float(x)
    if isinstance(x, datetime.datetime):  # DuckDB's `date_trunc`
        x = x.date()
    return x.isoformat() if isinstance(x, datetime.date) else x


def _close(a: Any, b: Any, tolerance: float) -> bool:
    if a is None or b is None:
        return a is b
    if isinstance(a, bool) or isinstance(b, bool):
        return bool(a) == bool(b)
    if isinstance(a, int | float) and isinstance(b, int | float):
        return bool(abs(a - b) <= max(tolerance, 1e-6 * abs(b)))
    return bool(a == b)


def same(got: Sequence[Sequence[Any]], want: Sequence[Sequence[Any]], *, ordered: bool, tolerance: float) -> bool:
    """Whether both have the same rows, in the same order where there is one."""
    left = [tuple(map(plain, row)) for row in got]
    right = [tuple(map(plain, row)) for row in want]

    def alike(x: Sequence[Any], y: Sequence[Any]) -> bool:
        return len(x) == len(y) and all(_close(a, b, tolerance) for a, b in zip(x, y, strict=True))

    if len(left) != len(right):
        return False
    if ordered:
        return all(map(alike, left, right))
    for row in right:
        place = next((i for i, other in enumerate(left) if alike(other, row)), None)
        if place is None:
            return False
        del left[place]
    return True
