"""What is wrong with a study is said with its place, its reason, and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.diagnostics import StudyError, render
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

ERRORS = sorted((Path(__file__).parents[1] / "errors").glob("study_*.parley"))
MARKER = re.compile(r'#! (E\d{4}) (\d+) "(.*)"\n')
START = "party p, q, r\ninput v: fixed[5] from p\ninput k: int from q\n"


def errors(text: str, **params: str) -> list[tuple[str, int]]:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(text), Bindings(params=params))
    found = []
    for d in caught.value.diagnostics:
        found.append((d.code, d.source.position(d.span.start).line if d.source and d.span else 0))
        assert render(d)
    return found


@pytest.mark.parametrize("path", ERRORS, ids=lambda p: p.stem.removeprefix("study_"))
def test_example(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marker = MARKER.match(text)
    assert marker is not None
    code, line, words = marker.groups()
    with pytest.raises(StudyError) as caught:
        elaborate(parse(text, path.name), Bindings())
    shown = str(caught.value)
    places = [(d.code, d.source.position(d.span.start).line) for d in caught.value.diagnostics]
    assert places == [(code, int(line))], shown
    assert words in shown, shown


@pytest.mark.parametrize("kind", ["int", "fixed", "decimal(2)", "bool", "date", "text(4)", "enum('u', 'v')"])
def test_what_helps_against_missing_values_is_of_their_type(kind: str) -> None:
    head = f"party p, q, r\ninput x: {kind}? from p\n"
    with pytest.raises(StudyError) as caught:
        elaborate(parse(f"{head}y = stack(x, x)[one_hot(x, 3)]\n"), Bindings())
    (found,) = caught.value.diagnostics
    (code,) = re.findall(r"`([^`]+)`", found.helps[0])
    assert found.code == "E0311"
    done = elaborate(parse(f"{head}reveal {code} to q as full\n"), Bindings())
    assert done.outputs[0].columns[0].valid is None


@pytest.mark.parametrize("line", ["z = (1, 2) + (3, 4)", "z = 2 * (1, 2)", "z = -(1, 2)"])
def test_what_python_does_to_tuples_is_refused(line: str) -> None:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(START + line + "\n"), Bindings())
    assert [(d.code, d.helps) for d in caught.value.diagnostics] == [("E0301", ("a list is an array: `[1, 2, 3]`",))]


def test_the_new_name_of_what_is_changed_in_place() -> None:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(START + "z = k\nz *= v + 1\n"), Bindings())
    assert [d.helps for d in caught.value.diagnostics] == [
        ("give the new value a name of its own: `z_2 = z * (v + 1)`",),
    ]


def test_helps_that_are_statements_can_be_read() -> None:
    for path in ERRORS:
        with pytest.raises(StudyError) as caught:
            elaborate(parse(path.read_text(encoding="utf-8")), Bindings())
        for diagnostic in caught.value.diagnostics:
            for text in diagnostic.helps:
                for code in re.findall(r"`([^`]+)`", text):
                    if code.endswith(":"):
                        parse(f"{code}\n    pass\n")
                    elif not code.endswith("=") and not code.startswith("as "):
                        statement = re.match(r"reveal .* to|store .* as|assert |return |\w+(, \w+)* = |\w+: \w+$", code)
                        line = code if statement else f"x_ = {code}"
                        if code.startswith("return "):
                            line = f"def f_(a, b, c):\n    {code}"
                        elif re.match(r"\w+: \w+$", code):
                            line = f"table t_ from p:\n    {code}"
                        parse(f"{line}\n")


def test_all_errors_of_a_study_are_said_at_once() -> None:
    text = START + "a = v[9]\nb = k + 'x'\nc = unknown\nd = a + b\nreveal d, c to zed\n"
    assert errors(text) == [("E0306", 4), ("E0301", 5), ("E0201", 6), ("E0202", 8)]


def test_what_is_wrong_does_not_cascade() -> None:
    text = (
        START + "w = nothing\nfor i in range(5):\n    w += v[i]\nif w > 3:\n    y = w\nz = y * 2\nreveal z, w to all\n"
    )
    assert errors(text) == [("E0201", 4)]


def test_an_error_in_a_loop_is_said_once() -> None:
    assert errors(START + "for i in range(4):\n    for j in range(3):\n        x = v[j] + 'a'\n") == [("E0301", 6)]


def test_an_error_in_a_function_shows_the_call() -> None:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(START + "def f(a):\n    return a[7]\nx = f(v)\n"), Bindings())
    (diagnostic,) = caught.value.diagnostics
    assert [s.text for s in diagnostic.secondary] == ["in this call"]


def test_settings_are_checked() -> None:
    text = "party p\nparam n: int in 1..9 = 3\nparam day: date = date '2024-01-31'\nparam side: enum('l', 'r') = 'l'\n"
    assert errors(text, n="10") == [("E0816", 2)]
    assert errors(text, n="x") == [("E0816", 2)]
    assert errors(text, day="2024-02-31") == [("E0816", 3)]
    assert errors(text, side="left") == [("E0816", 4)]
    assert errors(text, m="1") == [("E0816", 0)]
    elaborate(parse(text), Bindings(params={"n": "4", "day": "2023-02-28", "side": "r"}))
    text = "party p\nparam note: text(4) = 'abcd'\n"
    assert errors(text, note="abcde") == errors(text, note="äöü") == [("E0816", 2)]
    assert errors(text.replace("abcd", "abcde")) == [("E0301", 2)]
    elaborate(parse(text), Bindings(params={"note": "äö"}))


def test_a_secret_names_both_who_made_it() -> None:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(START + "x = zeros(2 * (sum(v > 0) + k))\n"), Bindings())
    (diagnostic,) = caught.value.diagnostics
    assert [s.text for s in diagnostic.secondary] == ["secret: comes from p's `v`", "and from q's `k`"]


def test_why_goes_through_loops_and_tables() -> None:
    text = """party bank, shop
table loans from bank:
    amount: int
table sales from shop:
    price: int
total = 0
for i in range(3):
    for j in range(700):
        total = total // 2 + sum(loans.amount) + sum(sales.price)
y = zeros(total)
"""
    with pytest.raises(StudyError) as caught:
        elaborate(parse(text), Bindings(rows={("bank", "loans"): 4, ("shop", "sales"): 4}))
    (diagnostic,) = caught.value.diagnostics
    texts = [s.text for s in diagnostic.secondary]
    assert texts == ["secret: comes from bank's column `amount`", "and from shop's column `price`"]
    assert [diagnostic.source.position(s.span.start).line for s in diagnostic.secondary] == [3, 5]


def test_what_is_not_there_yet_says_so() -> None:
    text = "party p\ninput x: fixed[3] from p\ninput n: int[3] from p\n"
    text += "y = reveal((clip(n, 0, 1), clip(x, 0, 1)), noise=laplace(epsilon=1.0))\n"
    assert errors(text) == [("E0901", 4)]
