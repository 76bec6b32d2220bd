"""A party among its peers: one TLS connection to each, kept up, and all sessions of a long-lived node over them.

Of two parties the one whose name sorts first dials; the other waits for the call. The dialler tries until the mesh is
closed, with growing pauses, and anew when a connection is lost, so a peer's node may start late or restart. A lost
connection fails the channels of its sessions for good: what was under way is unknown, and a job starts again as a new
session.

Nobody waits for ever: `connect`, `session` and `send_control` give up after `connect_timeout` seconds, and a
connection on which nothing is heard for `stall_limit` seconds is ended (what that means for long computations: see
`connection`). A refused caller is logged and forgotten. What is said in a session or in a control message is left to
the caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self

from network import tls
from network.connection import MAX_SESSION_ID, Connection, MeshChannel, ReadGate
from network.errors import (
    AddressInUse,
    CannotListen,
    HandshakeFailed,
    IdentityError,
    NetworkError,
    NotJoined,
    PeerLost,
    Unreachable,
)
from network.identity import Address, Identity, Roster
from network.shape import Link, ShapedChannel, Uplink
from network.transport import Channel, Transport

_log = logging.getLogger(__name__)

_GREETING_SECONDS = 10.0  # for a TLS handshake and the hellos
_GRACE_SECONDS = 2.0  # for sending what is left when a connection is closed
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
_MAX_GREETING = 64  # callers being greeted at once
_MAX_CONTROL_WAITING = 256  # control messages held for a callback that is not set yet
_INBOX_BYTES = 256 << 20  # per connection; beyond, it is not read until some have been received


class _Peer:
    """What the mesh knows of one peer at the moment."""

    __slots__ = ("connection", "trouble", "waiters", "wanted")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.trouble = "no connection has come about"
        self.waiters: set[asyncio.Future[Connection]] = set()
        self.wanted = asyncio.Event()  # somebody waits: the dialler shall not pause


class Mesh(Transport):
    """This party's end of all connections. Use as `async with Mesh(identity, roster) as mesh:`, or `start` and `close`.

    `listener`: a socket that listens already, as a parent process may pass; `listen`: an address to bind that differs
    from the card's, behind a router say; else the card's address is bound. `link` shapes all that this party sends in
    sessions.
    """

    def __init__(
        self,
        identity: Identity,
        roster: Roster,
        *,
        listener: socket.socket | None = None,
        listen: Address | None = None,
        connect_timeout: float = 30.0,
        stall_limit: float = 30.0,
        link: Link | None = None,
    ) -> None:
        own = roster.get(identity.name)
        if own is not None and own.certificate != identity.card.certificate:
            raise IdentityError(f"the roster's card for {identity.name} is not of this party's own present key")
        self.name = identity.name
        self._identity = identity
        self._roster = roster
        self._listener = listener
        self._listen = listen or identity.card.address
        self._connect_timeout = connect_timeout
        self._stall_limit = stall_limit
        self._link = link
        self._uplink: Uplink | None = None
        self._gate = ReadGate(_INBOX_BYTES)
        self._peers = {name: _Peer() for name in roster if name != self.name}
        self._alive: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()
        self._greeting = 0
        self._resting: asyncio.TimerHandle | None = None
        self._control: Callable[[str, dict[str, Any]], None] | None = None
        self._control_waiting: deque[tuple[str, dict[str, Any]]] = deque()
        self._closed = False

    # Life

    async def start(self) -> None:
        """Listen, and begin to dial. Raises CannotListen, AddressInUse, IdentityError."""
        server = tls.server_context(self._identity, self._roster)
        if self._listener is None:
            self._listener = _bind(self._listen)
        self._listener.setblocking(False)
        if self._link is not None:
            self._uplink = Uplink(self._link)
        self._listen_on(self._listener, server)
        for name in self._peers:
            if self.name < name:
                self._spawn(self._keep(name))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def address(self) -> Address:
        """Where this party listens."""
        if self._listener is None:
            return self._listen
        host, port = self._listener.getsockname()[:2]
        return Address(host, port)

    async def close(self, reason: str = "") -> None:
        """End everything: peers that are still in a session get PeerLost with the reason."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._resting is not None:
            self._resting.cancel()
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
        if self._uplink is not None:
            await self._uplink.idle()
        with contextlib.suppress(TimeoutError):  # a peer that takes nothing for so long is as good as gone
            async with asyncio.timeout(self._stall_limit):
                await asyncio.gather(*[connection.stream.flush() for connection in self._alive])
        for connection in list(self._alive):
            connection.fail(PeerLost(connection.peer, "this party closed its connections"), goodbye=reason or "done")
        await asyncio.gather(*self._closings, return_exceptions=True)
        for name, peer in self._peers.items():
            for waiter in peer.waiters:
                if not waiter.done():
                    waiter.set_exception(PeerLost(name, "this party closed its connections"))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Connections

    @property
    def connected(self) -> frozenset[str]:
        """The peers with a connection at this moment."""
        return frozenset(name for name, peer in self._peers.items() if peer.connection is not None)

    async def connect(self, peers: Iterable[str] | None = None) -> None:
        """Wait for connections to these peers (all of the roster when not said).

        Raises Unreachable naming all that could not be reached within `connect_timeout`, and at once HandshakeFailed
        when a peer answers but no trusted connection can come of it.
        """
        await self._connections(self._peers if peers is None else peers)

    async def _connections(self, names: Iterable[str]) -> dict[str, Connection]:
        wanted = [self._peer(name) for name in dict.fromkeys(names)]
        loop = asyncio.get_running_loop()
        missing: dict[asyncio.Future[Connection], _Peer] = {}
        for _, peer in wanted:
            if peer.connection is None:
                waiter: asyncio.Future[Connection] = loop.create_future()
                missing[waiter] = peer
                peer.waiters.add(waiter)
                peer.wanted.set()
        try:
            if missing:
                await asyncio.wait(missing, timeout=self._connect_timeout, return_when=asyncio.FIRST_EXCEPTION)
            for waiter in missing:
                if waiter.done():
                    waiter.result()
        finally:
            for waiter, peer in missing.items():
                peer.waiters.discard(waiter)
                if not waiter.cancel() and not waiter.cancelled():
                    waiter.exception()  # the first one raised is enough
        failed = {name: self._why(name) for name, peer in wanted if peer.connection is None}
        if failed:
            raise Unreachable(failed, self._connect_timeout)
        return {name: peer.connection for name, peer in wanted if peer.connection is not None}

    def _peer(self, name: str) -> tuple[str, _Peer]:
        if name not in self._peers:
            raise ValueError(f"{name} is not among the peers of {self.name}: {', '.join(self._peers)}")
        if self._closed:
            raise RuntimeError(f"the connections of {self.name} are closed")
        return name, self._peers[name]

    def _why(self, name: str) -> str:
        whose = "" if self.name < name else f", which has to call {self.address}"
        return f"{self._roster[name].address}{whose}: {self._peers[name].trouble}"

    async def _keep(self, name: str) -> None:
        """Dial a peer, and again whenever there is no connection."""
        peer, card = self._peers[name], self._roster[name]
        context = tls.client_context(self._identity, card)
        pause = _FIRST_PAUSE
        while True:
            peer.wanted.clear()
            try:
                async with asyncio.timeout(_GREETING_SECONDS):
                    connection = self._connection(name, await tls.dial(context, card))
                    await connection.greet(_GREETING_SECONDS)
            except (NetworkError, OSError, TimeoutError) as error:
                self._note(name, error)
            else:
                self._adopt(connection)
                pause = _FIRST_PAUSE
                await connection.ended.wait()
            try:
                async with asyncio.timeout(pause):
                    await peer.wanted.wait()
            except TimeoutError:
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _answer(self, listener: socket.socket, server: ssl.SSLContext) -> None:
        """Take a call, and greet it in a task of its own, so that a slow caller holds up nobody."""
        try:
            plain, where = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # out of descriptors, or the caller is gone already
            _log.warning("%s could not take a call: %s", self.name, error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener.fileno())
            self._resting = loop.call_later(_FIRST_PAUSE, self._listen_on, listener, server)
            return
        if self._greeting >= _MAX_GREETING:
            plain.close()
            return
        self._greeting += 1
        task = self._spawn(self._greet(server, plain, str(Address(*where[:2]))))
        task.add_done_callback(lambda _: self._greeted(plain))

    def _listen_on(self, listener: socket.socket, server: ssl.SSLContext) -> None:
        asyncio.get_running_loop().add_reader(listener.fileno(), self._answer, listener, server)

    def _greeted(self, plain: socket.socket) -> None:
        self._greeting -= 1
        plain.close()  # nothing, once TLS has taken the socket over; a task cancelled before it began has not

    async def _greet(self, server: ssl.SSLContext, plain: socket.socket, caller: str) -> None:
        name = f"the caller at {caller}"
        try:
            async with asyncio.timeout(_GREETING_SECONDS):
                name, secure = await tls.accept(server, self._roster, plain, name)
                connection = self._connection(name, secure)
                if self.name < name:
                    why = f"{name} called {self.name}, but of the two {self.name} is to call"
                    connection.fail(HandshakeFailed(name, why), goodbye=why)
                await connection.greet(_GREETING_SECONDS)
        except (NetworkError, OSError, TimeoutError) as error:
            _log.warning("%s refused a connection from %s: %s", self.name, caller, str(error) or "it took too long")
            if name in self._peers:
                self._note(name, error)
        else:
            self._adopt(connection)

    def _connection(self, name: str, secure: ssl.SSLSocket) -> Connection:
        connection = Connection(
            self.name,
            name,
            secure,
            stall_limit=self._stall_limit,
            gate=self._gate,
            on_control=self._control_came,
            on_lost=self._lost,
        )
        self._alive.add(connection)
        return connection

    def _adopt(self, connection: Connection) -> None:
        """A greeted connection takes its place; an older one of the same peer must be a dead one."""
        if connection.failure is not None:
            return
        peer = self._peers[connection.peer]
        if peer.connection is not None:
            peer.connection.fail(PeerLost(connection.peer, "it has connected anew"), goodbye="connected anew")
        peer.connection = connection
        for waiter in peer.waiters:
            if not waiter.done():
                waiter.set_result(connection)

    def _note(self, name: str, error: Exception) -> None:
        """Why there is no connection: those who wait learn at once what will not change by itself."""
        peer = self._peers[name]
        if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
            peer.trouble = os.strerror(error.errno)
        else:
            peer.trouble = str(error) or "it did not answer in time"
        if isinstance(error, HandshakeFailed) and peer.connection is None:
            for waiter in peer.waiters:
                if not waiter.done():
                    waiter.set_exception(error)

    def _lost(self, connection: Connection) -> None:
        peer = self._peers[connection.peer]
        if peer.connection is connection:
            peer.connection = None
            peer.trouble = str(connection.failure)
        self._alive.discard(connection)
        task = asyncio.get_running_loop().create_task(connection.stream.close(_GRACE_SECONDS))
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)

    # Sessions

    async def session(self, session_id: bytes | str, peers: Iterable[str]) -> dict[str, Channel]:
        """Open a session with exactly these peers, and wait until all have opened it."""
        session = session_id.encode() if isinstance(session_id, str) else bytes(session_id)
        if not 0 < len(session) <= MAX_SESSION_ID:
            raise ValueError(f"a session's id has 1 to {MAX_SESSION_ID} bytes, not {len(session)}")
        channels: dict[str, MeshChannel] = {}
        try:
            for name, connection in (await self._connections(peers)).items():
                channels[name] = connection.open(session)
            async with asyncio.timeout(self._connect_timeout):
                await asyncio.gather(*[channel.joined() for channel in channels.values()])
        except TimeoutError:
            absent = next((name for name, channel in channels.items() if not channel.peer_tag), "a peer")
            _close_all(channels, f"{absent} did not join")
            raise NotJoined(absent, self._connect_timeout) from None
        except NetworkError as error:
            _close_all(channels, f"{self.name} could not start it: {error}")
            raise
        except BaseException:
            _close_all(channels, f"{self.name} gave up starting it")
            raise
        uplink = self._uplink
        if uplink is None:
            return dict(channels)
        return {name: ShapedChannel(channel, uplink) for name, channel in channels.items()}

    # Control messages

    def on_control(self, callback: Callable[[str, dict[str, Any]], None] | None) -> None:
        """Call `callback(peer, message)` for every control message."""
        self._control = callback
        while self._control is not None and self._control_waiting:
            asyncio.get_running_loop().call_soon(self._control, *self._control_waiting.popleft())

    async def send_control(self, peer: str, message: dict[str, Any]) -> None:
        """Send one JSON object."""
        connection = (await self._connections([peer]))[peer]
        connection.control(message)
        await connection.drain()

    def _control_came(self, peer: str, message: dict[str, Any]) -> None:
        if self._control is not None:
            self._control(peer, message)
        elif len(self._control_waiting) < _MAX_CONTROL_WAITING:
            self._control_waiting.append((peer, message))
        else:
            _log.warning("%s dropped a control message of %s: nobody takes them", self.name, peer)


def _close_all(channels: dict[str, MeshChannel], reason: str) -> None:
    for channel in channels.values():
        channel.close(reason)


def _bind(address: Address) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        return socket.create_server(address, family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(str(address)) from None
        raise CannotListen(str(address), error.strerror or str(error)) from None
