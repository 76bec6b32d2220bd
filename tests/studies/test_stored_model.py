"""A model that nobody sees is trained by one command and used by another, by processes over TLS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies_run import DEALER, EXAMPLES, call, read, run

FOLDER = EXAMPLES / "stored_model"
CANCER = EXAMPLES / "cancer" / "data"
NEW = 8
"""The new patients are the last of the southern hospital, whose tumours are known."""


def stored(state: Path, *options: str) -> tuple[float, np.ndarray]:
    """(accuracy, chances) that the two studies tell, one after the other."""
    trained = run(FOLDER / "train.parley", CANCER, "--state", str(state), *options)["outputs"]
    assert all(set(told) == {"accuracy"} for told in trained.values())
    scored = run(FOLDER / "score.parley", FOLDER / "data", "--state", str(state), *options)["outputs"]
    assert scored["centre"] == scored["south"] == {}
    return trained["north"]["accuracy"], np.array(scored["north"]["chance"])


@pytest.mark.slow
def test_in_the_clear_the_model_knows_the_new_patients(tmp_path: Path) -> None:
    accuracy, chances = stored(tmp_path, "--plain")
    assert accuracy > 0.95
    assert ((chances > 0.5) == (read(CANCER / "south" / "y_south.csv")[-NEW:] > 0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--protocol", "rep3"), DEALER], ids=["rep3", "additive"])
def test_a_model_that_was_stored_is_the_one_in_the_clear(options: tuple[str, ...], tmp_path: Path) -> None:
    accuracy, chances = stored(tmp_path, *options)
    plain = stored(tmp_path, "--plain")
    assert abs(accuracy - plain[0]) <= 0.01
    np.testing.assert_allclose(chances, plain[1], atol=2e-3)


@pytest.mark.slow
def test_without_a_state_it_is_said_what_is_missing(tmp_path: Path) -> None:
    done = call(FOLDER / "score.parley", FOLDER / "data")
    assert done.returncode == 2
    assert "--state DIR" in done.stderr
    done = call(FOLDER / "score.parley", FOLDER / "data", "--state", str(tmp_path))
    assert done.returncode == 1
    assert "E0415" in done.stderr
