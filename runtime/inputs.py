"""A party's own data for one job: from files, or from arrays that an application hands over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dsl.inputs import InputSpec
from mpc.circuit import Array
from mpc.engine import InputKey
from runtime.errors import DataError, Fault, PolicyRefused
from runtime.sources import Bindings, Database, Loaded, find, for_circuit, from_arrays, load, suffixes

__all__ = ["ArrayInputs", "FileInputs", "NoInputs"]


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

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """Load and check all inputs.  Raises DataError."""
        for spec in specs:
            one = self._loaded[spec.name] = load(spec, self._find(spec))
            if one.shape and one.rows < self.least:
                raise PolicyRefused(self.party, f"its input {spec.name} has too few rows, see [policy] min_rows")
        return {name: one.shape for name, one in self._loaded.items()}

    def _find(self, spec: InputSpec) -> Path | Database:
        if self.own and self.directory is not None and (self.party, spec.name) not in self.bound:
            for suffix in suffixes(spec):
                path = self.directory / f"{spec.name}{suffix}"
                if path.is_file():
                    return path
        return find(self.directory, self.party, spec.name, self.bound, suffixes=suffixes(spec))

    def arrays(self, salt: bytes | None) -> Mapping[InputKey, Array]:
        """All columns in natural units, keys hashed under `salt`."""
        return flat(self._loaded.values(), salt)


@dataclass(slots=True)
class NoInputs:
    """A party that brings nothing: a further node, or the dealer."""

    party: str

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """Nothing; DataError if the study wants something of this party."""
        for spec in specs:
            fault = Fault("E0401", "no data were given for it", self.party)
            raise DataError(self.party, spec.name, [fault])
        return {}

    def arrays(self, salt: bytes | None) -> Mapping[InputKey, Array]:
        """Nothing."""
        del salt
        return {}


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

    def arrays(self, salt: bytes | None) -> Mapping[InputKey, Array]:
        """All columns in natural units, keys hashed under `salt`."""
        return flat(self._loaded.values(), salt)


def flat(loaded: Iterable[Loaded], salt: bytes | None) -> dict[InputKey, Array]:
    """Columns by (input, column), as circuits hold them; the mask of a nullable column as `column?`.

    A table declared with `rows <= n` is filled up with zeros, and `#rows` says which rows exist.
    """
    out: dict[InputKey, Array] = {}
    for one in loaded:
        columns = for_circuit(one, salt)
        bound = one.spec.max_rows
        if bound is not None:
            columns = {name: _filled(values, bound) for name, values in columns.items()}
            columns["#rows"] = np.arange(bound) < one.rows
        out |= {(one.spec.name, name): values for name, values in columns.items()}
    return out


def _filled(values: Array, rows: int) -> Array:
    filled = np.zeros((rows, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled
