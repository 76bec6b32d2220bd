"""What the parts of a round cost apart from the wire: one party's engine, and the frame codec.

    python -m benchmarks.rounds

The engine is measured alone: it is sent again what it received in a run of all parties, so that nothing but its own
work counts (stepping the schedule, the protocol's arithmetic, drawing randomness).  The codec is measured there and
back.  What the wire adds is in `wire`, what whole tasks take in `tasks`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.kernels import seconds
from dsl.compile import Compiler
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.places import Places
from mpc.protocol import Step
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule
from mpc.simulate import pair_keys
from network.frames import Encoder, Kind, Parser

ROUNDS = 500
STUDIES = {
    "a product": "z = z * x",
    "a comparison": "z = z * (z < x)",
    "three things at once": "z = (z * x + min(z, x)) * sigmoid(x)",
}


def timetable(body: str, n: int, protocol: str) -> Schedule:
    """A loop of `ROUNDS` dependent steps on n elements."""
    text = (
        "party a, b, c\ninput x: fixed in -1..1[n] from a\ninput y: fixed in -1..1[n] from b\n"
        f"z = y + x\nfor i in range({ROUNDS}):\n    {body}\nreveal z to c\n"
    )
    places = Places(("a", "b", "c")) if protocol == "rep3" else Places(("a", "b"), ("c",), "dealer")
    return Compiler(parse(text), Bindings(sizes={"n": n}), places, SCHEMES[protocol]).stage().schedule


def engine_alone(plan: Schedule, n: int) -> float:
    """Seconds of one party's engine for the whole timetable."""
    places = plan.places
    keys = pair_keys(len(places.names))
    given = {"a": {("x", ""): np.full(n, 0.5)}, "b": {("y", ""): np.full(n, 0.25)}}
    heard: list[Any] = []

    def noted(step: Step[Any]) -> Step[Any]:
        exchange = next(step)
        while True:
            got = yield exchange
            heard.append(got)
            try:
                exchange = step.send(got)
            except StopIteration as stop:
                return stop.value

    engines = [Engine(plan, places.seat(i, keys[i]), given.get(name, {})) for i, name in enumerate(places.names)]
    lockstep([noted(engines[0].run()), *(e.run() for e in engines[1:])])

    def replay() -> None:
        step = Engine(plan, places.seat(0, keys[0]), given["a"]).run()
        next(step)
        try:
            for got in heard:
                step.send(got)
        except StopIteration:
            return

    return seconds(replay, budget=1.0)


def codec(size: int) -> float:
    """Seconds to make a frame of so many bytes and to read it."""
    encoder, body = Encoder(), bytes(size)
    got: list[memoryview] = []
    parser = Parser("peer", lambda _kind, _tag: size, lambda _kind, _tag, payload: got.append(payload))

    def there_and_back() -> None:
        got.clear()
        for chunk in encoder.encode(Kind.DATA, 1, [body]):
            rest = memoryview(chunk)
            while rest.nbytes:
                room = parser.get_buffer()
                taken = min(room.nbytes, rest.nbytes)
                room[:taken] = rest[:taken]
                parser.buffer_updated(taken)
                rest = rest[taken:]

    took = seconds(there_and_back)
    if not got or bytes(got[-1]) != body:
        raise AssertionError("the codec gave back another body")
    return took


def main() -> None:
    print(f"{'engine, one party':40} {'elements':>9} {'rounds':>7} {'a round':>10}")
    for protocol in ("rep3", "additive"):
        for name, body in STUDIES.items():
            for n in (1, 1000):
                plan = timetable(body, n, protocol)
                took = engine_alone(plan, n)
                print(
                    f"{protocol + ': ' + name:40} {n:9} {plan.rounds:7} {took / plan.rounds * 1e6:7.1f} us", flush=True
                )
    print(f"\n{'frame codec, there and back':40} {'bytes':>9} {'a frame':>18} {'GB/s':>10}")
    for size in (64, 4096, 1 << 20, 8 << 20):
        took = codec(size)
        print(f"{'':40} {size:9} {took * 1e6:15.1f} us {size / took / 1e9:10.2f}", flush=True)


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"\n{time.perf_counter() - started:.0f} s")
