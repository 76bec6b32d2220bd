"""Who is not let in, and what each side is told: certificates, claimed names, versions, callers that are no nodes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl

import pytest

from network import HandshakeFailed, Mesh, Roster, Unreachable, VersionMismatch, WrongCertificate, ephemeral_identity
from network.frames import VERSION, Encoder, Kind, Parser, decode_reason, encode_json
from network.tls import client_context, server_context

WAIT = 20.0


class RawPeer:
    """Somebody who has a TLS connection to a node and says whatever the test wants; blocking, for a thread."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, *, server: bool) -> None:
        plain.settimeout(WAIT)
        self.socket = context.wrap_socket(plain, server_side=server)
        self.encoder = Encoder()
        self.frames: list[tuple[Kind, int, bytes]] = []
        self.parser = Parser("node", lambda *_: 1 << 20, lambda *f: self.frames.append((f[0], f[1], bytes(f[2]))))

    def send(self, kind: Kind, tag: int, body: bytes = b"") -> None:
        for chunk in self.encoder.encode(kind, tag, [body]):
            self.socket.sendall(chunk)

    def hello(self, **fields: object) -> None:
        hello = {"parley": VERSION, "from": "alice", "to": "bob", "stall_limit": 10, **fields}
        self.send(Kind.CONTROL, 0, encode_json({key: value for key, value in hello.items() if value is not None}))

    def read_to_the_end(self) -> str:
        """The reason of the node's goodbye for the connection, once it has hung up."""
        with self.socket:
            while count := self.socket.recv_into(self.parser.get_buffer()):
                self.parser.buffer_updated(count)
        goodbyes = [
            decode_reason(memoryview(body)) for kind, tag, body in self.frames if (kind, tag) == (Kind.GOODBYE, 0)
        ]
        return goodbyes[-1] if goodbyes else ""


def call(identity, card) -> RawPeer:
    return RawPeer(socket.create_connection(card.address), client_context(identity, card), server=False)


async def say(identity, card, *actions) -> str:
    """Call a node, do the actions, and give the reason of its goodbye."""

    def run() -> str:
        peer = call(identity, card)
        for action in actions:
            action(peer)
        return peer.read_to_the_end()

    return await asyncio.to_thread(run)


async def test_a_caller_with_an_unpinned_certificate_learns_who_refused_it(parties, caplog):
    made, roster = parties.make(["alice", "bob", "carol"])
    made["alice"].identity = ephemeral_identity("alice", roster["alice"].address)  # bob holds the old card
    own = Roster([made["alice"].identity.card, roster["bob"], roster["carol"]])
    with caplog.at_level(logging.WARNING, "network"):
        bob = await parties.start(made["bob"], roster)
        alice = await parties.start(made["alice"], own)
        with pytest.raises(
            WrongCertificate, match="no trusted connection with bob: it refused this party's certificate"
        ):
            await alice.connect(["bob"])
    assert "bob refused a connection from 127.0.0.1:" in caplog.text
    assert "not pinned" in caplog.text

    bob_waits = asyncio.ensure_future(bob.connect(["carol"]))
    await parties.start(made["carol"], roster)
    await bob_waits
    assert bob.connected == {"carol"}


async def test_a_listener_with_an_unpinned_certificate_is_not_spoken_to(parties):
    made, roster = parties.make(["alice", "bob"])
    made["bob"].identity = ephemeral_identity("bob", roster["bob"].address)
    await parties.start(made["bob"], Roster([roster["alice"], made["bob"].identity.card]))
    alice = await parties.start(made["alice"], roster)
    with pytest.raises(WrongCertificate, match="with bob: it showed a certificate that is not pinned for it here"):
        await alice.session("job", ["bob"])


async def test_a_pinned_party_at_another_partys_address_is_not_spoken_to(parties):
    made, roster = parties.make(["alice", "bob", "carol"])
    made["carol"].listener.close()
    made["carol"].listener = made["bob"].listener
    await parties.start(made["carol"], roster)
    alice = await parties.start(made["alice"], roster)
    with pytest.raises(WrongCertificate, match="with bob: it showed a certificate that is not pinned for it"):
        await alice.connect(["bob"])


async def test_a_pinned_party_cannot_claim_another_name(parties, caplog):
    made, roster = parties.make(["alice", "carol", "dave"])
    dave = await parties.start(made["dave"], roster)
    reason = await say(
        made["carol"].identity, roster["dave"], lambda peer: peer.hello(**{"from": "alice", "to": "dave"})
    )

    assert reason == "a certificate of carol was shown by somebody who says to be another party"
    assert "dave refused a connection" in caplog.text
    assert dave.connected == frozenset()


async def test_a_caller_that_meant_somebody_else_is_told(parties):
    made, roster = parties.make(["alice", "bob"])
    await parties.start(made["bob"], roster)
    reason = await say(made["alice"].identity, roster["bob"], lambda peer: peer.hello(to="carol"))

    assert reason == "it meant to reach another party than bob: check the addresses"


@pytest.mark.parametrize("version", [VERSION + 1, 0, "1", None, True])
async def test_a_caller_of_another_version_is_told_and_whoever_waits_for_it(parties, version):
    made, roster = parties.make(["alice", "bob"])
    bob = await parties.start(made["bob"], roster)
    waiting = asyncio.ensure_future(bob.connect())
    await asyncio.sleep(0)
    reason = await say(made["alice"].identity, roster["bob"], lambda peer: peer.hello(parley=version))

    assert reason == f"it speaks version {version} of the wire format, this party version 1; install the same release"
    with pytest.raises(VersionMismatch, match="no trusted connection with alice: it speaks version"):
        await waiting


async def test_a_listener_of_another_version_is_named(parties):
    made, roster = parties.make(["alice", "bob"])

    def serve() -> str:
        plain, _ = made["bob"].listener.accept()
        peer = RawPeer(plain, server_context(made["bob"].identity, roster), server=True)
        peer.hello(**{"from": "bob", "to": "alice", "parley": 9})
        return peer.read_to_the_end()

    serving = asyncio.ensure_future(asyncio.to_thread(serve))
    alice = await parties.start(made["alice"], roster)
    with pytest.raises(VersionMismatch, match="with bob: it speaks version 9"):
        await alice.connect()
    assert "version 9" in await serving


@pytest.mark.parametrize("limit", [0, -1, "30", None, True])
async def test_a_hello_must_say_how_long_silence_is_borne(parties, limit):
    made, roster = parties.make(["alice", "bob"])
    await parties.start(made["bob"], roster)

    assert "silence" in await say(made["alice"].identity, roster["bob"], lambda peer: peer.hello(stall_limit=limit))


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ((Kind.DATA, 1, b"x"), "data came for session 1, which it never opened"),
        ((Kind.GOODBYE, 3, b"x"), "it ended session 3, which is not open"),
        ((Kind.HEARTBEAT, 0, b"x"), "a frame of 1 bytes was announced, at most 0 are acceptable"),
        ((Kind.CONTROL, 0, b"[1]"), "a control message is not a JSON object"),
        ((Kind.CONTROL, 1, b"{}"), "it opened a session without a proper id and the next number"),
        ((Kind.CONTROL, 1, b'{"open": "zz"}'), "it opened a session without a proper id and the next number"),
        ((Kind.CONTROL, 2, b'{"open": "00"}'), "it opened a session without a proper id and the next number"),
        ((Kind.CONTROL, 1, b'{"open": "%s"}' % (b"00" * 65)), "it opened a session without a proper id"),
        ((Kind.CONTROL, 1, bytes(257)), "a frame of 257 bytes was announced, at most 256 are acceptable"),
        ((Kind.GOODBYE, 1, bytes(4097)), "a frame of 4097 bytes was announced, at most 4096 are acceptable"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection_with_the_reason(parties, frame, reason):
    made, roster = parties.make(["alice", "bob"])
    await parties.start(made["bob"], roster)
    told = await say(made["alice"].identity, roster["bob"], RawPeer.hello, lambda peer: peer.send(*frame))

    assert told.startswith(reason)


async def test_sessions_that_nobody_joins_are_bounded(parties):
    made, roster = parties.make(["alice", "bob"])
    await parties.start(made["bob"], roster)

    def flood(peer: RawPeer) -> None:
        for tag in range(1, 258):
            peer.send(Kind.CONTROL, tag, encode_json({"open": tag.to_bytes(4, "big").hex()}))

    def come_and_go(peer: RawPeer) -> None:
        for tag in range(1, 1000):
            peer.send(Kind.CONTROL, tag, encode_json({"open": tag.to_bytes(4, "big").hex()}))
            peer.send(Kind.GOODBYE, tag)
        peer.send(Kind.GOODBYE, 5000)

    told = await say(made["alice"].identity, roster["bob"], RawPeer.hello, flood)
    assert told == "it opened 256 sessions that nobody has joined"
    told = await say(made["alice"].identity, roster["bob"], RawPeer.hello, come_and_go)
    assert told == "it ended session 5000, which is not open"


async def test_callers_that_are_no_nodes_are_logged_and_forgotten(parties, caplog, eventually):
    made, roster = parties.make(["alice", "bob"])
    bob = await parties.start(made["bob"], roster)
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE

    def visit() -> None:
        with socket.create_connection(bob.address) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            plain.settimeout(WAIT)
            while plain.recv(1000):
                pass
        socket.create_connection(bob.address).close()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname = False
        old.verify_mode = ssl.CERT_NONE
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError), socket.create_connection(bob.address) as plain:
            old.wrap_socket(plain)
        with socket.create_connection(bob.address) as plain, stranger.wrap_socket(plain) as nobody:
            nobody.settimeout(WAIT)
            with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
                nobody.recv(1)

    await asyncio.to_thread(visit)
    await eventually(lambda: caplog.text.count("bob refused a connection from 127.0.0.1:") == 4)
    alice = await parties.start(made["alice"], roster)
    await asyncio.gather(alice.connect(), bob.connect())
    assert bob.connected == {"alice"}


async def test_an_address_where_something_else_answers_is_named(parties):
    made, roster = parties.make(["alice", "bob"])

    def serve() -> None:
        plain, _ = made["bob"].listener.accept()
        with plain, contextlib.suppress(ConnectionResetError):
            plain.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            plain.settimeout(WAIT)
            while plain.recv(1000):
                pass

    serving = asyncio.ensure_future(asyncio.to_thread(serve))
    alice = await parties.start(made["alice"], roster)
    with pytest.raises(HandshakeFailed, match=r"with bob: it does not speak mutual TLS 1\.3 as a Parley node does"):
        await alice.connect()
    await serving


async def test_an_address_where_nothing_answers_in_time_is_unreachable(parties):
    made, roster = parties.make(["alice", "bob"])  # bob's listener takes calls into its queue and answers none
    alice = Mesh(made["alice"].identity, roster, listener=made["alice"].listener, connect_timeout=0.2)
    async with alice:
        with pytest.raises(Unreachable, match="could not reach bob"):
            await alice.connect()
