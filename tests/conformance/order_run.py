"""Circuits of one operation on secret arrays, run in the clear and by each scheme, with the declared cost checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from stream_ledger import Ledger

from mpc.circuit import Array, Builder, Circuit, Value
from mpc.places import Places
from mpc.plain import evaluate, outputs
from mpc.protocols import SCHEMES
from mpc.simulate import simulate
from mpc.types import BOOL, INT, DType, Fixed, Type

Range = tuple[float, float] | None
Compute = Callable[[Builder, Sequence[Value]], Sequence[Value]]

PLACES = {
    "rep3": Places(("a", "b", "c")),
    "additive-2": Places(("a", "b"), dealer="dealer"),
    "additive-3": Places(("a", "b", "c"), dealer="dealer"),
}


class Outcome(NamedTuple):
    """Results in their order: by the definition, and as party a learned them; rounds and bytes as measured."""

    wanted: list[Array]
    got: list[Array]
    rounds: int
    bytes: int


def dtype_of(array: Array) -> DType:
    return {"b": BOOL, "i": INT, "f": Fixed()}[array.dtype.kind]


def private(b: Builder, party: str, name: str, array: Array, within: Range = None) -> Value:
    """An input of one party."""
    attrs: dict[str, Any] = {"party": party, "name": name}
    if within is not None:
        attrs["range"] = within
    return b.append("input", (), attrs, Type(dtype_of(array), array.shape, frozenset({party})), pure=False)


def study(
    compute: Compute, arrays: Sequence[Array], ranges: Sequence[Range] | None = None
) -> tuple[Circuit, dict[str, dict[tuple[str, str], Array]]]:
    """The circuit, and its inputs by party: a's arrays become secret by adding b's zeros, and keep their ranges."""
    b = Builder()
    inputs: dict[str, dict[tuple[str, str], Array]] = {"a": {}, "b": {}}
    zero, false = np.zeros((), np.int64), np.zeros((), np.bool_)
    inputs["b"]["zero", ""], inputs["b"]["false", ""] = zero, false
    plus = private(b, "b", "zero", zero, (0, 0))
    or_else = private(b, "b", "false", false)
    secrets = []
    for i, array in enumerate(arrays):
        name = f"x{i}"
        inputs["a"][name, ""] = array
        x = private(b, "a", name, array, None if ranges is None else ranges[i])
        if array.dtype.kind == "i":  # whole numbers of the ring, which wrap as those of the protocols do
            x = b.emit("wrapping", x)
        secrets.append(x ^ or_else if array.dtype.kind == "b" else x + plus)
    for i, out in enumerate(compute(b, secrets)):
        b.append("reveal", (out,), {"name": f"out{i}", "to": None}, out.type.seen(None), pure=False)
    return b.finish(), inputs


def run(
    compute: Compute, arrays: Sequence[Array], where: str = "rep3", ranges: Sequence[Range] | None = None
) -> Outcome:
    """Both ways; AssertionError where a scheme sends anything but what it declared, or draws from a stream twice."""
    circuit, inputs = study(compute, arrays, ranges)
    plain = {(party, *key): value for party, mine in inputs.items() for key, value in mine.items()}
    wanted = outputs(circuit, evaluate(circuit, plain))
    with Ledger().open() as ledger:
        done = simulate(circuit, inputs, SCHEMES[where.split("-")[0]], PLACES[where])
    assert ledger.twice == []
    assert done.measured.total == done.schedule.links
    assert len(done.measured.rounds) == done.schedule.rounds
    got: Mapping[tuple[str, str], Array] = done.reports["a"].outputs
    names = [(f"out{i}", "") for i in range(len(wanted))]
    return Outcome([wanted[k] for k in names], [got[k] for k in names], done.schedule.rounds, done.measured.bytes)


def agree(
    compute: Compute, arrays: Sequence[Array], where: str = "rep3", ranges: Sequence[Range] | None = None
) -> Outcome:
    """As `run`; AssertionError where a result is not exactly that of the definition."""
    outcome = run(compute, arrays, where, ranges)
    for wanted, got in zip(outcome.wanted, outcome.got, strict=True):
        assert got.shape == wanted.shape
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    return outcome
