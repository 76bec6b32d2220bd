"""Whether draws are uniform over a few kinds, so that chance fails a test less than once in 10^9 runs.

Chi squared whose chance is below `SUSPICIOUS` asks for a second sample, drawn anew and four times as large, which must
not be beyond what chance gives once in 10^8.  What shows in the first shows four times as plainly in the second: to be
sure costs no power, and hardly any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import chi2

SUSPICIOUS, CERTAIN = 1e-3, 1e-8

Sample = tuple[Counter[Any], int]
"""How often each kind came, and how many kinds there are."""


def chance(found: Counter[Any], kinds: int) -> float:
    """How often uniform draws are as far from even as these, or farther."""
    assert len(found) <= kinds
    expected = found.total() / kinds
    squared = sum((n - expected) ** 2 / expected for n in found.values()) + (kinds - len(found)) * expected
    return float(chi2.sf(squared, kinds - 1))


def assert_uniform(draw: Callable[[int], Sequence[Sample]], n: int) -> None:
    """Every sample that `draw` gives of so many draws is even."""
    least = min(chance(*sample) for sample in draw(n))
    if least < SUSPICIOUS:
        again = draw(4 * n)
        assert min(chance(*sample) for sample in again) > CERTAIN, again
