"""Every text is a study or a StudyError, and the errors say what and where."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dsl.codes import CODES
from dsl.diagnostics import StudyError, render
from dsl.parse import parse
from dsl.tokens import KEYWORDS, QUERY_KEYWORDS

ERRORS = sorted((Path(__file__).parents[1] / "errors").glob("syntax_*.parley"))
STUDIES = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "data").glob("*.parley"))]
MARKER = re.compile(r'#! (E\d{4}) (\d+) "(.*)"\n')

SNIPPETS = [
    *"()[]{}:,.;=<>+-*/%@?!#'\"\\\n\t ",
    *["==", "<>", "!=", "<=", "**", "//", "..", "+=", "''", '"""', "'''", "\r\n"],
    *KEYWORDS,
    *QUERY_KEYWORDS,
    *["reveal", "to", "rows", "party", "table", "query", "date", "group by", "order by", "limit", "left join", "end"],
    *["    ", "\n    ", "\nx = 1\n", "12", "1e9", "0x1", "9" * 30, "é", "\x00", "\u2028", "中", "\ufeff", "x[", "f("],
]


@pytest.mark.parametrize("path", ERRORS, ids=lambda p: p.stem)
def test_example(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marker = MARKER.match(text)
    assert marker is not None
    code, line, words = marker.groups()
    with pytest.raises(StudyError) as caught:
        parse(text, path.name)
    places = [(d.code, d.source.position(d.span.start).line, render(d)) for d in caught.value.diagnostics]
    assert any((c, n) == (code, int(line)) and words in shown for c, n, shown in places), str(caught.value)
    assert len(places) == 1, str(caught.value)


def test_every_syntax_code_has_an_example() -> None:
    shown = {MARKER.match(path.read_text(encoding="utf-8")).group(1) for path in ERRORS}
    assert {code for code in CODES if code < "E0200"} <= shown


def test_errors_of_several_statements_are_reported_together() -> None:
    with pytest.raises(StudyError) as caught:
        parse("x = = 3\ny = 4\nreveal y\nif y:\n    z = )\nquery q:\n    select from t\nw = 1 < 2 < 3\n")
    lines = [d.source.position(d.span.start).line for d in caught.value.diagnostics]
    assert lines == [1, 3, 5, 7, 8]


def test_an_unclosed_bracket_does_not_hide_the_next_statements() -> None:
    with pytest.raises(StudyError) as caught:
        parse("x = f(1,\ny = 2\nreveal y\n")
    assert [d.code for d in caught.value.diagnostics] == ["E0103", "E0101"]


def test_errors_come_in_the_order_of_the_text() -> None:
    with pytest.raises(StudyError) as caught:
        parse("x = 'a\ny = 1 +\nz = 0x1\n")
    assert [d.code for d in caught.value.diagnostics] == ["E0103", "E0101", "E0104"]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 5000 + "1" + ")" * 5000,
        "x = " + "-" * 5000 + "1",
        "x = " + "[" * 5000 + "1" + "]" * 5000,
        "x = " + "1 + " * 5000 + "1",
        "x = " + "not " * 5000 + "y",
        "x = " + "f(" * 5000 + ")" * 5000,
        "x = y" + ".z" * 5000,
        "x = " + "a if b else " * 5000 + "c",
        "x = " + "2 ** " * 5000 + "2",
        "".join("    " * i + "if x:\n" for i in range(300)) + "    " * 300 + "y = 1",
        "query q:\n    select a from " + "(select a from " * 2000 + "t" + ")" * 2000,
        "query q:\n    select " + "case when a then " * 2000 + "1" + " end" * 2000 + " from t",
        "query q:\n    select a from t" + " union select a from t" * 2000,
        "query q:\n    select a from t" + " join s on a = b" * 2000,
        "(" * 100_000,
        "'" * 99_999,
        "\n".join("x = (" for _ in range(3000)),
    ],
    ids=range(17),
)
@pytest.mark.slow
def test_depth_is_bounded(text: str) -> None:
    try:
        parse(text)
    except StudyError as error:
        assert {d.code for d in error.diagnostics} <= {"E0107", "E0103"}  # noqa: PT017 - both outcomes are fine
        assert len(str(error)) < 50_000  # noqa: PT017


def test_a_study_has_a_greatest_length() -> None:
    with pytest.raises(StudyError, match="E0107"):
        parse("#" * 1_000_001)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A study with a few pieces cut out, moved, or put in."""
    text = draw(st.sampled_from(STUDIES))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        cut = draw(st.sampled_from([0, 0, 1, 2, 5, 20, 100]))
        start = draw(st.integers(0, len(text)))
        piece = draw(st.one_of(st.sampled_from(SNIPPETS), st.just(text[start : start + 15]), st.text(max_size=4)))
        text = text[:at] + piece + text[at + cut :]
    return text


@settings(max_examples=400)
@given(mutated())
def test_a_mutated_study_gives_a_study_or_a_study_error(text: str) -> None:
    try:
        parse(text)
    except StudyError as error:
        for d in error.diagnostics:
            assert d.code in CODES
            assert 0 <= d.span.start <= d.span.end <= len(text)
            assert render(d)


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=30).map(" ".join) | st.text(max_size=60))
def test_any_text_gives_a_study_or_a_study_error(text: str) -> None:
    try:
        parse(text)
    except StudyError as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=200)
@given(st.lists(st.sampled_from(SNIPPETS), max_size=30).map(" ".join))
def test_any_query_gives_a_study_or_a_study_error(text: str) -> None:
    try:
        parse("query q:\n    select " + text)
    except StudyError as error:
        assert str(error)  # noqa: PT017
