"""What parties of the additive protocol see of one another: uniform bytes, whatever the secrets; nothing twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from additive_parties import SCHEME, Run, kind

from mpc.leading import Slots
from mpc.lockstep import lockstep
from mpc.protocol import Exchange, ProtocolError
from mpc.ring import unpack_bits

U = np.uint64
N = 4096
STEPS: list[tuple[str, int, dict[str, Any]]] = [
    ("mul", 2, {}),
    ("mul_trunc", 2, {"m": 16}),
    ("trunc", 1, {"m": 16}),
    ("shift", 1, {"m": 5, "width": 32}),
    ("shift", 1, {"m": 21, "width": 64}),
    ("ltz", 1, {"width": 64}),
    ("ltz", 1, {"width": 24}),
    ("ltz", 1, {"width": 24, "in_chain": True}),
    ("eqz", 1, {"width": 64}),
    ("bits", 1, {"width": 64, "sparse": 0}),
    ("leading", 1, {**Slots(64)._asdict(), "sparse": 0}),
    ("leading", 1, {**Slots(63, signed=True)._asdict(), "sparse": 0}),
]
BIT_STEPS: list[tuple[str, int, dict[str, Any]]] = [
    ("and_", 2, {}),
    ("b2a", 1, {}),
    ("weigh", 3, {"weights": ((1, 0), (1 << 16, 3), (-1, 1 << 62))}),
]


def chi_square(octets: np.ndarray) -> float:
    """Of the 256 byte values; about 255 with deviation 22.6 for uniform ones."""
    counts = np.bincount(octets, minlength=256)
    expected = len(octets) / 256
    return float(((counts - expected) ** 2 / expected).sum())


def messages(run: Run, senders: range) -> list[list[np.ndarray]]:
    """For each round and array, what each of the senders sent to its first receiver, as bytes."""
    out = []
    for links in run.sent:
        firsts = [next((arrays for (p, _), arrays in sorted(links.items()) if p == s), []) for s in senders]
        out += [[a.reshape(-1).view(np.uint8) for a in column] for column in zip(*firsts, strict=True)]
    return out


@pytest.mark.parametrize(("op", "operands", "attrs"), STEPS + BIT_STEPS, ids=lambda v: str(v))
@pytest.mark.parametrize("secret", [0, 1])
def test_every_message_and_every_opening_is_uniform(op: str, operands: int, attrs: dict[str, Any], secret: int) -> None:
    run = Run(3, seed=11 + secret)
    bits = (op, operands, attrs) in BIT_STEPS
    given = [np.full(N, secret) for _ in range(operands)]
    # The most telling shares: the value at the first node, nothing at the others.
    shares = [[p.constant(g.astype(np.uint8 if bits else U), bits) for p in run.players] for g in given]
    run.step(op, *shares, **attrs)
    seen = messages(run, range(3))
    assert seen
    for sent in seen:
        for octets in sent:
            assert chi_square(octets) < 400
    for (_, _), arrays in run.sent[-1].items():
        for a in arrays:
            assert chi_square(a.reshape(-1).view(np.uint8)) < 400


@pytest.mark.parametrize("secret", [0, -1, 77])
@pytest.mark.parametrize("width", [8, 16])
def test_the_opened_sum_of_a_comparison_is_uniform(secret: int, width: int) -> None:
    run = Run(2, seed=secret + 5)
    x = np.full(1 << 14, secret).astype(U)
    run.step("ltz", [p.constant(x, False) for p in run.players], width=width)
    first, second = (run.sent[0][k, 1 - k][0] for k in (0, 1))
    assert chi_square((first + second).view(np.uint8)) < 400


@pytest.mark.parametrize("secret", [0, (1 << 62) - 1])
def test_the_opened_sum_of_a_truncation_is_uniform(secret: int) -> None:
    run = Run(2)
    x = np.full(1 << 13, secret).astype(U)
    run.step("trunc", [p.constant(x, False) for p in run.players], m=16)
    first, second = (run.sent[0][k, 1 - k][0] for k in (0, 1))
    assert chi_square((first + second).view(np.uint8).reshape(-1)) < 400


def test_published_orders_are_uniform_and_fresh() -> None:
    run = Run(2)
    seen: Counter[tuple[int, ...]] = Counter()
    handles = [p.permutation(8, n=3) for p in run.players]
    x = run.deal(np.arange(3))
    for _ in range(1200):
        run.step("permute", handles, x, inverse=False)
        seen[tuple(unpack_bits(run.sent[0][0, 1][0], 2, 3))] += 1
    assert len(seen) == 6
    assert max(abs(c - 200) for c in seen.values()) < 60


def test_outputs_carry_nothing_but_the_value() -> None:
    run = Run(3, clients=1)
    x = np.arange(N, dtype=U)
    shares = [p.constant(x, False) for p in run.players]
    steps = [p.open(32, s, to=(4,), bits=False) for p, s in zip(run.players, shares, strict=True)]
    steps += [run.dealer.deal("open", 32, [kind((N,))], {"to": (4,)}), SCHEME.client_open((N,), False, run.seats[4])]
    results, _ = run.drive(steps)
    assert np.array_equal(results[4], x)
    for p in range(3):
        assert chi_square(run.sent[0][p, 4][0].view(np.uint8)) < 400


def test_the_first_share_of_a_clients_input_is_masked() -> None:
    run = Run(2, clients=1)
    zeros = np.zeros(N, U)
    step = SCHEME.client_share(zeros, (N,), False, run.seats[3])
    sent = next(step).send
    assert chi_square(sent[0][0].view(np.uint8)) < 400
    again = next(SCHEME.client_share(zeros, (N,), False, run.seats[3])).send
    assert not np.array_equal(sent[1][0], again[1][0])


@pytest.mark.parametrize(("op", "operands", "attrs"), STEPS + BIT_STEPS, ids=lambda v: str(v))
def test_a_use_is_spent_once(op: str, operands: int, attrs: dict[str, Any]) -> None:
    run = Run(2)
    bits = (op, operands, attrs) in BIT_STEPS
    shares = [run.deal(np.ones(2), bits) for _ in range(operands)]
    types = [kind((2,), bits)] * operands

    def start(place: int) -> Any:
        if place == 2:
            return next(run.dealer.deal(op, 48, types, attrs))
        return next(getattr(run.players[place], op)(48, *(s[place] for s in shares), **attrs))

    for place in range(3):
        assert isinstance(start(place), Exchange)
        with pytest.raises(ProtocolError, match="use 48 is spent"):
            start(place)


def test_keys_of_uses_differ() -> None:
    run = Run(2)
    x = run.deal(np.zeros(8))
    seen = []
    for _ in range(3):
        run.step("trunc", x, m=4)
        seen += [run.sent[0][k, 1 - k][0].tobytes() for k in (0, 1)]
    assert len(set(seen)) == 6


def test_an_order_that_leaves_the_rows_ends_the_job() -> None:
    run = Run(2)
    handles = [p.permutation(8, n=5) for p in run.players]
    shares = run.deal(np.arange(5))

    def lying(step: Any) -> Any:
        exchange = next(step)
        yield Exchange({p: [np.full_like(sent[0], 0xFF)] for p, sent in exchange.send.items()}, exchange.expect)

    steps = [
        p.permute(32, h, s, inverse=False, bits=False) for p, h, s in zip(run.players, handles, shares, strict=True)
    ]
    dealt = run.dealer.deal("permute", 32, [kind((5,)), kind((5,))], {"inverse": False})
    with pytest.raises(ProtocolError, match="beyond the last row"):
        lockstep([lying(steps[0]), steps[1], dealt])


@pytest.mark.parametrize(("nodes", "dealer"), [(1, True), (2, False)])
def test_a_wrong_number_of_parties_is_refused(nodes: int, dealer: bool) -> None:
    with pytest.raises(ProtocolError):
        SCHEME.check(nodes, dealer)
