"""One TLS connection to one peer, and the sessions that share it.

Each side first sends a hello: the version of the wire format, its name, whom it means to reach, and how long it will
bear silence. Only when both hellos have been found right does the connection count (`greet`).

A session is opened by both sides: each numbers it for itself (its *tag*) and sends the number with the session's id;
then each knows the other's number, and data frames carry the sender's. Since nobody sends data before both have
opened, frames never come for a session unknown here; what is held for one that only the peer has opened is its
announcement, up to a bound. A side that leaves a session says goodbye with the reason and drops what still comes for
it until the peer's goodbye.

A heartbeat is sent when nothing else was for a sixth of the shorter of both sides' limits, from the event loop. So
silence beyond the limit means that the peer's process is stopped or gone, that the network is, or that its loop was
kept busy for as long by one computation: the limit has to exceed the longest step computed in one go. A connection on
which this side has itself stopped reading (see `ReadGate`) is not judged.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from network import tls
from network.errors import (
    FrameError,
    HandshakeFailed,
    NetworkError,
    PeerLost,
    PeerStalled,
    VersionMismatch,
    WrongCertificate,
)
from network.frames import (
    HEADER_BYTES,
    MAX_CONTROL,
    MAX_GOODBYE,
    VERSION,
    Bytes,
    Encoder,
    Kind,
    Parser,
    decode_json,
    decode_reason,
    encode_json,
    encode_reason,
)
from network.inbox import InboxChannel
from network.stream import Stream
from network.transport import DEFAULT_LIMIT, HIGH_WATER

MAX_SESSION_ID = 64
_MAX_HELLO = 4096
_MAX_OPENING = 256  # bytes of an announcement
_MAX_ANNOUNCED = 256  # sessions that a peer may have opened before us
_BEATS = 6  # heartbeats within the limit of silence
_SHORTEST_BEAT = 0.01  # whatever the peer says that it cannot bear


class ReadGate:
    """Bounds what waits to be received: a connection with too much of it is not read until some is taken.

    While anybody waits in `drain`, all connections are read: a party that sends before it receives must not wait for
    one that does the same.
    """

    def __init__(self, high: int) -> None:
        self.high = high
        self.draining = 0
        self.paused: set[Connection] = set()

    def __enter__(self) -> None:
        self.draining += 1
        for connection in list(self.paused):
            connection.resume()

    def __exit__(self, *_: object) -> None:
        self.draining -= 1


@dataclass(slots=True)
class _Announced:
    """A session that the peer has opened and this side has not: the peer's tag, and its reason if it left again."""

    tag: int
    goodbye: str | None = None


class MeshChannel(InboxChannel):
    """A session's channel to one peer."""

    def __init__(self, connection: Connection, session: bytes, tag: int) -> None:
        super().__init__(connection.peer)
        self.session = session
        self.tag = tag
        self.peer_tag = 0  # not known yet
        self.left = False  # closed on this side
        self._connection = connection

    def write(self, buffers: Sequence[Bytes]) -> None:
        """Queue one frame."""
        self._raise_failure()
        chunks = self._connection.encoder.encode(Kind.DATA, self.tag, buffers)
        self._connection.stream.write(chunks)
        self.sent.frames += 1
        self.sent.payload += sum([len(chunk) for chunk in chunks]) - HEADER_BYTES

    async def drain(self) -> None:
        """Wait until the peer may be sent more."""
        await self._connection.drain()
        self._raise_failure()

    async def flush(self) -> None:
        """Wait until everything written has been handed to the operating system."""
        await self._connection.stream.flush()

    def close(self, reason: str = "") -> None:
        """End the session with this peer."""
        if not self.left:
            self.left = True
            self._connection.leave(self, reason, sum([len(frame) for frame in self._frames]))
            self._leave()

    def abort(self) -> None:
        """End the session with this peer; frames already written to the shared connection cannot be held back."""
        self.close("aborted")

    async def joined(self) -> None:
        """Wait until the peer has opened the session too; raises when it cannot any more."""
        while not self.peer_tag:
            self._raise_failure()
            await self._arrival(None)
        if not self._frames:
            self._raise_failure()

    def _take(self) -> memoryview:
        frame = self._frames.popleft()
        self._connection.taken(len(frame))
        return frame

    def _fetch(self) -> None:
        self._connection.stream.read_now()


class Connection:
    """The connection to `peer`, over a TLS socket that is known to be its own.

    `on_lost` is called once when it has ended, for whatever reason; `stream.close` is due then.
    """

    def __init__(
        self,
        me: str,
        peer: str,
        socket: ssl.SSLSocket,
        *,
        stall_limit: float,
        gate: ReadGate,
        on_control: Callable[[str, dict[str, Any]], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self.me = me
        self.peer = peer
        self.encoder = Encoder()
        self.failure: NetworkError | None = None
        self.ended = asyncio.Event()
        self._stall_limit = stall_limit
        self._gate = gate
        self._on_control = on_control
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._greeted: asyncio.Future[None] = self._loop.create_future()
        self._interval = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._received = self._sent = 0  # bytes, at the last tick
        self._heard_at = 0.0
        self._held = 0  # bytes of frames that wait to be received
        self._own_tag = 0
        self._peer_tag = 0
        self._sessions: dict[bytes, MeshChannel] = {}  # open here
        self._inbound: dict[int, MeshChannel] = {}  # by the peer's tag, until the peer's goodbye
        self._announced: dict[bytes, _Announced] = {}
        self._touched: list[MeshChannel] = []
        self.stream = Stream(socket, Parser(peer, self._limit, self._deliver), self._arrived, self._broken)
        hello = {"parley": VERSION, "from": me, "to": peer, "stall_limit": stall_limit}
        self._send(Kind.CONTROL, 0, encode_json(hello))

    # Beginning and end

    async def greet(self, limit: float) -> None:
        """Wait for the peer's hello. Raises HandshakeFailed, WrongCertificate, VersionMismatch, PeerLost."""
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(self._greeted)
        except TimeoutError:
            self.fail(PeerLost(self.peer, f"it did not greet within {limit:g} s"))
        except asyncio.CancelledError:
            self.fail(PeerLost(self.peer, "given up before it had greeted"))
            raise
        if self.failure is not None:
            raise self.failure

    def fail(self, failure: NetworkError, goodbye: str = "") -> None:
        """End the connection: all sessions fail; the peer is told the reason if one is given."""
        if self.failure is not None:
            return
        if goodbye:
            self._send(Kind.GOODBYE, 0, encode_reason(goodbye))
        self.failure = failure
        self.ended.set()
        if self._timer is not None:
            self._timer.cancel()
        if not self._greeted.done():
            self._greeted.set_result(None)
        for channel in self._sessions.values():
            channel._end(failure)
            self._loop.call_soon(channel._signal)  # whoever is in a method of a channel now must not be called back
        self._gate.paused.discard(self)
        self._on_lost(self)

    def _broken(self, error: Exception | None) -> None:
        if isinstance(error, NetworkError):
            self.fail(error, goodbye=str(getattr(error, "why", error)))
        elif not self._greeted.done():
            self.fail(tls.explain(self.peer, error if isinstance(error, OSError) else ConnectionResetError()))
        elif error is None or isinstance(error, ConnectionError | ssl.SSLEOFError):
            why = "the connection ended without a goodbye: its process or its machine may have stopped"
            self.fail(PeerLost(self.peer, why))
        else:
            self.fail(PeerLost(self.peer, f"the connection broke ({error})"))

    def _hello(self, kind: Kind, tag: int, payload: memoryview) -> None:
        if kind is Kind.GOODBYE:
            raise HandshakeFailed(self.peer, f"it refused: {decode_reason(payload)}")
        hello = decode_json(self.peer, payload) if kind is Kind.CONTROL and tag == 0 else {}
        version, limit = hello.get("parley"), hello.get("stall_limit")
        if version != VERSION or isinstance(version, bool):
            raise VersionMismatch(self.peer, decode_reason(memoryview(str(version)[:32].encode())), VERSION)
        if hello.get("from") != self.peer:
            why = f"a certificate of {self.peer} was shown by somebody who says to be another party"
            raise WrongCertificate(self.peer, why)
        if hello.get("to") != self.me:
            raise HandshakeFailed(self.peer, f"it meant to reach another party than {self.me}: check the addresses")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0:
            raise HandshakeFailed(self.peer, "its hello does not say how long it bears silence")
        self._interval = max(min(self._stall_limit, float(limit)) / _BEATS, _SHORTEST_BEAT)
        self._heard_at = self._loop.time()
        self._timer = self._loop.call_later(self._interval, self._tick)
        self._greeted.set_result(None)

    def _tick(self) -> None:
        """Judge the peer's silence, and break our own."""
        now = self._loop.time()
        if self.stream.received != self._received or self.stream.paused:
            self._heard_at = now
        elif now - self._heard_at > self._stall_limit:
            self.stream.read_now()  # this loop may have been busy, and some loops run timers before they read
            if self.stream.received == self._received and self.failure is None:
                silent = f"{self.me} gave up after {self._stall_limit:g} s of silence"
                self.fail(PeerStalled(self.peer, self._stall_limit), goodbye=silent)
        if self.failure is not None:
            return
        self._received = self.stream.received
        if self.stream.sent == self._sent and not self.stream.unsent:
            self._send(Kind.HEARTBEAT, 0)
        self._sent = self.stream.sent
        self._timer = self._loop.call_later(self._interval, self._tick)

    # Arriving frames

    def _limit(self, kind: Kind, tag: int) -> int:
        if not self._greeted.done():
            return _MAX_HELLO
        if kind is Kind.DATA:
            if tag > self._peer_tag:
                raise FrameError(self.peer, f"data came for session {tag}, which it never opened")
            channel = self._inbound.get(tag)
            return DEFAULT_LIMIT if channel is None else channel.limit
        if kind is Kind.CONTROL:
            return _MAX_OPENING if tag else MAX_CONTROL
        return MAX_GOODBYE if kind is Kind.GOODBYE else 0

    def _deliver(self, kind: Kind, tag: int, payload: memoryview) -> None:
        if self.failure is not None:
            return
        if kind is Kind.DATA and self._greeted.done():
            channel = self._inbound.get(tag)  # None: this side left before the peer's opening came
            if channel is not None and not channel.left:
                channel._put(payload)
                self._touched.append(channel)
                self._held += len(payload)
                if self._held > self._gate.high and not self._gate.draining:
                    self._gate.paused.add(self)
                    self.stream.pause()
        elif not self._greeted.done():
            self._hello(kind, tag, payload)
        elif kind is Kind.CONTROL and tag:
            self._opened(tag, decode_json(self.peer, payload))
        elif kind is Kind.CONTROL:
            self._loop.call_soon(self._on_control, self.peer, decode_json(self.peer, payload))
        elif kind is Kind.GOODBYE and tag:
            self._left(tag, decode_reason(payload))
        elif kind is Kind.GOODBYE:
            self.fail(PeerLost(self.peer, f"it closed the connection: {decode_reason(payload)}"))

    def _arrived(self, deferred: bool) -> None:
        """After a burst: tell each channel once."""
        touched = self._touched
        if not touched:
            return
        self._touched = []
        for channel in touched if len(touched) == 1 else dict.fromkeys(touched):
            if deferred:
                self._loop.call_soon(channel._signal)
            else:
                channel._signal()

    def taken(self, size: int) -> None:
        """A frame of so many bytes has been received by the session."""
        self._held -= size
        if self.stream.paused and self._held <= self._gate.high // 2:
            self.resume()

    def resume(self) -> None:
        """Read again after the gate had stopped it."""
        self._gate.paused.discard(self)
        self._heard_at = self._loop.time()
        self.stream.resume()

    # Sessions

    def open(self, session: bytes) -> MeshChannel:
        """Open a session here and announce it. Raises ValueError if it is open, and the failure if there is one."""
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        if session in self._sessions:
            raise ValueError(f"session {session.hex()} with {self.peer} is open already")
        self._own_tag += 1
        channel = MeshChannel(self, session, self._own_tag)
        self._sessions[session] = channel
        self._send(Kind.CONTROL, channel.tag, encode_json({"open": session.hex()}))
        known = self._announced.pop(session, None)
        if known is not None:
            channel.peer_tag = known.tag
            if known.goodbye is None:
                self._inbound[known.tag] = channel
            else:
                channel._end(_ended(self.peer, known.goodbye))
        return channel

    def leave(self, channel: MeshChannel, reason: str, unread: int) -> None:
        """This side ends the session; `unread` bytes that waited for it are dropped."""
        if self._sessions.get(channel.session) is channel:
            del self._sessions[channel.session]
        self.taken(unread)
        if self.failure is None:
            self._send(Kind.GOODBYE, channel.tag, encode_reason(reason))

    def _opened(self, tag: int, message: dict[str, Any]) -> None:
        """The peer has opened a session."""
        try:
            session = bytes.fromhex(message["open"])
        except (KeyError, TypeError, ValueError):
            session = b""
        if not 0 < len(session) <= MAX_SESSION_ID or tag != self._peer_tag + 1:
            raise FrameError(self.peer, "it opened a session without a proper id and the next number")
        self._peer_tag = tag
        channel = self._sessions.get(session)
        if channel is not None and not channel.peer_tag:
            channel.peer_tag = tag
            self._inbound[tag] = channel
            self._touched.append(channel)
            return
        known = self._announced.pop(session, None)
        bound = channel is not None and self._inbound.get(channel.peer_tag) is channel
        if bound or (known is not None and known.goodbye is None):
            raise FrameError(self.peer, f"it opened session {session.hex()} twice")
        self._make_room()
        self._announced[session] = _Announced(tag)

    def _make_room(self) -> None:
        """Forget the oldest session that the peer opened and left, if there are too many."""
        if len(self._announced) >= _MAX_ANNOUNCED:
            gone = next((id_ for id_, known in self._announced.items() if known.goodbye is not None), None)
            if gone is None:
                raise FrameError(self.peer, f"it opened {_MAX_ANNOUNCED} sessions that nobody has joined")
            del self._announced[gone]

    def _left(self, tag: int, reason: str) -> None:
        """The peer has ended a session."""
        channel = self._inbound.pop(tag, None)
        if channel is not None:
            if not channel.left:
                channel._end(_ended(self.peer, reason))
                self._touched.append(channel)
            return
        for known in self._announced.values():
            if known.tag == tag and known.goodbye is None:
                known.goodbye = reason
                return
        raise FrameError(self.peer, f"it ended session {tag}, which is not open")

    # Sending

    def _send(self, kind: Kind, tag: int, payload: bytes = b"") -> None:
        self.stream.write(self.encoder.encode(kind, tag, (payload,)))

    def control(self, message: dict[str, Any]) -> None:
        """Send a control message. Raises ValueError when it is no JSON, and the failure if there is one."""
        encoded = encode_json(message)
        if self.failure is not None:
            raise self.failure.with_traceback(None)
        self._send(Kind.CONTROL, 0, encoded)

    async def drain(self) -> None:
        """Wait until the peer may be sent more."""
        if self.stream.unsent > HIGH_WATER:
            with self._gate:
                await self.stream.drain()


def _ended(peer: str, reason: str) -> PeerLost:
    return PeerLost(peer, f"it ended the session: {reason}" if reason else "it ended the session")
