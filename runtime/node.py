"""One party's node: a long-lived process that takes part in the jobs that its policy allows.

A proposal reaches it from another party's node as a control message, or from its own operator through a socket in the
file system that only this user can open.  It answers `accept` or `refuse` with the reason; when all parties have
accepted, each opens the job's session.  A job that fails leaves the node as it was.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dsl.cache import Cache
from dsl.compile import Made
from dsl.elaborate import elaborate
from dsl.inputs import Bindings, parties_of
from dsl.outputs import Elaborated
from dsl.parse import parse
from dsl.stored import loads
from mpc.protocols import SCHEMES
from network import Link, Mesh, NetworkError, Roster, check_name, load_card, load_identity
from runtime.audit import Audit
from runtime.config import NodeConfig
from runtime.errors import PartyFailed, UsageError, as_json, exit_code, report
from runtime.inputs import FileInputs
from runtime.job import Job, version
from runtime.ledger import Ledger, told
from runtime.policy import PolicyGuard
from runtime.results import to_json
from runtime.session import Finished, Session
from runtime.sources import Database
from runtime.terminal import rendered
from runtime.vault import Vault

__all__ = ["Node", "socket_path"]

_log = logging.getLogger(__name__)

LINE_LIMIT = 4 << 20


def socket_path(config: NodeConfig) -> Path:
    """Where the node of this configuration listens for its own operator."""
    return config.file.resolve().with_name(f"{config.name}.sock")


@dataclass(slots=True)
class _Proposal:
    """A job that this node proposed: who has still to answer."""

    waiting: set[str]
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    refused: dict[str, str] = field(default_factory=dict)


class Node:
    """A party's node.  `async with Node(config) as node:` connects; `await node.serve()` works until cancelled."""

    def __init__(self, config: NodeConfig, *, link: Link | None = None) -> None:
        self.config = config
        self.name = config.name
        self.audit = Audit(config.file.resolve().with_name(f"{config.name}.audit.jsonl"))
        identity = load_identity(config.key, config.card)
        if identity.name != config.name:
            raise UsageError(f"{config.file}: the key and card are those of {identity.name}, not of {config.name}")
        cards = [load_card(path) for path in config.cards]
        # A folder of everybody's cards holds this party's own too.
        self.roster = Roster([identity.card, *(c for c in cards if c != identity.card)])
        self.mesh = Mesh(
            identity,
            self.roster,
            listen=config.listen,
            link=link,
            connect_timeout=config.limits.connect_seconds,
            stall_limit=min(config.limits.round_seconds, 60.0),
        )
        ledger = Ledger(config.state_directory / "ledger.jsonl", config.name, config.policy.budget)
        self.guard = PolicyGuard(config, ledger)
        self._made: Cache[Made] = Cache()
        self._jobs: dict[str, asyncio.Task[Finished]] = {}
        self._proposals: dict[str, _Proposal] = {}
        self._proposers: dict[str, str] = {}
        self._judging: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Node:
        await self.mesh.start()
        self.mesh.on_control(self._control)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in [*self._jobs.values(), *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._jobs.values(), *self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            socket_path(self.config).unlink(missing_ok=True)
        await self.mesh.close(f"{self.name} was stopped")

    async def serve(self) -> None:
        """Listen to the operator, and work until cancelled."""
        path = socket_path(self.config)
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._operator, path, limit=LINE_LIMIT)
        finally:
            os.umask(mask)
        await asyncio.Event().wait()

    # -- from other nodes ------------------------------------------------------------------------

    def _control(self, peer: str, message: dict[str, Any]) -> None:
        match message.get("kind"):
            case "propose":
                self._spawn(self._proposed(peer, message))
            case "accept" | "refuse":
                self._answered(peer, message)
            case "cancel":
                number = str(message.get("id"))
                if self._proposers.get(number) == peer and number in self._jobs:
                    self._jobs[number].cancel()
            case _:
                _log.warning("%s sent a control message that this release does not know", peer)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _proposed(self, peer: str, message: dict[str, Any]) -> None:
        """Judge a proposal and answer it; start the job if it is allowed."""
        job_id = str(message.get("id", ""))[:64]
        try:
            if peer in self._judging:
                raise UsageError(f"another proposal of {peer} is being looked at")
            self._judging.add(peer)
            try:
                job = Job.from_json(message.get("job") or {})
                await self._admit(job)
            finally:
                self._judging.discard(peer)
        except Exception as error:  # whatever is wrong with it, the proposer must hear of it
            why = _line(report(error)[0])
            _log.warning("refused a job that %s proposed: %s", peer, why)
            await self._reply(peer, {"kind": "refuse", "id": job_id, "why": why})
            return
        _log.info("accepted job %s, %s, proposed by %s", job.id[:8], job.name, peer)
        task = self._launch(job)
        self._proposers[job.id] = peer
        task.add_done_callback(lambda _: self._proposers.pop(job.id, None))
        await self._reply(peer, {"kind": "accept", "id": job.id})
        await asyncio.wait([task])

    async def _reply(self, peer: str, message: dict[str, Any]) -> None:
        try:
            await self.mesh.send_control(peer, message)
        except NetworkError as error:
            _log.warning("could not answer %s: %s", peer, error)

    def _answered(self, peer: str, message: dict[str, Any]) -> None:
        proposal = self._proposals.get(str(message.get("id")))
        if proposal is None or peer not in proposal.waiting:
            return
        proposal.waiting.discard(peer)
        if message["kind"] == "refuse":
            proposal.refused[peer] = _line(str(message.get("why", "")))
        if not proposal.waiting or proposal.refused:
            proposal.answered.set()

    # -- jobs ------------------------------------------------------------------------------------

    async def _admit(self, job: Job) -> None:
        """Raises if this node cannot or may not take part.  The study is read only if the policy allows its text."""
        if job.version != version():
            raise UsageError(f"the job was proposed by release {job.version}, {self.name} runs {version()}")
        names = job.places.names
        for name in names:
            check_name(name)
        if len(set(names)) != len(names) or len(set(job.roles)) != len(job.roles):
            raise UsageError("the job names a party twice")
        scheme = SCHEMES.get(job.protocol)
        if scheme is None:
            raise UsageError(f"there is no protocol {job.protocol[:32]!r} in this release")
        scheme.check(len(job.nodes), job.dealer is not None)
        if self.name not in names:
            raise UsageError(f"{self.name} has no part in it")
        unknown = [n for n in names if n not in self.roster]
        if unknown:
            raise UsageError(f"{self.name} has no card of {', '.join(unknown)}")
        if job.id in self._jobs:
            raise UsageError("a job with this number is under way")
        if len(self._jobs) >= self.config.limits.jobs:
            raise UsageError(f"{self.name} has {len(self._jobs)} jobs under way, its limit")
        self.guard.admit(job)
        self.guard.settle(job)
        done = await asyncio.to_thread(_read, job)
        if done is not None:
            self.guard.foresee(job, done)

    def _launch(self, job: Job) -> asyncio.Task[Finished]:
        task = asyncio.get_running_loop().create_task(self._work(job))
        self._jobs[job.id] = task

        def ended(done: asyncio.Task[Finished]) -> None:
            self._jobs.pop(job.id, None)
            if done.cancelled():
                _log.info("job %s was called off", job.id[:8])
                self.audit.write(job, "called off", [])
            elif done.exception() is not None:
                error = done.exception()
                assert error is not None
                text = report(error)[0]
                _log.warning("job %s failed: %s", job.id[:8], text)
                self.audit.write(job, "failed: " + _line(text), [])
            else:
                _log.info("job %s is done: %d rounds", job.id[:8], done.result().delays)

        task.add_done_callback(ended)
        return task

    async def _work(self, job: Job) -> Finished:
        limits = self.config.limits
        least = self.config.policy.min_rows
        inputs = FileInputs(self.name, self.config.data.directory, self._files(), own=True, least=least)
        channels = await self.mesh.session(job.id, [n for n in job.places.names if n != self.name])
        session = Session(
            job,
            self.name,
            channels,
            inputs,
            limits.round_seconds,
            guardian=self.guard,
            progress=_logged(job),
            made=self._made,
            vault=Vault(self.config.state_directory, self.name),
        )
        async with asyncio.timeout(limits.job_seconds):
            finished = await session.run()
        self.audit.write(job, "done", [o.name for o in finished.outputs])
        return finished

    def _files(self) -> Mapping[tuple[str, str], Path | Database]:
        return self.config.bindings

    # -- proposing -------------------------------------------------------------------------------

    async def propose(self, job: Job) -> Finished:
        """Propose a job to all its parties, take part in it, and return what this party learns.

        Raises PartyFailed naming who refused it and why; and what the session raises.
        """
        await self._admit(job)
        others = {n for n in job.places.names if n != self.name}
        proposal = _Proposal(set(others))
        self._proposals[job.id] = proposal
        try:
            await self.mesh.connect(others)
            for peer in sorted(others):
                await self.mesh.send_control(peer, {"kind": "propose", "id": job.id, "job": job.to_json()})
            task = self._launch(job)
            answers = asyncio.get_running_loop().create_task(proposal.answered.wait())
            try:
                await asyncio.wait([task, answers], return_when=asyncio.FIRST_COMPLETED)
            finally:
                answers.cancel()
            if proposal.refused:
                peer, why = next(iter(proposal.refused.items()))
                await self._call_off(job, others - {peer}, task, f"{peer} refused it")
                raise PartyFailed(peer, f"it refused the job: {why}")
            return await task
        finally:
            self._proposals.pop(job.id, None)

    async def _call_off(self, job: Job, others: set[str], task: asyncio.Task[Finished], why: str) -> None:
        task.cancel()
        for peer in sorted(others):
            await self._reply(peer, {"kind": "cancel", "id": job.id, "why": why})
        await asyncio.wait([task])

    # -- the operator ----------------------------------------------------------------------------

    async def _operator(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of the operator: a job to propose; the answer is one line."""
        try:
            request = json.loads(await reader.readline())
            answer = await self._submit(request)
        except Exception as error:  # the operator must hear of it, and the node goes on
            answer = failure(error)
        writer.write(json.dumps(answer).encode() + b"\n")
        try:
            await writer.drain()
        finally:
            writer.close()

    async def _submit(self, request: dict[str, Any]) -> dict[str, Any]:
        job = Job.from_json(request["job"])
        finished = await self.propose(job)
        return success(job, finished, int(request.get("width", 100)), color=bool(request.get("color")))


def _read(job: Job) -> Elaborated | None:
    """The study of a job with its sizes open: what it will tell can be judged before any data are read.

    None where it loads what an earlier one stored, whose form is known in the session: it is judged then.
    """
    study = parse(job.study, job.name)
    if parties_of(study) != job.roles:
        raise UsageError(f"the parties of {job.name} are not those that the job names")
    if loads(study):
        return None
    return elaborate(study, Bindings(params=dict(job.params), frac=job.frac), check=True)


def _line(text: str) -> str:
    """What a peer or an error says, as one line fit for a terminal and a log."""
    return "".join(c if c.isprintable() else " " for c in text)[:500].strip() or "no reason was given"


def _logged(job: Job) -> Callable[[str, int, int], None]:
    """Tells the log when a stage's rounds begin."""

    def progress(phase: str, done: int, total: int) -> None:
        if done == 1:
            _log.info("job %s is %s: %d rounds", job.id[:8], phase, total)

    return progress


def success(job: Job, finished: Finished, width: int, *, color: bool) -> dict[str, Any]:
    """What the operator is told of a job that was done."""
    return {
        "outputs": to_json(finished.outputs),
        "shown": rendered(finished.outputs, width, color=color),
        "stats": {
            "protocol": job.protocol,
            "rounds": finished.delays,
            "bytes_sent": {str(job.places.names.index(finished.me)): finished.bytes_sent},
            "seconds": round(finished.traffic.seconds, 4),
            "offline_seconds": 0.0,
            **told(finished.spent),
        },
    }


def failure(error: BaseException) -> dict[str, Any]:
    """What the operator is told of one that was not."""
    return {"error": as_json(error), "text": report(error)[0], "exit": exit_code(error)}
