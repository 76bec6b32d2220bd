"""Where the time of a run went, by line of the study: computation, waiting for messages, and the engine's own work.

An engine that measures (`Profiler.engine`) reads the clock around every local kernel and around every turn of an
interactive operation's step.  The time between handing a round's messages over and having all that it needs is
*waiting*; it is divided among the operations that were under way in that round.  What is left of a stage's time is the
engine's own: choosing, joining and handing out.  Rounds and bytes are those of the timetable.

A run that is not profiled uses the plain `Engine` and pays nothing.  Putting the parties' measurements together is
`merge`; showing them is left to `profile_page`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dsl.source import Source
from mpc.circuit import Array, Node, Origin
from mpc.delays import delays
from mpc.engine import Engine, InputKey, Report
from mpc.protocol import Cost, Exchange, Seat, Step
from mpc.schedule import Schedule

__all__ = ["Profiler", "merge"]

SLOTS = 240
"""Most columns of the timeline; when a run outlasts them, two become one."""

FIRST_SLOT = 0.25e-3
"""Seconds of a column at first."""

LATE = 0.95
"""Nodes that had the results ready within this part of the longest time came last together."""


@dataclass(slots=True)
class Spent:
    """What one node of a timetable took at this party, over all iterations of the loops around it."""

    line: int
    op: str
    calls: int = 0
    seconds: float = 0.0
    waited: float = 0.0


@dataclass(slots=True)
class Work:
    """What was done between secret and secret: after the last input was shared, before the first result was opened."""

    seconds: float = 0.0
    processor: float = 0.0
    """Seconds of processor time of this party's process."""
    rounds: int = 0
    bytes: dict[int, int] = field(default_factory=dict)
    """Sent by each place."""


class _Timeline:
    """Seconds by line in columns of equal length, which doubles when there are too many."""

    def __init__(self) -> None:
        self.width = FIRST_SLOT
        self.slots: list[dict[tuple[int, bool], float]] = []

    def add(self, at: float, seconds: float, line: int, *, waiting: bool) -> None:
        """`seconds` that began `at` seconds after the start."""
        key = (line, waiting)
        slot = int(at / self.width)
        if slot < len(self.slots) and at + seconds < (slot + 1) * self.width:
            column = self.slots[slot]
            column[key] = column.get(key, 0.0) + seconds
            return
        while seconds > 0:
            slot = int(at / self.width)
            while slot >= SLOTS:
                self._halve()
                slot = int(at / self.width)
            while len(self.slots) <= slot:
                self.slots.append({})
            part = min(seconds, max((slot + 1) * self.width - at, 1e-9))
            self.slots[slot][key] = self.slots[slot].get(key, 0.0) + part
            at += part
            seconds -= part

    def _halve(self) -> None:
        pairs = [self.slots[i : i + 2] for i in range(0, len(self.slots), 2)]
        self.slots = [
            {key: sum(s.get(key, 0.0) for s in pair) for key in dict.fromkeys(k for s in pair for k in s)}
            for pair in pairs
        ]
        self.width *= 2

    def to_json(self) -> dict[str, Any]:
        """Width of a column in seconds; for each column [line, waiting, seconds]."""
        columns = [[[line, waiting, round(s, 7)] for (line, waiting), s in slot.items()] for slot in self.slots]
        return {"width": self.width, "columns": columns}


class Profiler:
    """The measurements of one party over all stages of its job."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows: list[Spent] = []
        self.work = Work()
        self.timeline = _Timeline()
        self.seconds = 0.0
        self.began: float | None = None
        """When the first stage began, on this machine's clock (`perf_counter`)."""
        self.costs: dict[int, list[int]] = {}
        """Rounds and bytes by line."""

    def engine(
        self, timetable: Schedule, seat: Seat, inputs: Mapping[InputKey, Array], carried: Mapping[int, Any]
    ) -> Engine:
        """An engine for one stage that measures for this profiler."""
        for line, (rounds, sent) in timetable.by_origin(self._line).items():
            cost = self.costs.setdefault(line, [0, 0])
            cost[0] += rounds
            cost[1] += sent
        between = _between(timetable)
        self.work.rounds += delays(between)
        for (place, _), sent in between.links.items():
            self.work.bytes[place] = self.work.bytes.get(place, 0) + sent
        return _MeasuringEngine(self, timetable, seat, inputs, carried=carried)

    def _line(self, origin: Origin | None) -> int:
        return 0 if origin is None else self.source.position(origin.start).line

    def table(self, timetable: Schedule) -> dict[int, list[Spent]]:
        """A row for each node of a timetable and of its loops' bodies, by the timetable's identity."""
        rows = [Spent(self._line(node.origin), node.op) for _, node in timetable.circuit]
        self.rows += rows
        found = {id(timetable): rows}
        for body in timetable.bodies.values():
            found |= self.table(body)
        return found

    def to_json(self) -> dict[str, Any]:
        """What the party's process reports to the one that started it."""
        spent: dict[tuple[int, str], Spent] = {}
        for row in self.rows:
            if row.calls:
                one = spent.setdefault((row.line, row.op), Spent(row.line, row.op))
                one.calls += row.calls
                one.seconds += row.seconds
                one.waited += row.waited
        return {
            "began": self.began,
            "seconds": self.seconds,
            "spent": [[s.line, s.op, s.calls, s.seconds, s.waited] for s in spent.values()],
            "costs": [[line, *cost] for line, cost in self.costs.items()],
            "timeline": self.timeline.to_json(),
            "work": {
                "seconds": self.work.seconds,
                "processor": self.work.processor,
                "rounds": self.work.rounds,
                "bytes_sent": self.work.bytes,
            },
        }


def _between(timetable: Schedule) -> Schedule:
    """The timetable with nothing sent by the sharing of inputs and by the opening of results."""
    ends = _results(timetable) | {i for i, node in timetable.circuit if node.op == "share"}
    silent: dict[int, Cost] = {i: Cost(tuple({} for _ in range(timetable.length[i]))) for i in ends}
    costs = tuple(silent.get(i, cost) for i, cost in enumerate(timetable.costs))
    return replace(timetable, costs=costs)


def _results(timetable: Schedule) -> set[int]:
    """The nodes that open or tell what a reveal shows."""
    found: set[int] = set()
    nodes = timetable.circuit.nodes
    for node in nodes:
        if node.op == "reveal":
            at = node.src[0]
            while nodes[at].op in ("decode", "reshape") and nodes[at].src:
                at = nodes[at].src[0]
            if nodes[at].op in ("open", "tell"):
                found.add(at)
    return found


class _MeasuringEngine(Engine):
    """An engine that reads the clock at every turn."""

    def __init__(
        self,
        profiler: Profiler,
        timetable: Schedule,
        seat: Seat,
        inputs: Mapping[InputKey, Array],
        *,
        carried: Mapping[int, Any],
    ) -> None:
        super().__init__(timetable, seat, inputs, carried=carried)
        self.profiler = profiler
        self.rows = profiler.table(timetable)
        self.results = _results(timetable)
        self.waiting: list[Spent] = []
        self.begun = 0.0
        self.first = (0.0, 0.0)
        self.shared: tuple[float, float] | None = None
        self.opened: tuple[float, float] | None = None
        """When, and the processor time used by then."""

    def run(self) -> Step[Report]:
        """The stage, with what its rounds wait for shared out among the operations under way."""
        clock, timeline = time.perf_counter, self.profiler.timeline
        before = self.profiler.seconds
        self.first = _now()
        self.begun = self.first[0] - before
        if self.profiler.began is None:
            self.profiler.began = self.begun
        step = super().run()
        got: Any = None
        try:
            while True:
                exchange = step.send(got)
                waiting, self.waiting = self.waiting, []
                since = clock()
                got = yield exchange
                seconds = clock() - since
                for row in waiting:
                    row.waited += seconds / len(waiting)
                    timeline.add(since - self.begun, seconds / len(waiting), row.line, waiting=True)
        except StopIteration as stop:
            self._finish(_now())
            return stop.value  # type: ignore[no-any-return]
        finally:
            step.close()

    def _finish(self, now: tuple[float, float]) -> None:
        self.profiler.seconds = now[0] - self.begun
        since = self.first if self.shared is None else self.shared
        until = self.opened or now
        self.profiler.work.seconds += max(until[0] - since[0], 0.0)
        self.profiler.work.processor += max(until[1] - since[1], 0.0)

    def _spend(self, row: Spent, since: float, now: float) -> None:
        row.seconds += now - since
        self.profiler.timeline.add(since - self.begun, now - since, row.line, waiting=False)

    def _start(
        self, s: Schedule, index: int, node: Node, src: list[Any], params: Mapping[int, Any]
    ) -> Step[Any] | None:
        if s is self.schedule and index in self.results:
            self.opened = _now()
        step = super()._start(s, index, node, src, params)
        if step is None or node.op == "loop":
            return step
        return self._timed(self.rows[id(s)][index], step)

    def _timed(self, row: Spent, step: Step[Any]) -> Step[Any]:
        clock = time.perf_counter
        row.calls += 1
        got: Any = None
        try:
            while True:
                since = clock()
                exchange: Exchange = step.send(got)
                self._spend(row, since, clock())
                self.waiting.append(row)
                got = yield exchange
        except StopIteration as stop:
            now = clock()
            self._spend(row, since, now)
            if row.op == "share":
                self.shared = _now()
            return stop.value
        finally:
            step.close()

    def _local(self, node: Node, index: int, s: Schedule, values: dict[int, Any], params: Mapping[int, Any]) -> Any:
        since = time.perf_counter()
        value = super()._local(node, index, s, values, params)
        row = self.rows[id(s)][index]
        row.calls += 1
        self._spend(row, since, time.perf_counter())
        return value


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


# -- all parties together --------------------------------------------------------------------------


def merge(
    parties: Mapping[str, Mapping[str, Any]],
    nodes: tuple[str, ...],
    names: tuple[str, ...],
    study: str,
    since: float,
) -> Any:
    """The profile of a run, from what each party measured: a JSON object.

    since: when the command began; `startup_seconds` are those until the last party's first round.
    `lines`: for each line, seconds of computation and of waiting at the slowest node (of those that came last, the one
    that waited least), rounds, bytes sent by all, share of that node's time.  `operations`: the same by line and
    operation.  `engine_seconds`: what that node spent between operations.  `work`: from the moment the inputs were
    shared to the moment the results could be opened.
    """
    own = {name: sum(row[3] for row in parties[name]["spent"]) for name in nodes}
    waits = {name: sum(row[4] for row in parties[name]["spent"]) for name in nodes}
    last = max(parties[name]["work"]["seconds"] for name in nodes)
    # A node that only sends runs ahead and waits for the results: where time goes is seen at one that came last.
    late = [name for name in nodes if parties[name]["work"]["seconds"] >= LATE * last]
    slowest = min(late, key=lambda name: waits[name])
    chosen = parties[slowest]
    total = chosen["seconds"] or 1e-9
    costs = {line: (rounds, sent) for line, rounds, sent in chosen["costs"]}
    lines: dict[int, list[float]] = {line: [0.0, 0.0] for line in costs}
    for line, _, _, seconds, waited in chosen["spent"]:
        entry = lines.setdefault(line, [0.0, 0.0])
        entry[0] += seconds
        entry[1] += waited
    source = Source("study", study)
    works = [parties[name]["work"] for name in nodes]
    return {
        "node": slowest,
        "startup_seconds": round(max(parties[name]["began"] for name in names) - since, 6),
        "seconds": round(total, 6),
        "engine_seconds": round(max(total - sum(map(sum, lines.values())), 0.0), 6),
        "lines": [
            {
                "line": line,
                "text": source.line_text(line).strip() if line else "",
                "seconds": round(seconds, 6),
                "waited": round(waited, 6),
                "rounds": costs.get(line, (0, 0))[0],
                "bytes": costs.get(line, (0, 0))[1],
                "share": round((seconds + waited) / total, 4),
            }
            for line, (seconds, waited) in sorted(lines.items())
        ],
        "operations": [
            {"line": line, "op": op, "calls": calls, "seconds": round(seconds, 6), "waited": round(waited, 6)}
            for line, op, calls, seconds, waited in sorted(chosen["spent"], key=lambda row: -row[3] - row[4])
        ],
        "nodes": {
            name: {
                "seconds": round(own[name], 6),
                "waited": round(waits[name], 6),
                "total": round(parties[name]["seconds"], 6),
            }
            for name in nodes
        },
        "work": {
            "seconds": round(max(w["seconds"] for w in works), 6),
            "processor_seconds": round(sum(w["processor"] for w in works), 6),
            "rounds": works[0]["rounds"],
            "bytes_sent": {name: int(works[0]["bytes_sent"].get(str(i), 0)) for i, name in enumerate(names)},
        },
        "timeline": chosen["timeline"],
    }
