"""What each package offers: `__init__` says what it is for and names what others may use, and the names exist."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for top in ("mpc", "dsl", "network", "runtime")
    for path in (ROOT / top).rglob("__init__.py")
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_says_what_it_is_for_and_what_it_offers(package: str) -> None:
    module = importlib.import_module(package)
    assert (module.__doc__ or "").strip()
    offered = module.__all__
    assert len(set(offered)) == len(offered)
    missing = [name for name in offered if not hasattr(module, name)]
    assert not missing


def test_the_command_loads_no_more_than_it_needs() -> None:
    """`parley --help` must not wait for Arrow, rich or the parser."""
    code = "import sys, runtime.cli; print([m for m in ('pyarrow', 'rich', 'lark') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
