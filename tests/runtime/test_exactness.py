"""What `parley check` says of exactness holds for whole studies on shares, and names what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsl.elaborate import elaborate
from dsl.inputs import Bindings, requirements
from dsl.outputs import Elaborated
from dsl.parse import parse
from dsl.syntax import Study
from mpc.accuracy import accuracy
from mpc.circuit import Array, Circuit, Value, reachable
from mpc.lower import _walk
from mpc.lowerer import Lowerer
from mpc.places import Places
from mpc.plain import evaluate
from mpc.protocols import SCHEMES
from mpc.simulate import simulate
from runtime.exactness import Exactness, exactness

EXAMPLES = Path(__file__).parents[2] / "examples"
ROWS = 24

BY_REGION = """
party a, b, c
table t from a, b:
    region: enum('n', 's')
    income: fixed in 0..1000
    debts: fixed? in 0..10
    opened: date
query q:
    select region, count(*) as n, avg(income) as income, sum(debts) as debts, avg(debts) as debt, max(income) as top,
           min(opened) as opened
    from t group by region order by region
reveal q to a
"""

BY_KEY = """
party a, b, c
table t from a, b:
    k: key
    income: decimal(2) in 0..1000
    score: fixed in -10..10
query q:
    select avg(income) as income, sum(income) as total, avg(score) as score, sum(score) as scores, max(score) as top
    from t group by k order by top, scores
reveal q to c
"""

QUANTILES = """
party a, b, c
table t from a, b:
    region: enum('n', 's')
    income: fixed in 0..1000
table u from c:
    region: enum('n', 's')
    factor: fixed in 0..2
query q:
    select region, median(income) as middle, percentile(income, 0.9) as top, variance(income) as spread
    from t group by region order by region
query r:
    select sum(factor * factor) as s, avg(factor * 3) as m, count(*) as n from u where factor > 0.5
s = t.income[:9] * u.factor[:9]
reveal q to a
reveal r to b
reveal int(s) to c as whole
reveal round(s / 7) to c as rounded
"""

MODEL = """
party a, b, c
input X: fixed in -4..4[n, 5] from a
input w: fixed in -1..1[5] from b
input y: bool[n] from b
z = X @ w
p = sigmoid(z)
reveal p to a
reveal mean(cross_entropy(p, y)) to all as loss
reveal softmax(X * w, axis=1) to b as shares
reveal sum(square(X * w - mean(X * w, axis=0)), axis=0) / 7 to b as spread
reveal sort(z) to c as ordered
reveal sqrt(sum(square(X[0] * w)) + 1) to a as norm
reveal floor(X * w) to a as thirds
reveal z > 0 to a as above
"""

POWERS = """
party a, b, c
param n: int = 6
input x: fixed in -1..1 from a
input s: fixed in 0..1 from b
t = x * s
total = 0.0
for i in range(n):
    t = t * x
    total = total + t / (i + 1)
reveal total to a
"""


def bound(text: str, name: str) -> tuple[Study, Elaborated]:
    """A study with ROWS rows of everything."""
    study = parse(text, name)
    specs = requirements(study, {})
    sizes = {d: ROWS for s in specs for d in s.shape if isinstance(d, str)}
    rows = {(s.party, s.name): ROWS for s in specs if s.table and s.max_rows is None}
    return study, elaborate(study, Bindings(sizes, rows), [])


def data(circuit: Circuit, rng: np.random.Generator) -> dict[tuple[str, str, str], Array]:
    """Numbers in the declared ranges, their ends among them."""
    out: dict[tuple[str, str, str], Array] = {}
    for _, node in circuit:
        if node.op != "input":
            continue
        key = (node["party"], node["name"], node.get("column", ""))
        lo, hi = node.get("range") or (0, 9)
        shape = node.type.sizes
        if node.type.dtype.kind == "bool":
            out.setdefault(key, rng.random(shape) < 0.7)
        elif node.type.dtype.kind == "int":
            out.setdefault(key, rng.integers(int(lo), int(hi), shape, endpoint=True))
        else:
            x = np.asarray(rng.uniform(lo, hi, shape))
            x.flat[-1] = lo
            x.flat[0] = hi
            out.setdefault(key, x)
    return out


def run(done: Elaborated, where: str) -> tuple[dict[tuple[str, str], Array], dict[int, Any]]:
    """What is told by result and column, to whomever, and what is exact by node."""
    inputs = data(done.circuit, np.random.default_rng(2))
    mine: dict[str, dict[tuple[str, str], Array]] = {}
    for (party, name, column), value in inputs.items():
        mine.setdefault(party, {})[name, column] = value
    nodes = done.parties[: 3 if where == "rep3" else 2]
    rest = tuple(p for p in done.parties if p not in nodes)
    places = Places(nodes, rest, None if where == "rep3" else "dealer")
    reports = simulate(done.circuit, mine, SCHEMES[where], places).reports
    told = {key: value for report in reports.values() for key, value in report.outputs.items()}
    return told, evaluate(done.circuit, inputs)


@pytest.mark.parametrize("where", ["rep3", "additive"])
@pytest.mark.parametrize(
    "name", ["by_region", "by_key", "quantiles", "model", "powers", "salaries", "incomes", "auction"]
)
def test_no_result_of_a_study_is_off_by_more_than_is_said(name: str, where: str) -> None:
    own = {"by_region": BY_REGION, "by_key": BY_KEY, "quantiles": QUANTILES, "model": MODEL, "powers": POWERS}
    text = own[name] if name in own else (EXAMPLES / name / "study.parley").read_text()
    study, done = bound(text, name)
    told, exact = run(done, where)
    said: dict[tuple[str, str], list[Exactness]] = {}
    for e in exactness(done, study.source):
        for column in e.columns or ("",):
            said.setdefault((e.name, column), []).append(e)
    held = 0
    for output in done.outputs:
        for column in output.columns:
            (e, *_) = said[output.name, column.name]
            node = done.circuit.nodes[column.node]
            if len(said[output.name, column.name]) > 1 or e.error is None:
                continue  # one name for several results, or nothing is said
            held += 1
            got = told[node["name"], node.get("column", "")].astype(np.float64) / 10**column.stype.places
            wanted = np.asarray(exact[column.node], np.float64) / 10**column.stype.places
            assert np.abs(got - wanted).max() <= e.error * (1 + 1e-6) + 1e-11, (output.name, column.name)
    assert held >= 1


@pytest.mark.parametrize(
    "name", ["by_region", "by_key", "quantiles", "model", "powers", "salaries", "incomes", "credit_score"]
)
def test_lowering_knows_at_least_the_ranges_by_which_it_is_taken_to_choose(name: str) -> None:
    """How exact a public factor goes in is chosen by what is known of the other: see `Known.seen`."""
    own = {"by_region": BY_REGION, "by_key": BY_KEY, "quantiles": QUANTILES, "model": MODEL, "powers": POWERS}
    _, done = bound(own[name] if name in own else (EXAMPLES / name / "study.parley").read_text(), name)
    builder = Lowerer(done.parties[:3])
    needed = reachable(done.circuit, done.circuit.results)
    places = _walk(builder, done.circuit, {}, needed, {}, needed)
    held = 0
    for index, (known, *more) in enumerate(accuracy(done.circuit)):
        if index not in places or more or known.seen is None or done.circuit.nodes[index].op == "reveal":
            continue
        lowered = builder.range(Value(builder, places[index]))
        assert lowered is not None, done.circuit.nodes[index]
        assert known.seen.lo - 1e-9 <= lowered.lo
        assert lowered.hi <= known.seen.hi + 1e-9
        held += 1
    assert held > 10


def said(text: str) -> dict[str, str]:
    study, done = bound(text, "study.parley")
    return {e.name + "".join(f" {c}" for c in e.columns): e.text for e in exactness(done, study.source)}


def test_results_of_a_table_of_which_the_same_is_known_stand_together() -> None:
    assert said(BY_REGION) == {
        "q region n opened": "exact",
        "q income debt": "error at most 3.9e-05",
        "q debts": "error at most 0.00037",
        "q top": "error at most 7.7e-06, unless what is compared lies within 1.6e-05 of equal",
    }


def test_quantiles_and_whole_parts_have_bounds_and_a_variance_has_none() -> None:
    known = said(QUANTILES)
    assert known["q region"] == "exact"
    assert known["q middle"].startswith("error at most 0.0")
    assert known["q top"].startswith("error at most 0.0")
    assert known["q spread"].startswith("no bound: whole numbers are multiplied that may be off by a step")
    assert known["rounded"] == "error at most 1"
    # A sign is compared for it.
    assert known["whole"] == "error at most 1, unless what is compared lies within 0.0077 of equal"


def test_a_model_with_declared_ranges_has_bounds() -> None:
    assert said(MODEL) == {
        "p": "error at most 0.0003",
        "loss": "error at most 0.00057",
        "shares": "error at most 8.8e-05",
        "spread": "error at most 0.0077",
        "ordered": "error at most 0.00021",
        "norm": "error at most 0.0012",
        "thirds": "error at most 1",
        "above": "right unless what is compared lies within 0.00021 of equal",
    }


def test_the_mean_of_a_group_is_no_less_exact_for_more_rows() -> None:
    text = """party a, b, c
table t from a, b:
    k: key
    x: fixed in 0..1000
query q:
    select avg(x) as m, sum(x) as s from t group by k
reveal q to a
"""
    assert said(text) == {"q m": "error at most 3.9e-05", "q s": "error at most 0.00037"}


def test_the_mean_of_whole_numbers_that_may_be_off_has_a_bound() -> None:
    text = """party a, b, c
table t from a, b:
    k: key
    x: fixed in 0..1000
query q:
    select avg(round(x)) as m from t group by k
reveal q to a
"""
    assert said(text) == {"q m": "error at most 3.1, unless what is compared lies within 7.7e-06 of equal"}


def test_what_is_missing_is_named_with_its_line() -> None:
    text = """party a, b, c
table t from a, b:
    k: key
    income: fixed
query q:
    select sum(income * income) as squares, count(*) as n from t
reveal q to a
"""
    assert said(text) == {"q squares": "no bound: no range is declared for `income` of `t`, line 4", "q n": "exact"}


def test_training_says_what_is_not_declared_else_that_errors_grow() -> None:
    text = """party a, b, c
input X: fixed{}[n, 3] from a
input y: bool[n] from b
w = zeros(3)
for epoch in range(40):
    w -= 0.5 * (sigmoid(X @ w) - y) @ X / n
reveal w to c
"""
    assert said(text.format("")) == {"w": "no bound: no range is declared for `X`, line 2"}
    assert said(text.format(" in -4..4")) == {
        "w": "no bound: its error grows with each of the 40 passes of a loop, line 5"
    }


def test_what_several_receive_is_said_once() -> None:
    text = """party a, b, c
input x: fixed in 0..1 from a
input y: fixed in 0..1 from b
reveal x + y to a as s
reveal x + y to c as s
"""
    assert said(text) == {"s": "error at most 1.6e-05"}
    study, done = bound(text, "study.parley")
    assert len(exactness(done, study.source)) == 1


def test_a_division_by_what_may_be_0_has_no_bound() -> None:
    text = """party a, b, c
input x: fixed in -1..1 from a
input y: fixed in -1..1 from b
reveal x / y to c as q
"""
    assert said(text) == {"q": "no bound: the divisor may be 0, or as near to it as one likes, line 4"}


def test_noise_is_no_error() -> None:
    text = """party a, b, c
table t from a, b:
    x: int in 0..9
query q:
    select count(*) as n from t
reveal q to c with laplace(epsilon=1.0)
"""
    assert said(text) == {"q n": "exact beside the noise"}


def test_a_study_whose_sizes_are_not_known_is_said_what_can_be() -> None:
    study = parse(MODEL, "study.parley")
    done = elaborate(study, Bindings(), check=True)
    known = {e.name: e for e in exactness(done, study.source)}

    assert known["shares"].error is not None
    assert known["spread"].error is None
    assert "--size" in known["spread"].reason
    assert known["p"].to_json()["error"] == known["p"].error


@pytest.mark.parametrize("error", [1.0, 0.0999, 3.0000001e-05, 99.5, 100.0, 123456.0, 5e7])
def test_a_bound_is_rounded_up(error: float) -> None:
    text = Exactness("x", (), error, 0.0).text
    assert error <= float(text.removeprefix("error at most ")) <= 1.1 * error
