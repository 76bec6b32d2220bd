"""The example of use inside a Python program, run as its readers would."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from studies_run import EXAMPLES, ROOT


@pytest.mark.slow
def test_the_program_finds_least_squares() -> None:
    command = [sys.executable, str(EXAMPLES / "embedding.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    cost, shares, clear = done.stdout.splitlines()
    assert int(cost.split()[0]) > 40
    learned, expected = ([float(v) for v in re.findall(r"-?\d+\.\d*", line)] for line in (shares, clear))
    np.testing.assert_allclose(learned, expected, atol=0.01)
    assert len(learned) == 3
