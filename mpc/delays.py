"""One-way delays on the longest path of a timetable: what a run costs in latency.

The engine counts exchanges in step, but a party waits only for those who send to it: in a round in which a place
receives nothing it goes on at once.  So the time of a run is the longest path through messages, in a max-plus algebra
over places: after a round, t[j] = max(t[j], t[i] + 1 for every i that sends to j).  A loop is a power of its body's
matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from mpc.schedule import Schedule

__all__ = ["delays"]

Matrix = npt.NDArray[np.float64]


def delays(timetable: Schedule) -> int:
    """One-way delays from the start, at all places at once, to the last place's end."""
    return int(_matrix(timetable, len(timetable.places.names)).max(initial=0))


def _matrix(s: Schedule, n: int) -> Matrix:
    """[i, j]: the longest path from place i at the start to place j at the end."""
    total = _identity(n)
    r = 0
    sends = _sends(s)
    while r < s.rounds:
        alone = _alone(s, r)
        if alone is not None:
            body = _matrix(s.bodies[alone], n)
            total = _times(total, _power(body, int(s.circuit.nodes[alone]["count"])))
            r += s.length[alone]
        else:
            total = _times(total, _round(_links(s, r, sends), n))
            r += 1
    return total


def _identity(n: int) -> Matrix:
    out = np.full((n, n), -np.inf)
    np.fill_diagonal(out, 0.0)
    return out


def _round(links: Iterable[tuple[int, int]], n: int) -> Matrix:
    out = _identity(n)
    for i, j in links:
        out[i, j] = 1.0
    return out


def _times(a: Matrix, b: Matrix) -> Matrix:
    return np.asarray((a[:, :, None] + b[None, :, :]).max(axis=1))


def _power(m: Matrix, count: int) -> Matrix:
    out = _identity(len(m))
    while count:
        if count & 1:
            out = _times(out, m)
        m = _times(m, m)
        count >>= 1
    return out


def _sends(s: Schedule) -> list[set[tuple[int, int]]]:
    """Who sends to whom in each round, loops left out."""
    out: list[set[tuple[int, int]]] = [set() for _ in range(s.rounds)]
    for i, cost in enumerate(s.costs):
        if cost is not None and i not in s.bodies:
            for k, links in enumerate(cost.rounds):
                out[s.start[i] + k] |= {link for link, nbytes in links.items() if nbytes}
    return out


def _alone(s: Schedule, r: int) -> int | None:
    """A loop that starts at round r and has the wire to itself until it ends."""
    starting = [i for i, body in s.bodies.items() if s.start[i] == r and s.length[i] and body.rounds]
    if len(starting) != 1:
        return None
    (loop,) = starting
    end = r + s.length[loop]
    others = (i for i, n in enumerate(s.length) if n and i != loop)
    return None if any(s.start[i] < end and s.start[i] + s.length[i] > r for i in others) else loop


def _links(s: Schedule, r: int, sends: Sequence[set[tuple[int, int]]]) -> set[tuple[int, int]]:
    """Who sends to whom in round r, loops that are under way included."""
    out = set(sends[r])
    for i, body in s.bodies.items():
        if s.start[i] <= r < s.start[i] + s.length[i]:
            out |= _links(body, (r - s.start[i]) % body.rounds, _sends(body))
    return out
