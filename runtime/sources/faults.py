"""Collects what is wrong with one data file and ends its loading with all of it at once.

For: `Faults`, which turns masks over values into rows, lines and columns.
Leaves to others: finding faults, and how an error looks (`runtime.errors`).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import InputSpec
from runtime.errors import DataError, Fault

MAX_SHOWN: Final = 10


class Place(NamedTuple):
    """Where a value stands: data row and line from 1, None where the format has none; column replaces the given one."""

    row: int | None
    line: int | None = None
    column: str | None = None


class _Found(NamedTuple):
    order: int
    sequence: int
    fault: Fault


class Faults:
    """The faults of one file or one table of a database (`source` says which word messages use).

    `locate` maps the number of a value in its column (from 0) to its place.
    """

    def __init__(self, spec: InputSpec, file: str, source: str = "file") -> None:
        self.spec = spec
        self.file = file
        self.source = source
        self.locate: Callable[[int], Place] = lambda index: Place(index + 1)
        self._found: list[_Found] = []
        self._count = 0

    def add(self, code: str, bad: NDArray[np.bool_], message: str, *, column: str, help: str = "") -> None:
        """One fault for each value of `column` that is True in `bad`."""
        if not bad.any():
            return
        where = np.flatnonzero(bad)
        for index in where[:MAX_SHOWN].tolist():
            self.at(code, index, message, column=column, help=help)
        self.uncounted(len(where) - MAX_SHOWN)

    def at(self, code: str, index: int, message: str, *, column: str, help: str = "") -> None:
        """One fault, of value number `index` of `column`."""
        self._count += 1
        place = self.locate(index)
        fault = Fault(code, message, self.file, place.row, place.line, place.column or column or None, help)
        self._found.append(_Found(index, len(self._found), fault))

    def uncounted(self, more: int) -> None:
        """So many faults were found beyond those told here."""
        self._count += max(more, 0)

    def say(
        self,
        code: str,
        message: str,
        *,
        column: str | None = None,
        row: int | None = None,
        line: int | None = None,
        help: str = "",
    ) -> None:
        """One fault of the file, a column, a row, or a line."""
        self._count += 1
        fault = Fault(code, message, self.file, row, line, column, help)
        self._found.append(_Found(-1 if row is None else row - 1, len(self._found), fault))

    def fail(
        self, code: str, message: str, *, column: str | None = None, line: int | None = None, help: str = ""
    ) -> NoReturn:
        """Ends the loading with this fault and all before it."""
        self.say(code, message, column=column, line=line, help=help)
        raise self.error()

    def finish(self) -> None:
        """Raises `DataError` when anything was found."""
        if self._found:
            raise self.error()

    def error(self) -> DataError:
        """All that was found; there must be something."""
        shown = [found.fault for found in sorted(self._found)[:MAX_SHOWN]]
        return DataError(self.spec.party, self.spec.name, shown, self._count - len(shown))


def check_columns(spec: InputSpec, names: Sequence[str], faults: Faults, *, help: str = "") -> None:
    """Every column of the study is among the file's `names`, once; fails otherwise.

    A name of the file is told only where it is much like the one that is missing: without a header line the
    first line holds data.
    """
    for column in spec.columns:
        times = names.count(column.name)
        if times > 1:
            faults.say("E0402", f"the column occurs {times} times", column=column.name, help="name each column once")
        elif not times:
            close = _close(column.name, [name for name in names if name not in {c.name for c in spec.columns}])
            text = f"; {close!r} is there" if close else ""
            faults.say("E0402", f"there is no column {column.name!r}{text}", help=help)
    faults.finish()


def _close(name: str, others: Sequence[str]) -> str | None:
    folded = {other.casefold().replace(" ", "_"): other for other in others}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return folded[found[0]] if found else None
