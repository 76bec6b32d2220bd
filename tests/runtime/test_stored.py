"""One study stores, a later one loads: nodes that keep what they agreed on, and what ends a job that cannot."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime as parley
from dsl.diagnostics import StudyError
from network import PeerLost, memory_mesh
from runtime.config import NodeConfig, Policy
from runtime.errors import PolicyRefused, StoreDamaged, StoreDiffers, UsageError
from runtime.inputs import ArrayInputs
from runtime.job import Job
from runtime.policy import PolicyGuard, study_digest
from runtime.session import Finished, Session
from runtime.vault import Vault

TRAIN = """party a, b, c, d
import ml
input X: fixed[n, 2] from a
input y: fixed[n] from b
input far: bool[n] from d
input when: date? from a
model = ml.ridge(X, y, alpha=0.5)
store (model, far, when, 7, ones(3)) as kept
reveal sum(y) to b as total
"""
SCORE = """party a, b, c, e
import ml
input z: fixed[m, 2] from e
model, far, when, seven, threes = load('kept')
for i in range(seven):
    threes = threes * 1
reveal ml.predict(model, z) to e as score
reveal sum(far * 1) to a as many
reveal coalesce(when, date '2000-01-01') to b as when
reveal sum(threes) to c as three
"""
X = np.array([[1.0, 2.0], [0.5, -1.0], [2.0, 0.0], [-1.0, 1.5], [0.0, 1.0]])
Y = X @ [0.5, -2.0] + 1.0
TRAIN_INPUTS: dict[str, Any] = {
    "a": {"X": X, "when": np.ma.masked_array(np.array("2024-02-29", "M8[D]"), mask=False)},
    "b": {"y": Y},
    "d": {"far": np.array([True, False, True, True, False])},
}
Z = np.array([[1.0, 1.0], [0.25, 4.0]])
DEALER = {"protocol": "additive", "preprocessing": "dealer", "nodes": ["a", "b"]}


async def store(state: Path, **options: Any) -> None:
    done = await parley.simulate(parley.compile(TRAIN, **options), TRAIN_INPUTS, state=state, limit=60.0)
    assert done["b"]["total"] == pytest.approx(Y.sum(), abs=1e-3)


async def score(state: Path, **options: Any) -> Any:
    return await parley.simulate(parley.compile(SCORE, **options), {"e": {"z": Z}}, state=state, limit=60.0)


def first(caught: pytest.ExceptionInfo[BaseExceptionGroup], kind: type[BaseException]) -> BaseException:
    found = caught.value.subgroup(kind)
    assert found is not None
    return found.exceptions[0]


@pytest.mark.parametrize("options", [{}, DEALER], ids=["rep3", "additive"])
async def test_a_later_study_computes_with_what_an_earlier_one_stored(options: dict[str, Any], tmp_path: Path) -> None:
    await store(tmp_path, **options)
    told = await score(tmp_path, **options)

    centred = X - X.mean(axis=0)
    weights = np.linalg.solve(centred.T @ centred + 0.5 * np.eye(2), centred.T @ (Y - Y.mean()))
    want = (Z - X.mean(axis=0)) @ weights + Y.mean()
    np.testing.assert_allclose(told["e"]["score"], want, atol=5e-3)
    assert set(told["e"]) == {"score"}
    assert told["a"]["many"] == 3
    assert told["b"]["when"] == np.datetime64("2024-02-29")
    assert told["c"]["three"] == 3.0


async def test_what_is_stored_anew_takes_the_place_of_what_was(tmp_path: Path) -> None:
    for number in (1, 2):
        study = f"party a, b, c\ninput x: int from a\nstore x * {number} as kept\nreveal x to a\n"
        await parley.simulate(parley.compile(study), {"a": {"x": 21}}, state=tmp_path)
    told = await parley.simulate(parley.compile("party a, b, c\nreveal load('kept') to b as x\n"), {}, state=tmp_path)
    assert told["b"]["x"] == 42


async def test_a_stage_that_what_is_loaded_decides(tmp_path: Path) -> None:
    study = "party a, b, c\ninput x: int from a\nstore x as kept\nstore x + 1 as next\n"
    await parley.simulate(parley.compile(study), {"a": {"x": 3}}, state=tmp_path)
    text = """party a, b, c
x = load('kept')
total = 0
for i in range(reveal(x)):
    total += load('next')
if reveal(total > 10):
    store total as big
reveal total + x to a as total
"""
    told = await parley.simulate(parley.compile(text), {}, state=tmp_path)
    assert told["a"]["total"] == 15
    again = await parley.simulate(parley.compile("party a, b, c\nreveal load('big') to b as x\n"), {}, state=tmp_path)
    assert again["b"]["x"] == 12


async def test_shares_of_different_runs_are_not_put_together(tmp_path: Path) -> None:
    await store(tmp_path / "old")
    await store(tmp_path / "new")
    for name in ("vault.key", "kept.share"):
        shutil.copy(tmp_path / "old" / "b" / name, tmp_path / "new" / "b" / name)
    with pytest.raises(BaseExceptionGroup) as caught:
        await score(tmp_path / "new")
    error = first(caught, StoreDiffers)
    assert "b does not hold shares of the same run" in str(error)


async def test_a_node_that_holds_nothing_is_named(tmp_path: Path) -> None:
    await store(tmp_path)
    (tmp_path / "c" / "kept.share").unlink()
    with pytest.raises(BaseExceptionGroup) as caught:
        await score(tmp_path)
    assert "c holds nothing as `kept`" in str(first(caught, StoreDiffers))


async def test_a_share_that_was_changed_ends_the_job(tmp_path: Path) -> None:
    await store(tmp_path)
    path = tmp_path / "a" / "kept.share"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 128]))
    with pytest.raises(BaseExceptionGroup) as caught:
        await score(tmp_path)
    assert "a stored as `kept` is damaged" in str(first(caught, StoreDamaged))


@pytest.mark.parametrize("options", [{"nodes": ["b", "a", "c"]}, {"frac": 18}, {**DEALER, "nodes": ["a", "b", "c"]}])
async def test_another_protocol_or_order_of_nodes_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    await store(tmp_path)
    with pytest.raises(BaseExceptionGroup) as caught:
        await score(tmp_path, **options)
    error = first(caught, StudyError)
    assert isinstance(error, StudyError)
    assert error.code == "E0416"
    assert "--protocol rep3 --nodes a,b,c --frac 16" in str(error)


async def test_nothing_is_stored_under_the_name(tmp_path: Path) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await score(tmp_path)
    error = first(caught, StudyError)
    assert isinstance(error, StudyError)
    assert error.code == "E0415"


async def test_a_node_without_a_place_says_so() -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await parley.simulate(parley.compile(TRAIN), TRAIN_INPUTS)
    assert "--state" in str(first(caught, UsageError))


def guard(name: str, folder: Path, policy: Policy) -> PolicyGuard:
    return PolicyGuard(NodeConfig(folder / "node.toml", name, folder, folder, None, (), policy=policy))


async def ended(job: Job, state: Path, inputs: dict[str, Any], guards: dict[str, PolicyGuard]) -> dict[str, object]:
    """How each party's session ended, some of them under policies of their own."""
    names = job.places.names
    mesh = memory_mesh(names)

    async def party(name: str) -> object:
        given, vault = ArrayInputs(name, inputs.get(name, {})), Vault(state / name, name)
        return await Session(job, name, mesh[name], given, 10.0, guardian=guards.get(name), vault=vault).run()

    done = await asyncio.gather(*map(party, names), return_exceptions=True)
    return dict(zip(names, done, strict=True))


TRAINING = Job(TRAIN, "train.parley", ("a", "b", "c", "d"), ("a", "b", "c"), "rep3")
SCORING = Job(SCORE, "score.parley", ("a", "b", "c", "e"), ("a", "b", "c"), "rep3")


async def test_a_policy_covers_what_was_stored(tmp_path: Path) -> None:
    await store(tmp_path)
    guards = {"b": guard("b", tmp_path, Policy(studies=None, allow_reveal_to=frozenset("abc")))}
    told = await ended(SCORING, tmp_path, {"e": {"z": Z}}, guards)
    assert isinstance(told["b"], PolicyRefused)
    assert "score to e" in str(told["b"])


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (Policy(studies=None, allow_reveal_to=frozenset("abc")), "it reveals score to e"),
        (Policy(studies=frozenset([study_digest(TRAIN)])), "is not among the studies that may use `kept`"),
        (Policy(studies=frozenset([study_digest(TRAIN), study_digest(SCORE)]), allow_reveal_to=frozenset("abce")), ""),
        (Policy(studies=None), ""),
    ],
)
async def test_terms_hold_for_owners_who_have_no_part_any_more(policy: Policy, why: str, tmp_path: Path) -> None:
    trained = await ended(TRAINING, tmp_path, TRAIN_INPUTS, {"d": guard("d", tmp_path, policy)})
    assert all(isinstance(one, Finished) for one in trained.values())

    told = await ended(SCORING, tmp_path, {"e": {"z": Z}}, {})

    if why:
        assert all(isinstance(one, PolicyRefused | PeerLost) for one in told.values())
        assert any(
            isinstance(one, PolicyRefused) and why in str(one) and "policy of d" in str(one) for one in told.values()
        )
    else:
        assert all(isinstance(one, Finished) for one in told.values())


async def test_terms_go_on_to_what_is_stored_of_what_was_loaded(tmp_path: Path) -> None:
    policy = Policy(studies=None, allow_reveal_to=frozenset("abc"))
    await ended(TRAINING, tmp_path, TRAIN_INPUTS, {"d": guard("d", tmp_path, policy)})
    text = "party a, b, c\nmodel, far, when, n, u = load('kept')\nstore sum(far * 1) as many\n"
    await parley.simulate(parley.compile(text), {}, state=tmp_path)

    known = Vault(tmp_path / "a", "a").describe("many")
    assert known is not None
    assert known.parties == ("a", "b", "d")
    assert [one.receivers for one in known.terms] == [("a", "b", "c")]
    reveal = "party a, b, c, e\nreveal load('many') to e as many\n"
    told = await ended(Job(reveal, "r", ("a", "b", "c", "e"), ("a", "b", "c"), "rep3"), tmp_path, {}, {})
    assert any(isinstance(one, PolicyRefused) for one in told.values())
