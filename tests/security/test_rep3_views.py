"""What a node of rep3 receives is uniform, and so is the difference of any two messages: no mask is missing or shared.

Secrets are all zero, so that whatever is not masked shows; there are so many that parts turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc.leading import Slots
from mpc.lockstep import lockstep
from mpc.protocol import Seat, Step
from mpc.protocols.rep3 import Rep3Player
from mpc.simulate import pair_keys

N = 12_288
"""Parts turn, and thirds are equal, so that their messages can be held against each other."""

Octets = NDArray[np.uint8]

NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("mul_trunc", {"m": 16}),
    ("trunc", {"m": 16}),
    ("trunc", {"m": 40}),
    ("shift", {"m": 16, "width": 48}),
    ("shift", {"m": 16, "width": 64}),
    ("ltz", {"width": 64}),
    ("eqz", {"width": 64}),
    ("bits", {"width": 24, "sparse": 0}),
    ("bits", {"width": 24, "sparse": 2}),
    ("bits", {"width": 24, "sparse": 4}),
    ("ltz", {"width": 40, "in_chain": True}),
    ("leading", {**Slots(24, signed=True)._asdict(), "sparse": 1}),
]


def spread(octets: Octets) -> float:
    """Chi squared of the bytes' values, 255 degrees of freedom, in deviations from what is expected."""
    counts = np.bincount(octets, minlength=256)
    expected = octets.size / 256
    return float((((counts - expected) ** 2 / expected).sum() - 255) / np.sqrt(2 * 255))


def views(steps: list[Step[Any]]) -> list[list[Octets]]:
    """For each node the arrays that it receives, in order."""
    seen: list[list[Octets]] = [[] for _ in steps]

    def follow(me: int, step: Step[Any]) -> Step[Any]:
        ex = next(step)
        while True:
            got = yield ex
            seen[me] += [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for arrays in got.values() for a in arrays]
            try:
                ex = step.send(got)
            except StopIteration as stop:
                return stop.value

    lockstep([follow(i, step) for i, step in enumerate(steps)])
    return seen


def telling(arrays: list[Octets]) -> Iterator[float]:
    """How far each message, and each difference of two of one length, is from uniform."""
    yield from map(spread, arrays)
    for a, b in itertools.combinations(arrays, 2):
        if a.size == b.size:
            yield spread(a ^ b)


def zeros(shape: tuple[int, ...], bits: bool) -> list[Any]:
    rng = np.random.default_rng(11)
    if bits:
        parts = [*rng.integers(0, 2, (2, *shape), np.uint8)]
        parts.append(parts[0] ^ parts[1])
    else:
        parts = [*rng.integers(0, 1 << 64, (2, *shape), np.uint64)]
        parts.append(-(parts[0] + parts[1]))
    return [np.stack([parts[i], parts[(i + 1) % 3]]) for i in range(3)]


def players() -> list[Rep3Player]:
    keys = pair_keys(3)
    return [Rep3Player(Seat(i, 3, 3, None, keys[i])) for i in range(3)]


@pytest.mark.parametrize(("op", "attrs"), NUMBERS, ids=str)
def test_of_numbers(op: str, attrs: dict[str, Any]) -> None:
    given = zeros((N,), bits=False)
    operands = [(s, s) if op == "mul_trunc" else (s,) for s in given]
    seen = views([getattr(p, op)(0, *s, **attrs) for p, s in zip(players(), operands, strict=True)])

    assert all(max(telling(arrays), default=0) < 8 for arrays in seen)


@pytest.mark.parametrize("width", [8, 37, 64])
def test_of_truth_values(width: int) -> None:
    seen = views([p.b2a(0, s, width=width) for p, s in zip(players(), zeros((N,), bits=True), strict=True)])

    assert all(max(telling(arrays), default=0) < 8 for arrays in seen)


def test_of_weighted_truth_values() -> None:
    weights = ((1, 0), (1 << 48, 1 << 50), (-1, 1))
    given = zeros((N,), bits=True)
    seen = views([p.weigh(0, s, s, s, weights=weights) for p, s in zip(players(), given, strict=True)])

    assert all(max(telling(arrays), default=0) < 8 for arrays in seen)


def test_a_message_without_its_mask_would_show() -> None:
    plain = np.zeros(N, np.uint8)
    masked = np.random.default_rng(1).integers(0, 256, N, np.uint8)
    other = masked ^ np.random.default_rng(2).integers(0, 2, N, np.uint8)

    assert spread(plain) > 100
    assert spread(masked) < 8
    assert max(telling([masked, other])) > 100
