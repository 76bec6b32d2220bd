"""All parties of a run in one thread: steps are driven round by round, what they send is handed over as arrays.

No sockets, no event loop: for tests, for simulation, and for measuring exact traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mpc.circuit import Array
from mpc.protocol import Cost, ProtocolError, Step

__all__ = ["lockstep"]


def lockstep(steps: Sequence[Step[Any]]) -> tuple[list[Any], Cost]:
    """Run `steps` (one a place, by index) to their ends together.  Returns their results and the measured cost.

    ProtocolError if what one place sends is not what the other expects, in number, shape or dtype, or if the places
    differ in their number of rounds.
    """
    results: list[Any] = [None] * len(steps)
    rounds: list[dict[tuple[int, int], int]] = []
    pending: list[Any] = []
    done = 0
    for i, step in enumerate(steps):
        try:
            pending.append(next(step))
        except StopIteration as stop:
            results[i] = stop.value
            pending.append(None)
            done += 1
    while done < len(steps):
        if done:
            raise ProtocolError(f"round {len(rounds)}: {done} of {len(steps)} places ended before the others")
        links: dict[tuple[int, int], int] = {}
        mail: list[dict[int, list[Array]]] = [{} for _ in steps]
        for i, ex in enumerate(pending):
            for p, arrays in ex.send.items():
                sent = [_wire(a) for a in arrays]
                nbytes = sum(a.nbytes for a in sent)
                if nbytes:
                    links[i, p] = links.get((i, p), 0) + nbytes
                mail[p][i] = sent
        for i, ex in enumerate(pending):
            _compare(len(rounds), i, ex.expect, mail[i])
        rounds.append(links)
        following: list[Any] = []
        for i, step in enumerate(steps):
            try:
                following.append(step.send(mail[i]))
            except StopIteration as stop:
                results[i] = stop.value
                following.append(None)
                done += 1
        pending = following
    return results, Cost(tuple(rounds))


def _wire(array: Array) -> Array:
    out = np.array(array, copy=True, order="C")
    out.setflags(write=False)
    return out


def _compare(r: int, place: int, expect: Any, mail: dict[int, list[Array]]) -> None:
    for p, templates in expect.items():
        got = [(a.shape, a.dtype.str) for a in mail.get(p, [])]
        want = [(t.shape, np.dtype(t.dtype).str) for t in templates]
        if got != want:
            raise ProtocolError(f"round {r}: place {p} sent {got} to place {place}, which expects {want}")
    for p, arrays in mail.items():
        if arrays and p not in expect:
            raise ProtocolError(f"round {r}: place {p} sent {len(arrays)} arrays to place {place}, which expects none")
