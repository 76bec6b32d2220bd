"""What errors say to write in place of what the language does not have."""

from __future__ import annotations

import pytest

from dsl.diagnostics import Diagnostic, StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

HEAD = """party a, b, c
table t from a:
    v: fixed?
    k: int
    d: date
    s: text(6)
table u from b:
    s: text(6)
"""


def error(text: str) -> Diagnostic:
    with pytest.raises(StudyError) as caught:
        elaborate(parse(HEAD + text), Bindings(rows={("a", "t"): 3, ("b", "u"): 4}))
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("line", "code", "helps"),
    [
        ("x = median(t.k)", "E0204", "the library has it: `import stats`, and then `stats.median(…)`"),
        ("x = kmeans(t.k)", "E0204", "the library has it: `import ml`, and then `ml.kmeans(…)`"),
        ("x = stats.median(t.k)", "E0201", "the library is imported first: `import stats`"),
        ("x = upper(t.s)", "E0204", "queries have it, in a select: `upper(x) as y`"),
        ("x = any(t.k > 1)", "E0204", "`max(x)` of truth values says whether any is true"),
        ("x = count(t.k)", "E0204", "`len(x)` is how many there are, `sum(c)` how many are true"),
        ("x = coalesce(t.v, null)", "E0201", "a missing value is `null`, in queries only"),
        ("x = t.s like 'A%'", "E0105", "match texts in a query: `select id from t where name like 'A%'`"),
        ("x = t.s not like 'A%'", "E0105", "match texts in a query: `select id from t where name like 'A%'`"),
        ("reveal t.k between 1 and 2 to a", "E0105", "write both limits: `low <= x and x <= high`"),
        ("x = t.v is not null", "E0105", "take another value where one is missing: `coalesce(x, 0)`"),
        ("print(t.k)", "E0204", "results are shown by `reveal x to party`"),
        ("x = f(t.k)\ndef f(y):\n    return y", "E0204", "its definition, in line 10, belongs above its first use"),
        ("x = sigmod(t.k)", "E0204", "there is `sigmoid`"),
        ("x = t.k.sum()", "E0207", "write `sum(t.k)`"),
        ("x = t.d > '2020-01-01'", "E0301", "a date of the study is written `date '2020-01-01'`"),
        ("x = matrix(t, k, v)", "E0311", "say what to take instead: `coalesce(t.v, 0)`"),
        ("x = matrix(t)", "E0311", "say what to take instead: `coalesce(t.v, 0)`"),
    ],
)
def test_an_error_says_what_to_write(line: str, code: str, helps: str) -> None:
    found = error(line + "\n")
    assert found.code == code
    assert list(found.helps) == [helps]


@pytest.mark.parametrize("word", ["break", "continue"])
def test_words_that_end_a_pass_are_not_in_the_language(word: str) -> None:
    found = error(f"for i in range(3):\n    {word}\n")
    assert (found.code, found.message) == ("E0105", f"`{word}` is not in the language")


def test_a_module_says_what_it_has() -> None:
    assert "median" in error("import stats\nx = stats.mode(t.k)\n").label


@pytest.mark.parametrize("op", ["==", "<"])
def test_texts_of_different_numbers_are_counted_by_rows(op: str) -> None:
    assert error(f"x = t.s {op} u.s\n").message == "shapes [3] and [4] do not go together"


def test_missing_values_among_invisible_rows_are_replaced_in_the_query() -> None:
    found = error("query q:\n    select v, k from t where k > 1\nx = matrix(q, k, v)\n")
    assert list(found.helps) == ["say what to take instead, in the query: `select coalesce(v, 0) as v`"]
