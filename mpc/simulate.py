"""Run a circuit with all its parties in this process and thread: for tests, for notebooks, for measuring."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NamedTuple

from mpc.circuit import Array, Circuit
from mpc.engine import Engine, InputKey, Report
from mpc.link import NEAR
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.places import Places
from mpc.protocol import Cost, Scheme
from mpc.schedule import Schedule, schedule

__all__ = ["Run", "pair_keys", "simulate"]


class Run(NamedTuple):
    """What a simulated run gave: each party's report, the traffic measured, and the schedule that declared it."""

    reports: dict[str, Report]
    measured: Cost
    schedule: Schedule


def pair_keys(places: int) -> list[dict[int, bytes]]:
    """Fresh keys for every pair of places, as their sessions would agree them."""
    keys: list[dict[int, bytes]] = [{} for _ in range(places)]
    for i in range(places):
        for j in range(i):
            keys[i][j] = keys[j][i] = secrets.token_bytes(32)
    return keys


def simulate(
    circuit: Circuit,
    inputs: Mapping[str, Mapping[InputKey, Array]],
    scheme: Scheme,
    places: Places,
    round_bytes: int = NEAR,
) -> Run:
    """Lower, schedule and run a surface circuit.  `inputs` are each party's arrays in natural units.

    round_bytes: what a round counts beside bytes (`mpc.link`).
    """
    lowered = lower(circuit, places.nodes, round_bytes=round_bytes).circuit
    timetable = schedule(scheme.prepare(lowered), places, scheme)
    keys = pair_keys(len(places.names))
    engines = [Engine(timetable, places.seat(i, keys[i]), inputs.get(name, {})) for i, name in enumerate(places.names)]
    reports, measured = lockstep([e.run() for e in engines])
    return Run(dict(zip(places.names, reports, strict=True)), measured, timetable)
