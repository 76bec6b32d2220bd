"""What the README says is so: its commands run and answer what it shows, and its deployment works as written.

In a `console` block each line that starts with `$ ` is run, and what follows it must come out, numbers up to rounding
and times aside; `$ cat NAME` writes the file that it shows.  The deployment takes the blocks of its section as they
stand, with hosts and ports of this machine put in.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from free_ports import free_port

from runtime.policy import study_digest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARLEY = [sys.executable, "-m", "runtime.cli"]
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
DURATION = re.compile(r"\d+(?:\.\d+)? (?:s|ms)\b")


class Block(NamedTuple):
    """A fenced block, and the heading under which it stands."""

    heading: str
    language: str
    text: str


class Command(NamedTuple):
    """A line to run and what it must print."""

    line: str
    output: str


def blocks(text: str) -> Iterator[Block]:
    heading, fence, lines = "", "", []
    for line in text.split("\n"):
        if fence:
            if line == "```":
                yield Block(heading, fence, "\n".join(lines))
                fence, lines = "", []
            else:
                lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
        elif match := re.fullmatch(r"```(\w+)", line):
            fence = match[1]


def under(heading: str, language: str) -> list[str]:
    return [b.text for b in blocks(README) if b.heading == heading and b.language == language]


def commands(text: str) -> list[Command]:
    parts = re.split(r"^\$ (.*)$", text, flags=re.MULTILINE)[1:]
    return [Command(line, out.strip("\n")) for line, out in zip(parts[::2], parts[1::2], strict=True)]


CONSOLES = [b for b in blocks(README) if b.language == "console"]


def parley(words: list[str], folder: Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = os.environ | {"COLUMNS": "110", "PYTHONPATH": path}
    return subprocess.run(PARLEY + words, capture_output=True, text=True, timeout=seconds, cwd=folder, env=settings)


def same(shown: str, got: str) -> None:
    """Equal, but for times, numbers that differ by rounding alone, and costs, which may get somewhat better or worse.

    A line `…` in what is shown stands for any lines.
    """
    lines = iter(tidy(got))
    skipping = False
    for line in tidy(shown):
        if line == "…":
            skipping = True
            continue
        found = next((other for other in lines if alike(line, other) or not skipping), "(the end)")
        assert alike(line, found), f"instead of {line!r}: {found!r}; it prints:\n{got}"
        skipping = False
    rest = list(lines)
    assert skipping or not rest, f"it goes on:\n{got}"


def tidy(text: str) -> list[str]:
    return [DURATION.sub("…", line.rstrip()) for line in text.strip("\n").split("\n")]


def alike(left: str, right: str) -> bool:
    if NUMBER.sub("0", left) != NUMBER.sub("0", right):
        return False
    for a, b in zip(NUMBER.finditer(left), NUMBER.finditer(right), strict=True):
        cost = re.match(r" (?:rounds|[kMG]?B)\b", left[a.end() :])
        if float(a[0]) != pytest.approx(float(b[0]), rel=0.3 if cost else 1e-4, abs=1e-3):
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("block", CONSOLES, ids=[commands(b.text)[-1].line for b in CONSOLES])
def test_commands_print_what_is_shown(block: Block, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line, shown in commands(block.text):
        words = shlex.split(line)
        if words[0] == "cat":
            (tmp_path / words[1]).write_text(shown + "\n")
            continue
        assert words[0] == "parley"
        done = parley(words[1:], tmp_path)
        same(shown, done.stdout + done.stderr)


def test_the_first_study_is_the_one_in_the_examples() -> None:
    (shown,) = under("A first study", "python")
    assert shown + "\n" == (ROOT / "examples" / "salaries" / "study.parley").read_text()


def test_what_is_named_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for name in re.findall(r"^\| `([\w.]+)` \|", README.split("More studies in")[1].split("\n\n## ")[0], re.MULTILINE):
        assert (ROOT / "examples" / name).exists(), name
    rules = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", README, re.MULTILINE):
        assert "".join(name) in rules, name
    for name in re.findall(r"`((?:tests|docs|examples|mpc|dsl|network|runtime)/[\w./]*)`", README):
        assert (ROOT / name).exists(), name


# -- the deployment --------------------------------------------------------------------------------

DEPLOYMENT = "On separate machines"


def settings_for(shown: str, name: str, *, brings: bool) -> str:
    """The node.toml that the README shows for acme, as `name` writes it."""
    text = shown.replace("acme.key", f"{name}.key").replace("acme.card", f"{name}.card")
    text = text.replace('name  = "acme"', f'name  = "{name}"')
    return text if brings else re.sub(r"\[data\]\n(?:[^\[\n].*\n|\n)*", "", text)


@contextmanager
def node(line: str, folder: Path) -> Iterator[None]:
    """Runs the node's command until the block ends; goes on when it listens."""
    words = shlex.split(line)
    assert words[:2] == ["parley", "node"]
    settings = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(PARLEY + words[1:], cwd=folder, stderr=subprocess.PIPE, text=True, env=settings) as process:
        assert process.stderr is not None
        said = []
        for text in process.stderr:
            said.append(text)
            if "listens on" in text:
                break
        else:
            pytest.fail("the node ended: " + "".join(said))
        try:
            yield
        finally:
            process.terminate()
            process.communicate(timeout=300)
    assert process.returncode == 0


def parties(tmp_path: Path) -> dict[str, Path]:
    """A folder for each party as after the first half of the section: keys, cards exchanged, settings, data."""
    keygen, _, _ = under(DEPLOYMENT, "sh")
    lines = [shlex.split(line, comments=True) for line in keygen.splitlines()]
    folders = {words[2]: tmp_path / words[2] for words in lines}
    for words in lines:
        folder = folders[words[2]]
        (folder / "partners").mkdir(parents=True)
        local = re.sub(r"[\w.]+:\d+$", f"127.0.0.1:{free_port()}", words[-1])
        done = parley([*words[1:-1], local], folder)
        assert done.returncode == 0, done.stderr
    (toml,) = under(DEPLOYMENT, "toml")
    for name, folder in folders.items():
        for other in folders.values():
            if other != folder:
                card = other / f"{other.name}.card.toml"
                (folder / "partners" / card.name).write_text(card.read_text())
        data = ROOT / "examples" / "salaries" / "data" / name
        if data.is_dir():
            (folder / "data").symlink_to(data)
        (folder / "node.toml").write_text(settings_for(toml, name, brings=data.is_dir()))
        (folder / "study.parley").write_text((ROOT / "examples" / "salaries" / "study.parley").read_text())
    return folders


@pytest.mark.slow
def test_the_deployment_works_as_written(tmp_path: Path) -> None:
    folders = parties(tmp_path)
    _, start, submit = under(DEPLOYMENT, "sh")
    with ExitStack() as stack:
        for name in ("acme", "bolt", "corda"):
            stack.enter_context(node(start, folders[name]))
        words = shlex.split(submit)
        assert words[:2] == ["parley", "submit"]
        done = parley(words[1:], folders["institute"])
        assert done.returncode == 0, done.stderr

        changed = folders["institute"] / "changed.parley"
        changed.write_text((folders["institute"] / "study.parley").read_text() + "\nreveal pay[0] to institute\n")
        refused = parley(["submit", changed.name, "--node", "node.toml"], folders["institute"])
        assert refused.returncode == 3
        assert "is not among the studies" in refused.stderr

    (run, *_) = commands(under("A first study", "console")[0])
    learned = run.output.split("institute learns\n")[1].split("\n\n")[0]
    same(learned, done.stdout)
    for name in ("acme", "bolt", "corda", "institute"):
        assert '"ending": "done"' in (folders[name] / f"{name}.audit.jsonl").read_text()


def test_the_digest_in_the_settings_is_that_of_the_study() -> None:
    (toml,) = under(DEPLOYMENT, "toml")
    assert study_digest((ROOT / "examples" / "salaries" / "study.parley").read_text()) in toml
