"""Share the cores of one machine among the parties that run on it.

A BLAS starts a thread for every core, and its threads wait by spinning: three parties on two cores then slow each other
down ten times and more.  Where the library is not one of those known here, only speed is lost.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

__all__ = ["share_cores"]

LIBRARY = re.compile(r"/\S*(?:openblas|mkl_rt|libblis)\S*\.so\S*")

SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
)


def share_cores(parties: int) -> None:
    """Let the matrix products of this process take this party's part of the cores, one at least."""
    threads = max(1, (os.cpu_count() or 1) // parties)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return
    for path in dict.fromkeys(LIBRARY.findall(maps.read_text())):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for name in SETTERS:
            setter = getattr(library, name, None)
            if setter is not None:
                setter(ctypes.c_int(threads))
                break
