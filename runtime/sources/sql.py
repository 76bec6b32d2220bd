"""The few statements that a table of a database is read with.

For: `quoted`, `relation`, `said`, `TOO_LARGE`.
Leaves to others: running them.

Only names go into them, each in quotation marks: the owner's table, and columns that were found to be there.
"""

from __future__ import annotations

from typing import Final

from dsl.inputs import InputSpec
from runtime.sources.address import Database
from runtime.sources.dialects import dialect_of

TOO_LARGE: Final = "a number that it works out does not fit into 64 bits"
_MOST: Final = 300


def quoted(name: str) -> str:
    """An SQL identifier that means just this name (ISO/IEC 9075-2, delimited identifiers)."""
    return '"' + name.replace('"', '""') + '"'


def relation(database: Database, spec: InputSpec) -> str:
    """What follows FROM. A query is enclosed, so that it can be nothing but one query."""
    if database.query:
        return f"(\n{database.query}\n) as parley_rows"  # the line ends close a comment
    dialect = dialect_of(database)
    mark = quoted if dialect is None else dialect.quoted
    return ".".join(mark(part) for part in database.table or (spec.name,))


def said(error: Exception) -> str:
    """The first line of what a database says; only for statements that were to give no rows, so without any value."""
    text = str(error).partition("ERROR:")[2] or str(error)
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return "".join(c for c in line if c.isprintable())[:_MOST]
