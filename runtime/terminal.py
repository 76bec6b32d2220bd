"""What a person sees: results as tables, progress, the report of `parley check`.  `rich` is imported when needed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runtime.results import Output, show

if TYPE_CHECKING:
    from rich.console import Console

    from runtime.check import Cost, Report

__all__ = ["amount", "console", "print_report", "rendered"]


def console(width: int, *, color: bool) -> tuple[Console, io.StringIO]:
    """A console that writes into a text."""
    from rich.console import Console

    out = io.StringIO()
    return Console(file=out, width=width, force_terminal=color, highlight=False), out


def rendered(outputs: Sequence[Output], width: int, *, color: bool) -> str:
    """What a party learned, as it is printed."""
    if not outputs:
        return ""
    target, out = console(width, color=color)
    for one in show(outputs):
        target.print(one)
    return out.getvalue()


def print_report(report: Report, target: Console, *, brief: bool = False) -> None:
    """What `parley check` says, for a person."""
    job = report.job
    target.print(f"[bold]{job.name}[/bold]  {job.protocol} among {', '.join(job.nodes)}", end="")
    target.print(f", dealer {job.dealer}" if job.dealer else "")
    target.print(f"digest {report.digest}", style="dim", soft_wrap=True)
    target.print(report.threat, style="dim", markup=False)
    if not brief:
        _types(report, target)
    _disclosures(report, target)
    if not brief:
        _errors(report, target)
    if report.cost is None:
        sizes = ", ".join(report.missing)
        target.print(f"\nThe cost depends on sizes that are not known: {sizes}. Give --data DIR or --size N=1000.")
    else:
        _cost(report.cost, target, staged=report.staged, lines=not brief)
    if report.assumptions and not brief:
        target.print("\n[bold]Taken for granted[/bold] (declared ranges would prove it)")
        for line in report.assumptions:
            target.print(f"  {line}", markup=False)
    if report.passes and not brief:
        target.print("\n[bold]Passes over arrays[/bold]")
        for line in report.passes:
            target.print(f"  {line}", markup=False)
    for line in report.warnings:
        target.print(f"[yellow]warning[/yellow] {line}")


def _types(report: Report, target: Console) -> None:
    from rich.table import Table

    if not report.types:
        return
    table = Table(title="Types", title_justify="left", box=None, pad_edge=False)
    table.add_column("name")
    table.add_column("type")
    for name, text in report.types:
        table.add_row(name, text)
    target.print()
    target.print(table, markup=False)


def _disclosures(report: Report, target: Console) -> None:
    from rich.table import Table

    table = Table(title="Who learns what", title_justify="left", box=None, pad_edge=False)
    for heading in ("who", "learns", "line", "from"):
        table.add_column(heading)
    for one in report.disclosures:
        learns = f"{one.name}, with {one.noise}" if one.noise else one.name
        table.add_row(", ".join(one.receivers) or "nobody: stored", learns, str(one.line), "; ".join(one.sources))
    target.print()
    target.print(table)


def _errors(report: Report, target: Console) -> None:
    from rich.table import Table

    if not report.errors:
        return
    table = Table(title="How exact", title_justify="left", box=None, pad_edge=False)
    table.add_column("result")
    table.add_column("against exact arithmetic on what was read")
    for one in report.errors:
        table.add_row(f"{one.name}: {', '.join(one.columns)}" if one.columns else one.name, one.text)
    target.print()
    target.print(table, markup=False)


def _cost(cost: Cost, target: Console, *, staged: bool, lines: bool) -> None:
    from rich.table import Table

    what = "Cost of the first stage (what it opens decides the rest)" if staged else "Cost"
    sent = ", ".join(f"{name} {amount(n)}" for name, n in cost.bytes_sent.items())
    target.print(f"\n[bold]{what}[/bold]")
    target.print(f"  {cost.rounds} rounds; sent by {sent}; values in memory {amount(cost.memory)} a node")
    target.print(f"  expected {cost.lan:.3g} s on lan, {cost.wan:.3g} s on wan (40 ms, 100 Mbit/s)")
    if cost.demand:
        listed = ", ".join(f"{n} {kind}" for kind, n in sorted(cost.demand.items()))
        target.print(f"  correlations from the dealer: {listed}")
    if not lines:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("line", justify="right")
    table.add_column("rounds", justify="right")
    table.add_column("sent", justify="right")
    table.add_column("study")
    for line in cost.lines:
        table.add_row(str(line.line or ""), str(line.rounds), amount(line.bytes), line.text)
    target.print(table, markup=False)


def amount(n: int) -> str:
    """Bytes for a person: 512 B, 1.5 kB, 20 MB."""
    size = float(n)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError
