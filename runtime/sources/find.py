"""Where the file of an input is, or the table of a database that is given for it.

For: `find`, `parse_binding`.
Leaves to others: reading it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

from runtime.errors import DataError, Fault, UsageError
from runtime.sources.address import Database, is_database, parse_database

Bindings = Mapping[tuple[str, str], Path | Database]
"""(party, name) -> the file, or the table of a database, given for it by name."""


def parse_binding(text: str) -> tuple[tuple[str, str], Path | Database]:
    """`PARTY:NAME=PATH`, or a database's address for the path: the argument of `--bind`. Raises UsageError."""
    left, equals, path = text.partition("=")
    party, colon, name = left.partition(":")
    if not (equals and colon and party.strip() and name.strip() and path):
        raise UsageError(f"--bind takes PARTY:NAME=PATH, not {text!r}")
    party, name = party.strip(), name.strip()
    if not is_database(path):
        return (party, name), Path(path)
    try:
        return (party, name), parse_database(path)
    except ValueError as error:
        raise UsageError(f"--bind {party}:{name}: {error}") from None


def find(
    data_dir: Path | None,
    party: str,
    name: str,
    bindings: Bindings | None = None,
    *,
    suffixes: Collection[str] = (".csv", ".parquet", ".npy"),
) -> Path | Database:
    """The file or table bound to it, or else `data_dir/PARTY/NAME` with the one of the suffixes that is there.

    Raises DataError E0401, also when several are there.
    """
    bound = (bindings or {}).get((party, name))
    if bound is not None:
        if isinstance(bound, Path) and not bound.is_file():
            raise _missing(party, name, f"there is no file {bound}, which was bound to it", str(bound))
        return bound
    bind = f"or name it: --bind {party}:{name}=PATH"
    if data_dir is None:
        raise _missing(party, name, "no data directory was given", "", f"give --data DIR, {bind}")
    folder = data_dir / party
    if not folder.is_dir():
        others = sorted(p.name for p in data_dir.iterdir() if p.is_dir()) if data_dir.is_dir() else []
        what = f"there is no directory {folder if data_dir.is_dir() else data_dir}"
        raise _missing(party, name, what + _near(party, others), str(folder), f"put {name}.csv there, {bind}")
    wanted = [folder / f"{name}{suffix}" for suffix in suffixes]
    present = [path for path in wanted if path.is_file()]
    if len(present) == 1:
        return present[0]
    if present:
        listed = " and ".join(path.name for path in present)
        raise _missing(party, name, f"there are {listed}: which one?", str(folder), f"keep one, {bind}")
    listed = ", ".join(path.name for path in wanted)
    others = sorted(p.name for p in folder.iterdir() if p.is_file())
    raise _missing(
        party, name, f"none of {listed} is there" + _near(f"{name}.csv", others), str(folder), f"put one there, {bind}"
    )


def _near(name: str, others: list[str]) -> str:
    close = difflib.get_close_matches(name, others, n=2, cutoff=0.6)
    return f"; {' and '.join(close)} {'is' if len(close) == 1 else 'are'} there" if close else ""


def _missing(party: str, name: str, message: str, file: str, help: str = "") -> DataError:
    return DataError(party, name, [Fault("E0401", message, file, help=help)])
