"""One party's side of one job, from the first greeting to the last opening.

NEW → AGREED (all hold the same job) → SUPPLIED (inputs loaded, sizes exchanged) → RUNNING, once for each stage (one
timetable at all, fresh keys for every pair, rounds) → DONE, or ABORTED with an error that names whose fault it was.

Control messages of a session are single JSON frames on the same channels that later carry rounds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

import numpy as np

from dsl.cache import Cache
from dsl.compile import Compiler, Made, Stage
from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings, InputSpec, Told, requirements
from dsl.outputs import Elaborated
from dsl.parse import parse
from dsl.privacy.lineage import Owned
from dsl.privacy.spending import Spending, further, spending
from dsl.stored import Terms, loads
from dsl.syntax import Study
from mpc.circuit import Array, Circuit
from mpc.delays import delays
from mpc.engine import Engine, InputKey, UndefinedError
from mpc.op import OutsideError, OverflowsError
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule
from mpc.weight import heavy_rounds
from network import Channel, HandshakeFailed, NetworkError, PeerLost, agree
from runtime.errors import Disagreement, PartyFailed, StoreDiffers
from runtime.executor import Traffic, execute
from runtime.job import Job
from runtime.profile import Profiler
from runtime.results import Output, collect
from runtime.shelf import Shelf
from runtime.sources import bound_sizes
from runtime.supply import shapes_of, told_by
from runtime.vault import Vault
from runtime.where import outside, overflowed, undefined, where

__all__ = ["Finished", "Inputs", "Phase", "Session"]

MESSAGE_LIMIT = 1 << 20
"""Bytes of a control message."""


SALT_BYTES = 32


class Phase(Enum):
    """How far a session is."""

    NEW = "new"
    AGREED = "agreed"
    SUPPLIED = "supplied"
    RUNNING = "running"
    DONE = "done"
    ABORTED = "aborted"


FOLLOWS: Mapping[Phase, frozenset[Phase]] = {
    Phase.NEW: frozenset([Phase.AGREED, Phase.ABORTED]),
    Phase.AGREED: frozenset([Phase.SUPPLIED, Phase.ABORTED]),
    Phase.SUPPLIED: frozenset([Phase.RUNNING, Phase.ABORTED]),
    Phase.RUNNING: frozenset([Phase.RUNNING, Phase.DONE, Phase.ABORTED]),
    Phase.DONE: frozenset(),
    Phase.ABORTED: frozenset(),
}


class Inputs(Protocol):
    """Where a party's own data come from."""

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """The shape of each input, `(rows,)` of a table; checks them all.  Raises DataError."""

    @property
    def tells(self) -> bool:
        """Whether there is anything for `counts` to tell."""

    def counts(self, study: Elaborated) -> dict[str, dict[int, Told]]:
        """By table and place of a scan: how many rows conditions keep, where all may know.  Raises DataError."""

    def fetch(self, salt: bytes | None, circuit: Circuit, timetable: Schedule) -> Mapping[InputKey, Array]:
        """What a stage needs at least, in natural units, keys hashed under `salt`.  Raises DataError.

        circuit: the stage as the study has it.
        """

    def close(self) -> None:
        """Nothing more will be asked; what is being asked in another thread ends."""


class Guardian(Protocol):
    """A party's own rules: asked once for each stage, before anything is shared."""

    def terms(self) -> Terms:
        """What holds of this party's data in later studies too."""

    def weigh(self, elements: int) -> None:
        """Raises PolicyRefused if inputs of so many elements in all are too large."""

    def review(self, job: Job, stage: Stage) -> None:
        """Raises PolicyRefused."""

    def count(self, done: Elaborated, tables: Iterable[str]) -> None:
        """Raises PolicyRefused if of these tables no number of rows may be told beside what a study reveals."""

    def charge(self, job: Job, costs: Mapping[Owned, Spending]) -> None:
        """Enter what a stage that all have agreed on spends of tables' privacy.  Raises BudgetSpent."""


@dataclass(slots=True)
class Finished:
    """What a party has at the end: what it learned, and what the run cost."""

    me: str
    outputs: list[Output]
    traffic: Traffic
    delays: int
    """One-way delays on the longest path, over all stages."""
    bytes_sent: int
    peak: int
    assumed: int
    """Places in the study where a value is taken to fit, since no declared range proves it."""
    spent: Mapping[Owned, Spending]
    """What the study has cost the privacy of every party's tables."""
    profile: Profiler | None = None


@dataclass(slots=True)
class Session:
    """One party's side of a job over open channels (one to each other party of the job)."""

    job: Job
    me: str
    channels: Mapping[str, Channel]
    inputs: Inputs
    limit: float
    """Seconds to wait for any one message of a peer."""
    guardian: Guardian | None = None
    progress: Callable[[str, int, int], None] | None = None
    """Called with (phase, rounds done, rounds of this stage)."""
    profiled: bool = False
    """Measure where the time goes, for `Finished.profile`."""
    made: Cache[Made] = field(default_factory=Cache)
    """Stages compiled for earlier jobs of this process."""
    vault: Vault | None = None
    """Where this party, if it is a node, keeps shares for later jobs."""
    phase: Phase = Phase.NEW
    places: Places = field(init=False)
    study: Study = field(init=False)
    profiler: Profiler | None = field(init=False, default=None)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        self.places = self.job.places

    async def run(self) -> Finished:
        """The whole job.  On any error all peers are told why before it is raised."""
        try:
            await self._agree()
            bindings, salt = await self._supply()
            finished = await self._stages(bindings, salt)
            self._enter(Phase.DONE)
            await self._part()
        except BaseException as error:
            if self.phase is not Phase.DONE:
                self._enter(Phase.ABORTED)
            reason = self._reason(error)
            for channel in self.channels.values():
                channel.close(reason)
            raise
        finally:
            self.inputs.close()
        for channel in self.channels.values():
            channel.close()
        return finished

    def _enter(self, phase: Phase) -> None:
        if phase not in FOLLOWS[self.phase]:
            raise AssertionError(f"a session goes from {self.phase.value} to {phase.value}")
        self.phase = phase

    def _reason(self, error: BaseException) -> str:
        """What peers are told: whose fault it was and of what kind, never a value of the data."""
        if isinstance(error, PeerLost | PartyFailed | Disagreement | StoreDiffers | HandshakeFailed):
            return f"{self.me} ended the job: {error}"
        if isinstance(error, NetworkError):
            return f"{self.me} ended the job: {error}"
        if isinstance(error, StudyError):
            first = error.diagnostics[0]
            at = f" at {first.place}" if first.source is not None else ""  # in the study, which all have
            return f"{self.me} ended the job: {first.code} in its study or data{at}"
        if isinstance(error, asyncio.CancelledError):
            return f"{self.me} stopped"
        return f"{self.me} ended the job: {type(error).__name__}"

    # -- control messages ------------------------------------------------------------------------

    async def _exchange(self, message: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """Send `message` to all others and receive theirs."""
        data = json.dumps(message).encode()
        for channel in self.channels.values():
            channel.write([data])
        return {name: await self._message(channel) for name, channel in self.channels.items()}

    async def _message(self, channel: Channel) -> dict[str, Any]:
        frame = await channel.receive(self.limit)
        if frame.nbytes > MESSAGE_LIMIT:
            raise PartyFailed(channel.peer, f"it sent a control message of {frame.nbytes} bytes")
        try:
            message = json.loads(bytes(frame))
        except (ValueError, RecursionError):
            raise PartyFailed(channel.peer, "it sent a control message that is no JSON") from None
        if not isinstance(message, dict):
            raise PartyFailed(channel.peer, "it sent a control message that is no object")
        return message

    # -- phases ----------------------------------------------------------------------------------

    async def _agree(self) -> None:
        """All must hold the same job, part for part."""
        mine = self.job.fingerprints()
        for peer, theirs in (await self._exchange({"job": mine})).items():
            parts = theirs.get("job")
            if not isinstance(parts, dict):
                raise PartyFailed(peer, "it did not say what job it holds")
            for part, digest in mine.items():
                if parts.get(part) != digest:
                    raise Disagreement(peer, part)
        self.study = parse(self.job.study, self.job.name)
        self.profiler = Profiler(self.study.source) if self.profiled else None
        terms = None if self.guardian is None else self.guardian.terms()
        self.shelf = Shelf(self.job, self.study, self.me, self.vault, terms)
        self._enter(Phase.AGREED)

    async def _supply(self) -> tuple[Bindings, bytes | None]:
        """Check this party's inputs, learn the shapes of the others', and agree the salt of keys."""
        specs = requirements(self.study, dict(self.job.params))
        mine = [s for s in specs if s.party == self.me]
        loaded = await asyncio.to_thread(self.inputs.shapes, mine)  # a database may take its time
        # The true number of rows of a table with a declared bound stays with its owner.
        shapes = {self.me: {s.name: loaded[s.name] for s in mine if s.max_rows is None}}
        told = {self.me: await asyncio.to_thread(self._counts)}
        for peer, message in (await self._exchange({"shapes": shapes[self.me], "kept": told[self.me]})).items():
            wanted = [s for s in specs if s.party == peer and s.max_rows is None]
            shapes[peer] = shapes_of(peer, message.get("shapes"), wanted)
            told[peer] = message.get("kept", {})
        if self.guardian is not None:
            padded = [s.max_rows for s in specs if s.max_rows is not None]
            self.guardian.weigh(
                sum(padded) + sum(math.prod(shape) for one in shapes.values() for shape in one.values())
            )
        bindings = bound(self.job.params, self.job.frac, specs, shapes)
        bindings = replace(bindings, stored=await self.shelf.find(self._exchange), kept=told_by(told, specs))
        salt = await self._salt(specs)
        self._enter(Phase.SUPPLIED)
        return bindings, salt

    def _counts(self) -> dict[str, list[list[Any]]]:
        """What this party tells of rows that conditions keep: of each table [place, rows, conditions]."""
        if not self.inputs.tells or loads(self.study):
            return {}
        abstract = elaborate(self.study, Bindings(params=dict(self.job.params), frac=self.job.frac), check=True)
        found = self.inputs.counts(abstract)
        if self.guardian is not None:
            self.guardian.count(abstract, (name for name, told in found.items() if told))
        return {name: [[place, t.rows, list(t.at)] for place, t in told.items()] for name, told in found.items()}

    async def _salt(self, specs: Sequence[InputSpec]) -> bytes | None:
        """The salt under which this job's keys are hashed: of all who bring keys, and known to nobody else."""
        owners = sorted({s.party for s in specs if any(c.kind == "key" for c in s.columns)})
        if self.me not in owners:
            return None
        shares = {self.me: secrets.token_bytes(SALT_BYTES)}
        for peer in owners:
            if peer != self.me:
                self.channels[peer].write([shares[self.me]])
        for peer in owners:
            if peer != self.me:
                shares[peer] = bytes(await self.channels[peer].receive(self.limit))
                if len(shares[peer]) != SALT_BYTES:
                    raise PartyFailed(peer, f"its part of the salt has {len(shares[peer])} bytes, not {SALT_BYTES}")
        return hashlib.sha256(b"parley key salt 1" + b"".join(shares[name] for name in owners)).digest()

    async def _stages(self, bindings: Bindings, salt: bytes | None) -> Finished:
        compiler = Compiler(
            self.study, bindings, self.places, SCHEMES[self.job.protocol], self.made, self.job.round_bytes
        )
        traffic = Traffic()
        found: dict[tuple[str, str], Array] = {}
        carried: dict[int, Any] = {}
        spent: dict[Owned, Spending] = {}
        rounds = peak = number = assumed = 0
        while True:
            stage = await asyncio.to_thread(compiler.stage)  # meanwhile peers are answered
            if self.guardian is not None:
                self.guardian.review(self.job, stage)
            self.shelf.review(stage.elaborated)
            arrays = await asyncio.to_thread(self.inputs.fetch, salt, stage.elaborated.circuit, stage.schedule)
            if stage.needs is None:
                self.inputs.close()
            self._enter(Phase.RUNNING)
            carried |= self.shelf.carried(stage.elaborated.circuit)
            engine = await self._prepare(stage, number, arrays, carried)
            before, spent = spent, spending(stage.elaborated.circuit)
            if self.guardian is not None:
                self.guardian.charge(self.job, further(spent, before))
            report = await self._rounds(engine, stage.schedule, traffic)
            found.update(report.outputs)
            rounds += delays(stage.schedule)
            peak = max(peak, stage.schedule.peak)
            assumed = max(assumed, len(stage.assumptions))
            for surface, index in zip(stage.keep, stage.schedule.circuit.results, strict=True):
                carried[surface] = report.kept[index]
            if stage.needs is None:
                break
            compiler.opened(await self._course(carried[stage.needs]))
            number += 1
        await self.shelf.put(self._exchange, stage.elaborated, carried)
        nodes = stage.elaborated.circuit.nodes
        outputs = learned(stage.elaborated, self.me, lambda i: found[nodes[i]["name"], nodes[i].get("column", "")])
        sent = sum(traffic.sent.values())
        return Finished(self.me, outputs, traffic, rounds, sent, peak, assumed, spent, self.profiler)

    async def _course(self, value: Array | None) -> Array:
        """The opened value that decides how the study goes on; the dealer is told it by the first node."""
        if self.places.dealer is None:
            assert value is not None
            return value
        first = self.places.nodes[0]
        if self.me == first:
            assert value is not None
            text = json.dumps({"value": np.asarray(value).tolist(), "shape": np.shape(value), "dtype": value.dtype.str})
            self.channels[self.places.dealer].write([text.encode()])
        if self.me != self.places.dealer:
            assert value is not None
            return value
        message = await self._message(self.channels[first])
        try:
            dtype = np.dtype({"<i8": np.int64, "<f8": np.float64, "|b1": np.bool_}[message["dtype"]])
            return np.asarray(message["value"], dtype).reshape(tuple(message["shape"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise PartyFailed(first, "it did not say what was opened") from None

    async def _prepare(
        self, stage: Stage, number: int, arrays: Mapping[InputKey, Array], carried: Mapping[int, Any]
    ) -> Engine:
        """Compare timetables, agree fresh keys with every peer, and sit down."""
        timetable = stage.schedule
        digest = timetable.digest
        for peer, theirs in (await self._exchange({"timetable": digest})).items():
            if theirs.get("timetable") != digest:
                raise Disagreement(peer, "timetable")
        context = bytes.fromhex(digest)
        session = f"{self.job.id}/{number}".encode()
        names = self.places.names
        peers = sorted(self.channels)
        # Side by side: one after the other would cost two round trips for each peer.
        agreed = await asyncio.gather(
            *(agree(self.channels[peer], self.me, session, context, self.limit) for peer in peers)
        )
        keys = {names.index(peer): key for peer, key in zip(peers, agreed, strict=True)}
        for peer, channel in self.channels.items():
            largest = _largest(timetable, names.index(peer), names.index(self.me))
            channel.limit = max(channel.limit, largest, MESSAGE_LIMIT)
        seat = self.places.seat(names.index(self.me), keys)
        if self.profiler is not None:
            return self.profiler.engine(timetable, seat, arrays, carried)
        return Engine(timetable, seat, arrays, carried=carried)

    async def _rounds(self, engine: Engine, timetable: Schedule, traffic: Traffic) -> Any:
        names = self.places.names
        channels = {names.index(peer): channel for peer, channel in self.channels.items()}
        before = traffic.rounds
        total = timetable.rounds
        heavy = heavy_rounds(timetable).tolist()

        def tell(done: int) -> None:
            if self.progress is not None:
                self.progress("running", done - before, total)

        try:
            return await execute(
                engine.run(),
                channels,
                traffic,
                limit=self.limit,
                place=lambda r: where(timetable, r - before, self.study),
                heavy=lambda r: heavy[r - before],
                progress=tell,
            )
        except UndefinedError as error:
            raise StudyError([undefined(error.origin, self.study)]) from None
        except OutsideError as error:
            raise StudyError([outside(error, self.study)]) from None
        except OverflowsError as error:
            raise StudyError([overflowed(error, self.study)]) from None

    async def _part(self) -> None:
        """Wait until all are done, so that nobody is lost while others still need what it sent."""
        await self._exchange({"done": True})


def learned(done: Elaborated, party: str, opened: Callable[[int], Array]) -> list[Output]:
    """What `party` has learned in all, in the order of the text; `opened` gives the value of a reveal by its node."""
    if party not in done.parties:
        return []
    told = [o for o in done.outputs if o.receivers is None or party in o.receivers]
    return collect(told, {index: opened(index) for o in told for index in o.nodes()})


def _largest(timetable: Schedule, source: int, target: int) -> int:
    """The longest frame that `source` sends `target`: bounded by what one round may hold."""
    total = 0
    for index, cost in enumerate(timetable.costs):
        body = timetable.bodies.get(index)
        if body is not None:
            total += _largest(body, source, target)
        elif cost is not None:
            total += sum(links.get((source, target), 0) for links in cost.rounds)
    return total


def bound(
    params: Mapping[str, str],
    frac: int,
    specs: Sequence[InputSpec],
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]],
) -> Bindings:
    """A job's sizes and rows, from every party's shapes.  StudyError where two disagree."""
    sizes = bound_sizes((s, shapes[s.party][s.name]) for s in specs if not s.table)
    rows = {(s.party, s.name): shapes[s.party][s.name][0] for s in specs if s.table and s.max_rows is None}
    return Bindings(sizes, rows, dict(params), frac)
