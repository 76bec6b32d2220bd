"""`parley run` as a person sees it: in the clear or over TLS, with progress, results, cost and disclosures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import requirements
from dsl.parse import parse
from dsl.privacy.spending import spending
from mpc import plain
from mpc.circuit import Array
from mpc.op import OutsideError, OverflowsError
from mpc.protocols import SCHEMES
from runtime.export import write
from runtime.inputs import FileInputs
from runtime.job import Job
from runtime.launch import LocalResult, Options, Progress, run_local
from runtime.ledger import told
from runtime.results import to_json
from runtime.session import bound, learned
from runtime.shelf import PlainShelf
from runtime.sources import Database
from runtime.terminal import amount, rendered
from runtime.where import outside, overflowed

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["Options", "print_result", "run_plain", "run_shown", "show_profile"]

PLAIN_SALT = bytes(32)
"""In the clear keys need no secret salt, only the same one."""


def run_shown(job: Job, options: Options, *, quiet: bool) -> LocalResult:
    """Run all parties; on a terminal, show how far they are."""
    if quiet or not sys.stderr.isatty():
        return run_local(job, options)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds"),
        TimeElapsedColumn(),
    )
    bars = Bars(*columns, console=Console(stderr=True), transient=True)
    tasks: dict[str, TaskID] = {}
    progress = _follow(bars, tasks)
    return run_local(job, options, progress, started=lambda: bars)


def _follow(bars: object, tasks: dict[str, TaskID]) -> Progress:
    from rich.progress import Progress as Bars

    assert isinstance(bars, Bars)

    def progress(party: str, done: int, total: int) -> None:
        if party not in tasks:
            tasks[party] = bars.add_task(party, total=total)
        bars.update(tasks[party], completed=done, total=total)

    return progress


def run_plain(
    study: Path,
    params: Mapping[str, str],
    frac: int,
    data: Path | None,
    bound_files: Mapping[tuple[str, str], Path | Database],
    state: Path | None = None,
    out: Path | None = None,
) -> LocalResult:
    """The study in the clear, in this process: for debugging, and what the protocols are held against.

    state: where values that are stored in the clear are kept for other studies in the clear.  out: where results go.
    """
    tree = parse(study.read_text(encoding="utf-8"), study.name)
    specs = requirements(tree, dict(params))
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    arrays: dict[tuple[str, str, str], Array] = {}
    for party in dict.fromkeys(s.party for s in specs):
        inputs = FileInputs(party, data, bound_files)
        try:
            shapes[party] = inputs.shapes([s for s in specs if s.party == party])
            brought = inputs.arrays(PLAIN_SALT)
        finally:
            inputs.close()
        arrays |= {(party, name, column): a for (name, column), a in brought.items()}
    shelf = PlainShelf.at(tree, frac, state)
    bindings = replace(bound(params, frac, specs, shapes), stored=shelf.find())
    arrays |= shelf.arrays
    known: list[Array] = []
    values: dict[int, Any] = {}
    while True:
        done = elaborate(tree, bindings, known)
        roots = None if done.needs is None else [done.needs]
        try:
            values = plain.evaluate(done.circuit, arrays, roots, values)
        except OutsideError as error:
            raise StudyError([outside(error, tree)]) from None
        except OverflowsError as error:
            raise StudyError([overflowed(error, tree)]) from None
        if done.needs is None:
            break
        known.append(np.asarray(values[done.needs]))
    shelf.put(tree.source.text, done, values)
    result = LocalResult()
    for party in done.parties:
        outputs = learned(done, party, values.__getitem__)
        if out is not None:
            write(outputs, out / party)
        result.outputs[party] = to_json(outputs)
        result.shown[party] = rendered(outputs, 100, color=False)
    result.stats = {"protocol": "plain", "rounds": 0, "bytes_sent": {}, "seconds": 0.0, "offline_seconds": 0.0}
    result.stats |= told(spending(done.circuit))
    return result


def print_result(result: LocalResult, *, quiet: bool) -> None:
    """Each party's results, and what the run cost."""
    for party, text in result.shown.items():
        if text:
            click.secho(f"{party} learns", bold=True)
            click.echo(text)
    if quiet:
        return
    for spent in result.stats.get("privacy", ()):
        delta = f", delta {spent['delta']:g}" if spent["delta"] else ""
        click.echo(f"privacy of {spent['party']}'s {spent['table']}: epsilon {spent['epsilon']:g}{delta} spent")
    if result.stats["protocol"] == "plain":
        return
    stats = result.stats
    sent = ", ".join(f"{stats['parties'][int(i)]} {amount(n)}" for i, n in stats["bytes_sent"].items())
    if stats["taken_for_granted"]:
        places = "one place" if stats["taken_for_granted"] == 1 else f"{stats['taken_for_granted']} places"
        click.secho(f"in {places} values are taken to fit: parley check lists them, declared ranges prove it", dim=True)
    click.secho(SCHEMES[stats["protocol"]].threat, dim=True)
    click.echo(f"{stats['protocol']}: {stats['rounds']} rounds in {stats['seconds']:.2f} s, sent by {sent}")


def show_profile(profile: Mapping[str, Any], title: str, picture: Path | None, *, quiet: bool) -> None:
    """The profile of a run: a table, and a picture in a file.  quiet: only the picture, if it is named."""
    from rich.console import Console

    from runtime.profile_page import print_profile, write_page

    if not quiet:
        print_profile(profile, Console(highlight=False))
        picture = picture or Path("profile.html")
    if picture is not None:
        write_page(profile, title, picture)
        if not quiet:
            click.echo(f"picture: {picture}")
