"""TPC-H's tables as the parties of the studies own them, one Parquet file each: for the queries and for DuckDB alike.

For: `make`, `spread` with `spread_study` for tables that no party holds whole, and `run_duckdb`.
Leaves to others: the rows themselves (the generator `tpchgen-cli`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[tuple[Any, ...]]

OWNERS = {
    "region": "retailer",
    "nation": "retailer",
    "customer": "retailer",
    "orders": "retailer",
    "lineitem": "carrier",
    "part": "market",
    "supplier": "market",
    "partsupp": "market",
}
COMMENTED = ("orders", "supplier")
"""The tables whose comments a query reads; elsewhere they are left out."""


def generator() -> str | None:
    """The generator's path; None if it is not installed."""
    return shutil.which("tpchgen-cli", path=str(Path(sys.executable).parent)) or shutil.which("tpchgen-cli")


def make(directory: Path, scale: str = "0.001") -> None:
    """Write directory/PARTY/TABLE.parquet for a scale factor: 6,005 lines of orders at 0.001.

    With fewer than some tens of suppliers the generator repeats pairs of part and supplier: the first of each stays.
    """
    program = generator()
    assert program is not None
    raw = directory / "raw"
    subprocess.run([program, "parquet", "-s", scale, "-o", str(raw)], check=True, capture_output=True)
    for table, party in OWNERS.items():
        rows = _common(pq.read_table(raw / f"{table}.parquet"))
        unread = [name for name in rows.column_names if name.endswith("_comment") and table not in COMMENTED]
        target = directory / party
        target.mkdir(exist_ok=True)
        if table == "partsupp":
            rows = _first(rows, "ps_partkey", "ps_suppkey")
        pq.write_table(rows.drop_columns(unread), target / f"{table}.parquet")
    shutil.rmtree(raw)


def _common(rows: pa.Table) -> pa.Table:
    """Texts in Arrow's ordinary layout."""
    types = [pa.string() if pa.types.is_string_view(f.type) else f.type for f in rows.schema]
    return rows.cast(pa.schema(zip(rows.column_names, types, strict=True)))


def _first(rows: pa.Table, *key: str) -> pa.Table:
    """The rows whose key is not that of a row before."""
    seen: set[tuple[object, ...]] = set()
    keep = []
    for row, values in enumerate(zip(*(rows[name].to_pylist() for name in key), strict=True)):
        if values not in seen:
            seen.add(values)
            keep.append(row)
    return rows.take(keep)


def spread(whole: Path, directory: Path) -> None:
    """Every table of `whole` once more, a third of its rows at each party: directory/PARTY/TABLE.parquet."""
    parties = tuple(dict.fromkeys(OWNERS.values()))
    for party in parties:
        (directory / party).mkdir()
    for table, owner in OWNERS.items():
        rows = pq.read_table(whole / owner / f"{table}.parquet")
        third = -(-rows.num_rows // len(parties))
        for i, party in enumerate(parties):
            pq.write_table(rows.slice(i * third, third), directory / party / f"{table}.parquet")


def spread_study(text: str) -> str:
    """A study with every table from all parties, for data that are `spread`."""
    parties = ", ".join(dict.fromkeys(OWNERS.values()))
    return re.sub(r"^(table \w+ from) \w+:", rf"\1 {parties}:", text, flags=re.MULTILINE)


def run_duckdb(path: Path, data: Path) -> Rows:
    """The text of the study's query, as it stands, in DuckDB."""
    import duckdb

    (text,) = re.findall(r"^query \w+:\n((?:    .*\n)+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    with duckdb.connect() as connection:
        for table, party in OWNERS.items():
            connection.execute(f"create view {table} as select * from '{data / party / table}.parquet'")
        return connection.execute(text).fetchall()
