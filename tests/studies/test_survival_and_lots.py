"""Studies as their users write them: survival over two hospitals, and an auction of several lots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runtime import api

RNG = np.random.default_rng(12)

SURVIVAL = """party north, south, registry

input t1: int in 1..10[n] from north
input e1: bool[n] from north
input t2: int in 1..10[m] from south
input e2: bool[m] from south

t = concat(t1, t2)
e = concat(e1, e2)
survival = ones(10)
alive = 1.0
observed = 0
expected = 0.0
variance = 0.0
for day in range(1, 11):
    n1, n2 = sum(t1 >= day), sum(t2 >= day)
    d1, d2 = sum(t1 == day and e1), sum(t2 == day and e2)
    n, d = n1 + n2, d1 + d2
    share = n1 / max(n, 1)
    observed += d1
    expected += d * share
    variance += d * share * (1 - share) * (n - d) / max(n - 1, 1)
    alive *= 1 - d / max(n, 1)
    survival[day - 1] = alive

z = (observed - expected) / sqrt(variance)
reveal survival to all
reveal z to registry
reveal max(e and t >= 9) to registry as late
"""

LOTS = """party seller, ana, ben, cai

input ana_bids: decimal(2)[3] from ana
input ben_bids: decimal(2)[3] from ben
input cai_bids: decimal(2)[3] from cai
input reserve: decimal(2)[3] from seller

bids = stack(ana_bids, ben_bids, cai_bids)
winner = argmax(bids, axis=0)
top = top_k(bids.T, 2)
price = max(top[:, 1], reserve)
sold = top[:, 0] >= reserve
reveal winner if sold else full(3, -1) to all as winners
reveal sum(price * sold) to seller as revenue
reveal sum(price * (winner == 0) * sold) to ana as due
reveal max(sold) and not min(sold) to seller as some
"""


def learned(text: str, data: Any, protocol: str) -> Any:
    preprocessing = "dealer" if protocol == "additive" else None
    return api.simulate_sync(api.compile(text, protocol=protocol, preprocessing=preprocessing), data)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_survival_of_two_hospitals(protocol: str) -> None:
    t1, t2 = RNG.integers(1, 9, 20), RNG.integers(2, 11, 18)
    e1, e2 = RNG.integers(0, 2, 20) > 0, RNG.integers(0, 2, 18) > 0
    got = learned(SURVIVAL, {"north": {"t1": t1, "e1": e1}, "south": {"t2": t2, "e2": e2}}, protocol)
    t, e = np.concatenate([t1, t2]), np.concatenate([e1, e2])
    alive, over, spread, survival = 1.0, 0.0, 0.0, []
    for day in range(1, 11):
        n, d, first = (t >= day).sum(), ((t == day) & e).sum(), (t1 >= day).sum()
        share = first / max(n, 1)
        over += ((t1 == day) & e1).sum() - d * share
        spread += d * share * (1 - share) * (n - d) / max(n - 1, 1)
        alive *= 1 - d / max(n, 1)
        survival.append(alive)
    assert got["north"]["survival"] == pytest.approx(survival, abs=1e-3)
    assert got["registry"]["z"] == pytest.approx(over / np.sqrt(spread), abs=1e-3)
    assert got["registry"]["late"] == bool((e & (t >= 9)).any())
    assert "z" not in got["south"]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["rep3", "additive"])
def test_second_prices_of_several_lots(protocol: str) -> None:
    bids = {
        "ana": {"ana_bids": ["10.50", "3.25", "1.00"]},
        "ben": {"ben_bids": ["10.50", "4.00", "2.00"]},
        "cai": {"cai_bids": ["9.99", "3.99", "0.50"]},
        "seller": {"reserve": ["1.00", "1.00", "5.00"]},
    }
    got = learned(LOTS, bids, protocol)
    assert got["cai"]["winners"].tolist() == [0, 1, -1]
    assert got["seller"]["revenue"] == pytest.approx(14.49, abs=1e-9)
    assert got["ana"]["due"] == pytest.approx(10.50, abs=1e-9)
    assert got["seller"]["some"]
    assert "due" not in got["ben"]
