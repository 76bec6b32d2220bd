"""The frame codec: bytes to frames and back, without any I/O.

A connection carries one stream of frames in each direction. A frame is a header of 16 bytes, little-endian, and a body:

    offset  bytes  field
    0       4      length of the body
    4       4      tag: the session that the frame belongs to, as numbered by its sender; 0 is the connection itself
    8       7      sequence number: 0, 1, 2, … over all frames of this direction of the connection
    15      1      kind: DATA 1, CONTROL 2, GOODBYE 3, HEARTBEAT 4

DATA        bytes of the session, at most the receiver's limit for it
CONTROL     a JSON object, at most 16 MiB
GOODBYE     the end of the session (or, with tag 0, of the connection): the reason as UTF-8, at most 4 KiB
HEARTBEAT   no body, tag 0

The parser refuses an unknown kind, a gap in the sequence and a body longer than its limit on the header alone, before
any memory is set aside for the body. It fits a receiver that asks where to put bytes (`get_buffer`, then
`buffer_updated`): headers and small bodies go through one shared buffer, a large body is received in place, without a
copy. What frames mean is left to `connection`.
"""

from __future__ import annotations

import enum
import json
import struct
from collections.abc import Callable, Sequence
from typing import Any

from network.errors import FrameError

Bytes = bytes | bytearray | memoryview

VERSION = 1
HEADER_BYTES = 16
MAX_FRAME = 2**32 - 1
MAX_CONTROL = 16 << 20
MAX_GOODBYE = 4096
SMALL = 64 << 10  # bodies up to here are joined with their header for one write, and copied out of the shared buffer

_HEADER = struct.Struct("<IIQ")
_RECORD = 16 << 10  # the body of a full TLS record
_SEQUENCE = (1 << 56) - 1


class Kind(enum.IntEnum):
    """What a frame is."""

    DATA = 1
    CONTROL = 2
    GOODBYE = 3
    HEARTBEAT = 4


_KINDS = {int(kind): kind for kind in Kind}


class Encoder:
    """Frames of one direction of a connection, numbered as they are made."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def encode(self, kind: Kind, tag: int, buffers: Sequence[Bytes] = ()) -> list[bytes | memoryview]:
        """The frame as chunks to be written in this order: one chunk when it is small, large buffers as they are.

        Raises ValueError when the body is longer than a frame can be (4 GiB - 1).
        """
        length = body_length(buffers)
        header = _HEADER.pack(length, tag, (kind << 56) | self._next)
        self._next += 1
        if length <= SMALL:
            return [b"".join((header, *buffers))]
        return _chunks(header, buffers)


def body_length(buffers: Sequence[Bytes]) -> int:
    """The bytes of a frame of these buffers. Raises ValueError when a frame cannot hold them."""
    length = sum([_nbytes(buffer) for buffer in buffers])
    if length > MAX_FRAME:
        raise ValueError(f"a frame holds at most {MAX_FRAME} bytes, not {length}: send it in parts")
    return length


def _nbytes(buffer: Bytes) -> int:
    # The length of a view of several dimensions is not its bytes.
    return len(buffer) if isinstance(buffer, bytes | bytearray) else buffer.nbytes


def _chunks(header: bytes, buffers: Sequence[Bytes]) -> list[bytes | memoryview]:
    """Neighbouring small buffers joined, the header in front of what comes first, large buffers not copied.

    Except for the beginning of a large one, which fills up the TLS record of what stands before it.
    """
    chunks: list[bytes | memoryview] = []
    small: list[Bytes] = [header]
    gathered = HEADER_BYTES
    for buffer in buffers:
        size = _nbytes(buffer)
        if size > SMALL:
            view = memoryview(buffer).cast("B")
            lead = max(0, _RECORD - gathered) if small else 0
            if small:
                chunks.append(b"".join((*small, view[:lead])))
            chunks.append(view[lead:])
            small, gathered = [], 0
        elif size:
            small.append(buffer)
            gathered += size
            if gathered > SMALL:
                chunks.append(b"".join(small))
                small, gathered = [], 0
    if small:
        chunks.append(b"".join(small))
    return chunks


class Parser:
    """Frames of one direction, from bytes that may be cut anywhere.

    `limit(kind, tag)` gives the largest acceptable body, and is asked on the header; `deliver(kind, tag, payload)`
    takes each whole frame before the next header is looked at, its payload being writable memory of its own. Either
    may raise FrameError (or another error), which comes out of `buffer_updated`; the parser must not be used again
    after that.
    """

    __slots__ = ("_body", "_deliver", "_filled", "_limit", "_next", "_peer", "_shared", "_view")

    def __init__(
        self, peer: str, limit: Callable[[Kind, int], int], deliver: Callable[[Kind, int, memoryview], None]
    ) -> None:
        self._peer = peer
        self._limit = limit
        self._deliver = deliver
        self._next = 0
        self._shared = bytearray(HEADER_BYTES + SMALL)
        self._view = memoryview(self._shared)
        self._filled = 0  # bytes present in the shared buffer, or in the body while a large one is received
        self._body: tuple[Kind, int, memoryview] | None = None

    def get_buffer(self) -> memoryview:
        """Where the next bytes belong: never empty, and never reaching beyond a large body's end."""
        if self._body is not None:
            return self._body[2][self._filled :]
        return self._view[self._filled :]

    def buffer_updated(self, count: int) -> None:
        """`count` bytes were put at the start of what `get_buffer` returned.

        Raises FrameError, and what `deliver` raises.
        """
        self._filled += count
        if self._body is not None:
            kind, tag, body = self._body
            if self._filled == len(body):
                self._body = None
                self._filled = 0
                self._deliver(kind, tag, body)
            return
        start = 0
        while self._filled - start >= HEADER_BYTES:
            end = self._parse(start)
            if end < 0:
                return
            if end == start:
                break
            start = end
        self._keep(start)

    def _parse(self, start: int) -> int:
        """Take one frame at `start`: its end, `start` when it is not complete, -1 when a large body has begun."""
        length: int
        tag: int
        last: int
        length, tag, last = _HEADER.unpack_from(self._shared, start)
        kind = self._check(length, tag, last)
        begin = start + HEADER_BYTES
        end = begin + length
        if length <= SMALL:
            if end > self._filled:
                return start
            self._next += 1
            self._deliver(kind, tag, memoryview(self._shared[begin:end]))
            return end
        body = memoryview(bytearray(length))
        present = self._filled - begin  # less than the whole: the shared buffer holds no body longer than SMALL
        body[:present] = self._view[begin : self._filled]
        self._next += 1
        self._body = (kind, tag, body)
        self._filled = present
        return -1

    def _check(self, length: int, tag: int, last: int) -> Kind:
        kind = _KINDS.get(last >> 56)
        if kind is None:
            raise FrameError(self._peer, f"unknown kind of frame {last >> 56}")
        if last & _SEQUENCE != self._next:
            raise FrameError(self._peer, f"frame {last & _SEQUENCE} came where frame {self._next} was due")
        limit = self._limit(kind, tag)
        if length > limit:
            raise FrameError(self._peer, f"a frame of {length} bytes was announced, at most {limit} are acceptable")
        return kind

    def _keep(self, start: int) -> None:
        """Move the beginning of an incomplete frame to the front of the shared buffer."""
        rest = self._filled - start
        if start and rest:
            self._shared[:rest] = self._shared[start : self._filled]
        self._filled = rest


def encode_json(message: dict[str, Any]) -> bytes:
    """A control message as it travels. Raises ValueError when it is not JSON, or longer than 16 MiB."""
    try:
        encoded = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a control message holds JSON values alone: {error}") from None
    if len(encoded) > MAX_CONTROL:
        raise ValueError(f"a control message has at most {MAX_CONTROL} bytes, not {len(encoded)}")
    return encoded


def decode_json(peer: str, payload: memoryview) -> dict[str, Any]:
    """The control message in a payload. Raises FrameError when it is no JSON object."""
    try:
        message = json.loads(bytes(payload), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise FrameError(peer, "a control message is not JSON") from None
    if not isinstance(message, dict):
        raise FrameError(peer, "a control message is not a JSON object")
    return message


def _no_constant(name: str) -> None:
    raise ValueError(name)


def encode_reason(reason: str) -> bytes:
    """A goodbye's text, cut to its bound without splitting a character."""
    return reason.encode(errors="replace")[:MAX_GOODBYE].decode(errors="ignore").encode()


def decode_reason(payload: memoryview) -> str:
    """A goodbye's text, made safe to print: one line, no control characters."""
    text = bytes(payload).decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
