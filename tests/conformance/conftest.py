"""Sessions of every scheme, as fixtures."""

from __future__ import annotations

import itertools

import pytest
from conformance_run import SETUPS, Run, Setup

from mpc.prg import derive


@pytest.fixture(params=SETUPS, ids=str)
def setup(request: pytest.FixtureRequest) -> Setup:
    """Every scheme that is tested."""
    made = request.param
    assert isinstance(made, Setup)
    return made


@pytest.fixture
def run(setup: Setup) -> Run:
    """A session whose keys are the same in every run of the tests."""
    places = range(setup.places)
    root = bytes(range(32))
    return Run(setup, {frozenset(p): derive(root, *p) for p in itertools.combinations(places, 2)})
