"""Runs a study as its users do: the command in a process of its own, its parties in further ones, over TLS."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
DEALER = ("--protocol", "additive", "--preprocessing", "dealer")


def run(study: Path, data: Path, *options: str, seconds: float = 900) -> dict[str, Any]:
    """What `parley run --json` prints: `{"outputs": …, "stats": …}`."""
    done = call(study, data, *options, seconds=seconds)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def call(study: Path, data: Path, *options: str, seconds: float = 900) -> subprocess.CompletedProcess[str]:
    """`parley run --json`, whatever it ends with."""
    command = [sys.executable, "-m", "runtime.cli", "run", str(study), "--data", str(data), "--json", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, cwd=ROOT)


def read(path: Path) -> NDArray[np.float64]:
    """An array's CSV, with a header line or without."""
    headed = any(c.isalpha() for c in path.read_text().split("\n", 1)[0])
    return np.loadtxt(path, delimiter=",", skiprows=int(headed))
