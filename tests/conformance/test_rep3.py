"""What rep3 promises beyond the contract of all schemes: its costs in figures, its rounding, its checks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from conformance_run import Run, Setup
from conformance_table import EVERY, TYPICAL, Primitive, arith, numbers, ring, signed, words

from mpc.leading import Slots
from mpc.lockstep import lockstep
from mpc.prg import BLOCK, Prg
from mpc.protocol import USES, ProtocolError, Step
from mpc.protocols.rep3 import Rep3Player
from mpc.protocols.rep3_place import Place, chain_use

N = 3 * 64


@pytest.fixture
def rep3() -> Run:
    return Run(Setup("rep3", 3))


# Rounds, bits for one element over all parties, and attributes.
FIGURES: list[tuple[str, dict[str, Any], int, int]] = [
    ("mul", {}, 1, 192),
    ("and_", {}, 1, 3),
    ("trunc", {"m": 16}, 2, 112),
    ("mul_trunc", {"m": 16}, 3, 240),
    ("b2a", {}, 2, 192),
    ("ltz", {"width": 64}, 8, 544),
    ("ltz", {"width": 32}, 7, 32 + 62 + 3 * 55),
    ("ltz", {"width": 17}, 6, 17 + 32 + 3 * 26),
    ("ltz", {"width": 1}, 1, 1),
    ("ltz", {"width": 64, "in_chain": True}, 64, 64 + 126 + 3 * 62),
    ("ltz", {"width": 17, "in_chain": True}, 17, 17 + 32 + 3 * 15),
    ("eqz", {"width": 64}, 7, 253),
    ("eqz", {"width": 16}, 5, 16 + 45),
    ("bits", {"width": 64, "sparse": 0}, 8, 64 + 126 + 3 * (186 + 124)),
    ("bits", {"width": 64, "sparse": 1}, 9, 64 + 126 + 3 * 212),
    ("bits", {"width": 64, "sparse": 2}, 10, 64 + 126 + 3 * 178),
    ("bits", {"width": 64, "sparse": 3}, 20, 64 + 126 + 3 * 150),
    ("bits", {"width": 64, "sparse": 5}, 64, 64 + 126 + 3 * 62),
    ("leading", {**Slots(63, signed=True)._asdict(), "sparse": 0}, 15, 63 + 124 + 3 * (301 + 105)),
    ("weigh", {"weights": ((1, 5), (1 << 32, 6), (1 << 48, 7))}, 2, 3 * 64 + 2 * 2 * 64),
    ("weigh", {"weights": ((1 << 16,), (1 << 32,), (1 << 48,))}, 2, 64 + 32 + 16 + 2 * 64),
    ("shift", {"m": 16, "width": 48}, 8, 16 + 32 + 3 * 26 + 112 + 192),
]


@pytest.mark.parametrize(("op", "attrs", "rounds", "bits"), FIGURES, ids=str)
def test_figures(rep3: Run, op: str, attrs: dict[str, Any], rounds: int, bits: int) -> None:
    primitive = next(p for p in TYPICAL if p.op == op)
    operands = primitive.operands(np.random.default_rng(1), (N,))
    out = primitive.out([x.shape for x in operands])
    if op == "bits":
        out = out.with_(shape=(N, attrs["width"]))
    if op == "leading":
        out = out.with_(shape=(N, Slots(*(attrs[name] for name in Slots._fields)).size))
    if op == "weigh":
        out = out.with_(shape=(N, len(attrs["weights"][0])))
    rep3.step(op, *map(rep3.share, operands), out=out, **attrs)
    assert len(rep3.cost.rounds) == rounds
    assert 8 * rep3.cost.bytes == N * bits


def test_every_party_sends_equally_much_for_a_product(rep3: Run) -> None:
    x = rep3.share(words(np.random.default_rng(1), (N,)))
    rep3.step("mul_trunc", x, x, out=arith((N,)), m=16)
    sent = [sum(n for (p, _), n in rep3.cost.total.items() if p == place) for place in range(3)]
    assert sent == [N * 10] * 3


def test_a_vector_is_a_matrix_too(rep3: Run) -> None:
    rng = np.random.default_rng(2)
    for sx, sy in [((4,), (4, 5)), ((3, 4), (4,)), ((6,), (6,)), ((2, 3, 4), (4, 5))]:
        x, y = words(rng, sx), words(rng, sy)
        out = rep3.step("matmul", rep3.share(x), rep3.share(y), out=arith(np.shape(x @ y)))
        np.testing.assert_array_equal(rep3.plain(out), x @ y)


@pytest.mark.parametrize("m", [1, 8, 16, 40, 61])
def test_a_multiple_is_divided_without_error(rep3: Run, m: int) -> None:
    top = (1 << (62 - m)) - 1
    want = numbers(np.random.default_rng(3), (600,), -top, top)
    out = rep3.step("trunc", rep3.share(ring(want << m)), out=arith(want.shape), m=m)
    np.testing.assert_array_equal(signed(rep3.plain(out)), want)


def test_rounding_is_fair(rep3: Run) -> None:
    """3 / 8 becomes 1 in three cases of eight, once shares are random: 40000 draws, spread 0.0024."""
    given = rep3.share(np.full(40000, 3, np.uint64))
    x = rep3.step("mul", given, rep3.share(np.ones(40000, np.uint64)), out=arith((40000,)))
    out = rep3.plain(rep3.step("trunc", x, out=arith((40000,)), m=3))
    assert abs(out.mean() - 3 / 8) < 8 * 0.0024


@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("n", [3, 1000])
@pytest.mark.parametrize("liar", range(3))
def test_a_client_notices_a_false_component(rep3: Run, bits: bool, n: int, liar: int) -> None:
    value = np.ones(n, np.uint8) if bits else np.full(n, 7, np.uint64)
    x = rep3.share(value)
    client = rep3.setup.clients[0]
    parts = [p.copy() for p in x.parts]
    parts[liar][0, n - 1] ^= 1
    steps: list[Step[Any]] = [p.open(99, s, to=(client,), bits=bits) for p, s in zip(rep3.players, parts, strict=True)]
    steps.append(rep3.scheme.client_open((n,), bits, rep3.seats[client]))
    with pytest.raises(ProtocolError, match="different copies"):
        lockstep(steps)


def test_a_permutation_of_other_rows_is_refused(rep3: Run) -> None:
    with pytest.raises(ProtocolError, match="5 rows"):
        rep3.permute(rep3.permutation(5), rep3.share(np.zeros(6, np.uint64)), inverse=False)


@pytest.mark.parametrize(
    ("op", "attrs"), [("trunc", {"m": 62}), ("trunc", {"m": 0}), ("shift", {"m": 8, "width": 8})], ids=str
)
def test_attributes_out_of_range_are_refused(rep3: Run, op: str, attrs: dict[str, int]) -> None:
    x = rep3.share(np.zeros(3, np.uint64))
    for player, part in zip(rep3.players, x.parts, strict=True):
        with pytest.raises(ProtocolError):
            next(getattr(player, op)(16, part, **attrs))


class Recording(Prg):
    """Streams that note which blocks of which use were drawn."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.drawn: list[tuple[int, int, int]] = []

    def bytes(self, use: int, offset: int, n: int) -> Any:
        self.drawn.append((use, offset, offset + -(-n // BLOCK)))
        return super().bytes(use, offset, n)


@pytest.mark.parametrize("primitive", [p for p in EVERY if p.attrs.get("width", 64) > 40], ids=str)
def test_no_block_of_a_stream_is_drawn_twice(rep3: Run, primitive: Primitive) -> None:
    """Two draws at one address would mask two values alike; and a step keeps to its own uses."""
    operands = primitive.operands(np.random.default_rng(4), (200,))
    shares = [rep3.share(x) for x in operands]
    out = primitive.out([x.shape for x in operands])
    spies = [(Recording(bytes([i]) * 32), Recording(bytes([(i + 1) % 3]) * 32)) for i in range(3)]
    for i, player in enumerate(rep3.players):
        assert isinstance(player, Rep3Player)
        player.place = Place(i, *spies[i])
    own = range(1 << 20, (1 << 20) + USES)
    in_chain = range(chain_use(own.start), chain_use(own.stop))
    result = rep3.step(primitive.op, *shares, out=out, use=own.start, **primitive.attrs)
    primitive.check(operands, rep3.plain(result))
    for spy in (s for pair in spies for s in pair):
        drawn = sorted(d for d in spy.drawn if d[2] > d[1])
        assert all(use in own or use in in_chain for use, _, _ in drawn)
        for (use, _, end), (other, first, _) in itertools.pairwise(drawn):
            assert use < other or end <= first


def test_components_are_where_they_should_be(rep3: Run) -> None:
    """Party i holds x_i and x_(i+1), of every result."""
    for primitive in TYPICAL:
        operands = primitive.operands(np.random.default_rng(4), (300,))
        out = primitive.out([x.shape for x in operands])
        result = rep3.step(primitive.op, *map(rep3.share, operands), out=out, **primitive.attrs)
        for i in range(3):
            np.testing.assert_array_equal(result.parts[i][1], result.parts[(i + 1) % 3][0])
