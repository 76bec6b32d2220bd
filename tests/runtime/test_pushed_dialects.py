"""SQL of servers that tests have none of: it is read as the server's own, put into DuckDB's, and gives what it should.

That a server does with it what its manual says is not tested here.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pushed_tables import DATA, KINDS, QUERIES, differences, fill

from runtime.inputs import FileInputs
from runtime.sources import parse_database
from runtime.sources.arrow import content
from runtime.sources.dialects import DIALECTS
from runtime.sources.faults import Faults

pytestmark = pytest.mark.slow

duckdb = pytest.importorskip("duckdb")
sqlglot = pytest.importorskip("sqlglot")

TYPES = {
    "trino": {"BIGINT": "bigint", "INTEGER": "integer", "SMALLINT": "smallint", "VARCHAR": "varchar",
              "DOUBLE": "double", "DATE": "date", "BOOLEAN": "boolean", "DECIMAL(8,2)": "decimal(8,2)"},
    "spark": {"BIGINT": "bigint", "INTEGER": "int", "SMALLINT": "smallint", "VARCHAR": "string", "DOUBLE": "double",
              "DATE": "date", "BOOLEAN": "boolean", "DECIMAL(8,2)": "decimal(8,2)"},
}  # fmt: skip
"""DuckDB's types under the server's names."""


CALLS = {"to_utf8": "encode", "from_utf8": "decode", "rint": "round_even", "length": "octet_length",
         "bytelength": "strlen", "octet_length": "strlen"}  # fmt: skip
"""Functions of these servers that DuckDB calls otherwise."""


def translated(statement: str, dialect: str) -> str:
    """The same in DuckDB's SQL."""
    exp = sqlglot.exp

    def call(name: str, *operands: Any) -> Any:
        return exp.Anonymous(this=name, expressions=list(operands))

    def put(node: Any) -> Any:
        if isinstance(node, exp.Cast) and dialect == "spark":
            if node.to.is_type("binary", "varbinary"):
                return call("encode", node.this)
            return call("decode", node.this) if node.to.is_type("text", "varchar") else node
        if isinstance(node, exp.Div):
            floats = isinstance(node.this, exp.Floor) or (
                isinstance(node.this, exp.Cast) and node.this.to.is_type("double")
            )
            return node if floats else exp.IntDiv(this=node.this, expression=node.expression)
        if isinstance(node, exp.Func):
            name = node.name.lower() if isinstance(node, exp.Anonymous) else node.sql_names()[0].lower()
            operands = node.expressions if isinstance(node, exp.Anonymous) else [node.this]
            if name in CALLS:
                more = [exp.Literal.number(0)] if name == "rint" else []
                return call(CALLS[name], *operands, *more)
        return node

    tree = sqlglot.parse_one(statement, read=dialect)
    for node in reversed(list(tree.walk())):  # what is within others first
        if node is not tree:
            node.replace(put(node))
    return str(tree.sql("duckdb"))


@dataclass
class Translated:
    """A connection that is asked in another SQL."""

    source: Any
    dialect: str

    def read(self, rows: str, names: list[str], spec: Any) -> Any:
        quoted = DIALECTS[self.dialect].quoted
        statement = translated(f"select {', '.join(map(quoted, names))} from {rows}", self.dialect)
        return self.source.read(f"({statement}) as parley_translated", names, spec)

    def of(self, faults: Any) -> Any:
        del faults
        return self

    def changed(self) -> bool:
        return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dialects")
    with duckdb.connect(str(folder / "t.duckdb")) as db:
        for table, columns in zip(("t", "o"), KINDS["duckdb"], strict=True):
            db.execute(f"create table {table} ({columns})")
    return folder


class Spoken(FileInputs):
    """Tables of a DuckDB file, asked in another SQL."""

    dialect: Any = None
    session: Any = None

    def shapes(self, specs: Any) -> Any:
        found = FileInputs.shapes(self, specs)
        for name, held in self._held.items():
            kinds = {column: TYPES[self.dialect][kind] for column, kind in held.kinds.items()}
            source: Any = Translated(held._source, self.dialect)
            if self.session is not None:
                source = SparkItself(self.session, Faults(held.spec, "spark", "table"))
            database = replace(held.database, dialect=self.dialect)
            self._held[name] = replace(
                held, database=database, dialect=DIALECTS[self.dialect], kinds=kinds, _source=source
            )
        return found


@pytest.mark.parametrize("dialect", TYPES)
@pytest.mark.parametrize("query", QUERIES)
@settings(
    max_examples=2, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
def test_it_says_what_the_circuit_says(query: str, dialect: str, folder: Path, data: Any) -> None:
    with duckdb.connect(str(folder / "t.duckdb")) as db:
        fill(db.execute, lambda _: "?", "duckdb", data)
    places = {("a", table): parse_database(f"duckdb:{folder / 't.duckdb'}?table={table}") for table in ("t", "o")}
    inputs = Spoken("a", None, places)
    inputs.dialect = dialect
    assert differences(QUERIES[query], inputs)[1] == []


@dataclass
class SparkItself:
    """Spark's own engine within this process, where its package is installed."""

    session: Any
    faults: Any

    def read(self, rows: str, names: list[str], spec: Any) -> Any:
        listed = ", ".join(map(DIALECTS["spark"].quoted, names))
        return content(self.session.sql(f"select {listed} from {rows}").toArrow(), spec, self.faults)

    def of(self, faults: Any) -> Any:
        return SparkItself(self.session, faults)

    def changed(self) -> bool:
        return False


@pytest.fixture(scope="module")
def spark() -> Any:
    sql = pytest.importorskip("pyspark.sql")
    settings = {"spark.sql.shuffle.partitions": "1", "spark.ui.enabled": "false", "spark.sql.ansi.enabled": "false"}
    builder = sql.SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("query", QUERIES)
@settings(
    max_examples=2, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(data=DATA)
def test_spark_says_what_the_circuit_says(query: str, folder: Path, spark: Any, data: Any) -> None:
    with duckdb.connect(str(folder / "t.duckdb")) as db:
        fill(db.execute, lambda _: "?", "duckdb", data)
        for table in ("t", "o"):
            spark.createDataFrame(db.execute(f"from {table}").to_arrow_table()).createOrReplaceTempView(table)
    places = {("a", table): parse_database(f"duckdb:{folder / 't.duckdb'}?table={table}") for table in ("t", "o")}
    inputs = Spoken("a", None, places)
    inputs.dialect, inputs.session = "spark", spark
    assert differences(QUERIES[query], inputs)[1] == []
