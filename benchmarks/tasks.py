"""The tasks of multi-party engines, each from secret inputs to a secret result, beside what other engines need.

    python -m benchmarks.tasks [NAME ...] [--protocol rep3|additive] [--network lan|wan|RTT,BW] [--repeat K]

All tasks on both protocols over the plain loopback, when nothing is named.  One JSON line each on standard output, a
table at the end on the error output.  `--profile DIR` also writes where the time of each went.  How it is measured is
said in `suite.measure`, whose the other figures are in `suite.peers`.
"""

from __future__ import annotations

from benchmarks.suite.harness import options_of, run
from benchmarks.suite.studies import TASKS


def main() -> None:
    assert __doc__ is not None
    run(TASKS, ["rep3", "additive"], options_of(__doc__, TASKS))


if __name__ == "__main__":
    main()
