"""What docs/models.md says of the library is so: calls with their defaults, fields, tests, their data and tolerances.

And the text of each function speaks of each of its parameters.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from dsl import syntax
from dsl.parse import parse

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
LIBRARY = ROOT / "dsl" / "library"
STUDIES = sorted((ROOT / "tests" / "studies").glob("test_library_*.py"))
DATA = {
    "diabetes": "diabetes",
    "linnerud": "linnerud",
    "cancer": "load_breast_cancer",
    "iris": "iris",
    "wine": "wine",
    "digits": "load_digits",
}
SAID = {"predict", "predict_proba"}
"""They are of all models, and have no line of their own."""


class Row(NamedTuple):
    """A line of a table: the call as written, and what its other cells say."""

    call: str
    cells: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.call.split("(")[0]


def rows() -> Iterator[Row]:
    for line in PAGE.split("\n"):
        if match := re.match(r"\| `(\w+\(.*?\))` \|(.*)\|$", line):
            yield Row(match[1], tuple(cell.strip() for cell in match[2].split(" | ")))


ROWS = list(rows())


@cache
def functions() -> dict[str, tuple[syntax.Function, str]]:
    """The functions that a study can call, and the text of their file."""
    found = {}
    for path in sorted(LIBRARY.glob("*.parley")):
        text = path.read_text(encoding="utf-8")
        for statement in parse(text, path.name).body:
            if isinstance(statement, syntax.Function) and not statement.name.text.startswith("_"):
                found[statement.name.text] = statement, text[statement.span.start : statement.span.end]
    return found


@cache
def sources() -> dict[str, str]:
    """The text of each test of the library with its marks, and with what it names of its module."""
    found: dict[str, str] = {}
    for path in STUDIES:
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        parts: dict[str, str] = {}
        names: dict[str, set[str]] = {}
        for node in ast.parse(text).body:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            source = "\n".join(lines[first - 1 : node.end_lineno])
            targets = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            for name in [node.name] if isinstance(node, ast.FunctionDef) else targets:
                parts[name] = source
                names[name] = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} - {name}
        for name in parts:
            if name.startswith("test_"):
                found[name] = "\n".join([parts[name], *(parts[n] for n in sorted(names[name]) if n in parts)])
    return found


def test_every_function_has_its_line() -> None:
    assert sorted(row.name for row in ROWS) == sorted(set(functions()) - SAID)
    for name in SAID:
        assert f"`ml.{name}(model, X)`" in PAGE


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_calls_are_written_with_their_defaults(row: Row) -> None:
    function, _ = functions()[row.name]
    written = parse(f"def {row.call}:\n    return 0\n", "page").body[0]
    assert isinstance(written, syntax.Function)
    assert [(p.name.text, p.default) for p in written.parameters] == [
        (p.name.text, p.default) for p in function.parameters
    ]


@pytest.mark.parametrize("row", [r for r in ROWS if len(r.cells) == 3], ids=[r.name for r in ROWS if len(r.cells) == 3])
def test_fields_are_those_of_the_record(row: Row) -> None:
    _, text = functions()[row.name]
    forest = (LIBRARY / "_trees.parley").read_text(encoding="utf-8")
    made = text if "_record(" in text else forest[forest.index("def _forest(") : forest.index("def decision_tree(")]
    fields = re.findall(r"`(\w+)`", row.cells[1])
    assert fields or row.cells[1] == "as of a tree"
    for field in fields:
        assert re.search(rf"\b{field}=", made[made.rindex("_record(") :] if row.name != "logistic_regression" else made)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_data_and_tolerances_are_those_of_the_tests(row: Row) -> None:
    cell = row.cells[-1]
    named = re.findall(r"`(test_\w+)`", cell)
    assert named
    source = "\n".join(sources()[name] for name in named)
    for word, loader in DATA.items():
        assert word not in cell or loader in source, word
    for power in re.findall(r"2\^-(\d+)", cell):
        assert f"2.0**-{power}" in source, power
    for number in re.findall(r"(?<![\d^])0\.\d+", cell):
        assert number in source, number
    assert row.name in source or "MODELS" in source


@pytest.mark.parametrize("name", sorted(functions()))
def test_texts_speak_of_every_parameter(name: str) -> None:
    function, _ = functions()[name]
    said = " ".join((function.doc or "").split())
    for other in re.findall(r"`(\w+)`", said):
        if other in functions() and re.search(rf"[Aa]s (for|of|`).{{0,4}}{other}", said):
            said += functions()[other][0].doc or ""
    for parameter in function.parameters:
        assert re.search(rf"\b{parameter.name.text}\b", said), parameter.name.text
