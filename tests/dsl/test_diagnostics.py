"""How errors are shown, the places in a text, and the table of codes."""

import re
from pathlib import Path

import pytest

import dsl
from dsl.codes import CODES, explain
from dsl.diagnostics import Diagnostic, Label, Reporter, StudyError, render, to_json
from dsl.parse import parse
from dsl.source import Position, Source, Span

PACKAGE = Path(dsl.__file__).parent

FRAUD = Source(
    "fraud.parley",
    "\n" * 8 + "score = model(features)\n" + "\n" * 4 + "while score > limit:\n    x = 1\n",
)


def at(source: Source, text: str, nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(start, start + len(text))


def test_the_shape_of_an_error() -> None:
    diagnostic = Diagnostic(
        "E0304",
        "a secret value decides a branch",
        at(FRAUD, "score > limit"),
        "bool, seen by no party",
        (Label(at(FRAUD, "score"), "secret: comes from bank's column `amount` (line 3)"),),
        ("choose, with both sides computed: `a if score > limit else b`", "or open it first"),
        FRAUD,
    )
    assert render(diagnostic) == "\n".join(
        [
            "error[E0304]: a secret value decides a branch",
            "  --> fraud.parley:14:7",
            "   |",
            " 9 | score = model(features)",
            "   | ----- secret: comes from bank's column `amount` (line 3)",
            "   :",
            "14 | while score > limit:",
            "   |       ^^^^^^^^^^^^^ bool, seen by no party",
            "   |",
            "help: choose, with both sides computed: `a if score > limit else b`",
            "help: or open it first",
        ]
    )


def test_labels_on_one_line_and_neighbours() -> None:
    source = Source("s", "a = f(b, c)\n\nd = a\n")
    diagnostic = Diagnostic("E0301", "m", at(source, "c"), "here", (Label(at(source, "d"), "later"),), (), source)
    second = Label(at(source, "b"), "there")
    diagnostic = Diagnostic("E0301", "m", diagnostic.span, "here", (*diagnostic.secondary, second), (), source)
    assert render(diagnostic).splitlines()[2:] == [
        "  |",
        "1 | a = f(b, c)",
        "  |       - there",
        "  |          ^ here",
        "2 |",
        "3 | d = a",
        "  | - later",
        "  |",
    ]


def test_spans_of_several_lines() -> None:
    source = Source("s", "x = f(a,\n      b,\n      c,\n      d)\n")
    span = Span(4, len(source.text) - 1)
    assert render(Diagnostic("E0205", "m", span, "too many", (), (), source)).splitlines()[3:] == [
        "1 | x = f(a,",
        "  |     ^^^^",
        "  :",
        "4 |       d)",
        "  |       ^^ too many",
        "  |",
    ]


def test_tabs_and_wide_characters_keep_marks_below_their_text() -> None:
    source = Source("s", "\t'数据é' + bad\r\n")
    shown = render(Diagnostic("E0301", "m", at(source, "bad"), "", (), (), source)).splitlines()
    assert shown[3:5] == ["1 |     '数据é' + bad", "  |               ^^^"]
    decomposed = Source("s", "'e\u0301' + bad")
    assert (
        render(Diagnostic("E0301", "m", at(decomposed, "bad"), "", (), (), decomposed)).splitlines()[4]
        == "  |       ^^^"
    )


def test_the_end_of_the_text_can_be_marked() -> None:
    source = Source("s", "x = (")
    assert render(Diagnostic("E0103", "m", Span(5, 5), "", (), (), source)).splitlines()[4] == "  |      ^"
    assert "s:1:1" in render(Diagnostic("E0103", "m", Span(0, 0), "", (), (), Source("s", "")))


def test_long_lines_are_cut_around_the_mark() -> None:
    source = Source("s", "x = " + "a + " * 200 + "bad" + " + a" * 200)
    shown = render(Diagnostic("E0301", "m", at(source, "bad"), "here", (), (), source)).splitlines()
    assert max(map(len, shown)) < 160
    mark = shown[4].index("^^^")
    assert shown[3][mark : mark + 3] == "bad"


def test_control_characters_are_not_shown() -> None:
    source = Source("s", "x = \x1b[31m\x00")
    assert "\x1b" not in render(Diagnostic("E0101", "m", Span(4, 5), "", (), (), source))


def test_a_place_in_words() -> None:
    diagnostic = Diagnostic(
        "E0404", "a value is missing", where="north/visits.csv, row 12, column age", helps=("`int?`",)
    )
    assert render(diagnostic).splitlines() == [
        "error[E0404]: a value is missing",
        "  --> north/visits.csv, row 12, column age",
        "help: `int?`",
    ]
    assert to_json(diagnostic)["where"] == "north/visits.csv, row 12, column age"


def test_json() -> None:
    diagnostic = Diagnostic("E0301", "m", at(FRAUD, "limit"), "l", (Label(at(FRAUD, "model"), "why"),), ("h",), FRAUD)
    assert to_json(diagnostic) == {
        "code": "E0301",
        "severity": "error",
        "message": "m",
        "where": "fraud.parley:14:15",
        "label": "l",
        "secondary": [{"where": "fraud.parley:9:9", "label": "why"}],
        "helps": ["h"],
        "span": {"line": 14, "column": 15, "end_line": 14, "end_column": 20},
    }


def test_at_most_two_helps() -> None:
    with pytest.raises(ValueError, match="2 helps"):
        Diagnostic("E0101", "m", helps=("a", "b", "c"))


def test_a_reporter_raises_all_errors_in_order_and_once() -> None:
    reporter = Reporter(FRAUD)
    reporter.warning("E0502", "perhaps", Span(3, 4))
    reporter.finish()
    reporter.error("E0301", "second", at(FRAUD, "limit"))
    reporter.error("E0301", "the same again", at(FRAUD, "limit"))
    reporter.error("E0201", "first", at(FRAUD, "model"), secondary=[(Span(0, 1), "why")], helps=["h"])
    with pytest.raises(StudyError) as caught:
        reporter.finish()
    assert [d.message for d in caught.value.diagnostics] == ["perhaps", "first", "second"]
    assert caught.value.code == "E0201"
    assert str(caught.value).count("-->") == 3
    assert [d.message for d in reporter.warnings] == ["perhaps"]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_and_columns(end: str) -> None:
    source = Source("s", f"ab{end}{end}c")
    assert source.line_count == 3
    assert [source.line_text(i) for i in (1, 2, 3)] == ["ab", "", "c"]
    assert source.position(1) == Position(1, 2)
    assert source.position(len(source.text) - 1) == Position(3, 1)
    assert source.position(10_000) == Position(3, 2)
    assert source.describe(Span(len(source.text), 99)) == "s:3:2"


def test_codes_are_explained() -> None:
    for code, known in CODES.items():
        assert code == known.code
        assert re.fullmatch(r"E0[1-9]\d\d", code)
        page = explain(code.lower())
        assert page is not None
        assert known.title in page
        assert known.wrong != known.right
    assert explain("E9999") is None


@pytest.mark.parametrize("code", [c for c in CODES.values() if not c.right.startswith("$ ")], ids=lambda c: c.code)
def test_examples_of_codes(code) -> None:
    parse(code.right)
    if code.code < "E0200" and code.code != "E0107":  # which takes a longer text than a page has room for
        with pytest.raises(StudyError) as caught:
            parse(code.wrong)
        assert {d.code for d in caught.value.diagnostics} == {code.code}


def test_every_code_that_the_language_reports_is_in_the_table() -> None:
    used = {
        code
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("codes")
        for code in re.findall(r'"(E\d{4})"', path.read_text(encoding="utf-8"))
    }
    assert len(used) > 10
    assert used <= CODES.keys()
