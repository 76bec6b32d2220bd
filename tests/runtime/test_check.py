"""What `parley check` says beside disclosures and costs."""

from __future__ import annotations

from runtime.check import Report, check_study
from runtime.job import Job, choose

HEAD = """party a, b, c
input x: int in 0..9[n] from a
input k: int in 0..9 from b
input far: int in 0..9 from c
"""


def checked(lines: str, *sizes: str) -> Report:
    protocol, nodes, dealer = choose(("a", "b", "c"), protocol="rep3", preprocessing=None)
    job = Job(HEAD + lines, "s.parley", ("a", "b", "c"), nodes, protocol, dealer)
    return check_study(job, None, {}, ["n=6", *sizes])


def test_a_secret_index_is_said_to_cost_a_pass() -> None:
    report = checked("i = k + far\ny = x[i]\nfor t in range(3):\n    y += x[(i + t) % n]\nreveal y to a\n")
    assert report.passes == (
        "line 6: `x[i]` costs a pass over 6 elements: its index is secret",
        "line 8: `x[(i + t) % n]` costs a pass over 6 elements: its index is secret",
    )
    assert report.assumptions == ("line 6: the index is in -6..5",)
    assert report.to_json()["passes"] == list(report.passes)


def test_an_index_that_all_or_its_owner_alone_needs_costs_none() -> None:
    report = checked("y = x[2] + x[reveal(k) % n]\nz = x[x[0] % n]\nreveal y, z to a\n")
    assert report.passes == ()


def test_an_assigned_place_costs_a_pass_for_each_secret_index() -> None:
    report = checked("X = zeros((6, 10))\nX[k % 6, far] = 1\nreveal X to a\n")
    assert [line.split(":")[0] for line in report.passes] == ["line 6"] * 2
    assert "pass over 6" in report.passes[0]
    assert "pass over 10" in report.passes[1]


def test_a_divisor_that_may_be_0_is_taken_not_to_be_but_in_queries() -> None:
    lines = """table t from a, b:
    x: int in 0..9
    y: int in 0..9
query q:
    select sum(x) / sum(y) as r, avg(x) as m, stddev(y) as s from t
z = sum(x) / (k * far)
reveal q to a
reveal z to a
"""
    report = checked(lines, "a:t=3", "b:t=3")
    assert [a for a in report.assumptions if "not 0" in a] == ["line 10: the divisor is not 0"]


def test_what_an_owner_computes_alone_fits_or_ends_the_job_and_is_not_taken_to() -> None:
    lines = """input free: int from a
input v: int[n] from a
reveal free * free to c as p
reveal sum(v) + 1 to c as s
reveal sum(x * x) + k * k to c as bounded
reveal v[0] // v[1] to c as q
"""
    assert checked(lines).assumptions == ("line 10: the divisor is not 0",)


def test_a_divisor_that_is_guarded_is_not_spoken_of() -> None:
    lines = """input f: fixed[n] from b
guarded = x / f if f != 0 else 0
above = 1 + x / k if k > 0 and far > 1 else 0
if far == 0:
    parts = 0 * x
else:
    parts = x // far
below = 0 if not k >= 1 else sum(x) / k
over = (x + 1) / f if f > -1 else 0
other = (x + 2) / k if far > 0 else 0
swapped = 0 if f != 0 else (x + 4) / f
used = (x + 3) / k
chosen = used if k > 0 else 0
reveal guarded, above, parts, below to a
reveal over, other, swapped to b
reveal used, chosen to c
"""
    said = checked(lines).assumptions
    assert [a for a in said if "not 0" in a] == [f"line {n}: the divisor is not 0" for n in (13, 14, 15, 16)]
