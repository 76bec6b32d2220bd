"""The example with noise, its parties as processes over TLS: much epsilon gives the exact counts, little the noise."""

from __future__ import annotations

import csv

import pytest
from studies_run import DEALER, EXAMPLES, run

FOLDER = EXAMPLES / "private_counts"
AGES = ("under 40", "40 to 59", "60 to 74", "75 and over")


def rows() -> list[dict[str, str]]:
    found = []
    for clinic in ("east", "north", "west"):
        with (FOLDER / "data" / clinic / "patients.csv").open(encoding="utf-8") as file:
            found += list(csv.DictReader(file))
    return [r for r in found if r["illness"] == "true"]


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), DEALER, ("--plain",)], ids=["rep3", "additive", "plain"])
def test_counts_have_no_more_noise_than_was_announced(options: tuple[str, ...]) -> None:
    answer = run(FOLDER / "study.parley", FOLDER / "data", "-p", "epsilon=100", *options)

    ill = rows()
    shown = answer["outputs"]["ministry"]["by_group"]
    assert [(r["sex"], r["age"]) for r in shown] == [(s, a) for s in "fm" for a in AGES]
    for row in shown:
        group = [int(r["days"]) for r in ill if (r["sex"], r["age"]) == (row["sex"], row["age"])]
        # Scales 0.04 and 2.4: another count, or more than 72, comes with probability 1e-10.
        assert row["n"] == len(group)
        assert abs(row["days"] - sum(group)) < 72
    overall = answer["outputs"]["east"]["overall"]
    assert all(answer["outputs"][p]["overall"] == overall for p in ("north", "west", "ministry"))
    assert abs(overall[0]["ill"] - len(ill)) < 7 * 12.28
    assert abs(overall[0]["days"] - sum(min(int(r["days"]), 30) for r in ill)) < 7 * 368.2
    spent = {(s["party"], s["table"]): s["epsilon"] for s in answer["stats"]["privacy"]}
    assert spent == {(clinic, "patients"): 100.5 for clinic in ("east", "north", "west")}


@pytest.mark.slow
def test_two_runs_have_different_noise() -> None:
    found = [run(FOLDER / "study.parley", FOLDER / "data")["outputs"]["ministry"] for _ in range(2)]
    assert found[0]["by_group"] != found[1]["by_group"]
