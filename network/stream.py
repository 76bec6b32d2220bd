"""Bytes over one TLS socket in the event loop, as fast as Python gets them through.

asyncio's own TLS copies every byte through two memory BIOs and protocols. Here the socket itself is OpenSSL's: received
bytes go straight into the parser's buffer, written buffers straight to the cipher. Prototypes of both, between two
processes on two cores, asyncio's loop: 25 us against 34 us for an exchange of 64 bytes, 1,080 MB/s against 790 each way
for 8 MiB. `benchmarks/wire.py` measures what stands here.

Needs a loop with `add_reader` (any on POSIX; on Windows the selector loop). What the bytes mean, and what to do when
the stream breaks, is left to `connection`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable

from network.errors import NetworkError
from network.frames import Parser
from network.transport import HIGH_WATER, LOW_WATER

_RECORD = 16 << 10  # the most that one read of OpenSSL returns: one TLS record
_BURST = 64  # records read before other sockets get their turn
_CHUNK = 256 << 10  # the most given to OpenSSL in one call, which encrypts it all before it returns
_CHUNKS = 4  # chunks written before other sockets get their turn


class Stream:
    """One established TLS socket with its parser.

    The parser delivers frames as they complete. `arrived(deferred)` is called after each burst of reading; deferred
    means that the caller is inside a method of a channel, so nobody may be called back now. `broken(error)` is called
    once, from the loop; None is the end of the stream. After an error of the operating system or of TLS the socket is
    closed already; after a NetworkError, raised while parsing, something can still be written, and `close` is due.
    """

    def __init__(
        self,
        tls: ssl.SSLSocket,
        parser: Parser,
        arrived: Callable[[bool], None],
        broken: Callable[[Exception | None], None],
    ) -> None:
        self.received = 0  # bytes read; only ever compared with itself
        self.sent = 0  # bytes handed to the kernel
        self.unsent = 0  # bytes written and not yet handed over
        self.paused = False
        self._tls = tls
        self._fd = tls.fileno()
        self._parser = parser
        self._arrived = arrived
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        self._queue: deque[bytes | memoryview] = deque()
        self._ended = False  # nothing more can be read
        self._failed = False
        self._reported = False  # `broken` has been called
        self._writing = False  # the loop calls when the socket takes more
        self._closed = False
        self._reading = False
        self._draining: list[asyncio.Future[None]] = []
        self._flushing: list[asyncio.Future[None]] = []
        self._loop.add_reader(self._fd, self._readable)
        self._loop.call_soon(self._readable)  # OpenSSL may hold bytes already, which no selector sees

    # Reading

    def _readable(self) -> None:
        if not self.paused:
            self._read(deferred=False)

    def read_now(self) -> None:
        """Read what is there, from within a method of a channel."""
        if not (self.paused or self._reading):
            self._read(deferred=True)

    def _read(self, *, deferred: bool) -> None:
        if self._failed or self._ended:
            return
        self._reading = True
        try:
            error, ended = self._pull()
        finally:
            self._reading = False
        self._arrived(deferred)
        if ended:
            self._ended = True
            if deferred:
                self._loop.call_soon(self._fail, error)
            else:
                self._fail(error)

    def _pull(self) -> tuple[Exception | None, bool]:
        """Read a burst into the parser: the error and True when nothing can follow."""
        tls, parser = self._tls, self._parser
        try:
            for _ in range(_BURST):
                count = tls.recv_into(parser.get_buffer())
                if count == 0:
                    return None, True
                self.received += count
                parser.buffer_updated(count)
                # A short record mostly is the last one there. If not, the selector says so again.
                if count < _RECORD and not tls.pending():
                    return None, False
        except ssl.SSLWantReadError:
            return None, False
        except (OSError, NetworkError) as error:
            return error, True
        if tls.pending():
            self._loop.call_soon(self._readable)
        return None, False

    def pause(self) -> None:
        """Stop reading: the sender will have to wait, once the kernel's buffers are full."""
        if not (self.paused or self._failed):
            self.paused = True
            self._loop.remove_reader(self._fd)

    def resume(self) -> None:
        """Read again."""
        if self.paused and not self._failed:
            self.paused = False
            self._loop.add_reader(self._fd, self._readable)
            self._loop.call_soon(self._readable)

    # Writing

    def write(self, chunks: list[bytes | memoryview]) -> None:
        """Send these, now as far as the kernel takes them, the rest as it takes more. After a failure: nothing."""
        if self._failed or self._closed:
            return
        idle = not self._queue
        self._queue.extend(chunks)
        for chunk in chunks:
            self.unsent += len(chunk)
        if idle:
            self._send()

    def _send(self) -> None:
        """Send up to a few chunks; have the loop call again while some are left."""
        if self._failed or not self._queue:
            return
        queue, tls = self._queue, self._tls
        try:
            for _ in range(_CHUNKS):
                head = queue[0]
                # After SSLWantWriteError OpenSSL must be given the same bytes again: the head is only ever cut by what
                # was taken, so that the same slice comes out of it.
                count = tls.send(head if len(head) <= _CHUNK else memoryview(head)[:_CHUNK])
                self.sent += count
                self.unsent -= count
                if count == len(head):
                    queue.popleft()
                    if not queue:
                        break
                else:
                    queue[0] = memoryview(head)[count:]
        except ssl.SSLWantWriteError:
            pass
        except OSError as error:
            self._loop.call_soon(self._write_failed, error)
            return
        if bool(queue) != self._writing:
            self._writing = bool(queue)
            if queue:
                self._loop.add_writer(self._fd, self._send)
            else:
                self._loop.remove_writer(self._fd)
        self._wake()

    def _write_failed(self, error: OSError) -> None:
        if not self.paused:
            self._read(deferred=False)  # what the peer said before it closed explains more than a broken pipe
        self._fail(error)

    def _wake(self) -> None:
        if self._draining and (self.unsent <= LOW_WATER or self._failed):
            _wake(self._draining)
        if self._flushing and (not self.unsent or self._failed):
            _wake(self._flushing)

    async def drain(self) -> None:
        """Wait, when more than 4 MiB are unsent, until 1 MiB is left or the stream has failed."""
        if self.unsent > HIGH_WATER and not self._failed:
            await self._wait(self._draining)

    async def flush(self) -> None:
        """Wait until nothing is unsent or the stream has failed."""
        if self.unsent and not self._failed:
            await self._wait(self._flushing)

    async def _wait(self, waiters: list[asyncio.Future[None]]) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        waiters.append(waiter)
        await waiter

    # Ending

    def _fail(self, error: Exception | None) -> None:
        if self._failed or self._reported:
            return
        self._reported = True
        if isinstance(error, NetworkError):
            self._loop.remove_reader(self._fd)
        else:
            self.abort()
        self._broken(error)

    def abort(self) -> None:
        """Close the socket at once; `broken` is not called."""
        if self._failed:
            return
        self._failed = True
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._tls.close()
        self._queue.clear()
        self._wake()

    async def close(self, grace: float) -> None:
        """Send what is unsent, then hang up and wait for the peer to do so too, all within `grace` seconds.

        Closing with unread bytes would make the kernel reset the connection, and the peer lose what we said last.
        """
        self._closed = True
        try:
            async with asyncio.timeout(grace):
                await self.flush()
                if not self._failed:
                    await self._hang_up()
        except (OSError, TimeoutError):
            pass
        finally:
            self.abort()

    async def _hang_up(self) -> None:
        self._loop.remove_reader(self._fd)
        self._tls.shutdown(socket.SHUT_WR)
        ended: asyncio.Future[None] = self._loop.create_future()
        scratch = bytearray(_CHUNK)

        def discard() -> None:
            try:
                count = self._tls.recv_into(scratch)
            except BlockingIOError:
                return
            except OSError:
                count = 0
            if not count and not ended.done():
                ended.set_result(None)

        self._loop.add_reader(self._fd, discard)
        await ended


def _wake(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)
    waiters.clear()
