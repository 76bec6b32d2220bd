"""Modules of the library: found by file, their functions called, their errors shown where the study calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsl.diagnostics import StudyError
from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.outputs import Elaborated
from dsl.parse import parse

MODULE = '''"""A module."""

from base import _half

SHARE = 0.25

def scaled(x, by=SHARE):
    """x by a share."""
    return _half(x) * by * 2

def last(x):
    return x[len(x)]

def fitted(x, epochs=3):
    w = 0.0
    for i in range(epochs):
        w += sum(x)
    return w, w * 2
'''


def study(text: str, folder: Path) -> Elaborated:
    (folder / "tools.parley").write_text(MODULE, encoding="utf-8")
    (folder / "base.parley").write_text("def _half(x):\n    return x / 2\n", encoding="utf-8")
    return elaborate(parse(f"party p, q\ninput x: fixed[4] from p\n{text}"), Bindings(), library=folder)


def test_functions_by_module_and_by_name(tmp_path: Path) -> None:
    text = "import tools\nfrom tools import fitted as f, SHARE\na = tools.scaled(x)\nb, c = f(x, epochs=2)\nd = SHARE\n"
    names = dict(study(text, tmp_path).names)
    assert names["a"] == "fixed[4], seen by p"
    assert names["b"] == names["c"] == "fixed, seen by p"


def test_a_function_passed_on_is_still_one(tmp_path: Path) -> None:
    text = "import tools as t\ndef twice(f, x):\n    return f(f(x))\na = twice(t.scaled, x)\n"
    assert dict(study(text, tmp_path).names)["a"] == "fixed[4], seen by p"


def test_nodes_of_a_module_come_from_the_call(tmp_path: Path) -> None:
    done = study("import tools\na = tools.scaled(x + 1) + 3\nreveal a to q\n", tmp_path)
    text = "party p, q\ninput x: fixed[4] from p\nimport tools\na = tools.scaled(x + 1) + 3\nreveal a to q\n"
    found = {text[n.origin.start : n.origin.end] for _, n in done.circuit if n.origin and n.op == "mul"}
    assert found == {"tools.scaled(x + 1)"}


@pytest.mark.parametrize(
    ("text", "code", "line", "words"),
    [
        ("import tool\n", "E0208", 3, "there is `tools`"),
        ("import tools\na = tools.scaledd(x)\n", "E0208", 4, "there is `tools.scaled`"),
        ("from tools import _half\n", "E0208", 3, "has no `_half`"),
        ("import tools\na = tools.last(x)\n", "E0306", 4, "inside `tools.last`"),
        ("import tools\na = tools.scaled(x, bye=3)\n", "E0205", 4, "takes x, by"),
        ("import tools\na = tools.fitted(x, epochs=sum(x > 0))\n", "E0303", 4, "comes from p's `x`"),
    ],
)
def test_errors(text: str, code: str, line: int, words: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as caught:
        study(text, tmp_path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.source is not None
    assert diagnostic.span is not None
    assert (diagnostic.code, diagnostic.source.position(diagnostic.span.start).line) == (code, line)
    assert words in str(caught.value)


def test_what_only_the_library_sees(tmp_path: Path) -> None:
    (tmp_path / "_inner.parley").write_text("def inner(x):\n    return _record('thing', part=x)\n", encoding="utf-8")
    (tmp_path / "outer.parley").write_text("from _inner import inner\n", encoding="utf-8")
    head = "party p\ninput x: fixed from p\nimport outer\nr = outer.inner(x)\n"

    done = elaborate(parse(head + "y = r.part\n"), Bindings(), library=tmp_path)
    assert dict(done.names)["y"] == "fixed, seen by p"

    for line, code in (
        ("import _inner\n", "E0208"),
        ("z = _record('thing', part=x)\n", "E0204"),
        ("z = _balanced(x, floor=0.0)\n", "E0204"),
        ("z = _capped\n", "E0201"),
        ("z = r.other\n", "E0207"),
    ):
        with pytest.raises(StudyError) as caught:
            elaborate(parse(head + line), Bindings(), library=tmp_path)
        assert caught.value.diagnostics[0].code == code


def test_a_function_that_is_passed_on_bears_the_name_by_which_it_is_known(tmp_path: Path) -> None:
    (tmp_path / "_inner.parley").write_text("def inner(x):\n    return x[9]\n", encoding="utf-8")
    (tmp_path / "outer.parley").write_text("from _inner import inner\n", encoding="utf-8")
    text = "party p\ninput x: fixed[3] from p\nimport outer\nr = outer.inner(x)\n"

    with pytest.raises(StudyError) as caught:
        elaborate(parse(text), Bindings(), library=tmp_path)

    assert "inside `outer.inner`" in str(caught.value)
