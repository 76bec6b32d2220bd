"""The receiving half of a channel, the same for every kind: frames that wait, and whom to tell.

Left to subclasses: how frames get here (`_put`, `_end`, then `_signal`), and everything about sending.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from network.errors import ChannelClosed, NetworkError, PeerStalled
from network.transport import DEFAULT_LIMIT, Channel, Tally

_EAGER = 32  # frames that `receive` may fetch itself before it waits for the loop


class InboxChannel(Channel):
    """A channel with a queue of arrived frames."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.sent = Tally()
        self.received = Tally()
        self._loop = asyncio.get_running_loop()
        self._limit = DEFAULT_LIMIT
        self._frames: deque[memoryview] = deque()
        self._failure: NetworkError | None = None
        self._receiver: Callable[[], None] | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._eager = _EAGER

    @property
    def limit(self) -> int:
        """The longest acceptable frame in bytes."""
        return self._limit

    @limit.setter
    def limit(self, value: int) -> None:
        self._limit = value

    def poll(self) -> memoryview | None:
        """A frame that has arrived already, or None."""
        if not self._frames:
            if self._failure is None:
                self._fetch()
            if not self._frames:
                self._raise_failure()
                return None
        return self._take()

    async def receive(self, timeout: float | None = None) -> memoryview:  # noqa: ASYNC109 - raises PeerStalled
        """Exactly one frame."""
        if not self._frames and self._failure is None and self._eager:
            # Looking costs less than a turn of the loop; but the loop must get its turns, for its timers' sake.
            self._eager -= 1
            self._fetch()
        while not self._frames:
            self._raise_failure()
            self._eager = _EAGER
            if not await self._arrival(timeout):
                raise PeerStalled(self.peer, timeout or 0.0)
        return self._take()

    async def _arrival(self, limit: float | None) -> bool:
        """Wait for the next signal: False if there was none within the limit."""
        if self._waiter is not None:
            raise RuntimeError(f"two coroutines receive from {self.peer} at once")
        waiter: asyncio.Future[bool] = self._loop.create_future()
        self._waiter = waiter
        timer = None if limit is None else self._loop.call_later(limit, _set, waiter, False)
        try:
            return await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def set_receiver(self, callback: Callable[[], None] | None) -> None:
        """Call `callback` when frames have completed or the channel has ended."""
        self._receiver = callback
        if callback is not None and (self._frames or self._failure is not None):
            self._loop.call_soon(self._signal)

    def _put(self, frame: memoryview) -> None:
        self._frames.append(frame)
        self.received.frames += 1
        self.received.payload += len(frame)

    def _end(self, failure: NetworkError) -> None:
        if self._failure is None:
            self._failure = failure

    def _leave(self) -> None:
        """This side closes: what waits is dropped, a coroutine in `receive` is woken, the receiver is let go."""
        self._failure = ChannelClosed(self.peer)
        self._frames.clear()
        self._receiver = None
        self._loop.call_soon(self._signal)

    def _signal(self) -> None:
        """Tell whoever waits, from the event loop; an error of the receiver goes to the loop's handler."""
        waiter = self._waiter
        if waiter is not None:
            _set(waiter, True)
        if self._receiver is not None:
            try:
                self._receiver()
            except Exception as error:
                text = f"the receiver of frames from {self.peer} failed"
                self._loop.call_exception_handler({"message": text, "exception": error})

    def _take(self) -> memoryview:
        return self._frames.popleft()

    def _fetch(self) -> None:
        """Look whether frames can be had at once; nothing to do unless there is a socket."""

    def _raise_failure(self) -> None:
        if self._failure is not None:
            # One failure may be raised many times: without this its traceback would grow with each.
            raise self._failure.with_traceback(None)


def _set(waiter: asyncio.Future[bool], arrived: bool) -> None:
    if not waiter.done():
        waiter.set_result(arrived)
