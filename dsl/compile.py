"""A study, bound to its data's sizes, as one or several timetables: what every party works out for itself.

A study is one *stage*, unless a value that it opens decides how it goes on (`if reveal(…):`): then the stage ends with
that value, and the study is compiled anew with it known.  Values that the next stage needs are kept as they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dsl.cache import Cache
from dsl.diagnostics import Diagnostic, StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.outputs import Elaborated
from dsl.source import Source, Span
from dsl.syntax import QueryDefinition, Study
from mpc.circuit import Array
from mpc.link import NEAR
from mpc.lower import NOT_ZERO, Assumption, Lowered, RangeOverflowError, lower
from mpc.places import Places
from mpc.protocol import Scheme
from mpc.schedule import Schedule, schedule
from mpc.types import Type

__all__ = ["Compiler", "Made", "Stage"]

MAX_STAGES = 10_000


@dataclass(frozen=True, slots=True)
class Stage:
    """One timetable.

    elaborated: the study as far as it is known.  keep: the surface nodes whose values the schedule's results are.
    needs: the one among them whose value decides how the study goes on; None in the last stage.
    """

    schedule: Schedule
    elaborated: Elaborated
    assumptions: tuple[Assumption, ...]
    keep: tuple[int, ...]
    needs: int | None


class Made(NamedTuple):
    """A stage, and what the ones after it must know: the types of the values kept so far, the results told so far."""

    stage: Stage
    kept: Mapping[int, Type]
    done: frozenset[int]


@dataclass(slots=True)
class Compiler:
    """Compiles the stages of one job, each with what the earlier ones opened.

    round_bytes: what a round counts beside bytes on the job's links (`mpc.link`).
    made: stages compiled for this job or others, looked at before anything is compiled.
    """

    study: Study
    bindings: Bindings
    places: Places
    scheme: Scheme
    made: Cache[Made] = field(default_factory=Cache)
    round_bytes: int = NEAR
    known: list[Array] = field(default_factory=list)
    kept: dict[int, Type] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _waiting: int | None = None

    def stage(self) -> Stage:
        """The next stage.  StudyError if the study is wrong or a value's declared range cannot fit."""
        if len(self.known) >= MAX_STAGES:
            raise StudyError(
                [Diagnostic("E0310", f"the study opens more than {MAX_STAGES} values that decide its course")]
            )
        made = self.made.get(self._key(), self._make)
        self.kept, self._done = dict(made.kept), set(made.done)
        self._waiting = made.stage.needs
        return made.stage

    def opened(self, value: Array) -> None:
        """What the stage's `needs` turned out to be."""
        assert self._waiting is not None
        self.known.append(value)
        self._waiting = None

    def _key(self) -> bytes:
        """A digest of all that the next stage follows from: earlier stages follow from the same and from `known`."""
        settings = self.bindings
        maps: tuple[Mapping[Any, Any], ...] = (
            settings.sizes,
            settings.rows,
            settings.params,
            settings.stored,
            settings.kept,
        )
        parts = (
            self.study.source.name,
            self.study.source.text,
            *(sorted((repr(k), repr(v)) for k, v in one.items()) for one in maps),
            settings.frac,
            self.places,
            self.scheme.name,
            self.round_bytes,
            *((v.dtype.str, v.shape, v.tobytes()) for v in self.known),
        )
        return hashlib.sha256(repr(parts).encode()).digest()

    def _make(self) -> Made:
        done = elaborate(self.study, self.bindings, self.known)
        reveals = frozenset(_results(done))
        lowered = self._lower(done, reveals - self._done)
        timetable = schedule(self.scheme.prepare(lowered.circuit), self.places, self.scheme)
        kept = dict(self.kept)
        for surface, index in zip(lowered.results, lowered.circuit.results, strict=True):
            kept[surface] = lowered.circuit.nodes[index].type
        taken = tuple(a for a in lowered.assumptions if a.op != NOT_ZERO or not self._in_query(a))
        stage = Stage(timetable, done, taken, lowered.results, done.needs)
        return Made(stage, kept, reveals | self._done)

    def _in_query(self, one: Assumption) -> bool:
        """Whether it is a query's: there a quotient by 0 is missing, and nothing has to be taken for granted of it."""
        at = one.origin
        queries = [s.span for s in self.study.body if isinstance(s, QueryDefinition)]
        return at is not None and any(q.start <= at.start < q.end for q in queries)

    def _lower(self, done: Elaborated, reveals: frozenset[int]) -> Lowered:
        roots = set(reveals)
        if done.needs is not None:
            roots |= {done.needs, *done.live}
        try:
            return lower(
                done.circuit, self.places.nodes, roots=sorted(roots), carried=self.kept, round_bytes=self.round_bytes
            )
        except RangeOverflowError as error:
            raise StudyError([self._overflow(error)]) from None

    def _overflow(self, error: RangeOverflowError) -> Diagnostic:
        source, span = self._place(error)
        return Diagnostic(
            "E0501",
            f"{error.op} may not fit: declared ranges allow {error.interval.lo:.6g} to {error.interval.hi:.6g}, "
            f"and at most {error.limit:.6g} in magnitude fits",
            span=span,
            label="may be too large here",
            helps=("declare narrower ranges where the data allow it (`fixed in -10..10`), or scale the values down",),
            source=source,
        )

    def _place(self, error: RangeOverflowError) -> tuple[Source, Span]:
        if error.origin is None:
            return self.study.source, Span(0, 0)
        return self.study.source, Span(error.origin.start, error.origin.end)


def _results(done: Elaborated) -> Iterator[int]:
    for index, node in done.circuit:
        if node.op in {"reveal", "store"}:
            yield index
