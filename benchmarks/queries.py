"""Queries and sorts of some size, from secret inputs to a secret result, beside what other engines need.

    python -m benchmarks.queries [NAME ...] [--protocol rep3|additive] [--network lan|wan|RTT,BW] [--profile DIR]

50,000,000 comparisons in under 4 GiB a party, a million values sorted, joins of 100,000 rows with as many, and the 22
queries of TPC-H at a scale factor of 0.01 (60,175 lines of orders), with tables whole at their owners (`q1`) and with
a third of each at every party (`q1-spread`), each compared with DuckDB.  On rep3, when nothing is named.
"""

from __future__ import annotations

from benchmarks.suite.harness import options_of, run
from benchmarks.suite.studies import LARGE
from benchmarks.suite.tpch import queries

SCALE = "0.01"


def main() -> None:
    assert __doc__ is not None
    tasks = {**LARGE, **queries(SCALE)}
    run(tasks, ["rep3"], options_of(__doc__, tasks))


if __name__ == "__main__":
    main()
