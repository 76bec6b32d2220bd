"""How exact each result is, as `parley check` says it.

For: `Exactness`, `exactness`.
Leaves to others: the bounds themselves (`mpc.accuracy`), showing them (`runtime.terminal`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dsl.outputs import Elaborated, Output, OutputColumn
from dsl.privacy.spending import noise_behind
from dsl.source import Source
from mpc.accuracy import Known, accuracy

__all__ = ["Exactness", "exactness"]


@dataclass(frozen=True, slots=True)
class Exactness:
    """What is known of how far results may be from exact arithmetic on the numbers as they were read.

    name: the result, and its field in a record (`model.weights`). columns: those of a table of which it holds, none for
    a number or array. error: the largest absolute error, None if there is no bound: `reason` says why, and `line` where
    (0: nowhere). near: it holds unless something that is compared on the way lies so near to equal; 0: in any case.
    noise: it is the error beside noise that was added.
    """

    name: str
    columns: tuple[str, ...]
    error: float | None
    near: float
    reason: str = ""
    line: int = 0
    noise: bool = False

    @property
    def text(self) -> str:
        """In words."""
        beside = " beside the noise" if self.noise else ""
        if self.error is None:
            return f"no bound: {self.reason}" + (f", line {self.line}" if self.line else "")
        unless = f"unless what is compared lies within {_up(self.near)} of equal" if self.near else ""
        if self.error == 0:
            return f"right{beside} {unless}" if unless else f"exact{beside}"
        return f"error at most {_up(self.error)}{beside}" + (f", {unless}" if unless else "")

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "error": self.error,
            "unless_within": self.near,
            **({"reason": self.reason, "line": self.line} if self.error is None else {}),
            **({"beside_noise": True} if self.noise else {}),
        }


def _up(x: float) -> str:
    """Two digits, rounded up: a bound stays one."""
    step = math.floor(math.log10(x)) - 1
    rounded = math.ceil(x / 10.0**step) * 10.0**step
    return f"{rounded:.2g}" if rounded < 100 else f"{rounded:.0f}" if rounded < 1e6 else f"{rounded:.2g}"


def exactness(done: Elaborated, source: Source) -> tuple[Exactness, ...]:
    """For every result, one for a number or array, one for all columns of a table of which the same is known; once
    where several receive the same."""
    known = accuracy(done.circuit)
    found = (e for output in done.outputs for e in _output(done, source, known, output, output.name))
    return tuple(dict.fromkeys(found))


def _output(
    done: Elaborated, source: Source, known: Sequence[tuple[Known, ...]], output: Output, name: str
) -> Iterator[Exactness]:
    together: dict[Exactness, list[str]] = {}
    for column in output.columns:
        nodes = [column.node, *(n for n in (column.valid, output.visible) if n is not None)]
        one = _of([known[n][0] for n in nodes], column, name, source, noise=bool(noise_behind(done.circuit, nodes)))
        together.setdefault(one, []).append(column.name)
    for one, columns in together.items():
        yield Exactness(name, tuple(c for c in columns if c), one.error, one.near, one.reason, one.line, one.noise)
    for part in output.parts:
        yield from _output(done, source, known, part, f"{name}.{part.name}")


def _of(known: Sequence[Known], column: OutputColumn, name: str, source: Source, *, noise: bool) -> Exactness:
    """Of one column: of its values, of which are missing, and of which rows there are."""
    lost = next((k.why for k in known if k.error is None), None)
    if lost is not None:
        line = 0 if lost.origin is None else source.position(lost.origin.start).line
        return Exactness(name, (), None, 0.0, lost.text, line, noise)
    error = known[0].error
    assert error is not None
    near = max(k.near for k in known)
    return Exactness(name, (), error / 10**column.stype.places, near, noise=noise)
