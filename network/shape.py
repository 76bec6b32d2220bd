"""A slower link around any channel, so that everybody can see what a wide-area run costs.

The model: a party has one way out, of so many bits a second, shared by all that it sends to anyone; a frame leaves
when those before it have left, takes its size over the rate to leave, and is there one way (half a round trip) later.
The way in is not limited, TCP's own windows and the headers of TLS, TCP and IP are not modelled: a frame counts its
payload and its 16 bytes of header. Frames are held at the sender; the transport underneath then adds its own, real
time.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from network.errors import ChannelClosed, NetworkError
from network.frames import HEADER_BYTES, Bytes, body_length
from network.transport import HIGH_WATER, LOW_WATER, Channel, Tally

# Event loops sleep in whole milliseconds, rounded up. Over hundreds of rounds that would be a visible error, so the
# last millisecond before a frame is due is spent going round the loop instead.
_GRAIN = 1e-3

_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_BITS = {"bit": 1.0, "kbit": 1e3, "mbit": 1e6, "gbit": 1e9}
_TEXT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(s|ms|us)\s*,\s*([0-9]*\.?[0-9]+)\s*([kmg]?bit)(?:/s)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Link:
    """Round trip in seconds, and rate out of each party in bits a second."""

    rtt_seconds: float
    bits_per_second: float

    def __post_init__(self) -> None:
        if not 0 <= self.rtt_seconds < float("inf") or not self.bits_per_second > 0:
            raise ValueError("a link has a round trip of 0 s or more and a rate above 0 bit/s")


WAN = Link(rtt_seconds=0.040, bits_per_second=100e6)


def parse_link(text: str) -> Link | None:
    """`lan` (None: not shaped), `wan` (40 ms, 100 Mbit/s), or RTT,BANDWIDTH such as `20ms,1Gbit`. Raises ValueError."""
    word = text.strip().lower()
    if word == "lan":
        return None
    if word == "wan":
        return WAN
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"a link is `lan`, `wan`, or a round trip and a rate such as `20ms,1Gbit`; not {text!r}")
    return Link(float(match[1]) * _SECONDS[match[2].lower()], float(match[3]) * _BITS[match[4].lower()])


class Uplink:
    """One party's way out: releases what it is given in order, each when it would have arrived.

    Times are those of a virtual clock, not of when the loop got round to it: lateness does not add up over a queue.
    """

    def __init__(self, link: Link) -> None:
        self.link = link
        self._loop = asyncio.get_running_loop()
        self._free_at = 0.0
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()
        self._armed: asyncio.Handle | None = None
        self._idle: list[asyncio.Future[None]] = []

    def send(self, size: int, release: Callable[[], None]) -> None:
        """Call `release` when `size` bytes handed over now are through."""
        left = max(self._loop.time(), self._free_at) + size * 8 / self.link.bits_per_second
        self._free_at = left
        self._queue.append((left + self.link.rtt_seconds / 2, release))
        if self._armed is None:
            self._arm()

    async def idle(self) -> None:
        """Wait until nothing is on its way."""
        if self._queue:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(waiter)
            await waiter

    def _arm(self) -> None:
        due = self._queue[0][0]
        if due - self._loop.time() > _GRAIN:
            self._armed = self._loop.call_at(due - _GRAIN, self._release_due)
        else:
            self._armed = self._loop.call_soon(self._release_due)

    def _release_due(self) -> None:
        queue = self._queue
        while queue and queue[0][0] <= self._loop.time():
            release = queue.popleft()[1]
            try:
                release()
            except Exception as error:  # one frame's trouble must not hold up the others
                self._loop.call_exception_handler({"message": "a shaped frame was not sent", "exception": error})
        self._armed = None
        if queue:
            self._arm()
            return
        idle, self._idle = self._idle, []
        for waiter in idle:
            if not waiter.done():
                waiter.set_result(None)


class ShapedChannel(Channel):
    """A channel whose frames pass through an uplink before they are written to the channel inside."""

    def __init__(self, inner: Channel, uplink: Uplink) -> None:
        self.inner = inner
        self.peer = inner.peer
        self.sent = Tally()
        self.received = inner.received
        self._uplink = uplink
        self._waiting = 0  # bytes in the uplink
        self._closed = False
        self._aborted = False
        self._failure: NetworkError | None = None
        self._draining: list[asyncio.Future[None]] = []

    @property
    def limit(self) -> int:
        """The longest acceptable frame in bytes."""
        return self.inner.limit

    @limit.setter
    def limit(self, value: int) -> None:
        self.inner.limit = value

    def write(self, buffers: Sequence[Bytes]) -> None:
        """Queue one frame; it is written to the channel inside when it is through the uplink."""
        if self._closed:
            raise ChannelClosed(self.peer)
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        frame = tuple(buffers)
        size = body_length(frame)
        self.sent.frames += 1
        self.sent.payload += size
        self._waiting += size
        self._uplink.send(size + HEADER_BYTES, lambda: self._release(frame, size))

    def _release(self, frame: Sequence[Bytes], size: int) -> None:
        self._waiting -= size
        if not self._aborted and self._failure is None:
            try:
                self.inner.write(frame)
            except NetworkError as error:  # the next write or receive reports it
                self._failure = error
        if self._waiting <= LOW_WATER:
            waiters, self._draining = self._draining, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def drain(self) -> None:
        """Wait until the uplink, and then the channel inside, may be given more."""
        if self._waiting > HIGH_WATER:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._draining.append(waiter)
            await waiter
        await self.inner.drain()

    async def flush(self) -> None:
        """Wait until the uplink is idle and the channel inside has sent everything."""
        await self._uplink.idle()
        await self.inner.flush()

    async def receive(self, timeout: float | None = None) -> memoryview:  # noqa: ASYNC109 - raises PeerStalled
        """Exactly one frame."""
        if self._closed:
            raise ChannelClosed(self.peer)
        return await self.inner.receive(timeout)

    def poll(self) -> memoryview | None:
        """A frame that has arrived already, or None."""
        if self._closed:
            raise ChannelClosed(self.peer)
        return self.inner.poll()

    def set_receiver(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when frames have completed or the channel has ended."""
        self.inner.set_receiver(callback)

    def close(self, reason: str = "") -> None:
        """End the channel after the frames that are still in the uplink."""
        if not self._closed:
            self._closed = True
            self.inner.set_receiver(None)
            self._uplink.send(HEADER_BYTES + len(reason.encode()), lambda: self.inner.close(reason))

    def abort(self) -> None:
        """End the channel at once; frames in the uplink are dropped."""
        self._closed = self._aborted = True
        self.inner.abort()
