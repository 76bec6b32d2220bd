"""About what a primitive costs, for an expansion that must choose between two ways.

Lowering knows no protocol, and the choice must be the same at every party: so these are round figures, those of three
replicated nodes, over all parties.  What a schedule declares is exact and comes from the protocol.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["AND", "MOVE", "MUL", "OPEN", "TO_RING", "Work", "bits", "compare", "depth", "equal"]


class Work(NamedTuple):
    """Rounds, one after another, and bytes over all parties."""

    rounds: int
    bytes: float

    def then(self, other: Work) -> Work:
        """This, and after it `other`."""
        return Work(self.rounds + other.rounds, self.bytes + other.bytes)

    def beside(self, other: Work) -> Work:
        """Both at once."""
        return Work(max(self.rounds, other.rounds), self.bytes + other.bytes)

    def times(self, n: float) -> Work:
        """For n elements at once."""
        return Work(self.rounds, self.bytes * n)

    def weight(self, round_bytes: int) -> float:
        """One figure to compare by, in bytes; `round_bytes` is what a round counts on the job's links."""
        return self.rounds * round_bytes + self.bytes


AND: Final = Work(1, 3 / 8)
MUL: Final = Work(1, 24)
OPEN: Final = Work(1, 24)
TO_RING: Final = Work(2, 24)
MOVE: Final = Work(2, 32)
"""One element of a row, permuted."""


def depth(n: int) -> int:
    """Levels of a tree in which two become one."""
    return max(n - 1, 0).bit_length()


def compare(width: int) -> Work:
    """The sign of a number of `width` bits."""
    return Work(2 + depth(width), 17 / 16 * width)


def equal(width: int) -> Work:
    """Whether a number of `width` bits is 0."""
    return Work(1 + depth(width), width / 2)


def bits(width: int) -> Work:
    """All bits of a number of `width` bits."""
    return Work(2 + depth(width), 9 / 4 * width)
