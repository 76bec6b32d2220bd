"""Runs a study's stages on shares, all parties in this thread; and results as rows that can be compared.

For: `run_shared`.
Leaves to others: the same in the clear (`evaluate.run_study`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from evaluate import Data, bindings_of, shown

from dsl.compile import Compiler
from dsl.parse import parse
from mpc.circuit import natural
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.simulate import pair_keys

REP3 = Places(("a", "b", "c"))
ADDITIVE = Places(("a", "b"), clients=("c",), dealer="dealer")


def run_shared(text: str, data: Data, places: Places = REP3) -> dict[str, Any]:
    """The results of a study of the parties a, b and c by name, computed on shares."""
    scheme = SCHEMES["additive" if places.dealer else "rep3"]
    study = parse(text)
    compiler = Compiler(study, bindings_of(study, data, {}), places, scheme)
    count = len(places.names)
    carried: list[dict[int, Any]] = [{} for _ in range(count)]
    found: dict[int, Any] = {}
    while True:
        stage = compiler.stage()
        keys = pair_keys(count)
        engines = [
            Engine(stage.schedule, places.seat(i, keys[i]), _inputs(stage, name, data), carried=carried[i])
            for i, name in enumerate(places.names)
        ]
        reports, _ = lockstep([e.run() for e in engines])
        for place, report in enumerate(reports):
            for surface, index in zip(stage.keep, stage.schedule.circuit.results, strict=True):
                carried[place][surface] = report.kept[index]
        found |= _opened(stage, reports)
        if stage.needs is None:
            return {o.name: shown(o, found) for o in stage.elaborated.outputs}
        compiler.opened(np.asarray(carried[0][stage.needs]))


def _inputs(stage: Any, party: str, data: Data) -> dict[tuple[str, str], Any]:
    out = {}
    for _, node in stage.elaborated.circuit:
        if node.op == "input" and node["party"] == party:
            brought = data[party][node["name"]]
            array = brought[node["column"]] if isinstance(brought, dict) else brought
            out[node["name"], node["column"]] = np.asarray(array).astype(natural(node.type.dtype))
    return out


def _opened(stage: Any, reports: Any) -> dict[int, Any]:
    """What anyone learned, by the surface circuit's `reveal` nodes."""
    out: dict[int, Any] = {}
    told: dict[tuple[str, str], Any] = {}
    for report in reports:
        for key, value in report.outputs.items():
            if value is not None:
                told[key[0], key[1]] = value
    for index, node in stage.elaborated.circuit:
        if node.op == "reveal" and (node["name"], node["column"]) in told:
            out[index] = told[node["name"], node["column"]]
    return out
