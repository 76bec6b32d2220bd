"""How the place of the highest set bit of a number is told: by digits, each one-hot, highest place first.

Places go into slots 0, 1, … from the highest down: d = 4 rows k + 4 a + b for step k, row a and one b.  Of a signed
number the highest bit unlike its sign is meant, and below bit 0 comes one more place, which the sign itself has: that
of -1.  So x in -2^j..-2^(j-1)-1 is told as 2^(j-1) is, which is right but for -2^j, and every x but 0 has a place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Slots", "digits"]


class Slots(NamedTuple):
    """Of the low `width` bits, those from `bottom` up, with `above` slots left empty over the highest."""

    width: int
    signed: bool = False
    bottom: int = 0
    above: int = 0

    @property
    def places(self) -> int:
        """Slots in which a highest bit may be; of a signed number the sign's is one, in place of its own."""
        return self.width - self.bottom

    @property
    def used(self) -> int:
        """Slots down to the lowest place."""
        return self.above + self.places

    @property
    def rows(self) -> int:
        """Rows of four slots in a step."""
        return 4 if self.used > 16 else -(-self.used // 4)

    @property
    def ones(self) -> int:
        """Slots in a row."""
        return min(4, self.used)

    @property
    def steps(self) -> int:
        """Steps."""
        return -(-self.used // (4 * self.rows))

    @property
    def flags(self) -> int:
        """Truth values that tell the step: of a signed number first where it is above 0, then where it is below."""
        return self.steps * (1 + self.signed)

    @property
    def size(self) -> int:
        """All truth values: the flags, then rows 1 and up, then ones 1 and up.

        Flags are all false where no bit is set; the first row and the first one are left out, since one of each holds
        where there is a place.
        """
        return self.flags + self.rows + self.ones - 2

    def slot(self, k: int, a: int, b: int) -> int | None:
        """The number of a slot's place, counted from the highest; None where it is empty."""
        at = 4 * (self.rows * k + a) + b - self.above
        return at if 0 <= at < self.places else None


def digits(x: npt.NDArray[np.uint64], slots: Slots) -> npt.NDArray[np.uint8]:
    """The definition, in the clear: of ring elements (*shape) the truth values (*shape, slots.size)."""
    looked_at = np.uint64((1 << slots.width) - 1)
    low: npt.NDArray[np.uint64] = np.asarray(x & looked_at)
    below = low >> np.uint64(slots.width - 1) if slots.signed else np.zeros(low.shape, np.uint64)
    negative = np.asarray(below, np.bool_)
    if slots.signed:
        # Doubled, and the sign below it, so that its own place is the lowest.
        low = np.left_shift(np.where(negative, ~x, x), np.uint64(1)) + negative & looked_at
    places = np.arange(slots.width, dtype=np.uint64)[slots.bottom :][::-1]
    hot = np.asarray(low[..., None] >> places == 1)
    grid = np.zeros((*x.shape, slots.steps, slots.rows, slots.ones), np.bool_)
    for k, a, b in np.ndindex(grid.shape[x.ndim :]):
        at = slots.slot(k, a, b)
        if at is not None:
            grid[..., k, a, b] = hot[..., at]
    steps, rows, ones = (np.asarray(grid.any(axis=axes)) for axes in ((-2, -1), (-3, -1), (-3, -2)))
    signs = [steps & ~negative[..., None], steps & negative[..., None]] if slots.signed else [steps]
    return np.concatenate([*signs, rows[..., 1:], ones[..., 1:]], axis=-1).astype(np.uint8)
