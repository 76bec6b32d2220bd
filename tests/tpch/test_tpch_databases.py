"""Queries of TPC-H over tables that stay in DuckDB files: the same rows, the same cost, and only what is needed leaves.

Leaves to others: all queries, over Parquet files (`test_tpch`).
"""

from pathlib import Path

import pytest
from test_tpch import PLAIN_ERROR, SHARED_ERROR, agree
from tpch_data import OWNERS, generator, make, run_duckdb
from tpch_run import run_shared

from runtime.sources import Bindings, Held, parse_database

duckdb = pytest.importorskip("duckdb")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(generator() is None, reason="needs the generator tpchgen-cli"),
]

FOLDER = Path(__file__).parent
FETCHED = {
    6: "lineitem where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' and l_quantity < 24",
    12: "lineitem where l_shipmode in ('MAIL', 'SHIP') and l_commitdate < l_receiptdate and l_shipdate < l_commitdate",
    14: "lineitem where l_shipdate >= date '1995-09-01' and l_shipdate < date '1995-10-01'",
}
"""What leaves the largest table at most, for some queries."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tpch")
    make(directory)
    return directory


@pytest.fixture(scope="module")
def bound(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bindings:
    """Each party's tables in a file of its own."""
    folder = tmp_path_factory.mktemp("databases")
    found = {}
    for table, party in OWNERS.items():
        with duckdb.connect(str(folder / f"{party}.duckdb")) as db:
            db.execute(f"create table {table} as select * from '{data / party / table}.parquet'")
        found[party, table] = parse_database(f"duckdb:{folder / party}.duckdb?table={table}")
    return found


@pytest.mark.parametrize("query", [1, 3, 6, 12, 13, 14, 16, 22])
def test_tables_in_a_database(query: int, data: Path, bound: Bindings) -> None:
    study = FOLDER / f"q{query}.parley"
    base = run_shared(study, data, bound=bound)
    agree(base.rows, run_duckdb(study, data), relative=PLAIN_ERROR, absolute=SHARED_ERROR)


@pytest.mark.parametrize("query", FETCHED)
def test_what_leaves_the_database(query: int, data: Path, bound: Bindings, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[int, tuple[str, ...]]] = []
    close = Held.close

    def closed(self: Held) -> None:
        if self.spec.name == "lineitem":
            found.extend(self.fetched)
        close(self)

    monkeypatch.setattr(Held, "close", closed)
    study = FOLDER / f"q{query}.parley"
    file, base = run_shared(study, data), run_shared(study, data, bound=bound)
    assert (file.delays, file.sent) == (base.delays, base.sent)
    ((rows, columns),) = found
    with duckdb.connect() as db:
        db.execute(f"create view lineitem as select * from '{data / 'carrier' / 'lineitem'}.parquet'")
        (most,) = db.execute(f"select count(*) from {FETCHED[query]}").fetchone()
    assert rows <= most
    assert len(columns) <= 5
