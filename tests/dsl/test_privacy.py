"""Noise on results: how much one row can change, what that costs, and that the results have exactly that noise."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import runtime as parley
from dsl.diagnostics import StudyError
from dsl.disclosures import disclosures
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.outputs import Elaborated
from dsl.parse import parse
from dsl.privacy.mechanism import concentrated
from dsl.privacy.spending import Spending, spending
from mpc.circuit import Circuit, Node
from runtime.errors import as_json
from runtime.running import run_plain

TABLES = """party bank, shop, office
table people from bank:
    id: key unique
    sex: enum('f', 'm')
    age: int in 10..90
    income: decimal(2) in 0..1000
    score: fixed
    debt: int?
table sales from shop:
    id: key unique
    amount: fixed in -5..5
table visits from shop:
    id: key
    day: date
"""
ROWS = {("bank", "people"): 100, ("shop", "sales"): 80, ("shop", "visits"): 500}
LAPLACE = "reveal q to office with laplace(epsilon=1)"


def made(text: str, **sizes: int) -> Elaborated:
    return elaborate(parse(text), Bindings(rows=ROWS, sizes=sizes), check=True)


def noises(circuit: Circuit) -> list[Node]:
    found: list[Node] = []
    for _, node in circuit:
        if node.op == "noise":
            found.append(node)
        elif node.op == "loop":
            found += noises(node["body"])
    return found


def sensitivities(done: Elaborated) -> list[float]:
    """In natural units, as disclosures give them."""
    return [float(n["says"].split("sensitivity ")[1].split(",")[0]) for n in noises(done.circuit)]


def scales(done: Elaborated) -> list[float]:
    """Scale or deviation of each noise, in natural units, for `int` and `fixed`."""
    out = []
    for n in noises(done.circuit):
        value = n["parameter"][0] / n["parameter"][1]
        out.append((value if n["law"] == "laplace" else math.sqrt(value)) / 2.0 ** n["frac"])
    return out


QUERIES = [
    ("select count(*) as n from people where score > 2", [1]),
    ("select count(debt) as n from people", [1]),
    ("select count(distinct age) as n from people", [1]),
    ("select sum(age) as n from people", [90]),
    ("select sum(age - 0) as n from people", None),
    ("select sum(income) as n from people", [1000]),
    ("select sum(clamp(income, 10, 20.5)) as n from people", [20.5]),
    ("select sum(clamp(debt, -7, 3)) as n from people", [10]),
    ("select sum(coalesce(clamp(debt, -7, 3), 5)) as n from people", [12]),
    ("select sum(case when score > 0 then age else -20 end) as n from people", [110]),
    ("select sum(case when score > 0 then 1 end) as n from people", [1]),
    ("select sum(amount) as n from sales", [10]),
    ("select sex, count(*) as n from people group by sex", [2]),
    ("select sex, score > 0 as rich, count(*) as n, sum(age) as a from people group by sex, score > 0", [2, 180]),
    ("select count(*) as n from people join sales on people.id = sales.id", [1]),
    ("select count(*) as n from people left join sales on people.id = sales.id where amount is null", [2]),
    ("select count(*) as n from visits join people on visits.id = people.id", None),
    ("select count(*) as n from visits join people on visits.id = people.id bounded 30", [30]),
    ("select sex, count(*) as n from visits join people on visits.id = people.id bounded 30 group by sex", [60]),
    ("select count(*) as n from people a, people b where a.id = b.id", [2]),
    ("select count(*) as n from (select age + 1 as y from people where age > 20) as z where y > 30", [1]),
    ("select sum(a) as n from (select distinct age as a, sex from people) as z", [90]),
    (
        "select sum(a) as n from (select age as a from people union all select age from people where score > 0) as z",
        [180],
    ),
    ("select sum(a) as n from (select age as a from people union select 95 as a from sales) as z", [95]),
    ("select sum(y) as n from (select income as y from people union all select amount from sales) as z", [1005]),
    ("select s, count(*) as n from (select sex as s from people order by age) as z group by s", [2]),
    ("select count(*) as n from (select id, count(*) as c from visits group by id) as z where c > 3", [2]),
    (
        "select sum(clamp(c, 0, 9)) as n from (select id, count(*) as c from visits group by id having "
        "count(*) > 1) as z",
        [18],
    ),
    ("select sum(clamp(a, 0, 50)) as n from (select avg(age) as a from people) as z", [50]),
    ("select sum(c) as n from (select id, count(*) as c from visits group by id) as z", None),
    (
        "select count(*) as n from people join (select id, count(*) as c from visits group by id) as z on "
        "people.id = z.id",
        [2],
    ),
    ("select count(*) as n from (select age from people order by age limit 5) as z", None),
    ("select count(*) as n from (select age from people offset 1) as z", None),
    (
        "select count(*) as n from (select id, count(*) as c from visits group by id having count(*) > "
        "(select max(age) from "
        "people)) as z",
        None,
    ),
    (
        "select count(*) as n from people left join sales on people.id = sales.id and amount > (select "
        "avg(amount) from sales)",
        None,
    ),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_sensitivity_of_queries(query, expected):
    text = f"{TABLES}query q:\n    {query}\n{LAPLACE}\n"
    if expected is None:
        with pytest.raises(StudyError, match="E0701"):
            made(text)
        return
    assert sensitivities(made(text)) == pytest.approx(expected, rel=1e-4)
    assert all(s >= e for s, e in zip(sensitivities(made(text)), expected, strict=True))


def test_sensitivity_goes_through_queries_over_queries():
    text = TABLES + "query old:\n    select sex, age, income from people where age > 60\n"
    query = "query q:\n    select sex, sum(clamp(income, 0, 50)) as x from old group by sex\n"
    assert sensitivities(made(text + query + LAPLACE + "\n")) == [100]


def test_a_union_of_queries_has_the_rows_of_both():
    text = TABLES + "query both: select sex, age from people union all select sex, age - 1 from people where age > 60\n"
    query = "query q:\n    select sex, sum(clamp(age, 0, 50)) as x from both group by sex\n"
    assert sensitivities(made(text + query + LAPLACE + "\n")) == [200]


def test_what_a_query_shows_of_secret_values_depends_on_all_rows():
    text = TABLES + "query whole: select sum(age) as s from people\ns = whole.s[0]\n"
    query = "query old: select age + s as y from people\nquery q: select sum(clamp(y, 0, 9)) as x from old\n"
    with pytest.raises(StudyError, match=r"E0701.*\n.*\n.*\n.*age \+ s"):
        made(text + query + LAPLACE + "\n")


FUNCTIONS = [
    ("return 2 * x + limit", True),
    ("y = abs(x) if x > 3 else other(x)\n    y -= 1\n    return round(y)", True),
    ("return x - mean(x)", False),
    ("return sum(x)", False),
    ("return x[0]", False),
    ("return x * hidden", False),
    ("return last(x)", False),
    ("return cumsum(x)", False),
    ("return x @ x", False),
    ("y = x\n    for i in range(2):\n        y += 1\n    return y", False),
    ("return reveal(x)", False),
]


@pytest.mark.parametrize(("body", "fine"), FUNCTIONS)
def test_functions_of_the_study_that_compute_on_one_row(body, fine):
    text = TABLES + "query whole: select sum(age) as s from people\nhidden = whole.s[0]\nlimit = 7\n"
    text += "def other(x):\n    return sign(x)\ndef last(x):\n    return sort(x)\n"
    text += f"def f(x):\n    {body}\nquery q: select sum(clamp(f(age), 0, 9)) as n from people where f(age) > 1\n"
    text += f"{LAPLACE}\n"
    if fine:
        assert sensitivities(made(text)) == [9]
        return
    with pytest.raises(StudyError, match="E0701"):
        made(text)


def test_rows_stay_those_of_their_owner_when_they_move():
    text = TABLES + "query old: select sex, age from people where age > 60\n"
    query = "query q:\n    select sum(age) as x from moved\n"
    for moved in ("compact(old)", "shuffle(old)", "old"):
        assert sensitivities(made(f"{text}moved = {moved}\n{query}{LAPLACE}\n")) == [90]


def test_gaussian_noise_is_for_the_euclidean_norm():
    text = TABLES + "query q:\n    select sex, count(*) as n, sum(age) as a from people group by sex\n"
    done = made(text + "reveal q to office with gaussian(epsilon=0.5, delta=1e-6)\n")
    assert sensitivities(done) == pytest.approx([math.sqrt(2), 90 * math.sqrt(2)], rel=1e-4)
    one = math.sqrt(1 / (2 * float(concentrated(0.5, 1e-6))))
    assert scales(done) == pytest.approx([2 * one, 180 * one], rel=1e-5)


def test_epsilon_is_split_among_what_a_statement_reveals():
    text = TABLES + "query q:\n    select count(*) as n, sum(age) as a from people where score > 0\n"
    assert scales(made(text + LAPLACE + "\n")) == [2, 180]
    assert scales(made(text.replace("count(*) as n, ", "") + LAPLACE + "\n")) == [90]


@pytest.mark.parametrize(
    ("expression", "limits"),
    [
        ("sum(clip(x, -1, 3))", [4]),
        ("mean(clip(x, 0, 10))", [0.1]),
        ("sum(k, axis=0)", [12]),
        ("sum(clip(x * y, 0, 2)) * 3", [6]),
        ("sum(clip(x, 0, 1)) + sum(clip(x, 0, 2))", [3]),
        ("clip(sum(x), 0, 7)", [7]),
        ("clip_norm(x, 1.0)", [20]),
        ("(clip_norm(x, 1.0) + clip_norm(y, 3.0)) / 2", [30]),
        ("sum(clip(x, 0, 1)) / 4", [0.25]),
        ("sum(clip(x + concat(x[1:], x[:1]), 0, 1))", [100]),  # one row may be in all sums
        ("sum(clip(x - mean(x), 0, 1))", [100]),
    ],
)
def test_sensitivity_of_arrays(expression, limits):
    text = "party a, b, c\ninput x: fixed[n] from a\ninput y: fixed[n] from b\ninput k: int[n, 3] in 0..4 from a\n"
    text = text.replace("int[n, 3] in 0..4", "int[n, 3]").replace("input k", "input raw") + "k = clip(raw, 0, 4)\n"
    done = made(f"{text}reveal {expression} to c as r with laplace(epsilon=1)\n", n=100)
    found = sensitivities(done)
    assert found == pytest.approx(limits, rel=0.05)
    assert all(f >= e for f, e in zip(found, limits, strict=True))


def test_parts_of_one_clip_norm_are_hidden_together():
    text = "party a, b, c\ninput x: fixed[9] from a\ninput y: fixed from a\n"
    opened = "u, v = reveal(clip_norm((x, y), 1.0), noise=gaussian(epsilon=1, delta=0.00001))\n"
    done = made(text + opened + "reveal u, v to c\n")
    assert sensitivities(done) == pytest.approx([2, 2], rel=1e-3)
    one = math.sqrt(4 / (2 * float(concentrated(1, 1e-5))))
    assert scales(done) == pytest.approx([one, one], rel=1e-3)
    assert spending(done.circuit) == {
        ("a", "x"): Spending(Decimal(1), Decimal("0.00001")),
        ("a", "y"): Spending(Decimal(1), Decimal("0.00001")),
    }


@pytest.mark.parametrize("expression", ["sum(x)", "x[0] + clip(x[1], 0, 1)", "max(x)", "1 / clip(x[0], 0, 1)"])
def test_what_has_no_limit_is_refused(expression):
    text = f"party a, b, c\ninput x: fixed[n] from a\nreveal {expression} to c as r with laplace(epsilon=1)\n"
    with pytest.raises(StudyError, match="E0701"):
        made(text, n=100)


def test_what_was_stored_has_no_limit_but_a_clipped_one(tmp_path):
    first = parley.compile("party a, b, c\ninput x: fixed from a\nstore 2 * x as y\n")
    parley.simulate_sync(first, {"a": {"x": 5.0}}, state=tmp_path)
    text = "party a, b, c\nz = load('y')\nreveal EXPRESSION to b as r with laplace(epsilon=100)\n"
    clipped = parley.compile(text.replace("EXPRESSION", "clip(z, 0, 3)"))
    assert parley.simulate_sync(clipped, {}, state=tmp_path)["b"]["r"] == pytest.approx(3, abs=2)
    with pytest.raises(ExceptionGroup) as caught:
        parley.simulate_sync(parley.compile(text.replace("EXPRESSION", "z")), {}, state=tmp_path)
    assert as_json(caught.value)["code"] == "E0701"


# ------------------------------------------------------------------------------------- what it costs


def test_what_is_spent_adds_up_by_table_and_by_pass():
    text = TABLES + "query q:\n    select count(*) as n from people join sales on people.id = sales.id\n"
    text += "reveal q to office with laplace(epsilon=0.5)\nreveal q to bank as again with laplace(epsilon=0.25)\n"
    text += "query s:\n    select count(*) as n from sales where amount > 0\n"
    text += "reveal s to all with gaussian(epsilon=2, delta=0.001)\n"
    expected = {
        ("bank", "people"): Spending(Decimal("0.75"), Decimal(0)),
        ("shop", "sales"): Spending(Decimal("2.75"), Decimal("0.001")),
    }
    assert spending(made(text).circuit) == expected


@pytest.mark.parametrize("passes", [7, 400])
def test_what_a_loop_opens_counts_for_each_pass(passes):
    text = (
        f"party a, b, c\ninput X: fixed[20, 3] from a\nw = zeros(3)\nfor i in range({passes}):\n"
        "    g = clip_norm(X.T @ (X @ w - 1), 1.0)\n"
        "    w -= 0.1 * reveal(g, noise=gaussian(epsilon=0.5, delta=0.0001))\nreveal w to c\n"
    )
    done = made(text)
    total = Spending(passes * Decimal("0.5"), passes * Decimal("0.0001"))
    assert spending(done.circuit) == {("a", "X"): total}
    opened = {d for d in disclosures(parse(text), done) if d.kind == "open"}
    assert all("gaussian noise, epsilon 0.5" in d.noise for d in opened)
    assert {d.repeated for d in opened} == {passes == 400}


def test_disclosures_name_noise_sensitivity_and_epsilon():
    text = TABLES + "query q:\n    select sex, count(*) as n from people group by sex\n" + LAPLACE + "\n"
    first, *_ = disclosures(parse(text), made(text))
    assert first.noise == "laplace noise, epsilon 1, one row replaced (n: sensitivity 2, scale 2)"
    assert first.to_json()["noise"] == first.noise


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-9), (0.5, 1e-6), (1.0, 1e-5), (8.0, 1e-3)])
def test_gaussian_noise_suffices(epsilon, delta):
    """The exact delta of the discrete Gaussian for one count [Canonne, Kamath, Steinke 2020, theorem 7]."""
    sigma = math.sqrt(1 / (2 * float(concentrated(epsilon, delta))))
    x = np.arange(-math.ceil(40 * sigma) - 2, math.ceil(40 * sigma) + 3)
    p = np.exp(-(x**2) / (2 * sigma**2))
    p /= p.sum()
    shifted = np.roll(p, 1)
    exact = np.maximum(p - math.exp(epsilon) * shifted, 0).sum()
    assert exact <= delta
    assert exact > delta / 100


# ----------------------------------------------------------------------------------------- results


COUNTS = """party bank, office, helper
table people from bank:
    digit: int in 0..199
    sex: enum('f', 'm', 'x')
    income: fixed
query q:
    select digit, count(*) as n, sum(clamp(income, 0, 4)) as total from people group by digit
query s:
    select sex, count(*) as n from people group by sex
"""


def data(rows: int) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(5)
    people = {
        "digit": rng.integers(0, 200, rows).tolist(),
        "sex": rng.choice(["f", "m"], rows).tolist(),
        "income": rng.uniform(-2, 6, rows).tolist(),
    }
    return {"bank": {"people": people}}


def truth(rows: int) -> tuple[np.ndarray, np.ndarray]:
    people = data(rows)["bank"]["people"]
    digit = np.array(people["digit"])
    return np.bincount(digit, minlength=200), np.bincount(
        digit, np.clip(np.array(people["income"]), 0, 4), minlength=200
    )


def far(noise: np.ndarray, scale: float) -> float:
    """Kolmogorov and Smirnov's distance of whole numbers from the discrete Laplace law, times sqrt(n)."""
    x = np.sort(noise)
    a = math.exp(-1 / scale)
    below = np.where(x < 0, a ** np.abs(x) / (1 + a), 1 - a ** np.abs(x + 1) / (1 + a))
    steps = np.searchsorted(x, x, side="right") / len(x)
    return float(np.abs(steps - below).max() * math.sqrt(len(x)))


@pytest.mark.parametrize(
    "settings", [{}, {"protocol": "additive", "preprocessing": "dealer"}], ids=["rep3", "additive"]
)
def test_results_have_the_noise_that_was_announced(settings):
    study = parley.compile(COUNTS + "reveal q to office with laplace(epsilon=0.5)\n", **settings)
    found = parley.simulate_sync(study, data(2000))["office"]["q"]
    assert list(found["digit"]) == list(range(200))
    counts, totals = truth(2000)
    # Two columns: 0.25 each. A count moves by 2, a sum by 8. Of 200 numbers, D sqrt(n) > 3.3 with probability 1e-9.
    noise = np.array(found["n"]) - counts
    assert far(noise, 8) < 3.3
    # Other laws are told apart: D is above 0.46 for them, so that 3.3 is more than 6 deviations away.
    assert far(noise, 0.1) > 3.3
    assert far(noise, 1000) > 3.3
    more = np.rint((np.array(found["total"]) - totals) * 2**16)
    assert far(more, 32 * 2**16) < 3.3


def test_much_epsilon_is_little_noise_and_empty_groups_are_there():
    text = COUNTS + "reveal s to office with laplace(epsilon=100)\n"
    text += "reveal s to bank as t where n > 5 with laplace(epsilon=100)\n"
    done = parley.simulate_sync(parley.compile(text), data(300))
    sexes = data(300)["bank"]["people"]["sex"]
    exact = [sexes.count(x) for x in "fmx"]
    assert list(done["office"]["s"]["sex"]) == ["f", "m", "x"]
    assert list(done["office"]["s"]["n"]) == exact
    assert list(done["bank"]["t"]["n"]) == exact[:2]


def test_noise_is_drawn_once_where_stages_follow():
    """What was opened with noise decides the course, and is the same number later."""
    done = parley.simulate_sync(parley.compile(STAGES), {"a": {"x": np.ones(50, np.int64)}})["c"]
    assert list(done["y"]) == [float(done["n"])] * 2


def test_every_pass_of_a_loop_draws_noise_of_its_own():
    text = (
        "party a, b, c\ninput x: int in 0..1 from a\nys = zeros(400)\nfor i in range(400):\n"
        "    ys[i] = reveal(x, noise=laplace(epsilon=0.2))\nreveal ys to c\n"
    )
    done = elaborate(parse(text), Bindings())
    assert any(node.op == "loop" for _, node in done.circuit)
    ys = np.array(parley.simulate_sync(parley.compile(text), {"a": {"x": 1}})["c"]["ys"])
    assert far(ys - 1, 5) < 3.3
    assert far(ys - 1, 0.1) > 3.3


STAGES = """party a, b, c
input x: int[50] from a
n = reveal(sum(clip(x, 0, 1)), noise=laplace(epsilon=0.01))
y = zeros(2)
for i in range(0 if n < -100000 else 2):
    y[i] = n
reveal y, n to c
"""


def test_noise_is_drawn_once_in_the_clear(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("\n".join("1" for _ in range(50)) + "\n")
    study = tmp_path / "study.parley"
    study.write_text(STAGES)
    outputs = [run_plain(study, {}, 16, tmp_path, {}).outputs["c"] for _ in range(6)]
    assert all(o["y"] == [float(o["n"])] * 2 for o in outputs)
    assert len({o["n"] for o in outputs}) > 1


def test_fraction_of_a_parameter_is_taken_as_written():
    text = "param e: fixed = 0.1\n"
    text = TABLES + text + "query q:\n    select count(*) as n from people where score > 0\n"
    (node,) = noises(made(text + "reveal q to office with laplace(epsilon=e)\n").circuit)
    assert abs(Fraction(*node["parameter"]) - 10) < Fraction(1, 100)
