"""What a round and a bulk transfer cost over TLS between processes on this machine.

    python -m benchmarks.wire [--uvloop]        (from the root: as a script, its name would hide the package's)

Every party sends one frame to each of the others and goes on when it has one from each. The first two columns are the
microseconds of such an exchange with 64 bytes: by `receive`, and stepped by the receiver callback, without tasks. The
last two are an exchange of 8 MiB: milliseconds, and MB/s that each party sends. With more parties than processor cores
the parties wait for each other's turn: the row of two is the cleaner one.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from network import Channel, Mesh, create_identity, load_identity, load_roster

SMALL, BIG = 64, 8 << 20
REPEATS = 5


async def by_receive(channels: list[Channel], size: int, count: int) -> float:
    """Seconds of an exchange of `size` bytes, mean over `count`."""
    payload = bytes(size)
    clock = asyncio.get_running_loop().time
    started = clock()
    for _ in range(count):
        for channel in channels:
            channel.write([payload])
        for channel in channels:
            await channel.receive(60)
    return (clock() - started) / count


async def by_callback(channels: list[Channel], size: int, count: int) -> float:
    """The same, each exchange begun by the callback that received the last frame of the one before."""
    payload = bytes(size)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    missing = set(channels)
    rounds = 0

    def step() -> None:
        nonlocal rounds
        while not done.done():
            for channel in list(missing):
                if channel.poll() is None:
                    return
                missing.discard(channel)
            rounds += 1
            if rounds == count:
                done.set_result(None)
                return
            missing.update(channels)
            for channel in channels:
                channel.write([payload])

    started = loop.time()
    for channel in channels:
        channel.set_receiver(step)
        channel.write([payload])
    await asyncio.wait_for(done, 60)
    seconds = (loop.time() - started) / count
    for channel in channels:
        channel.set_receiver(None)
    return seconds


async def measure(directory: Path, names: list[str], me: str, listener: socket.socket) -> tuple[float, float, float]:
    identity = load_identity(directory / f"{me}.key", directory / f"{me}.card.toml")
    roster = load_roster(directory / f"{name}.card.toml" for name in names)
    async with Mesh(identity, roster, listener=listener) as mesh:
        channels = list((await mesh.session("benchmark", [name for name in names if name != me])).values())
        await by_receive(channels, SMALL, 500)  # warm
        first = [await by_receive(channels, SMALL, 2000) for _ in range(REPEATS)]
        second = [await by_callback(channels, SMALL, 2000) for _ in range(REPEATS)]
        await by_receive(channels, BIG, 3)
        third = [await by_receive(channels, BIG, 10) for _ in range(REPEATS)]
    return statistics.median(first), statistics.median(second), statistics.median(third)


def party(directory: Path, names: list[str], me: str, listener: socket.socket, uvloop: bool, results: Any) -> None:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uvloop:
        import uvloop as fast

        factory = fast.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        results.put(runner.run(measure(directory, names, me, listener)))


def run(count: int, uvloop: bool) -> tuple[float, ...]:
    """The slowest party's medians with `count` parties."""
    names = ["alice", "bob", "carol", "dave"][:count]
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    with tempfile.TemporaryDirectory() as directory:
        listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
        for name, listener in listeners.items():
            create_identity(name, f"127.0.0.1:{listener.getsockname()[1]}", Path(directory))
        start = partial(spawn.Process, target=party)
        processes = [start(args=(Path(directory), names, me, listeners[me], uvloop, results)) for me in names]
        for process in processes:
            process.start()
        measured = [results.get(timeout=300) for _ in processes]
        for process in processes:
            process.join()
        for listener in listeners.values():
            listener.close()
    return tuple(max(values) for values in zip(*measured, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uvloop", action="store_true", help="run the parties on uvloop")
    options = parser.parse_args()
    print("parties  64 B, receive  64 B, callback      8 MiB   sent by each")
    for count in (2, 3):
        plain, stepped, bulk = run(count, options.uvloop)
        rate = (count - 1) * BIG / bulk / 1e6
        print(f"{count:7d}  {plain * 1e6:10.1f} us  {stepped * 1e6:11.1f} us  {bulk * 1e3:6.1f} ms  {rate:6.0f} MB/s")


if __name__ == "__main__":
    main()
