"""Options for all tests, and how property tests choose their examples.

The same examples in every run: whether a change lands must not depend on what chance finds that day, nor on how fast
the machine is.  `make soak` looks for others, by `pytest -m hypothesis --hypothesis-profile=search`: what that finds is
a fault, to be mended where it is.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", settings.get_profile("same"), derandomize=False, print_blob=True)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="Write golden files anew instead of comparing.")
