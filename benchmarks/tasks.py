"""The tasks of multi-party engines, each from secret inputs to a secret result, beside what other engines need.

    python -m benchmarks.tasks [NAME ...] [--protocol rep3|additive] [--network lan|wan|RTT,BW] [--repeat K]

All tasks on both protocols over the plain loopback, when nothing is named.  One JSON line each on standard output, a
table at the end on the error output.  `--profile DIR` also writes where the time of each went.  How it is measured is
said in `suite.measure`, whose the other figures are in `suite.peers`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.suite.measure import Measured, Unsupported, measure
from benchmarks.suite.peers import PEERS, Figure
from benchmarks.suite.studies import TASKS
from runtime.profile_page import print_profile, write_page
from runtime.terminal import amount


def main() -> None:
    options = _options()
    found: list[Measured] = []
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 150)
    for protocol in options.protocol or ["rep3", "additive"]:
        for name in options.task or TASKS:
            try:
                measured, run = measure(TASKS[name], protocol, options.network, options.repeat)
            except Unsupported as why:
                print(json.dumps({"task": name, "protocol": protocol, "skipped": str(why)}), flush=True)
                continue
            print(json.dumps(measured.to_json()), flush=True)
            found.append(measured)
            if options.profile is not None and run.profile is not None:
                options.profile.mkdir(parents=True, exist_ok=True)
                write_page(run.profile, f"{name}, {protocol}", options.profile / f"{name}-{protocol}.html")
                (options.profile / f"{name}-{protocol}.json").write_text(json.dumps(run.profile))
                print_profile(run.profile, console)
    console.print(_table(found))


def _options() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="*", metavar="NAME", help=", ".join(TASKS))
    parser.add_argument("--protocol", action="append", choices=["rep3", "additive"])
    parser.add_argument("--network", default="lan", metavar="LINK", help="lan, wan, or RTT,BANDWIDTH")
    parser.add_argument("--repeat", type=int, default=1, metavar="K", help="the best of so many runs")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="where the time went, as pages")
    options = parser.parse_args()
    unknown = [name for name in options.task if name not in TASKS]
    if unknown or options.repeat < 1:
        parser.error(f"there is no task {unknown[0]}" if unknown else "--repeat takes 1 or more")
    return options


def _table(found: Sequence[Measured]) -> Table:
    table = Table(title="Work from secret to secret; others: seconds (sent; rounds)", title_justify="left", box=None)
    table.add_column("task", no_wrap=True)
    table.add_column("protocol", no_wrap=True)
    for heading in ("seconds", "processor", "sent", "rounds", "start-up", "memory", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("others")
    for one in found:
        others = PEERS.get((one.task, one.protocol, one.network), ())
        table.add_row(
            one.task,
            one.protocol,
            f"{one.seconds:.3g}",
            f"{one.processor_seconds:.3g}",
            amount(one.bytes),
            str(one.rounds),
            f"{one.startup_seconds:.2f}",
            amount(one.memory),
            f"{one.error:.1e}" if one.error else "exact",
            ", ".join(map(_other, others)),
        )
    return table


def _other(figure: Figure) -> str:
    more = [f"{figure.megabytes:g} MB"] if figure.megabytes is not None else []
    more += [str(figure.rounds)] if figure.rounds is not None else []
    return f"{figure.engine} {figure.seconds:g}" + (f" ({'; '.join(more)})" if more else "")


if __name__ == "__main__":
    main()
