"""What ends a command, and how it is told: text, JSON, exit code.

For: `DataError` (a party's data cannot be used), `UsageError` and `ConfigError` (the command or a node's settings are
wrong), `PartyFailed` (another process of the job ended), and the three forms of any error: `report`, `as_json`,
`exit_code`.
Leaves to others: finding errors, colours, the errors of a study's text (`dsl.diagnostics`), those of the wire
(`network.errors`).

    1  the study or its data are wrong      StudyError, DataError, TypeRuleError
    2  the command or the settings are      UsageError, ConfigError, IdentityError, a file that cannot be written
    3  a party or the network failed        PartyFailed, NetworkError, time-outs, and faults of this program
  130  stopped at the keyboard

A text never holds a data value: of an error that is not ours only the kind and the place in the program are told.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from dsl.diagnostics import Diagnostic, StudyError
from mpc.types import ShapeError, TypeRuleError
from network.errors import (
    CannotListen,
    FrameError,
    HandshakeFailed,
    IdentityError,
    NetworkError,
    NotJoined,
    PeerLost,
    PeerStalled,
    Unreachable,
)

__all__ = [
    "BudgetSpent",
    "ConfigError",
    "DataError",
    "Disagreement",
    "Fault",
    "PartyFailed",
    "PolicyRefused",
    "StoreDamaged",
    "StoreDiffers",
    "ToldByParty",
    "UsageError",
    "as_json",
    "exit_code",
    "report",
]

STUDY: Final = 1
USAGE: Final = 2
FAILED: Final = 3
STOPPED: Final = 130

INTERNAL: Final = "E0821"


class Fault(NamedTuple):
    """One thing wrong with a data file.

    row counts data rows from 1, line counts lines of the file from 1 (None where the format has none).
    column is the column's name, or `[2, 5]` for an element of an array.
    """

    code: str
    message: str
    file: str
    row: int | None = None
    line: int | None = None
    column: str | None = None
    help: str = ""

    @property
    def where(self) -> str:
        """`bank/loans.csv, row 12 (line 13), column income`."""
        parts = [self.file]
        if self.row is not None:
            parts.append(f"row {self.row}" + (f" (line {self.line})" if self.line is not None else ""))
        elif self.line is not None:
            parts.append(f"line {self.line}")
        if self.column is not None:
            parts.append(f"element {self.column}" if self.column.startswith("[") else f"column {self.column}")
        return ", ".join(part for part in parts if part)


class DataError(StudyError):
    """A party's data cannot be used; raised at that party alone, before anything is sent.

    faults: what was found, at most ten, in the order of the file. more: how many further ones there are.
    `file`, `row` and `column` are those of the first.
    """

    def __init__(self, party: str, name: str, faults: Sequence[Fault], more: int = 0) -> None:
        self.party = party
        self.name = name
        self.faults = tuple(faults)
        self.more = more
        subject = f"`{name}` of {party}" if name else f"the data of {party}"
        told: set[str] = set()
        diagnostics = []
        for fault in self.faults:
            helps = (fault.help,) if fault.help and fault.help not in told else ()
            told.add(fault.help)
            diagnostics.append(
                Diagnostic(fault.code, f"{subject}: {fault.message}", helps=helps, where=fault.where),
            )
        super().__init__(diagnostics)

    @property
    def file(self) -> str:
        """The file of the first fault, as it was named to us."""
        return self.faults[0].file

    @property
    def row(self) -> int | None:
        """The data row of the first fault, from 1."""
        return self.faults[0].row

    @property
    def column(self) -> str | None:
        """The column of the first fault."""
        return self.faults[0].column

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n\n{self.more} more in this file are not shown" if self.more else text


class UsageError(Exception):
    """The command line asks for something that cannot be; the text says what to write instead."""

    code = "E0816"


class ConfigError(UsageError):
    """A settings file cannot be used. where: `node.toml:12`, or the file alone."""

    code = "E0817"

    def __init__(self, file: Path, message: str, *, key: str = "", line: int | None = None) -> None:
        self.file = file
        self.key = key
        self.line = line
        self.where = str(file) + (f":{line}" if line is not None else "")
        super().__init__(f"{self.where}: {message}")


class PartyFailed(Exception):  # noqa: N818 - says what happened, as PeerLost does
    """The process or session of `party` ended; `why` is what it said of it."""

    code = "E0815"

    def __init__(self, party: str, why: str) -> None:
        self.party = party
        self.why = why
        super().__init__(f"{party} failed: {why}")


class ToldByParty(Exception):  # noqa: N818
    """An error that another process of this job has already put into words: told on as it is."""

    def __init__(self, party: str, error: dict[str, str], text: str, exit_: int) -> None:
        self.party = party
        self.error = error
        self.text = text
        self.exit = exit_
        super().__init__(text)


class Disagreement(Exception):  # noqa: N818
    """`peer` holds another job than this party: `part` says in what they differ."""

    code = "E0807"

    def __init__(self, peer: str, part: str) -> None:
        self.peer = peer
        self.part = part
        super().__init__(
            f"{peer} holds another {part} of this job than this party: both must run the same release, "
            f"with the same study and settings"
        )


class PolicyRefused(Exception):  # noqa: N818
    """This party's own policy does not allow the job."""

    code = "E0808"

    def __init__(self, party: str, why: str) -> None:
        self.party = party
        super().__init__(f"the policy of {party} refuses this job: {why}")


class BudgetSpent(Exception):  # noqa: N818
    """A table of this party has less privacy left than the job would spend. what: `epsilon` or `delta`."""

    code = "E0704"

    def __init__(self, party: str, table: str, what: str, asked: str, left: str) -> None:
        self.party = party
        wants = f"{asked} is asked and {left} is left"
        super().__init__(f"the ledger of {party} refuses this job: of the {what} of `{table}`, {wants}")


class StoreDamaged(Exception):  # noqa: N818
    """What this node keeps under a name cannot be used: it is not what it wrote."""

    code = "E0823"

    def __init__(self, party: str, name: str, why: str) -> None:
        self.party = party
        super().__init__(f"what {party} stored as `{name}` is damaged: {why}")


class StoreDiffers(Exception):  # noqa: N818
    """`peer` holds shares of another run than the other nodes under a name, or none."""

    code = "E0822"

    def __init__(self, peer: str, name: str, why: str) -> None:
        self.peer = peer
        super().__init__(f"{peer} {why} as `{name}`: store it anew at all nodes")


_NETWORK_CODES: Final[tuple[tuple[type[NetworkError], str], ...]] = (
    (CannotListen, "E0811"),
    (Unreachable, "E0812"),
    (HandshakeFailed, "E0806"),
    (NotJoined, "E0813"),
    (PeerLost, "E0804"),
    (PeerStalled, "E0805"),
    (FrameError, "E0814"),
)
"""First match wins; any other NetworkError is E0804."""


class _Account(NamedTuple):
    exit: int
    code: str
    message: str
    where: str
    text: str


def report(error: BaseException) -> tuple[str, int]:
    """What to print for `error`, without a traceback, and the exit code."""
    account = _account(_telling(error))
    return account.text, account.exit


def as_json(error: BaseException) -> dict[str, str]:
    """`{"code", "message", "where"}` of the error; `where` is empty when it has no place."""
    account = _account(_telling(error))
    return {"code": account.code, "message": account.message, "where": account.where}


def exit_code(error: BaseException) -> int:
    """The exit code of a command that ended with `error`."""
    return _account(_telling(error)).exit


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _telling(error: BaseException) -> BaseException:
    """Of the errors of a task group the one that says most: what one task did wrong makes the others fail after it."""

    def rank(leaf: BaseException) -> int:
        account = _account(leaf)
        return account.exit if account.code != INTERNAL else 9

    return min(_leaves(error), key=rank)


def _account(error: BaseException) -> _Account:
    match error:
        case StudyError():
            first = next((d for d in error.diagnostics if d.severity == "error"), error.diagnostics[0])
            exit_ = USAGE if error.code == UsageError.code else STUDY  # a setting given with -p, say
            return _Account(exit_, error.code, first.message, first.place, str(error))
        case TypeRuleError():
            return _plain(STUDY, "E0302" if isinstance(error, ShapeError) else "E0301", str(error))
        case UsageError():
            return _plain(USAGE, error.code, str(error), getattr(error, "where", ""))
        case IdentityError():
            return _plain(USAGE, "E0817", str(error))
        case NetworkError():
            code = next((code for kind, code in _NETWORK_CODES if isinstance(error, kind)), "E0804")
            return _plain(FAILED, code, str(error), str(getattr(error, "peer", "")))
        case PartyFailed():
            return _plain(FAILED, error.code, str(error), error.party)
        case ToldByParty():
            told = error.error
            return _Account(error.exit, told["code"], told["message"], told["where"], error.text)
        case Disagreement() | StoreDiffers():
            return _plain(FAILED, error.code, str(error), error.peer)
        case PolicyRefused() | StoreDamaged() | BudgetSpent():
            return _plain(FAILED, error.code, str(error), error.party)
        case TimeoutError():
            return _plain(FAILED, "E0820", "a time limit was reached")
        case MemoryError():
            return _plain(FAILED, "E0818", "this machine has not enough memory for the job")
        case ConnectionError():
            return _plain(FAILED, "E0804", "a connection failed")
        case KeyboardInterrupt():
            return _plain(STOPPED, "E0819", "stopped")
        case OSError(filename=str() | bytes() | Path(), strerror=str(reason)):
            place = str(error.filename)
            return _plain(USAGE, "E0816", f"{place}: {reason}", place)
        case OSError(strerror=str(reason)):
            return _plain(FAILED, "E0821", reason)
        case _:
            return _internal(error)


def _plain(exit_: int, code: str, message: str, where: str = "") -> _Account:
    return _Account(exit_, code, message, where, f"error[{code}]: {message}")


def _internal(error: BaseException) -> _Account:
    """A fault of this program. The text of a foreign error may quote data, so only kind and place are told."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    place = f" in {where}" if where else ""
    message = f"a fault of this program ({type(error).__name__}{place})"
    return _plain(FAILED, INTERNAL, message, where)
