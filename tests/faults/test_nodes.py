"""What happens to a job, and to the other nodes, when a node dies, stalls, refuses or is not who it says."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nodes import PARLEY, Node, run

pytestmark = pytest.mark.slow

SHORT = """party a, b, c
input x: fixed[n] from a
input y: fixed[n] from b
reveal sum(x * y) to all as dot
"""

LONG = """party a, b, c
input x: fixed[n] from a
input y: fixed[n] from b
z = x
for i in range(5000):
    z = z * y
reveal sum(z) to all as total
"""

X, Y = np.array([1.0, 2.0, 3.0]), np.array([1.0, -1.0, 1.0])


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Node]]:
    made = {name: Node(name, tmp_path) for name in "abc"}
    np.save(made["a"].folder / "data/x.npy", X)
    np.save(made["b"].folder / "data/y.npy", Y)
    try:
        yield made
    finally:
        for node in made.values():
            node.stop()


@pytest.fixture
def short(tmp_path: Path) -> str:
    path = tmp_path / "short.parley"
    path.write_text(SHORT)
    return str(path)


@pytest.fixture
def long(tmp_path: Path) -> str:
    path = tmp_path / "long.parley"
    path.write_text(LONG)
    return str(path)


def submit(study: str, node: Node) -> subprocess.CompletedProcess[str]:
    return run("submit", study, "--node", str(node.config), "--json")


def works(study: str, node: Node) -> None:
    done = submit(study, node)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outputs"][node.name]["dot"] == pytest.approx(2.0, abs=1e-3)


def in_background(study: str, node: Node) -> subprocess.Popen[str]:
    words = [*PARLEY, "submit", study, "--node", str(node.config), "--json"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def failed(waiting: subprocess.Popen[str], code: int, *says: str) -> str:
    out, err = waiting.communicate(timeout=300)
    assert waiting.returncode == code, (out, err)
    assert "Traceback" not in err
    told = json.loads(out)["error"]
    assert set(told) == {"code", "message", "where"}
    for text in says:
        assert text in err, err
    return err


def test_a_killed_node_ends_the_job_and_the_others_go_on(nodes: dict[str, Node], short: str, long: str) -> None:
    for node in nodes.values():
        node.start("5ms,1Gbit")
    waiting = in_background(long, nodes["a"])
    nodes["b"].wait_for(r"is running")

    nodes["b"].signal(signal.SIGKILL)
    failed(waiting, 3, "b")
    nodes["c"].wait_for(r"job .* failed.*b")

    nodes["b"].stop()
    nodes["b"].start()
    works(short, nodes["a"])


def test_a_stalled_node_ends_the_job_within_the_limit(nodes: dict[str, Node], short: str, long: str) -> None:
    for node in nodes.values():
        node.config.write_text(node.config.read_text().replace("round_seconds = 30.0", "round_seconds = 4"))
        node.start("5ms,1Gbit")
    waiting = in_background(long, nodes["a"])
    nodes["c"].wait_for(r"is running")

    nodes["c"].signal(signal.SIGSTOP)
    failed(waiting, 3, "c was silent for 4 s")

    nodes["c"].signal(signal.SIGCONT)
    nodes["c"].wait_for(r"job .* failed")
    works(short, nodes["a"])


def test_a_node_that_is_not_who_its_card_says(nodes: dict[str, Node], tmp_path: Path, short: str) -> None:
    impostor = Node("c", tmp_path / "elsewhere")
    address = next(line for line in (nodes["c"].folder / "c.card.toml").read_text().splitlines() if "address" in line)
    card = impostor.folder / "c.card.toml"
    card.write_text(
        "".join(f"{address}\n" if "address" in line else f"{line}\n" for line in card.read_text().splitlines())
    )
    cards = tmp_path / "elsewhere" / "cards"
    (cards / "c.card.toml").write_text(card.read_text())
    for name in "ab":
        (cards / f"{name}.card.toml").write_text((tmp_path / "cards" / f"{name}.card.toml").read_text())
    nodes["a"].start()
    nodes["b"].start()
    impostor.start()
    try:
        done = submit(short, nodes["a"])
        assert done.returncode == 3
        assert "c" in done.stderr
        assert "certificate" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        impostor.stop()
    nodes["c"].start()
    works(short, nodes["a"])


def test_a_policy_that_names_other_studies_refuses(nodes: dict[str, Node], short: str) -> None:
    text = nodes["b"].config.read_text()
    nodes["b"].config.write_text(text.replace('"any"', f'["{"0" * 64}"]'))
    for node in nodes.values():
        node.start()
    done = submit(short, nodes["a"])
    assert done.returncode == 3
    assert "b" in done.stderr
    assert "is not among the studies" in done.stderr


def test_a_policy_says_who_may_learn(nodes: dict[str, Node], short: str) -> None:
    nodes["b"].config.write_text(nodes["b"].config.read_text() + 'allow_reveal_to = ["c"]\n')
    for node in nodes.values():
        node.start()
    done = submit(short, nodes["a"])
    assert done.returncode == 3
    nodes["b"].wait_for("allow_reveal_to")


def test_wrong_data_at_one_node_stay_there(nodes: dict[str, Node], short: str) -> None:
    np.save(nodes["b"].folder / "data/y.npy", np.array([1.0, np.nan, 3.0]))
    for node in nodes.values():
        node.start()
    done = submit(short, nodes["a"])
    assert done.returncode != 0
    assert "b" in done.stderr
    nodes["b"].wait_for(r"y\.npy")
    assert "y.npy" not in nodes["c"].text()

    np.save(nodes["b"].folder / "data/y.npy", Y)
    works(short, nodes["a"])


def test_a_node_that_is_not_there(nodes: dict[str, Node], short: str) -> None:
    nodes["a"].config.write_text(nodes["a"].config.read_text().replace("connect_seconds = 60", "connect_seconds = 2"))
    nodes["a"].start()
    nodes["b"].start()
    done = submit(short, nodes["a"])
    assert done.returncode == 3
    assert "could not reach c" in done.stderr
