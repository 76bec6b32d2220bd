"""What every channel does, whatever is underneath: the contract of `network.transport`."""

from __future__ import annotations

import asyncio

import pytest

from network import ChannelClosed, FrameError, NetworkError, PeerLost, PeerStalled

WAIT = 20.0


async def test_a_frame_is_its_buffers_joined(pair):
    pair.left.write([b"one", bytearray(b"two"), memoryview(b"three")])

    assert bytes(await pair.right.receive(WAIT)) == b"onetwothree"


async def test_frames_arrive_whole_and_in_order_in_both_directions(pair):
    sizes = [0, 1, 3, 70_000, 0, 65_536, 65_537, 5, 200_000, 2]
    for i, size in enumerate(sizes):
        pair.left.write([bytes([i]) * size])
        pair.right.write([bytes([100 + i]) * size])

    for i, size in enumerate(sizes):
        assert bytes(await pair.right.receive(WAIT)) == bytes([i]) * size
        assert bytes(await pair.left.receive(WAIT)) == bytes([100 + i]) * size


async def test_big_frames_cross_each_other(pair):
    big = bytes(range(256)) * (32 << 12)  # 32 MiB
    pair.left.write([b"head", big[4:]])
    pair.right.write([big])
    await asyncio.gather(pair.left.drain(), pair.right.drain())

    at_right, at_left = await asyncio.gather(pair.right.receive(WAIT), pair.left.receive(WAIT))

    assert at_right[:4] == b"head"
    assert at_right[4:] == big[4:]
    assert at_left == big


async def test_several_parts_large_and_small_make_one_frame(pair):
    parts = [b"a" * 10, b"b" * 70_000, b"c" * 40_000, b"d" * 40_000, b"", b"e" * 100_000, b"f"]
    pair.left.write(parts)

    assert bytes(await pair.right.receive(WAIT)) == b"".join(parts)


async def test_many_small_frames(pair):
    count = 5_000
    for i in range(count):
        pair.left.write([i.to_bytes(4, "little")])

    for i in range(count):
        assert int.from_bytes(await pair.right.receive(WAIT), "little") == i
    assert pair.right.poll() is None


async def test_a_received_frame_is_writable_and_the_receivers_own(pair):
    source = bytearray(b"abc")
    pair.left.write([source])
    await pair.left.flush()
    frame = await pair.right.receive(WAIT)
    frame[0] = ord("x")

    assert bytes(frame) == b"xbc"
    assert source == b"abc"


async def test_counters_count_payload_and_wire_bytes(pair):
    pair.left.write([b"x" * 100, b"y" * 70_000])
    pair.left.write([])
    await pair.right.receive(WAIT)
    await pair.right.receive(WAIT)

    assert (pair.left.bytes_sent, pair.left.frames_sent) == (70_100, 2)
    assert pair.left.sent.wire == 70_132
    assert (pair.right.bytes_received, pair.right.received.frames) == (70_100, 2)
    assert (pair.right.bytes_sent, pair.left.bytes_received) == (0, 0)


async def test_a_receiver_is_called_back_for_frames_and_for_the_end(pair):
    got: list[bytes] = []
    ended: asyncio.Future[NetworkError] = asyncio.get_running_loop().create_future()

    def step() -> None:
        try:
            while (frame := pair.right.poll()) is not None:
                got.append(bytes(frame))
        except NetworkError as error:
            if not ended.done():
                ended.set_result(error)

    pair.left.write([b"before"])
    await pair.left.flush()
    pair.right.set_receiver(step)
    for i in range(100):
        pair.left.write([str(i).encode()])
    pair.left.close("that is all")
    error = await asyncio.wait_for(ended, WAIT)

    assert got == [b"before", *(str(i).encode() for i in range(100))]
    assert isinstance(error, PeerLost)


async def test_an_engine_can_be_stepped_from_arriving_bytes_alone(pair):
    rounds = 200
    done = asyncio.get_running_loop().create_future()

    def party(channel, last):
        count = 0

        def step() -> None:
            nonlocal count
            while (frame := channel.poll()) is not None:
                count += 1
                if int.from_bytes(frame, "little") == rounds:
                    done.set_result(last)
                    return
                channel.write([(int.from_bytes(frame, "little") + 1).to_bytes(4, "little")])

        return step

    pair.left.set_receiver(party(pair.left, "left"))
    pair.right.set_receiver(party(pair.right, "right"))
    pair.left.write([(1).to_bytes(4, "little")])

    assert await asyncio.wait_for(done, WAIT) == "left"


async def test_an_error_of_the_receiver_is_reported_and_hurts_no_channel(pair):
    loop = asyncio.get_running_loop()
    report: asyncio.Future[Exception] = loop.create_future()
    loop.set_exception_handler(lambda _, context: report.set_result(context["exception"]))

    def broken() -> None:
        if pair.right.poll() is not None:
            raise ZeroDivisionError

    pair.right.set_receiver(broken)
    pair.left.write([b"first"])
    error = await asyncio.wait_for(report, WAIT)
    pair.right.set_receiver(None)
    pair.left.write([b"second"])

    assert bytes(await pair.right.receive(WAIT)) == b"second"
    assert isinstance(error, ZeroDivisionError)


async def test_close_delivers_what_was_written_and_then_the_reason(pair):
    pair.left.write([b"x" * 300_000])
    pair.left.write([b"last"])
    pair.left.close("budget spent")
    pair.left.close("not said")

    assert len(await pair.right.receive(WAIT)) == 300_000
    assert bytes(await pair.right.receive(WAIT)) == b"last"
    for _ in range(2):
        with pytest.raises(PeerLost, match="lost alice: it ended the session: budget spent"):
            await pair.right.receive(WAIT)
    with pytest.raises(PeerLost):
        pair.right.poll()
    with pytest.raises(PeerLost):
        await write_until_refused(pair.right)


async def write_until_refused(channel) -> None:
    """A shaped channel learns only when it writes that the one inside has ended."""
    async with asyncio.timeout(WAIT):
        while True:
            channel.write([b"?"])
            await channel.flush()


async def test_a_reason_is_shown_on_one_line_and_bounded(pair):
    pair.left.close("line one\nline two\x1b[2J" + "é" * 10_000)

    with pytest.raises(PeerLost) as caught:
        await pair.right.receive(WAIT)
    assert caught.value.why.startswith("it ended the session: line one line two [2Jé")
    assert caught.value.why.isprintable()
    assert len(caught.value.why.encode()) < 4200


async def test_a_closed_channel_says_so_on_its_own_side(pair):
    pair.right.write([b"too late"])
    pair.left.close()

    with pytest.raises(ChannelClosed):
        pair.left.write([b"x"])
    with pytest.raises(ChannelClosed):
        await pair.left.receive(WAIT)
    with pytest.raises(ChannelClosed):
        pair.left.poll()


async def test_closing_wakes_the_own_coroutine_that_receives(pair):
    receiving = asyncio.ensure_future(pair.left.receive(WAIT))
    await asyncio.sleep(0)
    pair.left.close()

    with pytest.raises(ChannelClosed):
        await receiving


async def test_abort_ends_the_other_side_too(pair):
    pair.left.abort()

    with pytest.raises(PeerLost, match="alice"):
        await pair.right.receive(WAIT)
    with pytest.raises(ChannelClosed):
        pair.left.write([b"x"])


async def test_a_lost_link_is_peer_lost_at_both_ends_after_what_had_arrived(pair):
    pair.left.write([b"arrived"])
    assert bytes(await pair.right.receive(WAIT)) == b"arrived"
    pair.lose()

    with pytest.raises(PeerLost, match="lost alice"):
        await pair.right.receive(WAIT)
    with pytest.raises(PeerLost, match="lost bob"):
        await pair.left.receive(WAIT)
    with pytest.raises(PeerLost):
        await write_until_refused(pair.left)


async def test_a_frame_over_the_limit_is_refused(pair):
    pair.right.limit = 1000
    pair.left.write([b"x" * 1000])
    pair.left.write([b"x" * 1001])

    assert len(await pair.right.receive(WAIT)) == 1000
    with pytest.raises(FrameError, match="bad frame from alice: a frame of 1001 bytes was announced, at most 1000"):
        await pair.right.receive(WAIT)
    with pytest.raises(PeerLost, match="1001 bytes"):
        await pair.left.receive(WAIT)


async def test_the_limit_can_be_raised(pair):
    assert pair.right.limit == 64 << 20
    pair.right.limit = 65 << 20
    pair.left.write([bytes(65 << 20)])

    assert len(await pair.right.receive(WAIT)) == 65 << 20


async def test_receive_with_a_limit_raises_and_leaves_the_channel_usable(pair):
    with pytest.raises(PeerStalled, match=r"alice was silent for 0\.01 s"):
        await pair.right.receive(0.01)
    pair.left.write([b"after all"])

    assert bytes(await pair.right.receive(WAIT)) == b"after all"


async def test_a_cancelled_receive_loses_no_frame(pair):
    receiving = asyncio.ensure_future(pair.right.receive())
    await asyncio.sleep(0)
    pair.left.write([b"kept"])
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving

    assert bytes(await pair.right.receive(WAIT)) == b"kept"


async def test_two_coroutines_may_not_receive_at_once(pair):
    first = asyncio.ensure_future(pair.right.receive(WAIT))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="at once"):
        await pair.right.receive(WAIT)
    pair.left.write([b"x"])
    assert bytes(await first) == b"x"


async def test_a_frame_that_no_header_can_announce_is_refused(pair):
    part = memoryview(bytes(1 << 20))
    with pytest.raises(ValueError, match="send it in parts"):
        pair.left.write([part] * 4096)
    pair.left.write([b"small"])

    assert bytes(await pair.right.receive(WAIT)) == b"small"


async def test_interleaved_sessions_do_not_mix(make_pair):
    pairs = [await make_pair() for _ in range(4)]
    for round_ in range(20):
        for i, pair in enumerate(pairs):
            pair.left.write([bytes([i, round_]) * (1 + 10_000 * i)])
            pair.right.write([bytes([i, round_])])
    pairs[1].left.close("done early")

    for round_ in range(20):
        for i in (3, 2, 0, 1):
            frame = await pairs[i].right.receive(WAIT)
            assert bytes(frame) == bytes([i, round_]) * (1 + 10_000 * i)
    for i in (0, 2, 3):
        for round_ in range(20):
            assert bytes(await pairs[i].left.receive(WAIT)) == bytes([i, round_])
    with pytest.raises(PeerLost, match="done early"):
        await pairs[1].right.receive(WAIT)


async def test_a_slow_receiver_holds_the_sender_back_until_it_takes(pair):
    """All of what is written arrives, however far the sender was ahead."""
    frame = bytes(1 << 20)

    async def send() -> None:
        for _ in range(100):
            pair.left.write([frame])
            await pair.left.drain()

    sending = asyncio.ensure_future(send())
    total = 0
    for _ in range(100):
        total += len(await pair.right.receive(WAIT))
    await sending

    assert total == 100 << 20
