"""The additive protocol against plain definitions over the whole of each domain, and its cost against its traffic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from additive_parties import SCHEME, Run, kind, signed

from mpc.leading import Slots, digits

U = np.uint64
NODES = [2, 3, 5]


def spread(width: int, rng: np.random.Generator, n: int = 130) -> np.ndarray:
    """Signed numbers of `width` bits: ends of the range, around powers of two, and random ones."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    near = [s * (1 << k) + d for k in range(width - 1) for s in (1, -1) for d in (-1, 0, 1)]
    chosen = [v for v in [low, low + 1, high, high - 1, 0, *near] if low <= v <= high]
    return np.array([*chosen, *(int(v) for v in rng.integers(low, high, n, np.int64, endpoint=True))], np.int64)


@pytest.mark.parametrize("nodes", NODES)
def test_mul(nodes: int) -> None:
    run = Run(nodes)
    x, y = run.rng.integers(0, 1 << 64, (2, 50, 3), U)
    assert np.array_equal(run.compute("mul", run.deal(x), run.deal(y)), x * y)
    row = y[:1]
    assert np.array_equal(run.compute("mul", run.deal(x), run.deal(row)), x * row)
    assert np.array_equal(run.compute("mul", run.deal(x[:, :1]), run.deal(row)), x[:, :1] * row)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("left", "right"), [((4, 5), (5, 6)), ((2, 3, 4), (2, 4, 1)), ((2, 3, 4), (1, 4, 5))])
def test_matmul(nodes: int, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    run = Run(nodes)
    x, y = run.rng.integers(0, 1 << 64, left, U), run.rng.integers(0, 1 << 64, right, U)
    assert np.array_equal(run.compute("matmul", run.deal(x), run.deal(y)), x @ y)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("m", [1, 8, 16, 31, 61])
def test_trunc(nodes: int, m: int) -> None:
    run = Run(nodes)
    x = spread(63, run.rng, 3000)[1:]
    got = signed(run.compute("trunc", run.deal(x), m=m)) - (x >> m)
    assert got.min() >= 0
    assert got.max() <= 1
    assert not got[x & ((1 << m) - 1) == 0].any()


@pytest.mark.parametrize("nodes", NODES)
def test_trunc_error_is_the_fraction_in_the_mean(nodes: int) -> None:
    run = Run(nodes)
    x = np.full(20000, 3 << 14)
    assert abs(signed(run.compute("trunc", run.deal(x), m=16)).mean() - 0.75) < 0.02


@pytest.mark.parametrize("nodes", NODES)
def test_product_with_truncation(nodes: int) -> None:
    run = Run(nodes)
    x = run.rng.integers(-(1 << 30), 1 << 30, (200, 4))
    y = run.rng.integers(-(1 << 30), 1 << 30, (200, 4))
    got = signed(run.compute("mul_trunc", run.deal(x), run.deal(y), m=16)) - ((x * y) >> 16)
    assert set(np.unique(got)) <= {0, 1}
    x, y = x >> 4, y >> 4  # 200 products stay below 2^62
    got = signed(run.compute("matmul_trunc", run.deal(x.T), run.deal(y), m=20)) - ((x.T @ y) >> 20)
    assert set(np.unique(got)) <= {0, 1}
    big = np.array([1 << 31, -(1 << 31), (1 << 62) - 1, -(1 << 62) + 1, 0])
    one = np.array([(1 << 31) - 1, (1 << 31) - 1, 1, 1, 5])
    got = signed(run.compute("mul_trunc", run.deal(big), run.deal(one), m=13)) - ((big * one) >> 13)
    assert set(np.unique(got)) <= {0, 1}


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("left", "right"), [((70,), (70,)), ((3, 43), (1, 43)), ((3, 1), (3, 9)), ((0,), (0,))])
def test_and(nodes: int, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    run = Run(nodes)
    x, y = run.rng.integers(0, 2, left, np.uint8), run.rng.integers(0, 2, right, np.uint8)
    assert np.array_equal(run.compute("and_", run.deal(x, bits=True), run.deal(y, bits=True)), x & y)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("shape", [(131,), (64,), (2, 3), (), (0,)])
def test_b2a(nodes: int, shape: tuple[int, ...]) -> None:
    run = Run(nodes)
    x = run.rng.integers(0, 2, shape, np.uint8)
    got = run.step("b2a", run.deal(x, bits=True))
    assert got[0].dtype == U
    assert np.array_equal(run.join(got), x)


@pytest.mark.parametrize("width", range(1, 65))
def test_ltz(width: int) -> None:
    run = Run(2 + width % 2)
    x = spread(width, run.rng)
    assert np.array_equal(run.compute("ltz", run.deal(x), width=width), x < 0)


@pytest.mark.parametrize("width", range(1, 65))
def test_eqz(width: int) -> None:
    run = Run(2 + width % 2)
    x = spread(64, run.rng)
    if width < 64:
        x = np.concatenate([x, np.arange(-3, 4) << width])
    modulus = (1 << width) - 1
    assert np.array_equal(run.compute("eqz", run.deal(x), width=width), x.astype(U) & U(modulus) == 0)


@pytest.mark.parametrize("width", range(1, 65))
def test_bits(width: int) -> None:
    run = Run(2 + width % 2)
    x = spread(64, run.rng)
    want = (x.astype(U)[:, None] >> np.arange(width, dtype=U)) & U(1)
    assert np.array_equal(run.compute("bits", run.deal(x), width=width, sparse=0), want)


@pytest.mark.parametrize("width", range(1, 65))
def test_leading(width: int) -> None:
    run = Run(2 + width % 2)
    x = np.array([0, *(1 << k for k in range(width)), *((1 << k) - 1 for k in range(width + 1))], U)
    x = np.concatenate([x, run.rng.integers(0, 1 << 64, 70, U) >> U(64 - width)])
    for slots in (Slots(width), *([Slots(width, signed=True)] if width > 1 else [])):
        got = run.compute("leading", run.deal(x), **slots._asdict(), sparse=0)
        assert np.array_equal(got, digits(x, slots))


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("shape", [(), (7,), (0,), (3, 65)])
def test_weigh(nodes: int, shape: tuple[int, ...]) -> None:
    run = Run(nodes)
    bits = run.rng.integers(0, 2, (3, *shape), np.uint8)
    weights = ((1, -1), (1 << 63, 0), (-5, 1 << 16))
    got = run.compute("weigh", *(run.deal(b, bits=True) for b in bits), weights=weights)
    assert np.array_equal(
        signed(got), np.stack(bits, -1).astype(np.int64) @ np.array([[1, -1], [-(2**63), 0], [-5, 2**16]])
    )


@pytest.mark.parametrize("width", [2, 3, 9, 17, 20, 32, 48, 62, 63, 64])
@pytest.mark.parametrize("m", [1, 3, 4, 8, 16, 17, 31, 47, 62, 63])
def test_shift(width: int, m: int) -> None:
    if m >= width:
        pytest.skip("outside the domain")
    run = Run(2 + m % 2)
    x = spread(width, run.rng)
    assert np.array_equal(signed(run.compute("shift", run.deal(x), m=m, width=width)), x >> m)


@pytest.mark.parametrize("op", ["ltz", "eqz", "bits", "leading", "shift"])
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (64,), (1100,)])
def test_shapes_and_five_nodes(op: str, shape: tuple[int, ...]) -> None:
    run = Run(5)
    x = run.rng.integers(0, 1 << 20, shape)
    x = x - (1 << 19) if op in ("ltz", "shift") else x
    attrs: dict[str, Any] = {"width": 21} | ({"m": 6} if op == "shift" else {})
    attrs |= {"sparse": 0} if op in ("bits", "leading") else {}
    attrs |= Slots(21)._asdict() if op == "leading" else {}
    got = run.compute(op, run.deal(x), **attrs)
    want = {
        "ltz": lambda: x < 0,
        "eqz": lambda: x == 0,
        "bits": lambda: (np.asarray(x)[..., None] >> np.arange(21)) & 1,
        "leading": lambda: digits(x.astype(U), Slots(21)),
        "shift": lambda: np.asarray(x >> 6).astype(U),
    }[op]()
    assert got.shape == np.shape(want)
    assert np.array_equal(got, want)


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("bits", [False, True])
@pytest.mark.parametrize("shape", [(40,), (9, 3), (1,), (0, 2)])
def test_permute(nodes: int, bits: bool, shape: tuple[int, ...]) -> None:
    run = Run(nodes)
    x = run.rng.integers(0, 2 if bits else 1 << 64, shape, np.uint8 if bits else U)
    handles = [p.permutation(8, n=shape[0]) for p in run.players]
    order = np.arange(shape[0])
    for h in handles:
        order = order[h.order]
    moved = run.step("permute", handles, run.deal(x, bits=bits), inverse=False)
    assert np.array_equal(run.join(moved), x[order])
    assert np.array_equal(run.join(run.step("permute", handles, moved, inverse=True)), x)
    assert np.array_equal(run.compute("permute", handles, run.deal(x, bits=bits), inverse=False), x[order])


def test_permutation_depends_on_every_node_and_its_use() -> None:
    run = Run(3)
    orders = [tuple(p.permutation(u, n=20).order) for p in run.players for u in (8, 24)]
    assert len(set(orders)) == 6


@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize("bits", [False, True])
def test_share_and_open(nodes: int, bits: bool) -> None:
    run = Run(nodes, clients=2)
    shape = (5, 3)
    value = run.rng.integers(0, 2 if bits else 1 << 64, shape, np.uint8 if bits else U)
    out = kind(shape, bits)
    client = nodes + 1
    for owner in (0, nodes - 1, client):
        use = next(run.uses)
        attrs = {"owner": owner}
        given = [value if p == owner else None for p in range(nodes)]
        steps = [p.share(use, v, owner=owner, shape=shape, bits=bits) for p, v in zip(run.players, given, strict=True)]
        steps.append(run.dealer.deal("share", use, [], attrs))
        if owner == client:
            steps.append(SCHEME.client_share(value, shape, bits, run.seats[client]))
        results, measured = run.drive(steps)
        assert measured.rounds == SCHEME.cost("share", [], out, attrs, run.seats[0]).rounds
        assert np.array_equal(run.join(results[:nodes]), value)
    shares = run.deal(value, bits)
    for to in [tuple(range(nodes)), (0,), (nodes - 1, 0)]:
        for place, got in enumerate(run.step("open", shares, to=to)):
            assert np.array_equal(got, value) if place in to else got is None


def test_open_to_clients_and_nodes() -> None:
    run = Run(3, clients=2)
    value = run.rng.integers(0, 1 << 64, (4,), U)
    shares, to = run.deal(value), (1, 5)
    steps = [p.open(32, s, to=to, bits=False) for p, s in zip(run.players, shares, strict=True)]
    steps += [run.dealer.deal("open", 32, [kind((4,))], {"to": to}), _idle()]
    steps.append(SCHEME.client_open((4,), False, run.seats[5]))
    results, measured = run.drive(steps)
    assert measured.rounds == SCHEME.cost("open", [kind((4,))], kind((4,)), {"to": to}, run.seats[0]).rounds
    assert np.array_equal(results[5], value)
    assert np.array_equal(results[1], value)
    assert results[0] is None


def _idle():  # type: ignore[no-untyped-def]
    from mpc.protocol import exchange

    yield from exchange()


def test_local() -> None:
    run = Run(3)
    x = run.rng.integers(0, 1 << 64, (4, 2), U)
    shares = run.deal(x)
    added = [p.add_clear(s, np.array([[1], [2], [3], [4]], U)) for p, s in zip(run.players, shares, strict=True)]
    assert np.array_equal(run.join(added), x + np.array([[1], [2], [3], [4]], U))
    b = run.rng.integers(0, 2, (4,), np.uint8)
    flipped = [p.xor_clear(s, np.ones(4, np.uint8)) for p, s in zip(run.players, run.deal(b, True), strict=True)]
    assert np.array_equal(run.join(flipped), 1 - b)
    assert np.array_equal(run.join([p.constant(x, False) for p in run.players]), x)


@pytest.mark.parametrize(("width", "rounds"), [(64, 3), (18, 3), (17, 2), (6, 2), (5, 1), (1, 1)])
def test_rounds_of_a_comparison(width: int, rounds: int) -> None:
    cost = SCHEME.cost("ltz", [kind((64,))], kind((64,), True), {"width": width}, Run(2).seats[0])
    assert len(cost.rounds) == rounds
    if width == 64:
        assert cost.total[0, 1] == 64 * 97 // 8
        assert cost.total[2, 1] == 64 * 329 // 8


@pytest.mark.parametrize("nodes", NODES)
def test_a_chain_of_borrows(nodes: int) -> None:
    run = Run(nodes)
    x = spread(40, run.rng)
    assert np.array_equal(run.compute("ltz", run.deal(x), width=40, in_chain=True), x < 0)


@pytest.mark.parametrize("nodes", NODES)
def test_a_chain_is_taken_only_where_it_sends_less(nodes: int) -> None:
    seat, sign = Run(nodes).seats[0], kind((64,), True)
    tree, chain = (
        SCHEME.cost("ltz", [kind((64,))], sign, {"width": 64, "in_chain": chained}, seat) for chained in (False, True)
    )
    if nodes > 3:
        assert chain.rounds == tree.rounds
    else:
        assert chain.bytes < tree.bytes
        assert len(chain.rounds) == 63
