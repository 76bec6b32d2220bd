"""Shaped links: times by the clock of an event loop that never waits, so that they are the model's own."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from network import WAN, Link, PeerLost, Uplink, cut, memory_mesh, parse_link

WAIT = 20.0
TURN = 1e-6
"""Seconds that each turn of the loop takes, so that who polls the clock gets on."""

EXACT = 20 * TURN


class Jumping(selectors.DefaultSelector):
    """Whoever would wait for a timer finds that it is due."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(None if timeout is None else 0)
        self.now += TURN if ready or not timeout else timeout
        return ready


class Unhurried(asyncio.SelectorEventLoop):
    """Its clock hardly moves while there is something to do, and then jumps to the next timer."""

    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.now


def in_model_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """However slow or busy the machine is, the test sees times that follow from latencies and bandwidths alone."""

    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        with asyncio.Runner(loop_factory=Unhurried) as runner:
            runner.run(test(**arguments))

    return run


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("lan", None),
        ("WAN", Link(0.040, 100e6)),
        ("20ms,1Gbit", Link(0.020, 1e9)),
        (" 1.5 s , 250 kbit/s", Link(1.5, 250e3)),
        ("500us,.5mbit", Link(0.0005, 0.5e6)),
        ("0ms,10bit", Link(0.0, 10)),
    ],
)
def test_links_are_read(text, link):
    assert parse_link(text) == link


@pytest.mark.parametrize("text", ["", "man", "20ms", "20,1Gbit", "20ms,1", "20ms,0Gbit", "-20ms,1Gbit", "20ms,1GB"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="link"):
        parse_link(text)


@in_model_time
async def test_a_frame_takes_one_way_and_its_time_on_the_line():
    mesh = memory_mesh(["a", "b"], latency=0.020, bandwidth=10e6)
    clock = asyncio.get_running_loop().time
    started = clock()
    mesh["a"]["b"].write([bytes(50_000)])
    await mesh["b"]["a"].receive(WAIT)
    took = clock() - started

    expected = 0.020 + (50_000 + 16) * 8 / 10e6
    assert took == pytest.approx(expected, abs=EXACT)


@in_model_time
async def test_rounds_add_up():
    mesh = memory_mesh(["a", "b"], latency=WAN.rtt_seconds / 2, bandwidth=WAN.bits_per_second)
    clock = asyncio.get_running_loop().time
    started = clock()
    for _ in range(5):
        mesh["a"]["b"].write([b"x"])
        mesh["b"]["a"].write([b"y"])
        await asyncio.gather(mesh["a"]["b"].receive(WAIT), mesh["b"]["a"].receive(WAIT))
    took = clock() - started

    assert took == pytest.approx(5 * (0.020 + 17 * 8 / 100e6), abs=5 * EXACT)


@in_model_time
async def test_all_that_a_party_sends_shares_its_way_out():
    mesh = memory_mesh(["a", "b", "c"], bandwidth=8e6)  # 1 byte a microsecond
    clock = asyncio.get_running_loop().time
    started = clock()
    mesh["a"]["b"].write([bytes(20_000)])
    mesh["a"]["c"].write([bytes(20_000)])
    mesh["b"]["c"].write([bytes(20_000)])
    arrived = {}

    async def receive(here: str, there: str) -> None:
        await mesh[here][there].receive(WAIT)
        arrived[there + here] = clock() - started

    await asyncio.gather(receive("b", "a"), receive("c", "a"), receive("c", "b"))

    one = (20_000 + 16) * 1e-6
    assert arrived == pytest.approx({"ab": one, "ac": 2 * one, "bc": one}, abs=EXACT)


@in_model_time
async def test_an_uplink_releases_in_order_and_on_time():
    clock = asyncio.get_running_loop().time
    uplink = Uplink(Link(0.010, 8e6))
    released: list[tuple[int, float]] = []
    started = clock()
    for i in range(100):
        uplink.send(100, lambda i=i: released.append((i, clock() - started)))
    await uplink.idle()

    assert [i for i, _ in released] == list(range(100))
    for i, when in released:
        assert when == pytest.approx(0.005 + (i + 1) * 100e-6, abs=EXACT)


@in_model_time
async def test_an_idle_uplink_saves_up_no_bandwidth():
    clock = asyncio.get_running_loop().time
    uplink = Uplink(Link(0.0, 8e6))
    for _ in range(2):
        started = clock()
        uplink.send(10_000, lambda: None)
        await uplink.idle()
        assert clock() - started == pytest.approx(0.010, abs=EXACT)


@in_model_time
async def test_drain_waits_for_the_way_out():
    mesh = memory_mesh(["a", "b"], bandwidth=1e9)
    clock = asyncio.get_running_loop().time
    started = clock()
    for _ in range(5):
        mesh["a"]["b"].write([bytes(1 << 20)])
    await mesh["a"]["b"].drain()

    assert clock() - started >= 4 * (8 << 20) / 1e9
    await mesh["a"]["b"].flush()
    assert clock() - started >= 5 * (8 << 20) / 1e9


@in_model_time
async def test_a_goodbye_takes_its_turn_and_abort_does_not():
    mesh = memory_mesh(["a", "b", "c"], latency=0.005)
    mesh["a"]["b"].write([b"first"])
    mesh["a"]["b"].close("bye")
    assert bytes(await mesh["b"]["a"].receive(WAIT)) == b"first"
    with pytest.raises(PeerLost, match="bye"):
        await mesh["b"]["a"].receive(WAIT)

    mesh["a"]["c"].write([b"never seen"])
    mesh["a"]["c"].abort()
    with pytest.raises(PeerLost, match="aborted"):
        await mesh["c"]["a"].receive(WAIT)


@pytest.mark.parametrize("latency", [0.0, 0.002])
@in_model_time
async def test_a_link_in_memory_can_be_lost_at_a_chosen_frame(latency):
    mesh = memory_mesh(["a", "b", "c"], latency=latency)
    cut(mesh["a"]["b"], after=2)
    for i in range(4):
        mesh["a"]["b"].write([bytes([i])])
        mesh["a"]["c"].write([bytes([i])])

    assert [bytes(await mesh["b"]["a"].receive(WAIT)) for _ in range(2)] == [b"\x00", b"\x01"]
    with pytest.raises(PeerLost, match="the link was cut"):
        await mesh["b"]["a"].receive(WAIT)
    with pytest.raises(PeerLost, match="the link was cut"):
        await mesh["a"]["b"].receive(WAIT)
    assert [bytes(await mesh["c"]["a"].receive(WAIT))[0] for _ in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(("rtt", "rate"), [(-1.0, 1.0), (0.0, 0.0), (float("inf"), 1.0), (0.0, float("nan"))])
def test_impossible_links_are_refused(rtt, rate):
    with pytest.raises(ValueError):
        Link(rtt, rate)
