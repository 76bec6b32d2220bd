"""How one task is measured: a run with every party as a process of its own, over TLS.

Seconds of the work are read off the run itself: from the moment a node had its share of the last input to the moment
it could open the result, at the node where that took longest; so neither sharing nor opening counts, and no baseline is
subtracted.  Rounds (one-way delays on the longest path) and bytes are those of the timetable without these two ends.
With a dealer its work is in: nothing is prepared beforehand.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.suite.studies import Data, Task
from dsl.inputs import parties_of
from dsl.parse import parse
from network import parse_link
from runtime.errors import ToldByParty
from runtime.job import Job, choose
from runtime.launch import LocalResult, Options, run_local

__all__ = ["Measured", "Unsupported", "measure"]

LIMIT = 600.0
"""Seconds for which one party may keep silent."""


class Unsupported(Exception):  # noqa: N818 - not a failure
    """The language does not have what the task's study needs yet."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One task's figures.  bytes: sent during the work by the busiest party.  memory: of the largest process.

    processor_seconds: what the nodes' processes used during the work, together: unlike seconds, hardly touched by what
    else runs on the machine.
    """

    task: str
    protocol: str
    network: str
    seconds: float
    startup_seconds: float
    processor_seconds: float
    rounds: int
    bytes: int
    memory: int
    error: float

    def to_json(self) -> dict[str, Any]:
        """One JSON object."""
        return asdict(self)


def measure(task: Task, protocol: str, network: str, repeat: int) -> tuple[Measured, LocalResult]:
    """The best of `repeat` runs, and that run's results with its profile.  Raises Unsupported."""
    study = task.study.replace("PARTIES", "a, b, c" if protocol == "rep3" else "a, b")
    roles = parties_of(parse(study, task.name))
    dealing = "dealer" if protocol == "additive" else None
    chosen, nodes, dealer = choose(roles, protocol=protocol, preprocessing=dealing)
    given = task.data(np.random.default_rng(7))
    with tempfile.TemporaryDirectory() as folder:
        _write(given, Path(folder))
        options = Options(Path(folder), {}, parse_link(network), LIMIT, profile=True)
        runs = []
        for _ in range(repeat):
            job = Job(study, f"{task.name}.parley", roles, nodes, chosen, dealer, link=network)
            try:
                runs.append(run_local(job, options))
            except ToldByParty as error:
                if error.error["code"] in ("E0901", "E0208"):
                    raise Unsupported(error.error["message"]) from None
                raise
    best = min(runs, key=_seconds)
    assert best.profile is not None
    return Measured(
        task.name,
        protocol,
        network,
        _seconds(best),
        best.profile["startup_seconds"],
        best.profile["work"]["processor_seconds"],
        best.profile["work"]["rounds"],
        max(best.profile["work"]["bytes_sent"].values()),
        best.stats["resident_memory"],
        task.error(given, best.outputs[task.reader]),
    ), best


def _seconds(run: LocalResult) -> float:
    assert run.profile is not None
    return float(run.profile["work"]["seconds"])


def _write(given: Data, folder: Path) -> None:
    for (party, name), value in given.items():
        (folder / party).mkdir(exist_ok=True)
        if isinstance(value, pa.Table):
            pq.write_table(value, folder / party / f"{name}.parquet")
        elif isinstance(value, dict):
            _write_table(value, folder / party / f"{name}.csv")
        else:
            np.save(folder / party / f"{name}.npy", np.asarray(value))


def _write_table(columns: dict[str, Any], path: Path) -> None:
    rows = np.column_stack(list(columns.values()))
    np.savetxt(path, rows, fmt="%d", delimiter=",", header=",".join(columns), comments="")
