"""The memory that a timetable declares is what the engine then holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpc.circuit import Builder, Circuit, Value
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule, schedule
from mpc.simulate import pair_keys
from mpc.types import Fixed, Type

PLACES = {"rep3": Places(("a", "b", "c")), "additive": Places(("a", "b"), dealer="dealer")}


class Weighing(Engine):
    """Notes the largest sum of live values in the outermost circuit, each time one has been computed."""

    largest = 0

    def _release(self, s: Schedule, index: int, values: dict[int, Any]) -> None:
        if s is self.schedule:
            self.largest = max(self.largest, sum(_weight(v) for v in values.values()))
        super()._release(s, index, values)


def _weight(value: Any) -> int:
    if isinstance(value, list | tuple):
        return sum(map(_weight, value))
    return 0 if value is None else int(np.asarray(value).nbytes)


def inputs(b: Builder, n: int) -> tuple[Value, Value]:
    kind = Type(Fixed(), (n,), frozenset("a"))
    attrs = {"party": "a", "column": "", "range": None}
    x, y = (b.append("input", (), {**attrs, "name": name}, kind, pure=False) for name in "xy")
    return b.emit("add", x, b.const(np.zeros(n))), b.emit("add", y, b.const(np.ones(n)))


def secret(b: Builder, x: Value) -> Value:
    """Meets a value of another party, so that it is shared."""
    other = b.append(
        "input",
        (),
        {"party": "b", "name": "z", "column": "", "range": None},
        Type(Fixed(), (), frozenset("b")),
        pure=False,
    )
    return b.emit("add", x, other)


def study(op: str, n: int) -> Circuit:
    b = Builder()
    x, y = (secret(b, v) for v in inputs(b, n))
    match op:
        case "mul":
            out = x * y
        case "chain":
            out = (x * y) * x + (y * y) * (x + y)
        case "lt":
            out = b.emit("select", x < y, x, y)
        case "sum":
            out = (x * y).sum().broadcast_to((n,)) * x
        case "sigmoid":
            out = b.emit("sigmoid", x)
        case _:
            raise AssertionError(op)
    b.append("reveal", (out,), {"to": None, "name": "out"}, out.type, pure=False)
    return b.finish()


@pytest.mark.parametrize("protocol", sorted(SCHEMES))
@pytest.mark.parametrize("op", ["mul", "chain", "lt", "sum", "sigmoid"])
@pytest.mark.parametrize("n", [1, 1000])
def test_declared_memory_is_what_is_held(protocol: str, op: str, n: int) -> None:
    places = PLACES[protocol]
    timetable = schedule(lower(study(op, n), places.nodes).circuit, places, SCHEMES[protocol])
    keys = pair_keys(len(places.names))
    given = {"a": {("x", ""): np.linspace(-2, 2, n), ("y", ""): np.ones(n)}, "b": {("z", ""): np.float64(1.0)}}
    engines = [Weighing(timetable, places.seat(i, keys[i]), given.get(p, {})) for i, p in enumerate(places.names)]

    lockstep([e.run() for e in engines])

    # What b alone sees a does not hold: one number, and its encoding.
    assert timetable.peak - 16 <= engines[0].largest <= timetable.peak
