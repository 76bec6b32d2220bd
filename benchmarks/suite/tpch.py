"""The 22 queries of TPC-H as tasks: the studies of the tests, on what `tpchgen-cli` makes at a scale factor.

For: `queries`.  Of each query two tasks: `q7`, with every table at the party whose it is, and `q7-spread`, with a third
of every table at each of three parties, so that no table is anybody's.
Leaves to others: the studies, the files and DuckDB's answers (`tests/tpch`), which parties compute (`measure`).

A result's error is the largest difference of a number from DuckDB's, infinite where a row or a word differs.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.suite.studies import Data, Task
from tests.tpch.tpch_data import generator, make, run_duckdb, spread, spread_study

__all__ = ["queries"]

STUDIES = Path(__file__).parents[2] / "tests" / "tpch"
READER = "analyst"


def queries(scale: str) -> Mapping[str, Task]:
    """The tasks at a scale factor; none where the generator is not installed."""
    if generator() is None:
        return {}
    tasks = [_query(number, scale, apart) for apart in (False, True) for number in range(1, 23)]
    return {task.name: task for task in tasks}


@cache
def _files(scale: str) -> tempfile.TemporaryDirectory[str]:
    """whole/PARTY/TABLE.parquet and spread/PARTY/TABLE.parquet, as long as this process runs."""
    folder = tempfile.TemporaryDirectory(prefix="tpch-")
    for name in ("whole", "spread"):
        (Path(folder.name) / name).mkdir()
    make(Path(folder.name) / "whole", scale)
    spread(Path(folder.name) / "whole", Path(folder.name) / "spread")
    return folder


def _query(number: int, scale: str, apart: bool) -> Task:
    path = STUDIES / f"q{number}.parley"
    text = path.read_text(encoding="utf-8")

    def data(rng: np.random.Generator) -> Data:
        del rng
        folder = Path(_files(scale).name) / ("spread" if apart else "whole")
        return {(f.parent.name, f.stem): pq.read_table(f) for f in sorted(folder.glob("*/*.parquet"))}

    def error(given: Data, learned: Mapping[str, Any]) -> float:
        del given
        return _error(learned[f"q{number}"], run_duckdb(path, Path(_files(scale).name) / "whole"))

    name = f"q{number}-spread" if apart else f"q{number}"
    return Task(name, spread_study(text) if apart else text, data, error, READER)


def _error(found: list[dict[str, Any]], expected: list[tuple[Any, ...]]) -> float:
    if len(found) != len(expected):
        return math.inf
    cells = [(a, b) for row, want in zip(found, expected, strict=True) for a, b in zip(row.values(), want, strict=True)]
    return max((_difference(a, b) for a, b in cells), default=0.0)


def _difference(found: Any, expected: Any) -> float:
    if isinstance(expected, int | float | Decimal) and isinstance(found, int | float):
        return abs(found - float(expected))
    same = found == (expected.isoformat() if isinstance(expected, date) else expected)
    return 0.0 if same else math.inf
