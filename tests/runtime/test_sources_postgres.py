"""Tables of PostgreSQL, at a server of the tests' own."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pushed_tables
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pushed_tables import DATA, QUERIES, cells, differences
from test_pushed import COLUMNS, CONDITIONS, circuit, rows, study, where
from test_pushed_faults import Failing, ended
from test_pushed_faults import filled as shop
from test_pushed_faults import run as ends
from test_pushed_groups import ALWAYS
from test_pushed_rows import QUERIES as ROWS
from test_pushed_rows import held_to_whole_tables
from test_sources_csv import array, table
from test_sources_databases import FAULTS, TYPED, TYPED_FAULTS, VALUES, found, refused, refused_in_row_2, statements

from dsl.inputs import ColumnSpec
from mpc import plain
from runtime.inputs import FileInputs
from runtime.sources import for_circuit, hold, load, measure, parse_database

PASSWORD = r"it's \ a secret"


def server_programs() -> Path | None:
    """Where `initdb` and `pg_ctl` are."""
    folders = [Path(name) for name in os.environ.get("PATH", "").split(os.pathsep) if name]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").is_file() and (f / "pg_ctl").is_file()), None)


def as_user() -> list[str] | None:
    """What to put before a command, as the server does not run as root."""
    if os.name != "posix" or os.geteuid():
        return []
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((name for name in ("postgres", "nobody") if name in known), None)
    return [found, "-u", user, "--"] if user and (found := shutil.which("runuser")) else None


@pytest.fixture(scope="module")
def server():
    """A server of its own that listens on a socket in a directory of its own: (socket's directory, password's file)."""
    pytest.importorskip("adbc_driver_postgresql")
    programs, user = server_programs(), as_user()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed")
    if user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser or no user for it")
    folder = Path(tempfile.mkdtemp(prefix="parley-pg-"))
    secret = folder / "secret"
    secret.write_text(PASSWORD + "\n")
    if user:
        for path in (folder, secret):
            shutil.chown(path, user[2])
    cluster = str(folder / "cluster")

    def run(*command: str) -> None:
        subprocess.run([*user, *command], check=True, capture_output=True, timeout=600, cwd=folder)

    try:
        run(
            f"{programs}/initdb", "-D", cluster, "-U", "reader", "-N", "-E", "UTF8", "--locale=C",
            "--auth=scram-sha-256", f"--pwfile={secret}",
        )  # fmt: skip
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c timezone=Asia/Tokyo -c datestyle=German"
        run(f"{programs}/pg_ctl", "-D", cluster, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield folder, secret
        finally:
            run(f"{programs}/pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def address(server, tail="table=t"):
    folder, secret = server
    return parse_database(f"postgres://reader@/postgres?host={folder}&password_file={secret}&{tail}")


@contextmanager
def running(server):
    """What runs statements, in a transaction of their own."""
    from adbc_driver_postgresql import dbapi

    folder, _ = server
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    with dbapi.connect(f"host='{folder}' user='reader' dbname='postgres' password='{quoted}'") as connection:

        def run(*statements):
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.commit()

        yield run


@pytest.fixture
def in_postgres(server):
    """Runs statements and gives the table t, for one test."""
    with running(server) as run:

        def made(*statements):
            run(*statements)
            return address(server)

        try:
            yield made
        finally:  # what a failed test left open would keep its locks on the table
            run(
                "rollback",
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parley'",
                "drop table if exists t cascade",
                "drop type if exists word",
            )


@pytest.mark.parametrize(("column", "kind", "values", "expected"), VALUES + TYPED)
def test_postgres_values(in_postgres, column, kind, values, expected):
    assert found(in_postgres(*statements(kind, values)), column) == expected


@pytest.mark.parametrize(("column", "kind", "values", "code", "message"), FAULTS + TYPED_FAULTS)
def test_postgres_faults(in_postgres, column, kind, values, code, message):
    refused_in_row_2(in_postgres(*statements(kind, values)), column, code, message)


@pytest.mark.parametrize(
    ("column", "kind", "values", "expected"),
    [
        (ColumnSpec("a", "decimal", places=2), "money", "'12.50', '-1'", [1250, -100]),
        (ColumnSpec("a", "enum", words=("x", "y")), "word", "'y', 'x'", [1, 0]),
        (ColumnSpec("a", "enum", words=("x", "y")), "char(5)", "'y', 'x'", [1, 0]),
        (ColumnSpec("a", "decimal", places=1), "numeric", "1.50, 3", [15, 30]),
        (ColumnSpec("a", "key"), "numeric", "17, 4", [b"17", b"4"]),
        (ColumnSpec("a", "fixed"), "numeric", "0.1, 1e-30", [0.1, 1e-30]),
    ],
)
def test_postgres_types_of_its_own(in_postgres, column, kind, values, expected):
    assert found(in_postgres("create type word as enum ('x', 'y')", *statements(kind, values)), column) == expected


def test_postgres_identifiers(in_postgres):
    identifier = "6f1e2a30-0000-4000-8000-00000000000a"
    database = in_postgres(*statements("uuid", f"'{identifier}', null"))

    loaded = load(table(ColumnSpec("a", "text", length=36, nullable=True)), database)

    assert bytes(loaded.columns["a"][0]) == identifier.encode()
    assert loaded.valid["a"].tolist() == [True, False]


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [("numeric", "'NaN'", "E0405"), ("numeric", "'Infinity'", "E0405"), ("numeric", "1e40", "E0406")],
)
def test_postgres_numbers_that_are_none(in_postgres, kind, value, code):
    database = in_postgres(*statements(kind, f"1, {value}"))

    for column in (ColumnSpec("a", "decimal", places=2), ColumnSpec("a", "int"), ColumnSpec("a", "fixed")):
        refused_in_row_2(database, column, code, "number")


@pytest.mark.parametrize("kind", ["timestamptz", "time", "bytea", "interval", "integer[]", "jsonb"])
def test_postgres_types_that_cannot_be_used(in_postgres, kind):
    database = in_postgres(f"create table t (a {kind})", "insert into t values (null)")

    fault = refused(database, table(ColumnSpec("a", "text", length=5, nullable=True))).faults[0]

    assert (fault.code, fault.column) == ("E0403", "a")
    assert "cannot be used" in fault.message


KINDS = {
    "id": "bigint", "k": "integer", "when": "date", "since": "date", "amount": "numeric(10,2)",
    "income": "double precision", "word": "text", "maybe": "varchar", "note": "text collate anycase",
    "name": "varchar(12) collate anycase", "flag": "boolean", "number": "bigint",
}  # fmt: skip
ANYCASE = "create collation anycase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"


def in_sql(value):
    if value is None:
        return "null"
    return str(value) if isinstance(value, bool | int | float) else "'" + str(value).replace("'", "''") + "'"


@pytest.fixture(scope="module")
def filled(server):
    """The table of `test_pushed`, in a database of its own, its texts by a collation that takes A for a."""
    from adbc_driver_postgresql import dbapi

    folder, _ = server
    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    with dbapi.connect(f"host='{folder}' user='reader' dbname='postgres' password='{quoted}'") as connection:
        with connection.cursor() as cursor:
            try:
                cursor.execute(ANYCASE)
            except dbapi.Error:
                pytest.skip("this server has no collations of ICU")
            columns = ", ".join(f'"{name}" {kind}' for name, kind in KINDS.items())
            values = ", ".join("(" + ", ".join(in_sql(row[c]) for c in COLUMNS) + ")" for row in rows())
            cursor.execute(f"create table pushed ({columns})")
            cursor.execute(f"insert into pushed values {values}")
        connection.commit()
        yield address(server, "table=pushed")
        with connection.cursor() as cursor:
            cursor.execute("drop table pushed")
        connection.commit()


@pytest.mark.parametrize("condition", CONDITIONS)
def test_postgres_keeps_the_rows_that_numpy_keeps(filled, condition):
    nodes, specs = circuit(study(condition), len(rows()))
    spec = specs["t"]
    arrays = {("a", "t", name): values for name, values in for_circuit(load(spec, filled), bytes(32)).items()}
    wanted = [i for i, node in nodes if node.op == "keep"]
    values = plain.evaluate(nodes, arrays, wanted)
    held = hold(filled, spec, lambda _: None)
    assert held is not None
    (scan,) = {n["scan"] for _, n in nodes if n.op == "keep"}
    asked = where(held, nodes, scan)
    kept = held.kept(["id", "name"], asked, bytes(32)) if asked.by else None
    held.close()
    if len(asked.by) == len(wanted):
        keep = [all(values[i][row] for i in wanted) for row in range(len(rows()))]
        assert sorted(kept.columns["id"].tolist()) == sorted(arrays["a", "t", "id"][keep].tolist())
    else:
        assert condition in {"income = k", "extract(year from when) = 2020"}


def test_a_backslash_in_a_text_of_the_study_escapes_nothing(in_postgres):
    database = in_postgres(
        "create table t (a text)",
        r"insert into t values ('x'), (E'\\'' or 1=1 --')",
        "alter role reader set standard_conforming_strings = off",
    )
    condition = r"a = '\'' or 1=1 --'"
    nodes, specs = circuit(
        f"party a, b, c\ntable t from a:\n    a: text(20)\nquery q: select a from t where {condition}\nreveal q to c\n",
        2,
    )
    held = hold(database, specs["t"], lambda _: None)
    try:
        (scan,) = {n["scan"] for _, n in nodes if n.op == "keep"}
        number = held.kept(["a"], where(held, nodes, scan), None).number
    finally:
        held.close()
        in_postgres("alter role reader reset standard_conforming_strings")
    assert number == 1


def test_postgres_is_asked_within_one_transaction(in_postgres):
    database = in_postgres("create table t (a bigint)", "insert into t values (1), (2)")
    held = hold(database, table(ColumnSpec("a", "int")), lambda _: None)
    in_postgres("insert into t values (3)")
    assert held.whole(["a"], None)["a"].tolist() == [1, 2]
    held.close()


def test_postgres_arrays_and_queries(in_postgres, server):
    in_postgres("create table t (a numeric, b numeric)", "insert into t values (1, 2), (3, 4.5)")
    query = address(server, "query=select b, a from t order by a desc -- rows")

    assert measure(array("fixed", "n", 2), query) == (2, 2)
    assert load(array("fixed", "n", 2), query).columns[""].tolist() == [[4.5, 3], [2, 1]]
    assert load(table(ColumnSpec("a", "int")), query).columns["a"].tolist() == [3, 1]
    assert load(table(ColumnSpec("a", "int")), address(server, "table=public.t")).rows == 2


def test_postgres_reads_only(in_postgres, server):
    in_postgres("create table t (a bigint)", "create sequence numbers owned by t.a")

    error = refused(address(server, "query=select nextval('numbers') as a"), table(ColumnSpec("a", "int")))

    assert error.faults[0].code == "E0414"
    assert "25006" in str(error)  # read_only_sql_transaction


def test_postgres_errors_tell_no_value_and_no_password(in_postgres, server, monkeypatch):
    in_postgres("create table t (a text)", "insert into t values ('private')")
    spec = table(ColumnSpec("a", "int"))
    folder, _ = server
    place = f"postgres://reader@/postgres?host={folder}"
    monkeypatch.setenv("WRONG", "hunter2")
    monkeypatch.delenv("PGPASSWORD", raising=False)

    for database, message in [
        (address(server, "query=select a::int as a from t"), "22P02"),
        (address(server, "table=nope"), 'relation "nope" does not exist'),
        (parse_database(f"{place}&password_env=WRONG"), "password authentication failed"),
        (parse_database(f"{place}&password_env=NOT_SET"), "NOT_SET"),
        (parse_database(f"{place}&password_file={folder}/none"), "cannot be read"),
        (parse_database(f"postgres://reader@/postgres?host={folder}/none"), "no connection"),
    ]:
        error = refused(database, spec)
        assert error.faults[0].code == "E0414"
        assert message in str(error)
        assert not any(word in str(error) for word in ("private", "hunter2", "secret\n", PASSWORD))


@pytest.fixture(scope="module")
def two_tables(server):
    """Puts rows into the tables t and o of a schema of their own, and gives where they are."""
    with running(server) as run:

        def constant(value):
            return "null" if value is None else f"'{str(value).replace(chr(39), 2 * chr(39))}'"

        def filled(data):
            for table, rows in zip(("t", "o"), data, strict=True):
                listed = ", ".join(f"({', '.join(map(constant, cells('postgres', table, row)))})" for row in rows)
                run(f"delete from pushed.{table}", f"insert into pushed.{table} values {listed}")
            return {("a", table): address(server, f"table=pushed.{table}") for table in ("t", "o")}

        run(
            "create schema pushed",
            *(f"create table pushed.{t} ({c})" for t, c in zip("to", pushed_tables.KINDS["postgres"], strict=True)),
        )
        yield filled
        run("drop schema pushed cascade")


@pytest.mark.slow
@pytest.mark.parametrize("query", QUERIES)
@settings(
    max_examples=5, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
def test_postgres_gives_what_the_circuit_says(query, two_tables, data):
    number, wrong = differences(QUERIES[query], FileInputs("a", None, two_tables(data)))
    assert wrong == []
    assert number or query not in ALWAYS - {"computed", "quotients of floats"}


@pytest.mark.slow
@pytest.mark.parametrize("query", ROWS)
@settings(
    max_examples=3, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
@pytest.mark.filterwarnings("ignore:The recursion limit")
def test_postgres_keeps_the_rows_of_whole_tables(query, two_tables, tmp_path, data):
    (tmp_path / "b").mkdir(exist_ok=True)
    (tmp_path / "b" / "u.csv").write_text("cust,w\n" + "".join(f"{i},{i + 3}\n" for i in range(-1, 3)))
    held_to_whole_tables(query, tmp_path, two_tables(data))


@pytest.fixture
def sales(server):
    """Tables of a shop: how statements are run, and where the tables are."""
    with running(server) as run:
        shop(run)
        yield run, {("a", name): address(server, f"table={name}") for name in ("sales", "people")}
        run("drop table sales, people")


def test_postgres_that_ends_the_connection(sales, tmp_path):
    run, places = sales
    ending = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parley'"
    said = ended(ends(tmp_path, Failing("a", None, places, before=lambda: run(ending))))
    assert "`sales` of a: the database refuses it" in said
    assert "terminating connection" in said
    assert "with people" in said
    assert not any(isinstance(one, BaseException) for one in ends(tmp_path, FileInputs("a", None, places)))


def test_postgres_sum_beyond_64_bits(sales, tmp_path):
    run, places = sales
    run("insert into sales values (1, 9223372036854775807)")
    assert "does not fit into 64 bits (SQLSTATE 22003)" in ended(ends(tmp_path, FileInputs("a", None, places)))


def test_postgres_that_stops_a_statement(server, in_postgres):
    in_postgres("create table t (a bigint)", "insert into t select generate_series(1, 1000)")
    slow = address(server, "query=select a from t where pg_sleep(60) is not null")
    in_postgres("alter role reader set statement_timeout = '100ms'")
    try:
        said = str(refused(slow, table(ColumnSpec("a", "int"))))
    finally:
        in_postgres("alter role reader reset statement_timeout")
    assert "the server stopped the statement, or the connection (SQLSTATE 57014)" in said
