"""A column as a file gives it, before it has the type that the study declares.

For: `Cells` (text, as places in one buffer of bytes) and `Typed` (values that already have a type), the two forms
that readers hand to `text` and `typed`; `Content`, all that a reader finds; `grid_shape`.
Leaves to others: splitting a file (`csv_file`), and all meaning.

A million cells are three arrays, not a million strings: whatever is asked of them is a few passes of numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]

PADDING: Final = 64
"""Zero bytes that a buffer should have after its last cell, so that reading ahead stays inside."""

_MOST_BLANKS: Final = 64


@dataclass(frozen=True, slots=True)
class Cells:
    """Texts in `data`: number i is `length[i]` bytes of UTF-8 from `start[i]`. missing: nothing stands there at all."""

    data: Bytes
    start: Places
    length: Places
    missing: Mask

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: NDArray[np.intp] | slice) -> Cells:
        """The cells with these numbers."""
        return Cells(self.data, self.start[index], self.length[index], self.missing[index])

    def one(self, index: int) -> bytes:
        """Cell number `index`."""
        start = int(self.start[index])
        return self.data[start : start + int(self.length[index])].tobytes()

    def matrix(self, width: int) -> Bytes:
        """(cells, width): each cell's first `width` bytes, zeros after its end."""
        width = max(width, 1)
        data, rows = self.data, len(self)
        if not rows:
            return np.zeros((0, width), np.uint8)
        if int(self.start.max()) + width > len(data):
            data = np.concatenate([data, np.zeros(width, np.uint8)])
        out = np.lib.stride_tricks.sliding_window_view(data, width)[self.start]
        shortest = int(self.length.min())
        if shortest < width:
            out[:, shortest:] *= np.arange(shortest, width) < self.length[:, None]
        return out

    def words(self, width: int) -> NDArray[np.bytes_]:
        """(cells,) of dtype `S<width>`, cut to `width` bytes."""
        matrix = self.matrix(width)
        return matrix.view(f"S{matrix.shape[1]}").reshape(len(self))

    def trimmed(self) -> Cells:
        """Without blanks and tabs at both ends (more than 64 of them are left)."""
        start, length = self.start.copy(), self.length.copy()
        top = max(len(self.data) - 1, 0)
        if not len(self.data):
            return self
        for _ in range(_MOST_BLANKS):
            first = self.data[np.minimum(start, top)]
            blank = ((first == 32) | (first == 9)) & (length > 0)
            if not blank.any():
                break
            start += blank
            length -= blank
        for _ in range(_MOST_BLANKS):
            last = self.data[np.clip(start + length - 1, 0, top)]
            blank = ((last == 32) | (last == 9)) & (length > 0)
            if not blank.any():
                break
            length -= blank
        return replace(self, start=start, length=length)


@dataclass(frozen=True, slots=True)
class Typed:
    """Values that a file stores with a type.

    kind `int`: int64 or uint64. `float`: float64. `bool`: bool. `date`: int64 days. `decimal`: int64, each number times
    10**scale, and `large` where it needs more than 64 bits; `nearest` has all of them as float64.
    missing: as in `Cells`. Values where missing are of no meaning.
    """

    kind: Literal["int", "float", "bool", "date", "decimal"]
    values: NDArray[np.int64] | NDArray[np.uint64] | NDArray[np.float64] | NDArray[np.bool_]
    missing: Mask
    scale: NDArray[np.int8] | None = None
    large: Mask | None = None
    nearest: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.values)


def grid_shape(wanted: tuple[int | str, ...], rows: int, wide: int) -> tuple[int, ...]:
    """The array that `rows` lines of `wide` cells stand for, where an array of the shape `wanted` is expected.

    A vector is a column or one line. Of more than two axes, a line holds all that belongs to one place of the first.
    What does not fit is left as lines and cells.
    """
    axes = len(wanted)
    if axes == 0 and rows * wide == 1:
        return ()
    if axes == 1 and (wide == 1 or rows == 1):
        return (rows * wide,)
    inner = tuple(d for d in wanted[1:] if isinstance(d, int))
    if axes > 2 and len(inner) == axes - 1 and math.prod(inner) == wide:
        return (rows, *inner)
    return (rows, wide)


class Content(NamedTuple):
    """What a reader found: a table's rows `(n,)` or an array's shape, and each column flat, by the study's names.

    numbers: columns whose source calls them numbers but gives them as texts.
    """

    shape: tuple[int, ...]
    columns: dict[str, Cells | Typed]
    numbers: frozenset[str] = frozenset()
