"""Parley inside a Python application: a few functions, NumPy arrays in and out.

    import runtime as parley

    study = parley.compile('party a, b, c ...', sizes={"n": 1000})
    print(study.report.cost.rounds)
    results = await parley.simulate(study, {"a": {"x": array}, "b": {"y": array}})
    results["a"]["mean"]

`simulate` runs all parties in this process, over channels in memory whose latency and bandwidth can be set; `take_part`
is one party's side over real connections; `submit` proposes a job through this party's node.  In a notebook or script
without an event loop, the same names with `_sync`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dsl.cache import Cache
from dsl.compile import Made
from dsl.inputs import parties_of
from dsl.parse import parse
from dsl.stypes import SType
from mpc.circuit import Array
from network import Channel, Transport, memory_mesh, parse_link
from runtime.errors import UsageError
from runtime.inputs import ArrayInputs
from runtime.job import DEALER, Job, choose
from runtime.results import ArrayOutput, Output, RecordOutput, TableOutput, natural
from runtime.session import Finished, Session
from runtime.vault import Vault

__all__ = ["PartyResult", "Study", "compile", "simulate", "simulate_sync", "take_part"]

T = TypeVar("T")

Given = Mapping[str, "npt.ArrayLike | Mapping[str, npt.ArrayLike]"]
"""A party's inputs: an array by name, a table as its columns by name."""


@dataclass(frozen=True, slots=True)
class Study:
    """A study with the settings of a job: who computes, by which protocol, with which parameters."""

    job: Job
    sizes: Mapping[str, int] = field(default_factory=dict)
    made: Cache[Made] = field(default_factory=Cache, repr=False, compare=False)
    """Its timetables, by the sizes of the data: a second run on data of the same sizes compiles nothing."""

    @property
    def parties(self) -> tuple[str, ...]:
        """Its parties, in the order of the text."""
        return self.job.roles

    def report(self) -> Any:
        """What `parley check` says: disclosures, types, and the cost where all sizes are known."""
        from runtime.check import check_study

        sizes = [f"{name}={n}" for name, n in self.sizes.items()]
        return check_study(self.job, None, {}, sizes)


@dataclass(frozen=True, slots=True)
class PartyResult(Mapping[str, Any]):
    """What one party learned, by name: arrays, numbers, and tables as columns by name; and what the run cost."""

    learned: Mapping[str, Any]
    rounds: int
    bytes_sent: int
    seconds: float

    def __getitem__(self, name: str) -> Any:
        return self.learned[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.learned)

    def __len__(self) -> int:
        return len(self.learned)


def compile(
    study: str | Path,
    *,
    protocol: str | None = None,
    nodes: Sequence[str] | None = None,
    preprocessing: str | None = None,
    dealer: str = DEALER,
    params: Mapping[str, object] | None = None,
    sizes: Mapping[str, int] | None = None,
    frac: int = 16,
    network: str = "lan",
) -> Study:
    """Read a study (a text, or the path of a `.parley` file) and settle how it runs.

    network: what the links are like, `lan`, `wan` or `RTT,BANDWIDTH`, for which circuits are chosen.
    Raises StudyError with all that is wrong in the text; UsageError if protocol and parties do not go together;
    ValueError if `network` names no link.
    """
    parse_link(network)
    text, name = (study.read_text(encoding="utf-8"), study.name) if isinstance(study, Path) else (study, "study")
    roles = parties_of(parse(text, name))
    chosen, computing, dealing = choose(
        roles, protocol=protocol, nodes=nodes, preprocessing=preprocessing, dealer=dealer
    )
    given = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in (params or {}).items()}
    return Study(Job(text, name, roles, computing, chosen, dealing, given, frac, network), sizes or {})


async def simulate(
    study: Study,
    inputs: Mapping[str, Given],
    *,
    latency: float = 0.0,
    bandwidth: float | None = None,
    limit: float = 60.0,
    state: Path | None = None,
) -> dict[str, PartyResult]:
    """Run all parties in this process.  latency: seconds one way; bandwidth: bits per second out of each party.
    state: the folder where each node has one for what studies store.

    inputs: for each party its arrays in natural units.  Returns what each party learned.  Raises what a run raises.
    """
    unknown = set(inputs) - set(study.parties)
    if unknown:
        raise UsageError(f"no party of the study is called {', '.join(sorted(unknown))}")
    names = study.job.places.names
    mesh = memory_mesh(names, latency=latency, bandwidth=bandwidth)
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(
                _party(study, name, mesh[name], inputs.get(name, {}), limit, state and state / name)
            )
            for name in names
        }
    return {name: _result(task.result()) for name, task in tasks.items() if name in study.parties}


async def _party(
    study: Study, name: str, channels: Mapping[str, Channel], given: Given, limit: float, state: Path | None
) -> Finished:
    vault = None if state is None else Vault(state, name)
    return await Session(study.job, name, channels, ArrayInputs(name, given), limit, made=study.made, vault=vault).run()


async def take_part(
    study: Study,
    me: str,
    transport: Transport,
    inputs: Given,
    *,
    session: str,
    limit: float = 60.0,
    state: Path | None = None,
) -> PartyResult:
    """One party's side of a run over a transport that is connected to the others (a `network.Mesh`, say).

    session: a name for the run that all parties give alike and never use twice.  state: this party's own folder, where
    it keeps what studies store.
    """
    mine = replace(study, job=replace(study.job, id=session))
    channels = await transport.session(session, [n for n in mine.job.places.names if n != me])
    return _result(await _party(mine, me, channels, inputs, limit, state))


def _result(done: Finished) -> PartyResult:
    values = {one.name: _value(one) for one in done.outputs}
    return PartyResult(values, done.delays, done.bytes_sent, done.traffic.seconds)


def _value(one: Output) -> Any:
    if isinstance(one, RecordOutput):
        return {part.name: _value(part) for part in one.parts}
    if isinstance(one, TableOutput):
        return {name: _natural(one.columns[name], v, one.valid.get(name)) for name, v in one.values.items()}
    assert isinstance(one, ArrayOutput)
    return _natural(one.type, one.values, one.valid)


def _natural(type_: SType, values: Array, valid: Array | None) -> Any:
    """Numbers as they are, a decimal as its float64, a date as datetime64, words and texts as strings; what is missing
    is masked."""
    out: Any = natural(type_, values)
    if valid is not None:
        return np.ma.masked_array(out, ~valid)
    return out[()] if not out.shape else out


def _run(work: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    # A notebook has a loop of its own already: the run gets a thread and a loop to itself.
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def simulate_sync(
    study: Study,
    inputs: Mapping[str, Given],
    *,
    latency: float = 0.0,
    bandwidth: float | None = None,
    limit: float = 60.0,
    state: Path | None = None,
) -> dict[str, PartyResult]:
    """`simulate`, for a script or a notebook."""
    return _run(simulate(study, inputs, latency=latency, bandwidth=bandwidth, limit=limit, state=state))
