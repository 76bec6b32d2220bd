"""What is opened reaches those whom the study names, and nobody besides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import runtime as parley
from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from runtime.config import NodeConfig, Policy
from runtime.errors import PolicyRefused
from runtime.job import Job
from runtime.policy import PolicyGuard, study_digest

TO_ALL = """party a, b
input x: fixed from a
input y: fixed from b
reveal x * y to all as z
"""


def guard(policy: Policy) -> PolicyGuard:
    return PolicyGuard(NodeConfig(Path("node.toml"), "a", Path("a.key"), Path("a.card.toml"), None, (), policy=policy))


def job(**changes: object) -> Job:
    given = {"study": TO_ALL, "name": "s.parley", "roles": ("a", "b"), "nodes": ("a", "b"), "protocol": "additive"}
    return Job(**{**given, **changes})  # type: ignore[arg-type]


def test_a_node_that_only_computes_is_not_told() -> None:
    study = parley.compile(TO_ALL, nodes=["a", "b", "helper"])
    done = parley.simulate_sync(study, {"a": {"x": 2.0}, "b": {"y": 3.0}})
    assert set(done) == {"a", "b"}
    from mpc.lower import lower
    from mpc.places import Places
    from mpc.protocols import SCHEMES
    from mpc.simulate import simulate

    circuit = elaborate(parse(TO_ALL, "s"), Bindings()).circuit
    places = Places(("a", "b", "helper"))
    run = simulate(circuit, {"a": {("x", ""): np.float64(2)}, "b": {("y", ""): np.float64(3)}}, SCHEMES["rep3"], places)
    assert run.reports["helper"].outputs == {}
    opens = [n for _, n in lower(circuit, places.nodes).circuit if n.op == "open"]
    assert [n["to"] for n in opens] == [("a", "b")]


def test_results_of_one_name_stay_apart() -> None:
    study = parley.compile(
        "party a, b, c\ninput x: int from a\nq = reveal(x + 0) + 5\nreveal x to a as r\nreveal q to b as r\n"
        "reveal q + 1 to c as r\n"
    )
    done = parley.simulate_sync(study, {"a": {"x": 1}})
    assert [int(done[p]["r"]) for p in "abc"] == [1, 6, 7]


@pytest.mark.parametrize("opened", ["(s.k, 1)", "(1, (2, s.k))"])
def test_keys_do_not_open_among_others(opened: str) -> None:
    text = f"party a, b\ntable s from a:\n    k: key\np = reveal({opened})\nreveal 1 to all as one\n"
    with pytest.raises(StudyError) as caught:
        elaborate(parse(text, "s"), Bindings(rows={("a", "s"): 2}))
    assert caught.value.code == "E0309"


@pytest.mark.slow
def test_a_study_cannot_keep_a_node_busy() -> None:
    lines = ["party a", "input x: fixed from a", "def f0(x):", "    return x * 2.0"]
    for i in range(1, 40):
        lines += [f"def f{i}(x):", f"    return f{i - 1}(f{i - 1}(x))"]
    with pytest.raises(StudyError) as caught:
        elaborate(parse("\n".join([*lines, "reveal f39(x) to a as y"]), "s"), Bindings())
    assert "E0310" in {d.code for d in caught.value.diagnostics}


def test_numbers_of_parameters_do_not_explode() -> None:
    lines = ["party a", "param p0: int = 9999999"] + [f"param p{i}: int = p{i - 1} * p{i - 1}" for i in range(1, 60)]
    with pytest.raises(StudyError):
        elaborate(parse("\n".join([*lines, "reveal p59 to a"]), "s"), Bindings())


@pytest.mark.parametrize(
    ("policy", "changes", "says"),
    [
        (Policy(studies=None), {"nodes": ("a", "eve")}, "eve would compute"),
        (Policy(studies=None), {"dealer": "eve"}, "eve would deal"),
        (Policy(studies=None, protocols=frozenset(["rep3"])), {}, "additive"),
        (Policy(studies=frozenset([study_digest(TO_ALL)])), {"params": {"k": "1"}}, "sets k"),
        (Policy(studies=frozenset([study_digest(TO_ALL)])), {"frac": 20}, "20 fraction bits"),
    ],
)
def test_places_and_settings_are_judged(policy: Policy, changes: dict[str, object], says: str) -> None:
    with pytest.raises(PolicyRefused, match=says):
        guard(policy).settle(job(**changes))


def test_what_is_allowed_passes() -> None:
    policy = Policy(studies=None, nodes=frozenset(["helper"]), dealers=frozenset(["dealer"]))
    guard(policy).settle(job(nodes=("a", "helper"), dealer="dealer", params={"k": "2"}))


def test_opens_count_for_all_who_compute() -> None:
    text = TO_ALL.replace("reveal x * y", "q = reveal(x * y)\nreveal q")
    done = elaborate(parse(text, "s"), Bindings(), check=True)
    policy = Policy(studies=None, allow_reveal_to=frozenset(["a", "b"]), nodes=frozenset(["helper"]))
    guard(policy).foresee(job(study=text), done)
    with pytest.raises(PolicyRefused, match="helper"):
        guard(policy).foresee(job(study=text, nodes=("a", "b", "helper")), done)


@pytest.mark.parametrize(
    "bad", [{"frac": 1.9}, {"frac": True}, {"frac": 60}, {"id": ""}, {"id": "é" * 20}, {"roles": [1]}]
)
def test_a_job_that_is_none(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Job.from_json({**job().to_json(), **bad})
