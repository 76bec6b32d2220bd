"""rep3's parts turn over thirds of many elements and stay where they are for few: results and cost alike."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mpc.lockstep import lockstep
from mpc.protocol import Cost, Seat
from mpc.protocols import SCHEMES
from mpc.protocols.rep3 import Rep3Player
from mpc.protocols.rep3_place import thirds
from mpc.simulate import pair_keys
from mpc.types import INT, NOBODY, Layout, Type

M = 16


def shares(x: NDArray[np.uint64], rng: np.random.Generator) -> list[NDArray[np.uint64]]:
    parts = rng.integers(0, 1 << 64, (2, *x.shape), np.uint64)
    parts = np.concatenate([parts, (x - parts[0] - parts[1])[None]])
    return [np.stack([parts[i], parts[(i + 1) % 3]]) for i in range(3)]


@pytest.mark.parametrize("n", [4095, 4096, 4097, 10_000])
@pytest.mark.parametrize("op", ["trunc", "mul_trunc"])
def test_products_and_truncations_of_any_length(op: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x, y = (rng.integers(-(1 << 28), 1 << 28, n).astype(np.uint64) for _ in range(2))
    keys = pair_keys(3)
    seats = [Seat(i, 3, 3, None, keys[i]) for i in range(3)]
    players = [Rep3Player(seat) for seat in seats]
    xs, ys = shares(x, rng), shares(y, rng)
    if op == "trunc":
        steps = [p.trunc(0, s, m=M) for p, s in zip(players, xs, strict=True)]
        want = x.view(np.int64) / 2**M
    else:
        steps = [p.mul_trunc(0, s, t, m=M) for p, s, t in zip(players, xs, ys, strict=True)]
        want = x.view(np.int64) * y.view(np.int64) / 2**M

    out, measured = lockstep(steps)

    found = (out[0][0] + out[1][0] + out[2][0]).view(np.int64)
    assert all(np.array_equal(out[i][1], out[(i + 1) % 3][0]) for i in range(3))
    assert np.abs(found - want).max() < 1
    kind = Type(INT, (n,), NOBODY, Layout.ARITH)
    types = [kind] * (1 if op == "trunc" else 2)
    assert measured.rounds == SCHEMES["rep3"].cost(op, types, kind, {"m": M}, seats[0]).rounds


def test_few_stay_with_one_party_and_cost_the_busiest_no_more() -> None:
    def busiest(n: int) -> float:
        kind = Type(INT, (n,), NOBODY, Layout.ARITH)
        cost: Cost = SCHEMES["rep3"].cost("mul_trunc", [kind, kind], kind, {"m": M}, Seat(0, 3, 3))
        sent = [sum(b for (source, _), b in cost.total.items() if source == i) for i in range(3)]
        return max(sent) / n

    assert len(thirds(4095)) == 1
    assert len(thirds(4096)) == 3
    assert busiest(3000) <= 1.01 * busiest(6000)
