"""What is wrong with a query is said with its place, and what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse

ERRORS = sorted((Path(__file__).parents[1] / "errors").glob("query_*.parley"))
MARKER = re.compile(r'#! (E\d{4}) (\d+) "(.*)"\n')


@pytest.mark.parametrize("path", ERRORS, ids=lambda p: p.stem.removeprefix("query_"))
def test_example(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    marker = MARKER.match(text)
    assert marker is not None
    code, line, words = marker.groups()
    with pytest.raises(StudyError) as caught:
        elaborate(parse(text, path.name), Bindings())
    shown = str(caught.value)
    assert [(d.code, d.source.position(d.span.start).line) for d in caught.value.diagnostics] == [(code, int(line))]
    assert words in shown, shown


def test_there_is_an_example_for_every_kind_of_mistake_in_a_query() -> None:
    found = {MARKER.match(p.read_text(encoding="utf-8")).group(1) for p in ERRORS}  # type: ignore[union-attr]
    assert {f"E060{i}" for i in range(1, 10)} <= found
