"""Runs a query of a study in the clear and on shares.

For: `run_plain`, `run_shared`, each the rows of the result in order.
Leaves to others: the files, and the same in DuckDB (`tpch_data`), what may differ (`test_tpch`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tpch_data import Rows

from dsl.elaborate import elaborate
from dsl.inputs import requirements
from dsl.parse import parse
from mpc import plain
from network.memory import memory_mesh
from runtime import api, session
from runtime.inputs import FileInputs
from runtime.results import Output, TableOutput, cells
from runtime.session import Finished, Session, learned
from runtime.sources import Bindings

SALT = bytes(32)
READER = "analyst"


class Shared(NamedTuple):
    """A result computed on shares, and what it cost."""

    rows: Rows
    delays: int
    """One-way delays on the longest path."""
    sent: int
    """Bytes sent by the party that sent most."""
    seconds: float


def run_plain(path: Path, data: Path) -> Rows:
    """The study in the clear."""
    tree = parse(path.read_text(encoding="utf-8"), path.name)
    specs = requirements(tree, {})
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    arrays: dict[tuple[str, str, str], Any] = {}
    for party in dict.fromkeys(s.party for s in specs):
        inputs = FileInputs(party, data)
        shapes[party] = inputs.shapes([s for s in specs if s.party == party])
        arrays |= {(party, *key): a for key, a in inputs.arrays(SALT).items()}
    bindings = session.bound({}, 16, specs, shapes)
    known: list[Any] = []
    while True:
        done = elaborate(tree, bindings, known)
        values = plain.evaluate(done.circuit, arrays, None if done.needs is None else [done.needs])
        if done.needs is None:
            return _rows(learned(done, READER, values.__getitem__))
        known.append(np.asarray(values[done.needs]))


def run_shared(path: Path, data: Path, limit: float = 120.0, bound: Bindings | None = None) -> Shared:
    """The study on replicated shares, all parties in this thread; tables that are `bound` come from databases."""
    done = asyncio.run(_session(path, data, limit, bound or {}))
    (reader,) = (one for one in done if one.me == READER)
    sent = max(one.bytes_sent for one in done)
    return Shared(_rows(reader.outputs), reader.delays, sent, max(one.traffic.seconds for one in done))


async def _session(path: Path, data: Path, limit: float, bound: Bindings) -> list[Finished]:
    job = api.compile(path, protocol="rep3", nodes=("retailer", "carrier", "market")).job
    mesh = memory_mesh(job.places.names)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(Session(replace(job), name, mesh[name], FileInputs(name, data, bound), limit).run())
            for name in job.places.names
        ]
    return [task.result() for task in tasks]


def _rows(outputs: Sequence[Output]) -> Rows:
    (table,) = outputs
    assert isinstance(table, TableOutput)
    columns = []
    for name, type_ in table.columns.items():
        array, valid = table.values[name], table.valid[name]
        there = [True] * len(array) if valid is None else valid.tolist()
        match type_.kind:
            case "decimal":
                words: list[Any] = [Decimal(word) for word in cells(type_, array)]
            case "date":
                words = array.astype("M8[D]").tolist()
            case "enum" | "text":
                words = cells(type_, array)
            case _:
                words = array.tolist()
        columns.append([word if present else None for word, present in zip(words, there, strict=True)])
    return list(zip(*columns, strict=True))
