"""The contracts: what a channel to one party does, and what a transport that opens channels does.

Everything above this package is written against `Channel` and `Transport`; `mesh` (TLS), `memory` (in one process) and
`shape` (a slower link around either) implement them, and one conformance suite holds them to what is written here.
A channel carries frames, not bytes: what one `write` was given is what one `receive` gives, whole and in order.
What the frames hold is left to others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from network.frames import HEADER_BYTES, Bytes

DEFAULT_LIMIT = 64 << 20
HIGH_WATER = 4 << 20  # bytes waiting to be sent above which `drain` waits …
LOW_WATER = 1 << 20  # … until no more than these are left


class Tally:
    """Frames and payload bytes of one direction, counted when they are written or have arrived."""

    __slots__ = ("frames", "payload")

    def __init__(self) -> None:
        self.frames = 0
        self.payload = 0

    @property
    def wire(self) -> int:
        """Payload and frame headers in bytes; what TLS and TCP add to them is not counted."""
        return self.payload + HEADER_BYTES * self.frames


class Channel(ABC):
    """An ordered, reliable, authenticated pipe of frames to one named party.

    All methods belong to the thread of the event loop. One consumer at a time: either a coroutine in `receive`, or a
    receiver callback that polls.

    A channel ends once, by `close` or `abort` on either side or by a failure. Frames that arrived before the
    other side's end can still be received after it; then `receive`, `poll` and `write` raise PeerLost with the other
    side's reason when it closed or vanished, PeerStalled when it fell silent, FrameError when it broke the format.
    Closing on this side drops what has not been received: from then on they raise ChannelClosed.
    """

    peer: str
    sent: Tally
    received: Tally

    @property
    def bytes_sent(self) -> int:
        """Payload bytes written so far."""
        return self.sent.payload

    @property
    def bytes_received(self) -> int:
        """Payload bytes arrived so far, whether taken yet or not."""
        return self.received.payload

    @property
    def frames_sent(self) -> int:
        """Frames written so far."""
        return self.sent.frames

    @property
    @abstractmethod
    def limit(self) -> int:
        """The longest acceptable frame in bytes, 64 MiB unless set; a longer one is a FrameError that ends the channel.

        Set it before the peer can send such a frame, which is: before this side sends what the peer waits for.
        """

    @limit.setter
    @abstractmethod
    def limit(self, value: int) -> None: ...

    @abstractmethod
    def write(self, buffers: Sequence[Bytes]) -> None:
        """Queue one frame, the buffers one after another, without waiting.

        Large buffers are not copied: they must be C-contiguous and must not change until they are sent, which they
        certainly are after `flush`. Raises what `receive` would raise if the channel has ended, and ValueError for
        4 GiB or more.
        """

    @abstractmethod
    async def drain(self) -> None:
        """Wait until the peer may be sent more: at once while less than 4 MiB wait, else until 1 MiB is left."""

    @abstractmethod
    async def flush(self) -> None:
        """Wait until all that was written, a close's goodbye too, has been handed to the operating system.

        Returns at once when the channel has failed: nothing more can be sent then.
        """

    @abstractmethod
    async def receive(self, timeout: float | None = None) -> memoryview:  # noqa: ASYNC109 - raises PeerStalled
        """Exactly one frame, as writable memory of the caller's own.

        With a timeout in seconds, raises PeerStalled when none has come by then; the channel stays usable.
        """

    @abstractmethod
    def poll(self) -> memoryview | None:
        """A frame that has arrived already, or None; raises as `receive`. May look into the socket, never waits."""

    @abstractmethod
    def set_receiver(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` in the event loop whenever frames have completed or the channel has ended.

        It is not called from inside any method of a channel, so it may use them all. It may be called with nothing to
        poll, and once for several frames: poll until None. It is called soon if something waits already.
        """

    @abstractmethod
    def close(self, reason: str = "") -> None:
        """End the channel: what was written is still sent, then a goodbye with the reason. Again: nothing."""

    @abstractmethod
    def abort(self) -> None:
        """End the channel without sending what still can be held back."""


class Transport(ABC):
    """Channels to the parties of a roster, in sessions, and short messages besides."""

    name: str

    @abstractmethod
    async def session(self, session_id: bytes | str, peers: Iterable[str]) -> dict[str, Channel]:
        """Open a session with exactly these peers: one channel to each, once all of them have opened it too.

        The id is 1 to 64 bytes (a text as UTF-8), the same at all parties. Raises Unreachable, HandshakeFailed,
        NotJoined, PeerLost with the reason if a peer has already left it, ValueError if it is open here.
        """

    @abstractmethod
    def on_control(self, callback: Callable[[str, dict[str, Any]], None] | None) -> None:
        """Call `callback(peer, message)` for every control message; earlier ones wait for it, up to a bound."""

    @abstractmethod
    async def send_control(self, peer: str, message: dict[str, Any]) -> None:
        """Send one JSON object of at most 16 MiB. Returns when it is on its way: an answer says that it arrived."""

    @abstractmethod
    async def close(self, reason: str = "") -> None:
        """End every session and connection, after what was written has been sent."""
