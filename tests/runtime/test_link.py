"""The link that a job names decides between circuits in few rounds and in few bytes, and all parties agree on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import runtime as parley
from dsl.compile import Compiler
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.link import NEAR, round_bytes
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule
from network import WAN
from runtime.job import Job

TEXT = """party a, b, c
input u: int in 0..2147483647[n] from a
input v: int in 0..2147483647[n] from b
x = concat(u, v)
reveal {what} to c as r
"""


def timetable(what: str, n: int, link: str, protocol: str = "rep3") -> Schedule:
    nodes, dealer = (("a", "b", "c"), None) if protocol == "rep3" else (("a", "b"), "dealer")
    job = Job(TEXT.format(what=what), "s.parley", ("a", "b", "c"), nodes, protocol, dealer, link=link)
    bindings = Bindings(sizes={"n": n // 2})
    study = parse(job.study)
    return Compiler(study, bindings, job.places, SCHEMES[protocol], round_bytes=job.round_bytes).stage().schedule


def seconds(plan: Schedule) -> float:
    """Over the wide-area link: a one-way delay a round, and the bytes of the busiest party."""
    return plan.rounds * WAN.rtt_seconds / 2 + plan.wire(WAN.bits_per_second)


@pytest.mark.parametrize(
    ("what", "n"),
    [
        ("sort(x)", 10_000),
        ("top_k(x, 5)", 10_000),
        ("max(x)", 65_536),
        ("u < v", 800_000),
        ("sqrt(x)", 40_000),
        ("1.0 / x", 40_000),
        ("exp(x / 500000000.0)", 8_000),
    ],
)
def test_each_choice_is_better_on_its_link(what: str, n: int) -> None:
    near, far = timetable(what, n, "lan"), timetable(what, n, "wan")

    assert far.rounds < near.rounds
    assert max(far.sent().values()) > max(near.sent().values())
    assert seconds(far) < seconds(near)


def test_each_comparison_is_better_on_its_link_with_a_dealer_too() -> None:
    near, far = (timetable("u < v", 1_600_000, link, "additive") for link in ("lan", "wan"))

    assert far.rounds < near.rounds
    assert max(far.sent().values()) > max(near.sent().values())
    assert seconds(far) < seconds(near)


@pytest.mark.slow
def test_the_results_are_the_same() -> None:
    rng = np.random.default_rng(7)
    u, v = rng.integers(0, 1 << 31, 1500), rng.integers(0, 1 << 31, 1500)
    got = [
        parley.simulate_sync(parley.compile(TEXT.format(what="sort(x)"), network=link), {"a": {"u": u}, "b": {"v": v}})[
            "c"
        ]["r"]
        for link in ("lan", "wan", "100ms,1Gbit")
    ]

    for values in got:
        assert values.tolist() == np.sort(np.concatenate([u, v])).tolist()


def test_a_round_counts_more_the_farther_and_the_faster_the_link() -> None:
    assert NEAR < round_bytes(0.04, 100e6) < round_bytes(0.08, 100e6) < round_bytes(0.08, 1e9)


def test_parties_agree_on_the_link() -> None:
    job = Job("party a, b\n", "s.parley", ("a", "b"), ("a", "b"), "additive", "dealer")
    far = replace(job, link="wan")

    assert [k for k, v in job.fingerprints().items() if far.fingerprints()[k] != v] == ["link"]
    assert Job.from_json(far.to_json()) == far
    with pytest.raises(ValueError, match="a link is"):
        Job.from_json({**far.to_json(), "link": "near"})
