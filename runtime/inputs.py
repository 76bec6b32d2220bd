"""A party's own data for one job: from files, databases, or arrays that an application hands over.

A table of a database stays there (`sources.held`): of it only what a stage's timetable computes with is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy.typing as npt

from dsl.inputs import InputSpec, Told
from dsl.outputs import Elaborated
from mpc.circuit import Array, Circuit
from mpc.engine import InputKey
from mpc.schedule import Schedule
from runtime.counted import counted
from runtime.errors import DataError, Fault, PolicyRefused
from runtime.owned import brought, padded
from runtime.sources import (
    Bindings,
    Connections,
    Database,
    Held,
    Loaded,
    find,
    for_circuit,
    from_arrays,
    hold,
    load,
    suffixes,
)

if TYPE_CHECKING:
    from runtime.sources.databases import Source

__all__ = ["ArrayInputs", "FileInputs"]


@dataclass(slots=True)
class FileInputs:
    """Inputs found as files, or tables of databases: `--bind` first, then `directory/PARTY/NAME.*`, then (for a
    node) `directory/NAME.*`.
    """

    party: str
    directory: Path | None
    bound: Bindings = field(default_factory=dict)
    own: bool = False
    """The directory is this party's alone: files may lie in it directly."""
    least: int = 0
    """Rows that each input must have, by this party's policy."""
    _loaded: dict[str, Loaded] = field(default_factory=dict)
    _held: dict[str, Held] = field(default_factory=dict)
    _connections: Connections = field(default_factory=Connections)
    _fetched: dict[InputKey, Array] = field(default_factory=dict)
    _asking: Source | None = None
    _closed: bool = False

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """Check all inputs; load those of files.  Raises DataError."""
        found: dict[str, tuple[int, ...]] = {}
        for spec in specs:
            found[spec.name] = self._shape(spec)
            if found[spec.name] and found[spec.name][0] < self.least:
                raise PolicyRefused(self.party, f"its input {spec.name} has too few rows, see [policy] min_rows")
        return found

    def _shape(self, spec: InputSpec) -> tuple[int, ...]:
        place = self._find(spec)
        try:
            held = hold(place, spec, self._watch, self._connections) if isinstance(place, Database) else None
        finally:
            self._asking = None
        if held is not None:
            self._held[spec.name] = held
            if self._closed:
                self.close()
            return (held.rows,)
        one = self._loaded[spec.name] = load(spec, place)
        return one.shape

    def _watch(self, source: Source) -> None:
        self._asking = source

    @property
    def tells(self) -> bool:
        """Whether of some table it may be known how many rows conditions keep."""
        return any(held.tells for held in self._held.values())

    def counts(self, study: Elaborated) -> dict[str, dict[int, Told]]:
        """What of tables in databases may be told: by name and place of a scan in the study, how many rows are kept.

        Fewer than this party's policy allows are not told.  study: with its sizes open.  Raises DataError.
        """
        found = counted(self._held, study)
        return {n: {p: t for p, t in told.items() if t.rows >= self.least} for n, told in found.items() if told}

    def held(self, name: str) -> Held | None:
        """A table that stays in its database; None when it was loaded."""
        return self._held.get(name)

    def _find(self, spec: InputSpec) -> Path | Database:
        if self.own and self.directory is not None and (self.party, spec.name) not in self.bound:
            for suffix in suffixes(spec):
                path = self.directory / f"{spec.name}{suffix}"
                if path.is_file():
                    return path
        return find(self.directory, self.party, spec.name, self.bound, suffixes=suffixes(spec))

    def arrays(self, salt: bytes | None) -> Mapping[InputKey, Array]:
        """All columns in natural units, keys hashed under `salt`."""
        out = flat(self._loaded.values(), salt)
        for name, held in self._held.items():
            names = [c.name for c in held.spec.columns]
            columns = padded(held.whole(names, salt), held.rows, held.spec.max_rows)
            out |= {(name, column): values for column, values in columns.items()}
        return out

    def fetch(self, salt: bytes | None, circuit: Circuit, timetable: Schedule) -> Mapping[InputKey, Array]:
        """What one stage needs: of tables in databases what its timetable computes with (`owned`).

        circuit: the stage as the study has it, by which conditions are told to databases.
        """
        if not self._fetched:
            self._fetched |= flat(self._loaded.values(), salt)
        if not self._held:
            return self._fetched
        columns, results = brought(self.party, self._held, salt, circuit, timetable, self._fetched)
        self._fetched |= columns
        return self._fetched | results

    def close(self) -> None:
        """Let go of databases; what is being asked of one ends with an error there."""
        self._closed = True
        if self._asking is not None:
            self._asking.interrupt()
        while self._held:
            self._held.popitem()[1].close()


@dataclass(slots=True)
class ArrayInputs:
    """Arrays of an application: `{"x": array}`, tables as `{"t": {"column": array}}`, in natural units.

    A missing value is NaN in a float array, or masked in a `numpy.ma` array.
    """

    party: str
    given: Mapping[str, npt.ArrayLike | Mapping[str, npt.ArrayLike]]
    _loaded: dict[str, Loaded] = field(default_factory=dict)

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """Check all arrays against what the study declares.  Raises DataError."""
        for spec in specs:
            if spec.name not in self.given:
                fault = Fault("E0401", "no array was given for it", self.party)
                raise DataError(self.party, spec.name, [fault])
            self._loaded[spec.name] = from_arrays(spec, self.given[spec.name])
        return {name: one.shape for name, one in self._loaded.items()}

    tells = False

    def counts(self, study: Elaborated) -> dict[str, dict[int, Told]]:
        """Nothing."""
        del study
        return {}

    def fetch(self, salt: bytes | None, circuit: Circuit, timetable: Schedule) -> Mapping[InputKey, Array]:
        """All columns in natural units, keys hashed under `salt`."""
        del circuit, timetable
        return flat(self._loaded.values(), salt)

    def close(self) -> None:
        """Nothing is open."""


def flat(loaded: Iterable[Loaded], salt: bytes | None) -> dict[InputKey, Array]:
    """Columns by (input, column), as circuits hold them; the mask of a nullable column as `column?`.

    A table declared with `rows <= n` is filled up with zeros, and `#rows` says which rows exist.
    """
    out: dict[InputKey, Array] = {}
    for one in loaded:
        columns = padded(for_circuit(one, salt), one.rows, one.spec.max_rows)
        out |= {(one.spec.name, column): values for column, values in columns.items()}
    return out
