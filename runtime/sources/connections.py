"""Open databases, each opened once for all of its tables that a job reads: so that it can join them, as they all were
at one moment.

For: `Connections`, `Connection`.
Leaves to others: how a kind of database is opened (`databases`), what is asked (`held`).
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runtime.sources.address import Database
from runtime.sources.faults import Faults

if TYPE_CHECKING:
    from runtime.sources.databases import Source

__all__ = ["Connection", "Connections"]


@dataclass(slots=True)
class Connection:
    """One of them. lock: one statement at a time. users: tables that are held."""

    source: Source
    stack: ExitStack
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


@dataclass(slots=True)
class Connections:
    """The databases of one job."""

    _open: dict[Database, Connection] = field(default_factory=dict)

    def take(self, database: Database, faults: Faults) -> Connection:
        """Its database; to be released again.  Raises DataError where it cannot be opened."""
        from runtime.sources.databases import opened

        place = replace(database, table=(), query="", counts=False)
        if place not in self._open:
            with ExitStack() as stack:
                source = stack.enter_context(opened(database, faults))
                self._open[place] = Connection(source, stack.pop_all())
        found = self._open[place]
        found.users += 1
        return found

    def release(self, connection: Connection) -> None:
        """A table is let go; what another thread asks ends with an error there."""
        connection.source.interrupt()
        with connection.lock:
            connection.users -= 1
            if not connection.users:
                self._open = {place: one for place, one in self._open.items() if one is not connection}
                connection.stack.close()
