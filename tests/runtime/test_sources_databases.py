"""Tables of DuckDB and SQLite files, and of any driver of ADBC: values, faults, and what is not there."""

import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner
from test_sources_csv import array, table

from dsl.inputs import ColumnSpec
from runtime.cli import cli
from runtime.config import load_config
from runtime.errors import DataError
from runtime.inputs import FileInputs
from runtime.sources import Held, for_circuit, hold, load, measure, parse_database

duckdb = pytest.importorskip("duckdb")

# ------------------------------------------------------------------------------------------------------- values

VALUES = [
    (ColumnSpec("a", "int"), "bigint", "9223372036854775807, -9223372036854775808", [2**63 - 1, -(2**63)]),
    (ColumnSpec("a", "int"), "smallint", "1, -2", [1, -2]),
    (ColumnSpec("a", "int"), "double precision", "3, -4", [3, -4]),
    (ColumnSpec("a", "fixed"), "double precision", "0.5, 2", [0.5, 2.0]),
    (ColumnSpec("a", "fixed"), "integer", "3, 4", [3.0, 4.0]),
    (ColumnSpec("a", "enum", words=("x", "y")), "varchar", "'y', 'x'", [1, 0]),
    (ColumnSpec("a", "text", length=3), "varchar", "'é', ''", [[0xC3, 0xA9, 0], [0, 0, 0]]),
    (ColumnSpec("a", "key"), "bigint", "17, -4", [b"17", b"-4"]),
    (ColumnSpec("a", "key"), "varchar", "'17', 'b'", [b"17", b"b"]),
    (ColumnSpec("a", "decimal", places=2), "varchar", "'0.10', '-92233720368547758.08'", [10, -(2**63)]),
    (ColumnSpec("a", "decimal", places=2), "integer", "5, 6", [500, 600]),
    (ColumnSpec("a", "date"), "varchar", "'1970-01-03', '1969-12-31'", [2, -1]),
    (ColumnSpec("a", "bool"), "integer", "1, 0", [True, False]),
]
TYPED = [
    (ColumnSpec("a", "bool"), "boolean", "true, false", [True, False]),
    (ColumnSpec("a", "date"), "date", "'0001-01-01', '9999-12-31'", [-719162, 2932896]),
    (ColumnSpec("a", "date"), "timestamp", "'1970-01-03 00:00', '1969-12-31'", [2, -1]),
    (ColumnSpec("a", "decimal", places=2), "decimal(20,3)", "-0.1, 92233720368547758.07", [-10, 2**63 - 1]),
    (ColumnSpec("a", "fixed"), "decimal(20,3)", "-0.125, 7", [-0.125, 7.0]),
    (ColumnSpec("a", "int"), "decimal(38,0)", "9223372036854775807, 12", [2**63 - 1, 12]),
]
FAULTS = [
    (ColumnSpec("a", "int"), "double precision", "1, 1.5", "E0403", "fraction"),
    (ColumnSpec("a", "int"), "double precision", "1, 1e300", "E0406", "too large"),
    (ColumnSpec("a", "int"), "bigint", "1, null", "E0404", "missing"),
    (ColumnSpec("a", "int", range=(0, 9)), "bigint", "1, 10", "E0407", "outside the declared range"),
    (ColumnSpec("a", "int", unique=True), "bigint", "3, 3", "E0410", "unique"),
    (ColumnSpec("a", "fixed"), "double precision", "1, 1e20", "E0406", "too large"),
    (ColumnSpec("a", "enum", words=("x", "y")), "varchar", "'y', 'z'", "E0408", "none of the words"),
    (ColumnSpec("a", "text", length=2), "varchar", "'ab', 'aé'", "E0409", "more than 2 bytes"),
    (ColumnSpec("a", "decimal", places=1), "varchar", "'1', '1.25'", "E0406", "more than 1 places"),
    (ColumnSpec("a", "date"), "varchar", "'2024-01-01', '2023-02-29'", "E0403", "not in the calendar"),
    (ColumnSpec("a", "bool"), "integer", "1, 2", "E0403", "neither 0 nor 1"),
]
TYPED_FAULTS = [
    (ColumnSpec("a", "date"), "date", "'2024-01-01', 'infinity'", "E0403", "years 1 to 9999"),
    (ColumnSpec("a", "date"), "timestamp", "'2024-01-01', '2024-01-01 10:00'", "E0403", "time of day"),
    (ColumnSpec("a", "date"), "timestamp", "'2024-01-01', '-infinity'", "E0403", "date"),
    (ColumnSpec("a", "fixed"), "double precision", "1, 'nan'::double precision", "E0405", "NaN"),
    (ColumnSpec("a", "decimal", places=2), "decimal(20,3)", "1.5, 0.125", "E0406", "more than 2 places"),
    (ColumnSpec("a", "decimal", places=2), "decimal(38,0)", "1, 92233720368547759", "E0406", "64 bits"),
    (ColumnSpec("a", "int"), "decimal(20,3)", "1, 0.5", "E0403", "fraction"),
]


def statements(kind, values):
    listed = ", ".join(f"({value.strip()})" for value in values.split(","))
    return ["create table t (other text, a " + kind + ")", f"insert into t (a) values {listed}"]


def found(database, column):
    spec = table(column)
    assert measure(spec, database) == (2,)
    loaded = load(spec, database)
    held = hold(database, spec, lambda _: None)
    if held is not None:  # the table stays in the database: the same values
        salt = bytes(32)
        assert held.whole(["a"], salt)["a"].tolist() == for_circuit(loaded, salt)["a"].tolist()
        held.close()
    return loaded.columns["a"].tolist()


def refused(database, spec) -> DataError:
    with pytest.raises(DataError) as caught:
        load(spec, database)
    assert str(held_or_refused(database, spec) or caught.value) == str(caught.value)
    return caught.value


def held_or_refused(database, spec) -> DataError | Held | None:
    """What comes of leaving the table in the database; None when it has to be loaded."""
    try:
        return hold(database, spec, lambda _: None)
    except DataError as error:
        return error


def refused_in_row_2(database, column, code, message):
    error = refused(database, table(column))
    fault = error.faults[0]
    assert (fault.code, fault.row, fault.column) == (code, 2, "a")
    assert message in fault.message
    assert "table t" in fault.file
    assert len(error.faults) == 1


def in_duckdb(path, *statements):
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return parse_database(f"duckdb:{path}?table=t")


def in_sqlite(path, *statements):
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return parse_database(f"sqlite:{path}?table=t")


# ------------------------------------------------------------------------------------------------------- DuckDB


@pytest.mark.parametrize(("column", "kind", "values", "expected"), VALUES + TYPED)
def test_duckdb_values(tmp_path, column, kind, values, expected):
    assert found(in_duckdb(tmp_path / "f", *statements(kind, values)), column) == expected


@pytest.mark.parametrize(("column", "kind", "values", "code", "message"), FAULTS + TYPED_FAULTS)
def test_duckdb_faults(tmp_path, column, kind, values, code, message):
    refused_in_row_2(in_duckdb(tmp_path / "f", *statements(kind, values)), column, code, message)


@pytest.mark.parametrize(
    ("column", "kind", "values", "expected"),
    [
        (ColumnSpec("a", "int"), "hugeint", "1, -2", [1, -2]),
        (ColumnSpec("a", "int"), "ubigint", "1, 9223372036854775807", [1, 2**63 - 1]),
        (ColumnSpec("a", "enum", words=("x", "y")), "enum('q', 'x', 'y')", "'y', 'x'", [1, 0]),
    ],
)
def test_duckdb_types_of_its_own(tmp_path, column, kind, values, expected):
    assert found(in_duckdb(tmp_path / "f", *statements(kind, values)), column) == expected


@pytest.mark.parametrize("kind", ["timestamptz", "time", "blob", "interval"])
def test_duckdb_types_that_cannot_be_used(tmp_path, kind):
    database = in_duckdb(tmp_path / "f", f"create table t (a {kind})", "insert into t values (null)")

    fault = refused(database, table(ColumnSpec("a", "date"))).faults[0]

    assert fault.code == "E0403"
    assert "cannot be used" in fault.message
    assert "query" in fault.help


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_whole_columns_of_a_wrong_type(tmp_path, make):
    database = make(tmp_path / "f", *statements("varchar", "'1', '2'"))

    assert refused(database, table(ColumnSpec("a", "int"))).faults[0].code == "E0403"


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_missing_values(tmp_path, make):
    columns = [
        ColumnSpec("i", "int", nullable=True),
        ColumnSpec("f", "fixed", nullable=True),
        ColumnSpec("t", "text", length=1, nullable=True),
        ColumnSpec("k", "key", nullable=True),
        ColumnSpec("n", "date", nullable=True),
    ]
    database = make(
        tmp_path / "f",
        "create table t (i bigint, f double precision, t varchar, k bigint, n varchar)",
        "insert into t values (null, 1.5, '', 3, null), (4, null, null, null, null)",
    )

    loaded = load(table(*columns), database)

    assert {n: v.tolist() for n, v in loaded.valid.items()} == {
        "i": [False, True],
        "f": [True, False],
        "t": [True, False],
        "k": [True, False],
        "n": [False, False],
    }
    assert loaded.columns["i"].tolist() == [0, 4]


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_no_rows(tmp_path, make):
    database = make(tmp_path / "f", "create table t (a bigint, d varchar)")
    spec = table(ColumnSpec("a", "int"), ColumnSpec("d", "date"))

    assert measure(spec, database) == (0,)
    assert load(spec, database).columns["d"].tolist() == []


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_columns_are_found_by_their_exact_names(tmp_path, make):
    database = make(tmp_path / "f", 'create table t ("the ""a""" bigint, "A" bigint, "select" bigint)')

    assert load(table(ColumnSpec('the "a"', "int"), ColumnSpec("select", "int")), database).rows == 0
    fault = refused(database, table(ColumnSpec("a", "int"))).faults[0]
    assert fault.code == "E0402"
    assert "'A' is there" in fault.message


@pytest.mark.parametrize(("make", "cannot"), [(in_duckdb, "cast('x' || a as bigint)"), (in_sqlite, "abs(-a - 1)")])
def test_other_columns_are_not_read(tmp_path, make, cannot):
    database = make(
        tmp_path / "f",
        "create table s (a bigint)",
        "insert into s values (9223372036854775807)",
        f"create view t as select a, {cannot} as b from s",
    )
    spec = table(ColumnSpec("a", "int"))

    assert load(spec, database).columns["a"].tolist() == [2**63 - 1]
    error = refused(database, table(ColumnSpec("b", "int")))
    assert error.faults[0].code == "E0414"
    assert "9223372036854775807" not in str(error)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_queries(tmp_path, kind):
    make = in_duckdb if kind == "duckdb" else in_sqlite
    make(tmp_path / "f", *statements("bigint", "1, 3, 2"), "create index i on t (a)")
    database = parse_database(
        f"{kind}:{tmp_path}/f?query=select a, other as b from t where a > 1 order by a desc -- rows\n;"
    )
    spec = table(ColumnSpec("a", "int"))

    assert measure(spec, database) == (2,)
    assert load(spec, database).columns["a"].tolist() == [3, 2]
    named = parse_database(f"{kind}:{tmp_path}/f")
    assert load(spec, named).columns["a"].tolist() == [1, 3, 2]
    for query in ("drop table t", "select 1 as a; drop table t", "select 1 as a) as x; drop table t; select (1"):
        assert refused(parse_database(f"{kind}:{tmp_path}/f?query={query}"), spec).faults[0].code == "E0414"
    assert measure(spec, named) == (3,)


@pytest.mark.parametrize("kind", ["duckdb", "sqlite"])
def test_what_is_not_there(tmp_path, kind):
    make = in_duckdb if kind == "duckdb" else in_sqlite
    make(tmp_path / "f", "create table t (a bigint)")
    (tmp_path / "damaged").write_bytes(b"no database at all" * 1000)
    spec = table(ColumnSpec("a", "int"))

    for address, code in [("none", "E0401"), ("f?table=nope", "E0414"), ("damaged", "E0414")]:
        database = parse_database(f"{kind}:{tmp_path}/{address}")
        assert refused(database, spec).faults[0].code == code
        with pytest.raises(DataError) as caught:
            measure(spec, database)
        assert caught.value.faults[0].code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged", "f"]


@pytest.mark.parametrize("make", [in_duckdb, in_sqlite])
def test_arrays(tmp_path, make):
    database = make(
        tmp_path / "f",
        "create table t (a double precision, b double precision)",
        "insert into t values (1, 2), (3, 4.5), (5, 6)",
    )

    assert measure(array("fixed", "n", 2), database) == (3, 2)
    assert load(array("fixed", "n", 2), database).columns[""].tolist() == [[1, 2], [3, 4.5], [5, 6]]
    fault = refused(database, array("int", "n", 2)).faults[0]
    assert (fault.code, fault.row, fault.column) == ("E0403", 2, "b")
    assert refused(database, array("fixed", "n", 3)).faults[0].code == "E0411"


def test_any_driver_of_adbc(tmp_path):
    pytest.importorskip("adbc_driver_manager")
    in_duckdb(tmp_path / "f", *statements("decimal(9,2)", "1.25, 3"))
    spec = table(ColumnSpec("a", "decimal", places=2))
    database = parse_database(f"adbc:duckdb?uri={tmp_path}/f&table=t")

    assert measure(spec, database) == (2,)
    assert load(spec, database).columns["a"].tolist() == [125, 300]
    for address in (f"adbc:duckdb?uri={tmp_path}/f&table=nope", "adbc:no_such_driver?uri=x"):
        assert refused(parse_database(address), spec).faults[0].code == "E0414"
    error = refused(parse_database(f"adbc:duckdb?uri={tmp_path}/none/token&table=t"), spec)
    assert "no connection" in str(error)
    assert "token" not in str(error)


# ------------------------------------------------------------------------------------------------------- SQLite


@pytest.mark.parametrize(("column", "kind", "values", "expected"), VALUES)
def test_sqlite_values(tmp_path, column, kind, values, expected):
    assert found(in_sqlite(tmp_path / "f", *statements(kind, values)), column) == expected


@pytest.mark.parametrize(("column", "kind", "values", "code", "message"), FAULTS)
def test_sqlite_faults(tmp_path, column, kind, values, code, message):
    refused_in_row_2(in_sqlite(tmp_path / "f", *statements(kind, values)), column, code, message)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        (ColumnSpec("a", "int"), "1, 'x'", "a text where whole numbers"),
        (ColumnSpec("a", "int"), "1, 1.5", "fraction"),
        (ColumnSpec("a", "int"), "1, x'00'", "a blob where whole numbers"),
        (ColumnSpec("a", "fixed"), "1.5, '2'", "a text where numbers"),
        (ColumnSpec("a", "decimal", places=2), "'1.5', 0.1", "a floating-point number where exact decimal numbers"),
        (ColumnSpec("a", "date"), "'2024-01-01', 19000", "a whole number where dates"),
        (ColumnSpec("a", "bool"), "1, 'true'", "a text where truth values"),
        (ColumnSpec("a", "enum", words=("x",)), "'x', 1", "a whole number where texts"),
        (ColumnSpec("a", "text", length=9), "'x', x'61'", "a blob where texts"),
        (ColumnSpec("a", "text", length=9), "'x', cast(x'ff' as text)", "not in UTF-8"),
        (ColumnSpec("a", "text", length=9), "'é', cast(x'610062' as text)", "zero byte"),
        (ColumnSpec("a", "key"), "'x', 1.5", "a floating-point number where texts or whole numbers"),
    ],
)
def test_sqlite_values_of_a_wrong_type(tmp_path, column, values, message):
    database = in_sqlite(tmp_path / "f", *statements("", values))

    refused_in_row_2(database, column, "E0403", message)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (ColumnSpec("a", "int"), "1, 2.0", [1, 2]),
        (ColumnSpec("a", "fixed"), "1, 2.5", [1.0, 2.5]),
        (ColumnSpec("a", "key"), "-17, 'b'", [b"-17", b"b"]),
        (ColumnSpec("a", "decimal", places=1), "'0.1', 12", [1, 120]),
    ],
)
def test_sqlite_columns_of_several_types(tmp_path, column, values, expected):
    assert found(in_sqlite(tmp_path / "f", *statements("", values)), column) == expected


def test_sqlite_many_rows(tmp_path):
    database = in_sqlite(
        tmp_path / "f",
        "create table t (a, k, x)",
        "with recursive n(i) as (select 0 union all select i + 1 from n where i < 39999) "
        "insert into t select i, case when i % 2 then i else 'k' || i end, i / 2.0 from n",
        "create index i on t (k)",
    )
    spec = table(ColumnSpec("a", "int"), ColumnSpec("k", "key"), ColumnSpec("x", "fixed"))

    loaded = load(spec, database)

    assert loaded.columns["a"].tolist() == list(range(40000))
    assert loaded.columns["k"].tolist() == [b"%d" % i if i % 2 else b"k%d" % i for i in range(40000)]
    assert loaded.columns["x"].tolist() == [i / 2 for i in range(40000)]
    assert load(table(ColumnSpec("k", "key")), database).columns["k"][1] == b"1"  # not in the order of the index


# --------------------------------------------------------------------------------------------------- the command

STUDY = """
party bank, clinic, auditor

table loans from bank:
    id: int
    owed: decimal(2)
table visits from clinic:
    id: int

total = sum(loans.owed)
reveal total to auditor
reveal sum(visits.id) to auditor as seen
"""


def test_a_study_on_databases(tmp_path):
    study = tmp_path / "s.parley"
    study.write_text(STUDY)
    in_duckdb(
        tmp_path / "loans.duckdb",
        "create table loans (id int, note text, owed decimal(9, 2))",
        "insert into loans values (1, 'x', 1.25), (2, 'y', 2.50)",
    )
    in_sqlite(tmp_path / "v.db", "create table seen (id integer)", "insert into seen values (7)")
    bound = [
        *("--bind", f"bank:loans=duckdb:{tmp_path}/loans.duckdb"),
        *("--bind", f"clinic:visits=sqlite:{tmp_path}/v.db?query=select id from seen"),
    ]

    checked = CliRunner().invoke(cli, ["check", str(study), *bound, "--json"])
    ran = CliRunner().invoke(cli, ["run", str(study), *bound, "--plain"])

    assert (checked.exit_code, '"missing_sizes": []' in checked.output) == (0, True), checked.output
    assert (ran.exit_code, "3.75" in ran.output) == (0, True), ran.output


def test_inputs_of_a_node(tmp_path):
    in_duckdb(tmp_path / "x.duckdb", *statements("decimal(9,2)", "1.25, 3"))
    node = tmp_path / "node.toml"
    node.write_text('name = "bank"\nkey = "k"\ncard = "c"\n[data]\ntables = { t = "duckdb:x.duckdb" }\n')
    found = load_config(node)
    inputs = FileInputs("bank", None, found.bindings, own=True)

    assert inputs.shapes([table(ColumnSpec("a", "decimal", places=2))]) == {"t": (2,)}
    assert inputs.arrays(None)["t", "a"].tolist() == [125, 300]


def test_nothing_is_imported_before_it_is_needed():
    code = "import sys, runtime.sources, runtime.config; print(*{'duckdb', 'pyarrow', 'sqlite3'} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
