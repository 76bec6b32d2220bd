"""Bulk kernels over the cores that this process may use.

NumPy and the cipher let other threads work while they compute, so a kernel on a long array is done in parts, the first
by the thread that asked.  How many cores there are is a setting of the process, like the threads of its BLAS, and not
of a job: results do not depend on it.  A process that was given one core, as in the beginning, starts no thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

__all__ = ["in_parts", "use_cores"]


class _Cores:
    """The pool of this process."""

    def __init__(self) -> None:
        self.count = 1
        self.pool: ThreadPoolExecutor | None = None
        self.lock = threading.Lock()


_CORES = _Cores()


def use_cores(count: int) -> None:
    """Let kernels of this process use so many cores, 1 or more; not while one of them runs."""
    if count < 1:
        raise ValueError(f"a process uses one core or more, not {count}")
    with _CORES.lock:
        if _CORES.pool is not None:
            _CORES.pool.shutdown()
        _CORES.count = count
        _CORES.pool = ThreadPoolExecutor(count - 1, "kernels") if count > 1 else None


def in_parts(work: Callable[[int, int], None], n: int, least: int) -> None:
    """Call work(first, last) on ranges that make up range(n), at the same time where there are cores for it.

    least: a range has so many units at the smallest, but the last; below twice as many, `work` is called once.
    What `work` does on one range touches nothing of another's; it must not itself work in parts.
    """
    pool = _CORES.pool
    parts = min(_CORES.count, n // least)
    if pool is None or parts < 2:
        if n:
            work(0, n)
        return
    ends = [n * k // parts for k in range(parts + 1)]
    others = [pool.submit(work, first, last) for first, last in pairwise(ends[1:])]
    try:
        work(ends[0], ends[1])
    finally:
        failures = [other.exception() for other in others]  # waits: nobody writes to an array that is let go
    for failure in failures:
        if failure is not None:
            raise failure
