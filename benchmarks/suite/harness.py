"""Runs tasks one after another: a JSON line each on standard output, a table at the end on the error output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.suite.measure import Measured, Unsupported, measure
from benchmarks.suite.peers import PEERS, Figure
from benchmarks.suite.studies import Task
from runtime.profile_page import print_profile, write_page
from runtime.terminal import amount

__all__ = ["options_of", "run"]


def options_of(about: str, tasks: Mapping[str, Task]) -> argparse.Namespace:
    """What the command line asks for: the tasks by name, the protocols, the link, and where profiles go."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("task", nargs="*", metavar="NAME", help=", ".join(tasks))
    parser.add_argument("--protocol", action="append", choices=["rep3", "additive"])
    parser.add_argument("--network", default="lan", metavar="LINK", help="lan, wan, or RTT,BANDWIDTH")
    parser.add_argument("--repeat", type=int, default=1, metavar="K", help="the best of so many runs")
    parser.add_argument("--profile", type=Path, metavar="DIR", help="where the time went, as pages")
    options = parser.parse_args()
    unknown = [name for name in options.task if name not in tasks]
    if unknown or options.repeat < 1:
        parser.error(f"there is no task {unknown[0]}" if unknown else "--repeat takes 1 or more")
    return options


def run(tasks: Mapping[str, Task], protocols: Sequence[str], options: argparse.Namespace) -> None:
    """The tasks that the options name, all when they name none, on the protocols."""
    found: list[Measured] = []
    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 150)
    for protocol in options.protocol or protocols:
        for name in options.task or tasks:
            try:
                measured, done = measure(tasks[name], protocol, options.network, options.repeat)
            except Unsupported as why:
                print(json.dumps({"task": name, "protocol": protocol, "skipped": str(why)}), flush=True)
                continue
            print(json.dumps(measured.to_json()), flush=True)
            found.append(measured)
            if options.profile is not None and done.profile is not None:
                options.profile.mkdir(parents=True, exist_ok=True)
                write_page(done.profile, f"{name}, {protocol}", options.profile / f"{name}-{protocol}.html")
                (options.profile / f"{name}-{protocol}.json").write_text(json.dumps(done.profile))
                print_profile(done.profile, console)
    console.print(_table(found))


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
