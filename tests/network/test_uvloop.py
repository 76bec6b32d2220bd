"""The same over uvloop, where it is installed."""

from __future__ import annotations

import asyncio

import pytest

from network import Link, PeerLost

uvloop = pytest.importorskip("uvloop")


@pytest.mark.parametrize("link", [None, Link(0.004, 10e9)])
def test_sessions_over_uvloop(new_parties, link):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(exchange(new_parties(), link))


async def exchange(parties, link) -> None:
    meshes = await parties.mesh(["alice", "bob"], link=link, stall_limit=0.5)
    left, right = await asyncio.gather(meshes["alice"].session("s", ["bob"]), meshes["bob"].session("s", ["alice"]))
    big = bytes(range(256)) * (16 << 10)
    for i in range(100):
        left["bob"].write([bytes([i])])
    left["bob"].write([big])
    right["alice"].write([big])

    assert [bytes(await right["alice"].receive(10))[0] for _ in range(100)] == list(range(100))
    assert await right["alice"].receive(10) == big
    assert await left["bob"].receive(10) == big
    left["bob"].close("done")
    with pytest.raises(PeerLost, match="done"):
        await right["alice"].receive(10)
    await parties.close()
