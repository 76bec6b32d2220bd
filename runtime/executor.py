"""Moves the bytes of a run: drives one step (an engine) over channels, one frame a peer and round.

A frame is the raw little-endian arrays of a round in schedule order, without tags: both sides know every shape.  What
arrives is taken as views, no copy.  Nothing that a peer says decides a length: a frame of another size than the
schedule's ends the job with an error that names peer, round and sizes.
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
from network import Channel, FrameError

__all__ = ["Traffic", "execute"]

T = TypeVar("T")

UNSENT = 1 << 20
"""After a round with more bytes than this to send, what follows is computed in a thread: the loop goes on sending."""


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
    try:
        exchange = await _advance(step, None, heavy(traffic.rounds))
        while True:
            got = await _round(exchange, channels, traffic, limit, place)
            much = _size(exchange) > UNSENT
            traffic.rounds += 1
            if progress is not None:
                progress(traffic.rounds)
            exchange = await _advance(step, got, much or heavy(traffic.rounds))
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    except _Finished as done:
        return done.value  # type: ignore[no-any-return]
    finally:
        step.close()
        traffic.seconds += time.perf_counter() - begun


def _size(exchange: Exchange) -> int:
    return sum(a.nbytes for arrays in exchange.send.values() for a in arrays)


class _Finished(Exception):  # noqa: N818 - a StopIteration cannot leave a thread or a coroutine
    def __init__(self, value: Any) -> None:
        self.value = value


async def _advance(step: Step[Any], got: Any, heavy: bool) -> Exchange:
    if heavy:
        return await asyncio.to_thread(_send, step, got)
    return _send(step, got)


def _send(step: Step[Any], got: Any) -> Exchange:
    try:
        return next(step) if got is None else step.send(got)
    except StopIteration as stop:
        raise _Finished(stop.value) from None


async def _round(
    exchange: Exchange, channels: Mapping[int, Channel], traffic: Traffic, limit: float, place: Callable[[int], str]
) -> dict[int, list[Array]]:
    for p, arrays in exchange.send.items():
        buffers = [np.ascontiguousarray(a).reshape(-1).view(np.uint8).data for a in arrays if a.nbytes]
        if not buffers:
            continue
        channels[p].write(buffers)
        traffic.sent[p] = traffic.sent.get(p, 0) + sum(b.nbytes for b in buffers)
    got: dict[int, list[Array]] = {}
    for p, templates in exchange.expect.items():
        total = sum(t.nbytes for t in templates)
        if total == 0:
            got[p] = [np.empty(t.shape, t.dtype) for t in templates]
            continue
        channel = channels[p]
        frame = channel.poll()
        if frame is None:
            began = time.perf_counter()
            frame = await channel.receive(limit)
            traffic.waited += time.perf_counter() - began
        if frame.nbytes != total:
            where = place(traffic.rounds)
            raise FrameError(channel.peer, f"round {traffic.rounds}, {where}: {frame.nbytes} bytes, {total} expected")
        got[p] = _split(frame, templates)
    for p in exchange.send:
        await channels[p].drain()
    return got


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
