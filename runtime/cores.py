"""The cores that a party's process may use, for matrix products and for all other kernels.

A BLAS starts a thread for every core, and its threads wait by spinning: three parties on two cores then slow each other
down ten times and more.  Where the library is not one of those known here, only speed is lost.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from mpc.cores import use_cores

__all__ = ["take_cores"]

LIBRARY = re.compile(r"/\S*(?:openblas|mkl_rt|libblis)\S*\.so\S*")

SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
)


def take_cores(*, parties: int = 1, count: int | None = None) -> None:
    """Let this process use `count` cores, or its part, one at least, of a machine that so many parties share."""
    threads = count or max(1, (os.cpu_count() or 1) // parties)
    use_cores(threads)
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
