"""Parties on this machine: identities, meshes over TLS, and a channel pair of every kind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from network import Channel, Identity, Link, Mesh, Roster, ShapedChannel, cut, ephemeral_identity, memory_mesh
from network.connection import MeshChannel


@dataclass
class Party:
    identity: Identity
    listener: socket.socket


class Parties:
    """Fresh identities with sockets that listen already, their roster, and the meshes started among them."""

    def __init__(self) -> None:
        self.meshes: list[Mesh] = []
        self._unused: list[socket.socket] = []

    def make(self, names: Sequence[str]) -> tuple[dict[str, Party], Roster]:
        parties = {}
        for name in names:
            listener = socket.create_server(("127.0.0.1", 0))
            self._unused.append(listener)
            identity = ephemeral_identity(name, f"127.0.0.1:{listener.getsockname()[1]}")
            parties[name] = Party(identity, listener)
        return parties, Roster(party.identity.card for party in parties.values())

    async def start(self, party: Party, roster: Roster, **options: Any) -> Mesh:
        mesh = Mesh(party.identity, roster, listener=party.listener, **{"connect_timeout": 10.0, **options})
        self.meshes.append(mesh)
        await mesh.start()
        return mesh

    async def mesh(self, names: Sequence[str], **options: Any) -> dict[str, Mesh]:
        parties, roster = self.make(names)
        return {name: await self.start(party, roster, **options) for name, party in parties.items()}

    async def close(self) -> None:
        for mesh in self.meshes:
            await mesh.close()
        for listener in self._unused:
            listener.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition that nobody announces."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def new_parties() -> type[Parties]:
    """For tests that bring a loop of their own."""
    return Parties


@pytest.fixture
async def parties() -> AsyncIterator[Parties]:
    parties = Parties()
    yield parties
    await parties.close()


@dataclass
class Pair:
    """alice's channel to bob and bob's to alice; `lose` breaks what is between them."""

    left: Channel
    right: Channel
    kind: str

    def lose(self) -> None:
        inner = self.left.inner if isinstance(self.left, ShapedChannel) else self.left
        if isinstance(inner, MeshChannel):
            inner._connection.stream._tls.shutdown(socket.SHUT_RDWR)
        else:
            cut(self.left)


LINK = Link(rtt_seconds=0.004, bits_per_second=10e9)
KINDS = ("memory", "shaped memory", "tls", "shaped tls")


@pytest.fixture(params=KINDS)
async def make_pair(request: pytest.FixtureRequest, parties: Parties) -> Callable[[], Awaitable[Pair]]:
    """Makes any number of channel pairs between the same two parties: sessions of one mesh where there is one."""
    kind: str = request.param
    shaped = kind.startswith("shaped")
    meshes = await parties.mesh(["alice", "bob"], link=LINK if shaped else None) if "tls" in kind else {}
    count = 0

    async def make() -> Pair:
        nonlocal count
        count += 1
        if not meshes:
            latency = LINK.rtt_seconds / 2 if shaped else 0.0
            mesh = memory_mesh(["alice", "bob"], latency=latency, bandwidth=LINK.bits_per_second if shaped else None)
            return Pair(mesh["alice"]["bob"], mesh["bob"]["alice"], kind)
        left, right = await open_session(meshes["alice"], meshes["bob"], f"session {count}")
        return Pair(left, right, kind)

    return make


async def open_session(a: Mesh, b: Mesh, session: str) -> tuple[Channel, Channel]:
    at_a, at_b = await asyncio.gather(a.session(session, [b.name]), b.session(session, [a.name]))
    return at_a[b.name], at_b[a.name]


@pytest.fixture
async def pair(make_pair: Callable[[], Awaitable[Pair]]) -> Pair:
    return await make_pair()
