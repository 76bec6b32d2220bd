"""The codec: every frame survives every way of cutting the bytes, and nothing else gets through."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.errors import FrameError
from network.frames import (
    HEADER_BYTES,
    MAX_FRAME,
    MAX_GOODBYE,
    SMALL,
    Encoder,
    Kind,
    Parser,
    decode_json,
    decode_reason,
    encode_json,
    encode_reason,
)


class Receiver:
    """A parser with what it has delivered."""

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.frames: list[tuple[Kind, int, bytes]] = []
        self.parser = Parser("bob", lambda kind, tag: limit, lambda *f: self.frames.append((f[0], f[1], bytes(f[2]))))

    def feed(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            buffer = self.parser.get_buffer()
            assert len(buffer) > 0
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            self.parser.buffer_updated(count)
            view = view[count:]


def encode(frames) -> bytes:
    encoder = Encoder()
    return b"".join(bytes(chunk) for kind, tag, body in frames for chunk in encoder.encode(kind, tag, [body]))


FRAMES = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.integers(0, 2**32 - 1),
        st.one_of(st.binary(max_size=40), st.integers(SMALL - 2, SMALL + 2).map(lambda size: b"\x07" * size)),
    ),
    max_size=6,
)


@given(FRAMES, st.data())
def test_frames_survive_any_cutting(frames, data):
    stream = encode(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    receiver = Receiver()
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        receiver.feed(stream[start:end])

    assert receiver.frames == frames


def test_frames_survive_a_cut_at_every_byte():
    frames = [(Kind.DATA, 7, b""), (Kind.CONTROL, 0, b"{}"), (Kind.DATA, 2**32 - 1, b"x" * 30), (Kind.GOODBYE, 1, b"y")]
    stream = encode(frames)
    for cut in range(len(stream) + 1):
        receiver = Receiver()
        receiver.feed(stream[:cut])
        receiver.feed(stream[cut:])
        assert receiver.frames == frames


def test_frames_survive_coming_byte_by_byte():
    frames = [(Kind.DATA, 7, b"a" * (SMALL + 1)), (Kind.DATA, 7, b""), (Kind.DATA, 8, b"b" * SMALL)]
    stream = encode(frames)
    receiver = Receiver()
    for i in range(len(stream)):
        receiver.feed(stream[i : i + 1])

    assert receiver.frames == frames


@given(st.lists(st.one_of(st.binary(max_size=20), st.integers(30_000, 140_000).map(bytes)), max_size=6))
def test_a_frame_is_its_buffers_joined(buffers):
    receiver = Receiver()
    for chunk in Encoder().encode(Kind.DATA, 1, buffers):
        receiver.feed(bytes(chunk))

    assert receiver.frames == [(Kind.DATA, 1, b"".join(buffers))]


def test_the_layout_of_the_header():
    encoder = Encoder()
    encoder.encode(Kind.HEARTBEAT, 0)
    [chunk] = encoder.encode(Kind.DATA, 0x01020304, [b"abc"])

    assert bytes(chunk).hex() == "03000000" + "04030201" + "01000000000000" + "01" + b"abc".hex()


def test_large_buffers_are_not_copied():
    body = bytearray(1 << 20)
    chunks = Encoder().encode(Kind.DATA, 1, [body])
    body[-1] = 9

    assert len(chunks) == 2
    assert chunks[1][-1] == 9


def test_a_view_of_several_dimensions_counts_its_bytes():
    grid = memoryview(bytes(range(24))).cast("B", (4, 6))
    wide = memoryview(bytes(8 * 100_000)).cast("Q", (1000, 100))
    receiver = Receiver()
    for chunk in Encoder().encode(Kind.DATA, 1, [grid, wide]):
        receiver.feed(bytes(chunk))

    assert receiver.frames == [(Kind.DATA, 1, bytes(range(24)) + bytes(800_000))]


def header(length: int, kind: int, sequence: int) -> bytes:
    return struct.pack("<IIQ", length, 1, kind << 56 | sequence)


@pytest.mark.parametrize("kind", [0, 5, 255])
def test_an_unknown_kind_is_refused(kind):
    with pytest.raises(FrameError, match=f"bad frame from bob: unknown kind of frame {kind}"):
        Receiver().feed(header(0, kind, 0))


@pytest.mark.parametrize("sequence", [0, 2, 2**56 - 1])
def test_a_gap_in_the_sequence_is_refused_and_what_came_before_it_kept(sequence):
    receiver = Receiver()
    receiver.feed(header(2, 1, 0) + b"ok")
    with pytest.raises(FrameError, match=f"frame {sequence} came where frame 1 was due"):
        receiver.feed(header(0, 1, sequence))

    assert receiver.frames == [(Kind.DATA, 1, b"ok")]


def test_a_frame_over_the_limit_is_refused_on_its_header_alone():
    receiver = Receiver(limit=10)
    receiver.feed(header(10, 1, 0) + b"0123456789")
    with pytest.raises(FrameError, match="4294967295 bytes was announced, at most 10"):
        receiver.feed(header(2**32 - 1, 1, 1))


@given(st.binary(min_size=HEADER_BYTES, max_size=200))
def test_noise_is_refused_or_waited_for_and_never_fails_otherwise(noise):
    receiver = Receiver(limit=1000)
    try:
        receiver.feed(noise)
    except FrameError:
        return
    assert all(len(body) <= 1000 for _, _, body in receiver.frames)


@pytest.mark.parametrize("text", [b"[]", b"1", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000, b""])
def test_a_control_message_is_a_json_object(text):
    with pytest.raises(FrameError, match="JSON"):
        decode_json("bob", memoryview(text))


@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists), max_size=4
    )
)
def test_control_messages_survive(message):
    assert decode_json("bob", memoryview(encode_json(message))) == message


@pytest.mark.parametrize("value", [float("nan"), b"bytes", {1, 2}, "x" * (17 << 20)])
def test_what_is_not_json_or_too_long_is_not_sent(value):
    with pytest.raises(ValueError):
        encode_json({"value": value})


@given(st.text())
def test_a_reason_is_bounded_and_printable(text):
    encoded = encode_reason(text * 100)

    assert len(encoded) <= MAX_GOODBYE
    assert decode_reason(memoryview(encoded)).isprintable()
    assert decode_reason(memoryview(b"\xff\n\x00")).isprintable()
