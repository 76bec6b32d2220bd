"""The ledger adds up what was spent, refuses what is too much, and is never read wrongly."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path

import pytest

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from dsl.privacy.spending import Spending
from network.memory import memory_mesh
from runtime.check import check_study
from runtime.config import NodeConfig, Policy, load_config
from runtime.errors import BudgetSpent, ConfigError, PolicyRefused, StoreDamaged, as_json, exit_code
from runtime.inputs import FileInputs
from runtime.job import Job
from runtime.ledger import Budget, Ledger, told
from runtime.policy import PolicyGuard
from runtime.session import Session
from runtime.sources import parse_database

duckdb = pytest.importorskip("duckdb")

JOB = Job(study="party a, b, c\n", name="s.parley", roles=("a", "b", "c"), nodes=("a", "b", "c"), protocol="rep3")


def cost(epsilon: str, delta: str = "0") -> Spending:
    return Spending(Decimal(epsilon), Decimal(delta))


def ledger(tmp_path: Path, budget: Budget) -> Ledger:
    return Ledger(tmp_path / "state" / "ledger.jsonl", "bank", budget)


def test_costs_add_up_over_jobs_and_restarts(tmp_path):
    budget = Budget(Decimal("1.0"))
    for _ in range(10):
        ledger(tmp_path, budget).charge(JOB, {"people": cost("0.1")})
    assert ledger(tmp_path, budget).spent() == {"people": cost("1.0")}
    with pytest.raises(BudgetSpent, match=r"epsilon of `people`, 0.1 is asked and 0.0 is left"):
        ledger(tmp_path, budget).charge(JOB, {"people": cost("0.1")})
    assert ledger(tmp_path, budget).spent() == {"people": cost("1.0")}


def test_tables_have_their_own_budgets(tmp_path):
    books = ledger(tmp_path, Budget(Decimal(1), Decimal("1e-5"), {"people": Decimal("0.5")}))
    books.charge(JOB, {"people": cost("0.4"), "sales": cost("0.9", "1e-6")})
    with pytest.raises(BudgetSpent, match=r"epsilon of `people`, 0.2 is asked and 0.1 is left"):
        books.weigh({"sales": cost("0.1"), "people": cost("0.2")})
    with pytest.raises(BudgetSpent, match="delta of `sales`"):
        books.weigh({"sales": cost("0.1", "1e-5")})
    books.weigh({"sales": cost("0.1", "9e-6"), "other": cost("1")})


def test_what_is_refused_is_not_entered_for_any_table(tmp_path):
    books = ledger(tmp_path, Budget(Decimal(1)))
    with pytest.raises(BudgetSpent):
        books.charge(JOB, {"sales": cost("0.5"), "people": cost("2")})
    assert books.spent() == {}


def test_without_a_budget_all_is_entered(tmp_path):
    books = ledger(tmp_path, Budget())
    books.charge(JOB, {"people": cost("100", "0.5")})
    (line,) = books.file.read_text().splitlines()
    entry = json.loads(line)
    assert (entry["job"], entry["study"], entry["table"], entry["epsilon"]) == (JOB.id, "s.parley", "people", "100")
    assert books.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", '{"table": "t"}', '{"table": "t", "epsilon": "-1", "delta": "0"}', '{"table": 1}', "\udcff"],
)
def test_a_line_that_cannot_be_read_stops_all_spending(tmp_path, line):
    books = ledger(tmp_path, Budget(Decimal(9)))
    books.charge(JOB, {"people": cost("1")})
    if not line:
        text = books.file.read_text()
        books.file.write_text(text[: len(text) // 2])
    else:
        with books.file.open("ab") as out:
            out.write(line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(StoreDamaged, match="ledger"):
        books.charge(JOB, {"people": cost("1")})


def test_a_refusal_has_its_code():
    error = BudgetSpent("bank", "people", "epsilon", "1", "0.5")
    assert as_json(error)["code"] == "E0704"
    assert exit_code(error) == 3


def test_what_a_run_says():
    assert told({}) == {}
    spent = {("bank", "people"): cost("0.5", "1e-6")}
    assert told(spent)["privacy"] == [{"party": "bank", "table": "people", "epsilon": 0.5, "delta": 1e-6}]


# ------------------------------------------------------------------------------------------ settings


def settings(tmp_path: Path, policy: str) -> NodeConfig:
    path = tmp_path / "node.toml"
    path.write_text(f'name = "bank"\nkey = "k"\ncard = "c"\ncards = []\n[policy]\n{policy}\n')
    return load_config(path)


def test_budgets_are_taken_as_written(tmp_path):
    text = "max_epsilon = 0.1\nmax_delta = 1e-6\ntable_epsilon = { people = 2 }\nonly_with_noise = true\n"
    text += "counts_beside_noise = ['people']"
    policy = settings(tmp_path, text).policy
    assert policy.budget.of("sales") == (Decimal("0.1"), Decimal("1e-06"))
    assert policy.budget.of("people") == (Decimal(2), Decimal("1e-06"))
    assert policy.only_with_noise
    assert policy.counts_beside_noise == {"people"}
    assert settings(tmp_path, "").policy.budget == Budget()


@pytest.mark.parametrize(
    "text",
    ["max_epsilon = -1", "max_epsilon = '1'", "max_delta = true", "max_epsilon = inf", "table_epsilon = 3",
     "table_epsilon = { t = 'x' }", "only_with_noise = 1"],
)  # fmt: skip
def test_wrong_budgets_are_refused(tmp_path, text):
    with pytest.raises(ConfigError, match=text.split(" ")[0]):
        settings(tmp_path, text)


# ---------------------------------------------------------------------------------------- noise alone

BARE = """party bank, shop, office
table people from bank:
    sex: enum('f', 'm')
    age: int in 0..120
input x: fixed[5] from shop
query q:
    select sex, count(*) as n from people group by sex
"""


def review(text: str) -> None:
    study = BARE + text
    config = NodeConfig(Path("node.toml"), "bank", Path("k"), Path("c"), None, (), policy=Policy(only_with_noise=True))
    job = Job(
        study=study, name="s", roles=("bank", "shop", "office"), nodes=("bank", "shop", "office"), protocol="rep3"
    )
    done = elaborate(parse(study), Bindings(rows={("bank", "people"): 9}), check=True)
    PolicyGuard(config).foresee(job, done)


@pytest.mark.parametrize(
    "text",
    [
        "reveal q to office with laplace(epsilon=1)\n",
        "reveal q to office where n > 3 with gaussian(epsilon=1, delta=0.001)\n",
        "reveal sum(x) to office as s\n",
        "reveal q to bank\n",
        "n = reveal(sum(people.age), noise=laplace(epsilon=1))\nreveal n * 2 to all as m\n",
        "w = 0.0\nfor i in range(300):\n"
        "    w += reveal(clip_norm(people.age / 100, 1.0), noise=laplace(epsilon=0.1))[0]\nreveal w to all\n",
    ],
)
def test_what_has_noise_passes(text):
    review(text)


@pytest.mark.parametrize(
    ("policy", "reveals", "fine"),
    [
        (Policy(), "reveal q to office with laplace(epsilon=1)\n", False),
        (Policy(), "reveal q to office\n", True),
        (Policy(only_with_noise=True), "reveal q to bank\n", False),
        (Policy(only_with_noise=True, counts_beside_noise=frozenset({"people"})), "reveal q to bank\n", True),
        (
            Policy(counts_beside_noise=frozenset({"people"})),
            "reveal q to office with laplace(epsilon=1)\n",
            True,
        ),
    ],
)
def test_numbers_of_rows_are_not_told_of_what_noise_is_to_hide(policy, reveals, fine):
    config = NodeConfig(Path("node.toml"), "bank", Path("k"), Path("c"), None, (), policy=policy)
    done = elaborate(parse(BARE + reveals), Bindings(), check=True)
    guard = PolicyGuard(config)
    guard.count(done, [])
    if fine:
        guard.count(done, ["people"])
        return
    with pytest.raises(PolicyRefused, match="counts_beside_noise"):
        guard.count(done, ["people"])


@pytest.mark.parametrize(
    "text",
    [
        "reveal q to office\n",
        "reveal q to office with laplace(epsilon=1)\nreveal q to shop\n",
        "reveal sum(people.age) + sum(x) to all as s\n",
        "n = reveal(sum(people.age))\nreveal n to bank\n",
        "w = 0.0\nfor i in range(300):\n    w += reveal(mean(people.age) * w)\nreveal w to bank\n",
    ],
)
def test_what_has_none_is_refused_where_noise_is_asked_for(text):
    with pytest.raises(PolicyRefused, match="without noise"):
        review(text)


COUNTED = """party bank, shop, office
table people from bank:
    sex: enum('f', 'm')
    age: int in 0..120
query q:
    select sex, count(*) as n from people where age > 40 group by sex
reveal q to office with laplace(epsilon=1)
"""


async def test_a_job_ends_before_a_number_of_rows_is_told_that_noise_is_to_hide(tmp_path):
    with duckdb.connect(str(tmp_path / "p.duckdb")) as connection:
        connection.execute("create table people as select 'f' as sex, i as age from range(20, 90) r(i)")
    place = parse_database(f"duckdb:{tmp_path / 'p.duckdb'}?table=people&counts=public")
    names = ("bank", "shop", "office")
    job = Job(study=COUNTED, name="s", roles=names, nodes=names, protocol="rep3")

    async def ended(policy: Policy) -> list[object]:
        mesh = memory_mesh(names)
        config = NodeConfig(Path("node.toml"), "bank", Path("k"), Path("c"), None, (), policy=policy)
        guards = {"bank": PolicyGuard(config)}
        sessions = [
            Session(job, n, mesh[n], FileInputs(n, tmp_path, {("bank", "people"): place}), 60.0, guardian=guards.get(n))
            for n in names
        ]
        return await asyncio.gather(*(s.run() for s in sessions), return_exceptions=True)

    refused = (await ended(Policy(studies=None)))[0]
    assert isinstance(refused, PolicyRefused)
    assert "counts_beside_noise" in str(refused)
    fine = await ended(Policy(studies=None, counts_beside_noise=frozenset({"people"})))
    assert not any(isinstance(one, BaseException) for one in fine), fine


def test_a_check_says_which_numbers_of_rows_no_noise_hides(tmp_path):
    with duckdb.connect(str(tmp_path / "p.duckdb")) as connection:
        connection.execute("create table people as select 'f' as sex, i as age from range(20, 90) r(i)")
    place = parse_database(f"duckdb:{tmp_path / 'p.duckdb'}?table=people&counts=public")
    names = ("bank", "shop", "office")
    for study, hidden in ((COUNTED, ", which no noise hides"), (COUNTED.replace(" with laplace(epsilon=1)", ""), "")):
        report = check_study(Job(study, "s", names, names, "rep3"), tmp_path, {("bank", "people"): place}, [])
        assert f"rows of people at bank that conditions on it keep{hidden}" in [d.name for d in report.disclosures]
