"""Addresses of databases, in `node.toml` and after `--bind`."""

from pathlib import Path

import pytest

from runtime.config import load_config
from runtime.errors import ConfigError, UsageError
from runtime.sources import parse_binding, parse_database


def test_addresses_of_files(tmp_path):
    one = parse_database("duckdb:///srv/a%3Fb.duckdb?table=main.scores")
    two = parse_database("sqlite:sub/old.db?query=select a & 1 as a, '50%' as t from x where b like '?%';", tmp_path)

    assert (one.file, one.table, one.query) == (Path("/srv/a?b.duckdb"), ("main", "scores"), "")
    assert str(one) == "duckdb:/srv/a?b.duckdb (table main.scores)"
    assert two.file == tmp_path / "sub/old.db"
    assert two.query == "select a & 1 as a, '50%' as t from x where b like '?%'"
    assert str(two) == f"sqlite:{tmp_path / 'sub/old.db'} (query)"


def test_addresses_of_servers(tmp_path):
    one = parse_database(
        "postgresql://re%40der@db.internal:5433/bank?table=t&sslmode=verify-full&sslrootcert=ca", tmp_path
    )
    two = parse_database("postgres:///bank?host=/run/pg&password_file=pg.secret", tmp_path)
    three = parse_database("adbc:flightsql?uri=grpc%2Btls://host:1&user=me&password_env=PW&table=a.b.c")

    assert dict(one.settings) == {
        "host": "db.internal",
        "port": "5433",
        "user": "re@der",
        "dbname": "bank",
        "sslmode": "verify-full",
        "sslrootcert": str(tmp_path / "ca"),
    }
    assert str(one) == "postgres://db.internal/bank (table t)"
    assert dict(two.settings) == {"host": "/run/pg", "dbname": "bank"}
    assert two.password_file == tmp_path / "pg.secret"
    assert (three.driver, three.password_env) == ("flightsql", "PW")
    assert dict(three.settings) == {"uri": "grpc+tls://host:1", "user": "me"}


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://x/y", "begins with one of"),
        ("duckdb:", "names no file"),
        ("duckdb://x/y.duckdb", "absolute"),
        ("duckdb:x?tabel=t", "did you mean `table`"),
        ("duckdb:x?table=", "written once"),
        ("duckdb:x?table=a&table=b", "once"),
        ("duckdb:x?table=a..b", "`table` is a name"),
        ("duckdb:x?query= ; ", "`query` is empty"),
        ("duckdb:x?table=a&query=select 1", "both"),
        ("postgres:db", "postgres://USER@HOST"),
        ("postgres://h:p/db", "postgres://USER@HOST"),
        ("postgres://u:hunter2@h/db", "write no password"),
        ("postgres://h/db?password=hunter2", "write no password"),
        ("postgres://h/db?password_env=A&password_file=b", "both"),
        ("postgres://h/db?options=-c", "there is no setting"),
        ("adbc:os.path?uri=x", "adbc:NAME"),
        ("adbc:flightsql?table=t", "`uri` is missing"),
        ("adbc:flightsql?uri=grpc://me:hunter2@h", "write no password"),
    ],
)
def test_addresses_that_are_none(address, message):
    with pytest.raises(ValueError) as caught:
        parse_database(address)

    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_bindings(tmp_path):
    key, database = parse_binding("bank:t=duckdb:x.duckdb?table=a=b")

    assert (key, database.file, database.table) == (("bank", "t"), Path("x.duckdb"), ("a=b",))
    assert parse_binding("bank:t=dir/duckdb.csv")[1] == Path("dir/duckdb.csv")
    with pytest.raises(UsageError, match="bank:t: it names no file"):
        parse_binding("bank:t=sqlite:")


def config(tmp_path, data):
    path = tmp_path / "node.toml"
    path.write_text(f'name = "bank"\nkey = "k"\ncard = "c"\n[data]\n{data}\n')
    return load_config(path)


def test_tables_in_the_configuration(tmp_path):
    found = config(tmp_path, 'files = { a = "a.csv" }\ntables = { t = "sqlite:x.db" }')

    assert found.bindings == {("bank", "a"): tmp_path / "a.csv", ("bank", "t"): parse_database("sqlite:x.db", tmp_path)}
    for data, message in [
        ('tables = { t = "x.db" }', "begins with one of"),
        ("tables = { t = 3 }", "in quotation marks"),
        ('tables = { t = "postgres://u:hunter2@h/d" }', "write no password"),
        ('files = { t = "a.csv" }\ntables = { t = "sqlite:x.db" }', "among the `files` too"),
    ]:
        with pytest.raises(ConfigError, match=message) as caught:
            config(tmp_path, data)
        assert caught.value.key == "data.tables.t"
        assert "hunter2" not in str(caught.value)


def test_counts_are_public_or_hidden():
    assert parse_database("duckdb:a.duckdb?counts=public").counts
    assert parse_database("postgres://db/bank?counts=public&table=t").counts
    assert not parse_database("sqlite:a.db?table=t").counts
    for address in ("duckdb:a.duckdb?counts=yes", "adbc:flightsql?uri=x&counts=public"):
        with pytest.raises(ValueError, match="counts"):
            parse_database(address)


def test_a_server_may_say_what_sql_it_speaks():
    spoken = "adbc:trino?uri=https://host&user=r&dialect=trino&counts=public&table=hive.x.t"
    assert parse_database(spoken).dialect == "trino"
    assert parse_database("adbc:flightsql?uri=x").dialect == ""
    for address in ("adbc:trino?uri=x&dialect=oracle", "duckdb:a.duckdb?dialect=trino"):
        with pytest.raises(ValueError, match="dialect"):
            parse_database(address)
