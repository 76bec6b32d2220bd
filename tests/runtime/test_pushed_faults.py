"""A database that fails in the middle of a job: its owner is told what failed, and every party's job ends."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from network import NetworkError
from network.memory import memory_mesh
from runtime.api import compile as compiled
from runtime.errors import DataError
from runtime.inputs import FileInputs
from runtime.session import Phase, Session
from runtime.sources import parse_database

PARTIES = ("a", "b", "c")
STUDY = """
party a, b, c
table sales from a:
    person: int
    price:  int
table people from a:
    person: int unique
    age:    int in 0..120
table limits from b:
    age:   int unique
    least: int
query q:
    select p.age as age, sum(price) as s from sales s join people p on s.person = p.person
    where s.person in (select person from people where age > 20) group by p.age
query r:
    select q.age as age, s from q join limits on q.age = limits.age
reveal r to c
"""
COLUMNS = (("sales", "person bigint, price bigint"), ("people", "person bigint, age integer"))


@dataclass(slots=True)
class Failing(FileInputs):
    """Tables of which something becomes of after they were checked, and before anything is asked for."""

    before: Callable[[], Any] = lambda: None

    def fetch(self, *arguments: Any) -> Any:
        self.before()
        return FileInputs.fetch(self, *arguments)


def filled(execute: Callable[[str], Any]) -> None:
    for name, columns in COLUMNS:
        execute(f"create table {name} ({columns})")
    execute("insert into people values (1, 30), (2, 40), (3, 10)")
    execute("insert into sales values (1, 5), (1, 7), (2, 9), (3, 11)")


def run(folder: Path, inputs: Any) -> list[Any]:
    """What becomes of every party's session: its error, or what it learned."""
    text = folder / "s.parley"
    text.write_text(STUDY)
    (folder / "b").mkdir(exist_ok=True)
    (folder / "b" / "limits.csv").write_text("age,least\n30,1\n40,2\n")
    job = compiled(text, protocol="rep3", nodes=PARTIES).job
    mine = {"a": inputs, "b": FileInputs("b", folder), "c": FileInputs("c", folder)}

    async def all_of_them() -> Any:
        mesh = memory_mesh(PARTIES)
        sessions = [Session(job, n, mesh[n], mine[n], 60.0) for n in PARTIES]
        done = await asyncio.gather(*(s.run() for s in sessions), return_exceptions=True)
        phases = {s.phase for s in sessions}
        assert len(phases) == 1
        assert phases <= {Phase.DONE, Phase.ABORTED}
        return done

    return asyncio.run(all_of_them())


def ended(done: list[Any]) -> str:
    """What the owner is told; all others' jobs have ended."""
    owner, *others = done
    assert isinstance(owner, DataError), repr(owner)
    assert owner.party == "a"
    assert all(isinstance(one, NetworkError) and "a ended the job" in str(one) for one in others), others
    return str(owner)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as db:
        filled(db.execute)
        db.commit()
    return tmp_path / "shop.sqlite"


def places(file: Path, kind: str = "sqlite") -> Any:
    return {("a", name): parse_database(f"{kind}:{file}?table={name}") for name, _ in COLUMNS}


def changed(file: Path, *statements: str) -> Callable[[], None]:
    def change() -> None:
        with closing(sqlite3.connect(file)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    return change


@pytest.mark.parametrize(
    "statement",
    [
        "drop table people",
        "alter table sales rename column price to cost",
        "update people set age = 'forty' where person = 2",
        "update sales set price = null where person = 2",
        "insert into sales values (1, 9223372036854775807)",
        "delete from sales",
    ],
)
def test_a_file_that_is_changed(statement: str, file: Path, tmp_path: Path) -> None:
    said = ended(run(tmp_path, Failing("a", None, places(file), before=changed(file, statement))))
    assert "it changed while the job ran" in said
    assert "`sales` of a" in said


@pytest.mark.slow
def test_a_file_that_is_locked(file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        locks = Failing("a", None, places(file), before=lambda: other.execute("begin exclusive"))
        said = ended(run(tmp_path, locks))
        assert "another program has locked it" in said
        other.execute("rollback")
        again = run(tmp_path, FileInputs("a", None, places(file)))
    assert not any(isinstance(one, BaseException) for one in again)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_a_sum_beyond_64_bits(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"shop.{kind}"
    db: Any = sqlite3.connect(file) if kind == "sqlite" else pytest.importorskip("duckdb").connect(str(file))
    with closing(db):
        filled(db.execute)
        db.execute("insert into sales values (1, 9223372036854775807)")
        db.commit()
    said = ended(run(tmp_path, FileInputs("a", None, places(file, kind))))
    assert "does not fit into 64 bits" in said
    assert "`sales` of a" in said
    assert "with people" in said
    assert "9223372036854775" not in said
