"""The profile of a run: what it counts, whose lines it names, and that its page stands alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from runtime.job import Job, choose
from runtime.launch import LocalResult, Options, run_local
from runtime.profile_page import page

STUDY = """party a, b, c
input x: fixed[n] from a
input y: fixed[n] from b
z = x + y
for i in range(3):
    z = z * y
t = z @ x
reveal t to a
"""
N = 50


@pytest.fixture(scope="module", params=["rep3", "additive"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LocalResult:
    data = tmp_path_factory.mktemp("data")
    for party, name in (("a", "x"), ("b", "y")):
        (data / party).mkdir()
        np.save(data / party / f"{name}.npy", np.linspace(0.5, 1.0, N))
    roles = ("a", "b", "c")
    dealing = "dealer" if request.param == "additive" else None
    protocol, nodes, dealer = choose(roles, protocol=request.param, preprocessing=dealing)
    job = Job(STUDY, "s.parley", roles, nodes, protocol, dealer)
    return run_local(job, Options(data, {}, None, 30.0, profile=True))


def profile(run: LocalResult) -> dict[str, Any]:
    assert run.profile is not None
    return run.profile


def test_every_line_that_costs_is_there(run: LocalResult) -> None:
    lines = {line["line"]: line for line in profile(run)["lines"]}

    assert lines[6]["text"] == "z = z * y"
    assert lines[6]["rounds"] >= 3
    assert lines[6]["bytes"] > 3 * 8 * N
    assert lines[6]["seconds"] > 0
    products = [o for o in profile(run)["operations"] if o["line"] == 6 and o["op"].startswith("mul")]
    assert [o["calls"] for o in products] == [3]


def test_the_bytes_of_all_lines_are_the_bytes_that_were_sent(run: LocalResult) -> None:
    assert sum(line["bytes"] for line in profile(run)["lines"]) == sum(run.stats["bytes_sent"].values())


def test_the_parts_make_up_the_whole(run: LocalResult) -> None:
    found = profile(run)
    parts = sum(line["seconds"] + line["waited"] for line in found["lines"]) + found["engine_seconds"]
    drawn = sum(seconds for column in found["timeline"]["columns"] for _, _, seconds in column)

    assert parts == pytest.approx(found["seconds"], abs=1e-4)
    assert drawn == pytest.approx(parts - found["engine_seconds"], rel=0.01, abs=1e-4)


def test_work_leaves_out_the_sharing_and_the_opening(run: LocalResult) -> None:
    work = profile(run)["work"]

    # The work is that of the node where it took longest, which need not be the one whose lines are shown.
    assert 0 < work["seconds"] < max(node["total"] for node in profile(run)["nodes"].values())
    assert 0 < work["rounds"] < run.stats["rounds"]
    spared = sum(run.stats["bytes_sent"].values()) - sum(work["bytes_sent"].values())
    assert spared >= 2 * 8  # the opening of one number; with common keys an input may be shared without a message


def test_the_page_is_one_document_with_the_studys_text_escaped(run: LocalResult) -> None:
    text = page(profile(run), "a <b> & c")

    root = ElementTree.fromstring(text.removeprefix("<!doctype html>").replace("<meta charset='utf-8'>", ""))
    assert root.find("body/h1").text == "a <b> & c"  # type: ignore[union-attr]
    assert len(root.findall("body/svg")) == 2
    assert "http" not in text


def test_a_run_that_is_not_profiled_has_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "x.npy", np.float64(2))
    study = "party a, b, c\ninput x: fixed from a\nreveal x to b\n"
    job = Job(study, "s.parley", ("a", "b", "c"), ("a", "b", "c"), "rep3")

    result = run_local(job, Options(tmp_path, {}, None, 30.0))

    assert result.profile is None
    assert json.dumps(result.stats)
