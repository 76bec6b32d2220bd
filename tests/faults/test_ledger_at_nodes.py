"""Budgets over real nodes: spent job by job, kept over restarts, refused before a job starts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodes import Node, run

pytestmark = pytest.mark.slow

STUDY = """party a, b, c
table people from a:
    sex: enum('f', 'm')
table sales from b:
    amount: int in 0..9
query q:
    select sex, count(*) as n from people group by sex
query s:
    select sum(amount) as total from sales
reveal q to c with laplace(epsilon=0.4)
reveal s to c with laplace(epsilon=0.25)
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Node]]:
    budgets = {"a": "max_epsilon = 1.0", "b": "max_epsilon = 9\ntable_epsilon = { sales = 0.5 }", "c": ""}
    made = {name: Node(name, tmp_path, policy=f'studies = "any"\n{text}') for name, text in budgets.items()}
    (made["a"].folder / "data/people.csv").write_text("sex\nf\nm\nf\n")
    (made["b"].folder / "data/sales.csv").write_text("amount\n3\n4\n")
    try:
        yield made
    finally:
        for node in made.values():
            node.stop()


def spent(node: Node) -> list[tuple[str, str]]:
    file = node.folder / f"{node.name}.state" / "ledger.jsonl"
    return [(e["table"], e["epsilon"]) for e in map(json.loads, file.read_text().splitlines())] if file.exists() else []


def test_a_budget_is_spent_and_then_refused(nodes: dict[str, Node], tmp_path: Path) -> None:
    study = tmp_path / "study.parley"
    study.write_text(STUDY)
    for node in nodes.values():
        node.start()
    for _ in range(2):
        done = run("submit", str(study), "--node", str(nodes["c"].config), "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert [r["sex"] for r in told["outputs"]["c"]["q"]] == ["f", "m"]
        assert told["stats"]["privacy"][0] == {"party": "a", "table": "people", "epsilon": 0.4, "delta": 0.0}
        nodes["a"].stop()
        nodes["a"].start()
    assert spent(nodes["a"]) == [("people", "0.4")] * 2
    assert spent(nodes["b"]) == [("sales", "0.25")] * 2
    assert spent(nodes["c"]) == []

    done = run("submit", str(study), "--node", str(nodes["c"].config), "--json")
    assert done.returncode == 3
    assert "is asked and" in done.stderr
    assert "left" in done.stderr
    assert spent(nodes["a"]) == [("people", "0.4")] * 2

    # What costs nothing of these tables still runs.
    free = tmp_path / "free.parley"
    free.write_text(STUDY.split("reveal q")[0] + "reveal s to c\n")
    done = run("submit", str(free), "--node", str(nodes["c"].config), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"]["c"]["s"] == [{"total": 7}]


def test_the_proposer_holds_to_its_own_budget(nodes: dict[str, Node], tmp_path: Path) -> None:
    study = tmp_path / "study.parley"
    study.write_text(STUDY.replace("0.25", "0.75"))
    done = run("submit", str(study), "--node", str(nodes["b"].config), "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "E0704"
    assert "of the epsilon of `sales`, 0.75 is asked and 0.5 is left" in done.stderr
