"""NumPy arrays as columns.

For: `column_of`, `element_place`.
Leaves to others: where the arrays come from (`npy_file`, `given`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.sources.cells import PADDING, Cells, Mask, Typed
from runtime.sources.faults import Faults, Place


def element_place(index: int, shape: tuple[int, ...]) -> Place:
    """Row along the first axis, and the element's indices, all from 1."""
    at = [int(i) for i in np.unravel_index(index, shape)]
    return Place(at[0] + 1 if at else None, None, str([i + 1 for i in at]) if len(at) > 1 else None)


def column_of(
    flat: NDArray[Any], faults: Faults, missing: Mask | None = None, *, column: str | None = None
) -> Cells | Typed:
    """A flat array of numbers, truth values, days or texts. missing: which elements are no values."""
    if missing is None:
        missing = np.zeros(len(flat), np.bool_)
    match flat.dtype.kind:
        case "b":
            return Typed("bool", flat, missing)
        case "i":
            return Typed("int", flat.astype(np.int64), missing)
        case "u":
            return Typed("int", flat.astype(np.uint64), missing)
        case "f" if flat.dtype.itemsize <= 8:
            return Typed("float", flat.astype(np.float64), missing)
        case "M" if np.datetime_data(flat.dtype)[0] == "D":
            days = flat.astype("M8[D]")
            return Typed("date", days.astype(np.int64), missing | np.isnat(days))
        case "U" | "S":
            return _texts(flat, missing)
    return faults.fail("E0403", f"an array of NumPy's type `{flat.dtype}` cannot be used", column=column)


def _texts(flat: NDArray[Any], missing: Mask) -> Cells:
    """Texts as UTF-8; an empty one is a text, not a missing value."""
    encoded = np.strings.encode(flat, "utf-8") if flat.dtype.kind == "U" else flat
    wide = max(encoded.dtype.itemsize, 1)
    data = np.concatenate([np.frombuffer(encoded.tobytes(), np.uint8), np.zeros(PADDING, np.uint8)])
    length = np.strings.str_len(encoded).astype(np.int64)
    length[missing] = 0
    return Cells(data, np.arange(len(flat), dtype=np.int64) * wide, length, missing)
