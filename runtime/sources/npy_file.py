"""NumPy's `.npy` files, without pickle.

For: `read`, `shape`.
Leaves to others: what a value means (`typed`).

The header is held against the size of the file before anything is allocated: a damaged or forged header fails at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.lib import format as npy

from dsl.inputs import InputSpec
from runtime.sources.cells import Content
from runtime.sources.faults import Faults
from runtime.sources.native import column_of, element_place

_DAMAGED: Final = "the file is damaged or no .npy file"


def read(path: Path, spec: InputSpec, faults: Faults) -> Content:
    """The array's elements in C order."""
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, path.stat().st_size, faults)
        flat = np.fromfile(file, dtype, math.prod(shape))
    if fortran:
        flat = np.ascontiguousarray(flat.reshape(shape[::-1]).T).reshape(-1)
    faults.locate = lambda index: element_place(index, shape)
    return Content(shape, {spec.columns[0].name: column_of(flat, faults)})


def shape(path: Path, spec: InputSpec, faults: Faults) -> tuple[int, ...]:  # noqa: ARG001 - all readers are called alike
    """The shape, from the header."""
    with path.open("rb") as file:
        return _header(file, path.stat().st_size, faults)[0]


def _header(file: BinaryIO, size: int, faults: Faults) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    try:
        version = npy.read_magic(file)
        header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
        shape, fortran, dtype = (None, False, np.dtype(np.uint8)) if header is None else header(file)
    except Exception:  # a damaged header makes Python's own parser fail, in any of its ways
        faults.fail("E0414", _DAMAGED, help="write it again with numpy.save")
    if shape is None:
        faults.fail("E0414", f"version {version[0]} of the .npy format is for records", help="save an array of numbers")
    if dtype.hasobject or dtype.names is not None:
        faults.fail("E0414", "the file holds Python objects or records", help="save a plain array of numbers")
    if any(d < 0 for d in shape) or file.tell() + math.prod(shape) * dtype.itemsize != size:
        faults.fail("E0414", f"{_DAMAGED}: its header and its size disagree", help="write it again with numpy.save")
    return shape, fortran, dtype
