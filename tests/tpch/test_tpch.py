"""The 22 queries of TPC-H against DuckDB on the same generated files: in the clear, and on replicated shares.

The parameters are such that a scale factor of 0.001 gives rows; the texts are the benchmark's otherwise.
"""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tpch_data import Rows, generator, make, run_duckdb, spread, spread_study
from tpch_run import run_plain, run_shared

pytest.importorskip("duckdb")
pytestmark = pytest.mark.skipif(generator() is None, reason="needs the generator tpchgen-cli")

FOLDER = Path(__file__).parent
QUERIES = tuple(range(1, 23))
ONE_OWNER = (1, 6, 13, 16, 22)
"""Queries whose tables are all one party's, which therefore computes them alone."""
PLAIN_ERROR = 1e-6
"""Largest relative error of an average or quotient in the clear."""
SHARED_ERROR = 2.0**-14
"""Largest absolute error of a `fixed` of 16 bits on shares, where it is small."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tpch")
    make(directory)
    return directory


@pytest.fixture(scope="module")
def thirds(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("thirds")
    spread(data, directory)
    return directory


def agree(found: Rows, expected: Rows, *, relative: float, absolute: float) -> None:
    """Row by row in order: averages and quotients within a tolerance, all else equal."""
    assert expected, "the parameters leave no rows: nothing is tested"
    assert len(found) == len(expected)
    for row, (got, want) in enumerate(zip(found, expected, strict=True)):
        assert len(got) == len(want)
        for a, b in zip(got, want, strict=True):
            if isinstance(b, float):
                assert isinstance(a, float)
                assert math.isclose(a, b, rel_tol=relative, abs_tol=absolute), f"row {row}: {got} is not {want}"
            else:
                assert a == b, f"row {row}: {got} is not {want}"


@pytest.mark.parametrize("query", QUERIES)
def test_in_the_clear(query: int, data: Path) -> None:
    study = FOLDER / f"q{query}.parley"
    agree(run_plain(study, data), run_duckdb(study, data), relative=PLAIN_ERROR, absolute=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
def test_on_shares(query: int, data: Path) -> None:
    study = FOLDER / f"q{query}.parley"
    agree(run_shared(study, data).rows, run_duckdb(study, data), relative=PLAIN_ERROR, absolute=SHARED_ERROR)


@pytest.mark.slow
@pytest.mark.parametrize("query", [*ONE_OWNER, 2, 3, 5, 7, 9, 15, 18])
def test_of_tables_that_no_party_holds_whole(query: int, data: Path, thirds: Path, tmp_path: Path) -> None:
    study = FOLDER / f"q{query}.parley"
    altered = tmp_path / study.name
    altered.write_text(spread_study(study.read_text(encoding="utf-8")), encoding="utf-8")
    found = run_shared(altered, thirds)
    assert found.delays > 1, "someone computed the query alone"
    agree(found.rows, run_duckdb(study, data), relative=PLAIN_ERROR, absolute=SHARED_ERROR)
