"""`parley run`: every party of a job as a process of its own on this machine, talking over TLS on the loopback.

Each process gets an identity made for this run, with all certificates pinned, and a socket that listens already, so
that nobody waits for anybody to start.  Processes are forked where the system can (they start at once, the program is
loaded already); what they say comes back over a pipe, a JSON object a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from network import Identity, Link, Mesh, Roster, ephemeral_identity
from runtime.cores import take_cores
from runtime.errors import PartyFailed, ToldByParty, as_json, exit_code, report
from runtime.inputs import FileInputs
from runtime.job import Job
from runtime.ledger import told
from runtime.pages import keep_pages
from runtime.profile import merge
from runtime.results import to_json
from runtime.session import Finished, Session
from runtime.sources import Database
from runtime.terminal import rendered
from runtime.vault import Vault

__all__ = ["LocalResult", "Progress", "run_local"]

Progress = Callable[[str, int, int], None]
"""(party, rounds done, rounds of the stage)."""

GRACE = 3.0
"""Seconds that the others get to say what they saw when one party has failed."""


@dataclass(slots=True)
class LocalResult:
    """What all parties of a local run learned, and what it cost."""

    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """The same, rendered for a terminal."""
    stats: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] | None = None
    """Where the time went, when that was asked for."""


@dataclass(slots=True)
class _Child:
    name: str
    pid: int
    pipe: int
    buffer: bytes = b""
    result: dict[str, Any] | None = None
    status: int | None = None
    at: float = 0.0
    died: bool = False
    """Its process ended by itself, not by us at the end."""


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of a local run that are no part of the job."""

    data: Path | None
    bound: Mapping[tuple[str, str], Path | Database]
    link: Link | None
    limit: float
    out: Path | None = None
    width: int = 100
    color: bool = False
    profile: bool = False
    state: Path | None = None
    """Each node keeps what studies store in a folder of its name in here."""


def run_local(
    job: Job,
    options: Options,
    progress: Progress | None = None,
    *,
    started: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> LocalResult:
    """Run all parties.  Raises ToldByParty with the error of the party whose fault it was, or PartyFailed.

    started: what surrounds the waiting, entered when all processes have been forked (a display may use threads).
    """
    begun = time.perf_counter()
    names = job.places.names
    listeners = {name: _listener() for name in names}
    identities = {name: ephemeral_identity(name, f"127.0.0.1:{listeners[name].getsockname()[1]}") for name in names}
    roster = Roster([i.card for i in identities.values()])
    sys.stdout.flush()
    sys.stderr.flush()
    children: list[_Child] = []
    try:
        for name in names:
            children.append(_fork(name, job, identities[name], roster, listeners, options))
        for listener in listeners.values():
            listener.close()
        with started():
            _watch(children, progress)
    finally:
        _end(children)
    _judge(children)
    return _collect(job, children, begun)


def _listener() -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    listener.setblocking(False)
    return listener


# -- one party's process -------------------------------------------------------------------------


def _fork(
    name: str,
    job: Job,
    identity: Identity,
    roster: Roster,
    listeners: Mapping[str, socket.socket],
    options: Options,
) -> _Child:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        for other, listener in listeners.items():
            if other != name:
                listener.close()
        _party(name, job, identity, roster, listeners[name], options, write)
    os.close(write)
    return _Child(name, pid, read)


def _party(
    name: str,
    job: Job,
    identity: Identity,
    roster: Roster,
    listener: socket.socket,
    options: Options,
    write: int,
) -> NoReturn:
    """The whole life of a party's process; never returns into the parent's code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    keep_pages()
    take_cores(parties=len(job.places.names))
    code = 3
    with os.fdopen(write, "w", encoding="utf-8") as pipe:

        def say(message: dict[str, Any]) -> None:
            pipe.write(json.dumps(message) + "\n")
            pipe.flush()

        try:
            say(asyncio.run(_live(name, job, identity, roster, listener, options, say)))
            code = 0
        except BaseException as error:  # whatever it was, the parent must hear of it
            text, code = report(error)
            say({"error": as_json(error), "text": text, "exit": exit_code(error)})
    os._exit(code)


async def _live(
    name: str,
    job: Job,
    identity: Identity,
    roster: Roster,
    listener: socket.socket,
    options: Options,
    say: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    others = [n for n in job.places.names if n != name]
    inputs = FileInputs(name, options.data, options.bound)
    last = 0.0

    def progress(phase: str, done: int, total: int) -> None:
        del phase
        nonlocal last
        now = time.monotonic()
        if now - last > 0.1 or done == total:
            last = now
            say({"round": done, "rounds": total})

    mesh = Mesh(identity, roster, listener=listener, link=options.link, stall_limit=options.limit)
    async with mesh:
        channels = await mesh.session(job.id, others)
        vault = None if options.state is None else Vault(options.state / name, name)
        session = Session(
            job, name, channels, inputs, options.limit, progress=progress, profiled=options.profile, vault=vault
        )
        finished = await session.run()
    return _told(name, finished, options)


def _told(name: str, finished: Finished, options: Options) -> dict[str, Any]:
    if options.out is not None:
        from runtime.export import write

        write(finished.outputs, options.out / name)
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "outputs": to_json(finished.outputs),
        "shown": rendered(finished.outputs, options.width, color=options.color),
        "rounds": finished.delays,
        "exchanges": finished.traffic.rounds,
        "bytes_sent": finished.bytes_sent,
        "seconds": finished.traffic.seconds,
        "waited": finished.traffic.waited,
        "peak": finished.peak,
        "assumed": finished.assumed,
        "privacy": told(finished.spent),
        "resident": used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "processor": used.ru_utime + used.ru_stime,
        "profile": None if finished.profile is None else finished.profile.to_json(),
    }


# -- the parent ----------------------------------------------------------------------------------


def _watch(children: Sequence[_Child], progress: Progress | None) -> None:
    """Read what the parties say until all have ended; once one has failed, the others get a short while."""
    deadline: float | None = None
    with selectors.DefaultSelector() as selector:
        for child in children:
            os.set_blocking(child.pipe, False)
            selector.register(child.pipe, selectors.EVENT_READ, child)
        while selector.get_map():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            for key, _ in selector.select(left):
                party: _Child = key.data
                if not _read(party, progress):
                    selector.unregister(party.pipe)
                    _reap(party)
                    party.died = True
                    if deadline is None and (party.result is None or "error" in party.result):
                        deadline = time.monotonic() + GRACE


def _read(child: _Child, progress: Progress | None) -> bool:
    """Take what has arrived; False at the end of the pipe."""
    try:
        data = os.read(child.pipe, 1 << 16)
    except BlockingIOError:
        return True
    if not data:
        return False
    *lines, child.buffer = (child.buffer + data).split(b"\n")
    for line in lines:
        message = json.loads(line)
        if "round" in message:
            if progress is not None:
                progress(child.name, message["round"], message["rounds"])
        else:
            child.result = message
            child.at = time.monotonic()
    return True


def _reap(child: _Child) -> None:
    if child.status is None:
        _, child.status = os.waitpid(child.pid, 0)


def _end(children: Sequence[_Child]) -> None:
    """No party's process outlives the command."""
    for child in children:
        if child.status is None:
            os.kill(child.pid, signal.SIGKILL)
            _reap(child)
        os.close(child.pipe)


def _judge(children: Sequence[_Child]) -> None:
    """Raise the error that explains the others: wrong study or data first, then a process that died, then the rest."""
    failed = [c for c in children if c.result is None or "error" in c.result]
    if not failed:
        return
    own = [c for c in failed if c.result is not None and c.result["exit"] != 3]
    died = [c for c in failed if c.result is None and c.died]
    if own:
        child = min(own, key=lambda c: c.at)
    elif died:
        raise PartyFailed(died[0].name, _death(died[0]))
    else:
        child = min((c for c in failed if c.result is not None), key=lambda c: c.at)
    assert child.result is not None
    raise ToldByParty(child.name, child.result["error"], child.result["text"], child.result["exit"])


def _death(child: _Child) -> str:
    assert child.status is not None
    if os.WIFSIGNALED(child.status):
        return f"its process was ended by {signal.Signals(os.WTERMSIG(child.status)).name}"
    return f"its process ended with {os.waitstatus_to_exitcode(child.status)} and without a word"


def _collect(job: Job, children: Sequence[_Child], begun: float) -> LocalResult:
    out = LocalResult()
    total = time.perf_counter() - begun
    results = {c.name: c.result for c in children if c.result is not None}
    for name in job.roles:
        out.outputs[name] = results[name]["outputs"]
        out.shown[name] = results[name]["shown"]
    names = job.places.names
    seconds = max(r["seconds"] for r in results.values())
    out.stats = {
        "protocol": job.protocol,
        "rounds": max(r["rounds"] for r in results.values()),
        "exchanges": max(r["exchanges"] for r in results.values()),
        "bytes_sent": {str(i): results[name]["bytes_sent"] for i, name in enumerate(names)},
        "parties": list(names),
        "seconds": round(seconds, 4),
        "offline_seconds": 0.0,
        "startup_seconds": round(max(total - seconds, 0.0), 4),
        "taken_for_granted": max(r["assumed"] for r in results.values()),
        "peak_memory": max(r["peak"] for r in results.values()),
        "resident_memory": max(r["resident"] for r in results.values()),
        "processor_seconds": round(sum(r["processor"] for r in results.values()), 4),
        **results[names[0]]["privacy"],
    }
    profiles = {name: r["profile"] for name, r in results.items()}
    if all(profiles.values()):
        out.profile = merge(profiles, job.places.nodes, names, job.study, begun)
    return out
