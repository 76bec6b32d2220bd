"""Channels within one process, for tests, simulation and measuring: the same contract as over TLS, no sockets.

Speed and delay of the links are those of `shape`, the same code as for real connections. `cut` loses a link at a chosen
frame, for tests of faults. Nothing is encrypted: everything stays in one process.
"""

from __future__ import annotations

from collections.abc import Sequence

from network.errors import FrameError, NetworkError, PeerLost
from network.frames import Bytes, body_length, decode_reason, encode_reason
from network.inbox import InboxChannel
from network.shape import Link, ShapedChannel, Uplink
from network.transport import Channel


class MemoryChannel(InboxChannel):
    """One end of a pair; made by `memory_pair`."""

    _other: MemoryChannel

    def __init__(self, peer: str) -> None:
        super().__init__(peer)
        self._closed = False
        self._cut = False
        self._remaining: int | None = None  # frames that this end may still send before the link is lost

    def write(self, buffers: Sequence[Bytes]) -> None:
        """Queue one frame; it is there in the loop's next turn."""
        self._raise_failure()
        self.sent.payload += body_length(buffers)
        self.sent.frames += 1
        payload = bytearray().join(buffers)
        self._loop.call_soon(self._deliver, payload)

    def _deliver(self, payload: bytearray) -> None:
        if self._remaining == 0:
            self._lose()
        if self._cut:
            return
        if self._remaining is not None:
            self._remaining -= 1
        self._other._arrived(payload)

    def _arrived(self, payload: bytearray) -> None:
        if self._failure is not None:
            return
        if len(payload) <= self._limit:
            self._put(memoryview(payload))
        else:
            why = f"a frame of {len(payload)} bytes was announced, at most {self._limit} are acceptable"
            self._end(FrameError(self.peer, why))
            self._loop.call_soon(self._other._ended, PeerLost(self._other.peer, why))
        self._signal()

    def _ended(self, failure: NetworkError) -> None:
        self._end(failure)
        self._signal()

    def _lose(self) -> None:
        for end in (self, self._other):
            end._cut = True
            self._loop.call_soon(end._ended, PeerLost(end.peer, "the link was cut"))

    async def drain(self) -> None:
        """Nothing ever waits."""
        self._raise_failure()

    async def flush(self) -> None:
        """Nothing ever waits."""

    def close(self, reason: str = "") -> None:
        """End the channel; the other end is told the reason after the frames written before."""
        if self._closed:
            return
        self._closed = True
        text = decode_reason(memoryview(encode_reason(reason)))
        self._loop.call_soon(self._say_goodbye, text)
        self._leave()

    def _say_goodbye(self, reason: str) -> None:
        if not self._cut:
            why = f"it ended the session: {reason}" if reason else "it ended the session"
            self._other._ended(PeerLost(self._other.peer, why))

    def abort(self) -> None:
        """End the channel."""
        self.close("aborted")


def memory_pair(a: str, b: str) -> tuple[MemoryChannel, MemoryChannel]:
    """Two ends of a fresh link: a's channel to b, and b's channel to a."""
    at_a, at_b = MemoryChannel(b), MemoryChannel(a)
    at_a._other, at_b._other = at_b, at_a
    return at_a, at_b


def memory_mesh(
    names: Sequence[str], *, latency: float = 0.0, bandwidth: float | None = None
) -> dict[str, dict[str, Channel]]:
    """Channels between all of `names`: `mesh[a][b]` is a's channel to b.

    `latency` is one way in seconds, `bandwidth` the bits a second out of each party (None: unlimited).
    """
    mesh: dict[str, dict[str, Channel]] = {name: {} for name in names}
    shaped = latency > 0 or bandwidth is not None
    link = Link(2 * latency, float("inf") if bandwidth is None else bandwidth)
    uplinks = {name: Uplink(link) for name in names} if shaped else {}
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            at_a, at_b = memory_pair(a, b)
            mesh[a][b] = ShapedChannel(at_a, uplinks[a]) if shaped else at_a
            mesh[b][a] = ShapedChannel(at_b, uplinks[b]) if shaped else at_b
    return mesh


def cut(channel: Channel, after: int = 0) -> None:
    """Lose the link of a memory channel once its owner has sent `after` more frames: at once, or at the next one.

    Both ends then raise PeerLost, and frames under way are gone, as with a pulled cable that somebody noticed.
    """
    end = channel.inner if isinstance(channel, ShapedChannel) else channel
    if not isinstance(end, MemoryChannel):
        raise TypeError(f"only links in memory can be cut, not a {type(end).__name__}")
    if after:
        end._remaining = after
    else:
        end._lose()
