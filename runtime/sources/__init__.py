"""A party's own data: found, read, checked against what the study declares, in natural units.

`find` names the file, or the table of a database (`parse_database`), `load` reads it, `measure` gives its shape alone,
`load_all` does both for all inputs of a party; `hold` leaves a table in its database and fetches what a job needs;
`from_arrays` takes an application's own arrays; `for_circuit` gives the columns as they are computed with: texts as
whole numbers, identifiers hashed. Formats are
the entries of `READERS`. Everything that cannot
be used is a `runtime.errors.DataError` that names file, row and column and never a value.
"""

from runtime.sources.address import Database, is_database, parse_database
from runtime.sources.connections import Connections
from runtime.sources.find import Bindings, find, parse_binding
from runtime.sources.given import from_arrays
from runtime.sources.held import Given, Held, Kept, hold
from runtime.sources.keys import hash_keys
from runtime.sources.load import READERS, Loaded, Reader, bound_sizes, load, load_all, measure, suffixes
from runtime.sources.packing import for_circuit, pack_text, unpack_text

__all__ = [
    "READERS",
    "Bindings",
    "Connections",
    "Database",
    "Given",
    "Held",
    "Kept",
    "Loaded",
    "Reader",
    "bound_sizes",
    "find",
    "for_circuit",
    "from_arrays",
    "hash_keys",
    "hold",
    "is_database",
    "load",
    "load_all",
    "measure",
    "pack_text",
    "parse_binding",
    "parse_database",
    "suffixes",
    "unpack_text",
]
