"""What goes wrong at one party is told by the command as that party's error, with its code and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies_run import DEALER, call

STUDY = """
party anna, bert, cora

input x: int[n] from anna
input y: int[n] from bert

reveal sum(x * y) to cora as product
"""


def outcome(
    folder: Path, x: str, y: str, study: str = STUDY, options: tuple[str, ...] = ()
) -> tuple[int, dict[str, str], str]:
    """(exit code, what `--json` says of the error, the text for a person)."""
    (folder / "study.parley").write_text(study)
    for party, name, text in (("anna", "x", x), ("bert", "y", y)):
        (folder / party).mkdir()
        (folder / party / f"{name}.csv").write_text(text)
    done = call(folder / "study.parley", folder, *options)
    return done.returncode, json.loads(done.stdout).get("error", {}), done.stderr


@pytest.mark.slow
def test_a_party_refuses_its_own_data(tmp_path: Path) -> None:
    code, error, text = outcome(tmp_path, "1\n2\nthree\n", "4\n5\n6\n")
    assert code == 1
    assert error["code"].startswith("E04")
    assert "x.csv" in error["where"]
    assert "3" in error["where"]
    assert "x.csv" in text


@pytest.mark.slow
def test_two_parties_bring_different_sizes(tmp_path: Path) -> None:
    code, error, text = outcome(tmp_path, "1\n2\n", "4\n5\n6\n")
    assert code == 1
    assert error["code"].startswith("E04")
    assert "anna" in text
    assert "bert" in text


@pytest.mark.slow
def test_a_study_that_is_wrong(tmp_path: Path) -> None:
    code, error, text = outcome(tmp_path, "1\n2\n", "4\n5\n", STUDY + "reveal z to cora\n")
    assert code == 1
    assert error["code"].startswith("E0")
    assert "study.parley:8" in error["where"]
    assert "reveal z to cora" in text


@pytest.mark.slow
def test_what_is_right_ends_with_nothing_to_say(tmp_path: Path) -> None:
    assert outcome(tmp_path, "1\n2\n3\n", "4\n5\n6\n") == (0, {}, "")


@pytest.mark.slow
def test_an_owner_computes_what_is_no_number(tmp_path: Path) -> None:
    study = """party anna, bert, cora

input x: fixed[n] from anna
input y: fixed[n] from bert

shown = log(x) if x > 0 else 0.0
reveal sum(shown) + sum(y) to cora as allowed
reveal sum(log(x) + y) to cora
"""
    code, error, text = outcome(tmp_path, "0\n1\n", "4\n5\n", study.replace("reveal sum(log(x) + y) to cora\n", ""))
    assert (code, error, text) == (0, {}, "")
    for party in ("anna", "bert"):
        (tmp_path / party).rename(tmp_path / f"first_{party}")
    code, error, text = outcome(tmp_path, "0\n1\n", "4\n5\n", study.replace("to cora\n", "to cora as sum\n"))
    assert (code, error["code"]) == (1, "E0417")
    assert "study.parley:8" in error["where"]
    assert "Warning" not in text


@pytest.mark.slow
def test_an_owner_without_rows_takes_part(tmp_path: Path) -> None:
    study = """party anna, bert, cora

table x from anna, bert:
    g: enum('u', 'v')
    v: int

query q:
    select g, sum(v) as s from x group by g order by g

reveal q to cora
"""
    for party, text in (("anna", "g,v\nv,2\nv,3\n"), ("bert", "g,v\n")):
        (tmp_path / party).mkdir()
        (tmp_path / party / "x.csv").write_text(text)
    (tmp_path / "study.parley").write_text(study)
    for options in ((), ("--plain",)):
        done = call(tmp_path / "study.parley", tmp_path, *options)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outputs"]["cora"] == {"q": [{"g": "v", "s": 5}]}


INDEXED = """party anna, bert, cora

input x: int in 0..9[n] from anna
input y: int in -9..9[n] from bert

i = y[0]
if i < n:
    held = x[i]
else:
    held = -1
reveal held to cora
reveal x[i] if i < n else -1 to cora as chosen
secret = x[0] + i - x[0]
moved = x + 0
moved[secret] = 7
reveal x[secret], moved to cora as taken, moved
"""


@pytest.mark.slow
def test_indices_count_from_the_end_whoever_sees_them(tmp_path: Path) -> None:
    (tmp_path / "study.parley").write_text(INDEXED)
    for party, name, text in (("anna", "x", "4\n5\n6\n"), ("bert", "y", "-1\n0\n0\n")):
        (tmp_path / party).mkdir()
        (tmp_path / party / f"{name}.csv").write_text(text)
    for options in ((), ("--plain",)):
        done = call(tmp_path / "study.parley", tmp_path, *options)
        assert done.returncode == 0, done.stderr
        learned = json.loads(done.stdout)["outputs"]["cora"]
        assert learned == {"held": 6, "chosen": 6, "taken": 6, "moved": [4, 5, 7]}


@pytest.mark.slow
def test_an_owners_index_is_outside(tmp_path: Path) -> None:
    """Where it is used; on the side of a choice that is not taken it harms nobody."""
    study = INDEXED[: INDEXED.index("secret")]
    assert outcome(tmp_path, "4\n5\n6\n", "8\n0\n0\n", study) == (0, {}, "")
    for party in ("anna", "bert"):
        (tmp_path / party).rename(tmp_path / f"first_{party}")
    code, error, text = outcome(tmp_path, "4\n5\n6\n", "8\n0\n0\n", study + "reveal x[i] to cora as last\n")
    assert (code, error["code"]) == (1, "E0306")
    assert "study.parley:13:8" in error["where"]
    assert "axis of 3 elements" in text


OVERFLOWS = """party anna, bert, cora

input x: int[n] from anna
input y: int[n] from bert

cube = x * x * x
shown = cube if x < 1000 else 0
reveal sum(shown) + sum(y) to cora as small
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--plain",), DEALER], ids=["rep3", "plain", "additive"])
def test_an_owners_whole_number_does_not_fit(tmp_path: Path, options: tuple[str, ...]) -> None:
    """On the side of a choice that is not taken it harms nobody; else the job ends, with the line."""
    files = {"x": "2\n4000000000\n", "y": "4\n5\n"}
    assert outcome(tmp_path, files["x"], files["y"], OVERFLOWS, options) == (0, {}, "")
    for party in ("anna", "bert"):
        (tmp_path / party).rename(tmp_path / f"first_{party}")
    study = OVERFLOWS + "reveal sum(cube) + sum(y) to cora as all_of_them\n"
    code, error, text = outcome(tmp_path, files["x"], files["y"], study, options)
    assert (code, error["code"]) == (1, "E0418")
    assert error["message"] == "a product of anna does not fit into 64 bits"
    assert "study.parley:6:8" in error["where"]
    assert "cube = x * x * x" in text
    assert "4000000000" not in text


@pytest.mark.slow
def test_a_query_of_an_owner_does_not_fit(tmp_path: Path) -> None:
    """A sum of a group; rows that the query drops, and padding, harm nobody."""
    study = """party anna, bert, cora

table t from anna rows <= 10:
    g: enum('u', 'v')
    x: int

query q:
    select g, sum(x * x) as s, stddev(x) as d from t where x < LIMIT group by g order by g

reveal q to cora
"""
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "t.csv").write_text("g,x\nu,2\nu,4\nv,3000000000\nv,3000000001\nv,4000000000\n")
    for options in ((), ("--plain",)):
        for limit, code in (("100", 0), ("3000000001", 0), ("3000000002", 1), ("5000000000", 1)):
            (tmp_path / "study.parley").write_text(study.replace("LIMIT", limit))
            done = call(tmp_path / "study.parley", tmp_path, *options)
            answer = json.loads(done.stdout)
            assert done.returncode == code, (limit, done.stderr)
            if code:
                assert answer["error"]["code"] == "E0418"
                assert "study.parley:8" in answer["error"]["where"]
            else:
                first = answer["outputs"]["cora"]["q"][0]
                assert (first["s"], round(first["d"], 4)) == (20, 1.4142)
    wide = study.replace("sum(x * x) as s, ", "").replace("LIMIT", "3000000002")
    (tmp_path / "study.parley").write_text(wide)
    for options in ((), ("--plain",)):  # squares that wrap on the way to a deviation are meant to
        answer = json.loads(call(tmp_path / "study.parley", tmp_path, *options).stdout)
        assert [round(row["d"], 4) for row in answer["outputs"]["cora"]["q"]] == [1.4142, 0.7071]
