"""The profile of a run for people: a table for the terminal, and one HTML file with a chart of lines and a timeline.

The page needs nothing beside itself: its charts are SVG in its text, its colours are those of the reader's scheme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.terminal import amount

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["page", "print_profile", "write_page"]

Profile = Mapping[str, Any]

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#dd8833", "#6655bb", "#3a9a8a", "#999933")
"""For the lines that took longest; further ones are grey."""

GREY = "#999999"
WIDTH, BAR, TALL = 960, 22, 120


def print_profile(profile: Profile, target: Console) -> None:
    """Where the time went, line by line, the longest first."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"Where the time of {profile['node']} went, {profile['seconds']:.3g} s in all",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for heading in ("line", "computing", "waiting", "share", "rounds", "sent by all"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("study")
    for line in _longest(profile["lines"]):
        table.add_row(
            str(line["line"] or ""),
            _seconds(line["seconds"]),
            _seconds(line["waited"]),
            f"{line['share']:.0%}",
            str(line["rounds"]),
            amount(line["bytes"]),
            Text(line["text"]),
        )
    engine = profile["engine_seconds"]
    table.add_row("", _seconds(engine), "", f"{engine / profile['seconds']:.0%}", "", "", "between operations")
    target.print()
    target.print(table)


def _longest(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(lines, key=lambda line: -line["seconds"] - line["waited"])


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def write_page(profile: Profile, title: str, path: Path) -> None:
    """Write the page.  OSError where that cannot be done."""
    path.write_text(page(profile, title), encoding="utf-8")


def page(profile: Profile, title: str) -> str:
    """One HTML document."""
    ordered = _longest(profile["lines"])
    colours = {line["line"]: COLOURS[i] if i < len(COLOURS) else GREY for i, line in enumerate(ordered)}
    texts = {line["line"]: line["text"] for line in ordered}
    work = profile["work"]
    busiest = max(work["bytes_sent"].values(), default=0)
    head = (
        f"{profile['seconds']:.4g} s at {profile['node']}, the slowest node; between shared inputs and "
        f"results ready to be opened: {work['seconds']:.4g} s, {work['rounds']} rounds, {amount(busiest)} sent by the "
        "busiest party."
    )
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}: profile</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(title)}</h1><p>{escape(head)}</p>"
        "<h2>By line</h2><p class='key'>full: computing; pale: waiting for messages</p>"
        f"{_bars(profile, ordered, colours)}"
        f"<h2>Over time</h2>{_timeline(profile, colours, texts)}"
        f"<h2>By operation</h2>{_operations(profile)}</body></html>\n"
    )


STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}"
    "svg{width:100%;height:auto;font:12px ui-monospace,monospace}text{fill:currentColor}"
    "table{border-collapse:collapse;font:13px ui-monospace,monospace}"
    "td,th{padding:.15rem .8rem .15rem 0;text-align:right}td:nth-child(2),th:nth-child(2){text-align:left}"
    ".key{opacity:.7}"
)


def _bars(profile: Profile, ordered: Sequence[Mapping[str, Any]], colours: Mapping[int, str]) -> str:
    engine = {"line": None, "text": "between operations", "seconds": profile["engine_seconds"], "waited": 0.0}
    rows = [*ordered, engine]
    longest = max((r["seconds"] + r["waited"] for r in rows), default=0.0) or 1e-9
    scale = WIDTH / 2 / longest
    out = [f"<svg viewBox='0 0 {WIDTH} {BAR * len(rows)}' role='img'>"]
    for i, row in enumerate(rows):
        y = i * BAR
        colour = colours.get(row["line"], GREY)
        full, pale = row["seconds"] * scale, row["waited"] * scale
        what = f"{row['line']}  {row['text']}" if row["line"] else row["text"] or "(no line)"
        told = f"{what}: {_seconds(row['seconds'])} computing, {_seconds(row['waited'])} waiting"
        if "rounds" in row:
            told += f", {row['rounds']} rounds, {amount(row['bytes'])}"
        out.append(
            f"<g><title>{escape(told)}</title>"
            f"<text x='0' y='{y + 15}'>{escape(what[:58])}</text>"
            f"<rect x='{WIDTH / 2 - 40}' y='{y + 3}' width='{full * 0.9:.1f}' height='{BAR - 6}' fill='{colour}'/>"
            f"<rect x='{WIDTH / 2 - 40 + full * 0.9:.1f}' y='{y + 3}' width='{pale * 0.9:.1f}' height='{BAR - 6}' "
            f"fill='{colour}' opacity='.4'/>"
            f"<text x='{WIDTH / 2 - 34 + (full + pale) * 0.9:.1f}' y='{y + 15}'>"
            f"{_seconds(row['seconds'] + row['waited'])}</text></g>"
        )
    return "".join([*out, "</svg>"])


def _timeline(profile: Profile, colours: Mapping[int, str], texts: Mapping[int, str]) -> str:
    width, columns = profile["timeline"]["width"], profile["timeline"]["columns"]
    step = WIDTH / max(len(columns), 1)
    out = [f"<svg viewBox='0 0 {WIDTH} {TALL + 20}' role='img'>"]
    for i, column in enumerate(columns):
        y = float(TALL)
        for line, waiting, seconds in sorted(column, key=lambda part: (part[1], part[0])):
            tall = min(seconds / width, 1.0) * TALL
            y -= tall
            told = f"{line} {texts.get(line, '')}: {'waiting' if waiting else 'computing'} at {i * width:.4g} s"
            out.append(
                f"<rect x='{i * step:.2f}' y='{y:.2f}' width='{step:.2f}' height='{tall:.2f}' "
                f"fill='{colours.get(line, GREY)}'{_PALE if waiting else ''}><title>{escape(told)}</title></rect>"
            )
    out.append(f"<text x='0' y='{TALL + 16}'>0</text>")
    end = _seconds(len(columns) * width)
    out.append(f"<text x='{WIDTH}' y='{TALL + 16}' text-anchor='end'>{end}</text></svg>")
    return "".join(out)


_PALE = " opacity='.4'"


def _operations(profile: Profile) -> str:
    out = ["<table><tr><th>line</th><th>operation</th><th>times</th><th>computing</th><th>waiting</th></tr>"]
    out += [
        f"<tr><td>{row['line'] or ''}</td><td>{escape(row['op'])}</td><td>{row['calls']}</td>"
        f"<td>{_seconds(row['seconds'])}</td><td>{_seconds(row['waited'])}</td></tr>"
        for row in profile["operations"][:60]
    ]
    return "".join([*out, "</table>"])
