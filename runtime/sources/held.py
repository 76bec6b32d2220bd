"""A table that stays in its owner's database: what is asked of it for one job, while it is held as it was at first.

For: `hold`, `Held`.
Leaves to others: expressions in SQL (`expressions`), which rows there are (`frames`), what a column is in SQL
(`columns`), the circuit's columns (`packing`), groups (`pushed`).

Only what the job needs leaves the database: columns that something is computed from, and of a scan with conditions the
rows that they keep.  That the study's declarations hold (types, ranges, words, lengths, missing values, unique) is
counted by the database, for all columns; when something does not hold, the columns at fault are loaded, and the error
names their rows.

A scan's rows are followed by rows that stand for nothing, up to the table's public number of rows.  They repeat the
first row that is kept, so that no value is outside what the study's ranges promise, and are invisible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from numpy.typing import NDArray

from dsl.inputs import ColumnSpec, InputSpec
from runtime.sources.address import Database
from runtime.sources.columns import Native, native
from runtime.sources.conditions import Where
from runtime.sources.connections import Connection, Connections
from runtime.sources.dialects import Dialect, dialect_of
from runtime.sources.faults import Faults, check_columns
from runtime.sources.frames import OWN, Stands
from runtime.sources.load import convert
from runtime.sources.packing import for_circuit
from runtime.sources.sql import relation

if TYPE_CHECKING:
    from runtime.sources.databases import Source

__all__ = ["Given", "Held", "Kept", "hold"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The rows of a scan that conditions keep. number: how many. at: the conditions, by number."""

    number: int
    at: tuple[int, ...]
    columns: Mapping[str, NDArray[Any]]


class Given(NamedTuple):
    """What is computed of rows `r0`: columns in SQL, and what they look up, after FROM."""

    columns: Sequence[tuple[ColumnSpec, str]] = ()
    joins: str = ""


NOTHING = Given()
_PLACE: Final = "parley_place"


@dataclass(slots=True)
class Held:
    """An open table. rows: how many there are. kinds: the database's names of its columns' types.

    fetched: the rows and columns of each time that any were.
    """

    spec: InputSpec
    rows: int
    database: Database
    dialect: Dialect
    kinds: Mapping[str, str]
    connection: Connection
    _connections: Connections
    _source: Source
    fetched: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    _seen: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    _closed: bool = False

    def close(self) -> None:
        """Let it go; what another thread asks ends with an error there."""
        if not self._closed:
            self._closed = True
            self._connections.release(self.connection)

    @property
    def tells(self) -> bool:
        """Whether it may be known how many rows conditions keep."""
        return self.database.counts

    @property
    def stands(self) -> Stands:
        """What statements need to know of it."""
        query = self.database.query
        place = f"(\n{query}\n)" if query else relation(self.database, self.spec)
        return Stands(self.spec, place, self.kinds)

    def whole(self, names: Sequence[str], salt: bytes | None) -> dict[str, NDArray[Any]]:
        """Columns with all rows, as circuits take them, missing values' masks as `name?`."""
        columns = self._fetch(relation(self.database, self.spec), names, salt)
        if names and len(columns[names[0]]) != self.rows:
            self._fail("its rows changed while the job ran")
        return columns

    def kept(
        self,
        names: Sequence[str],
        where: Where,
        salt: bytes | None,
        computed: Given = NOTHING,
    ) -> Kept:
        """The rows for which all conditions hold, of these columns, and of some that are computed."""
        at = tuple(where.by)
        if not names and not computed.columns:
            return Kept(self.number(where) if at else self.rows, at, {})
        wanted = names if self.dialect.stable else [c.name for c in self.spec.columns]
        rows = f"({self._selected(wanted, where, computed)}) as parley_kept{self._by_place(where, computed)}"
        columns = self._fetch(rows, names, salt, [spec for spec, _ in computed.columns])
        return Kept(self._number(len(next(iter(columns.values()))), whole=not at), at, columns)

    def number(self, where: Where) -> int:
        """For how many rows all conditions hold."""
        rows = f"{self.stands.place} as {OWN}{self._in_order()} {where.joins}".rstrip()
        with self.connection.lock:
            (number,) = self._source.row(f"select count(*) from {rows}{where.clause}")
        return self._number(number)

    def groups(self, statement: str) -> int:
        """How many rows a statement about groups gives."""
        with self.connection.lock:
            (number,) = self._source.row(f"select count(*) from ({statement}) as parley_groups")
        return number

    def statement(self, names: Sequence[str], where: Where, computed: Given = NOTHING) -> str:
        """What gives these columns of the rows for which all conditions hold, and what is computed of these rows."""
        return self._selected(names, where, computed) + self._by_place(where, computed)

    def _selected(self, names: Sequence[str], where: Where, computed: Given) -> str:
        """The same in any order."""
        quoted, joins = self.dialect.quoted, f"{where.joins} {computed.joins}".strip()
        more = [f"{sql} as {quoted(spec.name)}" for spec, sql in computed.columns]
        place = f"{self.stands.place} as {OWN}{self._in_order()}"
        if not joins:
            return f"select {', '.join([*map(quoted, names), *more])} from {place}{where.clause}"
        listed = [*(f"{OWN}.{quoted(name)} as {quoted(name)}" for name in names), *more]
        if self._by_place(where, computed):
            listed.append(f"{OWN}.{_PLACE} as {_PLACE}")
            place = f"(select *, row_number() over () as {_PLACE} from {place}) as {OWN}"
        return f"select {', '.join(listed)} from {place} {joins}{where.clause}"

    def _by_place(self, where: Where, computed: Given) -> str:
        """Rows that look up others may come in any order; another statement is to give them in the same one."""
        return f" order by {_PLACE}" if (where.joins or computed.joins) and self.dialect.stable else ""

    def answer(
        self,
        statement: str,
        columns: Sequence[ColumnSpec],
        salt: bytes | None,
        beside: Sequence[str] = (),
        most: int | None = None,
    ) -> dict[str, NDArray[Any]]:
        """What a statement about this table gives, in columns as circuits take them, missing values' masks as `name?`.

        beside: the other tables that it is about. most: how many rows there can be.
        """
        wanted = replace(self.spec, columns=tuple(columns), unique_together=())
        found = self._read(f"({statement}) as parley_answer", wanted, salt, beside)
        if most is not None and len(next(iter(found.values()))) > most:
            self._fail("its rows changed while the job ran")
        return found

    def _number(self, number: int, *, whole: bool = False) -> int:
        if number > self.rows or (whole and number != self.rows):
            self._fail("its rows changed while the job ran")
        return number

    def _in_order(self) -> str:
        """SQLite: rows in the order of the table, not of an index."""
        return " not indexed" if self.database.kind == "sqlite" and not self.database.query else ""

    def _fetch(
        self, rows: str, names: Sequence[str], salt: bytes | None, more: Sequence[ColumnSpec] = ()
    ) -> dict[str, NDArray[Any]]:
        """Columns; where another statement may see other rows, or in another order, all that there are, at once."""
        if not names and not more:
            return {}
        if self.dialect.stable:
            return self._columns(rows, names, salt, more)
        if rows not in self._seen:
            self._seen[rows] = self._columns(rows, [c.name for c in self.spec.columns], salt)
        return self._seen[rows]

    def _columns(
        self, rows: str, names: Sequence[str], salt: bytes | None, more: Sequence[ColumnSpec] = ()
    ) -> dict[str, NDArray[Any]]:
        wanted = replace(
            self.spec,
            columns=(*(replace(c, unique=False) for c in self.spec.columns if c.name in names), *more),
            unique_together=(),
        )
        columns = self._read(rows, wanted, salt)
        self.fetched.append((len(columns[wanted.columns[0].name]), tuple(c.name for c in wanted.columns)))
        return columns

    def _read(
        self, rows: str, wanted: InputSpec, salt: bytes | None, beside: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        place = ", ".join([str(self.database), *(f"with {name}" for name in beside)])
        faults = Faults(wanted, place, "table")
        with self.connection.lock:
            content = self._source.of(faults).read(rows, [c.name for c in wanted.columns], wanted)
            changed = self._source.changed()
        if changed:
            self._fail("it changed while the job ran")
        return for_circuit(convert(wanted, content, faults, from_text_alone=False), salt)

    def _fail(self, why: str) -> NoReturn:
        Faults(self.spec, str(self.database), "table").fail("E0414", why, help="submit the job again")


def hold(
    database: Database,
    spec: InputSpec,
    watch: Callable[[Source], None],
    connections: Connections | None = None,
    *,
    verified: bool = True,
) -> Held | None:
    """The table, open, when all that the study declares of it holds; DataError when something does not.

    watch: is told what is open, so that it can be interrupted. connections: the databases that are open already.
    verified: what the study declares is checked; otherwise nothing of it may be fetched, only statements be made.
    None when this program has to look at the values itself: the database's SQL is not known well enough, or a column
    has a type whose values it might take differently.
    """
    dialect = dialect_of(database)
    if dialect is None or not spec.table:
        return None
    connections = connections if connections is not None else Connections()
    faults = Faults(spec, str(database), "table")
    connection = connections.take(database, faults)
    try:
        source = connection.source.of(faults)
        watch(source)
        held = _held(Held(spec, 0, database, dialect, {}, connection, connections, source), source, faults, verified)
    except BaseException:
        connections.release(connection)
        raise
    if held is None:
        connections.release(connection)
    return held


def _held(one: Held, source: Source, faults: Faults, verified: bool) -> Held | None:
    spec, dialect = one.spec, one.dialect
    rows = relation(one.database, spec)
    check_columns(spec, source.names(rows), faults)
    names = [c.name for c in spec.columns]
    kinds = dict(zip(names, source.types(rows, names), strict=True))
    found = {c.name: native(c, kinds[c.name], dialect) for c in spec.columns}
    natives = {name: column for name, column in found.items() if column is not None}
    if len(natives) < len(found):
        return None
    if not verified:
        return replace(one, kinds=kinds)
    number, suspects = _counted(source, rows, spec, natives)
    if spec.max_rows is not None and number > spec.max_rows:
        faults.fail("E0413", f"the table has {number} rows, at most {spec.max_rows} are declared")
    if suspects:
        _look(source, rows, spec, suspects, faults)
        return None
    return replace(one, kinds=kinds, rows=number)


def _counted(
    source: Source, rows: str, spec: InputSpec, natives: Mapping[str, Native]
) -> tuple[int, list[tuple[str, ...]]]:
    """How many rows there are, and sets of columns of which something declared does not hold."""
    columns = [f"sum(case when {_wrong(c, natives[c.name])} then 1 else 0 end)" for c in spec.columns]
    number, *wrong = source.row(f"select {', '.join(['count(*)', *columns])} from {rows}")
    suspects: list[tuple[str, ...]] = [(c.name,) for c, n in zip(spec.columns, wrong, strict=True) if n]
    for together in (*((c.name,) for c in spec.columns if c.unique), *spec.unique_together):
        if _again(source, rows, [natives[name] for name in together]):
            suspects.append(together)
    return number, suspects


def _wrong(spec: ColumnSpec, one: Native) -> str:
    wrong = [f"(not ({one.missing}) and ({' or '.join(f'({b})' for b in one.bad)}))"] if one.bad else []
    if not spec.nullable:
        wrong.append(one.missing)
    return " or ".join(wrong) or "1 = 0"


def _again(source: Source, rows: str, columns: Sequence[Native]) -> bool:
    """Whether two rows have the same values in all of the columns, none of them missing."""
    there = " and ".join(f"not ({c.missing})" for c in columns)
    named = ", ".join(f"{c.equal} as parley_{i}" for i, c in enumerate(columns))
    by = ", ".join(f"parley_{i}" for i in range(len(columns)))
    inner = f"(select {named} from {rows} where {there}) as parley_keys"
    return bool(source.row(f"select 1 from {inner} group by {by} having count(*) > 1 limit 1"))


def _look(source: Source, rows: str, spec: InputSpec, suspects: Iterable[tuple[str, ...]], faults: Faults) -> None:
    """Load the columns at fault alone.  Raises DataError with their rows, if this program finds them wrong too."""
    sets = [set(one) for one in suspects]
    names = {name for one in sets for name in one}
    wanted = replace(
        spec,
        columns=tuple(c for c in spec.columns if c.name in names),
        unique_together=tuple(t for t in spec.unique_together if set(t) in sets),
    )
    content = source.read(rows, [c.name for c in wanted.columns], wanted)
    convert(wanted, content, faults, from_text_alone=False)
