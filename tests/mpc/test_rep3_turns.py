"""rep3's parts turn over thirds of many elements and stay where they are for few: results, costs and an even load."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc.leading import Slots, digits
from mpc.lockstep import lockstep
from mpc.protocol import Cost, Seat, Share
from mpc.protocols import SCHEMES
from mpc.protocols.rep3 import Rep3Player
from mpc.protocols.rep3_place import thirds
from mpc.simulate import pair_keys
from mpc.types import BOOL, INT, NOBODY, Layout, Narrow, Type

M = 16

Signed = NDArray[np.int64]


def shares(x: NDArray[np.uint64], rng: np.random.Generator) -> list[NDArray[np.uint64]]:
    parts = rng.integers(0, 1 << 64, (2, *x.shape), np.uint64)
    parts = np.concatenate([parts, (x - parts[0] - parts[1])[None]])
    return [np.stack([parts[i], parts[(i + 1) % 3]]) for i in range(3)]


INTERVAL = 1 << 28


def held(n: int, seed: int) -> tuple[list[Rep3Player], list[Share], Signed]:
    rng = np.random.default_rng(seed)
    x = rng.integers(-INTERVAL, INTERVAL, n)
    keys = pair_keys(3)
    return [Rep3Player(Seat(i, 3, 3, None, keys[i])) for i in range(3)], shares(x.view(np.uint64), rng), x


def opened(out: list[Share], *, bits: bool = False) -> Signed:
    assert all(np.array_equal(out[i][1], out[(i + 1) % 3][0]) for i in range(3))
    found = out[0][0] ^ out[1][0] ^ out[2][0] if bits else out[0][0] + out[1][0] + out[2][0]
    return found.view(np.int64) if found.dtype == np.uint64 else found.astype(np.int64)


def declared(op: str, kinds: list[Type], out: Type, **attrs: Any) -> Cost:
    return SCHEMES["rep3"].cost(op, kinds, out, attrs, Seat(0, 3, 3))


def numbers(n: int) -> Type:
    return Type(INT, (n,), NOBODY, Layout.ARITH)


def flags(*shape: int) -> Type:
    return Type(BOOL, shape, NOBODY, Layout.BITS)


LENGTHS = [4095, 4096, 4097, 10_000]


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("op", ["trunc", "mul_trunc"])
def test_products_and_truncations_of_any_length(op: str, n: int) -> None:
    players, xs, x = held(n, n)
    if op == "trunc":
        steps = [p.trunc(0, s, m=M) for p, s in zip(players, xs, strict=True)]
        want = x / 2**M
    else:
        steps = [p.mul_trunc(0, s, s, m=M) for p, s in zip(players, xs, strict=True)]
        want = x * x / 2**M

    out, measured = lockstep(steps)

    assert np.abs(opened(out) - want).max() < 1
    assert measured.rounds == declared(op, [numbers(n)] * 2, numbers(n), m=M).rounds


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("width", [48, 64])
def test_shifts_of_any_length(width: int, n: int) -> None:
    players, xs, x = held(n, n)

    out, measured = lockstep([p.shift(0, s, m=M, width=width) for p, s in zip(players, xs, strict=True)])

    assert np.array_equal(opened(out), x >> M)
    assert measured.rounds == declared("shift", [numbers(n)], numbers(n), m=M, width=width).rounds


@pytest.mark.parametrize("n", [*LENGTHS, 100_001])
@pytest.mark.parametrize("width", [1, 7, 30, 64])
@pytest.mark.parametrize("op", ["ltz", "eqz", "bits", "leading"])
def test_looks_at_bits_of_any_number(op: str, width: int, n: int) -> None:
    players, xs, x = held(n, n)
    low = x & ((1 << min(width, 62)) - 1) if width < 64 else x

    slots = Slots(width)
    attrs: dict[str, Any] = {"width": width} | ({"sparse": 1} if op in ("bits", "leading") else {})
    attrs |= slots._asdict() if op == "leading" else {}
    out, measured = lockstep([getattr(p, op)(0, s, **attrs) for p, s in zip(players, xs, strict=True)])

    found = opened(out, bits=True)
    places = (x[:, None] >> np.minimum(np.arange(width), 63)) & 1
    if op == "ltz":
        want = places[:, -1]
    elif op == "eqz":
        want = (low == 0).astype(np.int64)
    elif op == "bits":
        want = places
    else:
        want = digits(x.astype(np.uint64), slots)
    assert np.array_equal(found, want)
    assert measured.rounds == declared(op, [numbers(n)], flags(*found.shape), **attrs).rounds


@pytest.mark.parametrize("n", [*LENGTHS, 100_001])
@pytest.mark.parametrize("width", [7, 16, 37, 64])
def test_truth_values_in_any_ring(width: int, n: int) -> None:
    players, _, x = held(n, n)
    given = (x & 1).astype(np.uint8)
    rng = np.random.default_rng(5)
    parts = rng.integers(0, 2, (2, n), np.uint8)
    whole = [*parts, parts[0] ^ parts[1] ^ given]
    steps = [p.b2a(0, np.stack([whole[i], whole[(i + 1) % 3]]), width=width) for i, p in enumerate(players)]

    out, measured = lockstep(steps)

    total = out[0][0] + out[1][0] + out[2][0]
    assert np.array_equal(total & total.dtype.type((1 << width) - 1), given)
    dtype = INT if width == 64 else Narrow(width)
    assert measured.rounds == declared("b2a", [flags(n)], Type(dtype, (n,), NOBODY, Layout.ARITH), width=width).rounds


WEIGHTS = ((1, 1 << 16), (1 << 16, 1 << 32), (1 << 48, 1 << 62), (-(1 << 48), 0))


@pytest.mark.parametrize("n", [*LENGTHS, 100_001])
def test_weighted_bits_of_any_number(n: int) -> None:
    players, _, x = held(n, n)
    given = ((x[:, None] >> np.arange(4)) & 1).astype(np.uint8)
    rng = np.random.default_rng(6)
    parts = rng.integers(0, 2, (2, *given.shape), np.uint8)
    whole = [*parts, parts[0] ^ parts[1] ^ given]
    mine = [np.stack([whole[i], whole[(i + 1) % 3]]) for i in range(3)]
    steps = [p.weigh(0, *(s[..., j] for j in range(4)), weights=WEIGHTS) for p, s in zip(players, mine, strict=True)]

    out, measured = lockstep(steps)

    assert np.array_equal(opened(out), given.astype(np.int64) @ np.array(WEIGHTS))
    assert measured.rounds == declared("weigh", [flags(n)] * 4, numbers(n), weights=WEIGHTS).rounds


def test_sums_made_of_others_cost_nothing() -> None:
    def size(*columns: tuple[int, ...]) -> int:
        weights = tuple(zip(*columns, strict=True))
        return declared("weigh", [flags(90)] * 3, numbers(90), weights=weights).bytes

    one, two, both = (1, 0, 0), (0, 4, -4), (-3, 8, -8)
    assert size(one, two, both) == size(one, two)
    assert size(one, two, (1, 4, 4)) == size(one, two) + 2 * 8 * 90


def sent(cost: Cost) -> list[list[int]]:
    """For each round, the bytes that each party sends."""
    return [[sum(b for (source, _), b in links.items() if source == i) for i in range(3)] for links in cost.rounds]


@pytest.mark.parametrize(
    "cost",
    [
        declared("b2a", [flags(30_000)], numbers(30_000)),
        declared("ltz", [numbers(30_000)], flags(30_000), width=64),
        declared("bits", [numbers(30_000)], flags(30_000, 20), width=20, sparse=1),
        declared("weigh", [flags(30_000)] * 4, numbers(30_000), weights=WEIGHTS),
        declared("eqz", [numbers(30_000)], flags(30_000), width=64),
        declared("shift", [numbers(30_000)], numbers(30_000), m=M, width=48),
        declared("shift", [numbers(30_000)], numbers(30_000), m=M, width=64),
        declared("mul_trunc", [numbers(30_000)] * 2, numbers(30_000), m=M),
    ],
)
def test_in_every_round_all_send_equally_much(cost: Cost) -> None:
    for each in sent(cost):
        assert max(each) <= 1.02 * min(each)


def test_few_stay_with_one_party_and_cost_the_busiest_no_more() -> None:
    def busiest(n: int) -> float:
        cost = declared("mul_trunc", [numbers(n)] * 2, numbers(n), m=M)
        return max(map(sum, zip(*sent(cost), strict=True))) / n

    assert len(thirds(4095)) == 1
    assert len(thirds(4096)) == 3
    assert len(thirds(10_000, 8)) == 1
    assert busiest(3000) <= 1.01 * busiest(6000)
