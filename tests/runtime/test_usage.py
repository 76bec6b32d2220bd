"""Commands that are used wrongly end with a message, an object with `--json`, and 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from dsl.codes import CODES
from runtime.cli import main

STUDY = "party bank, clinic, other\ninput x: int[n] from bank\nreveal sum(x) to clinic as total\n"


def used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, str]]:
    monkeypatch.setattr(sys, "argv", ["parley", *words, "--json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(capsys.readouterr().out).get("error", {})


@pytest.mark.parametrize("bound", ["bank:y", "clinic:x", "banc:x"])
@pytest.mark.parametrize("command", [("check",), ("run", "--plain"), ("run",)])
def test_what_is_bound_is_asked_for(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    bound: str,
    command: tuple[str, ...],
) -> None:
    (tmp_path / "s.parley").write_text(STUDY)
    (tmp_path / "x.csv").write_text("1\n2\n")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "x.csv").write_text("5\n")
    words = [*command, str(tmp_path / "s.parley"), "--data", str(tmp_path)]

    code, error = used(monkeypatch, capsys, *words, "--bind", f"{bound}={tmp_path}/x.csv")
    assert (code, error["code"]) == (2, "E0816")
    assert "bank:x" in error["message"]


def test_options_that_there_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.parley").write_text(STUDY)
    for words in (("--fast",), ("--frac", "99"), ("--data", str(tmp_path / "none"))):
        code, error = used(monkeypatch, capsys, "check", str(tmp_path / "s.parley"), *words)
        assert code == 2
        assert error["code"] in CODES
