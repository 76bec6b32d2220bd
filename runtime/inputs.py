"""A party's own data for one job: from files, or from arrays that an application hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy.typing as npt

from dsl.inputs import InputSpec
from mpc.circuit import Array
from mpc.engine import InputKey
from runtime.errors import DataError, Fault
from runtime.sources import Loaded, find, load, suffixes

__all__ = ["ArrayInputs", "FileInputs", "NoInputs"]


@dataclass(slots=True)
class FileInputs:
    """Inputs found as files: `--bind` first, then `directory/PARTY/NAME.*`, then (for a node) `directory/NAME.*`."""

    party: str
    directory: Path | None
    bound: Mapping[tuple[str, str], Path] = field(default_factory=dict)
    own: bool = False
    """The directory is this party's alone: files may lie in it directly."""
    _loaded: dict[str, Loaded] = field(default_factory=dict)

    def shapes(self, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
        """Load and check all inputs.  Raises DataError."""
        for spec in specs:
            self._loaded[spec.name] = load(spec, self._find(spec))
        return {name: one.shape for name, one in self._loaded.items()}

    def _find(self, spec: InputSpec) -> Path:
        if self.own and self.directory is not None and (self.party, spec.name) not in self.bound:
            for suffix in suffixes(spec):
                path = self.directory / f"{spec.name}{suffix}"
                if path.is_file():
                    return path
        return find(self.directory, self.party, spec.name, self.bound, suffixes=suffixes(spec))

    def arrays(self) -> Mapping[InputKey, Array]:
        """All columns in natural units."""
        return flat(self._loaded.values())


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

    def arrays(self) -> Mapping[InputKey, Array]:
        """Nothing."""
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
        from runtime.sources.given import from_arrays

        for spec in specs:
            if spec.name not in self.given:
                fault = Fault("E0401", "no array was given for it", self.party)
                raise DataError(self.party, spec.name, [fault])
            self._loaded[spec.name] = from_arrays(spec, self.given[spec.name])
        return {name: one.shape for name, one in self._loaded.items()}

    def arrays(self) -> Mapping[InputKey, Array]:
        """All columns in natural units."""
        return flat(self._loaded.values())


def flat(loaded: Sequence[Loaded] | Mapping[str, Loaded] | object) -> dict[InputKey, Array]:
    """Columns by (input, column); the mask of a nullable column as `column?`."""
    out: dict[InputKey, Array] = {}
    for one in loaded:  # type: ignore[attr-defined]
        for name, values in one.columns.items():
            out[one.spec.name, name] = values
            valid = one.valid.get(name)
            if valid is not None:
                out[one.spec.name, f"{name}?"] = valid
    return out
