"""Nodes keep what a study stored over a restart, and say so when one of them holds something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nodes import Node, run

pytestmark = pytest.mark.slow

TRAIN = "party a, b, c\ninput x: fixed[n] from a\nstore (mean(x), sum(x)) as kept\n"
SCORE = "party a, b, c\ninput y: fixed from b\nmiddle, total = load('kept')\nreveal middle * y + total to b as score\n"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[dict[str, Node]]:
    made = {name: Node(name, tmp_path) for name in "abc"}
    np.save(made["a"].folder / "data/x.npy", np.array([1.0, 2.0, 3.0]))
    np.save(made["b"].folder / "data/y.npy", np.array(10.0))
    (tmp_path / "train.parley").write_text(TRAIN)
    (tmp_path / "score.parley").write_text(SCORE)
    try:
        yield made
    finally:
        for node in made.values():
            node.stop()


def test_shares_outlive_the_nodes(nodes: dict[str, Node], tmp_path: Path) -> None:
    for node in nodes.values():
        node.start()
    trained = run("submit", str(tmp_path / "train.parley"), "--node", str(nodes["a"].config))
    assert trained.returncode == 0, trained.stderr
    for node in nodes.values():
        node.stop()
        node.start()

    scored = run("submit", str(tmp_path / "score.parley"), "--node", str(nodes["b"].config), "--json")

    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)["outputs"]["b"]["score"] == pytest.approx(26.0, abs=1e-3)

    state = nodes["c"].folder / "c.state"
    shutil.copytree(state, tmp_path / "copy")
    again = run("submit", str(tmp_path / "train.parley"), "--node", str(nodes["a"].config))
    assert again.returncode == 0, again.stderr
    shutil.copy(tmp_path / "copy" / "kept.share", state / "kept.share")
    refused = run("submit", str(tmp_path / "score.parley"), "--node", str(nodes["b"].config), "--json")
    assert refused.returncode == 3
    assert json.loads(refused.stdout)["error"]["code"] in {"E0822", "E0804"}
    assert "c does not hold shares of the same run" in refused.stderr
