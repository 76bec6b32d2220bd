"""A mesh over TLS: connections, sessions that share them, control messages, what comes back after a loss."""

from __future__ import annotations

import asyncio
import socket

import pytest

from network import (
    Address,
    AddressInUse,
    CannotListen,
    HandshakeFailed,
    IdentityError,
    Link,
    Mesh,
    NotJoined,
    PeerLost,
    Roster,
    Unreachable,
    ephemeral_identity,
    tls,
)
from network.connection import Connection, ReadGate

WAIT = 20.0
NAMES = ["alice", "bob", "carol"]


async def join_all(meshes, session):
    opened = await asyncio.gather(
        *[mesh.session(session, [name for name in meshes if name != me]) for me, mesh in meshes.items()]
    )
    return dict(zip(meshes, opened, strict=True))


async def test_three_parties_exchange_with_everybody(parties):
    meshes = await parties.mesh(NAMES)
    channels = await join_all(meshes, b"\x00job")

    for me in NAMES:
        for other, channel in channels[me].items():
            assert channel.peer == other
            channel.write([f"{me} to {other}".encode()])
    for me in NAMES:
        for other, channel in channels[me].items():
            assert bytes(await channel.receive(WAIT)) == f"{other} to {me}".encode()
    assert meshes["alice"].connected == {"bob", "carol"}


async def test_two_parties_have_one_connection(parties):
    meshes = await parties.mesh(["alice", "bob"])
    for i in range(3):
        await join_all(meshes, f"session {i}")

    assert len(meshes["alice"]._alive) == len(meshes["bob"]._alive) == 1


async def test_frames_sent_before_the_others_call_has_returned_are_kept(parties):
    meshes = await parties.mesh(NAMES)
    slow = asyncio.ensure_future(meshes["bob"].session("job", ["alice", "carol"]))
    early = (await meshes["alice"].session("job", ["bob"]))["bob"]
    early.write([b"early"])
    await early.flush()
    assert not slow.done()  # carol has not joined

    at_carol = await meshes["carol"].session("job", ["bob"])
    at_bob = await slow
    assert bytes(await at_bob["alice"].receive(WAIT)) == b"early"
    assert list(at_carol) == ["bob"]


async def test_ending_a_session_drops_its_frames_and_no_others(parties):
    meshes = await parties.mesh(["alice", "bob"])
    ended, kept = await join_all(meshes, "ended"), await join_all(meshes, "kept")
    ended["bob"]["alice"].close("enough")
    for _ in range(10):
        ended["alice"]["bob"].write([bytes(100_000)])
        kept["alice"]["bob"].write([b"kept"])

    for _ in range(10):
        assert bytes(await kept["bob"]["alice"].receive(WAIT)) == b"kept"
    with pytest.raises(PeerLost, match="enough"):
        await ended["alice"]["bob"].receive(WAIT)
    connection = meshes["bob"]._peers["alice"].connection
    assert connection is not None
    assert connection._held == 0
    ended["alice"]["bob"].close()
    kept["alice"]["bob"].write([b"after"])
    assert bytes(await kept["bob"]["alice"].receive(WAIT)) == b"after"
    assert len(connection._inbound) == 1  # nothing is kept of what both have ended


async def test_a_session_can_be_opened_again_after_both_have_ended_it(parties):
    meshes = await parties.mesh(["alice", "bob"])
    for round_ in range(3):
        channels = await join_all(meshes, "again")
        channels["alice"]["bob"].write([bytes([round_])])
        assert bytes(await channels["bob"]["alice"].receive(WAIT)) == bytes([round_])
        with pytest.raises(ValueError, match="open already"):
            await meshes["alice"].session("again", ["bob"])
        channels["alice"]["bob"].close()
        with pytest.raises(PeerLost):
            await channels["bob"]["alice"].receive(WAIT)
        channels["bob"]["alice"].close()


async def test_a_peer_that_does_not_join_is_named(parties):
    meshes = await parties.mesh(NAMES)
    await asyncio.gather(*[mesh.connect() for mesh in meshes.values()])
    meshes["alice"]._connect_timeout = 0.3
    at_alice, at_bob = await asyncio.gather(
        meshes["alice"].session("job", ["bob", "carol"]),
        meshes["bob"].session("job", ["alice"]),
        return_exceptions=True,
    )

    assert isinstance(at_alice, NotJoined)
    assert str(at_alice).startswith("carol did not join the session within 0.3 s")
    with pytest.raises(PeerLost, match="carol did not join"):
        await at_bob["alice"].receive(WAIT)
    with pytest.raises(PeerLost, match="carol did not join"):  # carol comes too late, and learns why
        await meshes["carol"].session("job", ["alice"])


async def test_a_peer_that_is_not_there_is_named_with_its_address(parties, eventually):
    made, roster = parties.make(NAMES)
    made["bob"].listener.close()
    alice = await parties.start(made["alice"], roster, connect_timeout=0.3)
    await parties.start(made["carol"], roster)
    await eventually(lambda: alice.connected == {"carol"} and alice._peers["bob"].trouble == "Connection refused")
    with pytest.raises(Unreachable) as caught:
        await alice.connect()

    assert list(caught.value.peers) == ["bob"]
    where = str(roster["bob"].address)
    assert str(caught.value).startswith(f"could not reach bob ({where}: Connection refused) within 0.3 s")


async def test_a_peer_that_has_to_call_and_does_not_is_named(parties):
    made, roster = parties.make(["alice", "bob"])
    bob = await parties.start(made["bob"], roster, connect_timeout=0.2)
    with pytest.raises(Unreachable, match=f"alice .*, which has to call {bob.address}: no connection"):
        await bob.session("job", ["alice"])


async def test_a_node_may_start_late(parties, eventually):
    made, roster = parties.make(["alice", "bob"])
    made["bob"].listener.close()
    alice = await parties.start(made["alice"], roster)
    joining = asyncio.ensure_future(alice.session("job", ["bob"]))
    await eventually(lambda: alice._peers["bob"].trouble == "Connection refused")
    made["bob"].listener = socket.create_server(roster["bob"].address)
    bob = await parties.start(made["bob"], roster)

    assert list(await bob.session("job", ["alice"])) == ["alice"]
    assert list(await joining) == ["bob"]


async def test_a_lost_connection_fails_every_session_and_a_new_one_reconnects(parties):
    meshes = await parties.mesh(["alice", "bob"])
    first, second = await join_all(meshes, "1"), await join_all(meshes, "2")
    first["alice"]["bob"]._connection.stream._tls.shutdown(socket.SHUT_RDWR)

    for channels in (first, second):
        with pytest.raises(PeerLost, match="lost bob"):
            await channels["alice"]["bob"].receive(WAIT)
        with pytest.raises(PeerLost, match="lost alice: the connection ended without a goodbye"):
            await channels["bob"]["alice"].receive(WAIT)
        channels["alice"]["bob"].close()
        channels["bob"]["alice"].close()
    third = await join_all(meshes, "1")
    third["bob"]["alice"].write([b"back"])
    assert bytes(await third["alice"]["bob"].receive(WAIT)) == b"back"


async def test_a_restarted_peer_takes_the_place_of_its_dead_connection(parties):
    made, roster = parties.make(["alice", "bob"])
    bob = await parties.start(made["bob"], roster)
    old = await parties.start(made["alice"], roster)
    channels = await join_all({"alice": old, "bob": bob}, "old")
    made["alice"].listener = socket.create_server(("127.0.0.1", 0))
    new = await parties.start(made["alice"], roster)
    with pytest.raises(PeerLost, match="connected anew"):
        await channels["bob"]["alice"].receive(WAIT)

    await old.close()
    renewed = await join_all({"alice": new, "bob": bob}, "new")
    renewed["bob"]["alice"].write([b"x"])
    assert bytes(await renewed["alice"]["bob"].receive(WAIT)) == b"x"


async def test_closing_a_mesh_sends_what_was_written_and_tells_the_reason(parties):
    meshes = await parties.mesh(["alice", "bob"])
    channels = await join_all(meshes, "job")
    for _ in range(20):
        channels["alice"]["bob"].write([bytes(1 << 20)])
    closing = asyncio.ensure_future(meshes["alice"].close("maintenance"))

    for _ in range(20):
        assert len(await channels["bob"]["alice"].receive(WAIT)) == 1 << 20
    with pytest.raises(PeerLost, match="lost alice: it closed the connection: maintenance"):
        await channels["bob"]["alice"].receive(WAIT)
    await closing
    with pytest.raises(RuntimeError, match="closed"):
        await meshes["alice"].session("job", ["bob"])


async def test_who_waits_for_a_connection_learns_that_the_mesh_was_closed(parties):
    made, roster = parties.make(["alice", "bob"])
    bob = await parties.start(made["bob"], roster)
    waiting = asyncio.ensure_future(bob.connect())
    await asyncio.sleep(0)
    await bob.close()

    with pytest.raises(PeerLost, match="this party closed"):
        await waiting


async def test_closing_a_shaped_mesh_waits_for_what_is_on_its_way(parties):
    meshes = await parties.mesh(["alice", "bob"], link=Link(0.050, 8e6))
    channels = await join_all(meshes, "job")
    channels["alice"]["bob"].write([bytes(10_000)])
    channels["alice"]["bob"].close("done")
    await meshes["alice"].close()

    assert len(await channels["bob"]["alice"].receive(WAIT)) == 10_000
    with pytest.raises(PeerLost, match="it ended the session: done"):
        await channels["bob"]["alice"].receive(WAIT)


async def test_a_connection_with_too_much_unread_is_not_read_until_some_is_taken(parties, eventually):
    meshes = await parties.mesh(["alice", "bob"], stall_limit=0.3)
    meshes["bob"]._gate.high = 1 << 20
    channels = await join_all(meshes, "job")
    channel = channels["alice"]["bob"]
    count = 100  # far more than the kernel's buffers hold
    for _ in range(count):
        channel.write([bytes(1 << 20)])
    reader = meshes["bob"]._peers["alice"].connection
    assert reader is not None
    await eventually(lambda: reader.stream.paused)
    await asyncio.sleep(0.6)  # longer than the limit of silence: an unread peer is not judged

    assert channel._connection.stream.unsent > 0
    assert reader._held <= 3 << 20
    for _ in range(count):
        assert len(await channels["bob"]["alice"].receive(WAIT)) == 1 << 20
    assert not reader.stream.paused


async def test_parties_that_all_send_before_they_receive_do_not_wait_for_each_other_for_ever(parties):
    meshes = await parties.mesh(["alice", "bob"])
    for mesh in meshes.values():
        mesh._gate.high = 1 << 20
    channels = await join_all(meshes, "job")
    ends = [channels["alice"]["bob"], channels["bob"]["alice"]]

    async def party(channel):
        for _ in range(50):
            channel.write([bytes(1 << 20)])
            await channel.drain()
        return sum([len(await channel.receive(WAIT)) for _ in range(50)])

    assert await asyncio.wait_for(asyncio.gather(*map(party, ends)), WAIT) == [50 << 20] * 2


async def test_control_messages_come_in_order_and_early_ones_wait(parties):
    meshes = await parties.mesh(["alice", "bob"])
    for i in range(3):
        await meshes["alice"].send_control("bob", {"n": i})
    await meshes["bob"].send_control("alice", {"text": "é" * 100_000})
    got: list[tuple[str, object]] = []
    done = asyncio.get_running_loop().create_future()

    def take(peer, message):
        got.append((peer, message["n"]))
        if len(got) == 4:
            done.set_result(None)

    meshes["bob"].on_control(take)
    await meshes["alice"].send_control("bob", {"n": 3})
    await asyncio.wait_for(done, WAIT)
    assert got == [("alice", i) for i in range(4)]

    answer = asyncio.get_running_loop().create_future()
    meshes["alice"].on_control(lambda peer, message: answer.set_result((peer, message)))
    assert await asyncio.wait_for(answer, WAIT) == ("bob", {"text": "é" * 100_000})


async def test_what_is_no_json_is_not_sent(parties):
    meshes = await parties.mesh(["alice", "bob"])
    with pytest.raises(ValueError, match="JSON"):
        await meshes["alice"].send_control("bob", {"x": b"bytes"})
    with pytest.raises(ValueError, match="not among the peers of alice: bob"):
        await meshes["alice"].send_control("dave", {})


@pytest.mark.parametrize("session", ["", b"", "x" * 65])
async def test_a_session_id_has_bounds(parties, session):
    meshes = await parties.mesh(["alice", "bob"])
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        await meshes["alice"].session(session, ["bob"])


async def test_a_port_in_use_is_an_error_of_its_own(parties):
    made, roster = parties.make(["alice"])
    with pytest.raises(AddressInUse, match=f"cannot listen on {roster['alice'].address}: another process"):
        await Mesh(made["alice"].identity, roster).start()
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1"):
        await Mesh(made["alice"].identity, roster, listen=Address("192.0.2.1", 7000)).start()


async def test_a_roster_with_an_old_card_of_this_party_is_refused(parties):
    roster = Roster([ephemeral_identity("alice", "h:1").card])
    with pytest.raises(IdentityError, match="not of this party's own present key"):
        Mesh(ephemeral_identity("alice", "h:1"), roster)


async def test_only_the_first_name_may_call(parties):
    """Two rosters that sort the names in another way would give two connections: there is one rule."""
    made, roster = parties.make(["alice", "bob"])
    alice = await parties.start(made["alice"], roster)
    bob = await parties.start(made["bob"], roster)
    await asyncio.gather(alice.connect(), bob.connect())
    alice_card, bob_identity = roster["alice"], made["bob"].identity
    secure = await tls.dial(tls.client_context(bob_identity, alice_card), alice_card)
    lost = asyncio.Event()
    wrong = Connection(
        "bob",
        "alice",
        secure,
        stall_limit=10,
        gate=ReadGate(1 << 20),
        on_control=lambda peer, message: None,
        on_lost=lambda connection: lost.set(),
    )
    await asyncio.wait_for(lost.wait(), WAIT)
    await wrong.stream.close(1)

    assert "of the two alice is to call" in str(wrong.failure)
    assert isinstance(wrong.failure, PeerLost | HandshakeFailed)
    assert alice.connected == {"bob"}
