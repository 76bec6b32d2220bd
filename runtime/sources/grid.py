"""Several columns side by side as one array.

For: `side_by_side`.
Leaves to others: reading the columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import InputSpec
from runtime.sources.cells import Cells, Content, Typed, grid_shape
from runtime.sources.faults import Faults, Place


def side_by_side(names: list[str], columns: list[Cells | Typed], spec: InputSpec, faults: Faults) -> Content:
    """The array whose lines are the rows of these columns."""
    wide = len(columns)
    if not columns:
        faults.fail("E0411", f"the {faults.source} holds no columns")
    rows = len(columns[0])
    kinds = sorted({c.kind if isinstance(c, Typed) else "text" for c in columns})
    if len(kinds) > 1:
        faults.fail("E0403", f"the columns are of different types: {', '.join(kinds)}", help="store all as one type")

    def locate(index: int) -> Place:
        row, number = divmod(index, wide)
        return Place(row + 1, None, names[number])

    faults.locate = locate
    return Content(grid_shape(spec.shape, rows, wide), {spec.columns[0].name: _flat(columns)})


def _flat(columns: list[Cells | Typed]) -> Cells | Typed:
    """One flat column that goes through the rows."""
    missing = np.stack([c.missing for c in columns], axis=1).reshape(-1)
    typed = [c for c in columns if isinstance(c, Typed)]
    if not typed:
        texts = [c for c in columns if isinstance(c, Cells)]
        offsets = np.cumsum([0] + [len(c.data) for c in texts[:-1]])
        start = np.stack([c.start + offset for c, offset in zip(texts, offsets, strict=True)], axis=1)
        length = np.stack([c.length for c in texts], axis=1)
        return Cells(np.concatenate([c.data for c in texts]), start.reshape(-1), length.reshape(-1), missing)
    values = _stack([c.values for c in typed])
    if typed[0].kind != "decimal":
        return Typed(typed[0].kind, values, missing)
    scale, large = _stack([c.scale for c in typed]), _stack([c.large for c in typed])
    return Typed("decimal", values, missing, scale, large, _stack([c.nearest for c in typed]))


def _stack(columns: list[Any]) -> NDArray[Any]:
    return np.stack(columns, axis=1).reshape(-1)
