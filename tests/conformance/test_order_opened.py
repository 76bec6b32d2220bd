"""`order` of every scheme: the order of distinct numbers, at the declared cost, by messages that tell nothing more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conformance_run import Run, Setup, idle, kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpc.circuit import Array
from mpc.lockstep import lockstep
from mpc.protocol import ProtocolError
from mpc.quicksort import Stage, batches, plan, room
from mpc.types import INT, Type


def numbers(rng: Any, n: int, width: int) -> Array:
    """Bits (n, width), lowest first, of n distinct numbers in a random order."""
    low = min(width, 60)
    first = rng.choice(1 << low, n, replace=False) if low < 20 else np.unique(rng.integers(0, 1 << low, 4 * n))[:n]
    bits = rng.integers(0, 2, (n, width), np.uint8)
    bits[:, :low] = rng.permutation(first)[:, None] >> np.arange(low) & 1
    return bits


def ordered(run: Run, bits: Array, stages: tuple[Stage, ...]) -> Array:
    """What all nodes find; what is sent is held against the declared cost, round by round."""
    share, attrs = run.share(bits), {"stages": stages}
    cost = run.declared("order", [kind(bits)], Type(INT, bits.shape[:1]), attrs)
    use = next(run.uses) << 12  # each comparison takes use numbers of its own
    steps = [p.order(use, part, stages=stages) for p, part in zip(run.players, share.parts, strict=True)]
    if run.dealer is not None:
        steps.append(run.dealer.deal("order", use, [kind(bits)], attrs))
    found = run.drive([*steps, *(idle(cost) for _ in run.setup.clients)], cost)[: run.setup.nodes]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
    return np.asarray(found[0])


def expected(bits: Array) -> Array:
    return np.lexsort(bits.T)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 7, 16, 24, 63, 64, 65, 82, 130, 200])
def test_every_width(run: Run, width: int) -> None:
    n = min(1 << width, 90)
    bits = numbers(np.random.default_rng(width), n, width)
    np.testing.assert_array_equal(ordered(run, bits, plan(n, 1.0, 50.0)), expected(bits))


@pytest.mark.parametrize("n", [1, 2, 3, 63, 64, 65, 500, 3000])
@pytest.mark.parametrize("turn", [1.0, 1e6])
def test_every_number_of_rows(run: Run, n: int, turn: float) -> None:
    bits = numbers(np.random.default_rng(n), n, 31)
    np.testing.assert_array_equal(ordered(run, bits, plan(n, 1.0, turn)), expected(bits))


@given(st.integers(2, 40), st.integers(6, 90), st.integers(0, 1 << 30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_numbers(run: Run, n: int, width: int, seed: int) -> None:
    bits = numbers(np.random.default_rng(seed), n, width)
    np.testing.assert_array_equal(ordered(run, bits, plan(n, 1.0, 2.0)), expected(bits))


def spread(octets: Array) -> float:
    """Chi squared of the bytes' values in deviations from what is expected."""
    counts = np.bincount(octets, minlength=256)
    mean = octets.size / 256
    return float((((counts - mean) ** 2 / mean).sum() - 255) / np.sqrt(2 * 255))


@pytest.mark.parametrize("falling", [False, True])
def test_every_message_is_uniform(setup: Setup, falling: bool) -> None:
    """Numbers that stand in order already, whose comparisons all come out alike: whatever is not masked shows."""
    run = Run(setup)
    n = 20_000
    places = np.arange(n)[:: -1 if falling else 1]
    bits = (places[:, None] >> np.arange(20) & 1).astype(np.uint8)
    # One search that looks at 15 rows in order, then no more: what meets in a gap is not told.
    stages = (Stage(0, 15, 1, room(0, 15)), Stage(15, 20_000, 4, room(15, 3)))
    share = run.share(bits)
    use, taken = 1 << 20, [list[Array]() for _ in range(setup.places)]

    def follow(place: int, step: Any) -> Any:
        try:
            ex = next(step)
            while True:
                got = yield ex
                taken[place] += [np.ascontiguousarray(a).reshape(-1).view(np.uint8) for s in got for a in got[s]]
                ex = step.send(got)
        except StopIteration as stop:
            return stop.value

    steps = [p.order(use, part, stages=stages) for p, part in zip(run.players, share.parts, strict=True)]
    if run.dealer is not None:
        steps.append(run.dealer.deal("order", use, [kind(bits)], {"stages": stages}))
    with pytest.raises(ProtocolError, match="by chance alone"):
        lockstep([follow(i, s) for i, s in enumerate(steps)])
    long = [m for place in taken for m in place if m.size > 20_000]
    assert len(long) >= 6
    assert max(spread(m) for m in long) < 8  # by chance once in 10^10 messages


def test_the_cost_is_that_of_its_comparisons(setup: Setup) -> None:
    run = Run(setup)
    bits = numbers(np.random.default_rng(3), 700, 50)
    stages = plan(700, 1.0, 10.0)
    ordered(run, bits, stages)
    many = sum(1 for _ in batches(stages))
    assert len(run.cost.rounds) % many == 0
