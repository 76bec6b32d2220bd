"""One operation of the catalogue on secret operands: run in the clear after lowering, or by a scheme, and held to what
its record says of itself: domain, tolerance, relative error, bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lowered_run import evaluate
from order_run import PLACES, Range, run, study

from mpc.circuit import Array, Builder, Circuit, Value
from mpc.lower import lower
from mpc.op import Interval, Op, find
from mpc.passes import optimise
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule, schedule

ROUNDINGS = ("chance", "down", "up")


@dataclass(frozen=True, eq=False)
class Case:
    """An operation with operands; `public` says which are constants of the study."""

    op: str
    arrays: tuple[Array, ...]
    ranges: tuple[Range, ...] | None = None
    public: tuple[int, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        kinds = "".join(a.dtype.kind for a in self.arrays)
        return "-".join(filter(None, [self.op, kinds, self.name, *(f"{k}{v}" for k, v in self.attrs.items())]))

    @property
    def record(self) -> Op:
        return find(self.op)

    @property
    def secret(self) -> list[Array]:
        return [a for i, a in enumerate(self.arrays) if i not in self.public]

    @property
    def known(self) -> list[Range] | None:
        if self.ranges is None:
            return None
        return [r for i, r in enumerate(self.ranges) if i not in self.public]

    def compute(self, b: Builder, secret: Sequence[Value]) -> list[Value]:
        left = iter(secret)
        operands = [b.const(a) if i in self.public else next(left) for i, a in enumerate(self.arrays)]
        return [b.emit(self.op, *operands, **self.attrs)]

    def wanted(self) -> Array:
        assert self.record.ref is not None
        with np.errstate(over="ignore"):
            return np.asarray(self.record.ref(*self.arrays, **self.attrs))


def lowered(case: Case) -> tuple[Circuit, dict[tuple[str, str], Array]]:
    """The circuit of primitives, and all inputs."""
    circuit, inputs = study(case.compute, case.secret, case.known)
    whole = {key: value for mine in inputs.values() for key, value in mine.items()}
    return optimise(lower(circuit, PLACES["rep3"].nodes).circuit), whole


def in_the_clear(case: Case, rounding: str = "chance") -> Array:
    """What the lowered circuit computes."""
    circuit, inputs = lowered(case)
    return evaluate(circuit, inputs, rounding)["out0"]


def on_scheme(case: Case, where: str) -> Array:
    """What a scheme computes, its traffic being as declared."""
    return run(case.compute, case.secret, where, case.known).got[0]


def timetable(case: Case, where: str = "rep3") -> Schedule:
    """The schedule on a scheme."""
    scheme = SCHEMES[where.split("-")[0]]
    return schedule(scheme.prepare(lowered(case)[0]), PLACES[where], scheme)


def hold(case: Case, got: Array) -> None:
    """The result is what the record promises, and the operands are what it asks for."""
    record, wanted = case.record, case.wanted()
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    for array, (lo, hi) in zip(case.arrays, record.domain, strict=bool(record.domain)):
        inside = np.abs(array.astype(np.float64)) if lo > 0 else array
        assert np.all((inside >= lo) & (inside <= hi)), "an operand is outside the stated domain"
    if not record.tolerance and not record.relative:
        np.testing.assert_array_equal(got, wanted)
        return
    allowed = record.tolerance + record.relative * np.abs(wanted)
    error = np.abs(got.astype(np.float64) - wanted)
    worst = int(np.argmax(error - allowed)) if error.size else 0
    operands = [np.broadcast_to(a, got.shape).flat[worst] for a in case.arrays if error.size and a.shape != ()]
    assert np.all(error <= allowed), f"{operands}: {got.flat[worst]}, not {wanted.flat[worst]}"


def hold_bound(case: Case, got: Array) -> None:
    """The result lies in the interval that the record derives from the ranges of the operands."""
    record = case.record
    assert record.bound is not None
    assert case.ranges is not None
    types = [Builder().const(a).type for a in case.arrays]
    bounds = [
        Interval(*r) if r else Interval(float(a.min()), float(a.max()))
        for a, r in zip(case.arrays, case.ranges, strict=True)
    ]
    interval = record.bound(bounds, types, case.attrs)
    if interval is not None and got.size:
        assert interval.lo <= got.min()
        assert got.max() <= interval.hi
