"""What a place receives is uniform to it: masked by keys that it does not hold.

For each place, a primitive runs twice on the same shares, with fresh keys between the other places only.  Had a message
no mask, or only one that its receiver can take away, the two would differ in a way that is far from uniform: so their
difference must look random, and so must each of them, and one message against another.  Messages are long, thresholds
are beyond 10^-12.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from conformance_run import Run, Setup, Shared, varied
from conformance_table import TYPICAL, Primitive, arith, ring

from mpc.circuit import Array

N = 4096
LONG = 512
"""Shorter messages say too little; no primitive sends so short a one for N elements."""


def chi_squared(a: Array) -> float:
    counts = np.bincount(a, minlength=256)
    expected = a.size / 256
    return float(((counts - expected) ** 2).sum() / expected)


def assert_uniform(a: Array, what: str) -> None:
    """255 degrees of freedom, spread 22.6: beyond 500 is more than ten spreads away."""
    assert chi_squared(a) < 500, what
    ones = int(np.unpackbits(a).sum())
    bits = 8 * a.size
    assert abs(ones - bits / 2) < 8 * np.sqrt(bits) / 2, what


def lanes(a: Array) -> list[Array]:
    """The bytes of a message by their place in its elements, so that one bad byte of eight is seen."""
    return list(octets(a).reshape(-1, a.itemsize).T)


def octets(a: Array) -> Array:
    return np.ascontiguousarray(a).view(np.uint8).reshape(-1)


def is_order(a: Array) -> bool:
    """Whether a message is nothing but some order of 0, 1, ...: never by chance."""
    return bool(a.itemsize > 1 and np.array_equal(np.sort(a, axis=None), np.arange(a.size)))


def compare(one: Run, two: Run, place: int) -> int:
    assert len(one.received[place]) == len(two.received[place])
    for k, (a, b) in enumerate(zip(one.received[place], two.received[place], strict=True)):
        assert a.nbytes >= LONG
        if is_order(a):
            # A message may be a uniform order of the rows: two of those agree in about one place.
            assert is_order(b)
            assert np.count_nonzero(a == b) < 20
            continue
        for lane, (x, y) in enumerate(zip(lanes(a), lanes(b), strict=True)):
            what = f"message {k}, byte {lane} of each element, to place {place}"
            assert_uniform(x, what)
            assert_uniform(x ^ y, what + ": difference of two sessions")
    for a, b in itertools.combinations(one.received[place], 2):
        if a.nbytes == b.nbytes and not is_order(a):
            both = octets(a) ^ octets(b)
            assert_uniform(both, f"two messages to place {place}, one against the other")
    return len(one.received[place])


def fixed_shares(run: Run, operands: list[Array]) -> list[Shared]:
    """Shares whose components are as far from random as can be: all in the public constant."""
    return [Shared([p.constant(x, x.dtype == np.uint8) for p in run.players]) for x in operands]


@pytest.mark.parametrize("primitive", TYPICAL, ids=str)
def test_messages_of_primitives(setup: Setup, primitive: Primitive) -> None:
    operands = [np.broadcast_to(x, (N,)).copy() for x in primitive.operands(np.random.default_rng(1), ())]
    out = primitive.out([x.shape for x in operands])
    heard = 0
    for place in range(setup.nodes + setup.dealer):
        one = Run(setup)
        two = varied(one, place)
        for run in (one, two):
            run.step(primitive.op, *fixed_shares(run, operands), out=out, use=1 << 20, **primitive.attrs)
        heard += compare(one, two, place)
    assert heard


def test_messages_of_products_of_matrices(setup: Setup) -> None:
    x, y = ring(np.full((64, 8), 3)), ring(np.full((8, 64), -5))
    for place in range(setup.nodes):
        one = Run(setup)
        two = varied(one, place)
        for run in (one, two):
            run.step("matmul_trunc", *fixed_shares(run, [x, y]), out=arith((64, 64)), m=16, use=1 << 20)
        compare(one, two, place)


@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
def test_messages_of_a_permutation(setup: Setup, bits: bool, inverse: bool) -> None:
    rows = np.zeros((N, 2), np.uint8 if bits else np.uint64)
    for place in range(setup.nodes):
        one = Run(setup)
        two = varied(one, place)
        for run in (one, two):
            run.permute(run.permutation(N), fixed_shares(run, [rows])[0], inverse=inverse)
        compare(one, two, place)


def test_messages_of_an_input(setup: Setup) -> None:
    value = np.zeros(N, np.uint64)
    for owner in (0, setup.nodes - 1, setup.clients[0]):
        for place in range(setup.nodes):
            one = Run(setup)
            two = varied(one, place)
            for run in (one, two):
                run.share(value, owner, use=1 << 20)
            for a, b in zip(one.received[place], two.received[place], strict=True):
                if a.nbytes >= LONG:
                    assert_uniform(octets(a), f"input of {owner} to {place}")
                    assert_uniform(octets(a) ^ octets(b), f"input of {owner} to {place}, difference")
