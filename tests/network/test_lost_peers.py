"""Peers that die or fall silent, as real processes: killed, stopped, and stopped again while data is under way."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from network import Mesh, PeerLost, PeerStalled, create_identity, load_roster

WAIT = 20.0
STALL = 1.0


@pytest.fixture
async def remote(tmp_path, request):
    """alice here, bob as a process, in session 0."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    names = ["alice", "bob"]
    alice, _ = (
        create_identity(name, f"127.0.0.1:{listener.getsockname()[1]}", tmp_path)
        for name, listener in zip(names, listeners, strict=True)
    )
    roster = load_roster([tmp_path / f"{name}.card.toml" for name in names])
    script = Path(__file__).with_name("peer_process.py")
    fd = listeners[1].fileno()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), "bob", "alice", str(fd), str(STALL), stdout=PIPE, pass_fds=[fd]
    )
    listeners[1].close()
    mesh = Mesh(alice, roster, listener=listeners[0], stall_limit=STALL)
    await mesh.start()
    try:
        channel = (await mesh.session("0", ["bob"]))["bob"]
        assert await line(process) == "session 0"
        yield mesh, process, channel
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()
        await mesh.close()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), WAIT)).decode().strip()


async def test_a_killed_peer_is_lost_by_the_end_of_its_connection_and_not_by_silence(remote):
    mesh, process, channel = remote
    channel.write([b"alive"])
    assert bytes(await channel.receive(WAIT)) == b"alive"
    process.kill()

    with pytest.raises(PeerLost, match="lost bob: the connection ended without a goodbye"):
        await channel.receive(WAIT)
    with pytest.raises(PeerLost):
        channel.write([b"x"])
    assert mesh.connected == frozenset()


async def test_a_peer_killed_while_it_is_sent_to_is_lost(remote):
    _, process, channel = remote
    process.send_signal(signal.SIGSTOP)
    channel.write([bytes(64 << 20)])
    draining = asyncio.ensure_future(channel.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    process.kill()

    with pytest.raises(PeerLost, match="lost bob"):
        await draining


async def test_a_stopped_peer_is_noticed_by_who_waits_and_comes_back_in_a_new_session(remote):
    mesh, process, channel = remote
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(PeerStalled, match="bob was silent for 1 s"):
        await channel.receive(WAIT)
    assert mesh.connected == frozenset()

    process.send_signal(signal.SIGCONT)
    ended = await line(process)
    assert ended in (
        "PeerLost: lost alice: it closed the connection: alice gave up after 1 s of silence",
        "PeerLost: lost alice: it has connected anew",
    )
    channel.close()
    again = (await mesh.session("1", ["bob"]))["bob"]
    assert await line(process) == "session 1"
    again.write([b"back"])
    assert bytes(await again.receive(WAIT)) == b"back"


async def test_a_stopped_peer_is_noticed_when_nobody_waits_for_a_frame(remote):
    _, process, channel = remote
    noticed = asyncio.Event()
    channel.set_receiver(noticed.set)
    process.send_signal(signal.SIGSTOP)
    await asyncio.wait_for(noticed.wait(), WAIT)

    with pytest.raises(PeerStalled, match="bob"):
        channel.poll()


async def test_a_stopped_peer_is_noticed_by_who_sends(remote):
    _, process, channel = remote
    process.send_signal(signal.SIGSTOP)
    channel.write([bytes(64 << 20)])
    with pytest.raises(PeerStalled, match="bob"):
        await asyncio.wait_for(channel.drain(), WAIT)


@pytest.mark.slow
async def test_an_idle_peer_is_not_taken_for_a_stalled_one(remote):
    _, _, channel = remote
    with pytest.raises(PeerStalled):
        await channel.receive(2.5 * STALL)  # nothing is sent but heartbeats
    channel.write([b"still there"])

    assert bytes(await channel.receive(WAIT)) == b"still there"
