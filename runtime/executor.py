"""Moves the bytes of a run: drives one step (an engine) over channels, one frame a peer and round.

A frame is the raw little-endian arrays of a round in schedule order, without tags: both sides know every shape.  What
arrives is taken as views, no copy.  Nothing that a peer says decides a length: a frame of another size than the
schedule's ends the job with an error that names peer, round and sizes.

Rounds are stepped by the callback that receives the last frame they need: a coroutine that waits for each frame would
cost a turn of the loop and a timer every time.  Only what takes long leaves this path: a round with much computation
goes to a thread, and after much has been written the coroutine waits until peers have taken it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from mpc.circuit import Array
from mpc.protocol import Exchange, Step, Template
from network import Channel, FrameError, PeerStalled

__all__ = ["Traffic", "execute"]

T = TypeVar("T")

UNSENT = 1 << 20
"""After so many bytes written, what follows is computed in a thread: the loop goes on sending meanwhile."""

TURNS = 32
"""Rounds stepped in one go when all they need is there; then the loop's timers and other sockets get their turn."""


@dataclass(slots=True)
class Traffic:
    """What one run cost at this party."""

    rounds: int = 0
    sent: dict[int, int] = field(default_factory=dict)
    waited: float = 0.0
    """Seconds spent waiting for peers."""
    seconds: float = 0.0


async def execute(
    step: Step[T],
    channels: Mapping[int, Channel],
    traffic: Traffic,
    *,
    limit: float,
    place: Callable[[int], str],
    heavy: Callable[[int], bool] = lambda r: False,  # noqa: ARG005
    progress: Callable[[int], None] | None = None,
) -> T:
    """Run `step` to its end.  channels: by place.  limit: seconds to wait for any one frame.

    place(round) says what of the study that round is about, for messages.  heavy(round): compute what comes before that
    round outside the event loop, which then keeps answering peers.  Rounds are counted as in `traffic`.
    Raises PeerLost, PeerStalled, FrameError.
    """
    begun = time.perf_counter()
    run = _Run(step, channels, traffic, limit, place, heavy, progress)
    try:
        await run.slowly(None)
        while not run.over:
            got = await run.rounds()
            if not run.over:
                await run.slowly(got)
    finally:
        run.leave()
        step.close()
        traffic.seconds += time.perf_counter() - begun
    return run.value  # type: ignore[no-any-return]


class _Run:
    """One run on its way.  `exchange` is the round under way, `missing` the peers whose frames it lacks."""

    def __init__(
        self,
        step: Step[Any],
        channels: Mapping[int, Channel],
        traffic: Traffic,
        limit: float,
        place: Callable[[int], str],
        heavy: Callable[[int], bool],
        progress: Callable[[int], None] | None,
    ) -> None:
        self.step = step
        self.channels = channels
        self.traffic = traffic
        self.limit = limit
        self.place = place
        self.heavy = heavy
        self.progress = progress
        self.over = False
        self.value: Any = None
        self.exchange = Exchange({}, {})
        self.missing: list[int] = []
        self.got: dict[int, list[Array]] = {}
        self.written = 0
        self.since: float | None = None
        self.waker: asyncio.Future[dict[int, list[Array]] | None] | None = None
        self.loop = asyncio.get_running_loop()
        self.timer = self.loop.call_later(limit, self._watch)
        for channel in channels.values():
            channel.set_receiver(self._wake)

    def leave(self) -> None:
        """Nobody calls back any more."""
        self.timer.cancel()
        for channel in self.channels.values():
            channel.set_receiver(None)

    # -- what takes long ---------------------------------------------------------------------------

    async def slowly(self, got: dict[int, list[Array]] | None) -> None:
        """One advance of the step after which much must be sent or computed: `exchange` is then the next round."""
        if self.written > UNSENT:
            for channel in self.channels.values():
                await channel.drain()
        threaded = self.written > UNSENT or self.heavy(self.traffic.rounds)
        self.written = 0
        if threaded:
            await asyncio.to_thread(self._advance, got)
        else:
            self._advance(got)

    def _advance(self, got: dict[int, list[Array]] | None) -> None:
        try:
            self.exchange = next(self.step) if got is None else self.step.send(got)
        except StopIteration as stop:
            self.over = True
            self.value = stop.value

    # -- round after round -------------------------------------------------------------------------

    async def rounds(self) -> dict[int, list[Array]] | None:
        """Go on until the step is over or its next advance is for `slowly`: what arrived for that."""
        waker = self.waker = self.loop.create_future()
        try:
            self._send()
            self._turn()
            got: dict[int, list[Array]] | None = await waker
            return got
        finally:
            self.waker = None

    def _wake(self) -> None:
        if self.waker is not None:
            self._turn()

    def _turn(self) -> None:
        """Step as far as what has arrived allows; errors go to whoever waits in `rounds`."""
        waker = self.waker
        if waker is None or waker.done():
            return
        try:
            for _ in range(TURNS):
                if self.missing and not self._collect():
                    return
                self._count()
                if self.written > UNSENT or self.heavy(self.traffic.rounds):
                    waker.set_result(self.got)
                    return
                self._advance(self.got)
                if self.over:
                    waker.set_result(None)
                    return
                self._send()
        except Exception as error:
            waker.set_exception(error)
            return
        self.loop.call_soon(self._turn)

    def _send(self) -> None:
        for p, arrays in self.exchange.send.items():
            buffers = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).data for a in arrays if a.nbytes]
            if buffers:
                size = sum([b.nbytes for b in buffers])
                self.channels[p].write(buffers)
                self.traffic.sent[p] = self.traffic.sent.get(p, 0) + size
                self.written += size
        self.got = {}
        self.missing = list(self.exchange.expect)

    def _collect(self) -> bool:
        """Take the frames that have arrived: True when none is missing any more."""
        self.missing = [p for p in self.missing if not self._take(p)]
        if self.missing and self.since is None:
            self.since = time.perf_counter()
        return not self.missing

    def _take(self, p: int) -> bool:
        """Take the frame of p, if it is there."""
        templates = self.exchange.expect[p]
        total = sum([t.nbytes for t in templates])
        if not total:
            self.got[p] = [np.empty(t.shape, t.dtype) for t in templates]
            return True
        frame = self.channels[p].poll()
        if frame is None:
            return False
        if frame.nbytes != total:
            r = self.traffic.rounds
            where = f"round {r}, {self.place(r)}"
            raise FrameError(self.channels[p].peer, f"{where}: {frame.nbytes} bytes, {total} expected")
        self.got[p] = _split(frame, templates)
        return True

    def _count(self) -> None:
        if self.since is not None:
            self.traffic.waited += time.perf_counter() - self.since
            self.since = None
        self.traffic.rounds += 1
        if self.progress is not None:
            self.progress(self.traffic.rounds)

    def _watch(self) -> None:
        """Give up when a round has waited for a frame for as long as the limit."""
        waited = 0.0 if self.since is None else time.perf_counter() - self.since
        if waited >= self.limit and self.waker is not None and not self.waker.done():
            self.waker.set_exception(PeerStalled(self.channels[self.missing[-1]].peer, self.limit))
            return
        self.timer = self.loop.call_later(max(self.limit - waited, 1e-3), self._watch)


def _split(frame: memoryview, templates: Sequence[Template]) -> list[Array]:
    arrays = []
    at = 0
    for t in templates:
        dtype = np.dtype(t.dtype)
        n = t.nbytes // dtype.itemsize
        array = np.frombuffer(frame, dtype, n, at).reshape(t.shape)
        # An unaligned view is several times slower to compute with than the copy costs.
        arrays.append(array if array.flags.aligned else array.copy())
        at += t.nbytes
    return arrays
